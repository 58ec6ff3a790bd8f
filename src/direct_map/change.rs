//! `change_page_attr` on the direct map: which entries it keeps, changes and splits.

use super::DirectMap;
use super::flush::Change;
use super::leaves::Found;
use super::perms::PermChange;
use crate::units::{PAGES_PER_1G, PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// Entries of 2 MiB in a slot of 1 GiB.
const ENTRIES_2M: u32 = (PAGES_PER_1G / PAGES_PER_2M) as u32;

/// In what steps a range is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// One call over the whole range: a large entry that it covers is kept.
    ///
    /// The alias of a mapping by 2 MiB entries is changed by one such walk for each of these entries.
    Range,
    /// One call for each 4 KiB page: keeps no large entry but those that have the permissions already.
    ///
    /// So go the alias of a mapping by 4 KiB entries, the reset of an area with `VM_FLUSH_RESET_PERMS`, and the
    /// array interfaces (`set_pages_array_*`).
    PageWise,
    /// One call that splits every large entry on its way (`set_memory_4k`).
    Force4k,
}

impl DirectMap {
    /// Changes the permissions of the entries that map a range. Frames that nothing maps are passed over.
    ///
    /// The rules are those of `__change_page_attr` and `__should_split_large_page`, 5.10 to 7.3. For each entry,
    /// first to last: a large entry that has the wanted permissions already is left alone, whatever the
    /// range; otherwise, one that the call covers only in part is split one level down and looked at
    /// again; otherwise it is changed as it is. Two rules are left out, since frames of the kernel image are
    /// never handed out: protections of kernel text and read-only data, and of the BIOS area.
    pub fn change(&mut self, range: PfnRange, change: PermChange, how: Walk) -> Change {
        let mut done = Change { requested: range.pages(), ..Change::default() };
        let mut at = range.start();
        while at < range.end() {
            at = self.step(PfnRange::new(at, range.end()), change, how, &mut done);
        }
        self.audit();
        done
    }

    /// Deals with the entry, or block of small entries, at the start of the range; returns where to go on: the
    /// same place if the entry was split.
    #[inline]
    fn step(&mut self, range: PfnRange, change: PermChange, how: Walk, done: &mut Change) -> Pfn {
        if let Some(pages) = self.leaves.pages_mut(range.start()) {
            // Small entries do not care about each other, so a block's worth of calls is done at once.
            let first = range.start().get() % PAGES_PER_2M;
            let count = (PAGES_PER_2M - first).min(range.pages());
            done.changed += pages.change(first as usize, count as usize, change);
            return range.start().offset(count);
        }
        self.step_unopened(range, change, how, done)
    }

    /// The same where the block has no pages of its own: a large entry, a hole, or a block not yet opened.
    #[cold]
    fn step_unopened(&mut self, range: PfnRange, change: PermChange, how: Walk, done: &mut Change) -> Pfn {
        let at = range.start();
        if let Some(end) = self.step_slot(range, change, how, done) {
            return end;
        }
        match self.leaves.find(at) {
            Found::Hole => self.leaves.after_hole(at).unwrap_or(range.end()),
            Found::Unopened => {
                self.leaves.open(at);
                at
            }
            Found::Large(size, perms) => {
                let entry = PfnRange::with_len(at.align_down(size), size.pages());
                let wanted = change.apply(perms);
                if how != Walk::Force4k && wanted == perms {
                    return entry.end();
                }
                if how == Walk::Range && range.intersection(entry) == entry {
                    self.leaves.set_large(at, size, wanted);
                    done.changed += 1;
                    return entry.end();
                }
                self.leaves.split(at, size, perms);
                self.tally.split(size);
                match size {
                    PageSize::Size1G => done.level3_splits += 1,
                    _ => done.level2_splits += 1,
                }
                at
            }
        }
    }

