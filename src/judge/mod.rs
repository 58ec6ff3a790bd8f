//! Real kernels judge the model: recordings replayed, step by step, and what came out compared.
//!
//! [`mechanics`] is the first level of judgement: the recording says which frames every image, pack and module got, and the
//! model must do to the direct map exactly what the kernel did: the same splits, the same permissions, the same
//! movement of the counters, at the same step.

mod areas;
mod boot;
mod explain;
mod mechanics;
mod movement;
mod programs;
mod rivals;
mod subject;
#[cfg(test)]
mod tests;
mod verdict;

pub use boot::{BootVerdict, judge_boot};
pub use explain::explain;
pub use mechanics::{StepView, mechanics, mechanics_with};
pub use movement::{CounterMove, Movement};
pub use subject::{Subject, SubjectError};
pub use verdict::{Disagreement, Score, Scores, StepKind, Verdict};
