//! A check for readers: people, programs, and the services that run checks.

mod data;
mod github;
mod junit;
mod table;

use std::io::{self, Write};

use super::{Format, grid::printable, number};
use crate::check::{Change, Checked, Found, Missing};
use crate::diagnostics::Diagnostic;

/// What came out of checking some inputs.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// The inputs, in the order in which they were named.
    pub inputs: Vec<CheckedInput>,
}

/// What came out for one input.
#[derive(Clone, Debug)]
pub struct CheckedInput {
    /// The input as the user named it.
    pub input: String,
    /// Where its baseline is or belongs; none if that is not known.
    pub baseline: Option<String>,
    /// What came out.
    pub ending: Ending,
}

/// How the check of one input ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was compared with its baseline.
    Checked(Checked),
    /// There is no baseline.
    NoBaseline,
    /// The input or its baseline cannot be used, for these reasons.
    Refused(Vec<Diagnostic>),
    /// A baseline was written; with what changed, if there was one before.
    Updated(Option<Checked>),
    /// The baseline is what it would be made.
    UpToDate,
}

impl Ending {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        match self {
            Self::Checked(checked) => !checked.is_worse(),
            Self::Updated(_) | Self::UpToDate => true,
            Self::NoBaseline | Self::Refused(_) => false,
        }
    }

    /// What was compared, if anything was.
    pub fn checked(&self) -> Option<&Checked> {
        match self {
            Self::Checked(checked) | Self::Updated(Some(checked)) => Some(checked),
            _ => None,
        }
    }

    /// The word for it in files.
    const fn word(&self) -> &'static str {
        match self {
            Self::Checked(_) => "checked",
            Self::NoBaseline => "no baseline",
            Self::Refused(_) => "refused",
            Self::Updated(_) => "updated",
            Self::UpToDate => "up to date",
        }
    }
}

