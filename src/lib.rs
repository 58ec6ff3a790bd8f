//! fragsim replays load and unload traces of BPF programs through a model of
//! physical memory, the kernel's direct map and its text allocators.

pub mod memory;
pub mod rng;
pub mod units;
