//! A check for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::super::{csv, number};
use super::{CheckReport, CheckedInput, Ending, word};
use crate::check::{Change, Found, Missing};

impl CheckReport {
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let inputs: Vec<Value> = self.inputs.iter().map(input).collect();
        let holds = self.inputs.iter().all(|input| input.ending.holds());
        serde_json::to_writer_pretty(&mut *out, &json!({"holds": holds, "inputs": inputs}))?;
        writeln!(out)
    }

    pub(super) fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let header = ["input", "verdict", "allocator", "seed", "metric", "baseline", "now", "allowed"];
        out.write_all(csv::line(header).as_bytes())?;
        for input in &self.inputs {
            let name = input.input.as_str();
            let mut line = |fields: [&str; 7]| out.write_all(csv::line(std::iter::once(name).chain(fields)).as_bytes());
            let Some(checked) = input.ending.checked() else {
                line([input.ending.word(), "", "", "", "", "", ""])?;
                continue;
            };
            for change in &checked.changes {
                let (seed, baseline, now) =
                    (change.seed.to_string(), change.baseline.to_string(), change.now.to_string());
                let allowed = change.allowed.map_or_else(String::new, |allowed| allowed.to_string());
                line([word(change.found), &change.allocator, &seed, &change.metric, &baseline, &now, &allowed])?;
            }
            for (what, list) in [("gone", &checked.went), ("new", &checked.came)] {
                for missing in list {
                    let metric = missing.metric.as_deref().unwrap_or("");
                    for (allocator, seed) in &missing.runs {
                        line([what, allocator, &seed.to_string(), metric, "", "", ""])?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn input(input: &CheckedInput) -> Value {
    let reasons: Vec<String> = match &input.ending {
        Ending::Refused(reasons) => reasons.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let mut value = json!({
        "input": input.input,
        "baseline": input.baseline,
        "ending": input.ending.word(),
        "holds": input.ending.holds(),
        "reasons": reasons,
    });
    if let (Some(checked), Value::Object(members)) = (input.ending.checked(), &mut value) {
        let counts = [("worse", Found::Worse), ("better", Found::Better), ("allowed", Found::Allowed)];
        members.extend(counts.map(|(name, found)| (name.to_owned(), Value::from(checked.count(found)))));
        members.insert("same".to_owned(), checked.same.into());
        members.insert("changes".to_owned(), checked.changes.iter().map(change).collect());
        members.insert("went".to_owned(), checked.went.iter().map(missing).collect());
        members.insert("came".to_owned(), checked.came.iter().map(missing).collect());
    }
    value
}

fn change(change: &Change) -> Value {
    json!({
        "verdict": word(change.found),
        "allocator": change.allocator,
        "seed": change.seed,
        "metric": change.metric,
        "baseline": number::json(change.baseline),
        "now": number::json(change.now),
        "allowed": change.allowed.map(number::json),
    })
}

fn missing(missing: &Missing) -> Value {
    let runs: Vec<Value> =
        missing.runs.iter().map(|(allocator, seed)| json!({"allocator": allocator, "seed": seed})).collect();
    json!({"metric": missing.metric, "runs": runs})
}
