//! `fragsim validate`: real kernels judge the model.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;

use super::exit;
use super::output::Failure;
use crate::diagnostics::Diagnostic;
use crate::judge::{Verdict, mechanics};
use crate::recording::{self, RecordingReader};

pub(super) const HELP: &str = "\
Examples:
  fragsim validate
  fragsim validate recordings/debian/7.3.4
  fragsim validate E6-4096M.jsonl.gz --step 9 --verbose";

/// Arguments of `validate`.
#[derive(Clone, Debug, Args)]
pub(super) struct ValidateArgs {
    /// Recordings, or folders of them; all that ship with fragsim if none is named
    #[arg(value_name = "RECORDING")]
    recordings: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &ValidateArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let files = recording::collect(&args.recordings)?;
    let judge = |file: &PathBuf| -> Result<Verdict, Box<Diagnostic>> {
        let recording = RecordingReader::open(file)?.read_all()?;
        mechanics(&recording)
            .map_err(|error| Box::new(Diagnostic::new(error.to_string()).in_file(file.display().to_string())))
    };
    let verdicts: Vec<Verdict> = files.par_iter().map(judge).collect::<Result<_, _>>()?;
    let mut agree = true;
    for verdict in &verdicts {
        agree &= verdict.agrees();
        writeln!(
            out,
            "{} {} {:?} model {:?} null {:?} one {:?}",
            verdict.kernel, verdict.name, verdict.boot, verdict.model, verdict.null.changed, verdict.one_line.changed
        )?;
        if let Some(first) = &verdict.first {
            writeln!(out, "    {first:?}")?;
        }
    }
    Ok(if agree { exit::DONE } else { exit::CHECK_FAILED })
}
