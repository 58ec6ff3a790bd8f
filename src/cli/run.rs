//! `fragsim run`: replay a scenario and show what it did to the direct map.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::line_width;
use super::compare::warn;
use super::execute::execute;
use super::exit;
use super::output::{Failure, Messages};
use super::plot;
use super::progress::Bar;
use crate::compare::compare_allocators;
use crate::diagnostics::Diagnostic;
use crate::files::{AtomicFile, STDIN, keep_input, make_directory};
use crate::report::{ComparisonView, Format};
use crate::result::{Outcome, ResultDoc};
use crate::scenario::{LoadedScenario, Overrides};
use crate::units::Seeds;

pub(super) const HELP: &str = "\
Examples:
  fragsim run scenarios/runqslower.json
  fragsim run scenarios/month.json --set machine.memory=128GiB -a per-prog -a pack-4k
  fragsim run scenarios/month.json --seeds 1..30 --output month.json
  fragsim run scenario.json --format json | jq '.runs[] | {allocator, counters}'";

/// Directory that `--save` writes to.
const SAVE_DIRECTORY: &str = "results";

/// Arguments of `run`.
#[derive(Clone, Debug, Args)]
pub(super) struct RunArgs {
    /// The scenario; `-` for standard input
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Write the result to a file; `-` prints it instead of a table
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the result to results/NAME.json under the current directory
    #[arg(long)]
    save: bool,
    /// Draw every chart of the result as SVG and PNG into this directory
    #[arg(long, value_name = "DIRECTORY")]
    plots: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Start random numbers elsewhere than the scenario says
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Replay with each of these seeds, such as 1..30 (both ends belong to it) or 1,5,9
    #[arg(long, value_name = "SEEDS", allow_hyphen_values = true, conflicts_with = "seed")]
    seeds: Option<Seeds>,
    /// Change a value of the scenario, such as machine.memory=128GiB; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Use another base kernel
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<String>,
    /// Replay only this allocator, by policy, kernel or label; may be given more than once
    #[arg(long, short, value_name = "ALLOCATOR")]
    allocator: Vec<String>,
    /// How many threads work at once; the result is the same [default: one for each CPU]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<NonZeroUsize>,
    /// Print nothing but the result and errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &RunArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    let format = args.format()?;
    let scenario = LoadedScenario::load(&args.scenario, &args.overrides())?;
    // A place that cannot be written is found out before the work and not after it.
    let files = args.open_files(&scenario)?;
    args.plots.as_deref().map_or(Ok(()), make_directory)?;
    let result = {
        let bar = Bar::new(args.quiet);
        execute(&scenario, args.threads, &|progress| bar.show(progress))?
    };
    // Files first: a reader of the table may go away early.
    write_files(files, &result, args.quiet, messages)?;
    if let Some(directory) = &args.plots {
        plot::draw_all(&result, directory, args.quiet, messages)?;
    }
    if !args.quiet && !matches!(format, Format::Table | Format::Markdown) {
        warn_of_ends(&result, messages);
    }
    show(&result, format, args.quiet, out, messages)?;
    Ok(exit::DONE)
}

/// Prints the result: a row for each allocator, or with several seeds what they say about each metric.
fn show(result: &ResultDoc, format: Format, quiet: bool, out: &mut dyn Write, messages: Messages) -> io::Result<()> {
    if matches!(format, Format::Table | Format::Markdown)
        && result.has_seeds()
        && let Ok(comparison) = compare_allocators(&result.scenario.name, result, None)
    {
        if !quiet {
            warn(&comparison, messages);
        }
        return ComparisonView::new(&comparison, &[result], &[]).write(format, line_width(), out);
    }
    format.write(result, line_width(), out)
}

