//! A comparison for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::{csv, number};
use super::{ComparisonView, difference, word};
use crate::compare::{Difference, MetricRows, Row};
use crate::result::Better;

const COLUMNS: [&str; 15] = [
    "metric",
    "unit",
    "allocator",
    "result",
    "seeds",
    "median",
    "low",
    "high",
    "pairs",
    "difference",
    "difference_low",
    "difference_high",
    "percent",
    "p",
    "verdict",
];

impl ComparisonView<'_> {
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let comparison = self.comparison;
        let metrics: Vec<Value> = self.in_files.iter().map(|metric| self.metric(metric)).collect();
        let document = json!({
            "reference": comparison.reference,
            "results": comparison.results,
            "confidence": 0.95,
            "warnings": comparison.warnings,
            "metrics": metrics,
        });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }

    fn metric(&self, metric: &MetricRows) -> Value {
        let better = match metric.better() {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neither => "neither",
            Better::Fixed => "fixed",
        };
        let row = |row: &Row| {
            json!({
                "allocator": row.allocator,
                "result": self.comparison.results[row.result],
                "seeds": row.summary.count,
                "median": number::json(row.summary.median),
                "interval": pair(row.summary.interval),
                "difference": difference(row).map(change),
            })
        };
        json!({
            "metric": metric.name,
            "unit": metric.about.map_or("", |about| about.unit),
            "better": better,
            "rows": metric.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    pub(super) fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(csv::line(COLUMNS).as_bytes())?;
        for metric in &self.in_files {
            let unit = metric.about.map_or("", |about| about.unit);
            for row in &metric.rows {
                let (seeds, median) = (row.summary.count.to_string(), row.summary.median.to_string());
                let [low, high] = ends(row.summary.interval);
                let result = &self.comparison.results[row.result];
                let first = [metric.name.clone(), unit.to_owned(), row.allocator.clone(), result.clone()];
                let mut fields = first.to_vec();
                fields.extend([seeds, median, low, high]);
                fields.extend(difference(row).map_or_else(<[String; 7]>::default, change_fields));
                out.write_all(csv::line(fields.iter().map(String::as_str)).as_bytes())?;
            }
        }
        Ok(())
    }
}

fn change(difference: &Difference) -> Value {
    json!({
        "pairs": difference.summary.count,
        "median": number::json(difference.summary.median),
        "interval": pair(difference.summary.interval),
        "percent": difference.percent,
        "p": difference.p,
        "verdict": word(difference.verdict),
    })
}

fn change_fields(difference: &Difference) -> [String; 7] {
    let [low, high] = ends(difference.summary.interval);
    let (pairs, median) = (difference.summary.count.to_string(), difference.summary.median.to_string());
    let percent = difference.percent.map_or_else(String::new, |percent| percent.to_string());
    [pairs, median, low, high, percent, difference.p.to_string(), word(difference.verdict).to_owned()]
}

fn pair(interval: Option<(f64, f64)>) -> Option<[Value; 2]> {
    interval.map(|(low, high)| [number::json(low), number::json(high)])
}

fn ends(interval: Option<(f64, f64)>) -> [String; 2] {
    interval.map_or_else(<[String; 2]>::default, |(low, high)| [low.to_string(), high.to_string()])
}
