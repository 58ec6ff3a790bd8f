//! Which numbers are laid beside which.

use std::collections::BTreeMap;

use super::statistics::{Difference, LEAST_PAIRS, Summary};
use crate::result::{About, Better, KNOWN, Outcome, ResultDoc, Run};

/// Numbers laid side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The allocator that the others are compared with; none if two results are compared.
    pub reference: Option<String>,
    /// What each result is called; the first is the one that the others are compared with.
    pub results: Vec<String>,
    /// Every metric that one of the runs has.
    pub metrics: Vec<MetricRows>,
    /// What a reader must know to trust the numbers, a sentence each.
    pub warnings: Vec<String>,
}

/// One metric of every allocator.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRows {
    /// The metric's name.
    pub name: String,
    /// What is known about it; nothing if a newer fragsim made it.
    pub about: Option<&'static About>,
    /// A row for each allocator and result.
    pub rows: Vec<Row>,
}

/// One metric of one allocator in one result.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The allocator.
    pub allocator: String,
    /// Which of [`Comparison::results`].
    pub result: usize,
    /// The numbers over all seeds.
    pub summary: Summary,
    /// The difference to the reference, seed by seed; none for the reference itself, or if no seed is in both.
    pub difference: Option<Difference>,
}

/// Why there is nothing to compare.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NothingToCompare {
    /// A result without any run.
    #[error("`{0}` has no runs")]
    NoRuns(String),
    /// The reference is none of the allocators.
    #[error("no allocator is called `{0}`")]
    NoSuchReference(String),
    /// The results share no allocator on the same seed.
    #[error("`{0}` and `{1}` have no allocator with the same seed")]
    NothingInCommon(String, String),
}

/// The numbers of one metric by seed.
type BySeed = BTreeMap<u64, f64>;
/// The numbers of one allocator by metric.
type ByMetric = BTreeMap<String, BySeed>;

impl MetricRows {
    /// Where the better values lie.
    pub fn better(&self) -> Better {
        Better::of(&self.name)
    }

    /// The number that every row has on every seed, if that is so.
    pub fn constant(&self) -> Option<f64> {
        let first = self.rows.first()?.summary.median;
        let is_first = |row: &Row| row.summary.least == first && row.summary.most == first;
        self.rows.iter().all(is_first).then_some(first)
    }
}

/// Compares the allocators of one result with one of them (by default the first).
///
/// # Errors
/// The result has no runs, or no allocator of that name.
pub fn compare_allocators(
    name: &str,
    result: &ResultDoc,
    reference: Option<&str>,
) -> Result<Comparison, NothingToCompare> {
    let allocators = result.allocators();
    let Some(&first) = allocators.first() else { return Err(NothingToCompare::NoRuns(name.to_owned())) };
    let reference = reference.unwrap_or(first);
    if !allocators.contains(&reference) {
        return Err(NothingToCompare::NoSuchReference(reference.to_owned()));
    }
    let numbers: Vec<ByMetric> = allocators.iter().map(|allocator| numbers_of(result, allocator)).collect();
    let base = numbers_of(result, reference);
    let rows = |metric: &str| {
        let row = |(allocator, numbers): (&&str, &ByMetric)| {
            let base = (*allocator != reference).then(|| base.get(metric)).flatten();
            row(allocator, 0, numbers.get(metric)?, base, metric)
        };
        allocators.iter().zip(&numbers).filter_map(row).collect()
    };
    let metrics = metric_rows(&numbers, rows);
    let warnings = warn_of_seeds(&metrics).into_iter().chain(warn_of_ends(name, result)).collect();
    Ok(Comparison { reference: Some(reference.to_owned()), results: vec![name.to_owned()], metrics, warnings })
}

/// Compares each allocator of later results with the same allocator of the first one.
///
/// # Errors
/// A result has no runs, or none with an allocator and a seed of the first one.
pub fn compare_results(results: &[(&str, &ResultDoc)]) -> Result<Comparison, NothingToCompare> {
    let mut allocators: Vec<&str> = Vec::new();
    for (name, result) in results {
        if result.runs.is_empty() {
            return Err(NothingToCompare::NoRuns((*name).to_owned()));
        }
        let new: Vec<&str> = result.allocators().into_iter().filter(|new| !allocators.contains(new)).collect();
        allocators.extend(new);
    }
    let mut warnings = Vec::new();
    for later in results.iter().skip(1) {
        warnings.extend(in_common(&results[0], later)?);
    }
    let numbers: Vec<Vec<ByMetric>> = allocators
        .iter()
        .map(|allocator| results.iter().map(|(_, result)| numbers_of(result, allocator)).collect())
        .collect();
    let rows = |metric: &str| {
        let mut rows = Vec::new();
        for (allocator, of_results) in allocators.iter().zip(&numbers) {
            for (index, numbers) in of_results.iter().enumerate() {
                let base = if index == 0 { None } else { of_results[0].get(metric) };
                rows.extend(numbers.get(metric).and_then(|numbers| row(allocator, index, numbers, base, metric)));
            }
        }
        rows
    };
    let metrics = metric_rows(numbers.iter().flatten(), rows);
    warnings.extend(warn_of_seeds(&metrics));
    warnings.extend(results.iter().filter_map(|(name, result)| warn_of_ends(name, result)));
    let results = results.iter().map(|(name, _)| (*name).to_owned()).collect();
    Ok(Comparison { reference: None, results, metrics, warnings })
}

