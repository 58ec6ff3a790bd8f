//! Traces out of what other tools record.

mod perf_line;
mod perf_script;

use std::fmt;

use super::TraceError;
use crate::diagnostics::Diagnostic;

pub use perf_script::from_perf_script;

/// What happens to a program whose unload was recorded and whose load was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AliveBefore {
    /// It is loaded at time 0, with the images that its unload reports.
    #[default]
    LoadAtStart,
    /// It is left out.
    Skip,
}

/// A program that was there before the recording began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyProgram {
    /// The program's id.
    pub id: u64,
    /// The name of its main function.
    pub name: String,
    /// Its images in bytes.
    pub image_bytes: Vec<u32>,
}

/// What an import found, and what it could not use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Lines read.
    pub lines: u64,
    /// Programs loaded, those at time 0 among them.
    pub loads: u64,
    /// Programs with more than one image.
    pub multi_image_loads: u64,
    /// Programs unloaded.
    pub unloads: u64,
    /// Changes of trampolines and dispatchers.
    pub trampoline_events: u64,
    /// Programs that were alive before the recording.
    pub early_programs: Vec<EarlyProgram>,
    /// Loads without a symbol: interpreted programs, or lost records; left out.
    pub loads_without_images: u64,
    /// Unloads of programs never seen and without a symbol; left out.
    pub unknown_unloads: u64,
    /// Loads of a program that was alive, with the same images; left out.
    pub repeated_loads: u64,
    /// Programs unloaded only because their id was loaded anew with other images.
    pub inferred_unloads: u64,
    /// Unloads whose symbols are not those of the load: records were lost or mixed up.
    pub differing_unloads: u64,
    /// Program symbols that no event claimed.
    pub unclaimed_symbols: u64,
    /// Symbols that are no program, trampoline or dispatcher, such as kprobe slots; left out.
    pub other_symbols: u64,
    /// Records that came with a time before the last one's, and got that time.
    pub late_records: u64,
    /// Records that perf says it lost.
    pub lost_records: u64,
}

impl fmt::Display for ImportReport {
    /// What was imported, then a line for each thing that was not plain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loads ({} with several images), ", self.loads, self.multi_image_loads)?;
        write!(f, "{} unloads and {} changes of trampolines", self.unloads, self.trampoline_events)?;
        write!(f, " from {} lines", self.lines)?;
        let notes = [
            (self.early_programs.len() as u64, "programs were alive before the recording began"),
            (self.loads_without_images, "loads have no symbol and were left out: not compiled, or records lost"),
            (self.unknown_unloads, "unloads are of programs never seen and have no symbol; left out"),
            (self.repeated_loads, "loads repeat a program that is alive; left out"),
            (self.inferred_unloads, "programs were unloaded because their id was loaded anew"),
            (self.differing_unloads, "unloads report other images than the load did"),
            (self.unclaimed_symbols, "program symbols belong to no event; left out"),
            (self.other_symbols, "symbols are no program or trampoline; left out"),
            (self.late_records, "records came late and were moved to the time of the one before"),
            (
                self.lost_records,
                "records were lost while recording: expect gaps; record with a larger buffer (perf -m)",
            ),
        ];
        for (count, text) in notes.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "\nnote: {count} {text}")?;
        }
        for program in self.early_programs.iter().take(MAX_LISTED) {
            write!(f, "\n  program {} {} {:?} bytes", program.id, program.name, program.image_bytes)?;
        }
        match self.early_programs.len().saturating_sub(MAX_LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// How many programs a report lists one by one.
const MAX_LISTED: usize = 20;

/// The error of a text without anything to import.
fn nothing_found(name: &str) -> TraceError {
    let diagnostic = Diagnostic::new("no PERF_RECORD_BPF_EVENT line in the text").in_file(name);
    let help = "record with `perf record -a -e dummy` as root, print with `perf script --show-bpf-events`";
    TraceError::fatal(diagnostic.help(help))
}
