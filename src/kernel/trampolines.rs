//! BPF trampolines (`kernel/bpf/trampoline.c`).

use rustc_hash::FxHashMap;

use super::machine::Machine;
use super::release::Trampolines;
use crate::text_alloc::{
    AreaId, AreaRequest, Areas, Backing, GiveBack, ImageBytes, NoText, Slot, TextAllocator, TextPerms,
};
use crate::units::PAGE_BYTES;

/// The image of one trampoline.
#[derive(Clone, Copy, Debug)]
pub(super) enum TrampolineImage {
    /// A page of its own, and the bytes of the image.
    Page(AreaId, u64),
    /// A piece of the text allocator's memory.
    Text(Slot),
}

/// Trampolines that are attached, by their number in the trace.
#[derive(Debug, Default)]
pub(super) struct TrampolineTable(FxHashMap<u64, TrampolineImage>);

impl TrampolineTable {
    /// Makes a new image for a trampoline and returns the old one, to be freed after a grace period.
    pub(super) fn set(
        &mut self,
        machine: &mut Machine,
        text: &mut dyn TextAllocator,
        id: u64,
        image: ImageBytes,
    ) -> Result<Option<TrampolineImage>, NoText> {
        let page = AreaRequest { pages: 1, backing: Backing::Vmalloc, reset_on_free: true };
        let image = match machine.release.trampolines {
            Trampolines::InPack => TrampolineImage::Text(text.load(machine, image)?),
            trampolines => {
                let area = machine.open(page)?;
                if trampolines == Trampolines::RoxPage {
                    machine.protect(area, 1, TextPerms::Rox);
                } else {
                    // `set_memory_x` alone: the direct map is not touched until the page is freed.
                    machine.purge_lazy_areas();
                    machine.flushes.kernel_range(1);
                }
                // The kernel's own images end with their page (`arch_prepare_bpf_trampoline`).
                let bytes = image.get().min(PAGE_BYTES);
                machine.trampoline_pages += 1;
                machine.trampoline_bytes += bytes;
                TrampolineImage::Page(area, bytes)
            }
        };
        Ok(self.0.insert(id, image))
    }

    /// Takes a trampoline's image out of the table, to be freed after a grace period.
    pub(super) fn remove(&mut self, id: u64) -> Option<TrampolineImage> {
        self.0.remove(&id)
    }
}

/// Frees the image of a trampoline.
pub(super) fn free(machine: &mut Machine, text: &mut dyn TextAllocator, image: TrampolineImage) {
    match image {
        TrampolineImage::Page(area, bytes) => {
            machine.trampoline_pages -= 1;
            machine.trampoline_bytes -= bytes;
            machine.close(area, GiveBack::Release);
        }
        TrampolineImage::Text(slot) => text.unload(machine, slot),
    }
}
