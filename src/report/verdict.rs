//! What happened, in words.

use super::rows::run_name;
use crate::result::{Outcome, ResultDoc, Run};
use crate::units::SimDuration;

/// One sentence on the splits of every allocator, and one on each that ran out of memory.
///
/// `per-prog split 3 large pages; pack-4k 1; pack-2m none.`
pub fn verdict(result: &ResultDoc) -> String {
    let any_level3 = result.runs.iter().any(|run| run.splits().1 > 0);
    let mut clauses = Vec::new();
    for (index, run) in result.runs.iter().enumerate() {
        let name = run_name(result, run);
        let verb = if index == 0 { " split" } else { "" };
        clauses.push(format!("{name}{verb} {}", splits(run, index == 0, any_level3)));
    }
    let mut sentences = if clauses.is_empty() { "Nothing was replayed.".to_owned() } else { clauses.join("; ") + "." };
    for run in &result.runs {
        if let Outcome::OutOfMemory { time_ns, event, message } = &run.outcome {
            let time = SimDuration::from_nanos(*time_ns);
            let name = run_name(result, run);
            sentences += &format!("\n{name} ran out of simulated memory at event {event}, after {time}: {message}.");
        }
    }
    sentences
}

/// `13 large pages (12 of 2 MiB, 1 of 1 GiB)`; the sizes only where one of the runs split a 1 GiB page.
fn splits(run: &Run, with_noun: bool, with_sizes: bool) -> String {
    let (level2, level3) = run.splits();
    let total = level2.saturating_add(level3);
    let number = if total == 0 { "none".to_owned() } else { total.to_string() };
    let noun = match (with_noun, total) {
        (false, _) => String::new(),
        (true, 0) => " of the large pages".to_owned(),
        (true, 1) => " large page".to_owned(),
        (true, _) => " large pages".to_owned(),
    };
    let sizes = match (level2, level3) {
        _ if !with_sizes || total == 0 => String::new(),
        (level2, 0) => format!(" ({level2} of 2 MiB)"),
        (0, level3) => format!(" ({level3} of 1 GiB)"),
        (level2, level3) => format!(" ({level2} of 2 MiB, {level3} of 1 GiB)"),
    };
    format!("{number}{noun}{sizes}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::TextReport;
    use crate::result::testing::{result, run};

    fn of(splits: &[(&str, u64, u64)]) -> String {
        let text = TextReport::default();
        verdict(&result(splits.iter().map(|&(name, level2, level3)| run(name, level2, level3, text)).collect()))
    }

    #[test]
    fn splits_are_said_in_one_sentence() {
        assert_eq!(
            of(&[("per-prog", 3, 0), ("pack-4k", 1, 0), ("pack-2m", 0, 0)]),
            "per-prog split 3 large pages; pack-4k 1; pack-2m none."
        );
        assert_eq!(of(&[("pack-2m", 0, 0), ("pack-4k", 1, 0)]), "pack-2m split none of the large pages; pack-4k 1.");
        assert_eq!(of(&[("pack-4k", 1, 0)]), "pack-4k split 1 large page.");
        assert_eq!(of(&[]), "Nothing was replayed.");
    }

    #[test]
    fn sizes_are_told_apart_when_a_gigabyte_page_was_split() {
        assert_eq!(
            of(&[("per-prog", 12, 1), ("pack-4k", 3, 0), ("pack-2m", 0, 1), ("execmem-rox", 0, 0)]),
            "per-prog split 13 large pages (12 of 2 MiB, 1 of 1 GiB); pack-4k 3 (3 of 2 MiB); pack-2m 1 (1 of 1 GiB); \
             execmem-rox none."
        );
    }

    #[test]
    fn running_out_of_memory_is_said_too() {
        let mut result = result(vec![run("per-prog", 3, 0, TextReport::default())]);
        result.runs[0].outcome =
            Outcome::OutOfMemory { time_ns: 1_500_000_000, event: 7, message: "no page for an image".to_owned() };
        assert_eq!(
            verdict(&result),
            "per-prog split 3 large pages.\n\
             per-prog ran out of simulated memory at event 7, after 1s 500ms: no page for an image."
        );
    }
}
