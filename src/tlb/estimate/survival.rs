//! How long a translation stays in a structure.

use super::flow::{Flow, Window};
use crate::tlb::cpu::Replacement;

/// Points at which the time is taken.
const POINTS: usize = 64;
/// A chance that counts as none, or, short of 1, as certain.
const NEGLIGIBLE: f64 = 1e-4;
/// How near, as a logarithm, the ends of the times must come to where the chance begins and ceases to fall.
const CLOSE: f64 = 0.05;
/// Most ways whose chances are added up one by one; above, the normal distribution stands for them.
const MOST_EXACT_WAYS: u32 = 32;

/// Chance that a translation is still there, by the time since it was last used.
#[derive(Clone, Debug)]
pub(super) enum Survival {
    /// Any entry gives way alike, so that the time an entry stays is exponential with this mean.
    Exponential(f64),
    /// A chance for each of some times.
    Curve(Curve),
}

/// Times in accesses of the whole demand, ascending, and the chance at each: 1 at time 0, and after the last time what
/// it is then.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    times: Vec<f64>,
    chances: Vec<f64>,
}

impl Survival {
    /// Never there.
    pub fn never() -> Self {
        Self::Curve(Curve { times: vec![0.0], chances: vec![0.0] })
    }

    /// Chance that a translation is there when it is used again, if the time to that is `dead` and then exponential
    /// with this rate.
    pub fn hit_chance(&self, rate: f64, dead: f64) -> f64 {
        let Curve { times, chances } = match self {
            Self::Exponential(mean) => return libm::exp(-dead / mean) * rate / (rate + 1.0 / mean),
            Self::Curve(curve) => curve,
        };
        let later = |time: f64| libm::exp(-rate * (time - dead).max(0.0));
        let (mut total, mut above, mut last) = (0.0, 1.0, 1.0);
        for (&time, &chance) in times.iter().zip(chances) {
            let here = later(time);
            total += (above - here) * (last + chance) / 2.0;
            (above, last) = (here, chance);
        }
        total + above * last
    }

    /// The mean time that a translation stays without being used; infinite if it may stay for ever.
    pub fn mean(&self) -> f64 {
        let Curve { times, chances } = match self {
            Self::Exponential(mean) => return *mean,
            Self::Curve(curve) => curve,
        };
        if chances.last().is_some_and(|last| *last > NEGLIGIBLE) {
            return f64::INFINITY;
        }
        let (mut total, mut before, mut last) = (0.0, 0.0, 1.0);
        for (&time, &chance) in times.iter().zip(chances) {
            total += (time - before) * (last + chance) / 2.0;
            (before, last) = (time, chance);
        }
        total
    }

    /// Least recently used first, or nearly: a translation survives while fewer others of its set than the set has ways
    /// were used since. For a translation of each of these regions and sizes, or for one of none.
    pub fn least_recent(
        flow: &Flow,
        owns: &[Option<usize>],
        sets: f64,
        ways: u32,
        replacement: Replacement,
    ) -> Vec<Self> {
        let missing = missing_ways(replacement, sets, ways);
        let chance = |window: &Window, own: Option<usize>| {
            let (mean, variance) = window.others(own);
            let plain = fewer_than(ways, mean, variance);
            if missing == 0.0 { plain } else { plain - missing * (plain - fewer_than(ways - 1, mean, variance)) }
        };
        // Of any two the one whose own piece counts less is lost first.
        let least = |time: f64| chance(&flow.window(time, sets), None);
        let most = |time: f64| {
            let window = flow.window(time, sets);
            owns.iter().map(|own| chance(&window, *own)).fold(0.0, f64::max)
        };
        let end = flow.settled();
        if flow.is_empty() || (sets == 1.0 && flow.fits(ways)) || least(end) > 1.0 - NEGLIGIBLE {
            return vec![Self::Curve(Curve { times: vec![0.0], chances: vec![1.0] }); owns.len()];
        }
        let first = crossing(&least, 1.0, end, 1.0 - NEGLIGIBLE);
        let last = if most(end) > NEGLIGIBLE { end } else { crossing(&most, first, end, NEGLIGIBLE) };
        let step = libm::pow(last / first, 1.0 / (POINTS - 1) as f64);
        let times: Vec<f64> = (0..POINTS).map(|point| first * libm::pow(step, point as f64)).collect();
        let windows: Vec<Window> = times.iter().map(|time| flow.window(*time, sets)).collect();
        let curve = |own: &Option<usize>| {
            let mut chances: Vec<f64> = windows.iter().map(|window| chance(window, *own)).collect();
            // The approximation is not monotone to the last digit, the chance is.
            for at in 1..chances.len() {
                chances[at] = chances[at].min(chances[at - 1]);
            }
            if let Some(end) = chances.last_mut().filter(|end| **end <= 2.0 * NEGLIGIBLE) {
                *end = 0.0;
            }
            Self::Curve(Curve { times: times.clone(), chances })
        };
        owns.iter().map(curve).collect()
    }
}

