//! The result contract: what a replay found, as one JSON document.
//!
//! The same scenario and seed give the same bytes on any machine and with any number of threads: nothing here knows a
//! clock, a host name or the order of a hash map. Within a format version keys may be added; readers skip keys that
//! they do not know.

pub mod counters;
mod document;
mod format;
mod memory_map;
mod merge;
mod metrics;
mod pattern;
mod read;
mod series;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod tlb;

pub use counters::Counters;
pub use document::{Outcome, ResultDoc, Run, SCHEMA_VERSION, ScenarioStamp};
pub use memory_map::{CellState, Cells, MapMoment, MemoryMap};
pub use merge::MergeError;
pub use metrics::{About, Better, KNOWN, Metric};
pub use pattern::MetricPattern;
pub use read::ReadError;
pub use series::Sample;
pub use text::{TextReport, TextUsage};
pub use tlb::{BesideEstimate, EstimateDoubt, TlbAssumptions, TlbFigures};
