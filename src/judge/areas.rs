//! What a step changed in the module area, as areas.

use rustc_hash::FxHashMap;

use crate::kernel::GivenArea;
use crate::recording::{AreaChange, FrameRun, Operation, Recording, Seen};
use crate::trace::ModuleLoad;
use crate::units::{PAGE_BYTES, PfnRange};

/// An area that a step has mapped: neighbouring pages without a guard page between them.
#[derive(Clone, Debug)]
pub(super) struct NewArea {
    pub(super) given: GivenArea,
    /// Permissions of its pages, in the order of addresses, with their number.
    pub(super) parts: Vec<(Seen, u64)>,
}

impl NewArea {
    fn pages_with(&self, wanted: &[Seen]) -> u64 {
        self.parts.iter().filter(|(seen, _)| wanted.contains(seen)).map(|(_, pages)| pages).sum()
    }

    /// Whether some of it can be executed.
    pub(super) fn is_executable(&self) -> bool {
        self.pages_with(&[Seen::ReadOnlyExec, Seen::ReadWriteExec]) > 0
    }
}

fn frames(run: &FrameRun) -> Vec<PfnRange> {
    let up = run.range().start() == run.iter().next().unwrap_or_default();
    if up { vec![run.range()] } else { run.iter().map(|pfn| PfnRange::with_len(pfn, 1)).collect() }
}

fn end(change: &AreaChange) -> u64 {
    change.va.0.saturating_add(change.n.saturating_mul(PAGE_BYTES))
}

/// The areas that a step has mapped.
pub(super) fn mapped(changes: &[AreaChange]) -> Vec<NewArea> {
    let mut areas: Vec<NewArea> = Vec::new();
    let mut last_end = None;
    for change in changes.iter().filter(|change| change.now.is_mapped() && !change.pfns.is_empty()) {
        let runs = change.pfns.runs().iter().flat_map(frames);
        match areas.last_mut() {
            Some(area) if last_end == Some(change.va.0) => {
                area.given.frames.extend(runs);
                area.given.pages += change.n;
                area.given.large |= change.now.large;
                area.parts.push((change.now.seen, change.n));
            }
            _ => areas.push(NewArea {
                given: GivenArea {
                    name: change.va.0,
                    frames: runs.collect(),
                    pages: change.n,
                    large: change.now.large,
                },
                parts: vec![(change.now.seen, change.n)],
            }),
        }
        last_end = Some(end(change));
    }
    areas
}

/// The parts of the module area that have lost their pages: start and end addresses.
pub(super) fn gone(changes: &[AreaChange]) -> Vec<(u64, u64)> {
    let lost = |change: &&AreaChange| change.was.is_mapped() && !(change.gone.is_empty() && change.pfns.is_empty());
    changes.iter().filter(lost).map(|change| (change.va.0, end(change))).collect()
}

/// A module as the areas of its load tell it, and the areas in the order in which sections are opened. `total` is the
/// module's size in pages, if the kernel tells it: what no area shows is text inside the executable cache.
pub(super) fn module(id: u64, areas: Vec<NewArea>, total: Option<u64>) -> (ModuleLoad, Vec<GivenArea>) {
    let bytes = |pages: u64| u32::try_from(pages.saturating_mul(PAGE_BYTES)).unwrap_or(u32::MAX);
    let mut load = ModuleLoad { id, ..ModuleLoad::default() };
    let (cache, own): (Vec<NewArea>, Vec<NewArea>) = areas.into_iter().partition(|area| area.given.large);
    let mut order: [Vec<GivenArea>; 4] = std::array::from_fn(|_| Vec::new());
    let shown: u64 = own.iter().map(|area| area.given.pages).sum();
    for area in own {
        let text = area.pages_with(&[Seen::ReadOnlyExec, Seen::ReadWriteExec]);
        let constants = area.pages_with(&[Seen::ReadOnly]);
        let data = area.pages_with(&[Seen::ReadWrite]);
        load.text_bytes += bytes(text);
        let place = if text > 0 {
            load.rodata_bytes += bytes(constants);
            load.data_bytes += bytes(data);
            0
        } else if data > 0 {
            load.data_bytes += bytes(data);
            1
        } else if load.rodata_bytes == 0 {
            load.rodata_bytes = bytes(constants);
            2
        } else {
            load.ro_after_init_bytes += bytes(constants);
            3
        };
        order[place].push(area.given);
    }
    if load.text_bytes == 0 {
        load.text_bytes = bytes(total.map_or(1, |total| total.saturating_sub(shown).max(1)));
    }
    let given = cache.into_iter().map(|area| area.given).chain(order.into_iter().flatten());
    (load, given.collect())
}

/// Sizes of modules in pages, by name, as `/proc/modules` told them at any time.
pub(super) fn module_sizes(recording: &Recording) -> FxHashMap<&str, u64> {
    let texts = recording.records.iter().filter_map(|record| record.operation.text_of("/proc/modules"));
    texts
        .flat_map(str::lines)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?.parse::<u64>().ok()? / PAGE_BYTES))
        })
        .collect()
}

/// Whether whoever acts in this step is not part of the recording, so that the module area may change unannounced.
pub(super) const fn is_unannounced(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Spawn | Operation::Stop | Operation::Sleep | Operation::Sync | Operation::Other { .. }
    )
}
