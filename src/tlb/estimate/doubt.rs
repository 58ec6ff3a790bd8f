//! Where an estimate may be further off than it is meant to be.

use super::{Demand, Estimate};
use crate::tlb::cpu::{Cpu, Kind, Level};
use crate::units::PageSize;

/// First-level misses or walks for pages of 1G, per access, from which on these can be in doubt.
const LEAST_1G: f64 = 0.02;
/// How much of the difference between LRU and random replacement a policy between them is not known by, in the first
/// level, where small trees are taken for LRU, and in the second, where a part of it is fitted.
const POLICY: [f64; 2] = [0.15, 0.05];
/// So many times the deviation that comes from how many pages lie in each set: that it is often the most used ones
/// which meet is not part of it.
const DRAWS: f64 = 6.0;

/// What an estimate would change by if it assumed otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// First-level misses per access more if what is taken for nearly LRU were random replacement.
    pub first_random: f64,
    /// The same of walks and the second level.
    pub second_random: f64,
    /// Variance of the walks per access over draws of the used places.
    draw: f64,
}

impl Bounds {
    /// Adds what a structure misses more than if all its sets had as many pages each. That is in proportion to the
    /// variance of how many they have; over so many sets this deviates by the root of two over their number.
    pub fn add_draw(&mut self, sets: f64, more: f64) {
        self.draw += 2.0 / sets * more * more;
    }
}

/// Why an estimate may be more than 2 % and 0.002 per access off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// Pages of 1G miss, and a few of them decide: one is for long used by a stream, or levels keep them in different
    /// pieces.
    pub pages_of_1g: bool,
    /// The replacement is neither LRU nor random, and between these two misses differ much.
    pub replacement: bool,
    /// It is chance how many of the used pages lie in each set of the second level, and makes a difference.
    pub sets: bool,
}

impl Doubt {
    /// About an estimate for a core.
    pub(super) fn of(cpu: &Cpu, demand: &Demand, estimate: &Estimate, bounds: &Bounds) -> Self {
        let (misses, walks) = (estimate.total_first_level_misses(), estimate.total_walks());
        let replacement = POLICY[0] * bounds.first_random > Estimate::allowed(misses)
            || POLICY[1] * bounds.second_random > Estimate::allowed(walks);
        Self {
            pages_of_1g: pages_of_1g(cpu, demand, estimate),
            replacement,
            sets: DRAWS * libm::sqrt(bounds.draw) > Estimate::allowed(walks),
        }
    }

    /// Whether there is any.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

fn pages_of_1g(cpu: &Cpu, demand: &Demand, estimate: &Estimate) -> bool {
    let sum = |rate: fn(&Estimate, Kind, PageSize) -> f64| -> f64 {
        Kind::ALL.iter().map(|kind| rate(estimate, *kind, PageSize::Size1G)).sum()
    };
    let miss = [sum(Estimate::first_level_misses), sum(Estimate::walks)].map(|rate| rate > LEAST_1G);
    // The smallest pieces in which a level keeps them for loads.
    let pieces = [Level::First, Level::Second].map(|level| {
        let of_level = cpu.structures(level, Kind::Load).flat_map(|(_, structure)| &structure.pages);
        of_level.filter(|held| held.page() == PageSize::Size1G).map(|held| held.piece()).min()
    });
    let whole = |level: usize| miss[level] && pieces[level] == Some(PageSize::Size1G);
    let streamed = demand.sweeps.iter().any(|sweep| sweep.size == PageSize::Size1G);
    // Pieces of 4K are so many that the first level has hardly any of them.
    let differ = pieces == [Some(PageSize::Size2M), Some(PageSize::Size1G)] && miss[1];
    (streamed && (whole(0) || whole(1))) || differ
}
