//! `fragsim list`: what a scenario can choose from.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::args::line_width;
use super::exit;
use super::output::Failure;
use crate::report::{Format, Listing};
use crate::scenario;

pub(super) const HELP: &str = "\
Examples:
  fragsim list allocators
  fragsim list kernels --format json";

/// Arguments of `list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    what: What,
    /// How the list is printed
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// Text allocators
    Allocators,
    /// Kernel releases
    Kernels,
    /// What the host's memory can look like at the start
    StartStates,
}

/// Runs the command.
pub(super) fn run(args: &ListArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let choices = match args.what {
        What::Allocators => scenario::allocators(),
        What::Kernels => scenario::kernels(),
        What::StartStates => scenario::start_states(),
    };
    let entries = choices.into_iter().map(|choice| (choice.name, choice.summary)).collect();
    Listing { entries }.write(args.format, line_width(), out)?;
    Ok(exit::DONE)
}