impl CheckReport {
    /// Writes the report in this format; tables are at most `width` characters wide if that is possible.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, format: Format, width: usize, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Table => self.write_table(width, out),
            Format::Markdown => self.write_markdown(out),
            Format::Json => self.write_json(out),
            Format::Csv => self.write_csv(out),
        }
    }

    /// How many inputs hold, in a sentence.
    fn summary(&self) -> String {
        let count = |wanted: &dyn Fn(&Ending) -> bool| self.inputs.iter().filter(|input| wanted(&input.ending)).count();
        let parts = [
            (count(&|ending| matches!(ending, Ending::Checked(checked) if !checked.is_worse())), "hold"),
            (count(&|ending| matches!(ending, Ending::Checked(checked) if checked.is_worse())), "got worse"),
            (count(&|ending| matches!(ending, Ending::NoBaseline)), "have no baseline"),
            (count(&|ending| matches!(ending, Ending::Refused(_))), "cannot be checked"),
            (count(&|ending| matches!(ending, Ending::Updated(_))), "have a new baseline"),
            (count(&|ending| matches!(ending, Ending::UpToDate)), "are up to date"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        format!("Of {} checked: {}.", self.inputs.len(), parts.join(", "))
    }
}

impl CheckedInput {
    /// What came out, in a line.
    fn headline(&self) -> String {
        let input = printable(&self.input);
        let baseline = self.baseline.as_deref().map(printable).unwrap_or_default();
        match &self.ending {
            Ending::Checked(checked) if checked.is_same() => {
                format!("{input}: all {} metrics are those of {baseline}", checked.same)
            }
            Ending::Checked(checked) => format!("{input}: {}, against {baseline}", counts(checked)),
            Ending::NoBaseline => format!("{input}: there is no baseline {baseline}; `--update` writes it"),
            Ending::Refused(reasons) => {
                let reason = reasons.first().map(|reason| printable(&reason.message)).unwrap_or_default();
                format!("{input}: {reason}")
            }
            Ending::Updated(None) => format!("{input}: wrote {baseline}"),
            Ending::Updated(Some(checked)) if checked.is_same() => {
                format!("{input}: wrote {baseline}, no metric changed")
            }
            Ending::Updated(Some(checked)) => format!("{input}: wrote {baseline}; {}", counts(checked)),
            Ending::UpToDate => format!("{input}: {baseline} is up to date"),
        }
    }
}

/// `1 worse, 2 better, 350 the same`
fn counts(checked: &Checked) -> String {
    let parts = [
        (checked.count(Found::Worse), "worse"),
        (checked.count(Found::Better), "better"),
        (checked.count(Found::Allowed), "changed as allowed"),
        (checked.went.len(), "gone"),
        (checked.came.len(), "new"),
        (checked.same, "the same"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    parts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// The word for a finding in files.
const fn word(found: Found) -> &'static str {
    match found {
        Found::Worse => "worse",
        Found::Better => "better",
        Found::Allowed => "allowed",
    }
}

/// Whether a check is about several seeds, so that they must be named.
fn has_seeds(checked: &Checked) -> bool {
    let missing =
        checked.came.iter().chain(&checked.went).flat_map(|missing| missing.runs.iter().map(|(_, seed)| *seed));
    let mut seeds = checked.changes.iter().map(|change| change.seed).chain(missing);
    let first = seeds.next();
    seeds.any(|seed| Some(seed) != first)
}

/// What a run is called.
fn run_name(allocator: &str, seed: u64, with_seed: bool) -> String {
    let name = printable(allocator);
    if with_seed { format!("{name} (seed {seed})") } else { name }
}

/// What a change amounts to: `+9 (+1.2%)`.
fn amount(change: &Change) -> String {
    let signed = number::signed(change.now - change.baseline);
    if change.baseline == 0.0 {
        return signed;
    }
    format!("{signed} ({})", number::percent((change.now - change.baseline) / change.baseline.abs() * 100.0))
}

/// How much a metric may change, in words.
fn allowed(change: &Change) -> String {
    match change.allowed {
        None => "any".to_owned(),
        Some(0.0) => "none".to_owned(),
        Some(allowed) => number::text(allowed),
    }
}

/// What is missing, in words: `text.packs_created of per-prog, pack-4k`.
fn missing(missing: &Missing, with_seed: bool) -> String {
    let runs: Vec<String> = missing.runs.iter().map(|(name, seed)| run_name(name, *seed, with_seed)).collect();
    match &missing.metric {
        Some(metric) => format!("{} of {}", printable(metric), runs.join(", ")),
        None => format!("all of {}", runs.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Rules, check};
    use crate::result::testing::two_runs;

    /// One of each ending.
    fn report() -> CheckReport {
        let (mut baseline, mut now) = (two_runs(), two_runs());
        baseline.runs[1].counters.set("direct_map_level3_splits", 4);
        now.runs[1].counters.set("direct_map_level2_splits", 4);
        baseline.runs[1].counters.set("went|counter", 1);
        now.runs[0].counters.set("new_counter", 1);
        let checked = check(&now, &baseline, &Rules::default());
        let same = check(&now, &now, &Rules::default());
        let refused = vec![Diagnostic::new("the file is <empty>\u{1b}").in_file("c,d.json").help("say \"100%\"\nmore")];
        let input = |input: &str, baseline: &str, ending| CheckedInput {
            input: input.to_owned(),
            baseline: (!baseline.is_empty()).then(|| baseline.to_owned()),
            ending,
        };
        CheckReport {
            inputs: vec![
                input("a.json", "results/a.json", Ending::Checked(checked)),
                input("b.json", "results/b.json", Ending::Checked(same)),
                input("c,d.json", "", Ending::Refused(refused)),
                input("e.json", "results/e.json", Ending::NoBaseline),
            ],
        }
    }

    /// A text in which SAME and ALL stand for the number of metrics that did not change, and of all of them.
    fn counted(text: &str) -> String {
        let checked = |index: usize| report().inputs[index].ending.checked().map(|checked| checked.same).unwrap();
        text.replace("SAME", &checked(0).to_string()).replace("ALL", &checked(1).to_string())
    }

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        report().write(format, 110, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_lists_what_changed() {
        let expected = "\
a.json: 1 worse, 1 better, 1 gone, 1 new, SAME the same, against results/a.json

verdict  allocator  metric                             baseline  now       change  allowed
──────────────────────────────────────────────────────────────────────────────────────────
worse    pack-4k    counters.direct_map_level2_splits         3    4  +1 (+33.3%)     none
better   pack-4k    counters.direct_map_level3_splits         4    0   -4 (-100%)     none
gone: counters.went|counter of pack-4k
new: counters.new_counter of per-prog

b.json: all ALL metrics are those of results/b.json
c,d.json: the file is <empty>?
e.json: there is no baseline results/e.json; `--update` writes it

Of 4 checked: 1 hold, 1 got worse, 1 have no baseline, 1 cannot be checked.
";
        assert_eq!(written(Format::Table), counted(expected));
    }

    #[test]
    fn markdown_is_for_job_summaries() {
        let text = written(Format::Markdown);
        let expected = "\
### fragsim check: Of 4 checked: 1 hold, 1 got worse, 1 have no baseline, 1 cannot be checked.

- \u{274c} a.json: 1 worse, 1 better, 1 gone, 1 new, SAME the same, against results/a.json
- \u{2705} b.json: all ALL metrics are those of results/b.json
- \u{274c} c,d.json: the file is <empty>?
- \u{274c} e.json: there is no baseline results/e.json; `--update` writes it

#### a.json

| verdict | allocator | metric | baseline | now | change | allowed |
|---|---|---|--:|--:|--:|--:|
| worse | pack-4k | counters.direct_map_level2_splits | 3 | 4 | +1 (+33.3%) | none |
";
        assert!(text.starts_with(&counted(expected).replace("<empty>", "&lt;empty>")), "{text}");
        assert!(text.contains("\n- gone: counters.went\\|counter of pack-4k\n"), "{text}");
    }

    #[test]
    fn programs_get_numbers_and_words() {
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
        let first = &json["inputs"][0];
        assert_eq!((first["ending"].as_str(), first["holds"].as_bool()), (Some("checked"), Some(false)));
        assert_eq!(first["worse"].as_u64(), Some(1));
        assert_eq!(first["changes"][0]["now"].to_string(), "4");
        assert_eq!(first["went"][0]["runs"][0]["allocator"], "pack-4k");
        assert_eq!(json["inputs"][2]["reasons"][0].as_str().unwrap().split(':').next(), Some("c,d.json"));
        let csv = written(Format::Csv);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "input,verdict,allocator,seed,metric,baseline,now,allowed");
        assert_eq!(lines[1], "a.json,worse,pack-4k,1,counters.direct_map_level2_splits,3,4,0");
        assert!(lines.contains(&"a.json,gone,pack-4k,1,counters.went|counter,,,"), "{csv}");
        assert_eq!(*lines.last().unwrap(), "e.json,no baseline,,,,,,");
    }

    #[test]
    fn annotations_are_one_line_each_and_escaped() {
        let mut out = Vec::new();
        report().write_github(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = "\
::error file=a.json,title=fragsim check%3A something got worse::a.json: 1 worse, 1 better, 1 gone, 1 new, SAME the \
same, against results/a.json%0Aworse: pack-4k counters.direct_map_level2_splits 3 -> 4, +1 (+33.3%25), allowed \
none%0Agone: counters.went|counter of pack-4k
::error file=c%2Cd.json,title=fragsim check%3A bad input::c,d.json: the file is <empty>?; help: say \"100%25\"%0Amore
::warning file=e.json,title=fragsim check%3A no baseline::e.json: there is no baseline results/e.json; `--update` \
writes it
";
        assert_eq!(text, counted(expected));
    }

    #[test]
    fn junit_has_a_suite_for_each_input() {
        let mut out = Vec::new();
        report().write_junit(&mut out).unwrap();
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"fragsim check\" tests=\"8\" failures=\"3\" errors=\"1\">
  <testsuite name=\"a.json\" tests=\"5\" failures=\"2\" errors=\"0\">
    <testcase classname=\"a.json\" name=\"the SAME metrics that are the same\"/>
    <testcase classname=\"a.json\" name=\"pack-4k: counters.direct_map_level2_splits\">
      <failure message=\"3 -&gt; 4, +1 (+33.3%), allowed none\"/>
    </testcase>
    <testcase classname=\"a.json\" name=\"pack-4k: counters.direct_map_level3_splits\"/>
    <testcase classname=\"a.json\" name=\"gone: counters.went|counter of pack-4k\">
      <failure message=\"the baseline has it, the result has not\"/>
    </testcase>
    <testcase classname=\"a.json\" name=\"new: counters.new_counter of per-prog\"/>
  </testsuite>
  <testsuite name=\"b.json\" tests=\"1\" failures=\"0\" errors=\"0\">
    <testcase classname=\"b.json\" name=\"the ALL metrics that are the same\"/>
  </testsuite>
  <testsuite name=\"c,d.json\" tests=\"1\" failures=\"0\" errors=\"1\">
    <testcase classname=\"c,d.json\" name=\"input\">
      <error message=\"the file is &lt;empty&gt;?\"/>
    </testcase>
  </testsuite>
  <testsuite name=\"e.json\" tests=\"1\" failures=\"1\" errors=\"0\">
    <testcase classname=\"e.json\" name=\"baseline\">
      <failure message=\"there is no baseline results/e.json\"/>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(String::from_utf8(out).unwrap(), counted(expected));
    }
}
