//! Which TLB flushes a change of the direct map costs.

use std::ops::AddAssign;

/// Pages up to which the kernel flushes one by one (`tlb_single_page_flush_ceiling`, `arch/x86/mm/tlb.c`).
pub const FLUSH_CEILING_PAGES: u64 = 33;

/// What a change did, and so what has to be flushed: hand it to [`Flushes::account`].
///
/// One call of the kernel often makes several changes, one for each stretch of frames; add them up with
/// `+=` and account the sum once.
#[must_use = "a change of the direct map must be followed by a flush: hand it to Flushes::account"]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// 2 MiB entries that were split.
    pub level2_splits: u32,
    /// 1 GiB entries that were split.
    pub level3_splits: u32,
    /// Entries of any size whose permissions became different.
    pub changed: u64,
    /// Pages that the request named, holes included.
    pub requested: u64,
}

impl Change {
    /// Page table pages that the splits took, one base page each (`split_large_page`: `alloc_pages(GFP_KERNEL, 0)`).
    pub const fn table_pages(&self) -> u64 {
        self.splits()
    }

    /// Entries that were split.
    const fn splits(&self) -> u64 {
        self.level2_splits as u64 + self.level3_splits as u64
    }
}

impl AddAssign for Change {
    fn add_assign(&mut self, other: Self) {
        self.level2_splits += other.level2_splits;
        self.level3_splits += other.level3_splits;
        self.changed += other.changed;
        self.requested += other.requested;
    }
}

/// How the kernel's call that made a change ends (`change_page_attr_set_clr`, `cpa_flush`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// `set_direct_map_*_noflush`: only splits flush; the caller flushes the rest itself.
    NoFlush,
    /// The direct map was changed as the alias of another mapping (`set_memory_*` on module or vmalloc
    /// addresses): everything is flushed. For calls that changed the other mapping, as they all do
    /// unless they repeat what is there.
    Alias,
    /// The call named direct-map addresses: few pages are flushed one by one, more all at once, and nothing if
    /// no entry changed.
    Direct,
}

/// TLB flushes of kernel addresses. Every one of them interrupts all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushes {
    /// Flushes of everything (`flush_tlb_all`).
    pub full: u64,
    /// Flushes of some pages, one by one.
    pub ranged: u64,
    /// Pages that ranged flushes invalidated, on each processor.
    pub pages: u64,
}

impl Flushes {
    /// Counts what the splits of one kernel call, and then its end, flush.
    pub fn account(&mut self, change: Change, end: CallEnd) {
        // `__split_large_page` flushes everything before the new entries may differ.
        self.full += change.splits();
        match end {
            CallEnd::Alias if change.requested > 0 => self.full += 1,
            CallEnd::Direct if change.changed > 0 => self.kernel_range(change.requested),
            CallEnd::NoFlush | CallEnd::Alias | CallEnd::Direct => {}
        }
    }

    /// Counts one flush of a stretch of kernel addresses (`flush_tlb_kernel_range`, or the end of a call
    /// without aliases).
    pub fn kernel_range(&mut self, pages: u64) {
        if pages > FLUSH_CEILING_PAGES {
            self.full += 1;
        } else if pages > 0 {
            self.ranged += 1;
            self.pages += pages;
        }
    }
}

impl AddAssign for Flushes {
    fn add_assign(&mut self, other: Self) {
        self.full += other.full;
        self.ranged += other.ranged;
        self.pages += other.pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flushes(change: Change, end: CallEnd) -> (u64, u64, u64) {
        let mut flushes = Flushes::default();
        flushes.account(change, end);
        (flushes.full, flushes.ranged, flushes.pages)
    }

    fn change(splits: u32, changed: u64, requested: u64) -> Change {
        Change { level2_splits: splits, level3_splits: 0, changed, requested }
    }

    #[test]
    fn every_split_flushes_all() {
        let first_load = Change { level2_splits: 1, level3_splits: 1, changed: 1, requested: 1 };
        assert_eq!(first_load.table_pages(), 2);
        assert_eq!(flushes(first_load, CallEnd::NoFlush), (2, 0, 0));
    }

    #[test]
    fn an_alias_flushes_all_whatever_its_size() {
        assert_eq!(flushes(change(0, 1, 1), CallEnd::Alias), (1, 0, 0));
        assert_eq!(flushes(change(1, 1, 1), CallEnd::Alias), (2, 0, 0));
        assert_eq!(flushes(Change::default(), CallEnd::Alias), (0, 0, 0));
    }

    #[test]
    fn direct_calls_flush_page_wise_up_to_the_ceiling() {
        assert_eq!(flushes(change(0, 33, 33), CallEnd::Direct), (0, 1, 33));
        assert_eq!(flushes(change(0, 1, 34), CallEnd::Direct), (1, 0, 0));
        assert_eq!(flushes(change(0, 0, 34), CallEnd::Direct), (0, 0, 0));
        assert_eq!(flushes(change(2, 0, 34), CallEnd::Direct), (2, 0, 0));
    }

    #[test]
    fn changes_of_one_call_add_up() {
        let mut sum = Change::default();
        sum += change(1, 20, 20);
        sum += change(0, 20, 20);
        assert_eq!(sum, change(1, 40, 40));
        assert_eq!(flushes(sum, CallEnd::Direct), (2, 0, 0));
    }
}