/// The numbers of an allocator's runs.
fn numbers_of(result: &ResultDoc, allocator: &str) -> ByMetric {
    let mut numbers = ByMetric::new();
    for run in result.runs.iter().filter(|run| run.allocator == allocator) {
        for metric in run.metrics() {
            numbers.entry(metric.name).or_default().insert(run.seed, metric.value);
        }
    }
    numbers
}

/// Every metric that there are numbers of: the known ones in their order, then the others.
fn metric_rows<'a>(
    numbers: impl IntoIterator<Item = &'a ByMetric>,
    rows: impl Fn(&str) -> Vec<Row>,
) -> Vec<MetricRows> {
    let mut names: Vec<&String> = numbers.into_iter().flat_map(BTreeMap::keys).collect();
    let place = |name: &str| KNOWN.iter().position(|about| about.name == name).unwrap_or(KNOWN.len());
    names.sort_by_cached_key(|name| (place(name), (*name).clone()));
    names.dedup();
    let metric = |name: &String| MetricRows { name: name.clone(), about: About::metric(name), rows: rows(name) };
    names.into_iter().map(metric).collect()
}

fn row(allocator: &str, result: usize, numbers: &BySeed, base: Option<&BySeed>, metric: &str) -> Option<Row> {
    let summary = Summary::of(&numbers.values().copied().collect::<Vec<_>>())?;
    let pairs = |base: &BySeed| -> Vec<(f64, f64)> {
        base.iter().filter_map(|(seed, old)| Some((*old, *numbers.get(seed)?))).collect()
    };
    let difference = base.and_then(|base| Difference::of(&pairs(base), Better::of(metric)));
    Some(Row { allocator: allocator.to_owned(), result, summary, difference })
}

/// Says that some runs of two results have no counterpart; an error if none has.
fn in_common(first: &(&str, &ResultDoc), later: &(&str, &ResultDoc)) -> Result<Option<String>, NothingToCompare> {
    let key = |run: &Run| (run.allocator.clone(), run.seed);
    let firsts: Vec<_> = first.1.runs.iter().map(key).collect();
    let laters: Vec<_> = later.1.runs.iter().map(key).collect();
    let shared = firsts.iter().filter(|run| laters.contains(run)).count();
    let alone = firsts.len() + laters.len() - 2 * shared;
    match (shared, alone) {
        (0, _) => Err(NothingToCompare::NothingInCommon(first.0.to_owned(), later.0.to_owned())),
        (_, 0) => Ok(None),
        (_, alone) => {
            let what = if alone == 1 { "1 run is".to_owned() } else { format!("{alone} runs are") };
            Ok(Some(format!("{what} in only one of `{}` and `{}`, so no difference counts them", first.0, later.0)))
        }
    }
}

/// Says when there are too few seeds to tell an effect from chance.
fn warn_of_seeds(metrics: &[MetricRows]) -> Option<String> {
    let differences = metrics.iter().flat_map(|metric| &metric.rows).filter_map(|row| row.difference.as_ref());
    let least = differences.map(|difference| difference.summary.count).min()?;
    let seeds = if least == 1 { "1 seed is".to_owned() } else { format!("{least} seeds are") };
    (least < LEAST_PAIRS)
        .then(|| format!("{seeds} too few to tell a difference from chance; {LEAST_PAIRS} are the least, 30 are good"))
}

