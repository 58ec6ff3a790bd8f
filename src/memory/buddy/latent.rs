//! Free blocks without a place: a host that has been up for long has hundreds of thousands of free blocks, of which a
//! replay touches few. Their numbers are known; where one lies is drawn when it is needed.
//!
//! Each 4 MiB unit of the zone stands at one position of a random order. The first positions belong to the free blocks
//! of order 10, the next ones hold one free block of order 9 each, and the pageblocks that are left are handed to
//! types and smaller blocks as these are drawn.

use rustc_hash::FxHashMap;

use super::frames::Frames;
use super::lists::MAX;
use super::{PAGEBLOCK, Units};
use crate::memory::migrate::MigrateType;
use crate::rng::Stream;
use crate::units::{Order, PAGES_PER_2M};

const WORDS: usize = PAGES_PER_2M as usize / 64;
/// Pageblocks tried at random before the search turns systematic.
const TRIES: usize = 16;

/// Free blocks of each type and order, and the pageblocks of each type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::memory) struct FreeCounts {
    pub free: [[u64; Order::COUNT]; MigrateType::COUNT],
    /// Pageblocks of each type; `None` if not known.
    pub blocks: Option<[u64; MigrateType::COUNT]>,
    /// How scattered small blocks are, in thousandths: the chance that the next one does not lie in the same pageblock
    /// as the last one, if that still has room.
    pub scatter: u32,
}

impl FreeCounts {
    /// Free pages of all types and orders.
    pub(in crate::memory) fn pages(&self) -> u64 {
        self.free.iter().map(|orders| pages_of(orders)).sum()
    }

    /// Free blocks of this order.
    pub(in crate::memory) fn of_order(&self, order: usize) -> u64 {
        self.free.iter().map(|orders| orders[order]).sum()
    }
}

fn pages_of(orders: &[u64]) -> u64 {
    orders.iter().enumerate().map(|(order, count)| count << order).sum()
}

/// Pages of a pageblock that were free at the start and have a place: one bit each.
type Drawn = [u64; WORDS];

/// The free blocks of one zone that have no place yet.
#[derive(Clone, Debug)]
pub(in crate::memory) struct Latent {
    stream: Stream,
    units: Units,
    remaining: [[u64; Order::COUNT]; MigrateType::COUNT],
    scatter: u32,
    /// Positions of the next block of the two largest orders, by type.
    next_max: [u64; MigrateType::COUNT],
    next_block: [u64; MigrateType::COUNT],
    /// First position with a free block of order 9, and first one without.
    small_from: (u64, u64),
    /// Pageblocks for small blocks that have been handed out, and all there are.
    handed_out: u64,
    small_blocks: u64,
    /// Pageblocks of each type that small blocks are spread over.
    spread: [u64; MigrateType::COUNT],
    /// Pageblocks of each type without a place.
    unassigned: [u64; MigrateType::COUNT],
    /// First frames of the pageblocks with a place that may hold more.
    assigned: [Vec<u64>; MigrateType::COUNT],
    /// For each type and order, how many pageblocks of `assigned` are known to have no room.
    searched: [[usize; Order::COUNT]; MigrateType::COUNT],
    /// The same for single pages without regard to types and buddies, over all pageblocks with a place.
    searched_all: usize,
    /// For each type, the pageblock that the last block was drawn in.
    current: [Option<u64>; MigrateType::COUNT],
    drawn: FxHashMap<u64, Drawn>,
}

impl Latent {
    /// Blocks to be drawn from these units. The caller has made sure that the units can hold them.
    pub(in crate::memory) fn new(counts: &FreeCounts, units: Units, stream: Stream) -> Self {
        let of_max = counts.of_order(MAX);
        let of_block = counts.of_order(PAGEBLOCK);
        let small_from = (of_max, of_max + of_block);
        let mut next_max = [0; MigrateType::COUNT];
        let mut next_block = [of_max; MigrateType::COUNT];
        for kind in 1..MigrateType::COUNT {
            next_max[kind] = next_max[kind - 1] + counts.free[kind - 1][MAX];
            next_block[kind] = next_block[kind - 1] + counts.free[kind - 1][PAGEBLOCK];
        }
        let small_blocks = of_block + 2 * (units.count() - of_max - of_block);
        let (spread, unassigned) = spread(counts, small_blocks);
        Self {
            stream,
            units,
            remaining: counts.free,
            scatter: counts.scatter,
            next_max,
            next_block,
            small_from,
            handed_out: 0,
            small_blocks,
            spread,
            unassigned,
            assigned: Default::default(),
            searched: Default::default(),
            searched_all: 0,
            current: [None; MigrateType::COUNT],
            drawn: FxHashMap::default(),
        }
    }

    /// Blocks of this type and order that have no place yet.
    pub(super) fn remaining(&self, kind: MigrateType, order: usize) -> u64 {
        self.remaining[kind.index()][order]
    }

    /// Pageblocks of this type that have no place yet.
    pub(super) fn unassigned(&self, kind: MigrateType) -> u64 {
        self.unassigned[kind.index()]
    }

