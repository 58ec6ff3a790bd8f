//! `fragsim sweep`: replay a scenario with several values for one of its keys, or for several.

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use serde_json::{Map, Value, json};

use super::execute::execute;
use super::exit;
use super::output::{Failure, Messages};
use super::plot::plain;
use super::progress::Bar;
use super::run::warn_of_ends;
use crate::compare::Summary;
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, keep_input, make_directory, write_all};
use crate::report::{Format, Sheet, number};
use crate::result::{About, ResultDoc, Run};
use crate::scenario::{LoadedScenario, Overrides};
use crate::units::Seeds;

pub(super) const HELP: &str = "\
Examples:
  fragsim sweep scenarios/month.json --axis machine.memory=64GiB,128GiB,256GiB --output memory
  fragsim plot memory/*.json --x machine.memory --output plots
  fragsim sweep scenarios/month.json --axis machine.memory=64GiB,128GiB --axis kernel=5.17,6.1 -o both
  fragsim sweep scenarios/month.json --axis machine.memory=64GiB,128GiB --part 2/4 --output memory

Each point is a result of its own, NAME-VALUE.json; with several axes there is a point for every combination. `--part` \
divides the points among machines or jobs. The table shows medians over the seeds.";

/// Most points of a sweep.
const MOST_POINTS: usize = 10_000;
/// The metrics of the table; the results have all.
const SHOWN: [&str; 5] = [
    "counters.direct_map_level2_splits",
    "counters.direct_map_level3_splits",
    "counters.DirectMap4k",
    "counters.flush_tlb_all",
    "text.executable_bytes_at_peak",
];

/// Arguments of `sweep`.
#[derive(Clone, Debug, Args)]
pub(super) struct SweepArgs {
    /// The scenario
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// The values to replay with, such as machine.memory=64GiB,128GiB; may be given more than once
    #[arg(long, value_name = "KEY=VALUE,...", required = true)]
    axis: Vec<Axis>,
    /// Write the results into this directory
    #[arg(long, short, value_name = "DIRECTORY")]
    output: PathBuf,
    /// Replay only part K of N, such as 2/4: every Nth point from the Kth on
    #[arg(long, value_name = "K/N", default_value = "1/1")]
    part: Part,
    /// Replay each point with each of these seeds, such as 1..30
    #[arg(long, value_name = "SEEDS", allow_hyphen_values = true)]
    seeds: Option<Seeds>,
    /// Change a value of the scenario at every point; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Replay only this allocator, by policy, kernel or label; may be given more than once
    #[arg(long, short, value_name = "ALLOCATOR")]
    allocator: Vec<String>,
    /// How the table is printed
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
    /// How many threads work at once; the results are the same [default: one for each CPU]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<NonZeroUsize>,
    /// Print nothing but the table and errors
    #[arg(long, short)]
    quiet: bool,
}

/// A key of the scenario and the values it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Axis {
    key: String,
    values: Vec<String>,
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, values) =
            text.split_once('=').ok_or("there is no `=`; write for example machine.memory=1GiB,2GiB")?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if values.iter().any(String::is_empty) {
            return Err("a value is empty; write for example machine.memory=1GiB,2GiB".to_owned());
        }
        match values.iter().enumerate().find(|(at, value)| values[..*at].contains(value)) {
            Some((_, twice)) => Err(format!("the value `{twice}` is there twice")),
            None => Ok(Self { key: key.trim().to_owned(), values }),
        }
    }
}

/// One of several equal parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    number: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("write which part of how many, such as 2/4".to_owned()),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A combination of values, ready to be replayed.
struct Point {
    /// A value for each axis.
    values: Vec<String>,
    scenario: LoadedScenario,
    file: PathBuf,
}

/// A point's runs of one allocator in short.
struct Row {
    values: Vec<String>,
    file: String,
    allocator: String,
    seeds: usize,
    /// The median of each metric that is shown; none if the runs do not have it.
    medians: Vec<Option<f64>>,
}

/// Runs the command.
pub(super) fn run(args: &SweepArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    // Every point is read before the first is replayed: a wrong value shows at once.
    let points = args.points()?;
    make_directory(&args.output)?;
    let mut rows = Vec::new();
    for (at, point) in points.iter().enumerate().skip(args.part.number - 1).step_by(args.part.of) {
        let result = {
            let bar = Bar::new(args.quiet);
            execute(&point.scenario, args.threads, &|progress| bar.show(progress))?
        };
        write_all(&point.file, &result.to_json())?;
        if !args.quiet {
            messages.note(format_args!("wrote {} ({} of {})", point.file.display(), at + 1, points.len()));
            warn_of_ends(&result, messages);
        }
        rows.extend(rows_of(point, &result));
    }
    args.show(&rows, out)?;
    Ok(exit::DONE)
}

impl SweepArgs {
    /// Every combination of values, the last axis fastest.
    fn points(&self) -> Result<Vec<Point>, Failure> {
        if self.scenario.as_os_str() == STDIN {
            let message = "a scenario on standard input can be read once only, and each point reads it";
            return Err(Diagnostic::new(message).help("save the scenario to a file").into());
        }
        let total = self.axis.iter().try_fold(1usize, |total, axis| total.checked_mul(axis.values.len()));
        let total = total.filter(|&total| total <= MOST_POINTS).ok_or_else(|| {
            Diagnostic::new(format!("these are more than {MOST_POINTS} points")).help("give fewer values")
        })?;
        let mut points: Vec<Point> = Vec::with_capacity(total);
        for number in 0..total {
            let point = self.point(number)?;
            if let Some(other) = points.iter().find(|other| other.file == point.file) {
                let [one, other] = [other, &point].map(|point| point.values.join(", "));
                let message =
                    format!("the points `{one}` and `{other}` would both be written to `{}`", point.file.display());
                return Err(Diagnostic::new(message).help("sweep them one after the other").into());
            }
            points.push(point);
        }
        Ok(points)
    }

    fn point(&self, number: usize) -> Result<Point, Failure> {
        let mut rest = number;
        let mut values: Vec<String> = Vec::with_capacity(self.axis.len());
        for axis in self.axis.iter().rev() {
            values.push(axis.values[rest % axis.values.len()].clone());
            rest /= axis.values.len();
        }
        values.reverse();
        let changes = self.axis.iter().zip(&values).map(|(axis, value)| format!("{}={value}", axis.key));
        let overrides = Overrides {
            set: self.set.iter().cloned().chain(changes).collect(),
            allocators: self.allocator.clone(),
            seeds: self.seeds.clone(),
            ..Overrides::default()
        };
        let scenario = LoadedScenario::load(&self.scenario, &overrides)?;
        let name = format!("{}-{}.json", scenario.name, values.join("-"));
        let file = self.output.join(plain(&name));
        let inputs = [("scenario", self.scenario.clone())].into_iter().chain(scenario.inputs());
        for (kind, input) in inputs {
            keep_input(&file, "a result", kind, &input)?;
        }
        Ok(Point { values, scenario, file })
    }

    fn show(&self, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        if self.format == Format::Json {
            let rows: Vec<Value> = rows.iter().map(|row| self.json(row)).collect();
            serde_json::to_writer_pretty(&mut *out, &rows)?;
            return writeln!(out);
        }
        let keys = self.axis.iter().map(|axis| axis.key.clone());
        let fixed = ["allocator", "seeds"].map(str::to_owned);
        let metrics = SHOWN.iter().map(|name| self.title(name));
        let sheet = Sheet {
            titles: keys.chain(fixed).chain(metrics).collect(),
            texts: self.axis.len() + 1,
            rows: rows.iter().map(Row::cells).collect(),
        };
        match self.format {
            Format::Csv => sheet.write_csv(out),
            Format::Markdown => sheet.write_markdown(out),
            Format::Table | Format::Json => sheet.write_table(out),
        }
    }

    /// What the column of a metric is called: by programs as in a result, by people in words.
    fn title(&self, name: &str) -> String {
        match About::metric(name) {
            Some(About { headline: Some(words), unit, .. }) if self.format != Format::Csv && words != unit => {
                format!("{words}, {unit}")
            }
            _ => name.to_owned(),
        }
    }

    fn json(&self, row: &Row) -> Value {
        let keys = self.axis.iter().map(|axis| axis.key.clone());
        let values: Map<String, Value> = keys.zip(row.values.iter().map(|value| value.as_str().into())).collect();
        let medians: Map<String, Value> = SHOWN
            .iter()
            .zip(&row.medians)
            .filter_map(|(name, median)| Some(((*name).to_owned(), number::json((*median)?))))
            .collect();
        json!({"values": values, "file": row.file, "allocator": row.allocator, "seeds": row.seeds, "medians": medians})
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let fixed = [self.allocator.clone(), self.seeds.to_string()];
        let medians = self.medians.iter().map(|median| median.map_or_else(|| "-".to_owned(), number::text));
        self.values.iter().cloned().chain(fixed).chain(medians).collect()
    }
}

/// A row for each allocator.
fn rows_of(point: &Point, result: &ResultDoc) -> Vec<Row> {
    let row = |allocator: &str| {
        let runs: Vec<&Run> = result.runs.iter().filter(|run| run.allocator == allocator).collect();
        let median = |name: &&str| {
            let values: Option<Vec<f64>> = runs.iter().map(|run| run.metric(name)).collect();
            Some(Summary::of(&values?)?.median)
        };
        Row {
            values: point.values.clone(),
            file: point.file.display().to_string(),
            allocator: allocator.to_owned(),
            seeds: runs.len(),
            medians: SHOWN.iter().map(median).collect(),
        }
    };
    result.allocators().into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_a_key_and_its_values() {
        let axis: Axis = "machine.memory = 1GiB, 2GiB".parse().unwrap();
        assert_eq!((axis.key.as_str(), axis.values), ("machine.memory", vec!["1GiB".to_owned(), "2GiB".to_owned()]));
        for (text, message) in [
            ("memory", "there is no `=`"),
            ("memory=1GiB,,2GiB", "a value is empty"),
            ("k=1,2,1", "`1` is there twice"),
        ] {
            let error = text.parse::<Axis>().unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!("2/4".parse(), Ok(Part { number: 2, of: 4 }));
        for text in ["0/4", "5/4", "1", "1/0", "-1/4", "a/b", "1/4/5"] {
            assert!(text.parse::<Part>().is_err(), "{text}");
        }
    }

    #[test]
    fn columns_are_metrics_that_results_have() {
        for name in SHOWN {
            assert!(About::metric(name).is_some_and(|about| about.headline.is_some()), "{name}");
        }
    }
}