/// How many ways fewer a set under LRU would need to miss as often as one under the policy.
///
/// There is no formula for it. These figures are fitted to the simulation of the presets, where there are many sets; a
/// single set, or one of four ways, needs none.
fn missing_ways(replacement: Replacement, sets: f64, ways: u32) -> f64 {
    match replacement {
        Replacement::TreePlru if sets > 1.0 && ways >= 8 => 0.2,
        Replacement::Mru3Plru4 => 0.45,
        _ => 0.0,
    }
}

/// About the time at which a falling chance passes a level: no later for a high level, no earlier for a low one.
fn crossing(chance: &impl Fn(f64) -> f64, start: f64, end: f64, level: f64) -> f64 {
    let (mut low, mut high) = (libm::log(start.min(end)), libm::log(end.max(1e-300)));
    while high - low > CLOSE {
        let middle = (low + high) / 2.0;
        if chance(libm::exp(middle)) > level { low = middle } else { high = middle }
    }
    libm::exp(if level < 0.5 { high } else { low })
}

/// Chance that a count with this mean and variance is below `limit`: binomial, or normal for high limits.
fn fewer_than(limit: u32, mean: f64, variance: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    if limit > MOST_EXACT_WAYS {
        let deviation = (f64::from(limit) - 0.5 - mean) / libm::sqrt(variance.max(1e-9));
        return 0.5 * libm::erfc(-deviation * std::f64::consts::FRAC_1_SQRT_2);
    }
    // A binomial distribution of that mean and variance; its number of trials need not be whole.
    let success = (1.0 - variance / mean).clamp(1e-9, 1.0 - 1e-9);
    let trials = mean / success;
    let mut term = libm::exp(trials * libm::log1p(-success));
    let mut sum = 0.0;
    for count in 0..limit {
        sum += term;
        term *= (trials - f64::from(count)).max(0.0) / f64::from(count + 1) * success / (1.0 - success);
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_of_counts() {
        // Poisson with mean 2: P(X < 2) = 3 e^-2.
        assert!((fewer_than(2, 2.0, 2.0) - 3.0 * (-2.0f64).exp()).abs() < 1e-6);
        // Three trials of one half: P(X < 2) = 1/2.
        assert!((fewer_than(2, 1.5, 0.75) - 0.5).abs() < 1e-9);
        // No more than three others can never be four.
        assert!((fewer_than(4, 3.0 * 0.9, 3.0 * 0.09) - 1.0).abs() < 1e-9);
        assert!((fewer_than(1000, 999.5, 30.0) - 0.5).abs() < 1e-9);
        assert_eq!(fewer_than(1, 0.0, 0.0), 1.0);
    }

    #[test]
    fn exponential_times_hit_as_the_formula_says() {
        let survival = Survival::Exponential(100.0);
        for rate in [0.0001, 0.01, 1.0] {
            let exact = rate * 100.0 / (1.0 + rate * 100.0);
            assert!((survival.hit_chance(rate, 0.0) - exact).abs() < 1e-12, "{rate}");
        }
        assert_eq!(survival.mean(), 100.0);
        assert_eq!(Survival::never().hit_chance(1.0, 0.0), 0.0);
    }
}
