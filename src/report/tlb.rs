//! What a table shows of TLB figures.

use super::number::text;
use super::rows::run_name;
use crate::result::{BesideEstimate, EstimateDoubt, ResultDoc, Run, TlbAssumptions, TlbFigures};

/// What stands above the columns, word by word.
pub(super) const TITLES: [&[&str]; 5] = [
    &["allocator"],
    &["page walks per", "1000 accesses"],
    &["more than", "unsplit"],
    &["cycles lost, %", "(least to most)"],
    &["BPF text", "walks/s"],
];

/// A row for each run that has figures; none if the result has no assumptions to read them by.
pub(super) fn rows(result: &ResultDoc) -> Vec<Vec<String>> {
    let row = |run: &Run| {
        let figures = run.tlb.as_ref()?;
        Some(std::iter::once(run_name(result, run)).chain(cells(figures)).collect())
    };
    result.tlb.as_ref().map_or_else(Vec::new, |_| result.runs.iter().filter_map(row).collect())
}

fn cells(figures: &TlbFigures) -> [String; 4] {
    let lost = [figures.lost_percent, figures.lost_percent_least, figures.lost_percent_most].map(short);
    [
        short(figures.walks_per_1000),
        short(figures.extra_walks_per_1000),
        format!("{} ({} to {})", lost[0], lost[1], lost[2]),
        format!("{:.0}", figures.text_walks_per_second),
    ]
}

/// Three digits behind the point, or the word for what is less.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 { "<0.001".to_owned() } else { text(value) }
}

/// What the figures rest on, in a line.
pub fn basis(tlb: &TlbAssumptions) -> String {
    let TlbAssumptions { cpu, workload, accesses_per_second, host, exposed_share: [least, likely, most], .. } = tlb;
    let made = match tlb.simulated_accesses {
        Some(accesses) => format!("simulated ({accesses} accesses with the replay's flushes in between)"),
        None => "estimated".to_owned(),
    };
    format!(
        "TLB: {made} for one {cpu} core ({host}) and the assumed workload {workload} with {} million accesses to kernel \
         memory a second, of whose walks a share of {likely} ({least} to {most}) shows; after the trace, against a direct \
         map without a split.",
        text(*accesses_per_second as f64 / 1e6)
    )
}

/// How far the estimate is from what was simulated, in a line, if anything was simulated.
pub fn beside_estimate<'a>(runs: impl Iterator<Item = (String, &'a Run)>) -> Option<String> {
    let of_run = |(name, run): (String, &Run)| Some((name, run.tlb?.beside_estimate?));
    let runs: Vec<(String, BesideEstimate)> = runs.filter_map(of_run).collect();
    let off = |(_, both): &&(String, BesideEstimate)| both.differs;
    let far = |both: &BesideEstimate| (both.estimated_walks_per_1000 - both.simulated_walks_per_1000).abs();
    let worst = runs.iter().filter(off).max_by(|one, other| far(&one.1).total_cmp(&far(&other.1)));
    let Some((name, both)) = worst else {
        return (!runs.is_empty()).then(|| "The estimate agrees: within 2 % or 2 misses per 1000 accesses.".to_owned());
    };
    let BesideEstimate { estimated_walks_per_1000, simulated_walks_per_1000, .. } = both;
    Some(format!(
        "The estimate is off by more than 2 % and 2 misses per 1000 accesses in {} of {} runs, most for {name}: {} walks per \
         1000 accesses where {} were simulated; {} first-level misses where {} were.",
        runs.iter().filter(off).count(),
        runs.len(),
        text(*estimated_walks_per_1000),
        text(*simulated_walks_per_1000),
        text(both.estimated_l1_misses_per_1000),
        text(both.simulated_l1_misses_per_1000),
    ))
}

