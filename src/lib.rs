//! fragsim replays load and unload traces of BPF programs through a model of
//! physical memory, the kernel's direct map and its text allocators.

pub mod cli;
pub mod diagnostics;
pub mod files;
pub mod json;
pub mod kernel;
pub mod memory;
pub mod report;
pub mod result;
pub mod rng;
pub mod scenario;
pub mod text_alloc;
pub mod trace;
pub mod units;
