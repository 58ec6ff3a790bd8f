//! Where on a host each class of memory lies.

use rustc_hash::FxHashSet;

use super::contract::{Home, WorkloadDoc};
use super::place::{BLOCK_SHIFT, BLOCKS_PER_1G, PlacedClass, Placement, share_of};
use crate::rng::{Component, Stream};
use crate::tlb::leaves::{LeafMap, LeafMapBuilder};
use crate::units::{PAGES_PER_2M, PageSize, PfnRange};

/// Page sizes and pageblock types of a host at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostMap<'a> {
    /// The direct map's pages by size, ascending.
    pub pages: &'a [(PfnRange, PageSize)],
    /// Numbers of the pageblocks that are not movable, ascending.
    pub not_movable: &'a [u64],
    /// How many more of them there are whose place is not known.
    pub unplaced: u64,
}

impl HostMap<'_> {
    /// The size of each block's page if nothing were split: the largest that alignment and RAM allow, but for the first
    /// 2 MiB and the first GiB, where the hole below 1 MiB always leaves smaller ones.
    pub fn unsplit(self, largest: PageSize) -> impl Fn(u64) -> PageSize {
        let blocks = Blocks::of(self.pages);
        move |block| {
            let gib = block / BLOCKS_PER_1G * BLOCKS_PER_1G;
            if largest == PageSize::Size1G && gib > 0 && blocks.contains_all(gib, BLOCKS_PER_1G) {
                PageSize::Size1G
            } else if largest != PageSize::Size4K && block > 0 && blocks.contains_all(block, 1) {
                PageSize::Size2M
            } else {
                PageSize::Size4K
            }
        }
    }

    /// The same as a map of the blocks that are RAM as a whole.
    pub(in crate::tlb) fn unsplit_leaves(self, largest: PageSize) -> LeafMap {
        let (blocks, size_of) = (Blocks::of(self.pages), self.unsplit(largest));
        let mut builder = LeafMapBuilder::new();
        for (at, (first, before)) in blocks.ranges.iter().enumerate() {
            let mut block = *first;
            let end = first + blocks.ranges.get(at + 1).map_or(blocks.count, |(_, next)| *next) - before;
            while block < end {
                let size = size_of(block);
                let count = if size == PageSize::Size1G { BLOCKS_PER_1G } else { 1 };
                builder.map(block << BLOCK_SHIFT, count << BLOCK_SHIFT, size).expect("no block comes twice");
                block += count;
            }
        }
        builder.build()
    }
}

/// The 2 MiB blocks of a host that are mapped as a whole, counted from 0.
struct Blocks {
    /// First block of each range, and how many blocks there are before it.
    ranges: Vec<(u64, u64)>,
    count: u64,
}

impl Blocks {
    fn of(pages: &[(PfnRange, PageSize)]) -> Self {
        let mut mapped: Vec<PfnRange> = Vec::new();
        for (range, _) in pages {
            match mapped.last_mut() {
                Some(last) if last.end() == range.start() => {
                    *last = PfnRange::with_len(last.start(), last.pages() + range.pages());
                }
                _ => mapped.push(*range),
            }
        }
        let (mut ranges, mut count) = (Vec::new(), 0);
        for range in mapped {
            let (first, end) = (range.start().get().div_ceil(PAGES_PER_2M), range.end().get() / PAGES_PER_2M);
            if first < end {
                ranges.push((first, count));
                count += end - first;
            }
        }
        Self { ranges, count }
    }

    /// The number of the block at this place.
    fn at(&self, place: u64) -> u64 {
        let range = self.ranges.partition_point(|(_, before)| *before <= place) - 1;
        let (first, before) = self.ranges[range];
        first + place - before
    }

    /// Whether all of these blocks, `count` from the first on, are mapped without a gap.
    fn contains_all(&self, block: u64, count: u64) -> bool {
        let Some(range) = self.ranges.partition_point(|(first, _)| *first <= block).checked_sub(1) else {
            return false;
        };
        let (first, before) = self.ranges[range];
        let end = self.ranges.get(range + 1).map_or(self.count, |(_, before)| *before);
        block - first + count <= end - before
    }
}

/// A random order of the numbers below a limit, without a list of them: a Feistel network, walked until it stays below.
struct Shuffled {
    count: u64,
    half: u32,
    keys: [u64; 4],
}

