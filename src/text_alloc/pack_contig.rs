//! `pack-contig`: packs of 2 MiB per node, single mappings over large blocks (about 6.19 to 7.2).
//!
//! `vm_area_alloc_pages@7.2` asks the page allocator for large orders first and cuts the block into single pages, so a
//! pack is normally one aligned 2 MiB block: one split when it is opened.

use super::areas::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, TextPerms};
use super::packs::PackDesign;
use crate::units::PAGES_PER_2M;

/// Packs of singly mapped pages from large blocks.
#[derive(Debug)]
pub(super) struct PackContig;

impl PackDesign for PackContig {
    type Memory = AreaId;

    fn pack_pages(&self, areas: &dyn Areas) -> u64 {
        PAGES_PER_2M * areas.possible_nodes()
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<AreaId, NoText> {
        let area = areas.open(AreaRequest { pages, backing: Backing::LargeOrdersFirst, reset_on_free: true })?;
        areas.protect(area, pages, TextPerms::Rox);
        Ok(area)
    }

    fn close(&mut self, areas: &mut dyn Areas, area: AreaId, _: u64) {
        areas.close(area, GiveBack::Release);
    }
}
