//! Page tables of the ranges that `vmalloc` maps areas into.
//!
//! A page table for each 2 MiB of such a range is made when the range is first used and stays for ever
//! (`vmap_pte_range`, `pte_alloc_kernel`): one more unmovable page, in the middle of the pages of the area that needed
//! it. When the area is gone, these pages keep its pageblock from merging (recorded on 5.10: islands of two or three
//! used pages beside the freed scratch of a long program).

use crate::units::PAGES_PER_2M;

/// Pages that areas occupied when init started, guard pages included (recorded, 5.10 to 7.3: `VmallocUsed` is 5 to 7 MB).
const USED_AT_BOOT: u64 = 1500;
/// Pages of freed areas that wait for a purge, for each doubling of the CPUs (`lazy_max_pages`: 32 MiB).
const LAZY_PAGES: u64 = 8192;

/// One range: areas are put at the lowest place that fits, so it is in use up to about as many pages as are mapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct VirtualRange {
    used: u64,
    lazy: u64,
    tables: u64,
    most_lazy: u64,
}

impl VirtualRange {
    /// The range of ordinary areas.
    pub(super) const fn ordinary(cpus: u32) -> Self {
        let doublings = u32::BITS - cpus.leading_zeros();
        let most_lazy = LAZY_PAGES * doublings as u64;
        Self { used: USED_AT_BOOT, lazy: 0, tables: USED_AT_BOOT.div_ceil(PAGES_PER_2M), most_lazy }
    }

    /// The range of modules and images, still empty; its areas are purged as they are freed.
    pub(super) const fn text() -> Self {
        Self { used: 0, lazy: 0, tables: 0, most_lazy: 0 }
    }

    /// Maps an area of so many pages and the guard page behind it; how many page tables that needs.
    #[inline]
    pub(super) fn map(&mut self, pages: u64) -> u64 {
        self.used += pages + 1;
        let needed = self.used.div_ceil(PAGES_PER_2M).saturating_sub(self.tables);
        self.tables += needed;
        needed
    }

    /// Unmaps an area; its place is free after the next purge.
    #[inline]
    pub(super) fn unmap(&mut self, pages: u64) {
        self.lazy += pages + 1;
        if self.lazy > self.most_lazy {
            self.purge();
        }
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