impl RunArgs {
    fn format(&self) -> Result<Format, Diagnostic> {
        match (self.format, &self.output) {
            (None | Some(Format::Json), Some(output)) if output.as_os_str() == STDIN => Ok(Format::Json),
            (Some(format), Some(output)) if output.as_os_str() == STDIN => {
                let message =
                    format!("`--output -` prints the result as JSON, so it excludes `--format {}`", format.name());
                Err(Diagnostic::new(message).help("name a file for the result, or leave `--output` out"))
            }
            (format, _) => Ok(format.unwrap_or_default()),
        }
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            set: self.set.clone(),
            kernel: self.kernel.clone(),
            allocators: self.allocator.clone(),
            seeds: self.seeds.clone().or(self.seed.map(Seeds::one)),
        }
    }

    /// The files that the result goes to, empty so far.
    fn open_files(&self, scenario: &LoadedScenario) -> Result<Vec<AtomicFile>, Diagnostic> {
        let mut paths: Vec<PathBuf> = self.output.iter().filter(|path| path.as_os_str() != STDIN).cloned().collect();
        if self.save {
            let directory = Path::new(SAVE_DIRECTORY);
            make_directory(directory)?;
            paths.push(directory.join(format!("{}.json", scenario.name)));
        }
        for path in &paths {
            expect_json(path)?;
            keep_input(path, "the result", "scenario", &self.scenario)?;
            for (kind, input) in scenario.inputs() {
                keep_input(path, "the result", kind, &input)?;
            }
        }
        paths.iter().map(|path| AtomicFile::create(path)).collect()
    }
}

/// Refuses a file whose name promises a table: results are written as JSON.
fn expect_json(path: &Path) -> Result<(), Diagnostic> {
    let tables = [Format::Csv, Format::Markdown].map(Format::name);
    match path.extension().and_then(|ending| tables.into_iter().find(|name| ending == *name)) {
        None => Ok(()),
        Some(ending) => {
            let name = path.display();
            let help = format!("name it `.json`, or write `--format {ending} > {name}` for a table");
            Err(Diagnostic::new(format!("results are JSON, but `{name}` ends in `.{ending}`")).help(help))
        }
    }
}

fn write_files(files: Vec<AtomicFile>, result: &ResultDoc, quiet: bool, messages: Messages) -> Result<(), Diagnostic> {
    if files.is_empty() {
        return Ok(());
    }
    let text = result.to_json();
    for file in files {
        let name = file.name().to_owned();
        file.finish_with(&text)?;
        if !quiet {
            messages.note(format_args!("wrote {name}"));
        }
    }
    Ok(())
}

/// Says which runs did not reach the end of the trace, where the output itself does not say it in words.
pub(super) fn warn_of_ends(result: &ResultDoc, messages: Messages) {
    for run in &result.runs {
        if let Outcome::OutOfMemory { event, message, .. } = &run.outcome {
            let seed = if result.has_seeds() { format!(" (seed {})", run.seed) } else { String::new() };
            let text = format!("{}{seed} ran out of simulated memory at event {event}: {message}", run.allocator);
            messages.warning(&Diagnostic::new(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::result::testing::two_runs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: RunArgs,
    }

    fn args(line: &[&str]) -> RunArgs {
        Cli::try_parse_from(std::iter::once(&"run").chain(line)).unwrap().args
    }

    #[test]
    fn standard_output_holds_one_document() {
        assert_eq!(args(&["s"]).format(), Ok(Format::Table));
        assert_eq!(args(&["s", "--output", "-"]).format(), Ok(Format::Json));
        assert_eq!(args(&["s", "--output", "x", "--format", "csv"]).format(), Ok(Format::Csv));
        assert!(args(&["s", "--output", "-", "--format", "table"]).format().is_err());
        assert!(expect_json(Path::new("x.json")).is_ok() && expect_json(Path::new("x")).is_ok());
        assert!(expect_json(Path::new("x.csv")).unwrap_err().message.contains("`x.csv` ends in `.csv`"));
    }

    #[test]
    fn results_are_written_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let (scenario, result) = (directory.path().join("s.json"), directory.path().join("r.json"));
        std::fs::write(&scenario, "{\"trace\": {\"file\": \"t.jsonl\"}}").unwrap();
        std::fs::write(directory.path().join("t.jsonl"), "").unwrap();
        let loaded = LoadedScenario::load(&scenario, &Overrides::default()).unwrap();
        std::fs::write(&result, "old").unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let open = |output: &Path| args(&[&text(&scenario), "--output", &text(output)]).open_files(&loaded);
        drop(open(&result).unwrap());
        assert_eq!(std::fs::read_to_string(&result).unwrap(), "old");
        write_files(open(&result).unwrap(), &two_runs(), true, Messages::new()).unwrap();
        assert_eq!(ResultDoc::read(&result).unwrap(), two_runs());
        assert!(open(&scenario).unwrap_err().message.contains("would replace its scenario"));
        assert!(open(&directory.path().join("t.jsonl")).unwrap_err().message.contains("would replace its trace"));
        assert!(open(&directory.path().join("no/r.json")).unwrap_err().help.unwrap().contains("mkdir"));
        assert!(open(directory.path()).unwrap_err().message.ends_with("it is a directory"));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
    }
}
