//! A slow page allocator, written down from the kernel's source with plain lists, and a judge that lets it run beside
//! the fast one on random requests: both must hand out the same frames at every step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::rules::{DrainTarget, Fallback, PcpDrain, PcpOrders, PcpTuning, all_eras};
use super::watermark::{Marks, PcpLimits};
use super::zone::ZoneClass;
use super::*;
use crate::units::{Order, Pfn, PfnRange};

const PAGEBLOCK: u64 = 512;

/// One zone, one CPU. Lists are vectors, the head first.
struct SlowZone {
    class: ZoneClass,
    start: u64,
    end: u64,
    marks: Marks,
    limits: PcpLimits,
    rules: PageAllocRules,
    lists: BTreeMap<(usize, u32), Vec<u64>>,
    /// Order and list type of each free block.
    free: BTreeMap<u64, (u32, usize)>,
    kinds: BTreeMap<u64, usize>,
    /// Used pages that cannot be moved.
    stuck: BTreeSet<u64>,
    pcp: Vec<Vec<(u64, u32, usize)>>,
    high: i64,
    free_factor: u32,
    free_count: i64,
    alloc_factor: u32,
    high_order_before: bool,
    below_high: bool,
}

impl SlowZone {
    fn free_pages(&self) -> u64 {
        self.free.values().map(|block| 1 << block.0).sum()
    }

    fn kind(&self, pfn: u64) -> usize {
        *self.kinds.get(&(pfn / PAGEBLOCK)).unwrap_or(&1)
    }

    fn list(&mut self, kind: usize, order: u32) -> &mut Vec<u64> {
        self.lists.entry((kind, order)).or_default()
    }

    fn add(&mut self, pfn: u64, order: u32, kind: usize, tail: bool) {
        let list = self.list(kind, order);
        let at = if tail { list.len() } else { 0 };
        list.insert(at, pfn);
        self.free.insert(pfn, (order, kind));
    }

    fn del(&mut self, pfn: u64) -> (u32, usize) {
        let (order, kind) = self.free.remove(&pfn).unwrap();
        self.list(kind, order).retain(|other| *other != pfn);
        (order, kind)
    }

    fn is_free(&self, pfn: u64, order: u32) -> bool {
        self.free.get(&pfn).is_some_and(|block| block.0 == order)
    }

    fn buddy_free(&mut self, mut pfn: u64, mut order: u32, kind: usize, boot: bool) {
        while order < 10 && self.is_free(pfn ^ (1 << order), order) {
            let buddy = pfn ^ (1 << order);
            self.del(buddy);
            if order >= 9 && self.rules.fallback != Fallback::MoveThenTest {
                self.kinds.insert(buddy / PAGEBLOCK, kind);
            }
            pfn = pfn.min(buddy);
            order += 1;
        }
        let pair = pfn & !((2 << order) - 1);
        let tail = boot || (order < 9 && self.is_free(pair ^ (2 << order), order + 1));
        self.add(pfn, order, kind, tail);
    }

    fn cut(&mut self, pfn: u64, order: u32, kind: usize) -> u64 {
        let (mut from, _) = self.del(pfn);
        while from > order {
            from -= 1;
            self.add(pfn + (1 << from), from, kind, false);
        }
        pfn
    }

    fn smallest(&mut self, order: u32, kind: usize) -> Option<u64> {
        let pfn = (order..=10).find_map(|from| self.list(kind, from).first().copied())?;
        Some(self.cut(pfn, order, kind))
    }

    fn foreign(&mut self, order: u32, kind: usize) -> Option<(u64, u32, usize)> {
        let others = [[2, 1], [2, 0], [0, 1]][kind];
        others.into_iter().find_map(|other| Some((*self.list(other, order).first()?, order, other)))
    }

    fn set_block_kinds(&mut self, pfn: u64, order: u32, kind: usize) {
        for block in pfn / PAGEBLOCK..(pfn + (1 << order)) / PAGEBLOCK {
            self.kinds.insert(block, kind);
        }
    }

