//! The command line: one file per subcommand, arguments in, calls out.
//!
//! Data goes to standard output, everything else to standard error. The codes that the program ends with are in
//! [`exit`]. A closed pipe is quiet.

mod args;
mod assess;
mod check;
mod compare;
mod completions;
pub mod execute;
pub mod exit;
mod list;
mod man;
mod merge;
mod output;
mod plot;
mod progress;
mod recording;
mod recordings;
mod render;
mod report;
mod run;
mod schema;
mod sweep;
mod tlb;
mod tlb_report;
pub mod trace;
mod trace_table;
mod validate;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::files;
use output::{Failure, Messages, conclude};
use trace::{TraceCommand, TraceFailure, TraceOutcome};

/// Replays loads and unloads of BPF programs through a model of the Linux direct map and its text allocators, and
/// counts the large pages they split
#[derive(Debug, Parser)]
#[command(name = "fragsim", version, arg_required_else_help = true, after_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  fragsim run scenarios/runqslower.json
  fragsim compare month.json --reference pack-4k
  fragsim check scenarios/*.json
  fragsim plot month.json --output plots
  fragsim trace import --from perf-script loads.txt --output loads.jsonl
  fragsim list allocators

Exit codes:
  0  done
  1  a check failed
  2  bad usage or bad input
  3  nothing to compare with";

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay a scenario under every allocator and compare them
    #[command(after_help = run::HELP)]
    Run(run::RunArgs),
    /// Compare allocators over seeds, or results from before and after a change
    #[command(after_help = compare::HELP)]
    Compare(compare::CompareArgs),
    /// Compare with baselines and fail if something got worse
    #[command(after_help = check::HELP)]
    Check(check::CheckArgs),
    /// Draw charts of results
    #[command(after_help = plot::HELP)]
    Plot(plot::PlotArgs),
    /// Make one web page of results
    #[command(after_help = report::HELP)]
    Report(report::ReportArgs),
    /// Replay a scenario with several values for one of its keys
    #[command(after_help = sweep::HELP)]
    Sweep(sweep::SweepArgs),
    /// Put results of one scenario with different seeds together
    #[command(after_help = merge::HELP)]
    Merge(merge::MergeArgs),
    /// Make, check and describe traces
    #[command(arg_required_else_help = true, after_help = TRACE_HELP)]
    Trace {
        #[command(subcommand)]
        command: TraceCommand,
    },
    /// Compare the model with recordings of real kernels
    #[command(after_help = validate::HELP)]
    Validate(validate::ValidateArgs),
    /// Work with recordings of real kernels
    #[command(arg_required_else_help = true, after_help = recording::HELP)]
    Recording {
        #[command(subcommand)]
        command: recording::RecordingCommand,
    },
    /// Simulate the TLBs of a core on a list of accesses
    #[command(after_help = tlb::HELP)]
    Tlb(tlb::TlbArgs),
    /// Explain what a scenario can choose from
    #[command(after_help = list::HELP)]
    List(list::ListArgs),
    /// Print the JSON Schema of a file format
    #[command(after_help = schema::HELP)]
    Schema(schema::SchemaArgs),
    /// Print a script that completes commands in a shell
    #[command(after_help = completions::HELP)]
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write one for each command
    #[command(after_help = man::HELP)]
    Man(man::ManArgs),
}

const TRACE_HELP: &str = "\
Examples:
  fragsim trace import --from perf-script loads.txt --output loads.jsonl
  fragsim trace check loads.jsonl
  fragsim trace stat loads.jsonl";

/// Runs the program on the command line of the process.
pub fn main() -> ExitCode {
    // Without a handler the program still ends on Ctrl-C; only an unfinished file would stay.
    drop(ctrlc::set_handler(|| {
        files::remove_unfinished();
        std::process::exit(exit::INTERRUPTED.into());
    }));
    let code = match Cli::try_parse() {
        Ok(cli) => {
            let messages = Messages::new();
            conclude(dispatch(&cli.command, messages), messages)
        }
        Err(error) => {
            // Help and version go to standard output; if nobody reads them, nobody is to be told.
            drop(error.print());
            if error.use_stderr() { exit::BAD_INPUT } else { exit::DONE }
        }
    };
    ExitCode::from(code)
}

/// Runs a subcommand; its data is buffered, and written out whole at the end.
fn dispatch(command: &Command, messages: Messages) -> Result<u8, Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let code = match command {
        Command::Run(args) => run::run(args, &mut out, messages)?,
        Command::Compare(args) => compare::run(args, &mut out, messages)?,
        Command::Check(args) => check::run(args, &mut out, messages)?,
        Command::Plot(args) => plot::run(args, &mut out, messages)?,
        Command::Report(args) => report::run(args, &mut out, messages)?,
        Command::Sweep(args) => sweep::run(args, &mut out, messages)?,
        Command::Merge(args) => merge::run(args, &mut out, messages)?,
        Command::Trace { command } => trace(command, &mut out, messages)?,
        Command::Validate(args) => validate::run(args, &mut out)?,
        Command::Recording { command } => recording::run(command, &mut out)?,
        Command::Tlb(args) => tlb::run(args, &mut out)?,
        Command::List(args) => list::run(args, &mut out)?,
        Command::Schema(args) => schema::run(args, &mut out)?,
        Command::Completions(args) => completions::run(args, &mut Cli::command(), &mut out)?,
        Command::Man(args) => man::run(args, Cli::command(), &mut out)?,
    };
    match out.flush() {
        // Nobody reads the rest; what was found out stays true.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(code),
        flushed => Ok(flushed.map(|()| code)?),
    }
}

fn trace(command: &TraceCommand, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    match trace::run(command, out, &mut io::stderr().lock()) {
        Ok(TraceOutcome::Done) => Ok(exit::DONE),
        Ok(TraceOutcome::Problems(problems)) => {
            messages.errors(&problems);
            Ok(exit::CHECK_FAILED)
        }
        Err(TraceFailure::Input(diagnostic)) => Err(diagnostic.into()),
        Err(TraceFailure::Output(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("  fragsim "), "{} has no example", command.get_name());
            command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check);
        }
        check(&Cli::command());
    }
}
