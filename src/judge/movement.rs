//! What a step did to the direct map, of the kernel or of a model, in one form that can be compared.

use std::fmt;

use crate::direct_map::DirectMapCounters;
use crate::kernel::MapChanges;
use crate::recording::{Counters, FrameList, PermRun, Seen, Walk};

/// By how much the kernel's counters moved: entries in kB, events as they are; none where a kernel has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterMove {
    /// `DirectMap4k`, kB.
    pub direct_map_4k: i64,
    /// `DirectMap2M`, kB.
    pub direct_map_2m: i64,
    /// `DirectMap1G`, kB.
    pub direct_map_1g: i64,
    /// `direct_map_level2_splits`.
    pub level2_splits: i64,
    /// `direct_map_level3_splits`.
    pub level3_splits: i64,
    /// `direct_map_level2_collapses` and `direct_map_level3_collapses`.
    pub collapses: i64,
}

/// The counters of kernels that do not count splits are compared without them.
const fn moved(before: Option<u64>, after: Option<u64>) -> i64 {
    match (before, after) {
        (Some(before), Some(after)) => after.wrapping_sub(before).cast_signed(),
        _ => 0,
    }
}

impl CounterMove {
    /// From recorded counters to later ones.
    pub fn recorded(before: &Counters, after: &Counters) -> Self {
        Self {
            direct_map_4k: moved(Some(before.direct_map_4k), Some(after.direct_map_4k)),
            direct_map_2m: moved(Some(before.direct_map_2m), Some(after.direct_map_2m)),
            direct_map_1g: moved(Some(before.direct_map_1g), Some(after.direct_map_1g)),
            level2_splits: moved(before.level2_splits, after.level2_splits),
            level3_splits: moved(before.level3_splits, after.level3_splits),
            collapses: moved(before.level2_collapses, after.level2_collapses)
                + moved(before.level3_collapses, after.level3_collapses),
        }
    }

    /// From counters of a model to later ones; events only if the recorded kernel has them.
    pub fn modelled(before: &DirectMapCounters, after: &DirectMapCounters, events: bool) -> Self {
        let event = |before: u64, after: u64| if events { moved(Some(before), Some(after)) } else { 0 };
        Self {
            direct_map_4k: moved(Some(before.direct_map_4k_kb()), Some(after.direct_map_4k_kb())),
            direct_map_2m: moved(Some(before.direct_map_2m_kb()), Some(after.direct_map_2m_kb())),
            direct_map_1g: moved(Some(before.direct_map_1g_kb()), Some(after.direct_map_1g_kb())),
            level2_splits: event(before.level2_splits, after.level2_splits),
            level3_splits: event(before.level3_splits, after.level3_splits),
            collapses: 0,
        }
    }
}

/// What became of the direct map in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    /// 2 MiB blocks that 4 KiB entries map now, by frame number / 512, ascending.
    pub split_2m: Vec<u64>,
    /// 1 GiB entries that are gone, by frame number / 2^18, ascending.
    pub split_1g: Vec<u64>,
    /// Entries that were put together, of both sizes.
    pub collapsed: u64,
    /// Permissions as a walk sees them: neighbours that changed alike as one run, ascending.
    pub perms: Vec<PermRun>,
    /// The counters.
    pub counters: CounterMove,
    /// Pages of each area that only this side has opened.
    pub areas: Vec<u64>,
}

fn numbers(list: &FrameList) -> Vec<u64> {
    let mut all: Vec<u64> = list.iter().map(|number| number.get()).collect();
    all.sort_unstable();
    all
}

/// Appends a changed stretch, to the last one if it goes on there.
fn push(runs: &mut Vec<PermRun>, PermRun(first, pages, before, after): PermRun) {
    match runs.last_mut() {
        Some(PermRun(start, length, was, now)) if *start + *length == first && (*was, *now) == (before, after) => {
            *length += pages;
        }
        _ => runs.push(PermRun(first, pages, before, after)),
    }
}

