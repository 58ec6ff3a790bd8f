//! `fragsim recording`: recordings of real kernels in their compact form.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rayon::prelude::*;

use super::exit;
use super::output::Failure;
use crate::diagnostics::Diagnostic;
use crate::files;
use crate::recording::{self, Recording, RecordingReader};

pub(super) const HELP: &str = "\
Example:
  fragsim recording convert results/6.1.192 --output recordings/debian";

const CONVERT_HELP: &str = "\
Examples:
  fragsim recording convert results/ --output recordings/debian
  fragsim recording convert E3-4096M.jsonl.gz --output .

A recording becomes OUTPUT/KERNEL/NAME.jsonl.zst. The same recording gives the same bytes.";

/// Commands of `recording`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum RecordingCommand {
    /// Turn logs of the recording lab into the compact form
    #[command(after_help = CONVERT_HELP)]
    Convert(ConvertArgs),
}

/// Arguments of `recording convert`.
#[derive(Clone, Debug, Args)]
pub(super) struct ConvertArgs {
    /// Logs or recordings, or folders of them
    #[arg(required = true, value_name = "RECORDING")]
    inputs: Vec<PathBuf>,
    /// Folder for the compact recordings
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

/// Runs the command.
pub(super) fn run(command: &RecordingCommand, out: &mut dyn Write) -> Result<u8, Failure> {
    match command {
        RecordingCommand::Convert(args) => convert(args, out),
    }
}

fn convert(args: &ConvertArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let inputs = recording::collect(&args.inputs)?;
    let read = |input: &PathBuf| RecordingReader::open(input)?.read_all();
    let recordings: Vec<Recording> = inputs.par_iter().map(read).collect::<Result<_, _>>()?;
    let mut made: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    for (input, recording) in inputs.iter().zip(&recordings) {
        let output =
            output_path(&args.output, recording).map_err(|problem| problem.in_file(input.display().to_string()))?;
        if let Some(other) = made.insert(output.clone(), input) {
            let message = format!("`{}` and `{}` would become the same file", other.display(), input.display());
            return Err(Diagnostic::new(message).help(format!("both are `{}`", output.display())).into());
        }
        files::keep_input(&output, "the compact recording", "recording", input)?;
    }
    let outputs: Vec<PathBuf> =
        recordings.iter().map(|recording| output_path(&args.output, recording)).collect::<Result<_, _>>()?;
    let write = |(output, recording): (&PathBuf, &Recording)| {
        let bytes = recording::write(recording, Vec::new()).map_err(|error| files::describe("compress", &error))?;
        files::make_directory(output.parent().unwrap_or(Path::new(".")))?;
        files::write_all(output, &bytes).map(|()| bytes.len())
    };
    let sizes: Vec<usize> = outputs.par_iter().zip(&recordings).map(write).collect::<Result<_, Diagnostic>>()?;
    for (output, size) in outputs.iter().zip(sizes) {
        writeln!(out, "{} ({size} bytes)", output.display())?;
    }
    Ok(exit::DONE)
}

/// Where a recording goes: its kernel and name are made for file names, but come from a file that anybody may write.
fn output_path(folder: &Path, recording: &Recording) -> Result<PathBuf, Diagnostic> {
    let header = &recording.header;
    for (what, name) in [("kernel", &header.kernel), ("name", &header.name)] {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
            let message = format!("the {what} `{name}` of the recording cannot be a file name");
            return Err(Diagnostic::new(message).help("letters, digits, and - _ . + can"));
        }
    }
    Ok(folder.join(&header.kernel).join(format!("{}.jsonl.zst", header.name)))
}
