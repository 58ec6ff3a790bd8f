//! `pack-4k`: packs of one 4 KiB page (5.18 and 5.19).
//!
//! 5.18 meant to use huge pages, but `module_alloc` no longer got them after huge `vmalloc` became opt-in
//! (commit 559089e0a93d), so a pack is one page of 64 chunks.

use super::areas::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, TextPerms};
use super::packs::PackDesign;

/// Packs of one base page.
#[derive(Debug)]
pub(super) struct Pack4k;

impl PackDesign for Pack4k {
    type Memory = AreaId;

    fn pack_pages(&self, _: &dyn Areas) -> u64 {
        1
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<AreaId, NoText> {
        let area = areas.open(AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: true })?;
        areas.protect(area, pages, TextPerms::Rox);
        Ok(area)
    }

    fn close(&mut self, areas: &mut dyn Areas, area: AreaId, _: u64) {
        areas.close(area, GiveBack::Release);
    }
}
