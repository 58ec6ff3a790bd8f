//! Rates that were counted instead of estimated, and how far the two may be apart.

use super::{Doubt, Estimate};
use crate::tlb::cpu::Kind;
use crate::tlb::engine::Counts;
use crate::units::PageSize;

/// What an estimate may be off by: a part of what is simulated.
const TOLERANCE: f64 = 0.02;
/// The same per access, where misses are rare.
const LEAST_TOLERANCE: f64 = 0.002;

impl Estimate {
    /// What a simulation counted, per access.
    pub(in crate::tlb) fn counted(counts: &Counts) -> Self {
        let total = counts.total_accesses().max(1) as f64;
        let table = |count: fn(&Counts, Kind, PageSize) -> u64| {
            Kind::ALL.map(|kind| PageSize::ALL.map(|size| count(counts, kind, size) as f64 / total))
        };
        Self {
            accesses: table(Counts::accesses),
            first_misses: table(Counts::first_level_misses),
            walks: table(Counts::walks),
            doubt: Doubt::default(),
        }
    }

    /// The rates between these and others; `part` from 0 to 1 says how far towards the others.
    pub(in crate::tlb) fn towards(&self, other: &Self, part: f64) -> Self {
        let mix = |from: [[f64; 3]; 3], to: [[f64; 3]; 3]| {
            std::array::from_fn(|kind| {
                std::array::from_fn(|size| from[kind][size] + part * (to[kind][size] - from[kind][size]))
            })
        };
        Self {
            accesses: mix(self.accesses, other.accesses),
            first_misses: mix(self.first_misses, other.first_misses),
            walks: mix(self.walks, other.walks),
            doubt: Doubt::default(),
        }
    }

    /// What a rate may be off by.
    pub(super) fn allowed(rate: f64) -> f64 {
        (TOLERANCE * rate).max(LEAST_TOLERANCE)
    }

    /// Whether its misses are further from simulated ones than the 2 %, or 0.002 per access, that estimates are meant to
    /// keep.
    pub fn is_off(&self, simulated: &Self) -> bool {
        let off = |estimated: f64, simulated: f64| (estimated - simulated).abs() > Self::allowed(simulated);
        off(self.total_first_level_misses(), simulated.total_first_level_misses())
            || off(self.total_walks(), simulated.total_walks())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walking(walks: f64) -> Estimate {
        let mut rates = Estimate::default();
        rates.walks[0][0] = walks;
        rates
    }

    #[test]
    fn two_percent_or_two_in_a_thousand_are_allowed() {
        for (estimated, simulated, off) in [
            (0.509, 0.5, false),
            (0.511, 0.5, true),
            (0.489, 0.5, true),
            (0.0119, 0.01, false),
            (0.0121, 0.01, true),
            (0.0, 0.0, false),
        ] {
            assert_eq!(walking(estimated).is_off(&walking(simulated)), off, "{estimated} for {simulated}");
            let misses = |rate| Estimate { first_misses: walking(rate).walks, ..Estimate::default() };
            assert_eq!(misses(estimated).is_off(&misses(simulated)), off, "first-level misses");
        }
    }

    #[test]
    fn rates_between_others_lie_on_the_way() {
        let (from, to) = (walking(0.25), walking(0.75));
        assert_eq!([0.0, 0.5, 1.0].map(|part| from.towards(&to, part).total_walks()), [0.25, 0.5, 0.75]);
    }
}