    /// All types and orders that have blocks without a place.
    pub(super) fn counts(&self) -> Vec<(MigrateType, usize, u64)> {
        let all = MigrateType::ALL.into_iter().flat_map(|kind| (0..=MAX).map(move |order| (kind, order)));
        all.map(|(kind, order)| (kind, order, self.remaining(kind, order))).filter(|entry| entry.2 > 0).collect()
    }

    /// The place of the next block of the largest order.
    pub(super) fn draw_max(&mut self, kind: MigrateType) -> u64 {
        let position = self.next_max[kind.index()];
        self.next_max[kind.index()] += 1;
        self.remaining[kind.index()][MAX] -= 1;
        self.unassigned[kind.index()] = self.unassigned[kind.index()].saturating_sub(2);
        self.units.pfn(self.units.shuffled(position))
    }

    /// The place of the next block of a smaller order; `None` if the block had to become two of the next order down.
    pub(super) fn draw(&mut self, kind: MigrateType, order: usize, frames: &mut Frames) -> Option<u64> {
        self.remaining[kind.index()][order] -= 1;
        if order == PAGEBLOCK {
            let position = self.next_block[kind.index()];
            self.next_block[kind.index()] += 1;
            let number = self.units.shuffled(position);
            let pfn = self.units.pfn(number) + if self.units.coin(number) { PAGES_PER_2M } else { 0 };
            self.assign(kind, pfn, frames);
            self.drawn.insert(pfn, [u64::MAX; WORDS]);
            return Some(pfn);
        }
        let pfn = self.draw_small(kind, order, frames);
        match pfn {
            Some(pfn) => self.mark(pfn, order),
            None => self.remaining[kind.index()][order - 1] += 2,
        }
        pfn
    }

    fn draw_small(&mut self, kind: MigrateType, order: usize, frames: &mut Frames) -> Option<u64> {
        let stays = !self.stream.ratio(u64::from(self.scatter), 1000);
        if let Some(block) = self.current[kind.index()].filter(|_| stays)
            && let Some(pfn) = self.slot(block, order)
        {
            return Some(pfn);
        }
        for _ in 0..TRIES {
            let pick = self.stream.below(self.spread[kind.index()].max(1)) as usize;
            let block = match self.assigned[kind.index()].get(pick) {
                Some(block) => *block,
                None => match self.hand_out(kind, frames) {
                    Some(block) => block,
                    None => break,
                },
            };
            if let Some(pfn) = self.slot(block, order) {
                self.current[kind.index()] = Some(block);
                return Some(pfn);
            }
        }
        self.search(kind, order, frames)
    }

    /// Finds room when chance does not: in the pageblocks of the type, in a new one; for single pages, anywhere.
    fn search(&mut self, kind: MigrateType, order: usize, frames: &mut Frames) -> Option<u64> {
        // Room only ever shrinks, so what has been searched once stays searched.
        while let Some(block) = self.assigned[kind.index()].get(self.searched[kind.index()][order]) {
            if let Some(pfn) = self.slot(*block, order) {
                return Some(pfn);
            }
            self.searched[kind.index()][order] += 1;
        }
        if let Some(block) = self.hand_out(kind, frames) {
            return self.slot(block, order);
        }
        if order > 0 {
            return None;
        }
        while let Some(block) = self.nth_block(self.searched_all) {
            let drawn = &self.drawn[&block];
            if let Some(word) = drawn.iter().position(|word| *word != u64::MAX) {
                return Some(block + word as u64 * 64 + u64::from(drawn[word].trailing_ones()));
            }
            self.searched_all += 1;
        }
        unreachable!("the units were seen to hold all free pages")
    }

    /// The pageblocks with a place, in the order in which they got it.
    fn nth_block(&self, index: usize) -> Option<u64> {
        (index < self.handed_out as usize).then(|| self.small_block(index as u64))
    }

    /// Gives the next unused pageblock to a type.
    fn hand_out(&mut self, kind: MigrateType, frames: &mut Frames) -> Option<u64> {
        if self.handed_out == self.small_blocks {
            return None;
        }
        let block = self.small_block(self.handed_out);
        self.handed_out += 1;
        self.assign(kind, block, frames);
        self.assigned[kind.index()].push(block);
        self.drawn.insert(block, [0; WORDS]);
        Some(block)
    }

    /// The pageblock for small blocks at this position: first the other halves of units with a free block of order 9,
    /// then both halves of the units after them.
    fn small_block(&self, position: u64) -> u64 {
        let (first, after) = self.small_from;
        let (unit, upper) = match position.checked_sub(after - first) {
            None => {
                let unit = self.units.shuffled(first + position);
                (unit, !self.units.coin(unit))
            }
            Some(rest) => (self.units.shuffled(after + rest / 2), rest % 2 == 1),
        };
        self.units.pfn(unit) + if upper { PAGES_PER_2M } else { 0 }
    }

    fn assign(&mut self, kind: MigrateType, block: u64, frames: &mut Frames) {
        self.unassigned[kind.index()] = self.unassigned[kind.index()].saturating_sub(1);
        frames.pin(block);
        frames.set_kind(block, kind);
        frames.set_used(block, PAGES_PER_2M, kind);
    }

