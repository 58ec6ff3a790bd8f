//! A table for terminals: one if it is wide enough, otherwise several with fewer columns each.

use std::io::{self, Write};

use super::grid::{Grid, write_wrapped};
use super::rows::{COLUMNS, Column, LEGEND, run_name};
use super::{Exporter, tlb, verdict};
use crate::result::ResultDoc;
use crate::units::Seeds;

pub(super) struct Table {
    /// At most so many characters wide, if that is possible.
    pub width: usize,
}

impl Exporter for Table {
    fn export(&self, result: &ResultDoc, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", title(result))?;
        for columns in self.arrange(result) {
            writeln!(out)?;
            grid(result, &columns).write(out)?;
        }
        let walks = tlb::rows(result);
        if !walks.is_empty() {
            writeln!(out)?;
            let mut grid = Grid::new(tlb::TITLES.iter().map(|title| title.join("\n")).collect(), 1);
            walks.into_iter().for_each(|row| grid.row(row));
            grid.write(out)?;
        }
        writeln!(out)?;
        for line in LEGEND.map(str::to_owned).into_iter().chain(tlb::lines(result)) {
            write_wrapped(out, &line, self.width)?;
        }
        writeln!(out)?;
        for line in verdict(result).lines() {
            write_wrapped(out, line, self.width)?;
        }
        Ok(())
    }
}

/// Which scenario and seeds, in a line.
pub(super) fn title(result: &ResultDoc) -> String {
    let mut title = format!("Scenario {}", result.scenario.name);
    if let Some(memory) = result.scenario.resolved.pointer("/machine/memory").and_then(|memory| memory.as_str()) {
        title += &format!(", {memory} of memory");
    }
    let several = if result.has_seeds() { "s" } else { "" };
    match Seeds::of(result.runs.iter().map(|run| run.seed)) {
        Some(seeds) => title + &format!(", seed{several} {seeds}"),
        None => title,
    }
}

impl Table {
    /// The columns of each table: all in one, or direct map and text apart, or as many tables as it takes.
    fn arrange(&self, result: &ResultDoc) -> Vec<Vec<&'static Column>> {
        let all: Vec<&Column> = COLUMNS.iter().collect();
        if self.fits(result, &all) {
            return vec![all];
        }
        let mut tables = Vec::new();
        for direct_map in [true, false] {
            let mut table = Vec::new();
            for column in COLUMNS.iter().filter(|column| column.direct_map == direct_map) {
                table.push(column);
                if table.len() > 1 && !self.fits(result, &table) {
                    table.pop();
                    tables.push(std::mem::replace(&mut table, vec![column]));
                }
            }
            tables.push(table);
        }
        tables
    }

    fn fits(&self, result: &ResultDoc, columns: &[&Column]) -> bool {
        grid(result, columns).width() <= self.width
    }
}

fn grid(result: &ResultDoc, columns: &[&Column]) -> Grid {
    let titles = columns.iter().map(|column| column.title.join("\n"));
    let mut grid = Grid::new(std::iter::once("allocator".to_owned()).chain(titles).collect(), 1);
    for run in &result.runs {
        let cells = columns.iter().map(|column| (column.cell)(run).text("\n→"));
        grid.row(std::iter::once(run_name(result, run)).chain(cells).collect());
    }
    grid
}

#[cfg(test)]
mod tests {
    use crate::report::Format;
    use crate::result::Counters;
    use crate::result::testing::{result, two_runs};

    fn draw(width: usize) -> String {
        let mut out = Vec::new();
        Format::Table.write(&two_runs(), width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_wide_table_has_a_row_for_each_allocator() {
        let expected = "\
Scenario small, 64GiB of memory, seed 1

allocator  DirectMap  DirectMap  DirectMap  level-2  level-3   global   text   text  wasted  stale      peak
               4k kB      2M kB      1G kB   splits   splits  flushes  pages  bytes   bytes  bytes  programs
────────────────────────────────────────────────────────────────────────────────────────────────────────────
per-prog        4096    4194304   62914560       12        1       37      8  32768   29000      0         7
              →28672   →5218304  →61865984                                →0     →0      →0
pack-4k         4096    4194304   62914560        3        0        9      2   8192    4424    612         7
              →10240   →4188160                                           →1  →4096   →4096

DirectMap4k, 2M, 1G: memory mapped with pages of that size, before the trace → after it, where it changed.
Splits: large pages broken up, of 2 MiB (level 2) and of 1 GiB (level 3). Global flushes: of every CPU's whole TLB.
Text: executable memory; wasted: what of it holds no program (padding, unused). Both when most programs were loaded → at
the end, where it differs.
Stale: most bytes of freed programs that were still executable at any one time.

per-prog split 13 large pages (12 of 2 MiB, 1 of 1 GiB); pack-4k 3 (3 of 2 MiB).
";
        assert_eq!(draw(120), expected);
    }

    #[test]
    fn what_does_not_fit_goes_into_a_second_table() {
        let text = draw(100);
        assert_eq!(text.matches("\nallocator  ").count(), 2);
        assert!(text.contains("\nallocator   text   text  wasted  stale      peak\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100));
        let text = draw(40);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(draw(1).contains("level-3"));
    }

    #[test]
    fn several_seeds_are_named_and_missing_counters_are_a_dash() {
        let mut result = two_runs();
        result.runs[1].seed = 2;
        result.runs[1].counters = Counters::default();
        result.runs[0].allocator = "per\u{1b}[31mprog".to_owned();
        let mut out = Vec::new();
        Format::Table.write(&result, 200, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\npack-4k (seed 2) "), "{text}");
        assert!(text.contains("→-"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_result_without_runs_is_shown_too() {
        let mut out = Vec::new();
        Format::Table.write(&result(Vec::new()), 120, &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().ends_with("Nothing was replayed.\n"));
    }
}
