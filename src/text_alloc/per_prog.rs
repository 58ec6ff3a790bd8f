//! `per-prog`: whole pages of its own for every image (kernels up to 5.17).
//!
//! `bpf_jit_binary_alloc@5.10` takes the pages from `module_alloc`; `bpf_jit_binary_lock_ro` makes them
//! read-only and executable and has the direct map reset when they are freed.

use super::areas::{AreaRequest, Areas, Backing, GiveBack, NoText, TextPerms};
use super::image::ImageBytes;
use super::{Slot, TextAllocator, TextUsage};
use crate::units::PAGE_BYTES;

/// Pages of its own for every image.
#[derive(Debug, Default)]
pub(super) struct PerProg {
    usage: TextUsage,
}

impl TextAllocator for PerProg {
    fn load(&mut self, areas: &mut dyn Areas, image: ImageBytes) -> Result<Slot, NoText> {
        let pages = image.own_pages();
        let area = areas.open(AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: true })?;
        areas.protect(area, pages, TextPerms::Rox);
        self.usage.image_bytes += image.get();
        self.usage.reserved_bytes += pages * PAGE_BYTES;
        self.usage.executable_pages += pages;
        Ok(Slot::own(area, image))
    }

    fn unload(&mut self, areas: &mut dyn Areas, slot: Slot) {
        let pages = slot.image().own_pages();
        self.usage.image_bytes -= slot.image().get();
        self.usage.reserved_bytes -= pages * PAGE_BYTES;
        self.usage.executable_pages -= pages;
        areas.close(slot.own_area().expect("every image has an area of its own"), GiveBack::Release);
    }

    fn usage(&self) -> TextUsage {
        self.usage
    }
}