/// Why estimates may be off by more than they are meant to be, in a line, if there is a reason.
pub fn doubt<'a>(runs: impl Iterator<Item = &'a Run>) -> Option<String> {
    let of_run = |run: &Run| run.tlb.as_ref().map(|tlb| tlb.estimate_doubt);
    let runs: Vec<Option<EstimateDoubt>> = runs.filter_map(of_run).collect();
    let doubts: Vec<EstimateDoubt> = runs.iter().copied().flatten().collect();
    type Reason = (fn(&EstimateDoubt) -> bool, &'static str);
    let reasons: [Reason; 3] = [
        (|doubt| doubt.pages_of_1g, "pages of 1G miss, and a few of them decide"),
        (|doubt| doubt.replacement, "a policy between LRU and random replacement makes a difference"),
        (|doubt| doubt.sets, "it is chance how many pages meet in a set of the second level"),
    ];
    let found = reasons.iter().filter(|(holds, _)| doubts.iter().any(holds)).map(|(_, reason)| *reason);
    let found: Vec<&str> = found.collect();
    (!found.is_empty()).then(|| {
        format!(
            "In {} of {} runs the estimate may be off by more than 2 % and 2 misses per 1000 accesses: {}. \
             `tlb.engine=simulate` tells.",
            doubts.len(),
            runs.len(),
            found.join("; ")
        )
    })
}

/// What stands under the table, line by line.
pub(super) fn lines(result: &ResultDoc) -> Vec<String> {
    let beside = beside_estimate(result.runs.iter().map(|run| (run_name(result, run), run)));
    result.tlb.iter().map(basis).chain(beside).chain(doubt(result.runs.iter())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Format;
    use crate::result::testing::two_runs;

    fn assumptions() -> TlbAssumptions {
        TlbAssumptions {
            cpu: "zen4".to_owned(),
            workload: "memcached".to_owned(),
            accesses_per_second: 60_000_000,
            engine: "estimate".to_owned(),
            simulated_accesses: None,
            host: "native".to_owned(),
            walk_cycles: [30.0, 22.0, 15.0],
            exposed_share: [0.05, 0.33, 1.0],
            flush_cycles: [1000.0, 4000.0, 25_000.0],
            clock_hz: 3.7e9,
            text_runs_per_second: 1650,
            text_runs: "uniform".to_owned(),
        }
    }

    #[test]
    fn figures_stand_in_a_table_of_their_own() {
        let mut result = two_runs();
        result.tlb = Some(assumptions());
        result.runs[0].tlb = Some(TlbFigures {
            walks_per_1000: 12.3456,
            extra_walks_per_1000: 0.0004,
            lost_percent: 0.5,
            lost_percent_least: 0.1,
            lost_percent_most: 1.5,
            text_walks_per_second: 1633.3,
            ..TlbFigures::default()
        });
        for (format, row) in [
            (Format::Table, "per-prog           12.346     <0.001  0.5 (0.1 to 1.5)      1633"),
            (Format::Markdown, "| per-prog | 12.346 | <0.001 | 0.5 (0.1 to 1.5) | 1633 |"),
        ] {
            let mut out = Vec::new();
            format.write(&result, 120, &mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.lines().any(|line| line.trim() == row), "{text}");
            assert!(
                text.replace('\n', " ")
                    .contains("one zen4 core (native) and the assumed workload memcached with 60 million")
            );
        }
    }

    #[test]
    fn an_estimate_says_where_it_may_be_off() {
        let mut result = two_runs();
        result.tlb = Some(assumptions());
        let mut said = |doubts: [Option<EstimateDoubt>; 2]| {
            for (run, estimate_doubt) in result.runs.iter_mut().zip(doubts) {
                run.tlb = Some(TlbFigures { estimate_doubt, ..TlbFigures::default() });
            }
            lines(&result).join("\n")
        };
        assert!(!said([None, None]).contains("may be off"));
        let sets = Some(EstimateDoubt { sets: true, ..EstimateDoubt::default() });
        let one = said([None, sets]);
        assert!(one.contains("In 1 of 2 runs the estimate may be off") && one.contains("meet in a set"), "{one}");
        assert!(!one.contains("1G") && !one.contains("LRU"), "{one}");
    }

    #[test]
    fn a_simulation_says_how_far_the_estimate_is_off() {
        let mut result = two_runs();
        result.tlb = Some(TlbAssumptions { simulated_accesses: Some(5000), ..assumptions() });
        let both = |walks, differs| BesideEstimate {
            estimated_walks_per_1000: walks,
            simulated_walks_per_1000: 50.0,
            differs,
            ..BesideEstimate::default()
        };
        let mut said = |walks: [BesideEstimate; 2]| {
            for (run, beside) in result.runs.iter_mut().zip(walks) {
                run.tlb = Some(TlbFigures { beside_estimate: Some(beside), ..TlbFigures::default() });
            }
            lines(&result).join("\n")
        };
        let agreeing = said([both(50.0, false), both(50.9, false)]);
        assert!(
            agreeing.contains("simulated (5000 accesses") && agreeing.contains("The estimate agrees"),
            "{agreeing}"
        );
        let one = said([both(50.0, false), both(53.5, true)]);
        let words = "in 1 of 2 runs, most for pack-4k: 53.5 walks per 1000 accesses where 50 were simulated";
        assert!(one.contains(words), "{one}");
    }
}
