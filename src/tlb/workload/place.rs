//! Puts a workload's classes on the memory of a host.

use std::cmp::Ordering;

use super::contract::{Home, MemoryClass, Pattern, WorkloadDoc};
use crate::rng::{Component, Stream};
use crate::tlb::access::Access;
use crate::tlb::cpu::Kind;
use crate::tlb::estimate::{Demand, Gib, PageGroup, RankClass, Region, Sweep, rank_classes};
use crate::units::PageSize;

/// Bytes of a block.
pub(super) const BLOCK_SHIFT: u32 = 21;
/// Blocks in 1 GiB.
pub(super) const BLOCKS_PER_1G: u64 = 512;

/// Which blocks of 2 MiB a workload uses, and how much. Drawn once for a host: every allocator and every point of time
/// sees the same blocks, so that a difference in misses is one in page sizes.
#[derive(Clone, Debug)]
pub struct Placement {
    classes: Vec<PlacedClass>,
}

#[derive(Clone, Debug)]
pub(super) struct PlacedClass {
    /// Of all accesses.
    share: f64,
    /// Of its accesses.
    stores: f64,
    use_: Use,
    /// The blocks by rank, or by address for a stream.
    blocks: Vec<u64>,
}

#[derive(Clone, Debug)]
enum Use {
    Ranked(Vec<RankClass>),
    Streaming(f64),
}

impl Placement {
    /// Chooses blocks for each class among those of its home; `blocks` are the host's, by number and home. A home that
    /// is too small for its classes is shared in proportion to their working sets.
    pub fn new(workload: &WorkloadDoc, blocks: &[(u64, Home)], seed: u64) -> Self {
        let stream = &mut Stream::new(seed, Component::Accesses, 0);
        let mut classes: Vec<Option<PlacedClass>> = vec![None; workload.classes.len()];
        for home in [Home::Unmovable, Home::Movable] {
            let mut free: Vec<u64> = blocks.iter().filter(|(_, of)| *of == home).map(|(block, _)| *block).collect();
            stream.shuffle(&mut free);
            let available = free.len() as u64;
            for (at, class) in workload.classes.iter().enumerate().filter(|(_, class)| class.memory == home) {
                let share = share_of(class, workload, available);
                let rest = free.split_off((share as usize).min(free.len()));
                classes[at] = Some(PlacedClass::new(class, std::mem::replace(&mut free, rest)));
            }
        }
        Self::of_classes(classes.into_iter().flatten().collect())
    }

    /// Classes without a block are left out.
    pub(super) fn of_classes(mut classes: Vec<PlacedClass>) -> Self {
        classes.retain(|class| !class.blocks.is_empty());
        Self { classes }
    }

    /// The blocks of each class.
    #[cfg(test)]
    pub(super) fn blocks_by_class(&self) -> Vec<Vec<u64>> {
        self.classes.iter().map(|class| class.blocks.clone()).collect()
    }

    /// The demand if each block is mapped with this size; blocks of a page of 1G all say so.
    pub fn demand(&self, size_of: impl Fn(u64) -> PageSize) -> Demand {
        let mut demand = Demand::default();
        let mut gib: Vec<InGib> = Vec::new();
        let region = 0;
        for (stream, class) in self.classes.iter().enumerate() {
            let rates = |share: f64| [share * (1.0 - class.stores), share * class.stores, 0.0];
            match &class.use_ {
                Use::Streaming(accesses_per_4k) => {
                    class.sweeps(stream, *accesses_per_4k, &size_of, &mut demand.sweeps);
                }
                Use::Ranked(ranks) => {
                    for rank in ranks {
                        let each = class.share * rank.weight / (rank.end - rank.start) as f64;
                        let mut counts = [0.0f64; 3];
                        for &block in &class.blocks[rank.start as usize..rank.end as usize] {
                            let size = size_of(block);
                            counts[size as usize] += 1.0;
                            if size == PageSize::Size1G {
                                let (number, group) = (block / BLOCKS_PER_1G, demand.inside_1g.len());
                                gib.push(InGib { number, group, rates: rates(each) });
                            }
                        }
                        let mut group = |groups: fn(&mut Demand) -> &mut Vec<PageGroup>, size, pages, rate| {
                            if pages > 0.0 {
                                groups(&mut demand).push(PageGroup { region, size, pages, rates: rates(rate) });
                            }
                        };
                        group(|demand| &mut demand.groups, PageSize::Size4K, counts[0] * 512.0, each / 512.0);
                        group(|demand| &mut demand.groups, PageSize::Size2M, counts[1], each);
                        group(|demand| &mut demand.inside_1g, PageSize::Size2M, counts[2], each);
                    }
                }
            }
        }
        demand.regions.push(self.region(&demand.groups));
        push_gib(&mut demand, gib);
        demand
    }

