//! TLB misses and their cost at one moment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the TLB figures of a result rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlbAssumptions {
    /// The core.
    pub cpu: String,
    /// What the kernel does with its memory.
    pub workload: String,
    /// Accesses of one CPU to memory of the workload, per second.
    pub accesses_per_second: u64,
    /// How the figures came about: `estimate`, by characteristic times, or `simulate`, by looking up accesses one by one.
    pub engine: String,
    /// With `simulate`: how many accesses were counted for each figure, after as many that filled the TLBs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub simulated_accesses: Option<u64>,
    /// `native`, or the size of the pages under a guest.
    pub host: String,
    /// Cycles of a page walk for pages of 4 KiB, 2 MiB and 1 GiB.
    pub walk_cycles: [f64; 3],
    /// How much of a walk's time the core cannot hide, from 0 to 1: least, likely, most.
    pub exposed_share: [f64; 3],
    /// Cycles that a flush takes each CPU, without the walks after it: least, likely, most.
    #[serde(default)]
    pub flush_cycles: [f64; 3],
    /// Cycles of the core per second.
    pub clock_hz: f64,
    /// How often a CPU enters a page of BPF text, per second.
    pub text_runs_per_second: u64,
    /// Which of the loaded programs it enters: `uniform`, or how many of the runs a hot set has.
    #[serde(default)]
    pub text_runs: String,
}

/// TLB misses at one moment; six digits of each. A level-2 miss is a page walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TlbFigures {
    /// Nanoseconds since the start of the replay.
    pub time_ns: u64,
    /// First-level misses per 1000 accesses.
    pub l1_misses_per_1000: f64,
    /// Those for pages of 4 KiB.
    pub l1_misses_4k_per_1000: f64,
    /// Those for pages of 2 MiB.
    pub l1_misses_2m_per_1000: f64,
    /// Those for pages of 1 GiB.
    pub l1_misses_1g_per_1000: f64,
    /// Page walks per 1000 accesses, which are the misses of the last level.
    pub walks_per_1000: f64,
    /// Those for pages of 4 KiB.
    pub walks_4k_per_1000: f64,
    /// Those for pages of 2 MiB.
    pub walks_2m_per_1000: f64,
    /// Those for pages of 1 GiB.
    pub walks_1g_per_1000: f64,
    /// Page walks of one CPU per second.
    pub walks_per_second: f64,
    /// Cycles in which a walk is under way, per access.
    pub walk_cycles_per_access: f64,
    /// Cycles that hits in the second level take longer than in the first, per access.
    pub level2_hit_cycles_per_access: f64,
    /// Cycles lost to walks, in percent of all, at the least exposed share.
    pub lost_percent_least: f64,
    /// The same at the likely share.
    pub lost_percent: f64,
    /// The same at the largest share.
    pub lost_percent_most: f64,
    /// Page walks per 1000 accesses more than if no page were split; the order of hot pages can make it negative.
    pub extra_walks_per_1000: f64,
    /// Cycles lost more than then, in percentage points, at the least exposed share.
    pub extra_lost_percent_least: f64,
    /// The same at the likely share.
    pub extra_lost_percent: f64,
    /// The same at the largest share.
    pub extra_lost_percent_most: f64,
    /// First-level misses of one CPU for BPF text per second.
    #[serde(default)]
    pub text_l1_misses_per_second: f64,
    /// Page walks of one CPU for BPF text per second.
    pub text_walks_per_second: f64,
    /// Cycles in which these are under way, in percent of all.
    pub text_walk_percent: f64,
    /// Flushes of the whole TLB per second since the start.
    pub flushes_per_second: f64,
    /// Page walks of one CPU per second with which the TLB fills again after them, at most.
    pub refill_walks_per_second_most: f64,
    /// Flushes per second since the start that interrupt every CPU, of the whole TLB or of single pages.
    #[serde(default)]
    pub flush_interrupts_per_second: f64,
    /// Cycles that these take a CPU, in percent of all and without the walks after them, at the least cycles for each.
    #[serde(default)]
    pub flush_percent_least: f64,
    /// The same at the likely cycles.
    #[serde(default)]
    pub flush_percent: f64,
    /// The same at the most cycles.
    #[serde(default)]
    pub flush_percent_most: f64,
    /// Memory for page tables that splits have taken since the start, in bytes.
    #[serde(default)]
    pub split_table_bytes: u64,
    /// With the engine `simulate`: page walks of one CPU per second with which the TLB filled again after them, which all
    /// other figures of walks contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub refill_walks_per_second: Option<f64>,
    /// With the engine `simulate`: what the estimate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BesideEstimate")]
    pub beside_estimate: Option<BesideEstimate>,
    /// With the engine `estimate`, where it may be off by more than 2 % and 2 misses per 1000 accesses: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EstimateDoubt")]
    pub estimate_doubt: Option<EstimateDoubt>,
}

/// Why an estimate may be further off than it is meant to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EstimateDoubt {
    /// Pages of 1G miss, and a few of them decide: one is for long used by a stream, or levels keep them in different
    /// pieces.
    pub pages_of_1g: bool,
    /// The core's replacement is neither LRU nor random, and between these two misses differ much.
    pub replacement: bool,
    /// It is chance how many of the used pages lie in each set of the second level, and makes a difference.
    pub sets: bool,
}

/// Both engines' misses for the same memory, without the refills after flushes, which the estimate leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BesideEstimate {
    /// First-level misses per 1000 accesses as estimated.
    pub estimated_l1_misses_per_1000: f64,
    /// The same as simulated.
    pub simulated_l1_misses_per_1000: f64,
    /// Page walks per 1000 accesses as estimated.
    pub estimated_walks_per_1000: f64,
    /// The same as simulated.
    pub simulated_walks_per_1000: f64,
    /// Whether misses or walks differ by more than 2 % of what was simulated, and by more than 2 per 1000 accesses.
    pub differs: bool,
}
