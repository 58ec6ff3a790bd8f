//! `fragsim plot`: charts of results.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::args::line_width;
use super::exit;
use super::output::{Failure, Messages};
use crate::diagnostics::Diagnostic;
use crate::files::{keep_input, make_directory, write_all};
use crate::plot::{self, Chart, Kind, Subject, terminal};
use crate::result::ResultDoc;

pub(super) const HELP: &str = "\
Examples:
  fragsim run scenarios/month.json --seeds 1..30 --output month.json
  fragsim plot month.json --output plots
  fragsim plot month.json --output plots --kind splits,map --format png
  fragsim plot 64.json 128.json 256.json --x machine.memory --output plots
  fragsim plot month.json --terminal

Each chart is NAME-KIND.svg and .png, with its numbers in NAME-KIND.csv. Results of one scenario are shown together.";

/// Arguments of `plot`.
#[derive(Clone, Debug, Args)]
pub(super) struct PlotArgs {
    /// A result, or several; `-` for standard input
    #[arg(value_name = "RESULT", required = true)]
    results: Vec<PathBuf>,
    /// Write the charts into this directory
    #[arg(long, short, value_name = "DIRECTORY", required_unless_present = "terminal")]
    output: Option<PathBuf>,
    /// The formats of the charts
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["svg", "png"], value_name = "FORMAT")]
    format: Vec<Picture>,
    /// Only charts of these kinds [default: all that the results have the numbers for]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    kind: Vec<Kind>,
    /// Draw results against the one value in which their scenarios differ, such as machine.memory
    #[arg(long, value_name = "KEY")]
    x: Option<String>,
    /// Draw splits and map as text, here
    #[arg(long, conflicts_with_all = ["output", "x"])]
    terminal: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// A format of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Picture {
    /// For web pages and documents, at any size
    Svg,
    /// For mails and everything else
    Png,
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.summary()))
    }
}

/// Runs the command.
pub(super) fn run(args: &PlotArgs, out: &mut dyn Write, messages: Messages) -> Result<u8, Failure> {
    let results = args.results.iter().map(|path| ResultDoc::read(path)).collect::<Result<Vec<_>, _>>()?;
    let subjects = gather(&results)?;
    let Some(directory) = &args.output else {
        draw_text(args, &subjects, out)?;
        return Ok(exit::DONE);
    };
    let charts = args.charts(&subjects)?;
    make_directory(directory)?;
    let files = files(&charts, &args.format, directory);
    for (path, _) in &files {
        for input in &args.results {
            keep_input(path, "a chart", "result", input)?;
        }
    }
    write_files(&files, directory, args.quiet, messages)?;
    Ok(exit::DONE)
}

/// Draws every chart of a result that was just made.
pub(super) fn draw_all(
    result: &ResultDoc,
    directory: &Path,
    quiet: bool,
    messages: Messages,
) -> Result<(), Diagnostic> {
    let results = std::slice::from_ref(result);
    let charts: Vec<Named> = gather(results)?.iter().flat_map(every_chart).collect();
    make_directory(directory)?;
    write_files(&files(&charts, &[Picture::Svg, Picture::Png], directory), directory, quiet, messages)
}

/// The scenarios of these results.
pub(super) fn gather(results: &[ResultDoc]) -> Result<Vec<Subject<'_>>, Diagnostic> {
    Subject::gather(results)
        .map_err(|error| Diagnostic::new(error.to_string()).help("name each result once, or replay another seed"))
}

/// A chart and the name of its files, without the end.
struct Named {
    name: String,
    chart: Chart,
}

/// Every chart that a scenario's runs have the numbers for.
fn every_chart(subject: &Subject<'_>) -> Vec<Named> {
    let chart = |kind: &Kind| Some(Named { name: file_name(subject, *kind), chart: kind.draw(subject).ok()? });
    Kind::ALL.iter().filter_map(chart).collect()
}

fn file_name(subject: &Subject<'_>, kind: Kind) -> String {
    format!("{}-{}", plain(&subject.name()), kind.name())
}

/// Longest part of a file's name, in bytes: as long as a scenario's name may be.
const LONGEST: usize = 100;

/// A text as part of a file's name: whatever could be a path or an option is a dash.
pub(super) fn plain(text: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&letter);
    text.chars().take(LONGEST).map(|letter| if safe(letter) { letter } else { '-' }).collect()
}

