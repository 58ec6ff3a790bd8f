//! The words of a page: what was run and what came out at its beginning, what that rests on at its end.

use serde_json::Value;

use super::{add, escape};
use crate::plot::{Contender, Subject};
use crate::report::{beside_estimate, tlb_basis, tlb_doubt, verdict};
use crate::result::{Outcome, ResultDoc, Run};

/// What was run, and the verdict.
pub(super) fn beginning(html: &mut String, subject: &Subject<'_>) {
    html.push_str("<section>\n<h2>What was run</h2>\n");
    if let Some(comment) = &subject.stamp.comment {
        add(html, format_args!("<p>{}</p>\n", escape(comment)));
    }
    html.push_str("<dl>\n");
    for (term, text) in facts(subject) {
        add(html, format_args!("<dt>{term}</dt><dd>{}</dd>\n", escape(&text)));
    }
    html.push_str("</dl>\n</section>\n<section>\n<h2>Verdict</h2>\n");
    for line in judge(subject).lines() {
        add(html, format_args!("<p class=\"verdict\">{}</p>\n", escape(line)));
    }
    html.push_str("</section>\n");
}

/// Scenario, host, trace, allocators and seeds.
fn facts(subject: &Subject<'_>) -> Vec<(&'static str, String)> {
    let value = |pointer: &str| subject.stamp.resolved.pointer(pointer).and_then(short);
    let mut facts = vec![("Scenario", subject.name())];
    let host: Vec<String> = [("/machine/memory", "of memory"), ("/machine/cpus", "CPUs"), ("/machine/nodes", "nodes")]
        .into_iter()
        .filter_map(|(pointer, name)| {
            let number = value(pointer)?;
            let name = if number == "1" { name.trim_end_matches('s') } else { name };
            Some(format!("{number} {name}"))
        })
        .collect();
    if !host.is_empty() {
        facts.push(("Host", host.join(", ")));
    }
    if let Some(start) = value("/machine/start") {
        facts.push(("Start", start));
    }
    let file = value("/trace/file").map(|file| match value("/trace/repeat") {
        Some(times) if times != "1" => format!("{file}, {times} times"),
        _ => file,
    });
    let generated = || value("/trace/generate/duration").map(|duration| format!("generated, {duration}"));
    facts.extend(file.or_else(generated).map(|trace| ("Trace", trace)));
    let allocator = |contender: &Contender<'_>| {
        let run = contender.runs.first()?;
        let policy = if run.policy == contender.label { String::new() } else { format!("{}, ", run.policy) };
        Some(format!("{} ({policy}kernel {})", contender.label, run.kernel))
    };
    let allocators: Vec<String> = subject.contenders.iter().filter_map(allocator).collect();
    facts.push(("Text allocators", allocators.join(", ")));
    let mut seeds: Vec<u64> = subject.contenders.iter().flat_map(|one| one.runs.iter().map(|run| run.seed)).collect();
    seeds.sort_unstable();
    seeds.dedup();
    facts.push(("Seeds", ranges(&seeds)));
    facts
}

/// A value in a line: of an object its only key with its value.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(object) => {
            let (key, value) = object.iter().next().filter(|_| object.len() == 1)?;
            let value = short(value).map_or_else(String::new, |value| format!(": {value}"));
            Some(format!("{key}{value}"))
        }
        _ => None,
    }
}

