//! Recordings of real kernels: what was done to a guest, and after every step what its kernel counted and mapped.
//!
//! A [`Recording`] is a [`Header`] and [`Record`]s. It comes from two kinds of file:
//!
//! - the log that the recording lab writes, as it is: JSON Lines, plain, gzip or zstd;
//! - fragsim's own compact form: JSON Lines, plain or zstd, [`FORMAT_VERSION`], described by [`json_schema`].
//!
//! [`RecordingReader`] streams either, [`write()`] makes the second out of the first. Both read the same.

mod collect;
mod frames;
mod input;
mod line;
mod log;
mod operation;
mod reader;
mod record;
mod seen;
mod shipped;
mod start;
#[cfg(test)]
mod tests;
mod writer;

pub use collect::collect;
pub use frames::{FrameList, FrameRun};
pub use line::{FORMAT_VERSION, json_schema};
pub use operation::{Image, LayoutRange, LayoutTime, Load, Operation, ProgramSeen, TracedLoad};
pub use reader::{RecordingReader, is_recording_name};
pub use record::{AreaChange, Counters, Header, Label, PermRun, Record, Recording, Totals, Walk};
pub use seen::{AreaMapping, EntrySize, Seen};
pub use shipped::{SHIPPED, Shipped};
pub use start::{BUDDYINFO, PAGETYPEINFO};
pub use writer::write;
