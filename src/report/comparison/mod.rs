//! A comparison for readers.

mod data;
mod table;

use std::io::{self, Write};

use super::{Format, grid::printable};
use crate::compare::{Comparison, Difference, MetricRows, Row, Verdict};
use crate::result::{Better, MetricPattern, ResultDoc};

/// A comparison and what of it is shown.
pub struct ComparisonView<'a> {
    comparison: &'a Comparison,
    /// Which scenario on which seeds; a line for each result.
    titles: Vec<String>,
    /// The metrics of tables for people.
    shown: Vec<&'a MetricRows>,
    /// Metrics that have one and the same number everywhere, with that number.
    constant: Vec<(&'a MetricRows, f64)>,
    /// The metrics of files for programs.
    in_files: Vec<&'a MetricRows>,
}

impl<'a> ComparisonView<'a> {
    /// Shows a comparison of these results. Tables have the metrics of these patterns, or without any the headlines;
    /// JSON and CSV have every metric, or those of the patterns.
    pub fn new(comparison: &'a Comparison, results: &[&ResultDoc], patterns: &[MetricPattern]) -> Self {
        let wanted = |metric: &&MetricRows| match patterns {
            [] => metric.about.is_some_and(|about| about.headline.is_some()),
            patterns => patterns.iter().any(|pattern| pattern.matches(&metric.name)),
        };
        let (mut shown, mut constant) = (Vec::new(), Vec::new());
        for metric in comparison.metrics.iter().filter(wanted) {
            match metric.constant() {
                Some(value) => constant.push((metric, value)),
                None => shown.push(metric),
            }
        }
        let in_files = comparison.metrics.iter().filter(|metric| patterns.is_empty() || wanted(metric)).collect();
        let several = results.len() > 1;
        let title = |(result, name): (&&ResultDoc, &String)| {
            let title = super::table::title(result);
            if several { format!("{}: {title}", printable(name)) } else { title }
        };
        let titles = results.iter().zip(&comparison.results).map(title).collect();
        Self { comparison, titles, shown, constant, in_files }
    }

    /// Writes the comparison; tables are at most `width` characters wide if that is possible.
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

    /// What differences are differences to.
    fn base(&self) -> &str {
        self.comparison.reference.as_ref().or(self.comparison.results.first()).map_or("", String::as_str)
    }
}

/// `level-2 splits (pages, lower is better)`
fn title_of(metric: &MetricRows) -> String {
    let name = metric.about.and_then(|about| about.headline).unwrap_or(&metric.name);
    let better = match metric.better() {
        Better::Lower => ", lower is better",
        Better::Higher => ", higher is better",
        Better::Neither | Better::Fixed => "",
    };
    match metric.about {
        Some(about) => format!("{name} ({}{better})", about.unit),
        None => printable(name),
    }
}

/// The word for a verdict in files.
const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Different => "different",
        Verdict::Same => "same",
        Verdict::NotSignificant => "not significant",
        Verdict::TooFew => "too few seeds",
    }
}

