//! Holds a result against a baseline: what got worse, what got better, what came and what went.
//!
//! The same scenario and seed give the same numbers, so every metric is exact unless a rule says otherwise: any change
//! to the worse is found, however small, also one from 0. A change of what follows from the scenario, such as the number
//! of programs loaded, counts as worse: the two results are not about the same thing. What moves along with other
//! metrics and has no better side, such as the number of packs made, is listed and not judged.

mod baseline;
mod judge;
mod rules;

pub use baseline::differences;
pub use judge::{Change, Checked, Found, Missing, check};
pub use rules::{Checks, Direction, ParseToleranceError, Rule, Rules, Tolerance};
