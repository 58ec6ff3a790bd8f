//! The simulated host: how much memory, where it lies, and what it looks like at the start.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::memory;
use crate::units::{Bytes, PageSize};

/// The simulated host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Machine {
    /// How much memory the host has: a multiple of 4KiB, from 128MiB to 65532GiB. Default: 16GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Bytes")]
    pub memory: Option<Bytes>,
    /// Where the memory lies. Default: `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Layout")]
    pub layout: Option<Layout>,
    /// How many NUMA nodes share the memory evenly, from 1 to 64, each with
    /// 128MiB at least; `q35` has one. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32", range(min = 1, max = 64))]
    pub nodes: Option<u32>,
    /// The exact ranges of memory, in ascending order, instead of `memory`, `layout` and `nodes`; at
    /// least 128MiB for each node. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<MemoryRange>", length(min = 1))]
    pub ranges: Option<Vec<MemoryRange>>,
    /// How many CPUs the host has, from 1 to 8192; it scales the per-CPU page lists. Default: 1.
    #[schemars(range(min = 1, max = 8192))]
    pub cpus: u32,
    /// The largest page the direct map may use. Default: 1GiB; 2MiB is a CPU without `pdpe1gb`, 4KiB `debug_pagealloc`.
    pub largest_page: LargestPage,
    /// Whether the kernel's own classic BPF program, loaded at boot, makes the first pack. Default: true.
    pub boot_program: bool,
    /// How used the host's memory is when the trace begins. Default: `fresh`.
    pub start: StartState,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            memory: None,
            layout: None,
            nodes: None,
            ranges: None,
            cpus: 1,
            largest_page: LargestPage::Size1GiB,
            boot_program: true,
            start: StartState::Fresh,
        }
    }
}

/// Where the host's memory lies: given by a layout, or range by range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryMap<'a> {
    /// So much memory, placed as such a host places it.
    Layout {
        /// How much memory.
        memory: Bytes,
        /// As which host.
        layout: Layout,
        /// Shared evenly by this many NUMA nodes.
        nodes: u32,
    },
    /// Exactly these ranges, ascending and apart.
    Ranges(&'a [MemoryRange]),
}

impl Machine {
    /// The memory of a host whose scenario does not say.
    pub const DEFAULT_MEMORY: Bytes = Bytes::new(16 << 30);
    /// The layout of a host whose scenario does not say.
    pub const DEFAULT_LAYOUT: Layout = Layout::Server;

    /// Where the memory lies.
    pub fn memory_map(&self) -> MemoryMap<'_> {
        match &self.ranges {
            Some(ranges) => MemoryMap::Ranges(ranges),
            None => MemoryMap::Layout {
                memory: self.memory.unwrap_or(Self::DEFAULT_MEMORY),
                layout: self.layout.unwrap_or(Self::DEFAULT_LAYOUT),
                nodes: self.nodes.unwrap_or(1),
            },
        }
    }

    /// Writes the defaults of `memory`, `layout` and `nodes` down, unless `ranges` stand for them.
    pub(super) fn fill_defaults(&mut self) {
        if let MemoryMap::Layout { memory, layout, nodes } = self.memory_map() {
            (self.memory, self.layout, self.nodes) = (Some(memory), Some(layout), Some(nodes));
        }
    }
}

/// Where a host puts its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// As QEMU's q35 machine does: 2 GiB below the hole under 4 GiB, the rest above.
    Q35,
    /// As a plain server does: about 2 GiB below the hole for devices under 4 GiB, the rest above.
    Server,
}

/// Memory from one physical address on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryRange {
    /// Where the range begins: a physical address that is a multiple of 4KiB.
    pub start: Bytes,
    /// How long it is: a multiple of 4KiB.
    pub size: Bytes,
    /// The NUMA node it belongs to, from 0 to 63. Default: 0.
    #[serde(default)]
    pub node: u32,
}

/// The largest page of the direct map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LargestPage {
    /// 1 GiB pages where they fit.
    #[serde(rename = "1GiB")]
    Size1GiB,
    /// 2 MiB pages where they fit.
    #[serde(rename = "2MiB")]
    Size2MiB,
    /// 4 KiB pages everywhere.
    #[serde(rename = "4KiB")]
    Size4KiB,
}

