//! Other users of memory: page cache, processes, kernel memory that has nothing to do with BPF.

use std::collections::VecDeque;

use crate::memory::{Memory, MigrateType, OutOfMemory};
use crate::rng::Stream;
use crate::trace::{GivePattern, MemoryGive, MemoryKind, MemoryTake};
use crate::units::{Order, Pfn, PfnRange};

/// Pages that reclaim frees at least at once (`SWAP_CLUSTER_MAX`).
const RECLAIM_PAGES: u64 = 32;

/// What one user holds, in the order it was taken.
#[derive(Clone, Debug)]
struct Holding {
    kind: MemoryKind,
    order: Order,
    /// Runs of frames; each a multiple of the order's pages.
    runs: VecDeque<PfnRange>,
}

impl Holding {
    fn pages(&self) -> u64 {
        self.runs.iter().map(|run| run.pages()).sum()
    }
}

/// Everybody's holdings, by the user's number in the trace.
#[derive(Clone, Debug)]
pub(super) struct MemoryUsers {
    holdings: Vec<Vec<Holding>>,
    stream: Stream,
}

/// The lists that serve a kind of memory (`gfp_migratetype`).
fn migrate_type(kind: MemoryKind) -> MigrateType {
    match kind {
        MemoryKind::PageCache | MemoryKind::Anonymous => MigrateType::Movable,
        MemoryKind::Unmovable | MemoryKind::PageTables => MigrateType::Unmovable,
        MemoryKind::Reclaimable => MigrateType::Reclaimable,
    }
}

impl MemoryUsers {
    pub(super) const fn new(stream: Stream) -> Self {
        Self { holdings: Vec::new(), stream }
    }

    /// Takes memory for a user; page cache gives way if there is too little.
    ///
    /// Movable memory in large blocks is a wish, not a demand: what does not come in them comes in smaller ones, and no
    /// page cache gives way for them (`GFP_TRANSHUGE_LIGHT`, `__GFP_NORETRY`).
    pub(super) fn take(&mut self, memory: &mut Memory, take: &MemoryTake) -> Result<(), OutOfMemory> {
        let mut taken = Vec::new();
        while let Err(error) = allocate(memory, take, &mut taken) {
            for (order, run) in taken.drain(..) {
                give(memory, order, &[run]);
            }
            if !self.drop_page_cache(memory, take.pages) {
                return Err(error);
            }
        }
        let user = take.user as usize;
        if self.holdings.len() <= user {
            self.holdings.resize_with(user + 1, Vec::new);
        }
        let holdings = &mut self.holdings[user];
        for (order, run) in taken {
            match holdings.iter_mut().find(|held| held.kind == take.kind && held.order == order) {
                Some(held) => held.runs.push_back(run),
                None => holdings.push(Holding { kind: take.kind, order, runs: [run].into() }),
            }
        }
        Ok(())
    }

    /// Gives memory of a user back; at most what it holds.
    pub(super) fn give(&mut self, memory: &mut Memory, given: &MemoryGive) {
        let Some(holdings) = self.holdings.get_mut(given.user as usize) else { return };
        let mut left = given.pages.unwrap_or(u64::MAX);
        for held in holdings {
            let pages = left.min(held.pages());
            left -= pages;
            let runs = held.pick(pages, given.pattern, &mut self.stream);
            give(memory, held.order, &runs);
        }
    }

    /// Drops at least `pages` pages of page cache if there are so many, the oldest of each user first; false if there are
    /// none. The per-CPU lists are emptied, so that the pages come within reach of every request
    /// (`__alloc_pages_direct_reclaim` does so when a reclaim did not help).
    pub(super) fn drop_page_cache(&mut self, memory: &mut Memory, pages: u64) -> bool {
        let wanted = pages.max(RECLAIM_PAGES);
        let mut left = wanted;
        let caches = self.holdings.iter_mut().flatten().filter(|held| held.kind == MemoryKind::PageCache);
        for held in caches {
            let runs = held.pick(left.min(held.pages()), GivePattern::Oldest, &mut self.stream);
            left -= runs.iter().map(|run| run.pages()).sum::<u64>().min(left);
            give(memory, held.order, &runs);
        }
        memory.drain_pcp();
        left < wanted
    }