    /// A random free place for a block of this order whose buddy is not such a block: they would have merged.
    fn slot(&mut self, block: u64, order: usize) -> Option<u64> {
        let drawn = self.drawn.get(&block)?;
        let slots = PAGES_PER_2M >> order;
        let start = self.stream.below(slots);
        let fits = |slot: u64| none_set(drawn, slot, order) && !all_set(drawn, slot ^ 1, order);
        (start..slots).chain(0..start).find(|slot| fits(*slot)).map(|slot| block + (slot << order))
    }

    fn mark(&mut self, pfn: u64, order: usize) {
        let block = pfn - pfn % PAGES_PER_2M;
        let drawn = self.drawn.get_mut(&block).expect("blocks are drawn in pageblocks with a place");
        for (word, mask) in masks((pfn - block) >> order, order) {
            drawn[word] |= mask;
        }
    }

    /// Draws which blocks without a place lie in this pageblock: each with the same chance as in any other pageblock of
    /// its type. The pageblock gets no further ones.
    pub(super) fn draw_pageblock(&mut self, block: u64, frames: &mut Frames) -> Vec<(MigrateType, usize, u64)> {
        let kind = frames.kind(block);
        let Some(index) = self.assigned[kind.index()].iter().position(|known| *known == block) else {
            return Vec::new();
        };
        let share = self.spread[kind.index()].max(1);
        let mut placed = Vec::new();
        for order in (0..PAGEBLOCK).rev() {
            for _ in 0..self.binomial(self.remaining(kind, order), share) {
                let Some(pfn) = self.slot(block, order) else { break };
                self.remaining[kind.index()][order] -= 1;
                self.mark(pfn, order);
                placed.push((kind, order, pfn));
            }
        }
        self.assigned[kind.index()].swap_remove(index);
        self.spread[kind.index()] = share - 1;
        self.current[kind.index()] = self.current[kind.index()].filter(|current| *current != block);
        placed
    }

    /// How many of `count` blocks fall into one of `share` equal places: gaps between hits are exponential.
    fn binomial(&mut self, count: u64, share: u64) -> u64 {
        if share == 1 {
            return count;
        }
        let mut hits = 0;
        let mut at = self.stream.exponential(share);
        while at < count && hits < PAGES_PER_2M {
            hits += 1;
            at = at.saturating_add(1).saturating_add(self.stream.exponential(share - 1));
        }
        hits
    }

    /// Bytes of heap, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        self.drawn.capacity() * (size_of::<Drawn>() + 9)
            + self.assigned.iter().map(|blocks| blocks.capacity() * 8).sum::<usize>()
    }
}

/// Over how many pageblocks the small blocks of each type are spread, and how many pageblocks of each type there are.
fn spread(counts: &FreeCounts, small: u64) -> ([u64; MigrateType::COUNT], [u64; MigrateType::COUNT]) {
    let large = counts.free.map(|orders| 2 * orders[MAX] + orders[PAGEBLOCK]);
    // Half as many again as the pages fill, so that blocks find room.
    let needed = counts.free.map(|orders| (pages_of(&orders[..PAGEBLOCK]) * 3 / 2).div_ceil(PAGES_PER_2M));
    let all: u64 = needed.iter().sum();
    let mut spread = if all > small { needed.map(|blocks| blocks * small / all) } else { needed };
    let left = small - spread.iter().sum::<u64>();
    let known = counts.blocks.unwrap_or([0, 1, 0]);
    let total: u64 = known.iter().sum::<u64>().max(1);
    for kind in [MigrateType::Unmovable, MigrateType::Reclaimable] {
        let kind = kind.index();
        let share = (u128::from(left) * u128::from(known[kind]) / u128::from(total)) as u64;
        spread[kind] += known[kind].saturating_sub(large[kind] + spread[kind]).min(share);
    }
    let others = spread[MigrateType::Unmovable.index()] + spread[MigrateType::Reclaimable.index()];
    spread[MigrateType::Movable.index()] = small - others;
    let blocks = counts.blocks.unwrap_or_else(|| std::array::from_fn(|kind| spread[kind] + large[kind]));
    (spread, blocks)
}

/// The words and bits of the `slot`-th block of this order in a pageblock.
fn masks(slot: u64, order: usize) -> impl Iterator<Item = (usize, u64)> {
    let (first, pages) = ((slot << order) as usize, 1usize << order);
    let words = first / 64..(first + pages).div_ceil(64);
    let mask = if pages >= 64 { u64::MAX } else { ((1 << pages) - 1) << (first % 64) };
    words.map(move |word| (word, mask))
}

fn none_set(drawn: &Drawn, slot: u64, order: usize) -> bool {
    masks(slot, order).all(|(word, mask)| drawn[word] & mask == 0)
}

fn all_set(drawn: &Drawn, slot: u64, order: usize) -> bool {
    masks(slot, order).all(|(word, mask)| drawn[word] & mask == mask)
}