    /// A whole 1 GiB slot at the start of the range, if all its entries are alike: what every entry would go through one
    /// by one, so that a change over terabytes costs as many notes as there are GiB and not 512 times as many.
    fn step_slot(&mut self, range: PfnRange, change: PermChange, how: Walk, done: &mut Change) -> Option<Pfn> {
        let at = range.start();
        if !at.is_aligned(PageSize::Size1G) || range.pages() < PAGES_PER_1G {
            return None;
        }
        let (size, perms) = self.leaves.uniform_slot(at)?;
        let wanted = change.apply(perms);
        let keeps = match how {
            Walk::Force4k => size == PageSize::Size4K,
            Walk::Range => true,
            Walk::PageWise => size == PageSize::Size4K || wanted == perms,
        };
        let now = if keeps { size } else { PageSize::Size4K };
        if !keeps && size == PageSize::Size1G {
            self.tally.split(PageSize::Size1G);
            done.level3_splits += 1;
        }
        if !keeps {
            (0..ENTRIES_2M).for_each(|_| self.tally.split(PageSize::Size2M));
            done.level2_splits += ENTRIES_2M;
        }
        if wanted != perms {
            done.changed += PAGES_PER_1G / now.pages();
        }
        if (now, wanted) != (size, perms) {
            self.leaves.set_uniform_slot(at, now, wanted);
        }
        Some(at.offset(PAGES_PER_1G))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direct_map::{BootOptions, CallEnd, CounterView, CpaEra, DirectMapCounters, Flushes, Leaf, Perms};
    use crate::units::PAGES_PER_1G;

    const ERA: CpaEra = CpaEra::From6_15;

    /// A guest of 4 GiB that is up. Frames from 4 GiB on lie in 1 GiB entries.
    fn guest() -> DirectMap {
        let ram = [(0, 159), (256, 524_255), (1_048_576, 1_572_864)]
            .map(|(start, end)| PfnRange::new(Pfn::new(start), Pfn::new(end)));
        let mut map = DirectMap::boot(&ram, BootOptions::default());
        map.start_running();
        map
    }

    /// A frame in the fifth GiB, of which a guest has all.
    fn frame(offset: u64) -> Pfn {
        Pfn::new(4 * PAGES_PER_1G + offset)
    }

    fn frames(offset: u64, pages: u64) -> PfnRange {
        PfnRange::with_len(frame(offset), pages)
    }

    fn splits(change: &Change) -> (u32, u32) {
        (change.level2_splits, change.level3_splits)
    }

    /// What freeing an area with `VM_FLUSH_RESET_PERMS` does to the direct map.
    fn reset(map: &mut DirectMap, range: PfnRange) -> Change {
        let mut done = map.change(range, PermChange::invalid(ERA), Walk::PageWise);
        done += map.change(range, PermChange::default_(), Walk::PageWise);
        done
    }

    #[test]
    fn the_first_load_splits_one_entry_of_each_size() {
        let mut map = guest();
        let before = map.counters(CounterView::Kernel);
        let load = map.change(frames(12_345, 1), PermChange::read_only(ERA), Walk::PageWise);
        assert_eq!((splits(&load), load.changed, load.table_pages()), ((1, 1), 1, 2));
        let after = map.counters(CounterView::Kernel);
        let expected = DirectMapCounters {
            direct_map_4k: before.direct_map_4k + 512,
            direct_map_2m: before.direct_map_2m + 511,
            direct_map_1g: before.direct_map_1g - 1,
            level2_splits: 1,
            level3_splits: 1,
            ..before
        };
        assert_eq!(after, expected);
    }

    #[test]
    fn loading_and_unloading_on_the_same_page_splits_no_more() {
        let mut map = guest();
        let page = frames(12_345, 1);
        let _ = map.change(page, PermChange::read_only(ERA), Walk::PageWise);
        let before = map.counters(CounterView::Kernel);
        for _ in 0..50 {
            assert_eq!(splits(&reset(&mut map, page)), (0, 0));
            assert_eq!(map.leaf_at(page.start()).unwrap().perms, Perms::PRESENT | Perms::WRITE);
            assert_eq!(splits(&map.change(page, PermChange::read_only(ERA), Walk::PageWise)), (0, 0));
        }
        assert_eq!(map.counters(CounterView::Kernel), before);
    }

    #[test]
    fn a_covered_block_is_kept_and_a_page_wise_reset_breaks_it() {
        let mut map = guest();
        let block = frames(4 * PAGES_PER_2M, PAGES_PER_2M);
        let load = map.change(block, PermChange::read_only(ERA), Walk::Range);
        assert_eq!((splits(&load), load.changed), ((0, 1), 1));
        let kept = Leaf { range: block, size: PageSize::Size2M, perms: Perms::PRESENT | Perms::GLOBAL };
        assert_eq!(map.leaf_at(block.start().offset(77)), Some(kept));
        let free = reset(&mut map, block);
        assert_eq!((splits(&free), free.changed), ((1, 0), 2 * 512));
        assert_eq!(map.leaf_at(block.start()).unwrap().size, PageSize::Size4K);
    }

    #[test]
    fn a_covered_block_stays_whole_when_it_is_freed_as_a_whole() {
        let mut map = guest();
        let block = frames(4 * PAGES_PER_2M, PAGES_PER_2M);
        for _ in 0..3 {
            let _ = map.change(block, PermChange::read_only(ERA), Walk::Range);
            assert_eq!(splits(&map.change(block, PermChange::read_write(), Walk::Range)), (0, 0));
        }
        assert_eq!(map.leaf_at(block.start()).unwrap().size, PageSize::Size2M);
        let now = map.counters(CounterView::Kernel);
        assert_eq!((now.level2_splits, now.level3_splits), (0, 1));
    }

    #[test]
    fn an_entry_that_has_the_permissions_is_left_alone_whatever_the_range() {
        let mut map = guest();
        for walk in [Walk::Range, Walk::PageWise] {
            let wide = PfnRange::new(frame(3), frame(PAGES_PER_1G + 5));
            let done = map.change(wide, PermChange::read_write(), walk);
            assert_eq!((splits(&done), done.changed, done.requested), ((0, 0), 0, wide.pages()));
        }
    }

    #[test]
    fn dirty_and_global_count_as_permissions() {
        let mut map = guest();
        let block = frames(0, PAGES_PER_2M);
        let clean = PermChange { set: Perms::NONE, clear: Perms::DIRTY };
        assert_eq!(map.change(block, clean, Walk::Range).changed, 1);
        assert_eq!(map.change(block, clean, Walk::Range).changed, 0);
        let local = PermChange { set: Perms::NONE, clear: Perms::GLOBAL };
        assert_eq!(splits(&map.change(frames(5, 1), local, Walk::Range)), (1, 0));
    }

    #[test]
    fn only_the_entries_at_the_ends_of_a_range_are_split() {
        let mut map = guest();
        let range = frames(PAGES_PER_2M - 1, 3 * PAGES_PER_2M + 2);
        let done = map.change(range, PermChange::read_only(ERA), Walk::Range);
        assert_eq!((splits(&done), done.changed), ((2, 1), 2 + 3));
        let whole = map.change(frames(PAGES_PER_1G, PAGES_PER_1G), PermChange::read_only(ERA), Walk::Range);
        assert_eq!((splits(&whole), whole.changed), ((0, 0), 1));
    }

    #[test]
    fn page_wise_changes_split_even_what_they_cover() {
        let mut map = guest();
        let done = map.change(frames(0, 2 * PAGES_PER_2M), PermChange::read_only(ERA), Walk::PageWise);
        assert_eq!((splits(&done), done.changed), ((2, 1), 1024));
    }

    #[test]
    fn deliberate_small_pages_split_without_a_change() {
        for (era, changed) in [(CpaEra::From6_6, 0), (CpaEra::From6_15, 2)] {
            let mut map = guest();
            let done = map.change(frames(511, 2), PermChange::keep_4k(era), Walk::Force4k);
            assert_eq!((splits(&done), done.changed), ((2, 1), changed));
        }
    }

    #[test]
    fn holes_are_passed_over() {
        let mut map = guest();
        let hole = PfnRange::new(Pfn::new(524_250), Pfn::new(1_048_577));
        let done = map.change(hole, PermChange::read_only(ERA), Walk::Range);
        assert_eq!((splits(&done), done.changed), ((1, 1), 5 + 1));
        let beyond = PfnRange::new(Pfn::new(1_572_864), Pfn::new(1_572_964));
        assert_eq!(map.change(beyond, PermChange::read_only(ERA), Walk::Force4k).changed, 0);
        assert_eq!(map.leaf_at(Pfn::new(524_255)), None);
        assert_eq!(map.leaf_at(beyond.start()), None);
    }

    #[test]
    fn changes_over_terabytes_take_a_note_for_each_gib() {
        let tib = 1 << 10;
        for largest in [PageSize::Size1G, PageSize::Size2M, PageSize::Size4K] {
            let ram = PfnRange::new(Pfn::new(0), Pfn::new(tib * PAGES_PER_1G));
            let mut map = DirectMap::boot(&[ram], BootOptions { largest, ..BootOptions::default() });
            let done = map.change(ram, PermChange::keep_4k(ERA), Walk::Force4k);
            assert_eq!(done.changed, ram.pages());
            let done = map.change(ram, PermChange::read_only(ERA), Walk::PageWise);
            assert_eq!((splits(&done), done.changed), ((0, 0), ram.pages()));
            // The first GiB and the last one may have 2 MiB blocks of their own.
            assert!(map.leaves.stored() < 2 * tib as usize + 600, "{largest:?}: {}", map.leaves.stored());
            assert_eq!(map.recount(), map.counters(CounterView::Mapped));
            assert_eq!(map.counters(CounterView::Mapped).direct_map_4k, ram.pages());
        }
    }

    #[test]
    fn a_block_of_small_entries_keeps_its_holes_and_permissions() {
        let leaf = |start, pages, perms| Leaf {
            range: PfnRange::with_len(Pfn::new(start), pages),
            size: PageSize::Size4K,
            perms,
        };
        let layout = [leaf(5, 10, Perms::BOOT), leaf(15, 10, Perms::PRESENT), leaf(300, 300, Perms::BOOT)];
        let mut map = DirectMap::from_leaves(&layout).unwrap();
        let done = map.change(PfnRange::with_len(Pfn::new(400), 1), PermChange::read_only(ERA), Walk::PageWise);
        assert_eq!((splits(&done), done.changed), ((0, 0), 1));
        let read_only = Perms::PRESENT | Perms::GLOBAL;
        let expected = [layout[0], layout[1], leaf(300, 100, Perms::BOOT), leaf(400, 1, read_only)];
        assert_eq!(map.leaves().collect::<Vec<_>>()[..4], expected);
        assert_eq!(map.leaves().last(), Some(leaf(401, 199, Perms::BOOT)));
    }

    #[test]
    fn splits_before_the_system_runs_are_no_events() {
        let mut map = DirectMap::boot(&[PfnRange::new(Pfn::new(0), frame(0))], BootOptions::default());
        let split = |map: &mut DirectMap, slot: u64| {
            let page = PfnRange::with_len(Pfn::new(slot * PAGES_PER_1G), 1);
            let _ = map.change(page, PermChange::read_only(ERA), Walk::Range);
            map.split_kernel_image_entry(3);
        };
        split(&mut map, 0);
        for view in [CounterView::Kernel, CounterView::Mapped] {
            let booted = map.counters(view);
            assert_eq!((booted.level2_splits, booted.level3_splits), (0, 0));
        }
        map.start_running();
        split(&mut map, 1);
        let (kernel, mapped) = (map.counters(CounterView::Kernel), map.counters(CounterView::Mapped));
        assert_eq!((kernel.level2_splits, kernel.level3_splits), (1 + 3, 1));
        assert_eq!((mapped.level2_splits, mapped.level3_splits), (1, 1));
        assert_eq!(kernel.direct_map_4k, mapped.direct_map_4k + 6 * 512);
        assert_eq!(kernel.direct_map_2m, mapped.direct_map_2m - 6);
    }

    #[test]
    fn phantom_entries_never_go_away() {
        let mut map = guest();
        let _ = map.change(frames(0, 1), PermChange::read_only(ERA), Walk::Range);
        let _ = map.change(frames(PAGES_PER_1G, 1), PermChange::read_only(ERA), Walk::Range);
        assert_eq!(map.counters(CounterView::Mapped).direct_map_1g, 0);
        assert_eq!(map.counters(CounterView::Kernel).direct_map_1g, 2);
    }

    #[test]
    fn a_load_flushes_everything_once_for_each_split_and_once_at_its_end() {
        let mut map = guest();
        let mut flushes = Flushes::default();
        for _ in 0..2 {
            flushes.account(map.change(frames(9, 1), PermChange::read_only(ERA), Walk::PageWise), CallEnd::Alias);
        }
        assert_eq!(flushes, Flushes { full: 2 + 2, ranged: 0, pages: 0 });
    }
}
