//! How long a translation stays in a structure.

use std::rc::Rc;

use super::decay::left;
use super::flow::{Count, Flow, Others, Window};

/// Points at which the time is taken.
const POINTS: usize = 64;
/// A chance that counts as none.
const NEGLIGIBLE: f64 = 1e-4;
/// A chance that counts as certain: what is used all the time is lost as seldom as that.
const CERTAIN: f64 = 1.0 - 1e-6;
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
    times: Rc<[f64]>,
    chances: Vec<f64>,
}

impl Survival {
    /// Never there.
    pub fn never() -> Self {
        Self::Curve(Curve { times: [0.0].into(), chances: vec![0.0] })
    }

    /// Chance that a translation is there when it is used again, if the time to that is `dead` and then exponential
    /// with this rate.
    pub fn hit_chance(&self, rate: f64, dead: f64) -> f64 {
        let Curve { times, chances } = match self {
            Self::Exponential(mean) => return libm::exp(-dead / mean) * rate / (rate + 1.0 / mean),
            Self::Curve(curve) => curve,
        };
        let later = |time: f64| left(rate * (time - dead).max(0.0));
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
    /// were used since. For a translation of each of these regions and sizes.
    pub fn least_recent(flow: &Flow, slots: &[usize], (sets, ways): (u32, u32)) -> Vec<Self> {
        if flow.is_empty() || (sets == 1 && flow.fits(ways)) {
            return vec![Self::for_ever(); slots.len()];
        }
        let window = |time: f64| flow.window(time, f64::from(sets));
        // A binomial distribution for all pieces together may be further off than the one for all but one's own.
        let chances = |time: f64, start: f64, choose: fn(f64, f64) -> f64| {
            let window = window(time);
            let of_slots = slots.iter().map(|slot| fewer_than(ways, window.others(Some(*slot))));
            of_slots.fold(start, choose)
        };
        let (least, most) = (|time: f64| chances(time, 1.0, f64::min), |time: f64| chances(time, 0.0, f64::max));
        let curves = |times: &[f64]| {
            let windows: Vec<Window> = times.iter().map(|time| window(*time)).collect();
            let of_slot =
                |slot: &usize| windows.iter().map(|window| fewer_than(ways, window.others(Some(*slot)))).collect();
            slots.iter().map(of_slot).collect()
        };
        survivals(slots.len(), flow.settled(), &least, &most, curves)
    }

    /// Never lost.
    fn for_ever() -> Self {
        Self::Curve(Curve { times: [0.0].into(), chances: vec![1.0] })
    }
}

/// Survivals of several, out of their chances at some times, the least chance of any, and a chance that is no less than
/// the one of any; nothing changes any more after the end.
pub(super) fn survivals(
    count: usize,
    end: f64,
    least: &impl Fn(f64) -> f64,
    most: &impl Fn(f64) -> f64,
    curves: impl FnOnce(&[f64]) -> Vec<Vec<f64>>,
) -> Vec<Survival> {
    if least(end) > 1.0 - NEGLIGIBLE {
        return vec![Survival::for_ever(); count];
    }
    let first = crossing(least, 1.0, end, CERTAIN);
    let last = if most(end) > NEGLIGIBLE { end } else { crossing(most, first, end, NEGLIGIBLE) };
    let step = libm::pow(last / first, 1.0 / (POINTS - 1) as f64);
    let times: Rc<[f64]> = (0..POINTS).map(|point| first * libm::pow(step, point as f64)).collect();
    let curve = |mut chances: Vec<f64>| {
        // The approximation is not monotone to the last digit, the chance is.
        for at in 1..chances.len() {
            chances[at] = chances[at].min(chances[at - 1]);
        }
        if let Some(end) = chances.last_mut().filter(|end| **end <= 2.0 * NEGLIGIBLE) {
            *end = 0.0;
        }
        Survival::Curve(Curve { times: Rc::clone(&times), chances })
    };
    curves(&times).into_iter().map(curve).collect()
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

/// Chance that a count is below `limit`: exact for few, or the normal distribution for high limits, unless there are
/// hardly more at all.
fn fewer_than(limit: u32, Others { even, other, most }: Others) -> f64 {
    let of_even = even.map_or(Count::default(), |(places, share)| Count::of(places, share));
    let (mean, variance) = (of_even.mean + other.mean, of_even.variance + other.variance);
    if mean <= 0.0 {
        return 1.0;
    }
    if limit <= MOST_EXACT_WAYS {
        return fewer_than_few(limit, even, other);
    }
    // So many must be missing; more than one less are.
    let missing = most + 1.0 - f64::from(limit);
    if missing <= 0.0 {
        return 1.0;
    }
    if missing <= f64::from(MOST_EXACT_WAYS) {
        let absent = Count { mean: (most - mean).max(0.0), variance };
        return 1.0 - fewer_than_few(missing as u32, None, absent);
    }
    let deviation = (f64::from(limit) - 0.5 - mean) / libm::sqrt(variance.max(1e-9));
    0.5 * libm::erfc(-deviation * std::f64::consts::FRAC_1_SQRT_2)
}

/// Chance that a count and how many of some places have one, each with a chance, are together below a limit.
fn fewer_than_few(limit: u32, even: Option<(f64, f64)>, other: Count) -> f64 {
    let mut below = [0.0; MOST_EXACT_WAYS as usize];
    let mut sum = 0.0;
    chances(limit, trials(other), |count, chance| {
        sum += chance;
        below[count as usize] = sum;
    });
    let Some((places, share)) = even else { return sum.min(1.0) };
    // Some sets have one place more than others.
    let (whole, more) = (libm::floor(places), places - libm::floor(places));
    let mut total = 0.0;
    for (places, part) in [(whole, 1.0 - more), (whole + 1.0, more)] {
        if part > NEGLIGIBLE {
            chances(limit, (places, share), |count, chance| {
                total += part * chance * below[(limit - 1 - count) as usize];
            });
        }
    }
    total.min(1.0)
}

/// Trials, of which there need not be a whole number, and the chance of each, that have this mean and variance.
fn trials(Count { mean, variance }: Count) -> (f64, f64) {
    if mean <= 0.0 {
        return (0.0, 0.0);
    }
    let success = (1.0 - variance / mean).clamp(1e-9, 1.0 - 1e-9);
    (mean / success, success)
}

/// Chances of 0 to `limit - 1` of so many trials succeeding, each with a chance.
fn chances(limit: u32, (trials, success): (f64, f64), mut each: impl FnMut(u32, f64)) {
    let success = success.min(1.0 - 1e-9);
    let odds = success / (1.0 - success);
    let mut term = libm::exp(trials * libm::log1p(-success));
    for count in 0..limit {
        each(count, term);
        term *= (trials - f64::from(count)).max(0.0) / f64::from(count + 1) * odds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_of_counts() {
        let below = |limit, mean, variance| {
            fewer_than(limit, Others { even: None, other: Count { mean, variance }, most: f64::INFINITY })
        };
        // Poisson with mean 2: P(X < 2) = 3 e^-2.
        assert!((below(2, 2.0, 2.0) - 3.0 * (-2.0f64).exp()).abs() < 1e-6);
        // Three trials of one half: P(X < 2) = 1/2.
        assert!((below(2, 1.5, 0.75) - 0.5).abs() < 1e-9);
        // No more than three others can never be four.
        assert!((below(4, 3.0 * 0.9, 3.0 * 0.09) - 1.0).abs() < 1e-9);
        assert!((below(1000, 999.5, 30.0) - 0.5).abs() < 1e-9);
        assert_eq!(below(1, 0.0, 0.0), 1.0);
        // 70 of which 69.5 come: below 69 if two or more are missing; 3.5 of 70 trials make half of them miss one.
        let other = Count { mean: 69.5, variance: 0.5 - 0.5 * 0.5 / 70.0 };
        let absent = fewer_than(69, Others { even: None, other, most: 70.0 });
        assert!((absent - (1.0 - (-0.5f64).exp() * 1.5)).abs() < 2e-3, "{absent}");
    }

    #[test]
    fn two_counts_are_added_up() {
        let both = |even, (mean, variance)| {
            fewer_than(4, Others { even: Some(even), other: Count { mean, variance }, most: f64::INFINITY })
        };
        // Two sure ones and a Poisson count of mean 1: below 4 if that is below 2.
        assert!((both((2.0, 1.0), (1.0, 1.0)) - 2.0 * (-1.0f64).exp()).abs() < 1e-6);
        // Three at most are never four, and four are, more often than a single distribution of both would have it.
        assert!((both((3.0, 0.9), (0.0, 0.0)) - 1.0).abs() < 1e-9);
        assert!(
            (both((4.0, 0.9), (0.01, 0.01)) - (1.0 - 0.9f64.powi(4) - 0.01 * 4.0 * 0.1 * 0.9f64.powi(3))).abs() < 2e-4
        );
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