    /// Whether enough of the pageblock, from this frame on, is free or alike.
    fn census(&self, from: u64, kind: usize) -> bool {
        let (mut free, mut movable) = (0, 0);
        let mut pfn = from;
        while pfn < from - from % PAGEBLOCK + PAGEBLOCK {
            match self.free.get(&pfn) {
                Some((order, _)) => {
                    free += 1 << order;
                    pfn += 1 << order;
                }
                None => {
                    movable += u64::from(!self.stuck.contains(&pfn));
                    pfn += 1;
                }
            }
        }
        let alike = match (kind, self.kind(from)) {
            (1, _) => movable,
            (_, 1) => PAGEBLOCK - free - movable,
            _ => 0,
        };
        free + alike >= 256
    }

    fn move_block(&mut self, from: u64, kind: usize) {
        let end = from - from % PAGEBLOCK + PAGEBLOCK;
        let blocks: Vec<u64> = self.free.range(from..end).map(|block| *block.0).collect();
        for pfn in blocks {
            let (order, _) = self.del(pfn);
            self.add(pfn, order, kind, true);
        }
    }

    fn rmqueue(&mut self, order: u32, kind: usize, whole: bool, steal: &mut bool) -> Option<u64> {
        let least = if whole { order.max(9) } else { order };
        if !*steal && let Some(pfn) = self.smallest(order, kind) {
            return Some(pfn);
        }
        match self.rules.fallback {
            Fallback::MoveThenTest | Fallback::TestThenMove => loop {
                let mut found = (least..=10).rev().find_map(|from| self.foreign(from, kind))?;
                let claim = found.1 >= 4 || kind != 1;
                if !claim && found.1 > order {
                    found = (order..=10).find_map(|from| self.foreign(from, kind))?;
                }
                let (pfn, from, other) = found;
                let block = pfn / PAGEBLOCK * PAGEBLOCK;
                let inside = block >= self.start && block + PAGEBLOCK <= self.end;
                if self.rules.fallback == Fallback::TestThenMove {
                    if from >= 9 {
                        self.set_block_kinds(pfn, from, kind);
                        return Some(self.cut(pfn, order, kind));
                    }
                    if claim && inside && self.census(block, kind) {
                        self.move_block(block, kind);
                        self.kinds.insert(block / PAGEBLOCK, kind);
                        return self.smallest(order, kind);
                    }
                    return Some(self.cut(pfn, order, other));
                }
                if from < 9 && claim && block + PAGEBLOCK <= self.end {
                    let first = if block < self.start { pfn } else { block };
                    let enough = self.census(first, kind);
                    self.move_block(first, kind);
                    if enough {
                        self.kinds.insert(block / PAGEBLOCK, kind);
                    }
                } else {
                    if from >= 9 {
                        self.set_block_kinds(pfn, from, kind);
                    }
                    self.del(pfn);
                    self.add(pfn, from, kind, true);
                }
                if let Some(pfn) = self.smallest(order, kind) {
                    return Some(pfn);
                }
            },
            Fallback::ClaimOrSmallest => {
                for from in (least..=10).rev().filter(|_| !*steal) {
                    let Some((pfn, from, _)) = self.foreign(from, kind) else { continue };
                    if from < 4 && kind == 1 {
                        break;
                    }
                    if from >= 9 {
                        self.set_block_kinds(pfn, from, kind);
                        return Some(self.cut(pfn, order, kind));
                    }
                    let block = pfn / PAGEBLOCK * PAGEBLOCK;
                    if block >= self.start && block + PAGEBLOCK <= self.end && self.census(block, kind) {
                        self.move_block(block, kind);
                        self.kinds.insert(block / PAGEBLOCK, kind);
                        return self.smallest(order, kind);
                    }
                }
                if whole {
                    return None;
                }
                let (pfn, _, other) = (order..=10).find_map(|from| self.foreign(from, kind))?;
                *steal = true;
                Some(self.cut(pfn, order, other))
            }
        }
    }

    fn take_buddy(&mut self, order: u32, kind: usize, whole: bool, steal: &mut bool) -> Option<u64> {
        let pfn = self.rmqueue(order, kind, whole, steal)?;
        self.mark(pfn, order, kind);
        Some(pfn)
    }

