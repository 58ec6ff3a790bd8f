//! `fragsim schema`: the file formats as JSON Schema.

use std::io::Write;

use clap::{Args, ValueEnum};
use schemars::schema_for;

use super::exit;
use super::output::Failure;
use crate::recording;
use crate::result::ResultDoc;
use crate::scenario::Scenario;
use crate::tlb::{CpuDoc, WorkloadDoc};
use crate::trace;

pub(super) const HELP: &str = "\
Example:
  fragsim schema scenario > scenario.schema.json

Editors that know JSON Schema complete and check a scenario with it; name it in the scenario's \"$schema\".";

/// Arguments of `schema`.
#[derive(Clone, Debug, Args)]
pub(super) struct SchemaArgs {
    /// Which file format
    #[arg(value_enum)]
    format: FileFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FileFormat {
    /// What `run` reads
    Scenario,
    /// A line of a trace
    Trace,
    /// What `run` writes
    Result,
    /// A line of a recording of a real kernel
    Recording,
    /// What `tlb --cpu` reads
    Cpu,
    /// What kernel memory is used, and how unevenly
    Workload,
}

/// Runs the command.
pub(super) fn run(args: &SchemaArgs, out: &mut dyn Write) -> Result<u8, Failure> {
    let schema = match args.format {
        FileFormat::Scenario => schema_for!(Scenario),
        FileFormat::Trace => trace::json_schema(),
        FileFormat::Result => schema_for!(ResultDoc),
        FileFormat::Recording => recording::json_schema(),
        FileFormat::Cpu => schema_for!(CpuDoc),
        FileFormat::Workload => schema_for!(WorkloadDoc),
    };
    let text = serde_json::to_string_pretty(&schema).expect("a schema has a form in JSON");
    writeln!(out, "{text}")?;
    Ok(exit::DONE)
}
