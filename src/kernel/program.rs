//! One loaded program: its images and the memory that came along.

use super::companions::{Companions, ProgramPages, give_array, insns_of, program_pages, take_addresses};
use super::machine::Machine;
use crate::text_alloc::{
    AreaId, AreaRequest, Areas, Backing, GiveBack, ImageBytes, NoText, Slot, TextAllocator, TextPerms,
};
use crate::trace::Load;

/// Everything a program holds.
#[derive(Clone, Debug)]
pub(super) struct Program {
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// Compiled, one function.
    One(Slot, ProgramPages),
    /// Compiled, several functions, each with a `struct bpf_prog` of its own (`jit_subprogs`).
    Several(Box<[(Slot, ProgramPages)]>),
    /// Interpreted: the pages of the program itself are read-only (`bpf_prog_lock_ro`).
    Interpreted(AreaId),
}

impl Program {
    /// Loads a program: its own pages, scratch for the verifier, then the images.
    pub(super) fn load(
        machine: &mut Machine,
        companions: &mut Companions,
        text: &mut dyn TextAllocator,
        load: &Load,
    ) -> Result<Self, NoText> {
        let insns = insns_of(load.insns, load.images.total());
        let body = match load.images.as_slice() {
            _ if !load.jited => Self::interpreted(machine, companions, insns)?,
            [image] => {
                let pages = companions.take_program(machine, insns)?;
                companions.borrow_scratch(machine, insns)?;
                Body::One(make_image(machine, text, *image, insns)?, pages)
            }
            images => Self::several(machine, companions, text, images, insns)?,
        };
        Ok(Self { body })
    }

    /// With bpf-to-bpf calls the images are made while the verifier still holds its scratch.
    fn several(
        machine: &mut Machine,
        companions: &mut Companions,
        text: &mut dyn TextAllocator,
        images: &[u32],
        insns: u64,
    ) -> Result<Body, NoText> {
        let scratch = companions.take_scratch(machine, insns)?;
        let mut functions = Vec::with_capacity(images.len());
        for image in images {
            let insns = insns_of(0, u64::from(*image));
            let pages = companions.take_program(machine, insns)?;
            functions.push((make_image(machine, text, *image, insns)?, pages));
        }
        machine.vfree_scratch(scratch);
        Ok(Body::Several(functions.into()))
    }

    fn interpreted(machine: &mut Machine, companions: &mut Companions, insns: u64) -> Result<Body, NoText> {
        companions.take_objects(machine)?;
        let pages = program_pages(insns);
        let area = machine.open(AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: true })?;
        companions.borrow_scratch(machine, insns)?;
        machine.protect(area, pages, TextPerms::ReadOnly);
        Ok(Body::Interpreted(area))
    }

    /// How many images the program has.
    pub(super) fn images(&self) -> u64 {
        match &self.body {
            Body::One(..) => 1,
            Body::Several(functions) => functions.len() as u64,
            Body::Interpreted(_) => 0,
        }
    }

    /// Frees the images, then the program's own pages (`bpf_prog_free_deferred`).
    pub(super) fn free(self, machine: &mut Machine, companions: &mut Companions, text: &mut dyn TextAllocator) {
        match self.body {
            Body::One(slot, pages) => {
                text.unload(machine, slot);
                companions.give_program(machine, pages);
            }
            Body::Several(functions) => {
                for (slot, pages) in functions {
                    text.unload(machine, slot);
                    companions.give_program(machine, pages);
                }
            }
            Body::Interpreted(area) => {
                machine.close(area, GiveBack::Release);
                companions.give_objects();
            }
        }
    }
}

/// Compiles one function: the table of addresses is held until its image has found its place.
#[inline]
fn make_image(machine: &mut Machine, text: &mut dyn TextAllocator, bytes: u32, insns: u64) -> Result<Slot, NoText> {
    let addresses = take_addresses(machine, insns)?;
    let slot = text.load(machine, ImageBytes::new(bytes))?;
    give_array(machine, addresses);
    Ok(slot)
}