    fn mark(&mut self, pfn: u64, order: u32, kind: usize) {
        for page in pfn..pfn + (1 << order) {
            if kind == 1 {
                self.stuck.remove(&page);
            } else {
                self.stuck.insert(page);
            }
        }
    }

    fn pindex(&self, order: u32, kind: usize) -> Option<usize> {
        match (self.rules.orders, order) {
            (_, 0) => Some(kind),
            (PcpOrders::Single, _) => None,
            (_, 1..=3) => Some(order as usize * 3 + kind),
            (PcpOrders::UpTo3AndHuge, 9) => Some(12),
            (_, 9) => Some(12 + usize::from(kind == 1)),
            _ => None,
        }
    }

    fn count(&self) -> i64 {
        self.pcp.iter().flatten().map(|page| 1i64 << page.1).sum()
    }

    fn take(&mut self, order: u32, kind: usize, whole: bool) -> Option<u64> {
        let Some(list) = self.pindex(order, kind) else {
            return self.take_buddy(order, kind, whole, &mut false);
        };
        self.free_factor >>= 1;
        self.free_count >>= 1;
        if self.pcp[list].is_empty() {
            let mut steal = false;
            for _ in 0..self.refill_size(order) {
                let Some(pfn) = self.take_buddy(order, kind, whole, &mut steal) else { break };
                self.pcp[list].push((pfn, order, kind));
            }
        }
        if self.pcp[list].is_empty() {
            return self.take_buddy(order, kind, whole, &mut false);
        }
        Some(self.pcp[list].remove(0).0)
    }

    fn refill_size(&mut self, order: u32) -> i64 {
        let (base, min, max) = self.sizes();
        let mut batch = base;
        if self.rules.tuning == PcpTuning::Auto {
            self.high = self.high.clamp(min, max);
            batch = if order == 0 { base << self.alloc_factor } else { base };
            if min != max && !self.below_high {
                self.high = (self.high + batch).min(max);
            }
            if order == 0 {
                let most = (self.high - self.count() - base).max(base);
                if batch <= most && self.alloc_factor < 5 {
                    self.alloc_factor += 1;
                }
                batch = batch.min(most);
            }
        }
        if batch > 1 && self.rules.orders != PcpOrders::Single { (batch >> order).max(2) } else { batch }
    }

    fn sizes(&self) -> (i64, i64, i64) {
        (i64::from(self.limits.batch), i64::from(self.limits.high_min), i64::from(self.limits.high_max))
    }

    fn give(&mut self, pfn: u64, order: u32) {
        let kind = self.kind(pfn);
        let Some(list) = self.pindex(order, kind) else {
            return self.buddy_free(pfn, order, kind, false);
        };
        self.mark(pfn, order, kind);
        self.pcp[list].insert(0, (pfn, order, kind));
        let (batch, min, max) = self.sizes();
        let high_order = (1..=3).contains(&order);
        let drain = match self.rules.tuning {
            PcpTuning::Fixed => (self.count() >= min).then_some(batch),
            PcpTuning::FreeFactor => {
                if high_order && self.free_factor > 0 && self.rules.drain == PcpDrain::RequestedFirst {
                    Some(self.count())
                } else if self.count() >= min {
                    let pages = batch << self.free_factor;
                    if pages < min - batch {
                        self.free_factor += 1;
                    }
                    Some(pages.clamp(batch, min - batch))
                } else {
                    None
                }
            }
            PcpTuning::Auto => {
                self.alloc_factor >>= 1;
                let all = high_order && self.free_count >= batch && self.high_order_before && self.count() >= batch;
                self.high_order_before = high_order;
                if self.free_count < batch << 5 {
                    self.free_count += 1 << order;
                }
                self.high = self.high.clamp(min, max);
                if all {
                    self.high = (self.high - (batch << 5)).max(min);
                    Some(self.count().min(batch << 5))
                } else {
                    let mut limit = self.high;
                    if min != max && self.below_high {
                        self.high = (limit - self.free_count).max(min);
                        limit = self.count().max(min);
                    } else if min != max && self.count() >= limit {
                        self.high = (self.free_count + batch).clamp(min, max);
                    }
                    (self.count() >= limit).then(|| self.free_count.clamp(batch, limit - batch))
                }
            }
        };
        if let Some(pages) = drain {
            self.drain(pages, list);
            if self.below_high && self.free_pages() > self.marks.high + self.marks.reserve {
                self.below_high = false;
            }
        }
    }

