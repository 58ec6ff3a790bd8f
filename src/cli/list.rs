//! `fragsim list`: what a scenario can choose from.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::args::line_width;
use super::exit;
use super::output::Failure;
use crate::report::{Format, Listing};
use crate::scenario;
use crate::tlb::{Cpu, Workload, preset_names, workload_names};

pub(super) const HELP: &str = "\
Examples:
  fragsim list allocators
  fragsim list kernels --format json
  fragsim list cpus";

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
    /// Cores whose TLBs are known
    Cpus,
    /// What the kernel may do with its memory
    Workloads,
}

/// Runs the command.
pub(super) fn run(args: &ListArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let of_scenario = |choices: Vec<scenario::Choice>| -> Vec<(String, String)> {
        choices.into_iter().map(|choice| (choice.name, choice.summary)).collect()
    };
    let entries = match args.what {
        What::Allocators => of_scenario(scenario::allocators()),
        What::Kernels => of_scenario(scenario::kernels()),
        What::StartStates => of_scenario(scenario::start_states()),
        What::Cpus => cpus(),
        What::Workloads => workloads(),
    };
    Listing { entries }.write(args.format, line_width(), out)?;
    Ok(exit::DONE)
}

/// Every preset with its structures.
fn cpus() -> Vec<(String, String)> {
    preset_names().map(|name| (name.to_owned(), Cpu::named(name).expect("it is a preset").summary())).collect()
}

/// Every preset with what it rests on.
fn workloads() -> Vec<(String, String)> {
    let summary = |name: &str| {
        let workload = Workload::named(name).expect("it is a preset");
        format!("{}. {}", workload.doc().title, workload.doc().comment)
    };
    workload_names().map(|name| (name.to_owned(), summary(name))).collect()
}