    /// Pages that all users hold.
    pub(super) fn pages(&self) -> u64 {
        self.holdings.iter().flatten().map(Holding::pages).sum()
    }
}

impl Holding {
    /// Removes whole blocks, at most `pages` pages of them, in the order they are to be freed.
    fn pick(&mut self, pages: u64, pattern: GivePattern, stream: &mut Stream) -> Vec<PfnRange> {
        let block = self.order.pages();
        let blocks = pages / block;
        match pattern {
            GivePattern::Oldest => self.pick_end(blocks * block, true),
            GivePattern::Newest => self.pick_end(blocks * block, false),
            GivePattern::Random | GivePattern::Scattered | GivePattern::Alternate => {
                let mut all: Vec<Pfn> = self.runs.iter().flat_map(|run| run.iter().step_by(block as usize)).collect();
                let chosen = choose(all.len() as u64, blocks, pattern, stream);
                let picked = take_indices(&mut all, &chosen);
                self.runs = all.into_iter().map(|pfn| PfnRange::with_len(pfn, block)).collect();
                picked.into_iter().map(|pfn| PfnRange::with_len(pfn, block)).collect()
            }
        }
    }

    fn pick_end(&mut self, mut pages: u64, oldest: bool) -> Vec<PfnRange> {
        let mut picked = Vec::new();
        while pages > 0 {
            let run = if oldest { self.runs.pop_front() } else { self.runs.pop_back() };
            let Some(run) = run else { break };
            let taken = pages.min(run.pages());
            pages -= taken;
            let cut = if oldest { run.start().offset(taken) } else { run.start().offset(run.pages() - taken) };
            let (low, high) = (PfnRange::new(run.start(), cut), PfnRange::new(cut, run.end()));
            if oldest {
                picked.push(low);
                if !high.is_empty() {
                    self.runs.push_front(high);
                }
            } else {
                picked.push(high);
                if !low.is_empty() {
                    self.runs.push_back(low);
                }
            }
        }
        picked
    }
}

/// Indices of `count` out of `len` blocks, in the order they are to be freed.
fn choose(len: u64, count: u64, pattern: GivePattern, stream: &mut Stream) -> Vec<u64> {
    let mut order: Vec<u64> = match pattern {
        GivePattern::Alternate => (0..len).step_by(2).chain((1..len).step_by(2)).collect(),
        _ => (0..len).collect(),
    };
    if pattern != GivePattern::Alternate {
        stream.shuffle(&mut order);
    }
    order.truncate(count as usize);
    if pattern == GivePattern::Scattered {
        order.sort_unstable();
    }
    order
}

/// Removes the items at these indices and returns them in the order of the indices.
fn take_indices(items: &mut Vec<Pfn>, indices: &[u64]) -> Vec<Pfn> {
    let picked: Vec<Pfn> = indices.iter().map(|&index| items[index as usize]).collect();
    let mut gone = vec![false; items.len()];
    indices.iter().for_each(|&index| gone[index as usize] = true);
    let mut keep = gone.iter().map(|gone| !gone);
    items.retain(|_| keep.next().expect("one flag per item"));
    picked
}

/// All pages that are asked for, each run with the order of its blocks; on an error, what had been taken by then.
fn allocate(memory: &mut Memory, take: &MemoryTake, taken: &mut Vec<(Order, PfnRange)>) -> Result<(), OutOfMemory> {
    let kind = migrate_type(take.kind);
    let (mut left, mut order) = (take.pages, take.order);
    while left > 0 && order > Order::ZERO {
        match memory.alloc_block(order, kind) {
            Ok(pfn) => {
                taken.push((order, PfnRange::with_len(pfn, order.pages())));
                left -= order.pages();
            }
            Err(error) => order = smaller_order(take.kind, order).ok_or(error)?,
        }
    }
    let mut runs = Vec::new();
    let granted = if left > 0 { memory.alloc_bulk(left, kind, &mut runs) } else { Ok(()) };
    taken.extend(runs.into_iter().map(|run| (Order::ZERO, run)));
    granted
}

