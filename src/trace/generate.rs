//! Traces made from classes of programs: how often they come, how long they live, how large they are.
//!
//! [`Generate`] is what a scenario says under `"generate"`; [`Generated`] makes the events, one at a time, the same on
//! every machine for the same seed. Each class draws from a stream of its own, so that a class added at the end moves
//! no event of the others.

mod plan;
mod presets;
mod stream;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::SimDuration;

pub use presets::Preset;
pub use stream::Generated;

/// A trace to generate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// How long the trace lasts; what is loaded then stays loaded.
    pub duration: SimDuration,
    /// Who loads programs.
    #[schemars(length(min = 1))]
    pub classes: Vec<Class>,
}

/// Something that loads programs when it starts: a tool, a container, a service, an agent.
///
/// Each start is an instance. Its programs are loaded one after another; when its life ends, those that are left are
/// unloaded. An instance comes every so often, or is there from the start, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// A prepared class; the other keys replace what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Preset")]
    pub preset: Option<Preset>,
    /// What the class is called; its programs' names begin with it. Default: the preset's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Mean time from one instance to the next, such as `"90s"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SimDuration")]
    pub every: Option<SimDuration>,
    /// Instead of `every`: instances in an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1))]
    pub per_hour: Option<u32>,
    /// Instead of `every`: instances in a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1))]
    pub per_day: Option<u32>,
    /// Whether the time between instances varies. Default: `"random"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Arrivals")]
    pub arrivals: Option<Arrivals>,
    /// Instances that start at the beginning of the trace, a tenth of a second apart. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(max = 100_000))]
    pub at_start: Option<u32>,
    /// How long an instance lives. Default: `"until-end"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Life")]
    pub life: Option<Life>,
    /// How often an instance loads all its programs anew: each new one is loaded, then the one it replaces is unloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SimDuration")]
    pub reload_every: Option<SimDuration>,
    /// The programs, in the order they are loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
}

/// How the times between instances vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Exponentially distributed: instances come independently of each other.
    #[default]
    Random,
    /// Always the same time.
    Regular,
}

/// How long something lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Until the trace ends, and beyond.
    #[default]
    UntilEnd,
    /// 50 microseconds, as a feature probe that is closed at once.
    Immediate,
    /// Always this long.
    Fixed(SimDuration),
    /// Exponentially distributed with this mean.
    Exponential(SimDuration),
}

/// A program that an instance loads. One of `bytes`, `image_bytes` and `sizes` says how large it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What the program is called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The length in bytes of its only image, without header and padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 2_147_483_648_u32))]
    pub bytes: Option<u32>,
    /// The lengths in bytes of its images, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_bytes: Vec<u32>,
    /// The distribution of the length of its only image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Sizes")]
    pub sizes: Option<Sizes>,
    /// Instructions after verification; 0 if not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub insns: u32,
    /// How many programs like this one are loaded. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 10_000))]
    pub count: Option<u32>,
    /// Time since the program before, or since the start of the instance. Default: `"500us"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SimDuration")]
    pub after: Option<SimDuration>,
    /// How long the program lives. Default: as long as the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Life")]
    pub life: Option<Life>,
}

/// A distribution of lengths in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sizes {
    /// Half of the programs below 500 bytes, three quarters below 2 kB, as on Meta's hosts (Song Liu, execmem_alloc v5,
    /// 28 November 2022); the rest up to 40 kB is an assumption.
    General,
    /// Each length from the first to the second number is as likely.
    Between(u32, u32),
    /// Quantiles: this share of the programs is at most so long, with straight lines between. The first has share 0,
    /// the last 1000.
    Quantiles(Vec<Quantile>),
}

/// A point of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// Thousandths of the programs that are at most `bytes` long.
    #[schemars(range(max = 1000))]
    pub permille: u16,
    /// Length in bytes.
    #[schemars(range(min = 1, max = 2_147_483_648_u32))]
    pub bytes: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
