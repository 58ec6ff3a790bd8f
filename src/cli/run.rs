//! `fragsim run`: replay a scenario and show what it did to the direct map.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::line_width;
use super::execute::execute;
use super::exit;
use super::output::{Failure, Messages};
use super::progress::Bar;
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, make_directory, write_all};
use crate::report::Format;
use crate::result::{Outcome, ResultDoc};
use crate::scenario::{LoadedScenario, Overrides};

pub(super) const HELP: &str = "\
Examples:
  fragsim run scenarios/runqslower.json
  fragsim run scenarios/month.json --set machine.memory=128GiB --allocator per-prog --allocator pack-4k
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
    /// How the result is printed
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Start random numbers elsewhere than the scenario says
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
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
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print nothing but the result and errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &RunArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    let format = args.format()?;
    let scenario = LoadedScenario::load(&args.scenario, &args.overrides())?;
    let result = {
        let bar = Bar::new(args.quiet);
        execute(&scenario, args.threads, &|progress| bar.show(progress))?
    };
    // Files first: a reader of the table may go away early.
    args.write_files(&result, messages)?;
    if !args.quiet && !matches!(format, Format::Table | Format::Markdown) {
        warn_of_ends(&result, messages);
    }
    format.write(&result, line_width(), out)?;
    Ok(exit::DONE)
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
            seed: self.seed,
        }
    }

    fn write_files(&self, result: &ResultDoc, messages: Messages) -> Result<(), Diagnostic> {
        let mut files: Vec<PathBuf> = self.output.iter().filter(|path| path.as_os_str() != STDIN).cloned().collect();
        if self.save {
            let directory = Path::new(SAVE_DIRECTORY);
            make_directory(directory)?;
            files.push(directory.join(format!("{}.json", result.scenario.name)));
        }
        for file in files {
            write_all(&file, &result.to_json())?;
            if !self.quiet {
                messages.note(format_args!("wrote {}", file.display()));
            }
        }
        Ok(())
    }
}

/// Says which runs did not reach the end of the trace, where the output itself does not say it in words.
fn warn_of_ends(result: &ResultDoc, messages: Messages) {
    for run in &result.runs {
        if let Outcome::OutOfMemory { event, message, .. } = &run.outcome {
            let text = format!("{} ran out of simulated memory at event {event}: {message}", run.allocator);
            messages.warning(&Diagnostic::new(text));
        }
    }
}
