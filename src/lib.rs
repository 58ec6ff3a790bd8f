//! fragsim replays load and unload traces of BPF programs through a model of
//! physical memory, the kernel's direct map and its text allocators.
//!
//! The rooms, in the order in which data flows through them:
//!
//! - [`scenario`] reads what is to be compared; [`trace`] reads, makes and checks the events.
//! - [`replay`] gives each allocator a host of its own and lets the events happen to it.
//! - [`kernel`] is such a host: [`memory`] (the page allocator), [`direct_map`] (the entries that split) and one of
//!   [`text_alloc`] (the policies), put together as a kernel release does.
//! - [`recording`] reads what real kernels did, [`judge`] compares the model with it.
//! - [`result`] is what came out, [`compare`] lays several side by side, [`check`] holds them against a baseline,
//!   [`report`] shows all of that, [`cli`] is the program around it.
//! - [`units`], [`rng`], [`diagnostics`], [`json`] and [`files`] serve the others and know none of them.

pub mod check;
pub mod cli;
pub mod compare;
pub mod diagnostics;
pub mod direct_map;
pub mod files;
pub mod json;
pub mod judge;
pub mod kernel;
pub mod memory;
pub mod recording;
pub mod replay;
pub mod report;
pub mod result;
pub mod rng;
pub mod scenario;
pub mod text_alloc;
pub mod trace;
pub mod units;
