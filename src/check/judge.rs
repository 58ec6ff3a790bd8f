//! The verdict on every metric.

use std::collections::BTreeMap;

use super::rules::{Direction, Rules};
use crate::result::{Better, Metric, Outcome, ResultDoc, Run};

/// 1 if the replay reached the end of the trace, 0 if it ran out of memory before.
const COMPLETED: &str = "outcome.completed";

/// What was found out about a metric that is in both results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// It changed for the worse, by more than allowed.
    Worse,
    /// It changed for the better, by more than allowed.
    Better,
    /// It changed, as it may.
    Allowed,
}

/// A metric that is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Whether that is good.
    pub found: Found,
    /// The allocator.
    pub allocator: String,
    /// The seed.
    pub seed: u64,
    /// The metric's name.
    pub metric: String,
    /// What it was.
    pub baseline: f64,
    /// What it is.
    pub now: f64,
    /// How much it may change; none if it may change at will.
    pub allowed: Option<f64>,
}

/// A metric that is in only one of the two results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The metric's name; none if the whole run is missing.
    pub metric: Option<String>,
    /// The runs that it is missing in: allocator and seed.
    pub runs: Vec<(String, u64)>,
}

/// A result held against its baseline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// What changed: the worst first, then in the order of runs and metrics.
    pub changes: Vec<Change>,
    /// How many metrics are what they were.
    pub same: usize,
    /// What the result has and the baseline has not. Nobody can judge it yet.
    pub came: Vec<Missing>,
    /// What the baseline has and the result has not. It counts as worse: its rule cannot hold.
    pub went: Vec<Missing>,
}

impl Checked {
    /// How many metrics were found to be so.
    pub fn count(&self, found: Found) -> usize {
        self.changes.iter().filter(|change| change.found == found).count()
    }

    /// Whether something got worse or went.
    pub fn is_worse(&self) -> bool {
        self.count(Found::Worse) > 0 || !self.went.is_empty()
    }

    /// Whether nothing at all is different.
    pub fn is_same(&self) -> bool {
        self.changes.is_empty() && self.came.is_empty() && self.went.is_empty()
    }
}

/// Holds a result against a baseline: every metric of every allocator and seed, by its rule.
pub fn check(now: &ResultDoc, baseline: &ResultDoc, rules: &Rules) -> Checked {
    let mut checked = Checked::default();
    let (mut came, mut went) = (Collected::default(), Collected::default());
    for old in &baseline.runs {
        let Some(new) = counterpart(now, old) else {
            went.add(None, old);
            continue;
        };
        let (old_metrics, new_metrics) = (measures(old), measures(new));
        for metric in &old_metrics {
            let Some(is) = value(&new_metrics, &metric.name) else {
                went.add(Some(&metric.name), old);
                continue;
            };
            match judge(&metric.name, metric.value, is, rules) {
                None => checked.same += 1,
                Some((found, allowed)) => checked.changes.push(Change {
                    found,
                    allocator: old.allocator.clone(),
                    seed: old.seed,
                    metric: metric.name.clone(),
                    baseline: metric.value,
                    now: is,
                    allowed,
                }),
            }
        }
        let new_names = new_metrics.iter().filter(|metric| value(&old_metrics, &metric.name).is_none());
        new_names.for_each(|metric| came.add(Some(&metric.name), new));
    }
    now.runs.iter().filter(|new| counterpart(baseline, new).is_none()).for_each(|new| came.add(None, new));
    // Stable: within a verdict the order stays.
    checked.changes.sort_by_key(|change| change.found);
    Checked { came: came.into_list(), went: went.into_list(), ..checked }
}

/// The verdict on one metric, with how much it may change; none if it did not change.
fn judge(metric: &str, baseline: f64, now: f64, rules: &Rules) -> Option<(Found, Option<f64>)> {
    if now == baseline {
        return None;
    }
    let better = if metric == COMPLETED { Better::Higher } else { Better::of(metric) };
    let allowance = rules.allowance(metric, better);
    let (change, allowed) = (now - baseline, allowance.amount(baseline));
    let found = match allowance.direction {
        Direction::Any => return Some((Found::Allowed, None)),
        _ if change.abs() <= allowed => Found::Allowed,
        Direction::Lower if change < 0.0 => Found::Better,
        Direction::Higher if change > 0.0 => Found::Better,
        Direction::Lower | Direction::Higher | Direction::Same => Found::Worse,
    };
    Some((found, Some(allowed)))
}

fn counterpart<'a>(result: &'a ResultDoc, run: &Run) -> Option<&'a Run> {
    result.runs.iter().find(|other| other.allocator == run.allocator && other.seed == run.seed)
}

/// The metrics of a run, and whether it reached the end of the trace.
fn measures(run: &Run) -> Vec<Metric> {
    let completed = f64::from(u8::from(run.outcome == Outcome::Completed {}));
    let mut measures = vec![Metric { name: COMPLETED.to_owned(), value: completed }];
    measures.extend(run.metrics());
    measures
}

fn value(metrics: &[Metric], name: &str) -> Option<f64> {
    metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
}

/// Runs by what is missing in them.
#[derive(Default)]
struct Collected(BTreeMap<Option<String>, Vec<(String, u64)>>);

impl Collected {
    fn add(&mut self, metric: Option<&str>, run: &Run) {
        self.0.entry(metric.map(str::to_owned)).or_default().push((run.allocator.clone(), run.seed));
    }

