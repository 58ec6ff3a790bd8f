//! The result document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::counters::{Counters, LEVEL2_SPLITS, LEVEL3_SPLITS};
use super::memory_map::MemoryMap;
use super::series::Sample;
use super::text::TextReport;
use super::tlb::{TlbAssumptions, TlbFigures};
use crate::units::Seeds;

/// The version of the result format that this fragsim reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What fragsim found when it replayed a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultDoc {
    /// The version of this format.
    pub schema_version: u32,
    /// The version of fragsim that wrote the result.
    pub fragsim: String,
    /// What was replayed.
    pub scenario: ScenarioStamp,
    /// What TLB figures rest on; results of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TlbAssumptions")]
    pub tlb: Option<TlbAssumptions>,
    /// One entry for each allocator and seed, in the scenario's order, seeds ascending within an allocator.
    pub runs: Vec<Run>,
}

/// What was replayed, to tell whether two results can be compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioStamp {
    /// The scenario's name.
    pub name: String,
    /// The scenario's comment, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub comment: Option<String>,
    /// XXH3-128 of everything in the scenario that can change a result except seed and trace contents, in hexadecimal.
    pub hash: String,
    /// XXH3-128 of the trace's contents after decompression, in hexadecimal; empty for a generated trace.
    pub trace_hash: String,
    /// The seeds of the runs, such as `1..30`.
    pub seeds: Seeds,
    /// The scenario with every default written down, as `fragsim schema scenario` describes it; `seed` is the first.
    pub resolved: Value,
}

/// One allocator on one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// What the scenario calls the allocator.
    pub allocator: String,
    /// The allocator's policy.
    pub policy: String,
    /// The kernel release whose details applied.
    pub kernel: String,
    /// Where the random numbers started.
    pub seed: u64,
    /// How the replay ended.
    pub outcome: Outcome,
    /// Counters before the first event.
    pub start: Counters,
    /// Counters after the last event; splits and flushes count from the start of the replay.
    pub counters: Counters,
    /// What became of executable memory.
    pub text: TextReport,
    /// Estimated TLB misses and their cost after the last event; results of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TlbFigures")]
    pub tlb: Option<TlbFigures>,
    /// The same at the start, at up to `tlb.samples` of the moments of `series`, and at the end; baselines do without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tlb_series: Vec<TlbFigures>,
    /// Samples in the order of time; the first is the start, the last the end. Baselines have none.
    pub series: Vec<Sample>,
    /// Where in physical memory the large pages broke; baselines do without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MemoryMap")]
    pub memory_map: Option<MemoryMap>,
}

/// How a replay ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every event was replayed.
    Completed {},
    /// The simulated host had no memory left for an event; the counters are those of that moment.
    OutOfMemory {
        /// When, in nanoseconds since the start of the replay.
        time_ns: u64,
        /// Which event of the trace, counted from 1.
        event: u64,
        /// What the memory was for.
        message: String,
    },
}

impl ResultDoc {
    /// A result of this fragsim.
    pub fn new(scenario: ScenarioStamp, runs: Vec<Run>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            fragsim: env!("CARGO_PKG_VERSION").to_owned(),
            scenario,
            tlb: None,
            runs,
        }
    }

    /// The same result as a baseline to compare with later: without series and maps, which are most of its bytes.
    #[must_use]
    pub fn into_baseline(mut self) -> Self {
        for run in &mut self.runs {
            run.series.clear();
            run.tlb_series.clear();
            run.memory_map = None;
        }
        self
    }

    /// Whether there is more than one seed.
    pub fn has_seeds(&self) -> bool {
        self.runs.iter().any(|run| run.seed != self.runs[0].seed)
    }

    /// The allocators of the runs, in their order, each once.
    pub fn allocators(&self) -> Vec<&str> {
        let mut allocators: Vec<&str> = Vec::new();
        for run in &self.runs {
            if !allocators.contains(&run.allocator.as_str()) {
                allocators.push(&run.allocator);
            }
        }
        allocators
    }
}

impl Run {
    /// How much a counter has grown during the replay; `None` if the result does not have it, 0 if it fell.
    pub fn growth(&self, counter: &str) -> Option<u64> {
        let end = self.counters.get(counter)?;
        Some(end.saturating_sub(self.start.get(counter).unwrap_or(0)))
    }

    /// How many large pages the replay split: of 2 MiB, and of 1 GiB.
    pub fn splits(&self) -> (u64, u64) {
        (self.growth(LEVEL2_SPLITS).unwrap_or(0), self.growth(LEVEL3_SPLITS).unwrap_or(0))
    }
}