    /// All that lies between the first and the last of the blocks; pages of 4K fill the blocks that have some.
    fn region(&self, groups: &[PageGroup]) -> Region {
        let blocks = || self.classes.iter().flat_map(|class| &class.blocks);
        let range = blocks().min().zip(blocks().max());
        let span = range.map_or(1, |(first, last)| last - first + 1) as f64;
        let small = groups.iter().filter(|group| group.size == PageSize::Size4K).map(|group| group.pages).sum();
        Region { slots: [small, span, (span / BLOCKS_PER_1G as f64).max(1.0)] }
    }

    /// Accesses as an endless list; `run` tells one list from another.
    pub fn accesses(&self, seed: u64, run: u32) -> Accesses<'_> {
        let positions = vec![0; self.classes.len()];
        Accesses {
            placement: self,
            stream: Stream::new(seed, Component::Accesses, run + 1),
            positions,
            sums: self.sums(),
        }
    }

    /// Shares of the classes, and of each class the weights of its rank classes, summed up.
    fn sums(&self) -> Vec<(f64, Vec<f64>)> {
        let mut total = 0.0;
        let of_class = |class: &PlacedClass| {
            total += class.share;
            let mut weight = 0.0;
            let ranks = match &class.use_ {
                Use::Ranked(ranks) => ranks.as_slice(),
                Use::Streaming(_) => &[],
            };
            let sum = |rank: &RankClass| {
                weight += rank.weight;
                weight
            };
            (total, ranks.iter().map(sum).collect())
        };
        self.classes.iter().map(of_class).collect()
    }
}

/// How many blocks a class gets, of so many in its home.
pub(super) fn share_of(class: &MemoryClass, workload: &WorkloadDoc, available: u64) -> u64 {
    let wanted = |class: &MemoryClass| class.working_set.get().div_ceil(1 << BLOCK_SHIFT).max(1);
    let same = workload.classes.iter().filter(|other| other.memory == class.memory);
    let total: u64 = same.map(wanted).fold(0, u64::saturating_add);
    if total <= available {
        return wanted(class);
    }
    (u128::from(wanted(class)) * u128::from(available) / u128::from(total)) as u64
}

/// A block inside a page of 1G: which page, which group of such blocks, and how often it is used.
#[derive(Clone, Copy)]
struct InGib {
    number: u64,
    group: usize,
    rates: [f64; 3],
}

