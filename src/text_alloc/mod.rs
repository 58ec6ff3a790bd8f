//! Text allocators: one policy each for the memory behind BPF images.

mod list;

pub use list::Policy;
