//! The third level: blind, the splits over time compared.

use super::Named;
use super::section::{Grid, Section, matrix, total};
use crate::judge::{Curve, Prediction, RUNS, SAMPLES, Score};
use crate::recording::BUDDYINFO;

fn score(agrees: bool) -> Score {
    let mut score = Score::default();
    score.count(agrees);
    score
}

fn count(verdicts: &[(&Named, &Prediction)], agrees: impl Fn(&Prediction) -> bool) -> Score {
    let mut all = Score::default();
    verdicts.iter().for_each(|(_, verdict)| all.count(agrees(verdict)));
    all
}

fn details(verdicts: &[(&Named, &Prediction)]) -> Grid {
    let head = [
        "recording",
        "level-2 splits",
        "predicted",
        "range",
        "level-3 splits",
        "predicted",
        "close samples",
        "verdict",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (named, it) in verdicts {
        let (recorded, predicted, (least, most)) = (it.recorded[SAMPLES - 1], it.median(SAMPLES - 1), it.range());
        rows.push(vec![
            named.title(),
            recorded.level2.to_string(),
            predicted.level2.to_string(),
            format!("{least} to {most}"),
            recorded.level3.to_string(),
            predicted.level3.to_string(),
            format!("{}/{SAMPLES}", it.close_samples()),
            if it.agrees() { "agrees" } else { "differs" }.to_owned(),
        ]);
    }
    Grid(rows)
}

fn curve(curve: &Curve) -> String {
    curve.iter().map(|splits| splits.level2.to_string()).collect::<Vec<_>>().join(" ")
}

fn disagreements(verdicts: &[(&Named, &Prediction)]) -> Vec<Vec<String>> {
    let missed = verdicts.iter().filter(|(_, it)| !it.agrees());
    let paragraph = |(named, it): &(&Named, &Prediction)| {
        let median: Curve = std::array::from_fn(|sample| it.median(sample));
        let mut lines = vec![
            format!("{}, {it}", named.title()),
            format!("the kernel: {} level-2 splits after each tenth of the steps", curve(&it.recorded)),
            format!("the model:  {}", curve(&median)),
        ];
        lines.extend(it.first.iter().flat_map(|first| named.difference(first, "prediction")));
        lines
    };
    missed.map(paragraph).collect()
}

/// Recordings that do not say what was free at the start.
fn untold_starts<'a>(verdicts: &'a [(&'a Named, &'a Prediction)]) -> impl Iterator<Item = String> + 'a {
    verdicts.iter().filter(|(_, it)| !it.start_is_told).map(|(named, _)| {
        let title = named.title();
        format!("{title} tells no {BUDDYINFO} before its first step: the model starts with what boot leaves.")
    })
}

pub(super) fn section(verdicts: &[(&Named, &Prediction)]) -> Section {
    let splitting: Vec<_> = verdicts.iter().copied().filter(|(_, it)| !it.is_trivial()).collect();
    let totals = |name: &str, of: &[(&Named, &Prediction)]| {
        total(name, count(of, Prediction::agrees), Some(count(of, Prediction::is_trivial)), None)
    };
    Section {
        title: "Prediction",
        counted: "recordings whose splits are predicted",
        matrix: matrix(verdicts, |verdict| score(verdict.agrees())),
        totals: vec![totals("predictions", verdicts), totals("predictions where entries split", &splitting)],
        legend: [
            format!(
                "Blind: the model knows the release, the memory, /proc/buddyinfo and /proc/pagetypeinfo at the start and the \
                 operations, and takes frames from its own page allocator; the median of {RUNS} runs counts."
            ),
            "Level-2 splits must be within a tenth, or one, of the kernel's at the end and at 9 of 10 samples, level-3 \
             splits equal; the null model never splits."
                .to_owned(),
        ]
        .into_iter()
        .chain(untold_starts(verdicts))
        .collect(),
        details: details(verdicts),
        disagreements: disagreements(verdicts),
    }
}
