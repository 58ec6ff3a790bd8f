//! A kernel release: memory, direct map and one text allocator put together.

mod release;

pub use release::{Release, release_names};
