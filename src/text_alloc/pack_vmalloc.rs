//! `pack-vmalloc`: packs of 2 MiB per node made of single pages (6.0 to 6.18).
//!
//! Commit ea2babac63d4 made the pack large again without huge mappings: 512 order-0 pages, each of which becomes
//! read-only by itself when the pack is opened.

use super::areas::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, TextPerms};
use super::packs::PackDesign;
use crate::units::PAGES_PER_2M;

/// Packs of single pages.
#[derive(Debug)]
pub(super) struct PackVmalloc;

impl PackDesign for PackVmalloc {
    type Memory = AreaId;

    fn pack_pages(&self, areas: &dyn Areas) -> u64 {
        PAGES_PER_2M * areas.possible_nodes()
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<AreaId, NoText> {
        let area = areas.open(AreaRequest { pages, backing: Backing::SinglePages, reset_on_free: true })?;
        areas.protect(area, pages, TextPerms::Rox);
        Ok(area)
    }

    fn close(&mut self, areas: &mut dyn Areas, area: AreaId, _: u64) {
        areas.close(area, GiveBack::Release);
    }
}
