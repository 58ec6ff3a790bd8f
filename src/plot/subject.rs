//! What a chart is about: the runs of one scenario, by allocator and seed.

use serde_json::Value;
use thiserror::Error;

use crate::result::counters::DIRECT_MAP_4K;
use crate::result::{Outcome, ResultDoc, Run, Sample, ScenarioStamp, TlbAssumptions};

/// Why results cannot be shown together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// Two results of one scenario both have this run.
    #[error("the allocator `{allocator}` with seed {seed} of scenario `{scenario}` is in two results")]
    Twice {
        /// The scenario's name.
        scenario: String,
        /// What the scenario calls the allocator.
        allocator: String,
        /// The seed.
        seed: u64,
    },
}

/// Places in time at which a chart over time looks at its runs.
pub(super) const COLUMNS: usize = 240;

/// The runs of one allocator, seeds ascending.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    /// What the scenario calls the allocator.
    pub label: String,
    /// Its runs, at least one.
    pub runs: Vec<&'a Run>,
}

/// The runs of one scenario, gathered from all results of it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// What was replayed.
    pub stamp: &'a ScenarioStamp,
    /// The version of fragsim that wrote the first of the results.
    pub fragsim: &'a str,
    /// What the first result's TLB figures rest on.
    pub tlb: Option<&'a TlbAssumptions>,
    /// The allocators in the scenario's order.
    pub contenders: Vec<Contender<'a>>,
}

/// The value in the middle of several, with the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

impl Spread {
    /// Of these values; `None` if there are none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        Some(Self { low, middle: quantile(&values, 0.5), high })
    }

    /// Whether lowest and highest differ.
    pub(super) fn is_wide(&self) -> bool {
        self.high > self.low
    }
}

/// The value below which this share of an ascending list lies, between two values if need be.
pub(super) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let place = share * (ascending.len().saturating_sub(1)) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let part = place - place.floor();
    ascending.get(below).map_or(0.0, |low| low + (ascending.get(above).unwrap_or(low) - low) * part)
}

/// A text without anything that could move a cursor or break a line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

impl<'a> Subject<'a> {
    /// The scenarios of these results, in the order in which they come; results of one scenario are put together.
    ///
    /// # Errors
    /// [`SubjectError::Twice`] if two results have a run in common.
    pub fn gather(results: &'a [ResultDoc]) -> Result<Vec<Self>, SubjectError> {
        let mut subjects: Vec<Self> = Vec::new();
        for result in results {
            let stamp = &result.scenario;
            let same =
                |subject: &&mut Self| subject.stamp.hash == stamp.hash && subject.stamp.trace_hash == stamp.trace_hash;
            match subjects.iter_mut().find(same) {
                Some(subject) => subject.add(result)?,
                None => {
                    let mut subject =
                        Self { stamp, fragsim: &result.fragsim, tlb: result.tlb.as_ref(), contenders: Vec::new() };
                    subject.add(result)?;
                    subjects.push(subject);
                }
            }
        }
        Ok(subjects)
    }

    fn add(&mut self, result: &'a ResultDoc) -> Result<(), SubjectError> {
        for run in &result.runs {
            let label = one_line(&run.allocator);
            let at = self.contenders.iter().position(|contender| contender.label == label).unwrap_or_else(|| {
                self.contenders.push(Contender { label, runs: Vec::new() });
                self.contenders.len() - 1
            });
            let runs = &mut self.contenders[at].runs;
            match runs.binary_search_by_key(&run.seed, |other| other.seed) {
                Ok(_) => {
                    let scenario = self.stamp.name.clone();
                    return Err(SubjectError::Twice { scenario, allocator: run.allocator.clone(), seed: run.seed });
                }
                Err(place) => runs.insert(place, run),
            }
        }
        Ok(())
    }

    /// The scenario's name.
    pub fn name(&self) -> String {
        one_line(&self.stamp.name)
    }

    /// Most seeds that an allocator has.
    pub fn seeds(&self) -> usize {
        self.contenders.iter().map(|contender| contender.runs.len()).max().unwrap_or(0)
    }

    /// The host's memory as the scenario says it, such as `64GiB`.
    pub(super) fn memory(&self) -> Option<&str> {
        self.stamp.resolved.pointer("/machine/memory").and_then(Value::as_str)
    }

    /// Whether a run has samples over time; those of a baseline have none.
    pub(super) fn has_series(&self) -> bool {
        self.contenders.iter().flat_map(|contender| &contender.runs).any(|run| !run.series.is_empty())
    }

    /// When the last sample was taken, in nanoseconds.
    pub(super) fn end(&self) -> f64 {
        let runs = self.contenders.iter().flat_map(|contender| &contender.runs);
        runs.filter_map(|run| run.series.last()).map(|sample| sample.time_ns).max().unwrap_or(0) as f64
    }

