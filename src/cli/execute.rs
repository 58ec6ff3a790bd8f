//! The way from a scenario to a result.

use std::num::NonZeroUsize;

use crate::diagnostics::Diagnostic;
use crate::result::{ResultDoc, ScenarioStamp};
use crate::scenario::LoadedScenario;

/// How far a replay is; one allocator after another or several at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events replayed so far, of all allocators together.
    pub done: u64,
    /// About how many there are in all, if that is known.
    pub total: Option<u64>,
}

/// Replays a scenario under each of its allocators, on at most `threads` threads (default: one for each CPU).
///
/// `progress` is called now and then, from any thread. The result does not depend on the threads.
///
/// # Errors
/// The trace cannot be read, or the scenario asks for what cannot be simulated. Running out of simulated memory is
/// no error but an [`Outcome`](crate::result::Outcome) of the run.
pub fn execute(
    _scenario: &LoadedScenario,
    _threads: Option<NonZeroUsize>,
    _progress: &(dyn Fn(Progress) + Sync),
) -> Result<ResultDoc, Box<Diagnostic>> {
    Err(Box::new(Diagnostic::new("the replay is not built yet")))
}

/// What a result says about its scenario; `trace_hash` is that of the trace's contents, `None` if it was generated.
pub fn stamp(loaded: &LoadedScenario, trace_hash: Option<u128>) -> ScenarioStamp {
    ScenarioStamp {
        name: loaded.name.clone(),
        comment: loaded.scenario.comment.clone(),
        hash: loaded.hash.clone(),
        trace_hash: trace_hash.map_or_else(String::new, |hash| format!("{hash:032x}")),
        resolved: serde_json::to_value(&loaded.scenario).expect("every field of a scenario has a form in JSON"),
    }
}