/// The difference of a row, if it has one.
fn difference(row: &Row) -> Option<&Difference> {
    row.difference.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{compare_allocators, compare_results};
    use crate::result::testing::{result, run};
    use crate::result::{Run, TextReport};

    fn doc(more: u64, seeds: u64) -> ResultDoc {
        let of = |allocator: &str, splits: u64, step: u64| -> Vec<Run> {
            let text = TextReport { programs_loaded: 5, ..TextReport::default() };
            (1..=seeds).map(|seed| Run { seed, ..run(allocator, splits + step * seed, 0, text) }).collect()
        };
        result([of("per-prog", 100 + more, 10), of("pack-4k", 7, 0), of("pack|2m", 100 + more, 10)].concat())
    }

    fn written(format: Format, docs: &[&ResultDoc], patterns: &[&str]) -> String {
        let names = ["before.json", "after.json"];
        let comparison = match docs {
            [one] => compare_allocators("r.json", one, None).unwrap(),
            docs => compare_results(&names.into_iter().zip(docs.iter().copied()).collect::<Vec<_>>()).unwrap(),
        };
        let patterns: Vec<MetricPattern> = patterns.iter().map(|pattern| MetricPattern::new(pattern)).collect();
        let mut out = Vec::new();
        ComparisonView::new(&comparison, docs, &patterns).write(format, 100, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_a_block_for_each_metric() {
        let expected = "\
Scenario small, 64GiB of memory, seeds 1..6

level-2 splits (pages, lower is better)
allocator  median  95% interval  to per-prog          95% interval      p
─────────────────────────────────────────────────────────────────────────
per-prog      135      110..160
pack-4k         7          7..7         -128  -94.8%    -153..-103  0.031
pack|2m       135      110..160            =
";
        let text = written(Format::Table, &[&doc(0, 6)], &["counters.direct_map_level*"]);
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\nThe same everywhere: level-3 splits 0"), "{text}");
        assert!(text.contains("\nMedians over the seeds"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let few = written(Format::Table, &[&doc(0, 3)], &["direct_map_level2_splits"]);
        assert!(few.contains("pack-4k         7                     -113 ?  -94.2%"), "{few}");
    }

    #[test]
    fn two_results_stand_side_by_side() {
        let text = written(Format::Table, &[&doc(0, 6), &doc(1, 6)], &["direct_map_level2_splits"]);
        let expected = "\
before.json: Scenario small, 64GiB of memory, seeds 1..6
after.json: Scenario small, 64GiB of memory, seeds 1..6

level-2 splits (pages, lower is better)
allocator  result       median  95% interval  to before.json         95% interval      p
────────────────────────────────────────────────────────────────────────────────────────
per-prog   before.json     135      110..160
           after.json      136      111..161              +1  +0.7%          1..1  0.031
pack-4k    before.json       7          7..7
           after.json        7          7..7               =
";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn files_for_programs_have_every_metric() {
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &[&doc(0, 6)], &[])).unwrap();
        assert_eq!((json["reference"].as_str(), json["confidence"].as_f64()), (Some("per-prog"), Some(0.95)));
        let metrics = json["metrics"].as_array().unwrap();
        assert!(metrics.len() > 30, "{}", metrics.len());
        let packed = &metrics[0]["rows"][1];
        assert_eq!((packed["median"].as_u64(), packed["interval"][0].as_u64()), (Some(7), Some(7)));
        assert_eq!(packed["difference"]["verdict"], "better");
        assert_eq!(packed["difference"]["p"], 0.03125);
        let csv = written(Format::Csv, &[&doc(0, 6)], &["direct_map_level2_splits"]);
        let expected = "\
metric,unit,allocator,result,seeds,median,low,high,pairs,difference,difference_low,difference_high,percent,p,verdict
counters.direct_map_level2_splits,pages,per-prog,r.json,6,135,110,160,,,,,,,
counters.direct_map_level2_splits,pages,pack-4k,r.json,6,7,7,7,6,-128,-153,-103,-94.81481481481482,0.03125,better
counters.direct_map_level2_splits,pages,pack|2m,r.json,6,135,110,160,6,0,0,0,0,1,same
";
        assert_eq!(csv, expected);
    }

    #[test]
    fn markdown_has_one_table() {
        let text = written(Format::Markdown, &[&doc(0, 6)], &["direct_map_level2_splits"]);
        let expected = "\
### Scenario small, 64GiB of memory, seeds 1..6

| metric | allocator | median | 95% interval | to per-prog | 95% interval | p |
|---|---|--:|--:|--:|--:|--:|
| level-2 splits (pages, lower is better) | per-prog | 135 | 110..160 | | | |
| | pack-4k | 7 | 7..7 | -128 (-94.8%) | -153..-103 | 0.031 |
| | pack\\|2m | 135 | 110..160 | = | | |
";
        assert!(text.starts_with(expected), "{text}");
    }
}
