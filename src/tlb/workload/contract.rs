//! The workload document: which kernel memory is used, how much of it, and how unevenly.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::json::{Complaint, JsonPath};
use crate::units::Bytes;

/// The version of the workload format that this fragsim reads and writes.
pub const SCHEMA_VERSION: u32 = 1;
/// Most classes of a workload.
pub const MAX_CLASSES: usize = 32;
/// Largest skew: nearly everything falls on the first block then.
pub const MAX_SKEW: f64 = 4.0;

/// What the kernel does with its memory through the direct map.
///
/// No measurement of the popularity of kernel pages has been published: every workload is an assumption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadDoc {
    /// Where an editor finds the JSON Schema of workloads; it changes nothing. Default: none.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// The version of this format. Default: 1.
    #[serde(default = "schema_version")]
    pub schema_version: u32,
    /// What results call the workload.
    pub name: String,
    /// The workload in words. Default: empty.
    #[serde(default)]
    pub title: String,
    /// What it rests on, and what is not known. Default: empty.
    #[serde(default)]
    pub comment: String,
    /// Accesses of one CPU to memory of the classes, per second, if page walks took no time.
    pub accesses_per_second: u64,
    /// The classes of memory; their shares add up to 100.
    pub classes: Vec<MemoryClass>,
}

const fn schema_version() -> u32 {
    SCHEMA_VERSION
}

/// Memory that is used alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryClass {
    /// What results call it.
    pub name: String,
    /// In which pageblocks it lies.
    pub memory: Home,
    /// How many of 100 accesses it gets.
    pub share_percent: f64,
    /// How many of 100 of its accesses are stores. Default: 30.
    #[serde(default = "thirty")]
    pub store_percent: f64,
    /// How much memory is used: at most as much as there is of its kind.
    pub working_set: Bytes,
    /// How its accesses are spread over it.
    pub pattern: Pattern,
}

const fn thirty() -> f64 {
    30.0
}

/// Where the kernel puts a kind of memory, by the mobility of the pageblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Home {
    /// Slab, page tables, network buffers, and executable memory, whose pages split these blocks.
    Unmovable,
    /// Page cache and anonymous memory.
    Movable,
}

/// How accesses are spread over 2 MiB blocks; inside a block they are even.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Each block alike.
    Uniform {},
    /// The block of rank k in proportion to k to the power of minus this.
    Zipf(f64),
    /// From one end to the other, so many accesses in each 4 KiB: 64 if each cache line is touched once.
    Streaming {
        /// Accesses in 4 KiB.
        accesses_per_4k: u32,
    },
}

/// Everything that is wrong with a workload whose types are right.
pub(super) fn check(workload: &WorkloadDoc) -> Vec<(JsonPath, Complaint)> {
    let root = JsonPath::root();
    let mut problems = Vec::new();
    let mut complain = |path: JsonPath, message: String, help: &str| {
        problems.push((path, Complaint::new(message).help(help)));
    };
    if workload.schema_version != SCHEMA_VERSION {
        let message = format!("version {} of the workload format is not known", workload.schema_version);
        complain(root.clone().key("schema_version"), message, "this fragsim reads version 1");
    }
    if workload.accesses_per_second == 0 {
        complain(root.clone().key("accesses_per_second"), "there are no accesses".to_owned(), "write at least 1");
    }
    let path = root.key("classes");
    if workload.classes.is_empty() || workload.classes.len() > MAX_CLASSES {
        let message = format!("a workload has from 1 to {MAX_CLASSES} classes");
        complain(path, message, "describe at least one class of memory");
        return problems;
    }
    for (index, class) in workload.classes.iter().enumerate() {
        let path = path.clone().index(index);
        for (key, value) in [("share_percent", class.share_percent), ("store_percent", class.store_percent)] {
            if !(0.0..=100.0).contains(&value) {
                complain(path.clone().key(key), format!("{value} is no percentage"), "write from 0 to 100");
            }
        }
        if class.working_set.get() == 0 {
            let help = "write for example \"2GiB\", or leave the class out";
            complain(path.clone().key("working_set"), "the working set is empty".to_owned(), help);
        }
        match class.pattern {
            Pattern::Zipf(skew) if !(0.0..=MAX_SKEW).contains(&skew) => {
                let message = format!("a skew of {skew} cannot be");
                complain(
                    path.key("pattern").key("zipf"),
                    message,
                    "write from 0 (uniform) to 4; caches have 0.6 to 1.2",
                );
            }
            Pattern::Streaming { accesses_per_4k: 0 } => {
                let path = path.key("pattern").key("streaming").key("accesses_per_4k");
                complain(path, "a stream accesses nothing".to_owned(), "write 64 for each cache line once");
            }
            _ => {}
        }
    }
    let total: f64 = workload.classes.iter().map(|class| class.share_percent).sum();
    // A share that is no percentage is one problem, not two.
    let all_can_be = workload.classes.iter().all(|class| (0.0..=100.0).contains(&class.share_percent));
    if all_can_be && (total - 100.0).abs() > 1e-6 {
        let message = format!("the shares of the classes add up to {total}, not to 100");
        complain(path, message, "change `share_percent` of some class");
    }
    problems
}
