//! Physical memory as the kernel's page allocator sees it.
//!
//! Which page frames a text allocator gets decides which large entries of the direct map it breaks, so the order in
//! which frames come out is modelled exactly; nothing else of memory is. From the bottom up:
//!
//! * [`layout`]: which frames are RAM, and of which node. [`memblock`]: what the kernel keeps at boot.
//! * [`migrate`]: what a page is used for. [`rules`]: what differs between releases.
//! * `buddy`: the free lists of one zone, merging, splitting, taking from other types; free blocks whose place is
//!   drawn only when they are needed.
//! * `pcp`: the per-CPU lists. `watermark`: how much a zone keeps back. [`zone`]: all of these together.
//! * [`allocator`]: the machine: [`Memory`], zone lists, requests; `machine` puts it together, `bulk` takes many pages,
//!   `lend` takes them for a moment.
//! * [`start`]: what is free at the start. `text`: free memory in the kernel's own words. `check`: invariants.
//!
//! Memory is sparse. Untouched blocks of 4 MiB are counted, not listed; a pageblock has a record only if somebody has
//! cut it up. A host of 16 TiB costs what a replay touches.

pub mod allocator;
mod buddy;
mod bulk;
mod check;
pub mod layout;
mod lend;
mod machine;
pub mod memblock;
pub mod migrate;
mod pcp;
pub mod rules;
pub mod start;
mod text;
mod watermark;
pub mod zone;

pub use allocator::{Memory, MemorySetup, OutOfMemory};
pub use layout::{LayoutError, MIN_MEMORY, MemoryLayout, NodeRange};
pub use lend::Lent;
pub use migrate::MigrateType;
pub use rules::PageAllocRules;
pub use start::{Aged, MemoryError, Snapshot, SnapshotError, StartState};

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