    fn drain(&mut self, pages: i64, first: usize) {
        let lists = match self.rules.orders {
            PcpOrders::Single => 3,
            PcpOrders::UpTo3AndHuge => 13,
            PcpOrders::UpTo3AndHugeByMobility => 14,
        };
        let mut left = pages.min(self.count());
        if self.rules.drain == PcpDrain::RequestedFirst {
            let order: Vec<usize> = (first..lists).chain(0..first).collect();
            for list in order {
                while left > 0 && !self.pcp[list].is_empty() {
                    left -= self.drain_tail(list);
                }
            }
            return;
        }
        let (mut list, mut turns) = (0, 0);
        while left > 0 {
            loop {
                turns += 1;
                list = if list + 1 == lists { 0 } else { list + 1 };
                if !self.pcp[list].is_empty() {
                    break;
                }
            }
            if turns == lists as i64 {
                turns = left;
            }
            loop {
                left -= self.drain_tail(list);
                turns -= 1;
                if left <= 0 || turns == 0 || self.pcp[list].is_empty() {
                    break;
                }
            }
        }
    }

    fn drain_tail(&mut self, list: usize) -> i64 {
        let (pfn, order, noted) = self.pcp[list].pop().unwrap();
        let kind = if self.rules.target == DrainTarget::Noted { noted } else { self.kind(pfn) };
        self.buddy_free(pfn, order, kind, false);
        1 << order
    }

    fn passes(&mut self, order: u32, mark: u64) -> bool {
        let block = (0..3).any(|kind| (order..=10).any(|from| !self.list(kind, from).is_empty()));
        self.free_pages() > mark + self.marks.reserve + (1 << order) - 1 && (order == 0 || block)
    }
}

/// The slow machine: one node, one CPU.
struct Slow {
    /// The preferred zone first.
    zones: Vec<SlowZone>,
}

impl Slow {
    /// The machine that `memory` is, in its fresh state.
    fn new(memory: &Memory, usable: &[PfnRange]) -> Self {
        let mut zones = Vec::new();
        for zone in memory.zones.iter().rev() {
            let (start, end) = (zone.ranges[0].start().get(), zone.ranges.last().unwrap().end().get());
            let mut slow = SlowZone {
                class: zone.class,
                start,
                end,
                marks: zone.marks,
                limits: zone.limits,
                rules: memory.rules,
                lists: BTreeMap::new(),
                free: BTreeMap::new(),
                kinds: BTreeMap::new(),
                stuck: (start..end).collect(),
                pcp: vec![Vec::new(); 14],
                high: i64::from(zone.limits.high_min),
                free_factor: 0,
                free_count: 0,
                alloc_factor: 0,
                high_order_before: false,
                below_high: false,
            };
            // Page by page in ascending order gives the same lists as memblock's blocks.
            for pfn in
                usable.iter().flat_map(|range| range.iter()).map(Pfn::get).filter(|pfn| (start..end).contains(pfn))
            {
                slow.stuck.remove(&pfn);
                slow.buddy_free(pfn, 0, 1, true);
            }
            for list in slow.lists.values_mut() {
                list.sort_unstable();
            }
            zones.push(slow);
        }
        Self { zones }
    }

