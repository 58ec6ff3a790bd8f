//! The lines of the compact form, and their JSON Schema.
//!
//! Counters and totals stand on a line only where they differ from those before, so that a step that changes nothing
//! takes a few bytes.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::frames::FrameList;
use super::operation::Operation;
use super::record::{AreaChange, Counters, Header, Label, PermRun, Record, Totals, Walk};
use crate::trace::line::Address;

/// The version of the recording format that is written, and the newest that is read.
pub const FORMAT_VERSION: u32 = 1;

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderLine {
    /// Version of the recording format.
    pub fragsim_recording: u32,
    /// How many lines follow.
    pub records: u64,
    /// What the lab calls the kernel: its version, such as `6.1.192`, or the name of a patched one, such as `G1fix`.
    pub kernel: String,
    /// What the kernel calls itself (`uname -r`).
    pub release: String,
    /// Its build (`uname -v`).
    pub build: String,
    /// The name of the experiment.
    pub experiment: String,
    /// Which variant of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// The name of the recording.
    pub name: String,
    /// Memory of the guest, MiB.
    pub ram_mib: u64,
    /// Its processors.
    pub cpus: u32,
    /// The kernel's command line.
    pub command_line: String,
    /// The address of the direct map.
    pub page_offset_base: Address,
    /// Counters when init started.
    pub counters: CounterChange,
    /// Walked totals when init started.
    pub totals: Totals,
}

/// Counters that differ from those before, under the kernel's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CounterChange {
    /// kB in 4 KiB entries.
    #[serde(rename = "DirectMap4k", skip_serializing_if = "Option::is_none")]
    direct_map_4k: Option<u64>,
    /// kB in 2 MiB entries.
    #[serde(rename = "DirectMap2M", skip_serializing_if = "Option::is_none")]
    direct_map_2m: Option<u64>,
    /// kB in 1 GiB entries.
    #[serde(rename = "DirectMap1G", skip_serializing_if = "Option::is_none")]
    direct_map_1g: Option<u64>,
    /// kB free.
    #[serde(rename = "MemFree", skip_serializing_if = "Option::is_none")]
    mem_free: Option<u64>,
    /// 2 MiB entries split since the system runs.
    #[serde(rename = "direct_map_level2_splits", skip_serializing_if = "Option::is_none")]
    level2_splits: Option<u64>,
    /// 1 GiB entries split since the system runs.
    #[serde(rename = "direct_map_level3_splits", skip_serializing_if = "Option::is_none")]
    level3_splits: Option<u64>,
    /// 2 MiB entries put together again since the system runs.
    #[serde(rename = "direct_map_level2_collapses", skip_serializing_if = "Option::is_none")]
    level2_collapses: Option<u64>,
    /// 1 GiB entries put together again since the system runs.
    #[serde(rename = "direct_map_level3_collapses", skip_serializing_if = "Option::is_none")]
    level3_collapses: Option<u64>,
}

impl CounterChange {
    fn between(before: Counters, after: Counters) -> Self {
        let changed = |before: u64, after: u64| (before != after).then_some(after);
        let event = |before: Option<u64>, after: Option<u64>| after.filter(|_| before != after);
        Self {
            direct_map_4k: changed(before.direct_map_4k, after.direct_map_4k),
            direct_map_2m: changed(before.direct_map_2m, after.direct_map_2m),
            direct_map_1g: changed(before.direct_map_1g, after.direct_map_1g),
            mem_free: changed(before.mem_free, after.mem_free),
            level2_splits: event(before.level2_splits, after.level2_splits),
            level3_splits: event(before.level3_splits, after.level3_splits),
            level2_collapses: event(before.level2_collapses, after.level2_collapses),
            level3_collapses: event(before.level3_collapses, after.level3_collapses),
        }
    }

    fn after(self, before: Counters) -> Counters {
        Counters {
            direct_map_4k: self.direct_map_4k.unwrap_or(before.direct_map_4k),
            direct_map_2m: self.direct_map_2m.unwrap_or(before.direct_map_2m),
            direct_map_1g: self.direct_map_1g.unwrap_or(before.direct_map_1g),
            mem_free: self.mem_free.unwrap_or(before.mem_free),
            level2_splits: self.level2_splits.or(before.level2_splits),
            level3_splits: self.level3_splits.or(before.level3_splits),
            level2_collapses: self.level2_collapses.or(before.level2_collapses),
            level3_collapses: self.level3_collapses.or(before.level3_collapses),
        }
    }
}

