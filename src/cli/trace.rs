//! `fragsim trace`: make, check and describe traces.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::trace_table::stat_rows;
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, Text, describe, keep_input, open_file, read_text, shown_name};
use crate::json::{Complaint, Document, JsonPath, typed};
use crate::trace::generate::{Class, Preset};
use crate::trace::import::{AliveBefore, from_perf_script};
use crate::trace::{
    Generate, Generated, NamedEvent, TraceCheck, TraceFile, TraceHeader, TraceReader, TraceStat, TraceWriter,
};
use crate::units::{Bytes, SimDuration};

/// The name that stands for standard output.
const STDOUT: &str = "-";
/// Largest specification that is read.
const MAX_SPEC_BYTES: Bytes = Bytes::new(16 << 20);
/// Bytes that are read or written at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// Make, check and describe traces.
#[derive(Clone, Debug, Subcommand)]
pub enum TraceCommand {
    /// Make a trace from what another tool recorded
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// List everything that is wrong with a trace
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Describe a trace: programs, life times, sizes, peaks
    #[command(after_help = STAT_HELP)]
    Stat(StatArgs),
    /// Generate a trace from classes of programs
    #[command(after_help = GEN_HELP)]
    Gen(GenArgs),
}

const IMPORT_HELP: &str = "\
Record and import (as root; every load and unload of the host ends up in the trace):
  perf record -a -e dummy -o perf.data -- sleep 1day
  perf script -i perf.data --show-bpf-events > loads.txt
  fragsim trace import --from perf-script loads.txt --output loads.jsonl.zst

Programs that were loaded before the recording began are known only by their unload; by default they are loaded at \
time 0 with the images that the unload reports, and listed on standard error.";

const CHECK_HELP: &str = "\
Example:
  fragsim trace check loads.jsonl.zst

Found are: lines that are no event, times that go back, ids loaded twice, unloads of what is not loaded, sizes of 0 or \
above 2 GiB, files that are cut off. The exit code is 1 if anything is wrong.";

const STAT_HELP: &str = "\
Example:
  fragsim trace stat loads.jsonl.zst
  fragsim trace stat --format json loads.jsonl.zst | jq .programs.peak_alive";

const GEN_HELP: &str = "\
Examples:
  fragsim trace gen --preset container-start --every 90s --duration 30days --output month.jsonl.zst
  fragsim trace gen --spec classes.json --seed 7 --output trace.jsonl

