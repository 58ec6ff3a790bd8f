//! A recording in memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frames::FrameList;
use super::operation::{LayoutRange, LayoutTime, Operation};
use super::seen::{AreaMapping, Seen};
use crate::trace::line::Address;
use crate::units::{PAGES_PER_1G, PAGES_PER_2M};

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the lab calls the kernel: its version, such as `6.1.192`, or the name of a patched one, such as `G1fix`.
    pub kernel: String,
    /// What the kernel calls itself (`uname -r`).
    pub release: String,
    /// Its build (`uname -v`).
    pub build: String,
    /// The name of the experiment, such as `E3`.
    pub experiment: String,
    /// Which variant of it; empty for the plain one.
    pub variant: String,
    /// The name of the recording, such as `E3-n3000-4096M`.
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
    pub counters: Counters,
    /// Walked totals when init started.
    pub totals: Totals,
}

impl Header {
    /// Whether an option stands on the kernel's command line.
    pub fn has_option(&self, option: &str) -> bool {
        self.command_line.split_whitespace().any(|word| word == option)
    }
}

/// The kernel's own counters. Sizes in kB as `/proc/meminfo` prints them, events as `/proc/vmstat` does; events are
/// absent where a kernel has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// `DirectMap4k`, kB.
    pub direct_map_4k: u64,
    /// `DirectMap2M`, kB.
    pub direct_map_2m: u64,
    /// `DirectMap1G`, kB.
    pub direct_map_1g: u64,
    /// `MemFree`, kB.
    pub mem_free: u64,
    /// `direct_map_level2_splits`.
    pub level2_splits: Option<u64>,
    /// `direct_map_level3_splits`.
    pub level3_splits: Option<u64>,
    /// `direct_map_level2_collapses`.
    pub level2_collapses: Option<u64>,
    /// `direct_map_level3_collapses`.
    pub level3_collapses: Option<u64>,
}

/// What the whole direct map adds up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Mapped by 4 KiB entries, kB.
    pub w4k: u64,
    /// Mapped by 2 MiB entries, kB.
    pub w2m: u64,
    /// Mapped by 1 GiB entries, kB.
    pub w1g: u64,
    /// 2 MiB entries.
    pub n2m: u64,
    /// 1 GiB entries.
    pub n1g: u64,
    /// Read-only 4 KiB entries.
    pub ro4k: u64,
    /// Frames in larger read-only entries.
    pub rol: u64,
    /// Frames that are mapped and not present.
    pub np: u64,
}

/// Frames whose permissions in the direct map changed: first frame, frames, before, after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PermRun(pub u64, pub u64, pub Seen, pub Seen);

/// Neighbouring pages of the module area that changed alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AreaChange {
    /// Address of the first one.
    pub va: Address,
    /// How many.
    pub n: u64,
    /// How they were mapped.
    pub was: AreaMapping,
    /// How they are mapped now.
    pub now: AreaMapping,
    /// The frames behind them now, where these are others than before.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    pub pfns: FrameList,
    /// The frames that were behind them, where nothing is any more.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    pub gone: FrameList,
}

/// What changed in the page tables since the walk before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// 2 MiB entries that were split into 4 KiB entries, by frame number / 512.
    pub split_2m: FrameList,
    /// 1 GiB entries that were split, by frame number / 2^18.
    pub split_1g: FrameList,
    /// The opposite of the first.
    pub collapsed_2m: FrameList,
    /// The opposite of the second.
    pub collapsed_1g: FrameList,
    /// Permissions of the direct map.
    pub perms: Vec<PermRun>,
    /// The module area.
    pub areas: Vec<AreaChange>,
    /// The direct map as a whole.
    pub totals: Totals,
}

/// Pages of the module area, 1 GiB.
const AREA_PAGES: u64 = PAGES_PER_1G;

impl Walk {
    /// What cannot be about this walk of a guest whose frames end at `end`; `None` if all can.
    pub(super) fn impossible(&self, end: u64) -> Option<String> {
        let beyond = |what: &str, first: u64| Some(format!("{what} {first} is beyond the guest's memory"));
        let entries = [
            ("2 MiB block", [&self.split_2m, &self.collapsed_2m], PAGES_PER_2M),
            ("1 GiB entry", [&self.split_1g, &self.collapsed_1g], PAGES_PER_1G),
        ];
        for (what, lists, pages) in entries {
            let runs = lists.into_iter().flat_map(FrameList::runs);
            if let Some(run) = runs.into_iter().find(|run| run.range().end().get() > end.div_ceil(pages)) {
                return beyond(what, run.range().start().get());
            }
        }
        if let Some(PermRun(first, ..)) = self.perms.iter().find(|run| run.1 == 0) {
            return Some(format!("no frame from {first} on changes its permissions"));
        }
        let fits = |run: &&PermRun| run.0.checked_add(run.1).is_some_and(|last| last <= end);
        if let Some(PermRun(first, ..)) = self.perms.iter().find(|run| !fits(run)) {
            return beyond("frame", *first);
        }
        self.areas.iter().find_map(|area| area.impossible(end))
    }
}

impl AreaChange {
    fn impossible(&self, end: u64) -> Option<String> {
        let Self { va: Address(va), n, .. } = self;
        if *n == 0 || *n > AREA_PAGES {
            return Some(format!("{n} pages at {va:#x} are more than the module area has, or none"));
        }
        for frames in [&self.pfns, &self.gone] {
            if !frames.is_empty() && frames.pages() != *n {
                return Some(format!("{} frames are told for {n} pages at {va:#x}", frames.pages()));
            }
            if let Some(run) = frames.runs().iter().find(|run| run.range().end().get() > end) {
                return Some(format!("frame {} is beyond the guest's memory", run.range().start().get()));
            }
        }
        None
    }
}

/// The lab's own names for places in an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// A place that the experiment marks, such as `unloaded`.
    pub mark: String,
    /// The round, run, cycle or group that the step belongs to.
    pub round: Option<u32>,
}

/// One operation and what was seen after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the step, from 1 on; none for what the lab only read.
    pub step: Option<u32>,
    /// What was done.
    pub operation: Operation,
    /// The lab's name for this place.
    pub label: Label,
    /// The kernel's counters after it; none for layouts.
    pub counters: Option<Counters>,
    /// What changed; none if the page tables were not walked.
    pub walk: Option<Walk>,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What was recorded.
    pub header: Header,
    /// In the order of time.
    pub records: Vec<Record>,
}

impl Recording {
    /// The direct map at a time; none if it was not walked.
    pub fn layout(&self, time: LayoutTime) -> Option<&[LayoutRange]> {
        self.records.iter().find_map(|record| match &record.operation {
            Operation::Layout { when, ranges } if *when == time => Some(ranges.as_slice()),
            _ => None,
        })
    }

    /// The steps, with their numbers.
    pub fn steps(&self) -> impl Iterator<Item = (u32, &Record)> {
        self.records.iter().filter_map(|record| record.step.map(|step| (step, record)))
    }

    /// The last reading of a file before the first step.
    pub fn read_at_boot(&self, name: &str) -> Option<&str> {
        let before = self.records.iter().take_while(|record| record.step.is_none());
        before.filter_map(|record| record.operation.text_of(name)).last()
    }
}

impl Operation {
    /// What was read, if it was this file.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        match self {
            Self::Read { path, text } if path == name => Some(text),
            _ => None,
        }
    }
}
