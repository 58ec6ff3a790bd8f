//! A slow page allocator, written down from the kernel's source with plain lists, and a judge that lets it run beside
//! the fast one on random requests: both must hand out the same frames at every step.

mod slow;

use proptest::prelude::*;

use super::rules::all_eras;
use super::*;
use crate::units::{Order, Pfn, PfnRange};
use slow::Slow;

#[derive(Clone, Debug)]
enum Step {
    /// One block.
    Alloc(u8, usize),
    /// Single pages, one after another; many of them.
    Bulk(u16, usize),
    /// Frees one of the blocks held, chosen by this number.
    Free(u16),
    /// Frees many in a row.
    FreeMany(u16, u16),
    /// Frees every so-many-th of the blocks held.
    FreeEvery(usize),
    /// Blocks of one order until there are no more, or this many.
    Fill(u8, usize, u16),
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let order = prop_oneof![4 => Just(0u8), 3 => 1u8..=10, 1 => Just(9u8)];
    let step = prop_oneof![
        6 => (order, 0..3usize).prop_map(|(order, kind)| Step::Alloc(order, kind)),
        3 => (1..3000u16, 0..3usize).prop_map(|(pages, kind)| Step::Bulk(pages, kind)),
        4 => any::<u16>().prop_map(Step::Free),
        3 => (any::<u16>(), 1..2500u16).prop_map(|(from, count)| Step::FreeMany(from, count)),
        2 => (1..6usize).prop_map(Step::FreeEvery),
        2 => (0..=10u8, 0..3usize, 1..300u16).prop_map(|(order, kind, count)| Step::Fill(order, kind, count)),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 1..60)
}

/// A machine of 64 MiB below 4 GiB, or of 24 MiB there and 40 MiB above, with ragged ends.
fn machine(high: bool) -> MemoryLayout {
    let range = |start, end| NodeRange { node: 0, range: PfnRange::new(Pfn::new(start), Pfn::new(end)) };
    let ranges = match high {
        false => vec![range(0, 159), range(256, 16_300)],
        true => vec![range(256, 6000), range(1 << 20, (1 << 20) + 10_100)],
    };
    MemoryLayout::from_ranges(ranges).unwrap()
}

fn run(steps: &[Step], rules: PageAllocRules, high: bool) {
    let layout = machine(high);
    let reserved = [PfnRange::new(Pfn::new(4096), Pfn::new(4700))];
    let rules = PageAllocRules { boot_pageblocks: rules::BootPageblocks::Movable, ..rules };
    let setup = MemorySetup {
        layout: &layout,
        reserved: &reserved,
        start: &StartState::Fresh,
        rules,
        cpus: 1,
        seed: 0,
        run: 0,
    };
    let mut fast = Memory::new(&setup).unwrap();
    let ranges: Vec<PfnRange> = layout.ranges().iter().map(|range| range.range).collect();
    let mut slow = Slow::new(&fast, &memblock::without(&ranges, &reserved));
    let mut held: Vec<(u64, u32)> = Vec::new();
    for step in steps {
        take_step(step, &mut fast, &mut slow, &mut held);
        fast.check().unwrap();
        let free: u64 = slow.zones.iter().map(|zone| zone.free_pages()).sum();
        assert_eq!(fast.free_pages(), free);
        assert_eq!(fast.unused_pages() + fast.held, fast.managed_pages());
    }
}

/// Asks both for a block; whether they had one.
fn alloc(order: u8, kind: usize, fast: &mut Memory, slow: &mut Slow, held: &mut Vec<(u64, u32)>) -> bool {
    let got = fast.alloc_block(Order::new(order).unwrap(), MigrateType::from_index(kind)).ok().map(Pfn::get);
    assert_eq!(got, slow.alloc(u32::from(order), kind), "order {order} kind {kind}");
    held.extend(got.map(|pfn| (pfn, u32::from(order))));
    got.is_some()
}

fn bulk(pages: u16, kind: usize, fast: &mut Memory, slow: &mut Slow, held: &mut Vec<(u64, u32)>) {
    let mut runs = Vec::new();
    let done = fast.alloc_bulk(u64::from(pages), MigrateType::from_index(kind), &mut runs);
    let wanted: Vec<Option<u64>> = (0..pages).map(|_| slow.alloc(0, kind)).take_while(Option::is_some).collect();
    let wanted: Vec<u64> = wanted.into_iter().flatten().collect();
    if done.is_err() {
        assert!(wanted.len() < usize::from(pages) && runs.is_empty());
        wanted.into_iter().for_each(|pfn| slow.give(pfn, 0));
        return;
    }
    let got = runs.iter().flat_map(|run| run.iter()).map(Pfn::get);
    let differ = got.zip(&wanted).enumerate().find(|(_, (got, wanted))| got != *wanted);
    assert_eq!(differ, None, "page, fast frame, slow frame");
    assert_eq!(runs.iter().map(|run| run.pages()).sum::<u64>(), wanted.len() as u64);
    held.extend(wanted.into_iter().map(|pfn| (pfn, 0)));
}

fn take_step(step: &Step, fast: &mut Memory, slow: &mut Slow, held: &mut Vec<(u64, u32)>) {
    let free: Vec<(u64, u32)> = match *step {
        Step::Alloc(order, kind) => {
            alloc(order, kind, fast, slow, held);
            Vec::new()
        }
        Step::Fill(order, kind, count) => {
            let _ = (0..count).all(|_| alloc(order, kind, fast, slow, held));
            Vec::new()
        }
        Step::Bulk(pages, kind) => {
            bulk(pages, kind, fast, slow, held);
            Vec::new()
        }
        Step::Free(which) if !held.is_empty() => vec![held.swap_remove(usize::from(which) % held.len())],
        Step::FreeMany(from, count) if !held.is_empty() => {
            let from = usize::from(from) % held.len();
            held.drain(from..(from + usize::from(count)).min(held.len())).collect()
        }
        Step::FreeEvery(stride) => {
            let mut index = 0;
            let mut every = |_: &mut (u64, u32)| {
                index += 1;
                index % stride == 0
            };
            held.extract_if(.., &mut every).collect()
        }
        Step::Drain => {
            fast.drain_pcp();
            slow.zones.iter_mut().rev().for_each(|zone| zone.drain(zone.count(), 0));
            Vec::new()
        }
        Step::Free(_) | Step::FreeMany(..) => Vec::new(),
    };
    for (pfn, order) in free {
        fast.free_block(Pfn::new(pfn), Order::new(order as u8).unwrap());
        slow.give(pfn, order);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_allocators_hand_out_the_same_frames(steps in steps(), era in 0..5usize, high: bool) {
        run(&steps, all_eras()[era], high);
    }
}
