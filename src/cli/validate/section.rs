//! What one level of judgement prints, for terminals and in Markdown.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::Named;
use crate::judge::Score;

/// Cells in rows of equal length; the first row is the head, the first column the name of the row.
pub(super) struct Grid(pub(super) Vec<Vec<String>>);

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

/// What one level of judgement has to say.
pub(super) struct Section {
    /// The level.
    pub(super) title: &'static str,
    /// What the matrix counts.
    pub(super) counted: &'static str,
    /// Kernel by experiment.
    pub(super) matrix: Grid,
    /// Rows of [`TOTALS`].
    pub(super) totals: Vec<Vec<String>>,
    /// What is to be known about the numbers.
    pub(super) legend: Vec<String>,
    /// Every recording.
    pub(super) details: Grid,
    /// Where kernel and model differ, a paragraph each.
    pub(super) disagreements: Vec<Vec<String>>,
}

/// The columns of the totals.
const TOTALS: [&str; 6] = ["", "checked", "model agrees", "", "null model", "one-line model"];

fn totals(sections: &[Section]) -> Grid {
    let head = TOTALS.map(str::to_owned).to_vec();
    Grid(std::iter::once(head).chain(sections.iter().flat_map(|section| section.totals.clone())).collect())
}

/// A row of the totals; a rival that does not play shows a dash.
pub(super) fn total(name: &str, model: Score, null: Option<Score>, one_line: Option<Score>) -> Vec<String> {
    let rival = |score: Option<Score>| score.map_or_else(|| "-".to_owned(), percent);
    vec![
        name.to_owned(),
        model.of.to_string(),
        model.agreeing.to_string(),
        percent(model),
        rival(null),
        rival(one_line),
    ]
}

/// Part of a whole, as a percentage that never rounds up to all.
fn percent(score: Score) -> String {
    if score.of == 0 {
        return "-".to_owned();
    }
    let hundredths = u128::from(score.agreeing) * 10_000 / u128::from(score.of);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

/// A score in a table.
pub(super) fn cell(score: Score) -> String {
    format!("{}/{}", score.agreeing, score.of)
}

/// Letter and number of an experiment, so that E2 comes before E10.
fn place(experiment: &str) -> (String, u64, &str) {
    let letters = experiment.trim_end_matches(|c: char| c.is_ascii_digit());
    (letters.to_owned(), experiment[letters.len()..].parse().unwrap_or(0), experiment)
}

/// Scores added up by kernel and experiment.
pub(super) fn matrix<T>(verdicts: &[(&Named, &T)], of: impl Fn(&T) -> Score) -> Grid {
    let experiments: BTreeSet<_> = verdicts.iter().map(|(named, _)| place(&named.experiment)).collect();
    let mut kernels: Vec<&str> = Vec::new();
    for (named, _) in verdicts {
        if !kernels.contains(&named.kernel.as_str()) {
            kernels.push(&named.kernel);
        }
    }
    let head = std::iter::once("kernel".to_owned());
    let mut rows = vec![head.chain(experiments.iter().map(|(.., name)| (*name).to_owned())).collect::<Vec<_>>()];
    for kernel in kernels {
        let mut row = vec![kernel.to_owned()];
        for (.., experiment) in &experiments {
            let here = |named: &Named| named.kernel == kernel && named.experiment == *experiment;
            let mut scores =
                verdicts.iter().filter(|(named, _)| here(named)).map(|(_, verdict)| of(verdict)).peekable();
            let known = scores.peek().is_some();
            let sum = scores.fold(Score::default(), |mut sum, score| {
                sum += score;
                sum
            });
            row.push(if known { cell(sum) } else { "-".to_owned() });
        }
        rows.push(row);
    }
    Grid(rows)
}

/// Sections for a terminal, with every recording if `verbose`.
pub(super) fn text(sections: &[Section], verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for section in sections {
        writeln!(out, "{}, {}:\n", section.title, section.counted)?;
        if verbose { &section.details } else { &section.matrix }.text(out)?;
        writeln!(out)?;
        section.legend.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        for paragraph in &section.disagreements {
            writeln!(out, "\n{}", paragraph.join("\n  "))?;
        }
        writeln!(out)?;
    }
    totals(sections).text(out)
}

/// The same in Markdown, with every recording.
pub(super) fn markdown(sections: &[Section], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Summary\n")?;
    totals(sections).markdown(out)?;
    for section in sections {
        writeln!(out, "\n## {}\n", section.title)?;
        section.legend.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        writeln!(out, "\nKernel by experiment, {}:\n", section.counted)?;
        section.matrix.markdown(out)?;
        if !section.disagreements.is_empty() {
            writeln!(out, "\n### {}: where kernel and model differ\n", section.title)?;
            for paragraph in &section.disagreements {
                writeln!(out, "- {}", paragraph.join("\n  "))?;
            }
        }
        writeln!(out, "\n### {}: every recording\n", section.title)?;
        section.details.markdown(out)?;
    }
    Ok(())
}
