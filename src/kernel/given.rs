//! A kernel that is told which frames its areas get, so that what it does to the direct map can be compared with a
//! recording. Text allocators, modules, the executable cache and the calls that change permissions are those of
//! [`Kernel`](super::Kernel); only the page allocator is left out.

use rustc_hash::FxHashMap;

use super::boot::BOOT_PROGRAM;
use super::machine::{Area, Frames, Machine, Mapping};
use super::modules::ModuleTable;
use super::release::Release;
use super::users::MemoryUsers;
use crate::direct_map::{DirectMap, PermChange, Perms, Walk};
use crate::memory::{MIN_MEMORY, Memory, MemoryLayout, MemorySetup, StartState};
use crate::rng::{Component, Stream};
use crate::text_alloc::{AreaRequest, Areas, Backing, GiveBack, ImageBytes, NoText, Slot, TextAllocator, TextPerms};
use crate::trace::ModuleLoad;
use crate::units::{Order, PAGES_PER_1G, PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// An area of the kernel's module range that an operation opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenArea {
    /// What the caller calls it.
    pub name: u64,
    /// Its frames in virtual order; none if they are not known.
    pub frames: Vec<PfnRange>,
    /// Base pages.
    pub pages: u64,
    /// Whether 2 MiB entries map it.
    pub large: bool,
}

/// Areas that wait to be opened, and what has happened since the caller last asked.
#[derive(Debug, Default)]
pub(super) struct Given {
    waiting: Vec<GivenArea>,
    opened: Vec<u64>,
    refused: Vec<AreaRequest>,
    calls: Vec<MapCall>,
    /// What mapped the frames that were changed: size and permissions before the first change.
    before: FxHashMap<Pfn, (PageSize, Perms)>,
}

impl Given {
    /// The first waiting area of the size asked for.
    pub(super) fn take(&mut self, request: AreaRequest) -> Result<Area, NoText> {
        let Some(at) = self.waiting.iter().position(|area| area.pages == request.pages) else {
            self.refused.push(request);
            return Err(NoText::Frames { pages: request.pages, order: Order::ZERO, free_pages: 0 });
        };
        let area = self.waiting.remove(at);
        self.opened.push(area.name);
        let large = area.large && request.backing == Backing::Huge;
        let (mapping, piece) = if large { (Mapping::Huge, PAGES_PER_2M) } else { (Mapping::Single, u64::MAX) };
        let pieces: Vec<PfnRange> = area.frames.iter().flat_map(|run| cut(*run, piece)).collect();
        Ok(Area {
            frames: Frames::many(&pieces),
            mapping,
            reset_on_free: request.reset_on_free,
            ordinary: false,
            table: None,
        })
    }

    /// Remembers a call, and what maps its frames unless that is known.
    pub(super) fn note(&mut self, map: &DirectMap, run: PfnRange, change: PermChange, walk: Walk) {
        match self.calls.last_mut() {
            Some(call) if (call.change, call.walk) == (change, walk) => call.runs.push(run),
            _ => self.calls.push(MapCall { change, walk, runs: vec![run] }),
        }
        for pfn in run.iter() {
            if let Some(leaf) = map.leaf_at(pfn) {
                self.before.entry(pfn).or_insert((leaf.size, leaf.perms));
            }
        }
    }
}

/// A change of permissions that the kernel asked of the direct map; calls of one kind in a row are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapCall {
    /// What was to change.
    pub change: PermChange,
    /// In what steps.
    pub walk: Walk,
    /// The frames, in the order of the calls.
    pub runs: Vec<PfnRange>,
}

/// A run in pieces of at most this many pages.
fn cut(run: PfnRange, pages: u64) -> impl Iterator<Item = PfnRange> {
    let mut left = run;
    std::iter::from_fn(move || {
        let piece = PfnRange::with_len(left.start(), left.pages().min(pages));
        left = PfnRange::new(piece.end(), left.end());
        (!piece.is_empty()).then_some(piece)
    })
}

/// A frame whose permissions changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermMove {
    /// The frame.
    pub pfn: Pfn,
    /// Its permissions before.
    pub before: Perms,
    /// And after.
    pub after: Perms,
}

/// What became of the direct map in some stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapChanges {
    /// 2 MiB blocks that larger entries mapped and 4 KiB entries map now, by frame number / 512, ascending.
    pub split_2m: Vec<u64>,
    /// 1 GiB entries that are gone, by frame number / 2^18, ascending.
    pub split_1g: Vec<u64>,
    /// Frames with other permissions, ascending.
    pub perms: Vec<PermMove>,
}

/// A running host without a page allocator.
#[derive(Debug)]
pub struct GivenKernel {
    machine: Machine,
    text: Box<dyn TextAllocator>,
    modules: ModuleTable,
}

impl GivenKernel {
    /// A host of this release that is up, with this direct map and this text allocator. With `boot_program`, the
    /// kernel's own program is loaded on frames that nobody knows: it stays, so they do not matter.
    pub fn new(
        release: &'static Release,
        text: Box<dyn TextAllocator>,
        map: DirectMap,
        nodes: u64,
        boot_program: bool,
    ) -> Self {
        let machine = Machine::new(unused_memory(release), map, release, nodes, unused_users(), 1);
        let mut kernel = Self { machine, text, modules: ModuleTable::default() };
        kernel.machine.given = Some(Box::default());
        kernel.machine.map.start_running();
        if boot_program {
            kernel.load_boot_program();
        }
        kernel
    }

