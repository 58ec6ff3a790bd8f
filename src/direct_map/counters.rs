//! The kernel's counters of the direct map, and the true ones.

use crate::units::{PAGE_BYTES, PageSize};

/// Which of two sets of counters to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterView {
    /// What `/proc/meminfo` and `/proc/vmstat` show: with entries that boot counted more than once, with
    /// splits of the kernel image's own mapping, and with the kernel's refusal to count below zero. For
    /// comparison with a real host.
    Kernel,
    /// What is really mapped.
    Mapped,
}

/// The counters that a host shows for its direct map. Sizes are numbers of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectMapCounters {
    /// Entries of 4 KiB.
    pub direct_map_4k: u64,
    /// Entries of 2 MiB.
    pub direct_map_2m: u64,
    /// Entries of 1 GiB.
    pub direct_map_1g: u64,
    /// 2 MiB entries split since the system runs.
    pub level2_splits: u64,
    /// 1 GiB entries split since the system runs.
    pub level3_splits: u64,
    /// 2 MiB entries put together again: always 0, since no kernel does it to the direct map.
    ///
    /// 6.15 and later merge only where `set_memory_rox` was asked to, which is never a direct-map address
    /// (`cpa_collapse_large_pages`).
    pub level2_collapses: u64,
    /// 1 GiB entries put together again: always 0.
    pub level3_collapses: u64,
}

impl DirectMapCounters {
    /// `DirectMap4k` of `/proc/meminfo`, in kB (1024 bytes).
    pub const fn direct_map_4k_kb(&self) -> u64 {
        self.direct_map_4k * kb(PageSize::Size4K)
    }

    /// `DirectMap2M` of `/proc/meminfo`, in kB (1024 bytes).
    pub const fn direct_map_2m_kb(&self) -> u64 {
        self.direct_map_2m * kb(PageSize::Size2M)
    }

    /// `DirectMap1G` of `/proc/meminfo`, in kB (1024 bytes).
    pub const fn direct_map_1g_kb(&self) -> u64 {
        self.direct_map_1g * kb(PageSize::Size1G)
    }

    /// The sum of the three sizes in kB. No split changes it.
    pub const fn total_kb(&self) -> u64 {
        self.direct_map_4k_kb() + self.direct_map_2m_kb() + self.direct_map_1g_kb()
    }

    /// Every counter under the kernel's name for it: sizes in kB as in `/proc/meminfo`, then events as in
    /// `/proc/vmstat`.
    pub const fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("DirectMap4k", self.direct_map_4k_kb()),
            ("DirectMap2M", self.direct_map_2m_kb()),
            ("DirectMap1G", self.direct_map_1g_kb()),
            ("direct_map_level2_splits", self.level2_splits),
            ("direct_map_level3_splits", self.level3_splits),
            ("direct_map_level2_collapses", self.level2_collapses),
            ("direct_map_level3_collapses", self.level3_collapses),
        ]
    }

    /// The number of entries of a size.
    pub(super) fn entries_mut(&mut self, size: PageSize) -> &mut u64 {
        match size {
            PageSize::Size4K => &mut self.direct_map_4k,
            PageSize::Size2M => &mut self.direct_map_2m,
            PageSize::Size1G => &mut self.direct_map_1g,
        }
    }
}

/// kB in an entry of this size.
const fn kb(size: PageSize) -> u64 {
    size.pages() * PAGE_BYTES / 1024
}

/// Both sets of counters while the host runs.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    kernel: DirectMapCounters,
    mapped: DirectMapCounters,
    /// `system_state == SYSTEM_RUNNING`.
    running: bool,
}

impl Tally {
    /// Counters of a host that still boots.
    pub(super) fn new(kernel: DirectMapCounters, mapped: DirectMapCounters) -> Self {
        Self { kernel, mapped, running: false }
    }

    pub(super) fn start_running(&mut self) {
        self.running = true;
    }

    pub(super) fn view(&self, view: CounterView) -> DirectMapCounters {
        match view {
            CounterView::Kernel => self.kernel,
            CounterView::Mapped => self.mapped,
        }
    }

    /// An entry of the direct map of this size was split.
    pub(super) fn split(&mut self, size: PageSize) {
        count_splits(&mut self.mapped, size, 1, self.running);
        self.kernel_splits(size, 1);
    }

    /// The kernel counts splits, of the direct map or of what it takes for it.
    pub(super) fn kernel_splits(&mut self, size: PageSize, splits: u64) {
        // `split_page_count`: with nothing left to subtract from, a split is not counted at all.
        let counted = splits.min(*self.kernel.entries_mut(size));
        count_splits(&mut self.kernel, size, counted, self.running);
    }
}

/// Each split: one entry fewer, 512 smaller ones more, and an event if the system runs.
fn count_splits(counters: &mut DirectMapCounters, size: PageSize, splits: u64, running: bool) {
    let smaller = size.smaller().expect("only large entries are split");
    *counters.entries_mut(size) -= splits;
    *counters.entries_mut(smaller) += splits * (size.pages() / smaller.pages());
    match size {
        _ if !running => {}
        PageSize::Size1G => counters.level3_splits += splits,
        _ => counters.level2_splits += splits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(small: u64, middle: u64, large: u64) -> DirectMapCounters {
        DirectMapCounters {
            direct_map_4k: small,
            direct_map_2m: middle,
            direct_map_1g: large,
            ..DirectMapCounters::default()
        }
    }

    #[test]
    fn sizes_are_reported_in_kib() {
        // A 4 GiB guest on 5.10.262 as recorded when its init started.
        let recorded = counters(5599, 1525, 3);
        assert_eq!(
            recorded.named()[..3],
            [("DirectMap4k", 22_396), ("DirectMap2M", 3_123_200), ("DirectMap1G", 3_145_728)]
        );
        assert_eq!(recorded.total_kb(), 22_396 + 3_123_200 + 3_145_728);
    }

    #[test]
    fn the_kernel_does_not_count_below_zero() {
        let mut tally = Tally::new(counters(512, 0, 0), counters(512, 1, 0));
        tally.start_running();
        tally.split(PageSize::Size2M);
        assert_eq!(tally.view(CounterView::Kernel), counters(512, 0, 0));
        assert_eq!(tally.view(CounterView::Mapped), DirectMapCounters { level2_splits: 1, ..counters(1024, 0, 0) });
    }
}
