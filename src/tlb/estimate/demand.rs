//! What the analytic engine is told: pages and how often each is used, in groups of pages that are used alike.

use crate::tlb::cpu::Kind;
use crate::units::PageSize;

/// Pages of one size in one region that are used equally often, independently of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageGroup {
    /// Which region of the demand they lie in.
    pub region: usize,
    /// Their size.
    pub size: PageSize,
    /// How many they are.
    pub pages: f64,
    /// How often each of them is loaded from, stored to, and fetched from, per access of the whole demand.
    pub rates: [f64; 3],
}

/// A piece of memory whose pages are used in random order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Places for pages of each size in the piece, in the order of [`PageSize::ALL`]; it lies in one piece, so that
    /// they are spread evenly over the sets of a TLB. Infinite if they lie scattered instead.
    pub slots: [f64; 3],
}

impl Region {
    /// Pages scattered over memory.
    pub const SCATTERED: Self = Self { slots: [f64::INFINITY; 3] };

    /// A contiguous range of this many blocks of 2 MiB.
    pub fn contiguous(blocks: f64) -> Self {
        Self { slots: [blocks * 512.0, blocks, (blocks / 512.0).max(1.0)] }
    }
}

/// Memory that is read or written from one end to the other, each place once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    /// Which sweeps are parts of the same one: it is at one page at a time.
    pub stream: usize,
    /// What is done there.
    pub kind: Kind,
    /// The size of its pages.
    pub size: PageSize,
    /// Its share of all accesses.
    pub share: f64,
    /// How many accesses follow each other in 4 KiB.
    pub accesses_per_4k: f64,
}

/// Everything that is accessed; the rates of all groups and the shares of all sweeps add up to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// Where the groups lie.
    pub regions: Vec<Region>,
    /// Pages used in random order.
    pub groups: Vec<PageGroup>,
    /// The 2 MiB blocks inside those of the groups that are pages of 1G, as if they were pages of 2M: some structures
    /// keep such pages in pieces, and some pieces are used more than others. Empty if all are used alike.
    pub inside_1g: Vec<PageGroup>,
    /// Pages used one after the other.
    pub sweeps: Vec<Sweep>,
    /// The pages of 1G one by one. Empty if that is not known.
    pub gibs: Vec<Gib>,
}

/// A page of 1G.
#[derive(Clone, Debug, PartialEq)]
pub struct Gib {
    /// Its address in GiB.
    pub number: u64,
    /// Which of the demand's groups it is one of.
    pub group: usize,
    /// Which of the groups inside pages of 1G have blocks here, and how many.
    pub inside: Vec<(usize, f64)>,
}

/// Blocks of 2 MiB by rank, the most used first, in classes of about equal use: ranks `start..end` and their summed
/// weight, where the weights of all ranks add up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankClass {
    /// The first rank, counted from 0.
    pub start: u64,
    /// One past the last rank.
    pub end: u64,
    /// How much of all use falls on these ranks together.
    pub weight: f64,
}

/// Ranks whose uses differ by no more than this share one class.
const CLASS_RATIO: f64 = 1.1;

/// Classes of `count` ranks of which rank `k` (from 1) is used in proportion to `k^-skew`; 0 is uniform use.
pub fn rank_classes(count: u64, skew: f64) -> Vec<RankClass> {
    let mut classes = Vec::new();
    let mut start = 0u64;
    let ratio = if skew > 0.0 { libm::pow(CLASS_RATIO, 1.0 / skew).max(1.0 + 1e-9) } else { f64::INFINITY };
    while start < count {
        let widest = ((start + 1) as f64 * ratio).min(count as f64 + 1.0) as u64 - 1;
        let end = widest.clamp(start + 1, count);
        classes.push(RankClass { start, end, weight: weight(start, end, skew) });
        start = end;
    }
    let total: f64 = classes.iter().map(|class| class.weight).sum();
    for class in &mut classes {
        class.weight /= total;
    }
    classes
}

/// The sum of `k^-skew` over the ranks `start + 1..=end`: exact where they are few, the midpoint integral elsewhere.
fn weight(start: u64, end: u64, skew: f64) -> f64 {
    if end - start <= 16 {
        return (start + 1..=end).map(|rank| libm::pow(rank as f64, -skew)).sum();
    }
    let (from, to) = (start as f64 + 0.5, end as f64 + 0.5);
    if (skew - 1.0).abs() < 1e-9 {
        return libm::log(to / from);
    }
    (libm::pow(to, 1.0 - skew) - libm::pow(from, 1.0 - skew)) / (1.0 - skew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_rank_once_and_weigh_right() {
        for (count, skew) in [(1u64, 0.9), (17, 0.0), (32768, 0.6), (32768, 0.9), (5000, 1.0), (100_000, 1.2)] {
            let classes = rank_classes(count, skew);
            assert_eq!((classes[0].start, classes[classes.len() - 1].end), (0, count));
            assert!(classes.windows(2).all(|pair| pair[0].end == pair[1].start));
            let exact: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-skew)).collect();
            let total: f64 = exact.iter().sum();
            for class in &classes {
                let sum: f64 = exact[class.start as usize..class.end as usize].iter().sum();
                assert!((class.weight - sum / total).abs() < 2e-4 * sum / total, "{count} {skew} {class:?}");
            }
            assert!(classes.len() < 200, "{} classes", classes.len());
        }
    }
}
