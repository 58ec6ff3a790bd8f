//! Pages that leave a CPU's lists for a moment.

use super::list::pfn_of;
use super::{PcpZone, PerCpu};
use crate::memory::buddy::Buddy;
use crate::memory::migrate::MigrateType;
use crate::memory::rules::PcpTuning;

impl PerCpu {
    /// Takes single pages and gives them back in the order they were taken, if that changes nothing but their order on
    /// the list: each comes to stand before the one taken before it. False if nothing was done.
    pub(in crate::memory) fn turn_head(&mut self, pages: usize, kind: MigrateType, zone: &PcpZone<'_>) -> bool {
        let list = &mut self.lists[kind.index()];
        let full = self.count >= zone.limits.high_min || zone.rules.tuning == PcpTuning::Auto;
        if full || list.len() < pages {
            return false;
        }
        // A freed page goes to the list of its pageblock's type, which need not be the one it was taken from.
        if !list.is_home(kind, zone.buddy) && !list.head_is_home(pages, kind, zone.buddy) {
            return false;
        }
        list.turn_head(pages);
        self.free_factor = self.free_factor.checked_shr(pages as u32).unwrap_or(0);
        self.free_count = self.free_count.checked_shr(pages as u32).unwrap_or(0);
        true
    }

    /// Moves single pages to `into`, as many requests to the bulk allocator would take, if the list has so many and each
    /// would come back to it; false if nothing was done.
    pub(in crate::memory) fn lend(
        &mut self,
        pages: usize,
        kind: MigrateType,
        buddy: &Buddy,
        into: &mut Vec<u64>,
    ) -> bool {
        let list = &mut self.lists[kind.index()];
        if list.len() < pages || !list.is_home(kind, buddy) {
            return false;
        }
        list.take_head(pages, into);
        self.count -= pages as u32;
        true
    }

    /// Frees lent pages, the last one first, up to one that makes the lists too long: they are then drained. The pages that
    /// are left, and whether the lists were drained.
    pub(in crate::memory) fn take_back<'p>(
        &mut self,
        pages: &'p [u64],
        kind: MigrateType,
        zone: &mut PcpZone<'_>,
    ) -> (&'p [u64], bool) {
        let fit = zone.limits.high_min.saturating_sub(self.count + 1) as usize;
        if pages.len() <= fit && zone.rules.tuning != PcpTuning::Auto {
            self.lists[kind.index()].return_head(pages);
            self.count += pages.len() as u32;
            return (&[], false);
        }
        for (left, page) in pages.iter().enumerate().rev() {
            if self.free(pfn_of(*page), 0, kind, zone) {
                return (&pages[..left], true);
            }
        }
        (&[], false)
    }
}
