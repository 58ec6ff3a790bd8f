//! Memory that the verifier and the compiler hold while a program is loaded.
//!
//! Nothing of it stays, but it decides where the image lands: single pages that are freed stand at the head of the
//! per-CPU list, the last one first, and the image takes them from there. So all requests are made in the kernel's
//! order (`bpf_check` in `kernel/bpf/verifier.c`, `bpf_int_jit_compile`). Sizes per instruction were checked with
//! recordings of programs of 4000 to a million instructions: the pages of an image begin with those of the table of
//! the verifier's largest area, whose length tells the size of one `struct bpf_insn_aux_data` (40 bytes in 5.10, 56 in
//! 6.1, 80 in 6.12 and 6.16, 88 in 6.18).

use super::kmem::Kvmalloc;
use super::machine::Machine;
use super::release::{FlowPasses, PageEra, VerifierSizes};
use super::scratch::Scratch;
use crate::text_alloc::NoText;
use crate::units::PAGE_BYTES;

/// Bytes of a BPF instruction (`struct bpf_insn`).
pub(crate) const INSN_BYTES: u64 = 8;
/// What the hash over a program appends to its instructions, and the block it is rounded up to
/// (`bpf_prog_tag_scratch_size`).
const HASH_TAIL_BYTES: u64 = 9;
const HASH_BLOCK_BYTES: u64 = 64;
/// A pointer.
const POINTER_BYTES: u64 = 8;
/// An array of `int` or `u32` per instruction, as the passes over the control flow use.
const WORD_BYTES: u64 = 4;
/// Registers alive before and after an instruction (`struct insn_live_regs`).
const LIVE_REGS_BYTES: u64 = 8;
/// Stack slots that an instruction must have written (`struct func_instance`).
const WRITTEN_BYTES: u64 = 8;

/// Types of the kernel's own BTF, each of which has a pointer in a table. Of 5.10.262 as Debian builds it the frames tell:
/// two tables of 1 MiB were made and the second one stayed, so there are 79,729 to 99,660 types.
const KERNEL_TYPES: u64 = 90_000;
/// By so many entries at least such a table grows; else by a quarter (`btf_add_type@5.10`).
const LEAST_GROWTH: u64 = 16;

/// What the verifier still holds when the images of a program with several functions are made.
#[derive(Debug)]
pub(super) struct Verified {
    /// One `struct bpf_insn_aux_data` per instruction, freed before the rest.
    aux: Scratch,
    rest: [Option<Kvmalloc>; 2],
}

/// Pages of the verifier's largest area.
const fn aux_pages(sizes: &VerifierSizes, insns: u64) -> u64 {
    let pages = (insns * sizes.aux_bytes).div_ceil(PAGE_BYTES);
    if pages == 0 { 1 } else { pages }
}

/// Pages for the copy of a program that its tag is computed from.
const fn tag_pages(insns: u64) -> u64 {
    (insns * INSN_BYTES + HASH_TAIL_BYTES).next_multiple_of(HASH_BLOCK_BYTES).div_ceil(PAGE_BYTES)
}

impl Machine {
    /// The kernel's types, which stay; the first program that is verified lets them be parsed (`bpf_get_btf_vmlinux`), up
    /// to 5.17. Since 5.18 boot does it, when the first functions for programs are registered
    /// (`register_btf_kfunc_id_set`).
    pub(super) fn parse_kernel_types(&mut self) -> Result<(), NoText> {
        if self.type_pages.is_some() || self.release.pages >= PageEra::V5_18 {
            return Ok(());
        }
        let mut entries = 0;
        let mut table = None;
        while entries < KERNEL_TYPES {
            entries += (entries / 4).max(LEAST_GROWTH);
            let grown = self.kvmalloc(entries * POINTER_BYTES)?;
            if let Some(outgrown) = table.replace(grown) {
                self.kvfree(outgrown);
            }
        }
        self.type_pages = table.as_ref().map(Kvmalloc::pages);
        Ok(())
    }

    /// Everything that the verifier takes and gives back for a program with one function.
    #[inline]
    pub(super) fn verify(&mut self, insns: u64) -> Result<(), NoText> {
        let (aux, tag) = (aux_pages(&self.release.verifier, insns), tag_pages(insns));
        if aux == 1 && tag == 1 {
            // The second page is taken and put back while the first is held: the list is as before.
            self.vmalloc_and_vfree(1)?;
            return self.vmalloc_and_vfree(1);
        }
        let verified = self.begin_verify(insns)?;
        self.end_verify(verified);
        Ok(())
    }

    /// The verifier up to the moment when the images of several functions would be made.
    pub(super) fn begin_verify(&mut self, insns: u64) -> Result<Verified, NoText> {
        let sizes = self.release.verifier;
        let aux = self.vmalloc_scratch(aux_pages(&sizes, insns))?;
        let states = self.kvmalloc(insns * sizes.state_bytes)?;
        self.vmalloc_and_vfree(tag_pages(insns))?;
        // `check_cfg`: states and stack of the walk over the control flow.
        self.borrow_arrays(&[insns * WORD_BYTES; 2])?;
        let rest = self.flow_passes(insns, sizes.passes)?;
        self.kvfree(states);
        Ok(Verified { aux, rest })
    }

    /// Passes over the control flow that newer kernels added; returns what they hold on to.
    fn flow_passes(&mut self, insns: u64, passes: FlowPasses) -> Result<[Option<Kvmalloc>; 2], NoText> {
        if passes == FlowPasses::CheckOnly {
            return Ok([None, None]);
        }
        let order = self.kvmalloc(insns * WORD_BYTES)?;
        self.borrow_arrays(&[insns * WORD_BYTES; 2])?;
        if passes >= FlowPasses::Components {
            self.borrow_arrays(&[insns * WORD_BYTES; 4])?;
        }
        self.borrow_arrays(&[insns * LIVE_REGS_BYTES])?;
        if passes < FlowPasses::StackLiveness {
            self.kvfree(order);
            return Ok([None, None]);
        }
        Ok([Some(self.kvmalloc(insns * WRITTEN_BYTES)?), Some(order)])
    }

    /// The verifier's end.
    pub(super) fn end_verify(&mut self, verified: Verified) {
        self.vfree_scratch(verified.aux);
        verified.rest.into_iter().flatten().for_each(|array| self.kvfree(array));
    }

    /// Arrays that are all taken before the first is given back.
    fn borrow_arrays(&mut self, bytes: &[u64]) -> Result<(), NoText> {
        let taken = bytes.iter().map(|bytes| self.kvmalloc(*bytes)).collect::<Result<Vec<_>, _>>()?;
        taken.into_iter().for_each(|array| self.kvfree(array));
        Ok(())
    }

    /// The compiler's table of addresses, held until the image is done.
    pub(super) fn take_addresses(&mut self, insns: u64) -> Result<Kvmalloc, NoText> {
        self.kvmalloc((insns + 1) * WORD_BYTES)
    }
}