    fn alloc(&mut self, order: u32, kind: usize) -> Option<u64> {
        let auto = self.zones[0].rules.tuning == PcpTuning::Auto;
        let mut tries = vec![(true, false), (false, false)];
        if self.zones[0].class == ZoneClass::Normal {
            tries.insert(0, (true, true));
        }
        for (low, whole) in tries {
            for zone in &mut self.zones {
                if auto && !zone.below_high && !zone.passes(order, zone.marks.high) {
                    zone.below_high = true;
                }
                let mark = if low { zone.marks.low } else { zone.marks.min };
                if zone.passes(order, mark)
                    && let Some(pfn) = zone.take(order, kind, whole)
                {
                    return Some(pfn);
                }
            }
        }
        None
    }

    fn give(&mut self, pfn: u64, order: u32) {
        let zone = self.zones.iter_mut().find(|zone| (zone.start..zone.end).contains(&pfn)).unwrap();
        zone.give(pfn, order);
    }
}

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
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let order = prop_oneof![4 => Just(0u8), 3 => 1u8..=10, 1 => Just(9u8)];
    let step = prop_oneof![
        6 => (order, 0..3usize).prop_map(|(order, kind)| Step::Alloc(order, kind)),
        3 => (1..3000u16, 0..3usize).prop_map(|(pages, kind)| Step::Bulk(pages, kind)),
        4 => any::<u16>().prop_map(Step::Free),
        3 => (any::<u16>(), 1..2500u16).prop_map(|(from, count)| Step::FreeMany(from, count)),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 1..40)
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
        let free: u64 = slow.zones.iter().map(SlowZone::free_pages).sum();
        assert_eq!(fast.free_pages(), free);
        assert_eq!(fast.unused_pages() + fast.held, fast.managed_pages());
    }
}

fn take_step(step: &Step, fast: &mut Memory, slow: &mut Slow, held: &mut Vec<(u64, u32)>) {
    match *step {
        Step::Alloc(order, kind) => {
            let got = fast.alloc_block(Order::new(order).unwrap(), MigrateType::from_index(kind)).ok().map(Pfn::get);
            assert_eq!(got, slow.alloc(u32::from(order), kind), "order {order} kind {kind}");
            held.extend(got.map(|pfn| (pfn, u32::from(order))));
        }
        Step::Bulk(pages, kind) => {
            let mut runs = Vec::new();
            let done = fast.alloc_bulk(u64::from(pages), MigrateType::from_index(kind), &mut runs);
            let wanted: Vec<Option<u64>> =
                (0..pages).map(|_| slow.alloc(0, kind)).take_while(Option::is_some).collect();
            let wanted: Vec<u64> = wanted.into_iter().flatten().collect();
            if done.is_ok() {
                let got = runs.iter().flat_map(|run| run.iter()).map(Pfn::get);
                let differ = got.zip(&wanted).enumerate().find(|(_, (got, wanted))| got != *wanted);
                assert_eq!(differ, None, "page, fast frame, slow frame");
                assert_eq!(runs.iter().map(|run| run.pages()).sum::<u64>(), wanted.len() as u64);
                held.extend(wanted.into_iter().map(|pfn| (pfn, 0)));
            } else {
                assert!(wanted.len() < usize::from(pages) && runs.is_empty());
                wanted.into_iter().for_each(|pfn| slow.give(pfn, 0));
            }
        }
        Step::Free(which) if !held.is_empty() => {
            let (pfn, order) = held.swap_remove(usize::from(which) % held.len());
            fast.free_block(Pfn::new(pfn), Order::new(order as u8).unwrap());
            slow.give(pfn, order);
        }
        Step::FreeMany(from, count) if !held.is_empty() => {
            let from = usize::from(from) % held.len();
            for (pfn, order) in held.drain(from..(from + usize::from(count)).min(held.len())).collect::<Vec<_>>() {
                fast.free_block(Pfn::new(pfn), Order::new(order as u8).unwrap());
                slow.give(pfn, order);
            }
        }
        Step::Drain => {
            fast.drain_pcp();
            slow.zones.iter_mut().rev().for_each(|zone| zone.drain(zone.count(), 0));
        }
        Step::Free(_) | Step::FreeMany(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_allocators_hand_out_the_same_frames(steps in steps(), era in 0..5usize, high: bool) {
        run(&steps, all_eras()[era], high);
    }
}