impl Movement {
    /// What a kernel did; without a walk only the counters are known.
    pub fn recorded(walk: Option<&Walk>, counters: CounterMove) -> Self {
        let Some(walk) = walk else { return Self { counters, ..Self::default() } };
        let mut perms = Vec::new();
        walk.perms.iter().for_each(|run| push(&mut perms, *run));
        Self {
            split_2m: numbers(&walk.split_2m),
            split_1g: numbers(&walk.split_1g),
            collapsed: walk.collapsed_2m.pages() + walk.collapsed_1g.pages(),
            perms,
            counters,
            areas: Vec::new(),
        }
    }

    /// What a model did, as a walk would see it.
    pub fn modelled(changes: MapChanges, counters: CounterMove) -> Self {
        let mut perms = Vec::new();
        for moved in changes.perms {
            let (before, after) = (Seen::of(moved.before), Seen::of(moved.after));
            if before != after {
                push(&mut perms, PermRun(moved.pfn.get(), 1, before, after));
            }
        }
        Self {
            split_2m: changes.split_2m,
            split_1g: changes.split_1g,
            collapsed: 0,
            perms,
            counters,
            areas: Vec::new(),
        }
    }

    /// Whether an entry was split or put together.
    pub fn splits(&self) -> bool {
        !self.split_2m.is_empty() || !self.split_1g.is_empty() || self.collapsed > 0
    }

    /// Whether nothing changed.
    pub fn is_still(&self) -> bool {
        *self == Self::default()
    }
}

/// Items that are listed before the rest is counted.
const LISTED: usize = 6;

fn list(f: &mut fmt::Formatter<'_>, what: &str, items: &[String]) -> fmt::Result {
    let more = items.len().saturating_sub(LISTED);
    let shown = items[..items.len() - more].join(", ");
    write!(f, "{what} {shown}")?;
    if more > 0 {
        write!(f, " and {more} more")?;
    }
    Ok(())
}

impl fmt::Display for Movement {
    /// `splits 2 MiB blocks 2057; permissions of frames 1053373 (1) rw to ro; DirectMap4k +2048 kB, DirectMap2M -2048 kB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_still() {
            return f.write_str("nothing");
        }
        let mut between = "";
        let mut next = |f: &mut fmt::Formatter<'_>| f.write_str(std::mem::replace(&mut between, "; "));
        for (size, splits) in [("1 GiB entries", &self.split_1g), ("2 MiB blocks", &self.split_2m)] {
            if !splits.is_empty() {
                next(f)?;
                let items: Vec<String> = splits.iter().map(ToString::to_string).collect();
                list(f, &format!("splits {size}"), &items)?;
            }
        }
        if self.collapsed > 0 {
            next(f)?;
            write!(f, "puts {} entries together", self.collapsed)?;
        }
        if !self.perms.is_empty() {
            next(f)?;
            let run = |PermRun(first, pages, before, after): &PermRun| format!("{first} ({pages}) {before} to {after}");
            let items: Vec<String> = self.perms.iter().map(run).collect();
            list(f, "permissions of frames", &items)?;
        }
        if !self.areas.is_empty() {
            next(f)?;
            let items: Vec<String> = self.areas.iter().map(|pages| format!("{pages} pages")).collect();
            list(f, "opens areas of", &items)?;
        }
        let moves = [
            ("DirectMap4k", self.counters.direct_map_4k, " kB"),
            ("DirectMap2M", self.counters.direct_map_2m, " kB"),
            ("DirectMap1G", self.counters.direct_map_1g, " kB"),
            ("direct_map_level2_splits", self.counters.level2_splits, ""),
            ("direct_map_level3_splits", self.counters.level3_splits, ""),
            ("collapses", self.counters.collapses, ""),
        ];
        let items: Vec<String> = moves
            .iter()
            .filter(|(_, moved, _)| *moved != 0)
            .map(|(name, moved, unit)| format!("{name} {moved:+}{unit}"))
            .collect();
        if !items.is_empty() {
            next(f)?;
            f.write_str(&items.join(", "))?;
        }
        Ok(())
    }
}
