//! A comparison for people: terminals and pull requests.

use std::io::{self, Write};

use super::super::grid::{Grid, printable, write_wrapped};
use super::super::markdown::cell;
use super::super::number;
use super::{ComparisonView, difference, title_of};
use crate::compare::{MetricRows, Row, Verdict};

/// What the marks mean, a line each.
const LEGEND: [&str; 2] = [
    "Medians over the seeds, with the interval that holds the median of all hosts with 95%. Differences are taken seed \
     by seed; p is that of the sign test.",
    "~: may be chance, the interval of the differences holds 0. =: no difference on any seed. ?: too few seeds to tell.",
];

impl ComparisonView<'_> {
    pub(super) fn write_table(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        self.titles.iter().try_for_each(|title| writeln!(out, "{title}"))?;
        for metric in &self.shown {
            writeln!(out, "\n{}", title_of(metric))?;
            self.grid(metric).write(out)?;
        }
        writeln!(out)?;
        if !self.constant.is_empty() {
            write_wrapped(out, &self.constant_line(), width)?;
            writeln!(out)?;
        }
        LEGEND.iter().try_for_each(|line| write_wrapped(out, line, width))
    }

    fn several_results(&self) -> bool {
        self.comparison.results.len() > 1
    }

    fn grid(&self, metric: &MetricRows) -> Grid {
        let result = self.several_results().then(|| "result".to_owned());
        let text_columns = if self.several_results() { 2 } else { 1 };
        let numbers = ["median".to_owned(), "95% interval".to_owned(), format!("to {}", printable(self.base()))];
        let more = ["", "95% interval", "p"].map(str::to_owned);
        let header = std::iter::once("allocator".to_owned()).chain(result).chain(numbers).chain(more).collect();
        let mut grid = Grid::new(header, text_columns);
        let mut above = None;
        for row in &metric.rows {
            let allocator = if above == Some(&row.allocator) { String::new() } else { printable(&row.allocator) };
            let result = self.several_results().then(|| printable(&self.comparison.results[row.result]));
            grid.row(std::iter::once(allocator).chain(result).chain(cells(row)).collect());
            above = Some(&row.allocator);
        }
        grid
    }

    /// What is not shown because it is the same everywhere.
    fn constant_line(&self) -> String {
        let name = |metric: &MetricRows| match metric.about.and_then(|about| about.headline) {
            Some(headline) => headline.to_owned(),
            None => printable(&metric.name),
        };
        let named = |(metric, value): &(&MetricRows, f64)| format!("{} {}", name(metric), number::text(*value));
        let all: Vec<String> = self.constant.iter().map(named).collect();
        format!("The same everywhere: {}.", all.join(", "))
    }

    pub(super) fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        self.titles.iter().try_for_each(|title| writeln!(out, "### {}\n", cell(title)))?;
        let (result, rule) = if self.several_results() { (" result |", "---|") } else { ("", "") };
        let base = cell(&printable(self.base()));
        writeln!(out, "| metric | allocator |{result} median | 95% interval | to {base} | 95% interval | p |")?;
        writeln!(out, "|---|---|{rule}--:|--:|--:|--:|--:|")?;
        for metric in &self.shown {
            let mut title = cell(&title_of(metric));
            for row in &metric.rows {
                let [median, interval, mut change, percent, its_interval, p] = cells(row);
                if !percent.is_empty() {
                    change += &format!(" ({percent})");
                }
                let mut all = vec![std::mem::take(&mut title), cell(&printable(&row.allocator))];
                all.extend(self.several_results().then(|| cell(&printable(&self.comparison.results[row.result]))));
                all.extend([median, interval, change, its_interval, p]);
                let line: String =
                    all.iter().map(|cell| format!(" {cell}{}|", if cell.is_empty() { "" } else { " " })).collect();
                writeln!(out, "|{line}")?;
            }
        }
        if !self.constant.is_empty() {
            writeln!(out, "\n{}", cell(&self.constant_line()))?;
        }
        LEGEND.iter().try_for_each(|line| writeln!(out, "\n{}", line.replace('~', "\\~")))
    }
}

/// Median, its interval, difference, the same in percent, its interval, and p.
fn cells(row: &Row) -> [String; 6] {
    let interval = |interval: Option<(f64, f64)>| {
        interval.map_or_else(String::new, |(low, high)| format!("{}..{}", number::text(low), number::text(high)))
    };
    let (median, own) = (number::text(row.summary.median), interval(row.summary.interval));
    let nothing = String::new;
    let Some(difference) = difference(row) else { return [median, own, nothing(), nothing(), nothing(), nothing()] };
    let change = number::signed(difference.summary.median);
    let percent = difference.percent.map_or_else(String::new, number::percent);
    let p = if difference.p < 0.001 { "<0.001".to_owned() } else { format!("{:.3}", difference.p) };
    let its = interval(difference.summary.interval);
    match difference.verdict {
        Verdict::Same => [median, own, "=".to_owned(), nothing(), nothing(), nothing()],
        Verdict::NotSignificant => [median, own, "~".to_owned(), nothing(), its, p],
        Verdict::TooFew => [median, own, format!("{change} ?"), percent, nothing(), nothing()],
        Verdict::Better | Verdict::Worse | Verdict::Different => [median, own, change, percent, its, p],
    }
}
