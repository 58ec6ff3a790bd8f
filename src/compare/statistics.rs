//! Medians, their intervals, and the sign test. Exact, and free of assumptions on the distribution.

use crate::result::Better;

/// With fewer values no interval of order statistics covers the median with 95 %: `1 - 2 / 2^5` is less.
pub const LEAST_PAIRS: usize = 6;
/// Chance that an interval misses the median, at most; half of it on either side.
const MISS: f64 = 0.05;

/// Some numbers in short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many there are; at least one.
    pub count: usize,
    /// The smallest.
    pub least: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The largest.
    pub most: f64,
    /// Two of the numbers with the median of all hosts between them in at least 95 % of all samples; none if there are
    /// fewer than [`LEAST_PAIRS`].
    pub interval: Option<(f64, f64)>,
}

/// What became of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It got better.
    Better,
    /// It got worse.
    Worse,
    /// It changed, and nobody says whether that is good.
    Different,
    /// It did not change in any pair.
    Same,
    /// It may have changed, or that was chance.
    NotSignificant,
    /// There are fewer than [`LEAST_PAIRS`] pairs, so nobody can tell.
    TooFew,
}

/// Paired differences: new number less old number, host by host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The differences.
    pub summary: Summary,
    /// The median of the differences in percent of the old median; none if that is 0.
    pub percent: Option<f64>,
    /// How likely differences as one-sided as these are by chance: the two-sided sign test, where a difference of 0
    /// speaks for chance.
    pub p: f64,
    /// What that means.
    pub verdict: Verdict,
}

impl Summary {
    /// The summary of some numbers; none if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = sorted.len();
        let upper = *sorted.get(count / 2)?;
        let median = if count % 2 == 1 { upper } else { f64::midpoint(sorted[count / 2 - 1], upper) };
        let interval = rank(count).map(|rank| (sorted[rank - 1], sorted[count - rank]));
        Some(Self { count, least: sorted[0], median, most: sorted[count - 1], interval })
    }
}

impl Difference {
    /// What became of numbers that come in pairs `(old, new)`; none if there is no pair.
    pub fn of(pairs: &[(f64, f64)], better: Better) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(old, new)| new - old).collect();
        let summary = Summary::of(&differences)?;
        let old = Summary::of(&pairs.iter().map(|(old, _)| *old).collect::<Vec<_>>())?.median;
        let not_more = differences.iter().filter(|&&difference| difference <= 0.0).count();
        let not_less = differences.iter().filter(|&&difference| difference >= 0.0).count();
        let p = sign_test(differences.len(), not_more.min(not_less));
        let verdict = match summary.interval {
            _ if differences.iter().all(|&difference| difference == 0.0) => Verdict::Same,
            None => Verdict::TooFew,
            Some((low, high)) if low <= 0.0 && high >= 0.0 => Verdict::NotSignificant,
            Some((low, _)) => match (better, low > 0.0) {
                (Better::Neither | Better::Fixed, _) => Verdict::Different,
                (Better::Higher, true) | (Better::Lower, false) => Verdict::Better,
                (Better::Lower, true) | (Better::Higher, false) => Verdict::Worse,
            },
        };
        let percent = (old != 0.0).then(|| summary.median / old * 100.0);
        Some(Self { summary, percent, p, verdict })
    }
}

/// The largest rank `k` so that the `k`th smallest and the `k`th largest of `count` numbers hold the median between them
/// with 95 %: the chance that fewer than `k` of them lie below it is at most 2.5 %.
fn rank(count: usize) -> Option<usize> {
    let (mut below, mut rank) = (0.0, 0);
    for chance in heads(count) {
        below += chance;
        if below > MISS / 2.0 {
            break;
        }
        rank += 1;
    }
    (rank > 0).then_some(rank)
}

/// The two-sided sign test: how likely it is that at most `fewer` of `count` signs, or all but so many, are the same.
fn sign_test(count: usize, fewer: usize) -> f64 {
    let one_side: f64 = heads(count).take(fewer + 1).sum();
    (2.0 * one_side).min(1.0)
}

