//! The first level: frames given, every step compared.

use super::Named;
use super::section::{Grid, Section, cell, matrix, total};
use crate::judge::{Score, Scores, Verdict};

fn sum(verdicts: &[(&Named, &Verdict)], of: fn(&Verdict) -> Scores) -> Scores {
    verdicts.iter().fold(Scores::default(), |mut sum, (_, verdict)| {
        sum += of(verdict);
        sum
    })
}

/// The model and its rivals, over everything.
fn totals(verdicts: &[(&Named, &Verdict)]) -> Vec<Vec<String>> {
    let (model, null, one_line) =
        (sum(verdicts, |it| it.model), sum(verdicts, |it| it.null), sum(verdicts, |it| it.one_line));
    let row = |name: &str, of: fn(Scores) -> Score| total(name, of(model), Some(of(null)), Some(of(one_line)));
    let boots = verdicts.iter().filter(|(_, it)| it.boot.agrees()).count() as u64;
    vec![
        row("all steps", |scores| scores.all),
        row("steps that change the map", |scores| scores.changed),
        row("steps that split an entry", |scores| scores.splitting),
        total("direct maps at boot", Score { agreeing: boots, of: verdicts.len() as u64 }, None, None),
    ]
}

/// Every recording.
fn details(verdicts: &[(&Named, &Verdict)]) -> Grid {
    let head = [
        "recording",
        "boot",
        "steps",
        "null model",
        "one-line model",
        "that change the map",
        "one-line model",
        "that split an entry",
        "one-line model",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (named, it) in verdicts {
        let boot = if it.boot.agrees() { "agrees" } else { "differs" };
        rows.push(vec![
            named.title(),
            boot.to_owned(),
            cell(it.model.all),
            it.null.all.agreeing.to_string(),
            it.one_line.all.agreeing.to_string(),
            cell(it.model.changed),
            it.one_line.changed.agreeing.to_string(),
            cell(it.model.splitting),
            it.one_line.splitting.agreeing.to_string(),
        ]);
    }
    Grid(rows)
}

/// What is to be known about the numbers.
fn legend(verdicts: &[(&Named, &Verdict)]) -> Vec<String> {
    let mut lines = vec![
        "Frames given: the model is told which frames every image, pack and module got, and must split, protect and count \
         as the kernel did."
            .to_owned(),
        "The null model never changes anything; the one-line model is told every change of permissions, and splits the \
         large entries that one covers in part."
            .to_owned(),
    ];
    let inferred: u64 = verdicts.iter().map(|(_, verdict)| verdict.inferred).sum();
    if inferred > 0 {
        lines.push(format!(
            "In {inferred} module loads pages of the initialisation were freed before anybody saw them; where they stood is \
             taken from what broke."
        ));
    }
    lines
}

/// Where kernel and model differ, a paragraph each.
fn disagreements(verdicts: &[(&Named, &Verdict)]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (named, it) in verdicts {
        for difference in &it.boot.differences {
            found.push(vec![format!("{}, boot: {difference}", named.title())]);
        }
        if let Some(first) = &it.first {
            found.push(named.difference(first, "mechanics"));
        }
    }
    found
}

pub(super) fn section(verdicts: &[(&Named, &Verdict)]) -> Section {
    Section {
        title: "Mechanics",
        counted: "steps that agree of those checked",
        matrix: matrix(verdicts, |verdict| verdict.model.all),
        totals: totals(verdicts),
        legend: legend(verdicts),
        details: details(verdicts),
        disagreements: disagreements(verdicts),
    }
}
