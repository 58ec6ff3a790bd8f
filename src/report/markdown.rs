//! A table for pull requests and web pages.

use std::io::{self, Write};

use super::rows::{COLUMNS, run_name};
use super::{Exporter, tlb, verdict};
use crate::result::ResultDoc;

pub(super) struct Markdown;

/// A text inside a table cell.
pub(super) fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

impl Exporter for Markdown {
    fn export(&self, result: &ResultDoc, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "### {}\n", cell(&result.scenario.name))?;
        let titles: Vec<String> = COLUMNS.iter().map(|column| column.title.join(" ")).collect();
        writeln!(out, "| allocator | {} |", titles.join(" | "))?;
        writeln!(out, "|---|{}", "--:|".repeat(titles.len()))?;
        for run in &result.runs {
            let cells: Vec<String> = COLUMNS.iter().map(|column| (column.cell)(run).text(" → ")).collect();
            writeln!(out, "| {} | {} |", cell(&run_name(result, run)), cells.join(" | "))?;
        }
        let walks = tlb::rows(result);
        if !walks.is_empty() {
            let titles: Vec<String> = tlb::TITLES.iter().map(|title| title.join(" ")).collect();
            writeln!(out, "\n| {} |\n|---|{}", titles.join(" | "), "--:|".repeat(titles.len() - 1))?;
            for row in walks {
                let cells: Vec<String> = row.iter().map(|text| cell(text)).collect();
                writeln!(out, "| {} |", cells.join(" | "))?;
            }
            writeln!(out, "\n{}", tlb::lines(result).join("\n\n"))?;
        }
        writeln!(out)?;
        // An empty line between two lines keeps them apart in Markdown.
        writeln!(out, "{}", verdict(result).replace('\n', "\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{DEFAULT_WIDTH, Format};
    use crate::result::testing::two_runs;

    #[test]
    fn a_table_for_pull_requests() {
        let mut result = two_runs();
        result.runs[1].allocator = "pack|4k".to_owned();
        let mut out = Vec::new();
        Format::Markdown.write(&result, DEFAULT_WIDTH, &mut out).unwrap();
        let expected = "\
### small

| allocator | DirectMap 4k kB | DirectMap 2M kB | DirectMap 1G kB | level-2 splits | level-3 splits | global flushes \
| text pages | text bytes | wasted bytes | stale bytes | peak programs |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
| per-prog | 4096 → 28672 | 4194304 → 5218304 | 62914560 → 61865984 | 12 | 1 | 37 \
| 8 → 0 | 32768 → 0 | 29000 → 0 | 0 | 7 |
| pack\\|4k | 4096 → 10240 | 4194304 → 4188160 | 62914560 | 3 | 0 | 9 | 2 → 1 | 8192 → 4096 | 4424 → 4096 | 612 | 7 |

per-prog split 13 large pages (12 of 2 MiB, 1 of 1 GiB); pack|4k 3 (3 of 2 MiB).
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