/// Says which runs did not reach the end of the trace.
fn warn_of_ends(name: &str, result: &ResultDoc) -> Option<String> {
    let mut ended: BTreeMap<&str, u32> = BTreeMap::new();
    for run in result.runs.iter().filter(|run| matches!(run.outcome, Outcome::OutOfMemory { .. })) {
        *ended.entry(&run.allocator).or_default() += 1;
    }
    let ended: Vec<String> = ended.iter().map(|(allocator, count)| format!("{allocator} ({count})")).collect();
    (!ended.is_empty()).then(|| {
        let who = ended.join(", ");
        format!("in `{name}` runs ran out of simulated memory, their numbers are those of that moment: {who}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Verdict;
    use crate::result::TextReport;
    use crate::result::testing::{result, run};

    /// Runs of an allocator with so many level-2 splits on seeds 1, 2, 3 ...
    fn runs(allocator: &str, splits: &[u64]) -> Vec<Run> {
        let make = |(seed, &splits): (u64, &u64)| Run { seed, ..run(allocator, splits, 0, TextReport::default()) };
        (1..).zip(splits).map(make).collect()
    }

    /// Allocator, result, median, and median and verdict of the differences.
    type Seen<'a> = (&'a str, usize, f64, Option<(f64, Verdict)>);

    fn splits(comparison: &Comparison) -> Vec<Seen<'_>> {
        let metric = &comparison.metrics[0];
        assert_eq!(metric.name, "counters.direct_map_level2_splits");
        let of = |difference: Difference| (difference.summary.median, difference.verdict);
        metric
            .rows
            .iter()
            .map(|row| (&*row.allocator, row.result, row.summary.median, row.difference.map(of)))
            .collect()
    }

    #[test]
    fn allocators_are_compared_seed_by_seed() {
        // Every host differs more from the next than the allocators do; paired, the difference is clear.
        let doc =
            result([runs("a", &[100, 200, 300, 400, 500, 600]), runs("b", &[99, 199, 299, 399, 499, 599])].concat());
        let found = compare_allocators("r", &doc, None).unwrap();
        assert_eq!(splits(&found), [("a", 0, 350.0, None), ("b", 0, 349.0, Some((-1.0, Verdict::Better)))]);
        assert_eq!((found.reference.as_deref(), found.warnings.len()), (Some("a"), 0));
        let found = compare_allocators("r", &doc, Some("b")).unwrap();
        assert_eq!(splits(&found), [("a", 0, 350.0, Some((1.0, Verdict::Worse))), ("b", 0, 349.0, None)]);
        let names: Vec<&str> = found.metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names.iter().filter(|name| name.ends_with("level2_splits")).count(), 2, "once, and at the start");
        let error = compare_allocators("r", &doc, Some("c")).unwrap_err();
        assert_eq!(error, NothingToCompare::NoSuchReference("c".to_owned()));
        assert!(compare_allocators("r", &result(Vec::new()), None).is_err());
    }

    #[test]
    fn results_are_compared_allocator_by_allocator() {
        let before = result([runs("a", &[5; 6]), runs("b", &[7; 6])].concat());
        let after = result([runs("a", &[5, 5, 5, 5, 5, 9]), runs("b", &[6; 6]), runs("c", &[1])].concat());
        let found = compare_results(&[("x", &before), ("y", &after)]).unwrap();
        assert_eq!(
            splits(&found),
            [
                ("a", 0, 5.0, None),
                ("a", 1, 5.0, Some((0.0, Verdict::NotSignificant))),
                ("b", 0, 7.0, None),
                ("b", 1, 6.0, Some((-1.0, Verdict::Better))),
                ("c", 1, 1.0, None),
            ]
        );
        assert_eq!(found.warnings, ["1 run is in only one of `x` and `y`, so no difference counts them"]);
        let other = result(runs("d", &[1]));
        assert!(matches!(
            compare_results(&[("x", &before), ("y", &other)]),
            Err(NothingToCompare::NothingInCommon(..))
        ));
    }

    #[test]
    fn few_seeds_and_early_ends_are_warned_of() {
        let mut doc = result([runs("a", &[5; 3]), runs("b", &[7; 3])].concat());
        doc.runs[4].outcome = Outcome::OutOfMemory { time_ns: 1, event: 2, message: "m".to_owned() };
        let found = compare_allocators("r", &doc, None).unwrap();
        assert_eq!(
            found.warnings,
            [
                "3 seeds are too few to tell a difference from chance; 6 are the least, 30 are good",
                "in `r` runs ran out of simulated memory, their numbers are those of that moment: b (1)",
            ]
        );
    }

    #[test]
    fn what_is_the_same_everywhere_is_known() {
        let doc = result([runs("a", &[5; 6]), runs("b", &[5, 5, 5, 5, 5, 6])].concat());
        let found = compare_allocators("r", &doc, None).unwrap();
        assert_eq!(found.metrics[0].constant(), None, "the last seed differs");
        let level3 = &found.metrics[1];
        assert_eq!((level3.name.as_str(), level3.constant()), ("counters.direct_map_level3_splits", Some(0.0)));
    }
}
