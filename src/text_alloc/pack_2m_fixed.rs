//! `pack-2m-fixed`: `pack-2m` with the repair proposed on the list in April 2022 (never merged).
//!
//! The area is not marked for the page-by-page reset; before it is freed the whole pack is made non-executable and
//! writable again, which keeps its 2 MiB direct-map entry.

use super::areas::{AreaId, Areas, NoText, TextPerms};
use super::list::HugeGiveBack;
use super::pack_2m::open_huge;
use super::packs::PackDesign;
use crate::units::PAGES_PER_2M;

/// Packs on huge pages that leave the direct map whole.
#[derive(Debug)]
pub(super) struct Pack2mFixed {
    /// How a freed pack returns.
    pub(super) give_back: HugeGiveBack,
}

impl PackDesign for Pack2mFixed {
    type Memory = AreaId;

    fn pack_pages(&self, areas: &dyn Areas) -> u64 {
        PAGES_PER_2M * areas.possible_nodes()
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<AreaId, NoText> {
        open_huge(areas, pages, false)
    }

    fn close(&mut self, areas: &mut dyn Areas, area: AreaId, pages: u64) {
        areas.protect(area, pages, TextPerms::Rw);
        areas.close(area, self.give_back.into());
    }
}
