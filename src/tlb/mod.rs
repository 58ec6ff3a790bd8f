//! TLBs: which translations miss, and what that costs.
//!
//! - [`Cpu`] describes a core's TLBs: presets, or a user's own document.
//! - [`LeafMap`] says which page size each address is mapped with.
//! - [`Simulator`] looks accesses up one by one, exactly; [`read_accesses`] reads them from a file.

mod access;
mod access_text;
mod cpu;
mod engine;
mod leaf_text;
mod leaves;

pub use access::{Access, Host};
pub use access_text::{Batch, ListFormat, read_accesses};
pub use cpu::{
    Confidence, Cpu, CpuDoc, FirstLevelHit, HeldPage, Inclusion, Index, Kind, Level, Links, MAX_ENTRIES,
    MAX_STRUCTURES, Origin, Problem, Replacement, SCHEMA_VERSION, SecondLevelHit, Structure, Walk, Ways, preset_names,
    preset_text,
};
pub use engine::{Counts, Simulator, StructureCounts, Tally};
pub use leaf_text::read_leaves;
pub use leaves::{LeafMap, LeafMapBuilder, Overlap};
