//! `fragsim merge`: results of one scenario with different seeds become one.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::exit;
use super::output::{Failure, Messages};
use crate::check::differences;
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, keep_input, write_all};
use crate::result::ResultDoc;

pub(super) const HELP: &str = "\
Examples:
  fragsim merge month-1.json month-2.json --output month.json
  fragsim merge parts/*.json --output - | fragsim compare -

The results are of one scenario and trace and have different seeds, such as those that several machines worked on. What \
comes out is, to the byte, what one `fragsim run` with all the seeds writes.";

/// Arguments of `merge`.
#[derive(Clone, Debug, Args)]
pub(super) struct MergeArgs {
    /// The results; `-` for standard input
    #[arg(value_name = "RESULT", required = true)]
    results: Vec<PathBuf>,
    /// Write the result to this file; `-` prints it
    #[arg(long, short, value_name = "FILE", default_value = STDIN)]
    output: PathBuf,
    /// Print nothing but the result and errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
pub(super) fn run(args: &MergeArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    let results = args.results.iter().map(|path| ResultDoc::read(path)).collect::<Result<Vec<_>, _>>()?;
    let (first, name) = (&results[0], args.results[0].display());
    for (result, path) in results.iter().zip(&args.results) {
        let mut found = differences(&first.scenario, &result.scenario);
        if result.fragsim != first.fragsim {
            found.push(format!("written by fragsim {}, not {}", result.fragsim, first.fragsim));
        }
        if !found.is_empty() {
            let message = format!("`{}` and `{name}` do not belong together: {}", path.display(), found.join("; "));
            let help = "`fragsim compare` and `fragsim plot --x` take results of different scenarios";
            return Err(Diagnostic::new(message).help(help).into());
        }
    }
    let merged = ResultDoc::merge(results)
        .map_err(|error| Diagnostic::new(error.to_string()).help("name each result once, or leave one of them out"))?;
    if args.output.as_os_str() == STDIN {
        out.write_all(&merged.to_json())?;
        return Ok(exit::DONE);
    }
    args.results.iter().try_for_each(|input| keep_input(&args.output, "the result", "part", input))?;
    write_all(&args.output, &merged.to_json())?;
    if !args.quiet {
        messages.note(format_args!("wrote {}", args.output.display()));
    }
    Ok(exit::DONE)
}
