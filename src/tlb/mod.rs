//! TLBs: which translations miss, and what that costs.
//!
//! - [`Cpu`] describes a core's TLBs: presets, or a user's own document.
//! - [`LeafMap`] says which page size each address is mapped with.
//! - [`Simulator`] looks accesses up one by one, exactly; [`read_accesses`] reads them from a file.
//! - [`estimate()`] gets miss rates without accesses, out of how many pages are used how often.
//! - [`Workload`] says which kernel memory is used, and [`Placement`] puts it on a host.
//! - [`text_misses()`] does the same for BPF text, whose pages a [`TextMap`] knows.
//! - [`Question`] asks all of that about a host whose page sizes are known, and either estimates or simulates.
//! - [`CostModel`] turns misses into cycles and a share of time.

mod access;
mod access_text;
mod assess;
mod cost;
mod cpu;
mod engine;
mod estimate;
mod leaf_text;
mod leaves;
mod simulate;
mod text_pages;
mod workload;

pub use access::{Access, Host};
pub use access_text::{Batch, ListFormat, read_accesses};
pub use assess::{Answer, Question};
pub use cost::{Cost, CostModel, Tables};
pub use cpu::{
    Confidence, Cpu, CpuDoc, FirstLevelHit, HeldPage, Inclusion, Index, Kind, Level, Links, MAX_ENTRIES,
    MAX_STRUCTURES, Origin, Problem, Replacement, SCHEMA_VERSION, SecondLevelHit, Structure, Walk, Ways, preset_names,
    preset_text,
};
pub use engine::{Counts, Simulator, StructureCounts, Tally};
pub use estimate::{Demand, Doubt, Estimate, Gib, PageGroup, RankClass, Region, Sweep, estimate, rank_classes};
pub use leaf_text::read_leaves;
pub use leaves::{LeafMap, LeafMapBuilder, Overlap};
pub use simulate::{Simulated, Window};
pub use text_pages::{ProgramUse, TextGroup, TextMap, TextMisses, TextUse, text_misses};
pub use workload::{
    Accesses, Home, HostMap, MemoryClass, Pattern, Placement, SCHEMA_VERSION as WORKLOAD_SCHEMA_VERSION, Workload,
    WorkloadDoc, workload_names,
};