    fn into_list(self) -> Vec<Missing> {
        self.0.into_iter().map(|(metric, runs)| Missing { metric, runs }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing::two_runs;

    fn with(rules: &str, tolerances: &[&str]) -> Rules {
        Rules {
            checks: serde_json::from_str(rules).unwrap(),
            tolerances: tolerances.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    /// What is found if one counter of pack-4k changes from its baseline.
    fn found(counter: &str, from: u64, to: u64, rules: &Rules) -> Option<Found> {
        let (mut baseline, mut now) = (two_runs(), two_runs());
        baseline.runs[1].counters.set(counter, from);
        now.runs[1].counters.set(counter, to);
        let checked = check(&now, &baseline, rules);
        assert!(checked.came.is_empty() && checked.went.is_empty() && checked.changes.len() <= 1, "{checked:?}");
        checked.changes.first().map(|change| change.found)
    }

    #[test]
    fn counters_are_exact_by_default() {
        let found = |counter, from, to| found(counter, from, to, &Rules::default());
        assert_eq!(found("direct_map_level2_splits", 3, 4), Some(Found::Worse), "by one split");
        assert_eq!(found("direct_map_level2_splits", 0, 1), Some(Found::Worse), "from nothing");
        assert_eq!(found("direct_map_level2_splits", 3, 2), Some(Found::Better));
        assert_eq!(found("direct_map_level2_splits", 3, 3), None);
        assert_eq!(found("DirectMap1G", 3, 2), Some(Found::Worse));
        assert_eq!(found("direct_map_level2_collapses", 3, 4), Some(Found::Allowed), "no side is better");
        assert_eq!(found("counter_of_tomorrow", 3, 2), Some(Found::Worse));
    }

    #[test]
    fn rules_allow_what_they_say_and_no_more() {
        let splits = |rules: &Rules, from, to| found("direct_map_level2_splits", from, to, rules);
        let five_percent = with(r#"{"direct_map_level2_splits": {"relative": "5%"}}"#, &[]);
        assert_eq!(splits(&five_percent, 100, 105), Some(Found::Allowed));
        assert_eq!(splits(&five_percent, 100, 106), Some(Found::Worse));
        assert_eq!(splits(&five_percent, 100, 94), Some(Found::Better));
        assert_eq!(splits(&five_percent, 0, 1), Some(Found::Worse), "5 % of nothing is nothing");
        let two = with("{}", &["direct_map_level2_splits=2"]);
        assert_eq!((splits(&two, 0, 2), splits(&two, 0, 3)), (Some(Found::Allowed), Some(Found::Worse)));
        let any = with(r#"{"counters.*": {"direction": "any"}}"#, &[]);
        assert_eq!(splits(&any, 0, 99), Some(Found::Allowed));
        let turned = with(r#"{"direct_map_level2_splits": {"direction": "higher"}}"#, &[]);
        assert_eq!((splits(&turned, 5, 6), splits(&turned, 5, 4)), (Some(Found::Better), Some(Found::Worse)));
    }

    #[test]
    fn every_metric_is_judged_and_the_worst_comes_first() {
        let baseline = two_runs();
        let mut now = two_runs();
        now.runs[0].counters.set("direct_map_level2_splits", 11);
        now.runs[0].text.programs_loaded += 1;
        now.runs[1].counters.set("flush_tlb_all", 10);
        let checked = check(&now, &baseline, &Rules::default());
        let found: Vec<_> = checked.changes.iter().map(|change| (change.found, change.metric.as_str())).collect();
        assert_eq!(
            found,
            [
                (Found::Worse, "text.programs_loaded"),
                (Found::Worse, "counters.flush_tlb_all"),
                (Found::Better, "counters.direct_map_level2_splits"),
            ]
        );
        let all: usize = baseline.runs.iter().map(|run| measures(run).len()).sum();
        assert_eq!(checked.same + 3, all);
        assert!(checked.is_worse());
        assert!(check(&baseline, &baseline, &Rules::default()).is_same());
    }

    #[test]
    fn what_came_and_went_is_listed_and_what_went_counts() {
        let baseline = two_runs();
        let mut now = two_runs();
        now.runs[0].counters.set("new", 1);
        now.runs[1].counters.set("new", 1);
        now.runs[1].seed = 7;
        let checked = check(&now, &baseline, &Rules::default());
        let missing = |metric: Option<&str>, allocator: &str, seed| Missing {
            metric: metric.map(str::to_owned),
            runs: vec![(allocator.to_owned(), seed)],
        };
        assert_eq!(checked.came, [missing(None, "pack-4k", 7), missing(Some("counters.new"), "per-prog", 1)]);
        assert_eq!(checked.went, [missing(None, "pack-4k", 1)]);
        assert!(checked.is_worse() && checked.changes.is_empty());
        let back = check(
            &two_runs(),
            &{
                now.runs.truncate(1);
                now
            },
            &Rules::default(),
        );
        assert_eq!(back.went, [missing(Some("counters.new"), "per-prog", 1)]);
    }

    #[test]
    fn running_out_of_memory_is_worse() {
        let (baseline, mut now) = (two_runs(), two_runs());
        now.runs[1].outcome = Outcome::OutOfMemory { time_ns: 1, event: 1, message: String::new() };
        let checked = check(&now, &baseline, &Rules::default());
        assert_eq!((checked.changes[0].metric.as_str(), checked.changes[0].found), (COMPLETED, Found::Worse));
        assert_eq!(check(&baseline, &now, &Rules::default()).changes[0].found, Found::Better);
    }
}
