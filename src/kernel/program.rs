//! One loaded program: its images and the memory that came along.

use super::companions::{Companions, ProgramPages, insns_of, program_pages};
use super::machine::Machine;
use crate::text_alloc::{AreaId, Areas, GiveBack, ImageBytes, NoText, Slot, TextAllocator, TextPerms};
use crate::trace::Load;
use crate::units::PAGE_BYTES;

/// Everything a program holds.
#[derive(Clone, Debug)]
pub(super) struct Program {
    body: Body,
    /// The CPU that it was loaded on.
    cpu: u32,
}

#[derive(Clone, Debug)]
enum Body {
    /// Compiled, one function.
    One(Slot, ProgramPages),
    /// Compiled, several functions, each with a `struct bpf_prog` of its own (`jit_subprogs`), the main one too; the
    /// program that was loaded stays as their container, without an image.
    Several(ProgramPages, Box<[(Slot, ProgramPages)]>),
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
        cpu: u32,
    ) -> Result<Self, NoText> {
        let insns = insns_of(load.insns, load.images.total());
        machine.parse_kernel_types()?;
        let body = match load.images.as_slice() {
            _ if !load.jited => Self::interpreted(machine, companions, insns)?,
            [image] => {
                let pages = companions.take_program(machine, insns)?;
                machine.verify(insns)?;
                Body::One(make_image(machine, text, *image, insns)?, pages)
            }
            images => Self::several(machine, companions, text, images, insns)?,
        };
        Ok(Self { body, cpu })
    }

    /// With bpf-to-bpf calls the images are made while the verifier still holds its scratch.
    fn several(
        machine: &mut Machine,
        companions: &mut Companions,
        text: &mut dyn TextAllocator,
        images: &[u32],
        insns: u64,
    ) -> Result<Body, NoText> {
        let container = companions.take_program(machine, insns)?;
        let verified = machine.begin_verify(insns)?;
        let mut functions = Vec::with_capacity(images.len());
        for image in images {
            let insns = insns_of(0, u64::from(*image));
            let pages = companions.take_program(machine, insns)?;
            functions.push((make_image(machine, text, *image, insns)?, pages));
        }
        machine.end_verify(verified);
        Ok(Body::Several(container, functions.into()))
    }

    fn interpreted(machine: &mut Machine, companions: &mut Companions, insns: u64) -> Result<Body, NoText> {
        companions.take_objects(machine)?;
        let pages = program_pages(insns);
        let area = machine.open_ordinary(pages)?;
        machine.verify(insns)?;
        machine.protect(area, pages, TextPerms::ReadOnly);
        Ok(Body::Interpreted(area))
    }

    /// The CPU that it was loaded on.
    pub(super) const fn cpu(&self) -> u32 {
        self.cpu
    }

    /// Where its images are.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        let (one, several) = match &self.body {
            Body::One(slot, _) => (Some(*slot), &[][..]),
            Body::Several(_, functions) => (None, &functions[..]),
            Body::Interpreted(_) => (None, &[][..]),
        };
        one.into_iter().chain(several.iter().map(|(slot, _)| *slot))
    }

    /// How many images the program has.
    pub(super) fn images(&self) -> u64 {
        match &self.body {
            Body::One(..) => 1,
            Body::Several(_, functions) => functions.len() as u64,
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
            Body::Several(container, functions) => {
                for (slot, pages) in functions {
                    text.unload(machine, slot);
                    companions.give_program(machine, pages);
                }
                companions.give_program(machine, container);
            }
            Body::Interpreted(area) => {
                machine.close(area, GiveBack::Release);
                companions.give_objects();
            }
        }
    }
}

/// Compiles one function: the table of addresses is held until its image is done, and so is the writable copy of an
/// image that stands in a pack (`bpf_jit_binary_pack_alloc@6.1`, which takes it after the room in the pack).
#[inline]
fn make_image(machine: &mut Machine, text: &mut dyn TextAllocator, bytes: u32, insns: u64) -> Result<Slot, NoText> {
    if u64::from(bytes) <= PAGE_BYTES && insns < PAGE_BYTES / 2 {
        // Both are slab objects.
        return text.load(machine, ImageBytes::new(bytes));
    }
    let addresses = machine.take_addresses(insns)?;
    let poked = text.usage().text_poke_bytes;
    let slot = text.load(machine, ImageBytes::new(bytes))?;
    if text.usage().text_poke_bytes > poked {
        let copy = machine.kvmalloc(u64::from(bytes))?;
        machine.kvfree(copy);
    }
    machine.kvfree(addresses);
    Ok(slot)
}

#[cfg(test)]
mod tests {
    use crate::direct_map::CounterView;
    use crate::kernel::{HostSetup, Kernel, Release};
    use crate::memory::{MemoryLayout, StartState};
    use crate::text_alloc::{Policy, PolicyOptions};
    use crate::trace::{EventKind, Images, Load, ProgId};
    use crate::units::{Bytes, PageSize};

    fn booted(release: &str) -> Kernel {
        let layout = MemoryLayout::q35(Bytes::new(4 << 30)).unwrap();
        let setup = HostSetup {
            release: Release::named(release).unwrap(),
            layout: &layout,
            start: &StartState::Fresh,
            cpus: 1,
            largest_page: PageSize::Size1G,
            boot_program: false,
            seed: 1,
            run: 0,
        };
        Kernel::boot(&setup, Policy::Pack4k.build(PolicyOptions::default())).unwrap()
    }

    fn load(kernel: &mut Kernel, id: u64, images: &[u32]) {
        let images = Images::new(images).unwrap();
        kernel.apply(&EventKind::Load(Load { id: ProgId::new(id), images, insns: 0, jited: true })).unwrap();
    }

    /// Pages that come along with a program whose functions have these lengths, and those that stay when it is gone.
    fn companions(images: &[u32]) -> (u64, u64) {
        let mut kernel = booted("6.1");
        load(&mut kernel, 1, images);
        let loaded = kernel.companion_pages();
        let work = kernel.apply(&EventKind::Unload { id: ProgId::new(1) }).unwrap().expect("a free is due");
        kernel.finish(work);
        (loaded, kernel.companion_pages())
    }

    #[test]
    fn every_function_and_their_container_have_a_page() {
        // Slabs of 8 pages and of 1 stay with their caches.
        assert_eq!(companions(&[100]), (1 + 9, 9));
        assert_eq!(companions(&[100, 100]), (3 + 9, 9));
        assert_eq!(companions(&[100, 100, 100]), (4 + 9, 9));
    }

    #[test]
    fn the_first_program_lets_old_kernels_parse_their_types() {
        // Recorded on 5.10.262: 256 pages, once.
        for (release, pages) in [("5.10", 256), ("5.17", 256), ("5.18", 0), ("6.1", 0)] {
            let mut kernel = booted(release);
            let free = kernel.observe(CounterView::Kernel).free_pages;
            load(&mut kernel, 1, &[100]);
            let first = free - kernel.observe(CounterView::Kernel).free_pages;
            assert_eq!(first / 256 * 256, pages, "{release}: {first}");
            let free = kernel.observe(CounterView::Kernel).free_pages;
            load(&mut kernel, 2, &[100]);
            assert!(free - kernel.observe(CounterView::Kernel).free_pages < 256, "{release}");
        }
    }
}