impl Shuffled {
    fn new(count: u64, stream: &mut Stream) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self { count, half: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| stream.bits()) }
    }

    /// The number at this place.
    fn at(&self, mut place: u64) -> u64 {
        let mask = (1u64 << self.half) - 1;
        loop {
            let (mut left, mut right) = (place >> self.half, place & mask);
            for key in self.keys {
                (left, right) = (right, left ^ mix(right ^ key) & mask);
            }
            place = left << self.half | right;
            if place < self.count {
                return place;
            }
        }
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
pub(in crate::tlb) const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

impl Placement {
    /// Puts each class on pageblocks of its home as a host has them: slab, page tables and network buffers on those
    /// that are not movable, page cache and copies on movable ones.
    ///
    /// Each class goes through the host's blocks in an order of its own, which depends on seed and RAM alone. So all
    /// allocators and moments see the same choice, but for the blocks whose type differs: one that becomes unmovable
    /// joins at its place in the order, and those behind it keep theirs. Blocks of an aged host that are not drawn yet
    /// stand in such an order too. A home that is too small is shared in proportion to the working sets.
    pub fn on_host(workload: &WorkloadDoc, host: HostMap<'_>, seed: u64) -> Self {
        let blocks = Blocks::of(host.pages);
        let mut stream = Stream::new(seed, Component::Accesses, u32::MAX);
        let mut kernel: FxHashSet<u64> =
            host.not_movable.iter().copied().filter(|&block| blocks.contains_all(block, 1)).collect();
        let order = Shuffled::new(blocks.count, &mut stream);
        let wanted = (kernel.len() as u64).saturating_add(host.unplaced).min(blocks.count);
        let mut places = 0..blocks.count;
        while (kernel.len() as u64) < wanted
            && let Some(place) = places.next()
        {
            kernel.insert(blocks.at(order.at(place)));
        }
        let mut taken: FxHashSet<u64> = FxHashSet::default();
        let classes = workload.classes.iter().map(|class| {
            let order = Shuffled::new(blocks.count, &mut stream);
            let key = stream.bits();
            let available = match class.memory {
                Home::Unmovable => kernel.len() as u64,
                Home::Movable => blocks.count - kernel.len() as u64,
            };
            let share = share_of(class, workload, available);
            let chosen: Vec<u64> = match class.memory {
                Home::Unmovable => {
                    let mut free: Vec<u64> = kernel.iter().copied().filter(|block| !taken.contains(block)).collect();
                    free.sort_unstable_by_key(|block| (mix(block ^ key), *block));
                    free.truncate(share as usize);
                    free
                }
                Home::Movable => {
                    let in_order = (0..blocks.count).map(|place| blocks.at(order.at(place)));
                    in_order
                        .filter(|block| !kernel.contains(block) && !taken.contains(block))
                        .take(share as usize)
                        .collect()
                }
            };
            taken.extend(&chosen);
            PlacedClass::new(class, chosen)
        });
        Self::of_classes(classes.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlb::Workload;
    use crate::units::Pfn;

    fn range(first_block: u64, blocks: u64) -> PfnRange {
        PfnRange::with_len(Pfn::new(first_block * PAGES_PER_2M), blocks * PAGES_PER_2M)
    }

    #[test]
    fn a_shuffled_order_has_every_number_once() {
        for count in [1, 2, 3, 100, 1000, 4096] {
            let order = Shuffled::new(count, &mut Stream::new(7, Component::Accesses, 0));
            let mut seen: Vec<u64> = (0..count).map(|place| order.at(place)).collect();
            assert!(count < 100 || !seen.is_sorted());
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count), "{count}");
        }
    }

    #[test]
    fn blocks_are_those_mapped_as_a_whole() {
        let odd = PfnRange::with_len(Pfn::new(100 * PAGES_PER_2M + 5), 3 * PAGES_PER_2M);
        let pages = [(range(0, 4), PageSize::Size4K), (range(4, 4), PageSize::Size2M), (odd, PageSize::Size4K)];
        let blocks = Blocks::of(&pages);
        assert_eq!(
            (0..blocks.count).map(|place| blocks.at(place)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6, 7, 101, 102]
        );
        assert_eq!(
            [7, 8, 100, 101, 102, 103].map(|block| blocks.contains_all(block, 1)),
            [true, false, false, true, true, false]
        );
    }

    #[test]
    fn kernel_memory_lies_in_blocks_that_are_not_movable_and_others_keep_their_place() {
        let workload = Workload::named("web-server").unwrap();
        let pages = [(range(0, 32768), PageSize::Size2M)];
        let before: Vec<u64> = (0..1000).map(|number| number * 3).collect();
        let mut after = before.clone();
        after.push(30_000);
        let place = |not_movable: &[u64], unplaced| {
            Placement::on_host(workload.doc(), HostMap { pages: &pages, not_movable, unplaced }, 1).blocks_by_class()
        };
        let (old, new) = (place(&before, 0), place(&after, 0));
        for (class, (old, new)) in workload.doc().classes.iter().zip(old.iter().zip(&new)) {
            let home = |block: &u64| before.contains(block) == (class.memory == Home::Unmovable);
            assert!(old.iter().all(home), "{}", class.name);
            let gone = old.iter().filter(|block| !new.contains(block)).count();
            assert!(gone <= 4, "{}: {gone} of {} blocks went", class.name, old.len());
        }
        // What an aged host has not drawn yet counts as well.
        let known: usize = place(&before[..400], 0)[0].len();
        assert!(place(&before[..400], 600)[0].len() > 2 * known);
    }
}
