//! The scenario document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allocators::{AllocatorEntry, AllocatorRun};
use super::machine::Machine;
use super::names::KernelName;
use super::tlb::Tlb;
use crate::check::Checks;
use crate::direct_map::CounterView;
use crate::text_alloc::Policy;
use crate::trace::Generate;
use crate::units::SimDuration;

/// The version of the scenario format that this fragsim reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// A scenario of fragsim: a host, a trace of BPF programs, and the text allocators to compare on them.
///
/// Every key but `trace` has a default. Sizes and durations are text with a unit: `"64GiB"`, `"10ms"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Where an editor finds the JSON Schema of scenarios; it changes nothing. Default: none.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// The version of this format. Default: 1.
    #[serde(default = "schema_version")]
    #[schemars(range(min = 1, max = 1))]
    pub schema_version: u32,
    /// What results call the scenario: letters, digits, `.`, `_` and `-`. Default: the file's name without `.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// What the scenario shows and where its numbers come from. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub comment: Option<String>,
    /// The kernel release whose page allocator, vmalloc and trampolines every allocator meets. Default: 6.1.
    #[serde(default)]
    pub kernel: KernelName,
    /// The simulated host. Default: a server with 16GiB, one node and one CPU, just booted.
    #[serde(default)]
    pub machine: Machine,
    /// The loads and unloads to replay.
    pub trace: TraceSource,
    /// The text allocators to compare, each on a host of its own. Default: all policies, on `kernel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<AllocatorEntry>", length(min = 1))]
    pub allocators: Option<Vec<AllocatorEntry>>,
    /// Which DirectMap counters the result shows. Default: `mapped`.
    #[serde(default)]
    pub counters: CountersShown,
    /// How often the result's series takes a sample. Default: 200 points over the whole trace.
    #[serde(default)]
    pub sampling: Sampling,
    /// What TLB misses are estimated for. Default: a web service on Ice Lake servers.
    #[serde(default)]
    pub tlb: Tlb,
    /// Where random numbers start; the same seed gives the same result. Default: 1.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What `fragsim check` allows to change, by metric. Default: every metric is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Checks")]
    pub checks: Option<Checks>,
}

const fn schema_version() -> u32 {
    SCHEMA_VERSION
}

const fn seed() -> u64 {
    1
}

/// Where the events come from: exactly one of `file` and `generate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceSource {
    /// A trace file, plain JSON Lines or zstd; the path is relative to the scenario, and `-` is standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub file: Option<String>,
    /// Instead of a file: a trace made from classes of programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Generate")]
    pub generate: Option<Generate>,
    /// How many times the file is replayed, one `period` apart. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1))]
    pub repeat: Option<u64>,
    /// The time from one start of the file to the next; needed if `repeat` is more than 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SimDuration")]
    pub period: Option<SimDuration>,
}

/// Which DirectMap counters a result shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CountersShown {
    /// What is really mapped.
    #[default]
    Mapped,
    /// What /proc/meminfo of a real host would show: large entries that boot touched twice are counted twice
    /// (`phys_pud_init`), splits of the kernel image's own mapping are counted too.
    Kernel,
}

impl From<CountersShown> for CounterView {
    fn from(shown: CountersShown) -> Self {
        match shown {
            CountersShown::Mapped => Self::Mapped,
            CountersShown::Kernel => Self::Kernel,
        }
    }
}

/// How often the series of a result takes a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// So many samples, evenly over the simulated time of the trace: from 2 to 10000.
    Points(u32),
    /// One sample each time this much simulated time has passed and something happened. Where that would be more than
    /// 20000 samples, this time is doubled until it is not.
    Every(SimDuration),
}

impl Default for Sampling {
    fn default() -> Self {
        Self::Points(200)
    }
}

impl Scenario {
    /// The allocators to replay, with every default filled in.
    pub fn allocator_runs(&self) -> Vec<AllocatorRun> {
        match &self.allocators {
            Some(entries) => entries.iter().map(|entry| entry.resolve(self.kernel)).collect(),
            None => Policy::ALL.iter().map(|&policy| AllocatorEntry::of(policy).resolve(self.kernel)).collect(),
        }
    }

    /// The same scenario with every default written down.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let mut resolved = self.clone();
        resolved.machine.fill_defaults();
        resolved.allocators = Some(self.allocator_runs().iter().map(AllocatorRun::to_entry).collect());
        if resolved.trace.file.is_some() {
            resolved.trace.repeat = Some(resolved.trace.repeat.unwrap_or(1));
        }
        resolved
    }
}