    /// What is compared on what, in a line: `scenario month, 64GiB of memory, seed 1`.
    pub(super) fn setting(&self) -> String {
        let mut text = format!("Scenario {}", self.name());
        if let Some(memory) = self.memory() {
            text += &format!(", {} of memory", one_line(memory));
        }
        match (self.seeds(), self.contenders.first().and_then(|contender| contender.runs.first())) {
            (1, Some(run)) => text + &format!(", seed {}", run.seed),
            (0, _) | (_, None) => text,
            (seeds, _) => text + &format!(", {seeds} seeds"),
        }
    }

    /// What the lines of a chart over time are, if there are several seeds.
    pub(super) fn band_note(&self) -> &'static str {
        if self.seeds() > 1 { " Line: median of the seeds; band: lowest to highest." } else { "" }
    }

    /// The seed that charts show of which only one run of each allocator can be seen: one for all allocators, so that
    /// their frames saw the same events. It is the one in the middle of the first allocator's runs, by memory in 4 KiB
    /// pages at the end; only seeds that every allocator has are asked, if there are such.
    pub(super) fn shown_seed(&self) -> Option<u64> {
        let (first, others) = self.contenders.split_first()?;
        let mut runs: Vec<&Run> = first.runs.clone();
        let everywhere = |run: &&Run| others.iter().all(|other| other.run_of(run.seed).is_some());
        if runs.iter().any(everywhere) {
            runs.retain(everywhere);
        }
        runs.sort_by_key(|run| (run.counters.get(DIRECT_MAP_4K), run.seed));
        runs.get(runs.len().saturating_sub(1) / 2).map(|run| run.seed)
    }

    /// Which seed is shown and why it, if there are several.
    pub(super) fn seed_note(&self) -> String {
        match (self.shown_seed(), self.contenders.first()) {
            (Some(seed), Some(first)) if self.seeds() > 1 => {
                format!("shown is seed {seed}, the middle one of {} by 4\u{a0}KiB pages at the end", first.label)
            }
            _ => String::new(),
        }
    }

    /// The run of the seed that is shown, or the allocator's first run if it has none of that seed.
    pub(super) fn shown_run(&self, contender: &Contender<'a>) -> &'a Run {
        self.shown_seed().and_then(|seed| contender.run_of(seed)).unwrap_or(contender.runs[0])
    }

    /// What a frame adds to an allocator's name if it shows another seed than the others.
    pub(super) fn seed_mark(&self, seed: u64) -> String {
        if self.shown_seed() == Some(seed) { String::new() } else { format!(" (seed {seed})") }
    }

    /// Whose runs ended because memory ran out, as a sentence; nothing if nobody's did.
    pub(super) fn out_of_memory_note(&self) -> String {
        let ended: Vec<(&Contender<'_>, usize)> =
            self.contenders.iter().map(|one| (one, one.out_of_memory())).filter(|(_, runs)| *runs > 0).collect();
        if ended.is_empty() {
            return String::new();
        }
        let everyone = ended.len() == self.contenders.len() && ended.iter().all(|(one, runs)| *runs == one.runs.len());
        if everyone && ended.len() > 1 {
            return " All of them ran out of memory and stopped there.".to_owned();
        }
        let name = |(one, runs): &(&Contender<'_>, usize)| match one.runs.len() {
            all if all == *runs => one.label.clone(),
            all => format!("{} ({runs} of {all} seeds)", one.label),
        };
        let names = ended.iter().map(name).collect::<Vec<_>>().join(", ");
        format!(" Ran out of memory and stopped there: {names}.")
    }

    /// `7 allocators`, or the name of the only one.
    pub(super) fn allocators(&self) -> String {
        match self.contenders.as_slice() {
            [only] => only.label.clone(),
            several => format!("{} text allocators", several.len()),
        }
    }
}

impl<'a> Contender<'a> {
    /// Its run with this seed.
    fn run_of(&self, seed: u64) -> Option<&'a Run> {
        self.runs.binary_search_by_key(&seed, |run| run.seed).ok().map(|at| self.runs[at])
    }

    /// A value of the samples at [`COLUMNS`] moments from the start to `end`: over the runs that get that far.
    pub(super) fn over_time(&self, end: f64, value: impl Fn(&Sample) -> f64) -> Vec<Option<Spread>> {
        let runs: Vec<Vec<Option<f64>>> = self.runs.iter().map(|run| resample(run, end, &value)).collect();
        (0..COLUMNS).map(|column| Spread::of(runs.iter().filter_map(|run| run[column]))).collect()
    }

    /// How many of its runs ended because memory ran out.
    pub(super) fn out_of_memory(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run.outcome, Outcome::OutOfMemory { .. })).count()
    }
}

/// The moment of a column.
pub(super) fn moment(column: usize, end: f64) -> f64 {
    end * column as f64 / (COLUMNS - 1) as f64
}

