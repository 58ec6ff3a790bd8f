//! `fragsim compare`: lay allocators, or results from before and after a change, side by side.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::args::{line_width, metric_pattern};
use super::exit;
use super::output::{Failure, Messages};
use crate::check::differences;
use crate::compare::{Comparison, NothingToCompare, compare_allocators, compare_results};
use crate::diagnostics::{Diagnostic, did_you_mean};
use crate::report::{ComparisonView, Format};
use crate::result::{MetricPattern, ResultDoc};

pub(super) const HELP: &str = "\
Examples:
  fragsim run scenarios/month.json --seeds 1..30 --output month.json
  fragsim compare month.json --reference pack-4k
  fragsim compare before.json after.json --format md
  fragsim compare month.json --metric 'text.*' --metric MemFree

With one result its allocators are compared with one of them, with several each allocator with itself in the first \
result; seed by seed either way. A table shows the metrics that matter most; JSON and CSV have all of them.";

/// Arguments of `compare`.
#[derive(Clone, Debug, Args)]
pub(super) struct CompareArgs {
    /// A result, or several: the first is the one before the change; `-` for standard input
    #[arg(value_name = "RESULT", required = true)]
    results: Vec<PathBuf>,
    /// Compare with this allocator [default: the first one]
    #[arg(long, value_name = "ALLOCATOR")]
    reference: Option<String>,
    /// Show this metric, such as direct_map_level2_splits or text.*; may be given more than once
    #[arg(long, value_name = "METRIC", value_parser = metric_pattern)]
    metric: Vec<MetricPattern>,
    /// How the comparison is printed
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
}

/// Runs the command.
pub(super) fn run(args: &CompareArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    if let (Some(reference), true) = (&args.reference, args.results.len() > 1) {
        let diagnostic = Diagnostic::new(format!("`--reference {reference}` is for one result, and here are several"));
        return Err(diagnostic.help("the first result is what the others are compared with").into());
    }
    let docs = args.results.iter().map(|path| ResultDoc::read(path)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<String> = args.results.iter().map(|path| path.display().to_string()).collect();
    let named: Vec<(&str, &ResultDoc)> = names.iter().map(String::as_str).zip(&docs).collect();
    let compared = match named.as_slice() {
        [(name, doc)] => compare_allocators(name, doc, args.reference.as_deref()),
        several => compare_results(several),
    };
    let comparison = match compared {
        Ok(comparison) => comparison,
        Err(error @ NothingToCompare::NoSuchReference(_)) => return Err(no_reference(&error, &docs).into()),
        Err(error) => {
            messages.error(&Diagnostic::new(error.to_string()));
            return Ok(exit::NOTHING_TO_COMPARE);
        }
    };
    warn(&comparison, messages);
    for ((name, doc), first) in named.iter().skip(1).zip(std::iter::repeat(&docs[0])) {
        warn_of_scenario(name, first, doc, messages);
    }
    let docs: Vec<&ResultDoc> = docs.iter().collect();
    ComparisonView::new(&comparison, &docs, &args.metric).write(args.format, line_width(), out)?;
    Ok(exit::DONE)
}

/// What a reader must know to trust the numbers.
pub(super) fn warn(comparison: &Comparison, messages: Messages) {
    comparison.warnings.iter().for_each(|warning| messages.warning(&Diagnostic::new(warning.as_str())));
}

fn no_reference(error: &NothingToCompare, docs: &[ResultDoc]) -> Diagnostic {
    let allocators: Vec<&str> = docs.iter().flat_map(ResultDoc::allocators).collect();
    let NothingToCompare::NoSuchReference(reference) = error else { return Diagnostic::new(error.to_string()) };
    let near = did_you_mean(reference, allocators.iter().copied());
    let help =
        near.map_or(format!("the result has {}", allocators.join(", ")), |near| format!("did you mean `{near}`?"));
    Diagnostic::new(error.to_string()).help(help)
}

/// Two results of different scenarios can be laid side by side, but a reader should know.
fn warn_of_scenario(name: &str, first: &ResultDoc, later: &ResultDoc, messages: Messages) {
    let found = differences(&first.scenario, &later.scenario);
    if !found.is_empty() {
        let message = format!("`{name}` is a result of another scenario or trace: {}", found.join("; "));
        messages.warning(&Diagnostic::new(message));
    }
}
