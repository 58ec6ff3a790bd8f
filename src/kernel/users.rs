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
    pub(super) fn take(&mut self, memory: &mut Memory, take: &MemoryTake) -> Result<(), OutOfMemory> {
        let mut runs = Vec::new();
        while let Err(error) = allocate(memory, take, &mut runs) {
            give(memory, take.order, &runs);
            runs.clear();
            if !self.drop_page_cache(memory, take.pages) {
                return Err(error);
            }
        }
        let user = take.user as usize;
        if self.holdings.len() <= user {
            self.holdings.resize_with(user + 1, Vec::new);
        }
        let holdings = &mut self.holdings[user];
        match holdings.iter_mut().find(|held| held.kind == take.kind && held.order == take.order) {
            Some(held) => held.runs.extend(runs),
            None => holdings.push(Holding { kind: take.kind, order: take.order, runs: runs.into() }),
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

fn allocate(memory: &mut Memory, take: &MemoryTake, runs: &mut Vec<PfnRange>) -> Result<(), OutOfMemory> {
    let kind = migrate_type(take.kind);
    if take.order == Order::ZERO {
        return memory.alloc_bulk(take.pages, kind, runs);
    }
    for _ in 0..take.pages / take.order.pages() {
        runs.push(PfnRange::with_len(memory.alloc_block(take.order, kind)?, take.order.pages()));
    }
    Ok(())
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