/// Ascending numbers in short: `1 to 30, 45`.
fn ranges(ascending: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &number in ascending {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text =
        |&(first, last): &(u64, u64)| if first == last { first.to_string() } else { format!("{first} to {last}") };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// One sentence on the splits of every allocator, and one on each that ran out of memory.
fn judge(subject: &Subject<'_>) -> String {
    if subject.seeds() <= 1 {
        let runs = subject.contenders.iter().flat_map(|contender| contender.runs.iter().map(|run| (*run).clone()));
        return verdict(&ResultDoc::new(subject.stamp.clone(), runs.collect()));
    }
    let clauses: Vec<String> = subject.contenders.iter().enumerate().map(clause).collect();
    let mut text = format!("{}.", clauses.join("; "));
    for contender in &subject.contenders {
        let ended = contender.runs.iter().filter(|run| matches!(run.outcome, Outcome::OutOfMemory { .. })).count();
        if ended > 0 {
            text += &format!(
                "\n{} ran out of simulated memory with {ended} of {} seeds.",
                contender.label,
                contender.runs.len()
            );
        }
    }
    text
}

/// `per-prog split 1035 large pages (980 to 1101 over 30 seeds)`
fn clause((number, contender): (usize, &Contender<'_>)) -> String {
    let mut totals: Vec<u64> =
        contender.runs.iter().map(|run| run.splits()).map(|(two, one)| two.saturating_add(one)).collect();
    totals.sort_unstable();
    let [least, .., most] = totals[..] else {
        return format!("{} split {}", contender.label, totals.first().map_or_else(String::new, u64::to_string));
    };
    let middle = totals[(totals.len() - 1) / 2];
    let words = if number == 0 { " split" } else { "" };
    let pages = if number == 0 { " large pages" } else { "" };
    if least == most {
        let none = if number == 0 { "none of the large pages" } else { "none" };
        let middle = if most == 0 { none.to_owned() } else { format!("{middle}{pages}") };
        return format!("{}{words} {middle}", contender.label);
    }
    let seeds = if number == 0 { format!(" over {} seeds", totals.len()) } else { String::new() };
    format!("{}{words} {middle}{pages} ({least} to {most}{seeds})", contender.label)
}

/// What every result of the model rests on.
const ASSUMPTIONS: [&str; 6] = [
    "Each allocator has a host of its own. All of them start alike and see the same events and the same random numbers, \
     so a difference between two of them is a difference between allocators.",
    "Beyond what the trace says (programs, modules, trampolines, other users of memory) and what comes along with a \
     program, nothing in the simulated kernel takes or frees memory.",
    "A large page is split when a part of it changes its permissions. A split lasts, unless the simulated kernel puts \
     pages together again (6.15 and later).",
    "The free of a program takes effect 20 to 40 ms after its unload (an RCU grace period), that of a trampoline up to \
     two seconds after it is detached.",
    "The order in which the page allocator hands out pages follows the simulated kernel release; how a used host's free \
     memory lies at the start is an assumption of the scenario.",
    "Splits are what the model counts, not time: what a split costs depends on the host's work, and is estimated for one \
     assumed work load.",
];

/// Assumptions and the stamp.
pub(super) fn end(html: &mut String, subject: &Subject<'_>) {
    html.push_str("<section>\n<h2>Assumptions</h2>\n<ul>\n");
    for assumption in ASSUMPTIONS {
        add(html, format_args!("<li>{assumption}</li>\n"));
    }
    if subject.stamp.resolved.pointer("/counters").and_then(Value::as_str) == Some("kernel") {
        html.push_str("<li>DirectMap counters are those of /proc/meminfo, with what the kernel counts twice.</li>\n");
    }
    if let Some(tlb) = subject.tlb {
        let name = |run: &Run| format!("{} with seed {}", run.allocator, run.seed);
        let runs = subject.contenders.iter().flat_map(|contender| contender.runs.iter().copied());
        let beside = beside_estimate(runs.clone().map(|run| (name(run), run)));
        for line in [Some(tlb_basis(tlb)), beside, tlb_doubt(runs)].iter().flatten() {
            add(html, format_args!("<li>{}</li>\n", escape(line)));
        }
    }
    html.push_str("</ul>\n</section>\n<section>\n<h2>Stamp</h2>\n<dl>\n");
    let trace = match subject.stamp.trace_hash.as_str() {
        "" => "generated from the scenario and the seed",
        hash => hash,
    };
    let stamp = [("fragsim", subject.fragsim), ("Scenario", subject.stamp.hash.as_str()), ("Trace", trace)];
    for (term, text) in stamp {
        add(html, format_args!("<dt>{term}</dt><dd><code>{}</code></dd>\n", escape(text)));
    }
    let resolved = serde_json::to_string_pretty(&subject.stamp.resolved).unwrap_or_default();
    add(
        html,
        format_args!(
            "</dl>\n<details>\n<summary>The scenario with every default</summary>\n<pre>{}</pre>\n</details>\n</section>\n",
            escape(&resolved)
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::TextReport;
    use crate::result::testing::{result, run};

    #[test]
    fn several_seeds_are_judged_by_the_one_in_the_middle() {
        let mut runs = Vec::new();
        for (seed, splits) in [(1, 10), (2, 30), (3, 20)] {
            runs.push(crate::result::Run { seed, ..run("per-prog", splits, 1, TextReport::default()) });
            runs.push(crate::result::Run { seed, ..run("pack-2m", 0, 0, TextReport::default()) });
        }
        let results = [result(runs)];
        let subjects = Subject::gather(&results).unwrap();
        assert_eq!(judge(&subjects[0]), "per-prog split 21 large pages (11 to 31 over 3 seeds); pack-2m none.");
        let facts = facts(&subjects[0]);
        assert!(facts.contains(&("Seeds", "1 to 3".to_owned())), "{facts:?}");
        assert!(facts.contains(&("Host", "64GiB of memory".to_owned())), "{facts:?}");
    }

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1 to 3, 7, 9 to 10");
        assert_eq!(ranges(&[u64::MAX]), u64::MAX.to_string());
    }
}
