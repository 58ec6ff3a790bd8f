//! The direct map in the most naive way: one permission and one level for every 4 KiB page. The fast map must agree
//! with it after every step of random histories.

use proptest::prelude::*;

use super::counters::DirectMapCounters;
use super::*;
use crate::units::{PAGES_PER_1G, PAGES_PER_2M};

/// Pages of the machine that both models see: 3 GiB.
const MACHINE: u64 = 3 * PAGES_PER_1G;

struct Reference {
    pages: Vec<Option<(PageSize, Perms)>>,
    kernel: DirectMapCounters,
    running: bool,
}

impl Reference {
    fn new(map: &DirectMap) -> Self {
        let mut pages = vec![None; MACHINE as usize];
        for leaf in map.leaves() {
            pages[leaf.range.start().get() as usize..leaf.range.end().get() as usize]
                .fill(Some((leaf.size, leaf.perms)));
        }
        Self { pages, kernel: map.counters(CounterView::Kernel), running: false }
    }

    fn change(&mut self, range: PfnRange, change: PermChange, how: Walk) -> Change {
        let mut done = Change::default();
        match how {
            Walk::PageWise => {
                for pfn in range.iter() {
                    done += self.call(PfnRange::with_len(pfn, 1), change, false);
                }
            }
            Walk::Range => done = self.call(range, change, false),
            Walk::Force4k => done = self.call(range, change, true),
        }
        done
    }

    /// One call of the kernel.
    fn call(&mut self, range: PfnRange, change: PermChange, force_split: bool) -> Change {
        let mut done = Change { requested: range.pages(), ..Change::default() };
        let mut at = range.start().get();
        let end = range.end().get();
        while at < end {
            let Some((size, perms)) = self.pages[at as usize] else {
                at += 1;
                continue;
            };
            let first = at - at % size.pages();
            let last = first + size.pages();
            let mut wanted = perms.without(change.clear) | change.set;
            if !wanted.contains(Perms::PRESENT) {
                wanted = wanted.without(Perms::GLOBAL);
            }
            let whole = at == first && end >= last;
            if size == PageSize::Size4K {
                done.changed += u64::from(wanted != perms);
                self.pages[at as usize] = Some((size, wanted));
                at += 1;
            } else if !force_split && wanted == perms {
                at = end.min(last);
            } else if !force_split && whole {
                done.changed += 1;
                self.pages[first as usize..last as usize].fill(Some((size, wanted)));
                at = last;
            } else {
                let smaller = size.smaller().unwrap();
                self.pages[first as usize..last as usize].fill(Some((smaller, perms)));
                match size {
                    PageSize::Size1G => done.level3_splits += 1,
                    _ => done.level2_splits += 1,
                }
                self.count_split(size);
            }
        }
        done
    }

    fn count_split(&mut self, size: PageSize) {
        let kernel = &mut self.kernel;
        let (large, small, event) = match size {
            PageSize::Size1G => (&mut kernel.direct_map_1g, &mut kernel.direct_map_2m, &mut kernel.level3_splits),
            _ => (&mut kernel.direct_map_2m, &mut kernel.direct_map_4k, &mut kernel.level2_splits),
        };
        if *large == 0 {
            return;
        }
        *large -= 1;
        *small += 512;
        if self.running {
            *event += 1;
        }
    }

    fn leaves(&self) -> Vec<Leaf> {
        let mut leaves: Vec<Leaf> = Vec::new();
        for (pfn, page) in (0..).map(Pfn::new).zip(&self.pages) {
            let Some((size, perms)) = *page else { continue };
            match leaves.last_mut() {
                Some(last) if last.range.end() == pfn && last.size == size && last.perms == perms => {
                    last.range = PfnRange::new(last.range.start(), pfn.offset(1));
                }
                _ => leaves.push(Leaf { range: PfnRange::with_len(pfn, 1), size, perms }),
            }
        }
        leaves
    }

    fn entries(&self) -> [u64; 3] {
        PageSize::ALL
            .map(|size| self.pages.iter().flatten().filter(|page| page.0 == size).count() as u64 / size.pages())
    }
}

/// A step of a history.
#[derive(Clone, Debug)]
enum Step {
    Change(PfnRange, PermChange, Walk),
    StartRunning,
    KernelImage(u64),
}

/// A frame number, often one where entries start or end.
fn frame() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..=3_u64).prop_map(|slot| slot * PAGES_PER_1G),
        (0..=MACHINE / PAGES_PER_2M).prop_map(|block| block * PAGES_PER_2M),
        // Near the start, so that steps of a history meet.
        (0..=8_u64).prop_map(|block| block * PAGES_PER_2M),
        0..=MACHINE,
        0..=4 * PAGES_PER_2M,
    ]
}

fn range() -> impl Strategy<Value = PfnRange> {
    let length = prop_oneof![
        Just(1),
        1..40_u64,
        Just(PAGES_PER_2M),
        (1..5_u64).prop_map(|blocks| blocks * PAGES_PER_2M),
        1..5 * PAGES_PER_2M,
        Just(PAGES_PER_1G),
        0..PAGES_PER_1G + PAGES_PER_2M,
    ];
    (frame(), length)
        .prop_map(|(start, length)| PfnRange::new(Pfn::new(start), Pfn::new((start + length).min(MACHINE))))
}

