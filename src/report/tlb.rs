//! What a table shows of TLB figures.

use super::number::text;
use super::rows::run_name;
use crate::result::{ResultDoc, Run, TlbAssumptions, TlbFigures};

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
    format!(
        "TLB: estimated for one {cpu} core ({host}) and the assumed workload {workload} with {} million accesses to kernel \
         memory a second, of whose walks a share of {likely} ({least} to {most}) shows; after the trace, against a direct \
         map without a split.",
        text(*accesses_per_second as f64 / 1e6)
    )
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
            host: "native".to_owned(),
            walk_cycles: [30.0, 22.0, 15.0],
            exposed_share: [0.05, 0.33, 1.0],
            clock_hz: 3.7e9,
            text_runs_per_second: 1650,
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
}