impl PlotArgs {
    /// The charts that are wanted.
    fn charts(&self, subjects: &[Subject<'_>]) -> Result<Vec<Named>, Diagnostic> {
        let mut charts = Vec::new();
        if let Some(key) = &self.x {
            let chart = plot::sweep(subjects, key).map_err(|error| {
                Diagnostic::new(error.to_string()).help("`--x` takes results that differ in one `--set` value")
            })?;
            charts.push(Named { name: format!("sweep-{}", plain(key)), chart });
        }
        let kinds: Vec<Kind> =
            self.kind.iter().copied().filter(|kind| self.x.is_none() || *kind != Kind::Sweep).collect();
        if !kinds.is_empty() || self.x.is_none() {
            keep_names_apart(subjects)?;
        }
        for subject in subjects {
            if self.kind.is_empty() && self.x.is_none() {
                charts.extend(every_chart(subject));
            }
            for kind in &kinds {
                let chart = kind.draw(subject).map_err(|error| not_drawn(&error, subject))?;
                charts.push(Named { name: file_name(subject, *kind), chart });
            }
        }
        if charts.is_empty() {
            return Err(Diagnostic::new("the results hold no run, so there is nothing to draw"));
        }
        Ok(charts)
    }
}

fn not_drawn(error: &plot::NotDrawn, subject: &Subject<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("{error} (scenario {})", subject.name()));
    match error.kind {
        Kind::Sweep => diagnostic.help("give several results, and `--x KEY` for the value in which they differ"),
        Kind::Seeds => diagnostic.help("run the scenario with --seeds 1..30"),
        _ => diagnostic,
    }
}

/// Two scenarios of one name would write the same files.
fn keep_names_apart(subjects: &[Subject<'_>]) -> Result<(), Diagnostic> {
    let mut names = BTreeSet::new();
    match subjects.iter().find(|subject| !names.insert(plain(&subject.name()))) {
        None => Ok(()),
        Some(subject) => {
            let message =
                format!("two results are of different scenarios or traces, but both of the name `{}`", subject.name());
            Err(Diagnostic::new(message)
                .help("plot each into a directory of its own, or say with `--x KEY` in which value they differ"))
        }
    }
}

/// Everything that is written, with its path.
fn files(charts: &[Named], formats: &[Picture], directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for Named { name, chart } in charts {
        let mut add = |end: &str, bytes: Vec<u8>| files.push((directory.join(format!("{name}.{end}")), bytes));
        for format in formats {
            match format {
                Picture::Svg => add("svg", chart.scene.svg().into_bytes()),
                Picture::Png => add("png", chart.scene.png()),
            }
        }
        add("csv", chart.table.csv().into_bytes());
    }
    files
}

fn write_files(
    files: &[(PathBuf, Vec<u8>)],
    directory: &Path,
    quiet: bool,
    messages: Messages,
) -> Result<(), Diagnostic> {
    for (path, bytes) in files {
        write_all(path, bytes)?;
    }
    if !quiet {
        messages.note(format_args!("wrote {} files to {}", files.len(), directory.display()));
    }
    Ok(())
}

/// Charts for a terminal, or for whatever standard output is.
fn draw_text(args: &PlotArgs, subjects: &[Subject<'_>], out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(kind) = args.kind.iter().find(|kind| !matches!(kind, Kind::Splits | Kind::Map)) {
        let message = format!("`--terminal` draws `splits` and `map`, not `{}`", kind.name());
        return Err(Diagnostic::new(message).help("write it to a file with --output DIRECTORY").into());
    }
    let wanted = |kind| args.kind.is_empty() || args.kind.contains(&kind);
    let style = terminal::Style { width: line_width(), colour: stdout_takes_colour() };
    let mut first = true;
    for subject in subjects {
        for kind in [Kind::Splits, Kind::Map].into_iter().filter(|kind| wanted(*kind)) {
            if !std::mem::take(&mut first) {
                writeln!(out)?;
            }
            match kind {
                Kind::Map => terminal::map(subject, style, out)?,
                _ => terminal::splits(subject, style, out)?,
            }
        }
    }
    Ok(())
}

/// Whether standard output is a terminal that wants colours (<https://no-color.org>).
fn stdout_takes_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !no_color && !dumb && io::stdout().is_terminal()
}
