//! `pack-2m`: packs of one huge page per node (5.18-rc1 to -rc3).
//!
//! The pack is mapped by a 2 MiB page and made read-only as a whole, so its direct-map entry stays large. When it is
//! freed, the reset of the direct map goes page by page and breaks the entry (`set_area_direct_map@6.1` says so).

use super::areas::{AreaId, AreaRequest, Areas, Backing, NoText, TextPerms};
use super::list::HugeGiveBack;
use super::packs::PackDesign;
use crate::units::PAGES_PER_2M;

/// Packs on huge pages.
#[derive(Debug)]
pub(super) struct Pack2m {
    /// How a freed pack returns: one block in 5.18-rc1, page by page since `vmalloc` splits its huge blocks
    /// (commit 3b8000ae185c).
    pub(super) give_back: HugeGiveBack,
}

/// Opens a huge area, rounded up to whole 2 MiB pages, and makes its first pages executable.
pub(super) fn open_huge(areas: &mut dyn Areas, pages: u64, reset_on_free: bool) -> Result<AreaId, NoText> {
    let whole = pages.next_multiple_of(PAGES_PER_2M);
    let area = areas.open(AreaRequest { pages: whole, backing: Backing::Huge, reset_on_free })?;
    areas.protect(area, pages, TextPerms::Rox);
    Ok(area)
}

impl PackDesign for Pack2m {
    type Memory = AreaId;

    fn pack_pages(&self, areas: &dyn Areas) -> u64 {
        PAGES_PER_2M * areas.possible_nodes()
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<AreaId, NoText> {
        open_huge(areas, pages, true)
    }

    fn close(&mut self, areas: &mut dyn Areas, area: AreaId, _: u64) {
        areas.close(area, self.give_back.into());
    }
}
