//! Streams a recording, whichever form it has.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::input::Input;
use super::line::{Before, FORMAT_VERSION, HeaderLine, RecordLine};
use super::log::{HelloLine, LogLine, Missing, UnknownLine, is_hello};
use super::operation::{LayoutTime, Operation};
use super::record::{Header, Record, Recording};
use super::start::StartTexts;
use crate::diagnostics::Diagnostic;
use crate::direct_map::{DirectMap, Leaf};
use crate::json::{Document, JsonPath, Spans, typed};
use crate::units::{MAX_PFN, Pfn, PfnRange};

/// The endings of files that are taken for recordings where a folder is named.
const ENDINGS: [&str; 3] = [".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// Whether a file of this name is taken for a recording where a folder is named.
pub fn is_recording_name(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The most processors that x86-64 kernels are built for (`CONFIG_NR_CPUS`).
const MAX_CPUS: u32 = 8192;
/// The most memory that four levels of page tables map directly: 64 TiB.
const MAX_RAM_MIB: u64 = 1 << 26;

/// A form of recording.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// The lab's log.
    Log,
    /// The compact form, with the number of records that it says to have.
    Compact(u64),
}

/// Reads a recording record by record and checks it on the way: syntax, the order of steps, whether it is whole.
///
/// A line and what it needs of the lines before are in memory at any time.
pub struct RecordingReader {
    input: Input,
    form: Form,
    header: Header,
    before: Before,
    records: u64,
    steps: u32,
    /// Whether the direct map has been laid out, at boot and at the end.
    laid_out: (bool, bool),
    /// What was read of the free memory at boot.
    start: StartTexts,
    /// One past the last frame that the guest can have.
    end: u64,
}

impl RecordingReader {
    /// Opens a recording; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be read, or its first line is not that of a recording.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Box<Diagnostic>> {
        Self::from_input(Input::open(path.as_ref())?)
    }

    /// Reads a recording from anything; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`RecordingReader::open`].
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Result<Self, Box<Diagnostic>> {
        Self::from_input(Input::new(name.into(), reader)?)
    }

    fn from_input(mut input: Input) -> Result<Self, Box<Diagnostic>> {
        if !input.advance()? {
            let help = "the first line of a recording is its header, or the greeting of a log";
            return Err(Box::new(Diagnostic::new("the recording is empty").in_file(input.name()).help(help)));
        }
        let (form, header) = read_header(&input)?;
        if let Some(wrong) = impossible(&header) {
            let diagnostic = Diagnostic::new(wrong).in_file(input.name()).at(input.number(), 1, 1);
            return Err(Box::new(diagnostic.excerpt(input.line()).help("the line is damaged")));
        }
        let before = Before::first(&header);
        // RAM that does not fit below 4 GiB stands above.
        let end = header.ram_mib.saturating_mul(256).saturating_add(1 << 20).min(MAX_PFN + 1);
        let (laid_out, start) = ((false, false), StartTexts::default());
        Ok(Self { input, form, header, before, records: 0, steps: 0, laid_out, start, end })
    }

    /// What was recorded.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The line that was read last.
    pub fn line(&self) -> u32 {
        self.input.number()
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// The line is not that of a recording, or lines are missing. Reading does not go on behind an error.
    pub fn next_record(&mut self) -> Result<Option<Record>, Box<Diagnostic>> {
        if !self.input.advance()? {
            self.check_end()?;
            return Ok(None);
        }
        let record = match self.form {
            Form::Compact(records) if self.records >= records => {
                let message = format!("this line comes after the {records} records that the header tells of");
                return Err(self.complaint(&message, "were lines added, or two recordings joined?"));
            }
            Form::Compact(_) => self.before.record_of(parse_line::<RecordLine>(&self.input)?),
            Form::Log => {
                let line = match parse_line::<LogLine>(&self.input) {
                    Ok(line) => line,
                    // An operation of another lab may use words of this one otherwise.
                    Err(wrong) => serde_json::from_slice::<UnknownLine>(self.input.line())
                        .ok()
                        .and_then(UnknownLine::into_line)
                        .ok_or(wrong)?,
                };
                line.into_record().map_err(|Missing(key)| {
                    self.complaint(&format!("`{key}` is missing here"), "is this the log of another lab?")
                })?
            }
        };
        self.records += 1;
        self.check(&record)?;
        Ok(Some(record))
    }

    /// Everything that is left, with the header.
    ///
    /// # Errors
    /// As [`RecordingReader::next_record`].
    pub fn read_all(mut self) -> Result<Recording, Box<Diagnostic>> {
        let mut records = Vec::new();
        while let Some(record) = self.next_record()? {
            records.push(record);
        }
        Ok(Recording { header: self.header, records })
    }

    /// What is wrong with the last line as a whole.
    fn complaint(&self, message: &str, help: &str) -> Box<Diagnostic> {
        let line = self.input.line();
        let diagnostic =
            Diagnostic::new(message).in_file(self.input.name()).at(self.input.number(), 1, line.len() as u32);
        Box::new(diagnostic.excerpt(line).help(help))
    }

    fn check(&mut self, record: &Record) -> Result<(), Box<Diagnostic>> {
        if let Some(wrong) = record.walk.as_ref().and_then(|walk| walk.impossible(self.end)) {
            return Err(self.complaint(&wrong, "the line is damaged, or the memory of the guest is another"));
        }
        if let Operation::Layout { when, ranges } = &record.operation {
            let leaves: Option<Vec<Leaf>> =
                ranges.iter().map(|range| range.leaf().filter(|leaf| leaf.range.end().get() <= self.end)).collect();
            let built = leaves.ok_or_else(|| "a range holds frames that the guest does not have".to_owned());
            let built = built.and_then(|leaves| DirectMap::from_leaves(&leaves).map_err(|error| error.to_string()));
            built.map_err(|error| self.complaint(&format!("the layout cannot be: {error}"), "the line is damaged"))?;
            match when {
                LayoutTime::Boot => self.laid_out.0 = true,
                LayoutTime::End => self.laid_out.1 = true,
            }
        }
        if matches!(record.operation, Operation::Aborted { .. }) {
            self.laid_out.1 = true;
        }
        if self.steps == 0 && record.step.is_none() {
            let read = self.start.note(&record.operation);
            read.map_err(|wrong| self.complaint(&wrong, "this is not what a kernel prints: the line is damaged"))?;
        }
        let Some(step) = record.step else { return Ok(()) };
        if !self.laid_out.0 {
            return Err(self.complaint("the first step comes before the layout at boot", "lines are missing before it"));
        }
        if step != self.steps + 1 {
            let message = format!("step {step} follows step {}", self.steps);
            return Err(self.complaint(&message, "lines are missing, or in another order"));
        }
        self.steps = step;
        Ok(())
    }

    /// Whether the recording may end here.
    fn check_end(&self) -> Result<(), Diagnostic> {
        let wrong = match self.form {
            Form::Compact(records) if self.records != records => {
                format!("the recording ends after {} of {records} records", self.records)
            }
            _ if !self.laid_out.1 => {
                format!("the recording ends after step {} without the layout at its end", self.steps)
            }
            _ if self.steps == 0 => {
                let diagnostic = Diagnostic::new("the recording has no steps, so there is nothing to judge");
                let diagnostic = diagnostic.in_file(self.input.name()).at(self.input.number(), 0, 0);
                return Err(diagnostic.help("records of steps have a number, `step`"));
            }
            _ => return Ok(()),
        };
        let diagnostic = Diagnostic::new(wrong).in_file(self.input.name()).at(self.input.number(), 0, 0);
        Err(diagnostic.help("was the file cut off?"))
    }
}

/// What cannot be about a guest; `None` if all can.
fn impossible(header: &Header) -> Option<String> {
    let Header { cpus, ram_mib, .. } = header;
    if !(1..=MAX_CPUS).contains(cpus) {
        return Some(format!("a guest with {cpus} processors: a kernel serves at most {MAX_CPUS}"));
    }
    (!(1..=MAX_RAM_MIB).contains(ram_mib))
        .then(|| format!("a guest with {ram_mib} MiB of memory: a kernel maps at most {MAX_RAM_MIB}"))
}

impl super::LayoutRange {
    /// The entries; none if there are none of this kind.
    pub fn leaf(self) -> Option<Leaf> {
        let Self(first, pages, size, seen) = self;
        let end = first.checked_add(pages).filter(|end| *end <= MAX_PFN + 1 && pages > 0)?;
        Some(Leaf { range: PfnRange::new(Pfn::new(first), Pfn::new(end)), size: size.into(), perms: seen.perms()? })
    }
}

/// The last line of the input as this type.
fn parse_line<T: DeserializeOwned>(input: &Input) -> Result<T, Box<Diagnostic>> {
    let line = input.line();
    match serde_json::from_slice(line) {
        Ok(value) => Ok(value),
        Err(error) => match explain::<T>(input, error.is_eof()) {
            Ok(value) => Ok(value),
            Err(mut diagnostic) => {
                diagnostic.line = input.number();
                diagnostic.path = Some(input.name().to_owned());
                Err(Box::new(diagnostic))
            }
        },
    }
}

/// Parses a line that serde_json refuses once more, to say where it is wrong.
fn explain<T: DeserializeOwned>(input: &Input, ends_early: bool) -> Result<T, Diagnostic> {
    let (line, number) = (input.line(), input.number());
    if ends_early && !input.line_is_whole() {
        let diagnostic = Diagnostic::new("the recording ends in the middle of a line").at(number, line.len() as u32, 1);
        return Err(diagnostic.excerpt(line).help("was the file cut off?"));
    }
    let text = str::from_utf8(line).map_err(|error| {
        let column = u32::try_from(error.valid_up_to() + 1).unwrap_or(u32::MAX);
        Diagnostic::new("the line is not UTF-8 text").at(number, column, 1).excerpt(line)
    })?;
    let document = Document::new("", text);
    typed::<T>(&document.value()?).map_err(|(path, complaint)| document.complain(&path, complaint))
}

/// Only the version of a header, whatever else a newer version has.
#[derive(Deserialize)]
struct AnyHeader {
    fragsim_recording: u32,
}

/// What the first line says.
fn read_header(input: &Input) -> Result<(Form, Header), Box<Diagnostic>> {
    let line = input.line();
    let value: Value = serde_json::from_slice(line).unwrap_or_default();
    if value.get("fragsim_recording").is_some() || line.starts_with(b"{\"fragsim_recording\"") {
        if value.is_object() {
            let AnyHeader { fragsim_recording: version } = parse_line(input)?;
            if !(1..=FORMAT_VERSION).contains(&version) {
                return Err(Box::new(unknown_version(input, version)));
            }
        }
        let header: HeaderLine = parse_line(input)?;
        return Ok((Form::Compact(header.records), header.into_header()));
    }
    if is_hello(&value) || line.starts_with(b"{\"op\":\"hello\"") {
        let hello: HelloLine = parse_line(input)?;
        return Ok((Form::Log, hello.into_header(stem(input.name()))));
    }
    let what = if value.get("fragsim_trace").is_some() {
        "this is a trace, not a recording"
    } else {
        "this is not a recording: its first line is neither a header nor the greeting of a log"
    };
    let help = "a recording begins with {\"fragsim_recording\":1, ...}, a log of the lab with {\"op\":\"hello\", ...}";
    let diagnostic = Diagnostic::new(what).in_file(input.name()).at(input.number(), 1, 1).excerpt(line);
    Err(Box::new(diagnostic.help(help)))
}

fn unknown_version(input: &Input, version: u32) -> Diagnostic {
    let line = input.line();
    let path = JsonPath::root().key("fragsim_recording");
    let place = str::from_utf8(line).ok().and_then(|text| Spans::new(text).value(&path));
    let (column, width) = place.map_or((1, 1), |place| (place.column, place.width));
    Diagnostic::new(format!("recording format version {version} is not known"))
        .in_file(input.name())
        .at(input.number(), column, width)
        .at_json_path("fragsim_recording")
        .excerpt(line)
        .help(format!("this fragsim reads version {FORMAT_VERSION}; a newer fragsim may read it"))
}

/// The name of a file without folders and endings.
fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    ENDINGS.iter().rev().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file)
}
