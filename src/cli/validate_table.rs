//! Verdicts as tables, for terminals and in Markdown.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::judge::{Score, Scores, Verdict};

/// Verdicts with the names of their recordings.
type Named = (String, Verdict);

/// Cells in rows of equal length; the first row is the head, the first column the name of the row.
struct Grid(Vec<Vec<String>>);

impl Grid {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let mut line = format!("{:<width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line += &format!("  {cell:>width$}");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        for (at, row) in self.0.iter().enumerate() {
            writeln!(out, "| {} |", row.join(" | "))?;
            if at == 0 {
                writeln!(out, "|---|{}", "--:|".repeat(row.len() - 1))?;
            }
        }
        Ok(())
    }
}

/// Letter and number of an experiment, so that E2 comes before E10.
fn place(experiment: &str) -> (String, u64, &str) {
    let letters = experiment.trim_end_matches(|c: char| c.is_ascii_digit());
    (letters.to_owned(), experiment[letters.len()..].parse().unwrap_or(0), experiment)
}

fn sum(verdicts: &[Named], of: impl Fn(&Verdict) -> Scores, keep: impl Fn(&Verdict) -> bool) -> Option<Scores> {
    let mut kept = verdicts.iter().map(|(_, verdict)| verdict).filter(|verdict| keep(verdict)).peekable();
    kept.peek()?;
    Some(kept.fold(Scores::default(), |mut sum, verdict| {
        sum += of(verdict);
        sum
    }))
}

fn cell(score: Score) -> String {
    format!("{}/{}", score.agreeing, score.of)
}

/// Steps that agree out of those checked, kernel by experiment.
fn matrix(verdicts: &[Named]) -> Grid {
    let experiments: BTreeSet<(String, u64, &str)> = verdicts.iter().map(|(_, it)| place(&it.experiment)).collect();
    let mut kernels: Vec<&str> = Vec::new();
    for (_, verdict) in verdicts {
        if !kernels.contains(&verdict.kernel.as_str()) {
            kernels.push(&verdict.kernel);
        }
    }
    let head = std::iter::once("kernel".to_owned());
    let mut rows = vec![head.chain(experiments.iter().map(|(.., name)| (*name).to_owned())).collect::<Vec<_>>()];
    for kernel in kernels {
        let mut row = vec![kernel.to_owned()];
        for (.., experiment) in &experiments {
            let keep = |verdict: &Verdict| verdict.kernel == kernel && verdict.experiment == *experiment;
            let scores = sum(verdicts, |verdict| verdict.model, keep);
            row.push(scores.map_or_else(|| "-".to_owned(), |scores| cell(scores.all)));
        }
        rows.push(row);
    }
    Grid(rows)
}

/// Part of a whole, as a percentage that never rounds up to all.
fn percent(score: Score) -> String {
    if score.of == 0 {
        return "-".to_owned();
    }
    let hundredths = u128::from(score.agreeing) * 10_000 / u128::from(score.of);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// The model and its rivals, over everything.
fn totals(verdicts: &[Named]) -> Grid {
    let all = |of: fn(&Verdict) -> Scores| sum(verdicts, of, |_| true).unwrap_or_default();
    let (model, null, one_line) = (all(|it| it.model), all(|it| it.null), all(|it| it.one_line));
    let head = ["", "checked", "model agrees", "", "null model", "one-line model"];
    let row = |name: &str, of: fn(Scores) -> Score| {
        let (model, null, one_line) = (of(model), of(null), of(one_line));
        let cells =
            [model.of.to_string(), model.agreeing.to_string(), percent(model), percent(null), percent(one_line)];
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<String>>()
    };
    let boots = verdicts.iter().filter(|(_, it)| it.boot.agrees()).count() as u64;
    let boots = Score { agreeing: boots, of: verdicts.len() as u64 };
    let nothing = String::from("-");
    Grid(vec![
        head.map(str::to_owned).into(),
        row("all steps", |scores| scores.all),
        row("steps that change the map", |scores| scores.changed),
        row("steps that split an entry", |scores| scores.splitting),
        vec![
            "direct maps at boot".to_owned(),
            boots.of.to_string(),
            boots.agreeing.to_string(),
            percent(boots),
            nothing.clone(),
            nothing,
        ],
    ])
}

/// Every recording.
fn details(verdicts: &[Named]) -> Grid {
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
    for (_, it) in verdicts {
        let boot = if it.boot.agrees() { "agrees" } else { "differs" };
        rows.push(vec![
            format!("{} {}", it.kernel, it.name),
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
fn legend(verdicts: &[Named]) -> Vec<String> {
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
fn disagreements(verdicts: &[Named]) -> Vec<[String; 4]> {
    let mut found = Vec::new();
    for (source, it) in verdicts {
        let recording = format!("{} {}", it.kernel, it.name);
        for difference in &it.boot.differences {
            found.push([format!("{recording}, boot: {difference}"), String::new(), String::new(), String::new()]);
        }
        if let Some(first) = &it.first {
            found.push([
                format!("{recording}, step {}, {}:", first.step, first.operation),
                format!("the kernel: {}", first.kernel),
                format!("the model:  {}", first.model),
                format!("replay it:  fragsim validate {source} --step {} --verbose", first.step),
            ]);
        }
    }
    found
}

/// Tables for a terminal.
pub(super) fn table(verdicts: &[Named], verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Mechanics, steps that agree of those checked:\n")?;
    if verbose { details(verdicts) } else { matrix(verdicts) }.text(out)?;
    writeln!(out)?;
    totals(verdicts).text(out)?;
    writeln!(out)?;
    legend(verdicts).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    for [place, rest @ ..] in disagreements(verdicts) {
        writeln!(out, "\n{place}")?;
        rest.iter().filter(|line| !line.is_empty()).try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}

/// The same in Markdown, with every recording.
pub(super) fn markdown(verdicts: &[Named], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Mechanics\n")?;
    legend(verdicts).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out)?;
    totals(verdicts).markdown(out)?;
    writeln!(out, "\n### Steps that agree of those checked, kernel by experiment\n")?;
    matrix(verdicts).markdown(out)?;
    let found = disagreements(verdicts);
    if !found.is_empty() {
        writeln!(out, "\n### First disagreements\n")?;
        for paragraph in found {
            let lines: Vec<String> = paragraph.into_iter().filter(|line| !line.is_empty()).collect();
            writeln!(out, "- {}", lines.join("\n  "))?;
        }
    }
    writeln!(out, "\n### Every recording\n")?;
    details(verdicts).markdown(out)
}