/// Pages of 1G, each with all that is used in it by any class.
fn push_gib(demand: &mut Demand, mut blocks: Vec<InGib>) {
    // Sums in the order of addresses, so that they come out the same for any order of the classes' ranks.
    blocks.sort_by_key(|block| (block.number, block.group));
    let region = demand.regions.len();
    let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return };
    demand.regions.push(Region::contiguous(((last.number - first.number + 1) * BLOCKS_PER_1G) as f64));
    let mut pages: Vec<([f64; 3], Gib)> = Vec::new();
    for of_page in blocks.chunk_by(|one, other| one.number == other.number) {
        let mut sum = [0.0; 3];
        of_page.iter().for_each(|block| (0..3).for_each(|kind| sum[kind] += block.rates[kind]));
        let alike = of_page.chunk_by(|one, other| one.group == other.group);
        let inside = alike.map(|blocks| (blocks[0].group, blocks.len() as f64)).collect();
        pages.push((sum, Gib { number: of_page[0].number, group: 0, inside }));
    }
    // Most pages of a large host are used through one block of a class each: those that are used alike are a group.
    let order = |one: &[f64; 3], other: &[f64; 3]| {
        let kinds = one.iter().zip(other);
        kinds.map(|(one, other)| one.total_cmp(other)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    pages.sort_by(|one, other| order(&one.0, &other.0).then(one.1.number.cmp(&other.1.number)));
    for alike in pages.chunk_by_mut(|one, other| one.0 == other.0) {
        let group = PageGroup { region, size: PageSize::Size1G, pages: alike.len() as f64, rates: alike[0].0 };
        alike.iter_mut().for_each(|(_, page)| page.group = demand.groups.len());
        demand.groups.push(group);
    }
    demand.gibs = pages.into_iter().map(|(_, page)| page).collect();
}

impl PlacedClass {
    pub(super) fn new(class: &MemoryClass, mut blocks: Vec<u64>) -> Self {
        let use_ = match class.pattern {
            Pattern::Uniform {} => Use::Ranked(rank_classes(blocks.len() as u64, 0.0)),
            Pattern::Zipf(skew) => Use::Ranked(rank_classes(blocks.len() as u64, skew)),
            Pattern::Streaming { accesses_per_4k } => {
                blocks.sort_unstable();
                Use::Streaming(f64::from(accesses_per_4k))
            }
        };
        Self { share: class.share_percent / 100.0, stores: class.store_percent / 100.0, use_, blocks }
    }

    /// A stream as one sweep over the pages of each size.
    fn sweeps(&self, stream: usize, accesses_per_4k: f64, size_of: &impl Fn(u64) -> PageSize, sweeps: &mut Vec<Sweep>) {
        for size in PageSize::ALL {
            let blocks = self.blocks.iter().filter(|block| size_of(**block) == size).count();
            let share = self.share * blocks as f64 / self.blocks.len() as f64;
            for (kind, part) in [(Kind::Load, 1.0 - self.stores), (Kind::Store, self.stores)] {
                if share * part > 0.0 {
                    let accesses_per_4k = accesses_per_4k * part;
                    sweeps.push(Sweep { stream, kind, size, share: share * part, accesses_per_4k });
                }
            }
        }
    }
}

/// An endless list of accesses of a placed workload.
#[derive(Debug)]
pub struct Accesses<'a> {
    placement: &'a Placement,
    stream: Stream,
    /// How far each stream has come, in accesses.
    positions: Vec<u64>,
    sums: Vec<(f64, Vec<f64>)>,
}

impl Iterator for Accesses<'_> {
    type Item = Access;

    fn next(&mut self) -> Option<Access> {
        let at = self.uniform() * self.sums.last()?.0;
        let class_at = self.sums.partition_point(|(sum, _)| *sum <= at).min(self.sums.len() - 1);
        let class = &self.placement.classes[class_at];
        let address = match &class.use_ {
            Use::Streaming(accesses_per_4k) => {
                let position = self.positions[class_at];
                self.positions[class_at] += 1;
                let page = (position as f64 / accesses_per_4k) as u64;
                let block = class.blocks[(page / 512) as usize % class.blocks.len()];
                (block << BLOCK_SHIFT) + ((page % 512) << 12)
            }
            Use::Ranked(ranks) => {
                let at = self.uniform();
                let rank = &ranks[self.sums[class_at].1.partition_point(|sum| *sum <= at).min(ranks.len() - 1)];
                let block = class.blocks[(rank.start + self.stream.below(rank.end - rank.start)) as usize];
                (block << BLOCK_SHIFT) + (self.stream.below(512) << 12)
            }
        };
        let kind = if self.uniform() < class.stores { Kind::Store } else { Kind::Load };
        Some(Access::at(address, kind))
    }
}

impl Accesses<'_> {
    /// A number from 0 to below 1, out of 53 random bits.
    fn uniform(&mut self) -> f64 {
        (self.stream.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}
