//! The CPU document: the TLBs of one core.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::units::PageSize;

/// The version of the CPU format that this fragsim reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The TLBs of one core, as `fragsim tlb --cpu FILE` reads them.
///
/// A translation is looked up in the first level; what misses there in the second; what misses there too is walked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuDoc {
    /// Where an editor finds the JSON Schema of CPUs; it changes nothing. Default: none.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub schema: Option<String>,
    /// The version of this format. Default: 1.
    #[serde(default = "schema_version")]
    pub schema_version: u32,
    /// What results call the core.
    pub name: String,
    /// The core in words: maker, product, year. Default: empty.
    #[serde(default)]
    pub title: String,
    /// What a reader should know: doubts, other readings of the sources. Default: empty.
    #[serde(default)]
    pub comment: String,
    /// Every TLB of the core.
    pub structures: Vec<Structure>,
    /// What the two levels do with each other's entries. Default: as on Intel cores since Haswell.
    #[serde(default)]
    pub links: Links,
    /// What becomes of a translation that no TLB holds.
    #[serde(default)]
    pub walk: Walk,
    /// Where the figures are from, by the short names that `from` uses. Default: none.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
}

const fn schema_version() -> u32 {
    SCHEMA_VERSION
}

/// One TLB: an array of entries, searched set by set.
///
/// Where several structures of a level hold the same page size, a page belongs to one of them, chosen by a hash of
/// its number in proportion to their entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Structure {
    /// What results call it.
    pub name: String,
    /// 1 for what every access looks up, 2 for what is asked after a miss there.
    pub level: Level,
    /// Which accesses use it. Default: all.
    #[serde(default = "every_kind")]
    pub serves: Vec<Kind>,
    /// The pages that it holds: whole, or in smaller pieces as in `"1G-as-2M"`.
    pub pages: Vec<HeldPage>,
    /// How many entries it has.
    pub entries: u32,
    /// How many entries a set has, or `"full"` if there is only one set.
    pub ways: Ways,
    /// How a page number selects the set. Default: linear.
    #[serde(default)]
    pub index: Index,
    /// Which entry of a full set gives way. Default: lru.
    #[serde(default)]
    pub replacement: Replacement,
    /// How many neighbouring 4K pages share one entry; they are taken for alike, as they are in a direct map. Default: 1.
    #[serde(default = "one")]
    pub coalesced_4k_pages: u32,
    /// Which figure is from which of the core's `sources`, and how sure it is. Default: none.
    #[serde(default)]
    pub from: Vec<Origin>,
}

fn every_kind() -> Vec<Kind> {
    Kind::ALL.to_vec()
}

const fn one() -> u32 {
    1
}

/// The level of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Looked up with every access.
    First,
    /// Looked up after a miss in the first level.
    Second,
}

impl Level {
    /// The level's number, 1 or 2.
    pub const fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self::First),
            2 => Ok(Self::Second),
            other => Err(de::Error::custom(format!("there is no level {other}; a TLB is of level 1 or 2"))),
        }
    }
}

impl JsonSchema for Level {
    fn schema_name() -> Cow<'static, str> {
        "Level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [1, 2], "description": "1: looked up with every access; 2: after a miss there." })
    }
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Reads data.
    Load,
    /// Writes data.
    Store,
    /// Fetches an instruction.
    Fetch,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Load, Self::Store, Self::Fetch];

    /// The kind as an index into an array of three.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The kind as documents call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Store => "store",
            Self::Fetch => "fetch",
        }
    }
}

/// A page size that a structure holds, and the pieces in which it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HeldPage {
    /// Pages of 4 KiB.
    #[serde(rename = "4K")]
    Whole4K,
    /// Pages of 2 MiB.
    #[serde(rename = "2M")]
    Whole2M,
    /// Pages of 1 GiB.
    #[serde(rename = "1G")]
    Whole1G,
    /// Pages of 2 MiB, an entry for each 4 KiB of them.
    #[serde(rename = "2M-as-4K")]
    Pieces2M4K,
    /// Pages of 1 GiB, an entry for each 2 MiB of them.
    #[serde(rename = "1G-as-2M")]
    Pieces1G2M,
    /// Pages of 1 GiB, an entry for each 4 KiB of them.
    #[serde(rename = "1G-as-4K")]
    Pieces1G4K,
}

impl HeldPage {
    /// The size of the page in the page table.
    pub const fn page(self) -> PageSize {
        match self {
            Self::Whole4K => PageSize::Size4K,
            Self::Whole2M | Self::Pieces2M4K => PageSize::Size2M,
            Self::Whole1G | Self::Pieces1G2M | Self::Pieces1G4K => PageSize::Size1G,
        }
    }

