//! A check for people: terminals and job summaries.

use std::io::{self, Write};

use super::super::grid::{Grid, write_wrapped};
use super::super::{markdown, number};
use super::{CheckReport, CheckedInput, Ending, allowed, amount, has_seeds, missing, run_name, word};
use crate::check::{Change, Checked};

const COLUMNS: [&str; 7] = ["verdict", "allocator", "metric", "baseline", "now", "change", "allowed"];
/// How many of the columns are text.
const TEXT_COLUMNS: usize = 3;

impl CheckReport {
    pub(super) fn write_table(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        for input in &self.inputs {
            write_wrapped(out, &input.headline(), width)?;
            if let Some(checked) = input.ending.checked().filter(|checked| !checked.is_same()) {
                write_checked(checked, width, out)?;
            }
        }
        writeln!(out, "\n{}", self.summary())
    }

    pub(super) fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "### fragsim check: {}\n", self.summary())?;
        for input in &self.inputs {
            let mark = if input.ending.holds() { '\u{2705}' } else { '\u{274c}' };
            writeln!(out, "- {mark} {}", text(&input.headline()))?;
        }
        let with_changes = |input: &&CheckedInput| input.ending.checked().is_some_and(|checked| !checked.is_same());
        self.inputs.iter().filter(with_changes).try_for_each(|input| write_changes(input, out))
    }
}

fn write_checked(checked: &Checked, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let with_seed = has_seeds(checked);
    writeln!(out)?;
    if !checked.changes.is_empty() {
        let mut grid = Grid::new(COLUMNS.map(str::to_owned).to_vec(), TEXT_COLUMNS);
        checked.changes.iter().for_each(|change| grid.row(cells(change, with_seed).to_vec()));
        grid.write(out)?;
    }
    for (what, list) in [("gone", &checked.went), ("new", &checked.came)] {
        for one in list {
            write_wrapped(out, &format!("{what}: {}", missing(one, with_seed)), width)?;
        }
    }
    writeln!(out)
}

fn write_changes(input: &CheckedInput, out: &mut dyn Write) -> io::Result<()> {
    let Some(checked) = Ending::checked(&input.ending) else { return Ok(()) };
    let with_seed = has_seeds(checked);
    writeln!(out, "\n#### {}\n", text(&input.input))?;
    if !checked.changes.is_empty() {
        writeln!(out, "| {} |\n|---|---|---|--:|--:|--:|--:|", COLUMNS.join(" | "))?;
        for change in &checked.changes {
            writeln!(out, "| {} |", cells(change, with_seed).map(|cell| text(&cell)).join(" | "))?;
        }
        writeln!(out)?;
    }
    for (what, list) in [("gone", &checked.went), ("new", &checked.came)] {
        list.iter().try_for_each(|one| writeln!(out, "- {what}: {}", text(&missing(one, with_seed))))?;
    }
    Ok(())
}

/// A text that Markdown takes for text.
fn text(text: &str) -> String {
    markdown::cell(text).replace('<', "&lt;")
}

fn cells(change: &Change, with_seed: bool) -> [String; 7] {
    [
        word(change.found).to_owned(),
        run_name(&change.allocator, change.seed, with_seed),
        super::printable(&change.metric),
        number::text(change.baseline),
        number::text(change.now),
        amount(change),
        allowed(change),
    ]
}
