//! The scenario contract: what a user writes, read with clear errors and every default filled in.
//!
//! A scenario file is JSON, described by `fragsim schema scenario`. [`LoadedScenario::load`] reads it in four steps:
//! text to JSON, changes of the command line ([`Overrides`]), JSON to [`Scenario`], and the checks that types cannot
//! make. Every error points at the value in the file, or names the flag that put it there.

mod allocators;
mod check;
mod contract;
mod host;
mod load;
mod machine;
mod names;
mod overrides;
mod presets;
mod tlb;

pub use allocators::{AllocatorEntry, AllocatorRun};
pub use check::{
    MAX_ALLOCATORS, MAX_CPUS, MAX_MEMORY, MAX_NAME_BYTES, MAX_NODES, MAX_POINTS, MAX_RANGES, MEMORY_END, MIN_MEMORY,
};
pub use contract::{CountersShown, SCHEMA_VERSION, Sampling, Scenario, TraceSource};
pub use load::LoadedScenario;
pub use machine::{Aged, LargestPage, Layout, Machine, MemoryMap, MemoryRange, Snapshot, StartState};
pub use names::{KernelName, PolicyName};
pub use overrides::Overrides;
pub use presets::{Choice, allocators, kernels, start_states};
pub use tlb::{Engine, HostPage, HotSet, NameOr, PageTables, Platform, TextRuns, Tlb};