A specification says the same as `\"generate\"` in a scenario:
  {\"duration\":\"1day\",\"classes\":[{\"preset\":\"container-start\",\"every\":\"90s\"},
   {\"name\":\"agent\",\"every\":\"5m\",\"life\":{\"exponential\":\"1h\"},\"programs\":[{\"bytes\":500}]}]}
The same seed gives the same trace on every machine.";

/// Arguments of `trace import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// What the file is
    #[arg(long, value_enum, default_value_t = ImportFormat::PerfScript)]
    from: ImportFormat,
    /// The recording; `-` for standard input
    file: PathBuf,
    /// Where the trace goes, compressed if the name ends in `.zst`; `-` for standard output
    #[arg(long, short, default_value = STDOUT)]
    output: PathBuf,
    /// What to do with programs that were loaded before the recording began
    #[arg(long, value_enum, default_value_t = EarlyPrograms::LoadAtStart)]
    alive_before: EarlyPrograms,
    /// What the trace shows, for its header
    #[arg(long, default_value = "")]
    comment: String,
    /// Where the events come from, for its header [default: the name of the file]
    #[arg(long)]
    source: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ImportFormat {
    /// Text of `perf script --show-bpf-events`
    PerfScript,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EarlyPrograms {
    /// Load them at time 0
    LoadAtStart,
    /// Leave them out
    Skip,
}

/// Arguments of `trace check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The trace; `-` for standard input
    trace: PathBuf,
    /// How many problems are listed
    #[arg(long, default_value_t = 20, value_name = "N", allow_negative_numbers = true)]
    limit: usize,
}

/// Arguments of `trace stat`.
#[derive(Clone, Debug, Args)]
pub struct StatArgs {
    /// The trace; `-` for standard input
    trace: PathBuf,
    /// How the numbers are printed
    #[arg(long, value_enum, default_value_t = StatFormat::Table)]
    format: StatFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Arguments of `trace gen`.
#[derive(Clone, Debug, Args)]
#[group(id = "what", args = ["spec", "preset"], required = true, multiple = true)]
pub struct GenArgs {
    /// A file that describes the classes of programs; `-` for standard input
    #[arg(long, conflicts_with_all = ["preset", "every"], value_name = "FILE")]
    spec: Option<PathBuf>,
    /// A prepared class of programs; may be given more than once
    #[arg(long, value_parser = preset_names())]
    preset: Vec<String>,
    /// Mean time between two instances of each preset, such as 90s
    #[arg(long, requires = "preset", value_name = "DURATION")]
    every: Option<SimDuration>,
    /// How long the trace lasts, such as 30days [default: as the specification says, or 1day]
    #[arg(long, value_name = "DURATION")]
    duration: Option<SimDuration>,
    /// Which of the possible traces
    #[arg(long, default_value_t = 1, value_name = "N", allow_negative_numbers = true)]
    seed: u64,
    /// Where the trace goes, compressed if the name ends in `.zst`; `-` for standard output
    #[arg(long, short, default_value = STDOUT)]
    output: PathBuf,
}

/// How a command ended that could do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceOutcome {
    /// As wanted.
    Done,
    /// `trace check` found problems; they are not printed yet.
    Problems(Vec<Diagnostic>),
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum TraceFailure {
    /// Something is wrong with the input or the usage.
    #[error(transparent)]
    Input(Box<Diagnostic>),
    /// Standard output or standard error cannot be written; a closed pipe is no reason to complain.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl<E: Into<Diagnostic>> From<E> for TraceFailure {
    fn from(error: E) -> Self {
        Self::Input(Box::new(error.into()))
    }
}

/// Runs a command: data goes to `out`, everything else to `err`.
pub fn run(command: &TraceCommand, out: &mut dyn Write, err: &mut dyn Write) -> Result<TraceOutcome, TraceFailure> {
    match command {
        TraceCommand::Import(args) => import(args, out, err),
        TraceCommand::Check(args) => check(args, out),
        TraceCommand::Stat(args) => stat(args, out),
        TraceCommand::Gen(args) => generate(args, out),
    }
}

fn import(args: &ImportArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<TraceOutcome, TraceFailure> {
    let name = args.file.display().to_string();
    keep_input(&args.output, "the trace", "recording", &args.file)?;
    let text = BufReader::with_capacity(BLOCK_BYTES, open(&args.file)?);
    let alive_before = match args.alive_before {
        EarlyPrograms::LoadAtStart => AliveBefore::LoadAtStart,
        EarlyPrograms::Skip => AliveBefore::Skip,
    };
    let ImportFormat::PerfScript = args.from;
    let (events, report) = from_perf_script(&name, text, alive_before)?;
    let file_name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let source = args.source.clone().unwrap_or_else(|| format!("perf script text {file_name}"));
    let header = TraceHeader::new(&args.comment, source);
    write_trace(&args.output, &header, events.into_iter(), out)?;
    writeln!(err, "{}: {report}", shown_name(&name))?;
    Ok(TraceOutcome::Done)
}

fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<TraceOutcome, TraceFailure> {
    let check = TraceCheck::run(TraceReader::open(&args.trace)?, args.limit.max(1));
    let name = args.trace.display().to_string();
    if check.is_good() {
        let hash = check.hash.unwrap_or_default();
        let (name, events, lines) = (shown_name(&name), check.events, check.lines);
        writeln!(out, "{name}: nothing wrong in {events} events on {lines} lines (xxh3 {hash:032x})")?;
        return Ok(TraceOutcome::Done);
    }
    let mut problems = check.problems;
    if check.more_problems > 0 {
        let more = Diagnostic::new(format!("{} more problems are not listed", check.more_problems));
        problems.push(more.in_file(name).help("list more with `--limit`"));
    }
    Ok(TraceOutcome::Problems(problems))
}

fn stat(args: &StatArgs, out: &mut dyn Write) -> Result<TraceOutcome, TraceFailure> {
    let mut reader = TraceReader::open(&args.trace)?;
    let stat = TraceStat::of(&mut reader)?;
    match args.format {
        StatFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &stat).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        StatFormat::Table => {
            for (label, value) in stat_rows(&stat) {
                writeln!(out, "{label:<22}{value}")?;
            }
        }
    }
    Ok(TraceOutcome::Done)
}

fn generate(args: &GenArgs, out: &mut dyn Write) -> Result<TraceOutcome, TraceFailure> {
    let class = |name: &String| {
        let preset = Preset::ALL.into_iter().find(|preset| preset.name() == name);
        Class { preset, every: args.every, ..Class::default() }
    };
    let one_day = SimDuration::from_millis(24 * 60 * 60 * 1000);
    let (mut generate, document) = match &args.spec {
        Some(path) => {
            keep_input(&args.output, "the trace", "specification", path)?;
            let Text { name, text } = read_text(path, "a specification", MAX_SPEC_BYTES)?;
            let document = Document::new(name, text);
            let value = document.value()?;
            let spec = typed::<Generate>(&value).map_err(|(at, complaint)| document.complain(&at, complaint))?;
            (spec, Some(document))
        }
        None => (Generate { duration: one_day, classes: args.preset.iter().map(class).collect() }, None),
    };
    generate.duration = args.duration.unwrap_or(generate.duration);
    let mut generated = Generated::new(&generate, args.seed).map_err(|problem| match &document {
        Some(document) => in_document(document, *problem),
        None => *problem,
    })?;
    let classes: Vec<&str> = generate.classes.iter().map(class_name).collect();
    let comment = format!("{} of {}", generate.duration, classes.join(", "));
    let source = format!("fragsim {} trace gen, seed {}", env!("CARGO_PKG_VERSION"), args.seed);
    let header = TraceHeader::new(comment, source);
    write_trace(&args.output, &header, std::iter::from_fn(|| generated.next_named()), out)?;
    Ok(TraceOutcome::Done)
}

fn class_name(class: &Class) -> &str {
    class.name.as_deref().or(class.preset.map(Preset::name)).unwrap_or("programs")
}

/// The problem with its place in the file that the specification came from.
fn in_document(document: &Document, problem: Diagnostic) -> Diagnostic {
    let path = JsonPath::parse(&problem.json_path).unwrap_or_default();
    let mut complaint = Complaint::new(problem.message);
    complaint.help = problem.help;
    document.complain(&path, complaint)
}

fn preset_names() -> clap::builder::PossibleValuesParser {
    let value = |preset: Preset| clap::builder::PossibleValue::new(preset.name()).help(preset.explanation());
    clap::builder::PossibleValuesParser::new(Preset::ALL.map(value))
}

/// Writes a trace to a file, or to standard output.
fn write_trace(
    path: &Path,
    header: &TraceHeader,
    events: impl Iterator<Item = NamedEvent>,
    out: &mut dyn Write,
) -> Result<(), TraceFailure> {
    if path.as_os_str() == STDOUT {
        let mut writer = TraceWriter::new(io::BufWriter::with_capacity(BLOCK_BYTES, out), header)?;
        for event in events {
            writer.write(&event, &[])?;
        }
        writer.into_inner()?;
        return Ok(());
    }
    let failed = |error: io::Error| cannot_write(path, &error);
    let mut writer = TraceWriter::new(TraceFile::create(path)?, header).map_err(failed)?;
    for event in events {
        writer.write(&event, &[]).map_err(failed)?;
    }
    Ok(writer.into_inner().map_err(failed)?.finish()?)
}

/// A recording to import; `-` is standard input.
fn open(path: &Path) -> Result<Box<dyn Read>, Diagnostic> {
    if path.as_os_str() == STDIN {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(open_file(path, "a recording")?.0))
}

fn cannot_write(path: &Path, error: &io::Error) -> Diagnostic {
    describe("write the trace", error).in_file(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: TraceCommand,
    }

    /// What a command line prints to standard output and standard error, and how it ends.
    fn fragsim(line: &[&str]) -> (Result<TraceOutcome, TraceFailure>, String, String) {
        let cli = Cli::try_parse_from(std::iter::once(&"trace").chain(line)).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let end = run(&cli.command, &mut out, &mut err);
        (end, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn path(name: &str) -> String {
        format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn shipped_traces_are_what_the_recordings_import_to() {
        let recording = path("tests/data/runqslower.perf-script.txt");
        let shipped = path("scenarios/traces/runqslower.jsonl");
        let header = TraceReader::open(&shipped).unwrap().header().clone();
        let (end, out, err) =
            fragsim(&["import", &recording, "--comment", &header.comment, "--source", &header.source]);
        assert_eq!(end.unwrap(), TraceOutcome::Done);
        assert_eq!(out, std::fs::read_to_string(&shipped).unwrap());
        assert!(err.contains("10 loads (1 with several images), 10 unloads"), "{err}");
    }

    #[test]
    fn stat_describes_the_overlapping_tools() {
        let shipped = path("scenarios/traces/libbpf-tools.jsonl");
        let (_, table, _) = fragsim(&["stat", &shipped]);
        assert!(table.contains("programs loaded       495\nprograms unloaded     493"), "{table}");
        let (_, json, _) = fragsim(&["stat", "--format", "json", &shipped]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["programs"]["with_several_images"], 56);
        assert_eq!(json["events"]["load"], 495);
        let (_, checked, _) = fragsim(&["check", &shipped]);
        assert!(checked.contains("nothing wrong in 988 events on 989 lines"), "{checked}");
    }

    #[test]
    fn check_hands_over_its_problems() {
        let directory = tempfile::tempdir().unwrap();
        let trace = directory.path().join("bad.jsonl");
        std::fs::write(&trace, "{\"fragsim_trace\":1}\n{}\n{}\n{}\n").unwrap();
        let (end, out, _) = fragsim(&["check", "--limit", "2", trace.to_str().unwrap()]);
        let TraceOutcome::Problems(problems) = end.unwrap() else { panic!() };
        assert_eq!((problems.len(), problems[1].line, out.as_str()), (3, 3, ""));
        assert!(problems[2].message.contains("1 more problems"));
        let (end, ..) = fragsim(&["check", "no/such/file"]);
        assert!(matches!(end.unwrap_err(), TraceFailure::Input(_)));
    }

    #[test]
    fn gen_writes_the_same_trace_for_the_same_seed() {
        let make = |seed| fragsim(&["gen", "--preset", "general-mix", "--every", "5m", "--seed", seed]).1;
        assert_eq!(make("3"), make("3"));
        assert_ne!(make("3"), make("4"));
        assert!(make("3").starts_with("{\"fragsim_trace\":1,\"comment\":\"1day of general-mix\""));
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("t.jsonl.zst");
        fragsim(&["gen", "--preset", "service-unit", "--duration", "1h", "-o", output.to_str().unwrap()]).0.unwrap();
        assert!(TraceCheck::run(TraceReader::open(&output).unwrap(), 1).is_good());
    }

    #[test]
    fn specifications_are_checked_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let spec = directory.path().join("spec.json");
        for (text, wanted) in [
            ("{\"duration\":\"1h\",\n\"classes\":[{\"preset\":\"general-mx\"}]}", ":2:22: unknown name `general-mx`"),
            ("{\"duration\":\"1h\",\n\"classes\":[{\"every\":\"0s\"}]}", ":2:21: a rate of 0"),
            ("", "the file is empty"),
        ] {
            std::fs::write(&spec, text).unwrap();
            let error = fragsim(&["gen", "--spec", spec.to_str().unwrap()]).0.unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(Cli::try_parse_from(["trace", "gen"]).is_err());
        assert!(Cli::try_parse_from(["trace", "gen", "--preset", "nothing"]).is_err());
    }
}