/// The order that is tried after a failure: page cache goes down one by one (`__filemap_get_folio@6.6`), anonymous memory
/// takes single pages (`do_huge_pmd_anonymous_page`, `VM_FAULT_FALLBACK`), the kernel's own requests fail.
fn smaller_order(kind: MemoryKind, order: Order) -> Option<Order> {
    match kind {
        MemoryKind::PageCache => Order::new(order.get() - 1),
        MemoryKind::Anonymous => Some(Order::ZERO),
        MemoryKind::Unmovable | MemoryKind::PageTables | MemoryKind::Reclaimable => None,
    }
}

fn give(memory: &mut Memory, order: Order, runs: &[PfnRange]) {
    for run in runs {
        for start in run.iter().step_by(order.pages() as usize) {
            if order == Order::ZERO {
                memory.free_page(start);
            } else {
                memory.free_block(start, order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryLayout, MemorySetup, PageAllocRules, StartState};
    use crate::rng::Component;
    use crate::units::Bytes;

    const HUGE: Order = Order::PAGEBLOCK;

    fn take(user: u32, kind: MemoryKind, pages: u64, order: Order) -> MemoryTake {
        MemoryTake { user, kind, pages, order }
    }

    /// A host of 1 GiB with half of its pages free, but no large block: users 0 and 1 hold the others.
    fn scattered() -> (MemoryUsers, Memory) {
        let layout = MemoryLayout::q35(Bytes::new(1 << 30)).unwrap();
        let (start, rules) = (&StartState::Fresh, PageAllocRules::v6_1());
        let setup = MemorySetup { layout: &layout, reserved: &[], start, rules, cpus: 1, seed: 1, run: 0 };
        let mut memory = Memory::new(&setup).unwrap();
        let mut users = MemoryUsers::new(Stream::new(1, Component::MemoryUsers, 0));
        while users.take(&mut memory, &take(0, MemoryKind::PageTables, 64, Order::ZERO)).is_ok() {}
        let half = Some(users.pages() / 2);
        users.give(&mut memory, &MemoryGive { user: 0, pages: half, pattern: GivePattern::Alternate });
        memory.drain_pcp();
        // What the watermarks kept back until now.
        while users.take(&mut memory, &take(1, MemoryKind::PageTables, 512, HUGE)).is_ok() {}
        users.take(&mut memory, &take(1, MemoryKind::Anonymous, 2048, HUGE)).unwrap();
        (users, memory)
    }

    #[test]
    fn movable_memory_makes_do_with_smaller_blocks() {
        for kind in [MemoryKind::Anonymous, MemoryKind::PageCache] {
            let (mut users, mut memory) = scattered();
            let (held, free) = (users.pages(), memory.unused_pages());
            users.take(&mut memory, &take(2, kind, 1024, HUGE)).unwrap();
            assert_eq!((users.pages(), memory.unused_pages()), (held + 1024, free - 1024));
            assert!(users.holdings[2].iter().all(|held| held.order < HUGE), "{:?}", users.holdings[2]);
            users.give(&mut memory, &MemoryGive { user: 2, pages: None, pattern: GivePattern::Random });
            assert_eq!(memory.unused_pages(), free);
        }
    }

    #[test]
    fn large_blocks_come_first_as_long_as_there_are_any() {
        let (mut users, mut memory) = scattered();
        users.give(&mut memory, &MemoryGive { user: 0, pages: None, pattern: GivePattern::Oldest });
        memory.drain_pcp();
        users.take(&mut memory, &take(2, MemoryKind::Anonymous, 1024, HUGE)).unwrap();
        assert_eq!(users.holdings[2].iter().map(|held| (held.order, held.pages())).collect::<Vec<_>>(), [(HUGE, 1024)]);
    }

    #[test]
    fn the_kernels_own_large_requests_fail_and_take_nothing() {
        let (mut users, mut memory) = scattered();
        let before = (users.pages(), memory.unused_pages());
        for kind in [MemoryKind::Unmovable, MemoryKind::PageTables, MemoryKind::Reclaimable] {
            let error = users.take(&mut memory, &take(2, kind, 1024, HUGE)).unwrap_err();
            assert_eq!(error.order, HUGE);
        }
        assert_eq!((users.pages(), memory.unused_pages()), before);
    }
}
