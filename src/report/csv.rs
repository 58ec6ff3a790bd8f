//! Comma separated values (RFC 4180): a line for each run with every number of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};

use super::Exporter;
use crate::result::{Metric, Outcome, ResultDoc, Run};

pub(super) struct Csv;

/// A value as a field, in quotation marks where they are needed.
pub(super) fn field(value: &str) -> Cow<'_, str> {
    if value.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", value.replace('"', "\"\"")).into()
    } else {
        value.into()
    }
}

/// A line of fields.
pub(crate) fn line<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<_> = values.into_iter().map(field).collect();
    format!("{}\n", fields.join(","))
}

impl Exporter for Csv {
    fn export(&self, result: &ResultDoc, out: &mut dyn Write) -> io::Result<()> {
        let runs: Vec<Vec<Metric>> = result.runs.iter().map(Run::metrics).collect();
        // Runs on different kernels may have different counters.
        let names: BTreeSet<&str> = runs.iter().flatten().map(|metric| metric.name.as_str()).collect();
        let fixed = ["scenario", "allocator", "policy", "kernel", "seed", "outcome"];
        out.write_all(line(fixed.into_iter().chain(names.iter().copied())).as_bytes())?;
        for (run, metrics) in result.runs.iter().zip(&runs) {
            let outcome = match run.outcome {
                Outcome::Completed {} => "completed",
                Outcome::OutOfMemory { .. } => "out_of_memory",
            };
            let seed = run.seed.to_string();
            let values: Vec<String> = names
                .iter()
                .map(|name| metrics.iter().find(|metric| metric.name == *name))
                .map(|metric| metric.map_or_else(String::new, |metric| metric.value.to_string()))
                .collect();
            let fixed = [&result.scenario.name, &run.allocator, &run.policy, &run.kernel, &seed, outcome];
            out.write_all(line(fixed.into_iter().chain(values.iter().map(String::as_str))).as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{DEFAULT_WIDTH, Format};
    use crate::result::testing::two_runs;

    #[test]
    fn every_number_has_a_column() {
        let mut result = two_runs();
        result.runs[1].allocator = "pack, \"4k\"".to_owned();
        result.runs[1].counters.set("new_counter", 5);
        let mut out = Vec::new();
        Format::Csv.write(&result, DEFAULT_WIDTH, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("scenario,allocator,policy,kernel,seed,outcome,counters.DirectMap1G,"));
        assert!(lines[0].contains(",start.DirectMap4k,") && lines[0].contains(",text.wasted_bytes_at_peak"));
        assert!(lines[1].starts_with("small,per-prog,per-prog,6.1,1,completed,61865984,"), "{}", lines[1]);
        assert!(lines[2].starts_with("small,\"pack, \"\"4k\"\"\",pack-4k,6.1,1,completed,62914560,"), "{}", lines[2]);
        let column = lines[0].split(',').position(|name| name == "counters.new_counter").unwrap();
        assert_eq!(lines[1].split(',').nth(column), Some(""));
        assert_eq!(lines[1].split(',').count(), lines[0].split(',').count());
    }
}
