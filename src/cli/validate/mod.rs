//! `fragsim validate`: real kernels judge the model.

mod doc;
mod mechanics_section;
mod placement_section;
mod prediction_section;
mod section;
mod step;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rayon::prelude::*;

use super::exit;
use super::output::Failure;
use super::recordings::{Source, sources};
use crate::diagnostics::Diagnostic;
use crate::judge::{Disagreement, Placement, Prediction, Subject, SubjectError, Verdict, mechanics, place, predict};
use crate::recording::Recording;
use doc::ValidationDoc;
use section::Section;

pub(super) const HELP: &str = "\
Examples:
  fragsim validate
  fragsim validate debian/7.3.4
  fragsim validate E6-4096M.jsonl.gz --format md
  fragsim validate debian/6.1.192/E6-4096M --step 9 --verbose

Without a name, all recordings that ship with fragsim are judged. RECORDING is a file (a log of the recording lab, plain or \
gzip, or fragsim's compact form), a folder of such files, or a recording that ships: debian/VERSION/NAME or \
patched/VARIANT/NAME, or the first parts of such a name.

Exit codes: 0 the model agrees with every kernel, 1 it does not, 2 a recording cannot be used.";

/// Arguments of `validate`.
#[derive(Clone, Debug, Args)]
pub(super) struct ValidateArgs {
    /// Recordings, or folders of them
    #[arg(value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
    /// What is compared
    #[arg(long, value_enum, default_value_t = Level::All, value_name = "LEVEL")]
    level: Level,
    /// How the verdicts are printed
    #[arg(long, value_enum, default_value_t = Shape::Table, value_name = "FORMAT")]
    format: Shape,
    /// Draw anew what the model of a prediction leaves to chance
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Replay up to this step, and tell what kernel and model did in it; predictions only with their level
    #[arg(long, value_name = "N", conflicts_with = "format", requires = "recordings")]
    step: Option<u32>,
    /// List every recording; with --step, also tell which calls the model made
    #[arg(long)]
    verbose: bool,
}

/// A level of judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// All three
    All,
    /// Frames given: splits, permissions and counters of every step
    Mechanics,
    /// Operations given: where each image stands
    Placement,
    /// Blind: splits over time
    Prediction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people
    #[value(alias = "text")]
    Table,
    /// For programs, with every number
    Json,
    /// For web pages
    Md,
}

/// What is wrong with a recording that could be read.
fn unusable(source: &Source, error: &dyn std::error::Error) -> Box<Diagnostic> {
    let diagnostic = Diagnostic::new(error.to_string()).in_file(source.name());
    Box::new(diagnostic.help("`fragsim list kernels` names the releases that there are models of"))
}

/// Runs the command.
pub(super) fn run(args: &ValidateArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let sources = sources(&args.recordings)?;
    if let Some(step) = args.step {
        return step::explain_step(&sources, step, args, out);
    }
    let judge = |source: &Source| Judged::of(source, args);
    let judged: Vec<Judged> = sources.par_iter().map(judge).collect::<Result<_, Box<Diagnostic>>>()?;
    match args.format {
        Shape::Table => section::text(&sections(&judged), args.verbose, out)?,
        Shape::Md => section::markdown(&sections(&judged), out)?,
        Shape::Json => {
            serde_json::to_writer_pretty(&mut *out, &ValidationDoc::new(&judged)).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(if judged.iter().all(Judged::agrees) { exit::DONE } else { exit::CHECK_FAILED })
}

/// Which recording it is.
struct Named {
    source: String,
    kernel: String,
    experiment: String,
    name: String,
    /// The release whose model stands in for the recorded kernel, of which there is none.
    stand_in: Option<&'static str>,
}

impl Named {
    fn title(&self) -> String {
        format!("{} {}", self.kernel, self.name)
    }

    /// A difference in words, with the command that replays the step.
    fn difference(&self, first: &Disagreement, level: &str) -> Vec<String> {
        let source = crate::cli::output::shell_word(&self.source);
        let level = if level == "mechanics" { String::new() } else { format!(" --level {level}") };
        vec![
            format!("{}, step {}, {}:", self.title(), first.step, first.operation),
            format!("the kernel: {}", first.kernel),
            format!("the model:  {}", first.model),
            format!("replay it:  fragsim validate {source}{level} --step {} --verbose", first.step),
        ]
    }
}

/// What one recording says, on the levels that were asked for.
struct Judged {
    named: Named,
    mechanics: Option<Verdict>,
    placement: Option<Placement>,
    prediction: Option<Prediction>,
}

impl Judged {
    fn of(source: &Source, args: &ValidateArgs) -> Result<Self, Box<Diagnostic>> {
        fn when<T>(
            wanted: bool,
            judge: impl FnOnce(&Recording) -> Result<T, SubjectError>,
            recording: &Recording,
        ) -> Result<Option<T>, SubjectError> {
            wanted.then(|| judge(recording)).transpose()
        }
        let recording = source.read()?;
        let is = |one: Level| args.level == one || args.level == Level::All;
        let all = || {
            let mechanics = when(is(Level::Mechanics), mechanics, &recording)?;
            let placement = when(is(Level::Placement), place, &recording)?;
            Ok((mechanics, placement, when(is(Level::Prediction), |it| predict(it, args.seed), &recording)?))
        };
        let (mechanics, placement, prediction) = all().map_err(|error: SubjectError| unusable(source, &error))?;
        let subject = Subject::of(&recording.header).map_err(|error| unusable(source, &error))?;
        let header = recording.header;
        let named = Named {
            source: source.name(),
            stand_in: subject.stands_in(&header).then_some(subject.release.name),
            kernel: header.kernel,
            experiment: header.experiment,
            name: header.name,
        };
        Ok(Self { named, mechanics, placement, prediction })
    }

    fn agrees(&self) -> bool {
        self.mechanics.as_ref().is_none_or(Verdict::agrees)
            && self.placement.as_ref().is_none_or(Placement::agrees)
            && self.prediction.as_ref().is_none_or(Prediction::agrees)
    }
}

/// A section for each level that was judged.
fn sections(judged: &[Judged]) -> Vec<Section> {
    fn verdicts<T>(judged: &[Judged], of: impl Fn(&Judged) -> Option<&T>) -> Vec<(&Named, &T)> {
        judged.iter().filter_map(|it| Some((&it.named, of(it)?))).collect()
    }
    let mechanics = verdicts(judged, |it| it.mechanics.as_ref());
    let placement = verdicts(judged, |it| it.placement.as_ref());
    let prediction = verdicts(judged, |it| it.prediction.as_ref());
    let mut sections = Vec::new();
    if !mechanics.is_empty() {
        sections.push(mechanics_section::section(&mechanics));
    }
    if !placement.is_empty() {
        sections.push(placement_section::section(&placement));
    }
    if !prediction.is_empty() {
        sections.push(prediction_section::section(&prediction));
    }
    if let Some(first) = sections.first_mut() {
        first.legend.extend(stand_ins(judged));
    }
    sections
}

/// Kernels that fragsim has no model of, with the release whose model was taken instead.
fn stand_ins(judged: &[Judged]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for Named { kernel, stand_in, .. } in judged.iter().map(|it| &it.named) {
        let Some(release) = stand_in else { continue };
        let line = format!("{kernel} is judged by the model of {release}, the newest release before it that there is.");
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