/// The value that holds at each column; a run without memory has none after its end.
pub(super) fn resample<T>(run: &Run, end: f64, value: impl Fn(&Sample) -> T) -> Vec<Option<T>> {
    let mut next = 0;
    let stopped = matches!(run.outcome, Outcome::OutOfMemory { .. });
    let columns = (0..COLUMNS).map(|column| {
        let time = moment(column, end);
        while run.series.get(next + 1).is_some_and(|sample| sample.time_ns as f64 <= time + 0.5) {
            next += 1;
        }
        let sample = run.series.get(next)?;
        let over =
            stopped && next + 1 == run.series.len() && column > 0 && moment(column - 1, end) > sample.time_ns as f64;
        (!over).then(|| value(sample))
    });
    columns.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::TextReport;
    use crate::result::testing::{result, run, two_runs};

    #[test]
    fn results_of_one_scenario_are_put_together() {
        let (first, mut second, mut other) = (two_runs(), two_runs(), two_runs());
        second.runs.iter_mut().for_each(|run| run.seed = 2);
        other.scenario.hash = "1".repeat(32);
        let results = [first, second, other];
        let subjects = Subject::gather(&results).unwrap();
        assert_eq!(subjects.len(), 2);
        assert_eq!((subjects[0].seeds(), subjects[1].seeds()), (2, 1));
        assert_eq!(subjects[0].contenders.len(), 2);
        assert_eq!(subjects[0].setting(), "Scenario small, 64GiB of memory, 2 seeds");
        let twice = [two_runs(), two_runs()];
        assert_eq!(
            Subject::gather(&twice).unwrap_err().to_string(),
            "the allocator `per-prog` with seed 1 of scenario `small` is in two results"
        );
    }

    #[test]
    fn whoever_ran_out_of_memory_is_named() {
        let of = |label: &str, seed: u64, ended: bool| {
            let mut run = Run { seed, ..run(label, 0, 0, TextReport::default()) };
            if ended {
                run.outcome = Outcome::OutOfMemory { time_ns: 0, event: 1, message: String::new() };
            }
            run
        };
        let note = |runs: Vec<Run>| {
            let results = [result(runs)];
            Subject::gather(&results).unwrap()[0].out_of_memory_note()
        };
        assert_eq!(note(vec![of("a", 1, false), of("b", 1, false)]), "");
        let some = vec![of("a", 1, true), of("a", 2, false), of("b", 1, true), of("b", 2, true), of("c", 1, false)];
        assert_eq!(note(some), " Ran out of memory and stopped there: a (1 of 2 seeds), b.");
        assert_eq!(note(vec![of("a", 1, true), of("b", 1, true)]), " All of them ran out of memory and stopped there.");
    }

    #[test]
    fn a_value_holds_until_the_next_sample() {
        let mut run = run("a", 12, 0, TextReport::default());
        run.series[1].time_ns = 239_000;
        run.series.insert(1, Sample { time_ns: 1_500, direct_map_level2_splits: 5, ..Sample::default() });
        let values = resample(&run, 239_000.0, |sample| sample.direct_map_level2_splits);
        assert_eq!(values[..4], [Some(0), Some(0), Some(5), Some(5)]);
        assert_eq!(values[COLUMNS - 2..], [Some(5), Some(12)]);
        run.outcome = Outcome::OutOfMemory { time_ns: 0, event: 1, message: String::new() };
        let values = resample(&run, 478_000.0, |sample| sample.direct_map_level2_splits);
        assert_eq!(values.iter().flatten().count(), 121);
        assert_eq!(values[119..122], [Some(5), Some(12), None]);
    }

    #[test]
    fn the_middle_of_several_values() {
        let spread = Spread::of([3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((spread.low, spread.middle, spread.high), (1.0, 2.5, 10.0));
        assert_eq!(Spread::of([]), None);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), 2.0);
    }

    #[test]
    fn one_seed_is_shown_of_all_allocators() {
        let of = |label: &str, seed: u64, splits: u64| Run { seed, ..run(label, splits, 0, TextReport::default()) };
        // The middle of `a` is seed 3, that of `b` seed 1, and `c` has no seed 3.
        let both = vec![of("a", 1, 30), of("a", 2, 10), of("a", 3, 20), of("b", 1, 2), of("b", 2, 1), of("b", 3, 3)];
        let results = [result(both.clone())];
        let subject = &Subject::gather(&results).unwrap()[0];
        assert_eq!(subject.shown_seed(), Some(3));
        assert_eq!(subject.seed_note(), "shown is seed 3, the middle one of a by 4\u{a0}KiB pages at the end");
        assert!(subject.contenders.iter().all(|contender| subject.shown_run(contender).seed == 3));
        let results = [result([both, vec![of("c", 1, 0), of("c", 7, 0)]].concat())];
        let subject = &Subject::gather(&results).unwrap()[0];
        assert_eq!(subject.shown_seed(), Some(1), "the only one that all have");
        let results = [result(vec![of("a", 1, 1), of("b", 2, 1)])];
        let subject = &Subject::gather(&results).unwrap()[0];
        let shown = subject.shown_run(&subject.contenders[1]).seed;
        assert_eq!((subject.shown_seed(), shown), (Some(1), 2));
        assert_eq!(subject.seed_mark(1) + &subject.seed_mark(2), " (seed 2)");
    }
}