    /// Its area has any size, so it is asked for until it is known which.
    fn load_boot_program(&mut self) {
        while self.text.load(&mut self.machine, BOOT_PROGRAM).is_err() {
            let Some(request) = self.given().refused.pop() else { return };
            let unknown = GivenArea { name: u64::MAX, frames: Vec::new(), pages: request.pages, large: false };
            self.given().waiting = vec![unknown];
        }
        self.given().refused.clear();
    }

    fn given(&mut self) -> &mut Given {
        self.machine.given.as_mut().expect("frames are given from the start on")
    }

    /// Areas for the operations to come.
    pub fn give(&mut self, areas: impl IntoIterator<Item = GivenArea>) {
        self.given().waiting.extend(areas);
    }

    /// Areas that nothing has asked for; they wait no longer.
    pub fn take_unused(&mut self) -> Vec<GivenArea> {
        std::mem::take(&mut self.given().waiting)
    }

    /// The names of the areas that were opened since this was last asked, in order.
    pub fn take_opened(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.given().opened)
    }

    /// Requests for areas since this was last asked for which there was none.
    pub fn take_refused(&mut self) -> Vec<AreaRequest> {
        std::mem::take(&mut self.given().refused)
    }

    /// The calls that changed the direct map, or tried to, since this was last asked.
    pub fn take_calls(&mut self) -> Vec<MapCall> {
        std::mem::take(&mut self.given().calls)
    }

    /// What became of the direct map since this was last asked.
    pub fn take_changes(&mut self) -> MapChanges {
        let before = std::mem::take(&mut self.given().before);
        let mut frames: Vec<(Pfn, (PageSize, Perms))> = before.into_iter().collect();
        frames.sort_unstable_by_key(|(pfn, _)| *pfn);
        let mut changes = MapChanges::default();
        for (pfn, (size, perms)) in frames {
            let Some(now) = self.machine.map.leaf_at(pfn) else { continue };
            if size > PageSize::Size4K && now.size == PageSize::Size4K {
                changes.split_2m.push(pfn.get() / PAGES_PER_2M);
            }
            if size == PageSize::Size1G && now.size < PageSize::Size1G {
                changes.split_1g.push(pfn.get() / PAGES_PER_1G);
            }
            if perms != now.perms {
                changes.perms.push(PermMove { pfn, before: perms, after: now.perms });
            }
        }
        changes.split_2m.dedup();
        changes.split_1g.dedup();
        changes
    }

    /// Loads an image.
    ///
    /// # Errors
    /// An area of the size it needs was not given; nothing has changed then.
    pub fn load(&mut self, image: ImageBytes) -> Result<Slot, NoText> {
        self.text.load(&mut self.machine, image)
    }

    /// Frees an image.
    pub fn unload(&mut self, slot: Slot) {
        self.text.unload(&mut self.machine, slot);
    }

    /// Loads a module.
    ///
    /// # Errors
    /// An area of the size it needs was not given; what was opened by then stays open.
    pub fn load_module(&mut self, module: &ModuleLoad) -> Result<(), NoText> {
        self.modules.load(&mut self.machine, module)
    }

    /// Unloads a module.
    pub fn unload_module(&mut self, id: u64) {
        self.modules.unload(&mut self.machine, id);
    }

    /// Opens an area of executable memory for somebody who is not part of the trace, made read-only if `read_only`, as
    /// every release does; returns what [`GivenKernel::drop_foreign`] takes.
    ///
    /// # Errors
    /// Never: the area is the one given.
    pub fn adopt(&mut self, area: GivenArea, read_only: bool) -> Result<ForeignArea, NoText> {
        let pages = area.pages;
        self.given().waiting.insert(0, area);
        let id = self.machine.open(AreaRequest { pages, backing: Backing::Huge, reset_on_free: true })?;
        if read_only {
            self.machine.protect(id, pages, TextPerms::Rox);
        }
        Ok(ForeignArea(id))
    }

    /// Frees such an area.
    pub fn drop_foreign(&mut self, area: ForeignArea) {
        self.machine.close(area.0, GiveBack::Release);
    }

    /// The direct map.
    pub fn map(&self) -> &DirectMap {
        &self.machine.map
    }

    /// Puts another direct map in the place of this one, and forgets what became of it so far.
    pub fn replace_map(&mut self, map: DirectMap) {
        self.machine.map = map;
        self.given().before.clear();
    }
}

/// Executable memory that no program of the trace owns.
#[derive(Debug)]
pub struct ForeignArea(crate::text_alloc::AreaId);

/// Some memory; nothing is taken from it.
fn unused_memory(release: &Release) -> Memory {
    let layout = MemoryLayout::q35(MIN_MEMORY).expect("the smallest memory has a layout");
    let setup = MemorySetup {
        layout: &layout,
        reserved: &[],
        start: &StartState::Fresh,
        rules: release.pages.rules(),
        cpus: 1,
        seed: 0,
        run: 0,
    };
    Memory::new(&setup).expect("a fresh start fits every layout")
}

fn unused_users() -> MemoryUsers {
    MemoryUsers::new(Stream::new(0, Component::MemoryUsers, 0))
}