/// One operation and what was seen after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordLine {
    /// Number of the step; none for what the lab only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    step: Option<u32>,
    /// What was done.
    op: Operation,
    /// A place that the experiment marks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mark: String,
    /// The round, run, cycle or group that the step belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    round: Option<u32>,
    /// Counters after it; none if they were not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CounterChange")]
    counters: Option<CounterChange>,
    /// What changed; none if the page tables were not walked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "WalkLine")]
    walk: Option<WalkLine>,
}

/// What changed in the page tables since the walk before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WalkLine {
    /// 2 MiB entries that were split, by frame number / 512.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    split2m: FrameList,
    /// 1 GiB entries that were split, by frame number / 2^18.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    split1g: FrameList,
    /// 2 MiB entries that were put together.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    coll2m: FrameList,
    /// 1 GiB entries that were put together.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    coll1g: FrameList,
    /// Permissions that changed in the direct map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    perm: Vec<PermRun>,
    /// Pages of the module area that changed.
    #[serde(default, rename = "mod", skip_serializing_if = "Vec::is_empty")]
    areas: Vec<AreaChange>,
    /// The direct map as a whole, if it differs from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Totals")]
    sum: Option<Totals>,
}

/// Counters and totals of the line before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    counters: Counters,
    totals: Totals,
}

impl Before {
    /// Those of the header.
    pub(super) const fn first(header: &Header) -> Self {
        Self { counters: header.counters, totals: header.totals }
    }

    /// A record as a line.
    pub(super) fn line_of(&mut self, record: &Record) -> RecordLine {
        let counters =
            record.counters.map(|now| CounterChange::between(std::mem::replace(&mut self.counters, now), now));
        let walk = record.walk.clone().map(|walk| {
            let before = std::mem::replace(&mut self.totals, walk.totals);
            WalkLine {
                split2m: walk.split_2m,
                split1g: walk.split_1g,
                coll2m: walk.collapsed_2m,
                coll1g: walk.collapsed_1g,
                perm: walk.perms,
                areas: walk.areas,
                sum: (walk.totals != before).then_some(walk.totals),
            }
        });
        let Label { mark, round } = record.label.clone();
        RecordLine { step: record.step, op: record.operation.clone(), mark, round, counters, walk }
    }

    /// The record of a line.
    pub(super) fn record_of(&mut self, line: RecordLine) -> Record {
        let counters = line.counters.map(|change| {
            self.counters = change.after(self.counters);
            self.counters
        });
        let walk = line.walk.map(|walk| {
            self.totals = walk.sum.unwrap_or(self.totals);
            Walk {
                split_2m: walk.split2m,
                split_1g: walk.split1g,
                collapsed_2m: walk.coll2m,
                collapsed_1g: walk.coll1g,
                perms: walk.perm,
                areas: walk.areas,
                totals: self.totals,
            }
        });
        let label = Label { mark: line.mark, round: line.round };
        Record { step: line.step, operation: line.op, label, counters, walk }
    }
}

impl HeaderLine {
    pub(super) fn of(header: &Header, records: u64) -> Self {
        Self {
            fragsim_recording: FORMAT_VERSION,
            records,
            kernel: header.kernel.clone(),
            release: header.release.clone(),
            build: header.build.clone(),
            experiment: header.experiment.clone(),
            variant: header.variant.clone(),
            name: header.name.clone(),
            ram_mib: header.ram_mib,
            cpus: header.cpus,
            command_line: header.command_line.clone(),
            page_offset_base: header.page_offset_base,
            counters: CounterChange::between(Counters::default(), header.counters),
            totals: header.totals,
        }
    }

    pub(super) fn into_header(self) -> Header {
        Header {
            kernel: self.kernel,
            release: self.release,
            build: self.build,
            experiment: self.experiment,
            variant: self.variant,
            name: self.name,
            ram_mib: self.ram_mib,
            cpus: self.cpus,
            command_line: self.command_line,
            page_offset_base: self.page_offset_base,
            counters: self.counters.after(Counters::default()),
            totals: self.totals,
        }
    }
}

/// The JSON Schema of a line of the compact form: the header on the first line, a record on every other.
pub fn json_schema() -> Schema {
    let mut generator = SchemaGenerator::default();
    let header = generator.subschema_for::<HeaderLine>();
    let line = generator.subschema_for::<RecordLine>();
    let definitions = generator.take_definitions(true);
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fragsim recording",
        "description": "One line of a recording (JSON Lines, compressed with zstd): the header on the first line, a \
                        record on every other. Counters and totals stand where they differ from those before.",
        "anyOf": [header, line],
        "$defs": definitions,
    })
}