/// How likely 0, 1, 2 ... heads are among `count` throws of a coin.
///
/// Only sums, products and quotients, which are the same on every machine. The numbers are scaled so that those in the
/// middle are near 1: what is too small for a float then is too small to matter.
fn heads(count: usize) -> impl Iterator<Item = f64> {
    let mut weights = vec![1.0; count + 1];
    let middle = count / 2;
    for index in (0..middle).rev() {
        weights[index] = weights[index + 1] * (index + 1) as f64 / (count - index) as f64;
    }
    for index in middle + 1..=count {
        weights[index] = weights[count - index];
    }
    let all: f64 = weights.iter().sum();
    weights.into_iter().map(move |weight| weight / all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Numbers marked so come from scipy 1.17.1 (`stats.quantile_test` with q=0 and p=0.5, `stats.binomtest`, and
    // `stats.binom.cdf` for ranks), computed once.

    #[test]
    fn ranks_are_those_of_scipy() {
        for (count, wanted) in [(6, 1), (7, 1), (8, 1), (9, 2), (10, 2), (12, 3), (15, 4), (20, 6), (25, 8), (30, 10)] {
            assert_eq!(rank(count), Some(wanted), "{count}");
        }
        assert_eq!((rank(50), rank(100), rank(1000)), (Some(18), Some(40), Some(469)));
        for count in 0..LEAST_PAIRS {
            assert_eq!(rank(count), None, "{count}");
        }
    }

    #[test]
    fn medians_and_intervals_are_those_of_scipy() {
        let summary = |values: &[i32]| {
            let summary = Summary::of(&values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>()).unwrap();
            let (low, high) = summary.interval.unwrap();
            (summary.median, low, high)
        };
        assert_eq!(summary(&[980, 975, 1038, 980, 991, 960, 1002, 987, 979, 1010]), (983.5, 975.0, 1010.0));
        let skewed = [
            36, 51, 29, 45, 11, 168, 1, 140, 29, 15, 27, 16, 45, 54, 94, 11, 156, 37, 18, 44, 4, 3, 61, 39, 109, 24,
            26, 59, 27, 2,
        ];
        assert_eq!(summary(&skewed), (32.5, 24.0, 45.0));
        assert_eq!(summary(&[3, 1, 2, 4, 5, 6]), (3.5, 1.0, 6.0));
    }

    #[test]
    fn sign_tests_are_those_of_scipy() {
        for (fewer, count, p) in [
            (0, 6, 0.03125),
            (1, 6, 0.21875),
            (2, 12, 0.03857421875),
            (9, 30, 0.042773945257067694),
            (10, 30, 0.09873714670538905),
            (15, 30, 1.0),
            (0, 30, 1.862645149230957e-9),
            (3, 10, 0.34375),
            (400, 1000, 2.728464156065947e-10),
            (460, 1000, 0.012444146277171799),
            (4900, 10000, 0.04658552770494645),
        ] {
            let found = sign_test(count, fewer);
            assert!((found / p - 1.0).abs() < 1e-9, "{fewer} of {count}: {found} is not {p}");
        }
    }

    #[test]
    fn paired_differences_are_those_of_scipy() {
        let pairs = |differences: &[i32]| -> Vec<_> {
            differences.iter().map(|&difference| (1000.0, 1000.0 + f64::from(difference))).collect()
        };
        let some = pairs(&[-229, -224, -272, -279, 5, -200, 0, -250, -260, -241, -230, -220]);
        let difference = Difference::of(&some, Better::Lower).unwrap();
        assert_eq!((difference.summary.median, difference.summary.interval), (-229.5, Some((-260.0, -200.0))));
        assert!((difference.p - 0.03857421875).abs() < 1e-12);
        assert_eq!((difference.percent, difference.verdict), (Some(-22.95), Verdict::Better));
        let few = Difference::of(&pairs(&[0, 0, 0, 1, 2, 3, 1, 5]), Better::Lower).unwrap();
        assert_eq!((few.summary.interval, few.verdict), (Some((0.0, 5.0)), Verdict::NotSignificant));
        assert!((few.p - 0.7265625).abs() < 1e-12);
    }

    #[test]
    fn verdicts_follow_the_direction() {
        let verdict = |new: f64, better| Difference::of(&[(5.0, new); 6], better).unwrap().verdict;
        assert_eq!(verdict(6.0, Better::Lower), Verdict::Worse);
        assert_eq!(verdict(6.0, Better::Higher), Verdict::Better);
        assert_eq!(verdict(4.0, Better::Higher), Verdict::Worse);
        assert_eq!(verdict(4.0, Better::Neither), Verdict::Different);
        assert_eq!(verdict(5.0, Better::Lower), Verdict::Same);
        assert_eq!(Difference::of(&[(0.0, 1.0); 5], Better::Lower).unwrap().verdict, Verdict::TooFew);
        let from_nothing = Difference::of(&[(0.0, 1.0); 6], Better::Lower).unwrap();
        assert_eq!((from_nothing.percent, from_nothing.verdict), (None, Verdict::Worse));
        assert_eq!(Difference::of(&[], Better::Lower), None);
        assert_eq!(Summary::of(&[]), None);
    }

    proptest! {
        #[test]
        fn the_interval_leaves_out_zero_exactly_when_the_sign_test_says_so(
            values in proptest::collection::vec(-3i8..=3, 1..60)
        ) {
            let pairs: Vec<_> = values.iter().map(|&value| (0.0, f64::from(value))).collect();
            let difference = Difference::of(&pairs, Better::Lower).unwrap();
            let significant = matches!(difference.verdict, Verdict::Better | Verdict::Worse);
            prop_assert_eq!(significant, difference.p <= MISS, "{:?}", difference);
        }

        #[test]
        fn chances_add_up(count in 1usize..3000) {
            let sum: f64 = heads(count).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }
    }
}
