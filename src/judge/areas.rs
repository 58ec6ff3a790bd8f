//! What a step changed in the module area, as areas.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::kernel::GivenArea;
use crate::recording::{AreaChange, FrameList, FrameRun, Operation, Recording, Seen};
use crate::trace::ModuleLoad;
use crate::units::{PAGE_BYTES, PAGES_PER_2M, Pfn, PfnRange};

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

    /// Whether nothing of it can be written to.
    pub(super) fn is_read_only(&self) -> bool {
        self.pages_with(&[Seen::ReadWrite, Seen::ReadWriteExec]) == 0
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

/// A module that is loaded, and its areas in the order in which they are opened.
#[derive(Debug, Default)]
pub(super) struct NewModule {
    pub(super) load: ModuleLoad,
    pub(super) given: Vec<GivenArea>,
}

fn bytes(pages: u64) -> u32 {
    u32::try_from(pages.saturating_mul(PAGE_BYTES)).unwrap_or(u32::MAX)
}

impl NewModule {
    /// A module as the areas of its load tell it. `total` is its size in pages, if the kernel tells it: what no area shows
    /// is text inside the executable cache.
    pub(super) fn new(id: u64, areas: Vec<NewArea>, total: Option<u64>) -> Self {
        let (cache, own): (Vec<NewArea>, Vec<NewArea>) = areas.into_iter().partition(|area| area.given.large);
        let shown: u64 = own.iter().map(|area| area.given.pages).sum();
        let mut load = ModuleLoad { id, ..ModuleLoad::default() };
        let mut order: [Vec<GivenArea>; 4] = std::array::from_fn(|_| Vec::new());
        for area in own {
            let place = add_section(&mut load, &area);
            order[place].push(area.given);
        }
        if load.text_bytes == 0 {
            load.text_bytes = bytes(total.map_or(1, |total| total.saturating_sub(shown).max(1)));
        }
        let given = cache.into_iter().map(|area| area.given).chain(order.into_iter().flatten());
        Self { given: given.collect(), load }
    }

    /// Adds pages of the initialisation, which are gone before a walk sees them: one in each of these 2 MiB blocks.
    pub(super) fn add_init_pages(&mut self, blocks: &[u64]) {
        if blocks.is_empty() {
            return;
        }
        let page = |block: &u64| PfnRange::with_len(Pfn::new(block * PAGES_PER_2M), 1);
        let pages = blocks.len() as u64;
        self.load.init_data_bytes = bytes(pages);
        self.given.push(GivenArea { name: u64::MAX, frames: blocks.iter().map(page).collect(), pages, large: false });
    }
}

/// Adds what an area holds to a module; returns its place in the order in which sections are opened.
fn add_section(load: &mut ModuleLoad, area: &NewArea) -> usize {
    let text = area.pages_with(&[Seen::ReadOnlyExec, Seen::ReadWriteExec]);
    let (constants, data) = (area.pages_with(&[Seen::ReadOnly]), area.pages_with(&[Seen::ReadWrite]));
    let add = |to: &mut u32, pages| *to = to.saturating_add(bytes(pages));
    add(&mut load.text_bytes, text);
    add(&mut load.data_bytes, data);
    match (text, data) {
        (0, 0) if load.rodata_bytes > 0 => {
            add(&mut load.ro_after_init_bytes, constants);
            3
        }
        _ => {
            add(&mut load.rodata_bytes, constants);
            if text > 0 {
                0
            } else if data > 0 {
                1
            } else {
                2
            }
        }
    }
}

/// The 2 MiB blocks that a step has split although no area that it shows stands on them.
pub(super) fn unexplained(split: &FrameList, changes: &[AreaChange]) -> Vec<u64> {
    let named: FxHashSet<u64> = changes
        .iter()
        .flat_map(|change| change.pfns.iter().chain(change.gone.iter()))
        .map(|pfn| pfn.get() / PAGES_PER_2M)
        .collect();
    split.iter().map(|block| block.get()).filter(|block| !named.contains(block)).collect()
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
