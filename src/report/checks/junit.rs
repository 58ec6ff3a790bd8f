//! A check as JUnit XML, as most services read it: a suite for each input, a case for each metric that changed, and one
//! for all that did not.

use std::io::{self, Write};

use super::{CheckReport, CheckedInput, Ending, allowed, amount, has_seeds, missing, printable, run_name};
use crate::check::{Checked, Found};
use crate::report::number;

/// One test case.
struct Case {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    /// It could not be found out.
    Error(String),
}

impl CheckReport {
    /// Writes the report as JUnit XML.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_junit(&self, out: &mut dyn Write) -> io::Result<()> {
        let suites: Vec<(&CheckedInput, Vec<Case>)> = self.inputs.iter().map(|input| (input, cases(input))).collect();
        let all = suites.iter().flat_map(|(_, cases)| cases);
        writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(out, "<testsuites name=\"fragsim check\" {}>", counts(all))?;
        for (input, cases) in &suites {
            let suite = escaped(&input.input);
            writeln!(out, "  <testsuite name=\"{suite}\" {}>", counts(cases.iter()))?;
            for Case { name, outcome } in cases {
                let name = escaped(name);
                let (element, message) = match outcome {
                    Outcome::Passed => {
                        writeln!(out, "    <testcase classname=\"{suite}\" name=\"{name}\"/>")?;
                        continue;
                    }
                    Outcome::Failed(message) => ("failure", message),
                    Outcome::Error(message) => ("error", message),
                };
                writeln!(out, "    <testcase classname=\"{suite}\" name=\"{name}\">")?;
                writeln!(out, "      <{element} message=\"{}\"/>", escaped(message))?;
                writeln!(out, "    </testcase>")?;
            }
            writeln!(out, "  </testsuite>")?;
        }
        writeln!(out, "</testsuites>")
    }
}

/// The attributes that count cases.
fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors) = (0u32, 0u32, 0u32);
    for case in cases {
        tests += 1;
        match case.outcome {
            Outcome::Passed => {}
            Outcome::Failed(_) => failures += 1,
            Outcome::Error(_) => errors += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

fn cases(input: &CheckedInput) -> Vec<Case> {
    let case = |name: &str, outcome| vec![Case { name: name.to_owned(), outcome }];
    match &input.ending {
        Ending::Checked(checked) => of_checked(checked),
        Ending::NoBaseline => {
            let baseline = input.baseline.as_deref().map(printable).unwrap_or_default();
            case("baseline", Outcome::Failed(format!("there is no baseline {baseline}")))
        }
        Ending::Refused(reasons) => {
            let reasons: Vec<String> = reasons.iter().map(|reason| printable(&reason.message)).collect();
            case("input", Outcome::Error(reasons.join("; ")))
        }
        Ending::Updated(_) | Ending::UpToDate => case("baseline", Outcome::Passed),
    }
}

fn of_checked(checked: &Checked) -> Vec<Case> {
    let with_seed = has_seeds(checked);
    let mut cases = Vec::new();
    if checked.same > 0 {
        cases.push(Case { name: format!("the {} metrics that are the same", checked.same), outcome: Outcome::Passed });
    }
    for change in &checked.changes {
        let run = run_name(&change.allocator, change.seed, with_seed);
        let outcome = match change.found {
            Found::Better | Found::Allowed => Outcome::Passed,
            Found::Worse => {
                let (was, is) = (number::text(change.baseline), number::text(change.now));
                Outcome::Failed(format!("{was} -> {is}, {}, allowed {}", amount(change), allowed(change)))
            }
        };
        cases.push(Case { name: format!("{run}: {}", change.metric), outcome });
    }
    for gone in &checked.went {
        let outcome = Outcome::Failed("the baseline has it, the result has not".to_owned());
        cases.push(Case { name: format!("gone: {}", missing(gone, with_seed)), outcome });
    }
    for came in &checked.came {
        cases.push(Case { name: format!("new: {}", missing(came, with_seed)), outcome: Outcome::Passed });
    }
    cases
}

/// A text as the value of an attribute; characters that XML 1.0 cannot hold are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}
