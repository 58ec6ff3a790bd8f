//! Annotations for GitHub Actions: lines that its runner takes out of the log of a step
//! (`ActionCommand` of actions/runner), one for each input because it shows only ten of a kind.

use std::io::{self, Write};

use super::{CheckReport, CheckedInput, Ending, allowed, amount, has_seeds, missing, printable, run_name};
use crate::check::{Checked, Found};
use crate::report::number;

/// Most changes that one annotation lists.
const MOST_LISTED: usize = 20;

impl CheckReport {
    /// Writes an annotation for each input that does not hold.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_github(&self, out: &mut dyn Write) -> io::Result<()> {
        for input in &self.inputs {
            let (kind, title, message) = match &input.ending {
                Ending::Checked(checked) if checked.is_worse() => {
                    ("error", "something got worse", worse(input, checked))
                }
                Ending::Refused(reasons) => {
                    let reason = |reason: &crate::diagnostics::Diagnostic| match &reason.help {
                        Some(help) => format!("{}: {}; help: {help}", input.input, printable(&reason.message)),
                        None => format!("{}: {}", input.input, printable(&reason.message)),
                    };
                    ("error", "bad input", reasons.iter().map(reason).collect::<Vec<_>>().join("\n"))
                }
                Ending::NoBaseline => ("warning", "no baseline", input.headline()),
                Ending::Checked(_) | Ending::Updated(_) | Ending::UpToDate => continue,
            };
            let file = property(&input.input);
            let title = property(&format!("fragsim check: {title}"));
            writeln!(out, "::{kind} file={file},title={title}::{}", data(&message))?;
        }
        Ok(())
    }
}

fn worse(input: &CheckedInput, checked: &Checked) -> String {
    let with_seed = has_seeds(checked);
    let mut lines: Vec<String> = checked
        .changes
        .iter()
        .filter(|change| change.found == Found::Worse)
        .map(|change| {
            let (run, metric) = (run_name(&change.allocator, change.seed, with_seed), printable(&change.metric));
            let (was, is) = (number::text(change.baseline), number::text(change.now));
            format!("worse: {run} {metric} {was} -> {is}, {}, allowed {}", amount(change), allowed(change))
        })
        .collect();
    lines.extend(checked.went.iter().map(|one| format!("gone: {}", missing(one, with_seed))));
    if lines.len() > MOST_LISTED {
        let more = lines.len() - MOST_LISTED;
        lines.truncate(MOST_LISTED);
        lines.push(format!("and {more} more"));
    }
    lines.insert(0, input.headline());
    lines.join("\n")
}

/// The text after `::`, escaped as the runner reads it back.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, escaped as the runner reads it back.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
