//! `fragsim report`: a result as one web page.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit;
use super::output::{Failure, Messages};
use super::plot::gather;
use crate::files::{STDIN, keep_input, write_all};
use crate::page::page;
use crate::result::ResultDoc;

pub(super) const HELP: &str = "\
Examples:
  fragsim report month.json --output month.html
  fragsim run scenarios/month.json --output - | fragsim report - --output month.html

The page needs nothing else, neither files nor a network.";

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
pub(super) struct ReportArgs {
    /// A result, or several; `-` for standard input
    #[arg(value_name = "RESULT", required = true)]
    results: Vec<PathBuf>,
    /// Write the page to this file; `-` prints it
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &ReportArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    let results = args.results.iter().map(|path| ResultDoc::read(path)).collect::<Result<Vec<_>, _>>()?;
    let html = page(&gather(&results)?);
    if args.output.as_os_str() == STDIN {
        out.write_all(html.as_bytes())?;
        return Ok(exit::DONE);
    }
    for input in &args.results {
        keep_input(&args.output, "the page", "result", input)?;
    }
    write_all(&args.output, html.as_bytes())?;
    if !args.quiet {
        messages.note(format_args!("wrote {}", args.output.display()));
    }
    Ok(exit::DONE)
}
