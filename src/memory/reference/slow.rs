//! The slow page allocator: one node, one CPU, lists as vectors with the head first.

mod pcp;

use std::collections::{BTreeMap, BTreeSet};

use crate::memory::rules::{Fallback, PcpTuning};
use crate::memory::watermark::{Marks, PcpLimits};
use crate::memory::zone::ZoneClass;
use crate::memory::{Memory, PageAllocRules};
use crate::units::{Pfn, PfnRange};

const PAGEBLOCK: u64 = 512;

/// One zone.
pub(super) struct SlowZone {
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
    pub(super) fn free_pages(&self) -> u64 {
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
        if !*steal && let Some(pfn) = self.smallest(order, kind) {
            return Some(pfn);
        }
        let least = if whole { order.max(9) } else { order };
        if self.rules.fallback == Fallback::ClaimOrSmallest {
            return self.rmqueue_latest(order, kind, least, steal);
        }
        loop {
            let mut found = (least..=10).rev().find_map(|from| self.foreign(from, kind))?;
            let claim = found.1 >= 4 || kind != 1;
            if !claim && found.1 > order {
                found = (order..=10).find_map(|from| self.foreign(from, kind))?;
            }
            if self.rules.fallback == Fallback::TestThenMove {
                let claimed = if claim { self.claim(found.0, found.1, order, kind) } else { None };
                return claimed.or_else(|| Some(self.cut(found.0, order, found.2)));
            }
            self.steal_suitable(found.0, found.1, claim, kind);
            if let Some(pfn) = self.smallest(order, kind) {
                return Some(pfn);
            }
        }
    }

    /// 5.10 to 6.9.
    fn steal_suitable(&mut self, pfn: u64, from: u32, claim: bool, kind: usize) {
        let block = pfn / PAGEBLOCK * PAGEBLOCK;
        if from < 9 && claim && block + PAGEBLOCK <= self.end {
            let first = if block < self.start { pfn } else { block };
            let enough = self.census(first, kind);
            self.move_block(first, kind);
            if enough {
                self.kinds.insert(block / PAGEBLOCK, kind);
            }
            return;
        }
        if from >= 9 {
            self.set_block_kinds(pfn, from, kind);
        }
        self.del(pfn);
        self.add(pfn, from, kind, true);
    }

    /// 6.10 and later.
    fn claim(&mut self, pfn: u64, from: u32, order: u32, kind: usize) -> Option<u64> {
        if from >= 9 {
            self.set_block_kinds(pfn, from, kind);
            return Some(self.cut(pfn, order, kind));
        }
        let block = pfn / PAGEBLOCK * PAGEBLOCK;
        if block < self.start || block + PAGEBLOCK > self.end || !self.census(block, kind) {
            return None;
        }
        self.move_block(block, kind);
        self.kinds.insert(block / PAGEBLOCK, kind);
        self.smallest(order, kind)
    }

    /// 6.16 and later.
    fn rmqueue_latest(&mut self, order: u32, kind: usize, least: u32, steal: &mut bool) -> Option<u64> {
        for from in (least..=10).rev().filter(|_| !*steal) {
            let Some((pfn, from, _)) = self.foreign(from, kind) else { continue };
            if from < 4 && kind == 1 {
                break;
            }
            if let Some(pfn) = self.claim(pfn, from, order, kind) {
                return Some(pfn);
            }
        }
        if order < least {
            return None;
        }
        let (pfn, _, other) = (order..=10).find_map(|from| self.foreign(from, kind))?;
        *steal = true;
        Some(self.cut(pfn, order, other))
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

    fn passes(&mut self, order: u32, mark: u64) -> bool {
        let block = (0..3).any(|kind| (order..=10).any(|from| !self.list(kind, from).is_empty()));
        self.free_pages() > mark + self.marks.reserve + (1 << order) - 1 && (order == 0 || block)
    }
}

/// The slow machine: one node, one CPU.
pub(super) struct Slow {
    /// The preferred zone first.
    pub(super) zones: Vec<SlowZone>,
}

impl Slow {
    /// The machine that `memory` is, in its fresh state.
    pub(super) fn new(memory: &Memory, usable: &[PfnRange]) -> Self {
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

    pub(super) fn alloc(&mut self, order: u32, kind: usize) -> Option<u64> {
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

    pub(super) fn give(&mut self, pfn: u64, order: u32) {
        let zone = self.zones.iter_mut().find(|zone| (zone.start..zone.end).contains(&pfn)).unwrap();
        zone.give(pfn, order);
    }
}
