//! One step of a recording, told in full.

use std::io::{self, Write};

use super::{Level, ValidateArgs, unusable};
use crate::cli::exit;
use crate::cli::output::Failure;
use crate::cli::recordings::Source;
use crate::diagnostics::Diagnostic;
use crate::judge::{Forecast, RUNS, Splits, Spread, Subject, explain, is_close, mechanics_with, places_in};
use crate::recording::Recording;

/// Tells what happened in one step of each recording; those that have no such step are passed over if another one has.
pub(super) fn explain_step(
    sources: &[Source],
    step: u32,
    args: &ValidateArgs,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let (mut agree, mut told, mut lacking) = (true, false, None);
    for source in sources {
        let recording = source.read()?;
        let last = recording.steps().last().map_or(0, |(last, _)| last);
        if !(1..=last).contains(&step) {
            let message = format!("there is no step {step}: the recording has steps 1 to {last}");
            lacking.get_or_insert_with(|| Diagnostic::new(message).in_file(source.name()));
            continue;
        }
        let subject = Subject::of(&recording.header).map_err(|error| unusable(source, &error))?;
        let header = &recording.header;
        writeln!(out, "{} {}, release {} of the model", header.kernel, header.name, subject.release.name)?;
        agree &= explain_levels(&recording, &subject, step, args, out)?;
        told = true;
    }
    match lacking {
        Some(lacking) if !told => Err(lacking.into()),
        _ => Ok(if agree { exit::DONE } else { exit::CHECK_FAILED }),
    }
}

/// Whether kernel and model agree in this step, on the levels that were asked for; predictions only by name.
fn explain_levels(
    recording: &Recording,
    subject: &Subject,
    step: u32,
    args: &ValidateArgs,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let is = |one: Level| args.level == one || args.level == Level::All;
    let mut agree = true;
    // What was done, and what the kernel did, is worth knowing on every level.
    let (mut text, mut mechanics_agree) = (String::new(), true);
    let verdict = mechanics_with(recording, subject, |view| {
        if view.step == step {
            mechanics_agree = view.agrees();
            text = explain(view, args.verbose);
        }
    });
    out.write_all(text.as_bytes())?;
    if is(Level::Mechanics) {
        agree &= mechanics_agree;
        if let Some(end) = verdict.first.filter(|first| first.step == step && mechanics_agree) {
            agree = false;
            writeln!(out, "  {}: kernel and model differ", end.operation)?;
            writeln!(out, "  {:<9} {}\n  {:<9} {}", "kernel", end.kernel, "model", end.model)?;
        }
    }
    if is(Level::Placement) {
        for view in places_in(recording, subject, step) {
            agree &= view.agrees;
            if args.verbose || !view.agrees {
                let verdict = if view.agrees { "agree" } else { "differ" };
                writeln!(out, "  {:<9} {}; the model has {}: {verdict}", "place", view.kernel, view.model)?;
            }
        }
    }
    if args.level == Level::Prediction {
        agree &= explain_prediction(recording, subject, step, args, out)?;
    }
    Ok(agree)
}

/// Whether the prediction is close after this step.
fn explain_prediction(
    recording: &Recording,
    subject: &Subject,
    step: u32,
    args: &ValidateArgs,
    out: &mut dyn Write,
) -> io::Result<bool> {
    let forecast = Forecast::of(recording, subject, args.seed, RUNS);
    let place = recording.steps().take_while(|(at, _)| *at <= step).count();
    let recorded = forecast.recorded.get(place).copied().unwrap_or_default();
    let spread = forecast.spread(place);
    writeln!(out, "  prediction, the median and range of {} runs:", forecast.runs.len())?;
    let line = |what: &str, kernel: Splits, model: Spread| {
        let Spread { median, least, most } = model;
        format!(
            "  {what:<9} level 2: {} recorded, {} predicted ({} to {}); level 3: {} recorded, {} predicted",
            kernel.level2, median.level2, least.level2, most.level2, kernel.level3, median.level3
        )
    };
    writeln!(out, "{}", line("in it", forecast.recorded_in(place).unwrap_or_default(), forecast.spread_in(place)))?;
    writeln!(out, "{}", line("so far", recorded, spread))?;
    if args.verbose {
        let so_far: Vec<String> = forecast.runs.iter().map(|run| run[place].level2.to_string()).collect();
        writeln!(out, "  {:<9} {} level-2 splits so far", "each run", so_far.join(" "))?;
    }
    if let Some(why) = &forecast.failure {
        writeln!(out, "  {:<9} a run was broken off: {why}", "note")?;
    }
    Ok(forecast.failure.is_none() && is_close(recorded.level2, spread.median.level2))
}
