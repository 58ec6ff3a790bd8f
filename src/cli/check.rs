//! `fragsim check`: hold results against baselines.

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::args::line_width;
use super::execute::execute;
use super::exit;
use super::output::{Failure, Messages};
use super::progress::Bar;
use crate::check::{Checks, Rules, Tolerance, check, differences};
use crate::diagnostics::Diagnostic;
use crate::files::{AtomicFile, Text, keep_input, make_directory, read_text};
use crate::json::typed;
use crate::report::{CheckReport, CheckedInput, Ending, Format};
use crate::result::ResultDoc;
use crate::scenario::{LoadedScenario, Overrides};
use crate::units::{Bytes, Seeds};

pub(super) const HELP: &str = "\
Examples:
  fragsim check scenarios/*.json --update
  fragsim check scenarios/*.json
  fragsim check month.json --baseline before.json --tolerance direct_map_level2_splits=5%
  fragsim check --github --junit check.xml --md \"$GITHUB_STEP_SUMMARY\"

A scenario is replayed with the seeds of its baseline and compared with results/NAME.json; a result is compared as it
is. No metric may get worse at all, unless the scenario's \"checks\" or --tolerance allow it:
  \"checks\": {\"direct_map_level2_splits\": {\"relative\": \"5%\"}, \"text.*\": {\"direction\": \"any\"}}

Exit codes: 0 all hold, 1 something got worse, 2 bad input, 3 no baseline. With several inputs bad input comes before \
worse, and worse before no baseline; every input is checked in any case.";

/// Where baselines are.
const BASELINES: &str = "results";
/// Where the scenarios are that are checked if none is named.
const SCENARIOS: &str = "scenarios";
/// Where GitHub Actions says which file is the summary of a job.
const JOB_SUMMARY: &str = "GITHUB_STEP_SUMMARY";
/// Largest scenario or result.
const MAX_INPUT: Bytes = Bytes::new(1 << 30);

/// Arguments of `check`.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckArgs {
    /// Scenarios and results; `-` for standard input [default: all of scenarios/*.json]
    #[arg(value_name = "SCENARIO|RESULT")]
    inputs: Vec<PathBuf>,
    /// The baseline, or the directory of the baselines NAME.json [default: results]
    #[arg(long, value_name = "FILE|DIR")]
    baseline: Option<PathBuf>,
    /// Let a metric change by a number or a share, such as direct_map_level2_splits=5% or text.*=3; may be given more
    /// than once
    #[arg(long, value_name = "METRIC=AMOUNT")]
    tolerance: Vec<Tolerance>,
    /// Write new baselines and print what changed
    #[arg(long)]
    update: bool,
    /// Compare with a baseline of another scenario or trace too
    #[arg(long)]
    allow_different_scenario: bool,
    /// Replay scenarios with these seeds instead of those of the baseline
    #[arg(long, value_name = "SEEDS", allow_hyphen_values = true)]
    seeds: Option<Seeds>,
    /// How the outcome is printed
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
    /// Print annotations for GitHub Actions to standard error
    #[arg(long)]
    github: bool,
    /// Write the outcome as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the outcome as Markdown, for a job summary; added to what $GITHUB_STEP_SUMMARY has, if it is that file
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// How many threads work at once; the outcome is the same [default: one for each CPU]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<NonZeroUsize>,
    /// Print nothing but the outcome and errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &CheckArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    args.refuse_dash()?;
    let inputs = args.inputs()?;
    let mut report = CheckReport::default();
    for path in &inputs {
        let input = path.display().to_string();
        let (baseline, ending) = match args.check(path, messages) {
            Ok(checked) => checked,
            Err(Failure::Input(diagnostics)) => {
                messages.errors(&diagnostics);
                (None, Ending::Refused(diagnostics))
            }
            Err(failure) => return Err(failure),
        };
        report.inputs.push(CheckedInput { input, baseline, ending });
    }
    // Whether the files can be written or not: the outcome is printed.
    let files = args.write_files(&report);
    if args.github {
        let mut text = Vec::new();
        report.write_github(&mut text)?;
        messages.note(format_args!("{}", String::from_utf8_lossy(&text).trim_end()));
    }
    match report.write(args.format, line_width(), out) {
        // The exit code tells even if nobody reads the table.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    files?;
    Ok(code(&report))
}

/// The exit code: the most serious ending counts.
fn code(report: &CheckReport) -> u8 {
    let any = |wanted: fn(&Ending) -> bool| report.inputs.iter().any(|input| wanted(&input.ending));
    if any(|ending| matches!(ending, Ending::Refused(_))) {
        exit::BAD_INPUT
    } else if any(|ending| matches!(ending, Ending::Checked(_)) && !ending.holds()) {
        exit::CHECK_FAILED
    } else if any(|ending| matches!(ending, Ending::NoBaseline)) {
        exit::NOTHING_TO_COMPARE
    } else {
        exit::DONE
    }
}

/// A scenario, or a result that is there already.
enum Input {
    Scenario(Box<LoadedScenario>),
    Result(Box<ResultDoc>),
}

impl Input {
    fn name(&self) -> &str {
        match self {
            Self::Scenario(scenario) => &scenario.name,
            Self::Result(result) => &result.scenario.name,
        }
    }
}

type Outcome = (Option<String>, Ending);

impl CheckArgs {
    /// The named inputs, or every scenario of the project.
    fn inputs(&self) -> Result<Vec<PathBuf>, Diagnostic> {
        if !self.inputs.is_empty() {
            return Ok(self.inputs.clone());
        }
        let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let entries = fs::read_dir(SCENARIOS).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut found: Vec<PathBuf> = entries.filter(is_json).collect();
        found.sort_unstable();
        if found.is_empty() {
            let diagnostic = Diagnostic::new(format!("there are no scenarios in `{SCENARIOS}` to check"));
            return Err(diagnostic.help("name a scenario or a result"));
        }
        Ok(found)
    }

    /// Checks one input, or makes its baseline anew.
    fn check(&self, path: &Path, messages: Messages) -> Result<Outcome, Failure> {
        let input = self.read(path)?;
        let place = self.place(input.name())?;
        keep_input(&place, "the baseline", "input", path).map_err(|error| match error.help {
            _ if self.update => error,
            _ => Diagnostic::new(format!("`{}` is its own baseline", path.display()))
                .help("name another one with `--baseline`"),
        })?;
        let shown = Some(place.display().to_string());
        // What is there but cannot be reached is no missing baseline: reading it says what is wrong.
        let is_there = !fs::metadata(&place).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if !is_there && !self.update {
            return Ok((shown, Ending::NoBaseline));
        }
        let baseline = if is_there { Some(ResultDoc::read(&place)) } else { None };
        let baseline = match baseline {
            // What cannot be read is replaced.
            Some(Err(error)) if self.update => {
                messages.warning(&error);
                None
            }
            other => other.transpose()?,
        };
        let now = self.result(input, baseline.as_ref())?;
        let rules = self.rules(&now).map_err(|error| error.in_file(path.display().to_string()))?;
        if self.update {
            return Ok((shown, update(&place, now, baseline.as_ref(), &rules)?));
        }
        let baseline = baseline.expect("without a baseline the check ended above");
        if !self.allow_different_scenario {
            refuse_other(&place, &baseline, &now)?;
        }
        Ok((shown, Ending::Checked(check(&now, &baseline, &rules))))
    }

    fn read(&self, path: &Path) -> Result<Input, Failure> {
        let text = read_text(path, "a scenario or a result", MAX_INPUT)?;
        if is_result(&text) {
            return Ok(Input::Result(Box::new(ResultDoc::from_text(&text)?)));
        }
        let overrides = Overrides { seeds: self.seeds.clone(), ..Overrides::default() };
        Ok(Input::Scenario(Box::new(LoadedScenario::from_file_text(text, path, &overrides)?)))
    }

    /// Where the baseline of this name is.
    fn place(&self, name: &str) -> Result<PathBuf, Diagnostic> {
        let given = self.baseline.as_deref().unwrap_or(Path::new(BASELINES));
        let is_file = !given.is_dir() && given.extension().is_some_and(|extension| extension == "json");
        match is_file || given.is_file() {
            true if self.inputs.len() != 1 => {
                let diagnostic = Diagnostic::new(format!("`{}` is one baseline for several inputs", given.display()));
                Err(diagnostic.help("name a directory of baselines, or check one input at a time"))
            }
            true => Ok(given.to_owned()),
            // A name in a result is whatever its file says; it must not lead out of the directory.
            false => Ok(given.join(format!("{}.json", name.replace(['/', '\\'], "-")))),
        }
    }

    /// The result to check: what the input is, or what becomes of it with the seeds of the baseline.
    fn result(&self, input: Input, baseline: Option<&ResultDoc>) -> Result<ResultDoc, Failure> {
        let mut scenario = match input {
            Input::Result(result) => return Ok(*result),
            Input::Scenario(scenario) => scenario,
        };
        if let (None, Some(baseline)) = (&self.seeds, baseline) {
            let has_own = baseline.scenario.seeds.as_slice().contains(&scenario.scenario.seed);
            if has_own {
                scenario.seeds = baseline.scenario.seeds.clone();
            }
        }
        let bar = Bar::new(self.quiet);
        Ok(execute(&scenario, self.threads, &|progress| bar.show(progress))?)
    }

    fn rules(&self, now: &ResultDoc) -> Result<Rules, Diagnostic> {
        let checks = match now.scenario.resolved.get("checks") {
            None => Checks::default(),
            Some(checks) => typed(checks).map_err(|(path, complaint)| {
                let place = format!("scenario.resolved.checks.{path}");
                Diagnostic::new(complaint.message).at_json_path(place)
            })?,
        };
        Ok(Rules { checks, tolerances: self.tolerance.clone() })
    }

    /// Standard output has the outcome already: no second one is written into it.
    fn refuse_dash(&self) -> Result<(), Diagnostic> {
        let (junit, md) = (self.junit.as_deref(), self.md.as_deref());
        for (option, path, help) in [
            ("--junit", junit, "name a file, such as check.xml"),
            ("--md", md, "`--format md` prints it; to have both, name a file"),
        ] {
            if path.is_some_and(|path| path == Path::new("-")) {
                return Err(Diagnostic::new(format!("`{option}` takes a file, not `-`")).help(help));
            }
        }
        Ok(())
    }

    /// Writes what services read: the second file even if the first one cannot be written.
    fn write_files(&self, report: &CheckReport) -> Result<(), Failure> {
        let junit =
            self.junit.as_deref().map_or(Ok(()), |path| write_file(path, Vec::new(), &|out| report.write_junit(out)));
        let md = self.md.as_deref().map_or(Ok(()), |path| {
            write_file(path, summary_so_far(path)?, &|out| report.write(Format::Markdown, line_width(), out))
        });
        junit.and(md)
    }
}

fn write_file(path: &Path, mut text: Vec<u8>, write: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write(&mut text)?;
    Ok(AtomicFile::create(path)?.finish_with(&text)?)
}

/// What a job of GitHub Actions has in its summary already, if this is that: every command of a step adds to it.
fn summary_so_far(path: &Path) -> Result<Vec<u8>, Failure> {
    if std::env::var_os(JOB_SUMMARY).is_none_or(|summary| Path::new(&summary) != path) || !path.is_file() {
        return Ok(Vec::new());
    }
    let mut text = read_text(path, "the job summary", MAX_INPUT)?.text.into_bytes();
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    if !text.is_empty() {
        text.push(b'\n');
    }
    Ok(text)
}

/// Whether a text is a result, whole or not; what is none is taken for a scenario.
fn is_result(text: &Text) -> bool {
    #[derive(Deserialize)]
    struct Keys {
        runs: Option<IgnoredAny>,
    }
    match serde_json::from_str::<Keys>(&text.text) {
        Ok(keys) => keys.runs.is_some(),
        // A result that was cut off still begins like one.
        Err(_) => text.text.trim_start().strip_prefix('{').is_some_and(|rest| {
            let start: String = rest.chars().take(200).collect();
            start.contains("\"fragsim\"")
        }),
    }
}

/// A baseline is compared only with results of the same scenario, trace and seeds.
fn refuse_other(place: &Path, baseline: &ResultDoc, now: &ResultDoc) -> Result<(), Diagnostic> {
    let mut found = differences(&baseline.scenario, &now.scenario);
    let (old, new) = (&baseline.scenario.seeds, &now.scenario.seeds);
    if !old.as_slice().iter().any(|seed| new.as_slice().contains(seed)) {
        found.push(format!("seed: {old} → {new}"));
    }
    if found.is_empty() {
        return Ok(());
    }
    let message = format!("the baseline is of another scenario: {}", found.join("; "));
    let help = "make a new baseline with `--update`, or compare all the same with `--allow-different-scenario`";
    Err(Diagnostic::new(message).in_file(place.display().to_string()).help(help))
}

/// Writes the baseline, if anything in it is new.
fn update(place: &Path, now: ResultDoc, old: Option<&ResultDoc>, rules: &Rules) -> Result<Ending, Diagnostic> {
    let changes = old.map(|old| check(&now, old, rules));
    let new = now.into_baseline();
    if old.is_some_and(|old| *old == new) {
        return Ok(Ending::UpToDate);
    }
    if let Some(directory) = place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(directory)?;
    }
    AtomicFile::create(place)?.finish_with(&new.to_json())?;
    Ok(Ending::Updated(changes))
}
