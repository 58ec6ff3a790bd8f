//! What happened on a host: loads and unloads of BPF programs, modules, trampolines and other memory users.
//!
//! A trace file is JSON Lines, plain or zstd: a [header](TraceHeader) and then one [line](TraceLine) an event, in the
//! order of time. [`TraceReader`] streams it into [`Event`]s, which carry numbers only; [`TraceWriter`] writes it.
//! The replay takes its events from any [`EventSource`]: a file, a file repeated ([`Repeated`]), or events that
//! already are in memory ([`InMemory`]).

mod check;
mod convert;
mod event;
mod fast;
pub mod generate;
pub mod import;
mod input;
pub mod line;
mod reader;
mod repeat;
mod rules;
mod source;
mod stat;
mod writer;

pub use check::TraceCheck;
pub use convert::{MemoryUsers, NamedEvent};
pub use event::{
    Event, EventKind, GivePattern, Images, Load, MAX_IMAGE_BYTES, MemoryGive, MemoryKind, MemoryTake, ModuleLoad,
    Permission, ProgId, SetMemory, SizeError,
};
pub use generate::{Generate, Generated};
pub use line::{FORMAT_VERSION, TraceHeader, TraceLine, json_schema};
pub use reader::TraceReader;
pub use repeat::Repeated;
pub use source::{EventSource, InMemory, TraceError};
pub use stat::{EventCounts, LifeQuantiles, MemoryStat, ModuleStat, ProgramStat, SizeQuantiles, TraceStat};
pub use writer::{TraceFile, TraceWriter};