    /// How much of it one entry holds.
    pub const fn piece(self) -> PageSize {
        match self {
            Self::Whole4K | Self::Pieces2M4K | Self::Pieces1G4K => PageSize::Size4K,
            Self::Whole2M | Self::Pieces1G2M => PageSize::Size2M,
            Self::Whole1G => PageSize::Size1G,
        }
    }
}

/// How many entries share a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// So many.
    Some(u32),
    /// All: the structure is fully associative.
    Full,
}

/// The word for a fully associative structure.
const FULL: &str = "full";

impl Serialize for Ways {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Some(ways) => serializer.serialize_u32(*ways),
            Self::Full => serializer.serialize_str(FULL),
        }
    }
}

impl<'de> Deserialize<'de> for Ways {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrFull;
        impl de::Visitor<'_> for NumberOrFull {
            type Value = Ways;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of ways or \"full\"")
            }

            fn visit_u64<E: de::Error>(self, ways: u64) -> Result<Ways, E> {
                u32::try_from(ways).map(Ways::Some).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(ways), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ways, E> {
                if text == FULL { Ok(Ways::Full) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }
        }
        deserializer.deserialize_any(NumberOrFull)
    }
}

impl JsonSchema for Ways {
    fn schema_name() -> Cow<'static, str> {
        "Ways".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Entries of a set: a number that divides the entries, or \"full\".",
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": FULL }]
        })
    }
}

/// How a page number selects the set; the number is that of the piece that an entry holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Index {
    /// The page number modulo the number of sets, which need not be a power of two.
    #[default]
    Linear,
    /// Fields of the page number of these widths in bits, from the lowest bit up, combined by exclusive or; the first
    /// is as wide as the number of sets takes, the others at most.
    Xor(Vec<u32>),
}

/// Which entry of a full set gives way to a new one. A set that is not full takes its first empty way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replacement {
    /// The one that was used longest ago.
    #[default]
    Lru,
    /// A binary tree of bits that each point away from the half used last; the ways are a power of two, at most 64.
    TreePlru,
    /// Twelve ways in three groups of four: the group after the one used last gives way, by a tree inside it.
    Mru3Plru4,
    /// Any, with equal chances.
    Random,
}

/// What the two levels do with each other's entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Links {
    /// Whether an entry of the first level is one of the second. Default: independent.
    #[serde(default)]
    pub inclusion: Inclusion,
    /// What a hit in the second level does to the first. Default: `refills_first`.
    #[serde(default)]
    pub second_level_hit: SecondLevelHit,
    /// What a hit in the first level does to the second. Default: `leaves_second`.
    #[serde(default)]
    pub first_level_hit: FirstLevelHit,
}

/// Whether an entry of the first level is one of the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inclusion {
    /// A walk fills both levels, after that each keeps what it wants.
    #[default]
    Independent,
    /// What the second level gives up, the first level loses too.
    Inclusive,
    /// A walk fills the first level, which hands what it gives up to the second; a hit there takes it back.
    Exclusive,
}

/// What a hit in the second level does to the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecondLevelHit {
    /// The first level takes the entry.
    #[default]
    RefillsFirst,
    /// Nothing; only walks fill the first level.
    LeavesFirst,
}

/// What a hit in the first level does to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstLevelHit {
    /// Nothing: the second level does not learn of it.
    #[default]
    LeavesSecond,
    /// The second level counts its entry as used, if it has one.
    TouchesSecond,
}

/// What becomes of a translation that no TLB holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// How many page walks can be under way at once. Default: 1.
    #[serde(default = "one")]
    pub walkers: u32,
    /// Cycles that a hit in the second level takes longer than one in the first. Default: 7.
    #[serde(default = "seven")]
    pub second_level_hit_cycles: u32,
    /// Which figure is from which of the core's `sources`. Default: none.
    #[serde(default)]
    pub from: Vec<Origin>,
}

const fn seven() -> u32 {
    7
}

impl Default for Walk {
    fn default() -> Self {
        Self { walkers: one(), second_level_hit_cycles: seven(), from: Vec::new() }
    }
}

/// Where a figure is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The key that it is about, such as `entries`.
    pub figure: String,
    /// One of the core's `sources`.
    pub source: String,
    /// How sure it is.
    pub confidence: Confidence,
}

/// How sure a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Assumed, or told without a source.
    Low,
    /// Inferred from a related core, or sources disagree.
    Medium,
    /// Read from the part itself or from its maker's text.
    High,
}