impl From<LargestPage> for PageSize {
    fn from(page: LargestPage) -> Self {
        match page {
            LargestPage::Size1GiB => Self::Size1G,
            LargestPage::Size2MiB => Self::Size2M,
            LargestPage::Size4KiB => Self::Size4K,
        }
    }
}

/// What the host's free memory looks like when the trace begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartState {
    /// Just booted: nearly all memory is free, in the largest blocks.
    Fresh,
    /// Up for a while: much is in use, and what is free lies scattered. A preset's name or its parameters.
    Aged(Aged),
    /// As a real host's free lists were.
    Snapshot(Snapshot),
}

/// How used an aged host is, as [`memory::Aged`] in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Aged {
    /// Share of the memory that is in use.
    pub used_percent: u32,
    /// Share of the 2 MiB pageblocks that hold unmovable allocations of the kernel.
    pub unmovable_percent: u32,
    /// Share of the 2 MiB pageblocks that hold reclaimable allocations of the kernel.
    pub reclaimable_percent: u32,
    /// How scattered the free pages are: 0 lie in blocks of 4 MiB, 100 are single pages.
    pub scatter_percent: u32,
}

impl Aged {
    /// The presets: name and parameters.
    pub const PRESETS: [(&'static str, Self); 1] = [("month", Self::MONTH)];

    /// A host that has been up for a month.
    pub const MONTH: Self = {
        let memory::Aged { used, unmovable, reclaimable, scatter } = memory::Aged::month();
        Self {
            used_percent: used / 10,
            unmovable_percent: unmovable / 10,
            reclaimable_percent: reclaimable / 10,
            scatter_percent: scatter / 10,
        }
    };
}

impl From<Aged> for memory::Aged {
    fn from(aged: Aged) -> Self {
        Self {
            used: aged.used_percent * 10,
            unmovable: aged.unmovable_percent * 10,
            reclaimable: aged.reclaimable_percent * 10,
            scatter: aged.scatter_percent * 10,
        }
    }
}

impl<'de> Deserialize<'de> for Aged {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AgedVisitor)
    }
}

/// [`Aged`] as an object; what is absent is as after a month.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "AgedParameters")]
struct AgedObject {
    /// Share of the memory that is in use, in percent from 0 to 99. Default: as after a month.
    used_percent: u32,
    /// Share of the 2 MiB pageblocks that hold unmovable allocations of the kernel, in percent.
    /// Default: as after a month.
    unmovable_percent: u32,
    /// Share of the 2 MiB pageblocks that hold reclaimable allocations of the kernel, in percent.
    /// Default: as after a month.
    reclaimable_percent: u32,
    /// How scattered the free pages are, in percent: with 0 they lie in blocks of 4 MiB, with 50 each size of block
    /// holds as many, with 100 they are single pages. Default: as after a month.
    scatter_percent: u32,
}

impl Default for AgedObject {
    fn default() -> Self {
        let Aged { used_percent, unmovable_percent, reclaimable_percent, scatter_percent } = Aged::MONTH;
        Self { used_percent, unmovable_percent, reclaimable_percent, scatter_percent }
    }
}

struct AgedVisitor;

const AGED_NAMES: &[&str] = &[Aged::PRESETS[0].0];

impl<'de> de::Visitor<'de> for AgedVisitor {
    type Value = Aged;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"month\" or an object such as {\"used_percent\": 80}")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Aged, E> {
        let preset = Aged::PRESETS.iter().find(|(preset, _)| *preset == name);
        preset.map(|(_, aged)| *aged).ok_or_else(|| E::unknown_variant(name, AGED_NAMES))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Aged, A::Error> {
        let object = AgedObject::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let AgedObject { used_percent, unmovable_percent, reclaimable_percent, scatter_percent } = object;
        Ok(Aged { used_percent, unmovable_percent, reclaimable_percent, scatter_percent })
    }
}

impl JsonSchema for Aged {
    fn schema_name() -> Cow<'static, str> {
        "Aged".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = generator.subschema_for::<AgedObject>();
        json_schema!({
            "description": "How used an aged host is: the name of a preset, or parameters.",
            "anyOf": [{ "enum": AGED_NAMES, "description": "The name of a preset." }, object]
        })
    }
}

/// Texts of a real host, read from files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// A copy of the host's /proc/buddyinfo; the path is relative to the scenario.
    pub buddyinfo: String,
    /// A copy of the host's /proc/pagetypeinfo; the path is relative to the scenario. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub pagetypeinfo: Option<String>,
}
