//! The ranges that `vmalloc` maps areas into: their page tables, and how much still fits.
//!
//! A page table for each 2 MiB of such a range is made when the range is first used and stays for ever
//! (`vmap_pte_range`, `pte_alloc_kernel`): one more unmovable page, in the middle of the pages of the area that needed
//! it. When the area is gone, these pages keep its pageblock from merging (recorded on 5.10: islands of two or three
//! used pages beside the freed scratch of a long program).

use crate::text_alloc::NoText;
use crate::units::{PAGE_BYTES, PAGES_PER_2M};

/// Pages that areas occupied when init started, guard pages included (recorded, 5.10 to 7.3: `VmallocUsed` is 5 to 7 MB).
const USED_AT_BOOT: u64 = 1500;
/// Pages of the range of modules and images: 1 GiB less the 16 MiB at its end, with `CONFIG_RANDOMIZE_BASE`
/// (`MODULES_VADDR` to `MODULES_END`, `pgtable_64_types.h`).
const TEXT_PAGES: u64 = 1008 * (1 << 20) / PAGE_BYTES;
/// Pages of freed areas that wait for a purge, for each doubling of the CPUs (`lazy_max_pages`: 32 MiB).
const LAZY_PAGES: u64 = 8192;

/// One range: areas are put at the lowest place that fits, so it is in use up to about as many pages as are mapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct VirtualRange {
    used: u64,
    /// Pages of areas of 2 MiB entries, and of what lies between each and the next 2 MiB boundary.
    huge: u64,
    /// Pages between such areas that small areas can have.
    gaps: u64,
    lazy: u64,
    tables: u64,
    most_lazy: u64,
}

impl VirtualRange {
    /// The range of ordinary areas.
    pub(super) const fn ordinary(cpus: u32) -> Self {
        let doublings = u32::BITS - cpus.leading_zeros();
        let most_lazy = LAZY_PAGES * doublings as u64;
        Self { used: USED_AT_BOOT, huge: 0, gaps: 0, lazy: 0, tables: USED_AT_BOOT.div_ceil(PAGES_PER_2M), most_lazy }
    }

    /// The range of modules and images, still empty; its areas are purged as they are freed.
    pub(super) const fn text() -> Self {
        Self { used: 0, huge: 0, gaps: 0, lazy: 0, tables: 0, most_lazy: 0 }
    }

    /// Maps an area of so many pages and the guard page behind it; how many page tables that needs.
    #[inline]
    pub(super) fn map(&mut self, pages: u64) -> u64 {
        self.used += pages + 1;
        let needed = self.used.div_ceil(PAGES_PER_2M).saturating_sub(self.tables);
        self.tables += needed;
        needed
    }

    /// Page tables that it has got.
    #[cfg(test)]
    pub(super) const fn tables(&self) -> u64 {
        self.tables
    }

    /// Unmaps an area; its place is free after the next purge, which it brings about if too much waits for one: then
    /// it returns true.
    #[inline]
    pub(super) fn unmap(&mut self, pages: u64) -> bool {
        self.lazy += pages + 1;
        let purges = self.lazy > self.most_lazy;
        if purges {
            self.purge();
        }
        purges
    }

    /// Maps an area of 2 MiB entries: it starts at a 2 MiB boundary, so that its guard page costs another 2 MiB.
    pub(super) fn map_huge(&mut self, pages: u64) {
        self.huge += pages + PAGES_PER_2M;
        self.gaps += PAGES_PER_2M - 1;
    }

    /// Unmaps such an area.
    pub(super) fn unmap_huge(&mut self, pages: u64) {
        self.huge -= pages + PAGES_PER_2M;
        self.gaps -= PAGES_PER_2M - 1;
    }

    /// Whether the range of modules and images has room for an area of so many pages.
    ///
    /// # Errors
    /// [`NoText::Addresses`] if not.
    #[inline]
    pub(super) fn room_for_text(&self, pages: u64, huge: bool) -> Result<(), NoText> {
        let (wanted, single) = if huge { (pages + PAGES_PER_2M, 0) } else { (0, pages + 1) };
        let taken_pages = self.huge + self.used.saturating_sub(self.gaps);
        if self.huge + wanted + (self.used + single).saturating_sub(self.gaps) <= TEXT_PAGES {
            return Ok(());
        }
        Err(NoText::Addresses { pages, taken_pages, range_pages: TEXT_PAGES })
    }

    /// Makes the places of freed areas free.
    #[inline]
    pub(super) fn purge(&mut self) {
        self.used -= self.lazy;
        self.lazy = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stay_and_places_come_back() {
        let mut range = VirtualRange::text();
        assert_eq!((range.map(511), range.map(1), range.map(509)), (1, 1, 0));
        range.unmap(511);
        range.unmap(509);
        assert_eq!((range.map(1000), range.map(20)), (0, 0), "at the freed places");
        assert_eq!(range.map(0), 1);
    }

    #[test]
    fn the_range_of_text_fills_up() {
        let mut range = VirtualRange::text();
        let mut huge = 0;
        while range.room_for_text(512, true).is_ok() {
            range.map_huge(512);
            huge += 1;
        }
        // Recorded: packs of 2 MiB entries are 4 MiB apart, so about 250 fit.
        assert_eq!(huge, 252);
        // Small areas still fit between them, two pages each with the guard page.
        let mut small = 0;
        while range.room_for_text(1, false).is_ok() {
            range.map(1);
            small += 1;
        }
        assert_eq!(small, 252 * 511 / 2);
        let error = range.room_for_text(1, false).unwrap_err().to_string();
        assert!(error.contains("no room for 1 more page(s) in the 1008MiB of addresses"), "{error}");
        range.unmap_huge(512);
        assert!(range.room_for_text(512, true).is_err(), "the small areas are in the way");
        assert!(range.room_for_text(300, false).is_ok());
    }

    #[test]
    fn freed_areas_wait_for_a_purge() {
        let mut range = VirtualRange::ordinary(1);
        let tables = |range: &mut VirtualRange| {
            (0..4)
                .map(|_| {
                    let new = range.map(1023);
                    range.unmap(1023);
                    new
                })
                .sum::<u64>()
        };
        assert_eq!(tables(&mut range), 8);
        range.purge();
        assert_eq!(tables(&mut range), 0);
        // More than 32 MiB are not left waiting.
        assert!((0..10).map(|_| tables(&mut range)).sum::<u64>() <= 16);
    }
}
