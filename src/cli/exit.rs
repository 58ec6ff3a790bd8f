//! Exit codes. Scripts rely on them, so none changes its meaning.

/// Everything was done, also when the reader of the output went away early.
pub const DONE: u8 = 0;
/// A check failed: something got worse, a recording disagrees, or a trace is not in order.
pub const CHECK_FAILED: u8 = 1;
/// The command line or an input is wrong, or a file cannot be read or written.
pub const BAD_INPUT: u8 = 2;
/// There is nothing to compare with, such as no baseline.
pub const NOTHING_TO_COMPARE: u8 = 3;
/// The user or the system asked the program to end (128 + SIGINT, as shells report it).
pub const INTERRUPTED: u8 = 130;