fn change() -> impl Strategy<Value = PermChange> {
    let era = prop_oneof![Just(CpaEra::UpTo6_1), Just(CpaEra::From6_2), Just(CpaEra::From6_6), Just(CpaEra::From6_15)];
    (era, 0..9).prop_map(|(era, helper)| match helper {
        0 => PermChange::read_only(era),
        1 => PermChange::read_write(),
        2 => PermChange::not_present(era),
        3 => PermChange::present(),
        4 => PermChange::invalid(era),
        5 => PermChange::default_(),
        6 => PermChange::valid(false),
        7 => PermChange::keep_4k(era),
        _ => PermChange { set: Perms::EXEC, clear: Perms::GLOBAL },
    })
}

fn step() -> impl Strategy<Value = Step> {
    let walk = prop_oneof![4 => Just(Walk::Range), 4 => Just(Walk::PageWise), 1 => Just(Walk::Force4k)];
    prop_oneof![
        20 => (range(), change(), walk).prop_map(|(range, change, walk)| Step::Change(range, change, walk)),
        1 => Just(Step::StartRunning),
        1 => (0..700_u64).prop_map(Step::KernelImage),
    ]
}

/// A machine built by boot, with holes, some of them inside blocks; or what became of one, read back as a layout.
fn booted() -> impl Strategy<Value = DirectMap> {
    let largest = prop_oneof![8 => Just(PageSize::Size1G), 2 => Just(PageSize::Size2M), 1 => Just(PageSize::Size4K)];
    let low = 0..2 * PAGES_PER_2M;
    let memory = prop_oneof![
        Just(vec![(0, MACHINE)]),
        prop::collection::vec((frame(), frame()), 1..5),
        prop::collection::vec((low.clone(), low), 1..5),
    ];
    let history = prop::collection::vec((range(), change()), 0..4);
    (memory, largest, history).prop_map(|(ram, largest, history)| {
        let range = |(a, b): (u64, u64)| PfnRange::new(Pfn::new(a.min(b)), Pfn::new(a.max(b)));
        let ram: Vec<PfnRange> = ram.into_iter().map(range).collect();
        let mut map = DirectMap::boot(&ram, BootOptions { largest, ..BootOptions::default() });
        if history.is_empty() {
            return map;
        }
        for (range, change) in history {
            let _ = map.change(range, change, Walk::Range);
        }
        DirectMap::from_leaves(&map.leaves().collect::<Vec<_>>()).unwrap()
    })
}

fn sizes(counters: DirectMapCounters) -> [u64; 3] {
    [counters.direct_map_4k, counters.direct_map_2m, counters.direct_map_1g]
}

/// The laws that hold whatever happens: no page is lost, and sizes move as the splits say.
fn check_laws(start: DirectMapCounters, now: DirectMapCounters, splits: (u64, u64)) {
    assert_eq!(start.total_kb(), now.total_kb());
    let (level2, level3) = splits;
    assert_eq!(now.direct_map_4k - start.direct_map_4k, 512 * level2);
    assert_eq!(now.direct_map_2m + level2, start.direct_map_2m + 512 * level3);
    assert_eq!(now.direct_map_1g + level3, start.direct_map_1g);
    assert_eq!((now.level2_collapses, now.level3_collapses), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn fast_map_agrees_with_the_naive_one(mut map in booted(), steps in prop::collection::vec(step(), 1..16)) {
        let mut reference = Reference::new(&map);
        let start = map.counters(CounterView::Mapped);
        let (mut splits, mut running_splits) = ((0, 0), (0, 0));
        for step in steps {
            match step {
                Step::StartRunning => {
                    map.start_running();
                    reference.running = true;
                }
                Step::KernelImage(entries) => {
                    map.split_kernel_image_entry(entries);
                    (0..entries).for_each(|_| reference.count_split(PageSize::Size2M));
                }
                Step::Change(range, change, walk) => {
                    let done = map.change(range, change, walk);
                    prop_assert_eq!(&done, &reference.change(range, change, walk));
                    let new = (u64::from(done.level2_splits), u64::from(done.level3_splits));
                    splits = (splits.0 + new.0, splits.1 + new.1);
                    if reference.running {
                        running_splits = (running_splits.0 + new.0, running_splits.1 + new.1);
                    }
                }
            }
            let mapped = map.counters(CounterView::Mapped);
            prop_assert_eq!(map.leaves().collect::<Vec<_>>(), reference.leaves());
            prop_assert_eq!(sizes(mapped), reference.entries());
            prop_assert_eq!(mapped, map.recount());
            prop_assert_eq!(map.counters(CounterView::Kernel), reference.kernel);
            prop_assert_eq!((mapped.level2_splits, mapped.level3_splits), running_splits);
            check_laws(start, mapped, splits);
        }
    }

    #[test]
    fn single_entries_are_found_where_the_leaves_have_them(
        mut map in booted(),
        steps in prop::collection::vec((range(), change()), 1..8),
        probes in prop::collection::vec(frame(), 32),
    ) {
        for (range, change) in steps {
            let _ = map.change(range, change, Walk::Range);
        }
        for pfn in probes.into_iter().map(Pfn::new) {
            let leaf = map.leaves().find(|leaf| leaf.range.contains(pfn));
            let single = map.leaf_at(pfn);
            prop_assert_eq!(single.map(|one| (one.size, one.perms)), leaf.map(|all| (all.size, all.perms)));
            if let (Some(one), Some(all)) = (single, leaf) {
                prop_assert!(one.range.contains(pfn) && one.entries() == 1 && one.range.start().is_aligned(one.size));
                prop_assert_eq!(one.range.intersection(all.range), one.range);
            }
        }
        let copy = DirectMap::from_leaves(&map.leaves().collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(copy.leaves().collect::<Vec<_>>(), map.leaves().collect::<Vec<_>>());
        prop_assert_eq!(sizes(copy.counters(CounterView::Kernel)), sizes(map.counters(CounterView::Mapped)));
    }
}
