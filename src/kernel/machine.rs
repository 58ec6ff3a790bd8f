//! Memory, direct map and kernel areas of one simulated host.

use super::given::Given;
use super::release::{CacheEra, Frees, Release};
use super::rox_cache::RoxCache;
use super::users::MemoryUsers;
use super::virtual_range::VirtualRange;
use crate::direct_map::{CallEnd, Change, CpaEra, DirectMap, Flushes, PermChange, Walk};
use crate::memory::{Memory, MigrateType};
use crate::text_alloc::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, OwnMemory, PieceId, TextPerms};
use crate::units::{Order, PAGES_PER_2M, PageSize, PfnRange};

/// How an area is mapped in its own virtual range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    /// By 4 KiB entries.
    Single,
    /// By 2 MiB entries, one per block.
    Huge,
}

/// The frames of an area in virtual order; the first run stands apart so that small areas need no heap.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    first: PfnRange,
    rest: Vec<PfnRange>,
}

impl Frames {
    fn one(run: PfnRange) -> Self {
        Self { first: run, rest: Vec::new() }
    }

    pub(super) fn many(runs: &[PfnRange]) -> Self {
        match runs.split_first() {
            Some((first, rest)) => Self { first: *first, rest: rest.to_vec() },
            None => Self::one(PfnRange::default()),
        }
    }

    fn runs(&self) -> impl Iterator<Item = PfnRange> + '_ {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }
}

/// An open area.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) frames: Frames,
    pub(super) mapping: Mapping,
    pub(super) reset_on_free: bool,
    /// Whether it lies outside of the range of modules and images.
    pub(super) ordinary: bool,
    /// Pages of its table of page pointers, if it is a large area.
    pub(super) table: Option<Box<[PfnRange]>>,
}

/// A simulated host without its text allocator.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) memory: Memory,
    pub(super) map: DirectMap,
    pub(super) release: &'static Release,
    pub(super) users: MemoryUsers,
    pub(super) flushes: Flushes,
    /// Page-table pages that splits took.
    pub(super) table_pages: u64,
    /// Trampolines on pages of their own, and the bytes of their images.
    pub(super) trampoline_pages: u64,
    pub(super) trampoline_bytes: u64,
    pub(super) rox: RoxCache,
    /// Where frames come from instead of `memory`, if they are not to be allocated.
    pub(super) given: Option<Box<Given>>,
    nodes: u64,
    areas: Vec<Option<Area>>,
    free_ids: Vec<AreaId>,
    runs: Vec<PfnRange>,
    /// Whether ordinary areas were freed since the last purge.
    pub(super) lazy_areas: bool,
    /// The range of ordinary areas, and that of modules and images.
    pub(super) ordinary: VirtualRange,
    text: VirtualRange,
    /// Pages of the table of the kernel's own types, once they have been parsed.
    pub(super) type_pages: Option<u64>,
}

impl Machine {
    pub(super) fn new(
        memory: Memory,
        map: DirectMap,
        release: &'static Release,
        nodes: u64,
        users: MemoryUsers,
        cpus: u32,
    ) -> Self {
        Self {
            memory,
            map,
            release,
            users,
            flushes: Flushes::default(),
            table_pages: 0,
            trampoline_pages: 0,
            trampoline_bytes: 0,
            rox: RoxCache::default(),
            given: None,
            nodes,
            areas: Vec::new(),
            free_ids: Vec::new(),
            runs: Vec::new(),
            lazy_areas: false,
            ordinary: VirtualRange::ordinary(cpus),
            text: VirtualRange::text(),
            type_pages: None,
        }
    }

    /// Changes direct-map permissions; splits take their page-table pages at once.
    #[inline]
    pub(super) fn change(&mut self, run: PfnRange, change: PermChange, walk: Walk) -> Change {
        if let Some(given) = &mut self.given {
            given.note(&self.map, run, change, walk);
            return self.map.change(run, change, walk);
        }
        let done = self.map.change(run, change, walk);
        for _ in 0..done.table_pages() {
            // Without a page the kernel's split fails and the host is beyond this model; the split is kept.
            if self.page().is_ok() {
                self.table_pages += 1;
            }
        }
        done
    }

    fn insert(&mut self, area: Area) -> AreaId {
        match self.free_ids.pop() {
            Some(id) => {
                self.areas[id.0 as usize] = Some(area);
                id
            }
            None => {
                self.areas.push(Some(area));
                AreaId(self.areas.len() as u32 - 1)
            }
        }
    }

    /// Page tables that virtual ranges have got.
    #[cfg(test)]
    pub(super) const fn range_tables(&self) -> u64 {
        self.ordinary.tables() + self.text.tables()
    }

    /// The frames behind all open areas.
    pub(super) fn open_frames(&self) -> impl Iterator<Item = PfnRange> + '_ {
        self.areas.iter().flatten().flat_map(|area| area.frames.runs())
    }

    /// The area that memory of images belongs to, its first page there, and the size of the pages that map the area.
    pub(super) fn text_place(&self, memory: OwnMemory) -> (AreaId, u64, PageSize) {
        let (area, first) = match memory {
            OwnMemory::Area(area) => (area, 0),
            OwnMemory::Piece(piece) => self.rox.place(piece),
        };
        let mapping = self.areas[area.0 as usize].as_ref().map(|area| area.mapping);
        (area, first, if mapping == Some(Mapping::Huge) { PageSize::Size2M } else { PageSize::Size4K })
    }

    /// Opens an area that is not for code, such as an interpreted program (`bpf_prog_alloc`), with a reset at its free.
    pub(super) fn open_ordinary(&mut self, pages: u64) -> Result<AreaId, NoText> {
        let request = AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: true };
        self.open_pages(request, true, Self::area_pages)
    }

    fn open_pages(
        &mut self,
        request: AreaRequest,
        ordinary: bool,
        take: impl FnOnce(&mut Self, u64, &mut Vec<PfnRange>) -> Result<(), NoText>,
    ) -> Result<AreaId, NoText> {
        let table = self.table_of(request.pages)?;
        let frames = if request.pages == 1 {
            Frames::one(PfnRange::with_len(self.page()?, 1))
        } else {
            let mut runs = std::mem::take(&mut self.runs);
            runs.clear();
            let taken = take(self, request.pages, &mut runs);
            let frames = Frames::many(&runs);
            self.runs = runs;
            if let Err(error) = taken {
                self.free_table(table);
                return Err(error);
            }
            frames
        };
        let range = if ordinary { &mut self.ordinary } else { &mut self.text };
        for _ in 0..range.map(request.pages) {
            self.page()?;
        }
        Ok(self.insert(Area {
            frames,
            mapping: Mapping::Single,
            reset_on_free: request.reset_on_free,
            ordinary,
            table,
        }))
    }

    /// Order-9 blocks only; if one is missing, the whole area is made of ordinary pages instead
    /// (`__vmalloc_node_range@5.18`: falls back to base pages).
    fn open_huge(&mut self, request: AreaRequest) -> Result<AreaId, NoText> {
        let table = self.table_of(request.pages)?;
        let mut runs = Vec::new();
        for _ in 0..request.pages / PAGES_PER_2M {
            match self.memory.alloc_block(Order::PAGEBLOCK, MigrateType::Unmovable) {
                Ok(pfn) => runs.push(PfnRange::with_len(pfn, PAGES_PER_2M)),
                Err(_) => {
                    runs.into_iter().for_each(|run: PfnRange| self.memory.free_block(run.start(), Order::PAGEBLOCK));
                    self.free_table(table);
                    return self.open(AreaRequest { backing: Backing::Vmalloc, ..request });
                }
            }
        }
        self.text.map_huge(request.pages);
        Ok(self.insert(Area {
            frames: Frames::many(&runs),
            mapping: Mapping::Huge,
            reset_on_free: request.reset_on_free,
            ordinary: false,
            table,
        }))
    }

    /// Changes pages `first..first + pages` of an area; the alias in the direct map follows.
    ///
    /// The alias is changed with as many pages as one entry of the area's own mapping covers: 512 for a whole 2 MiB
    /// entry, else 1 (`cpa_process_alias`). So an area of single mappings works page by page even on contiguous frames.
    pub(super) fn protect_part(&mut self, area: AreaId, first: u64, pages: u64, perms: TextPerms) {
        let era = self.release.cpa;
        let change = match perms {
            TextPerms::Rox | TextPerms::ReadOnly => PermChange::read_only(era),
            TextPerms::Rw => PermChange::read_write(),
        };
        self.purge_lazy_areas();
        let slot = area.0 as usize;
        let area = self.areas[slot].take().expect("an area is used only while it is open");
        let mut at = 0;
        let mut call = Change::default();
        for run in area.frames.runs() {
            let from = first.max(at);
            let to = (first + pages).min(at + run.pages());
            if from < to {
                let part = PfnRange::with_len(run.start().offset(from - at), to - from);
                let whole = area.mapping == Mapping::Huge && part.pages() == PAGES_PER_2M;
                call += self.change(part, change, if whole { Walk::Range } else { Walk::PageWise });
            }
            at += run.pages();
        }
        self.areas[slot] = Some(area);
        self.flushes.account(call, CallEnd::Alias);
        if perms == TextPerms::Rw || (perms == TextPerms::Rox && era == CpaEra::UpTo6_1) {
            // The call for NX leaves the alias alone; `set_memory_rox` made it one call for text.
            self.flushes.kernel_range(pages);
        }
    }

    /// Every permission change first purges lazily freed areas, which flushes everything if there are any
    /// (`change_page_attr_set_clr` -> `vm_unmap_aliases`).
    #[inline]
    pub(super) fn purge_lazy_areas(&mut self) {
        self.flushes.full += u64::from(std::mem::take(&mut self.lazy_areas));
        self.ordinary.purge();
    }

    /// Makes the direct map under a free area of the executable cache valid and writable again, without flushes
    /// (`execmem_cache_clean`).
    pub(super) fn make_valid(&mut self, area: AreaId) {
        let slot = area.0 as usize;
        let area = self.areas[slot].take().expect("an area is used only while it is open");
        for run in area.frames.runs() {
            let done = self.change(run, PermChange::valid(true), Walk::Range);
            self.flushes.account(done, CallEnd::NoFlush);
        }
        self.areas[slot] = Some(area);
    }

    /// Resets the direct map under an area page by page, as for `VM_FLUSH_RESET_PERMS`
    /// (`vm_remove_mappings@6.1`, `vm_reset_perms@6.2`).
    fn reset(&mut self, frames: &Frames) {
        let era = self.release.cpa;
        for change in [PermChange::invalid(era), PermChange::default_()] {
            let mut call = Change::default();
            for run in frames.runs() {
                call += self.change(run, change, Walk::PageWise);
            }
            self.flushes.account(call, CallEnd::NoFlush);
        }
        // One flush from the lowest to the highest address of area and alias, lazily freed ones too: always everything.
        self.lazy_areas = false;
        self.ordinary.purge();
        self.flushes.full += 1;
    }

    fn unmap(&mut self, area: &Area) {
        let pages = area.frames.runs().map(|run| run.pages()).sum();
        match area.mapping {
            _ if self.given.is_some() => {}
            Mapping::Huge => self.text.unmap_huge(pages),
            Mapping::Single if area.ordinary => self.forget_area(pages),
            Mapping::Single => _ = self.text.unmap(pages),
        }
    }

    fn give_back(&mut self, area: &Area, how: GiveBack) {
        if self.given.is_some() {
            return;
        }
        for run in area.frames.runs() {
            match (how, area.mapping, self.release.frees) {
                (GiveBack::Blocks, Mapping::Huge, _) => self.memory.free_block(run.start(), Order::PAGEBLOCK),
                (GiveBack::Release, _, Frees::ContiguousRuns) => self.memory.free_run(run),
                _ => self.free_pages_of(run),
            }
        }
    }
}

impl Areas for Machine {
    fn open(&mut self, request: AreaRequest) -> Result<AreaId, NoText> {
        if let Some(given) = &mut self.given {
            let area = given.take(request)?;
            return Ok(self.insert(area));
        }
        self.text.room_for_text(request.pages, request.backing == Backing::Huge)?;
        match request.backing {
            Backing::Huge => self.open_huge(request),
            Backing::Vmalloc => self.open_pages(request, false, Self::area_pages),
            Backing::SinglePages => self.open_pages(request, false, Self::single_pages),
            Backing::LargeOrdersFirst => self.open_pages(request, false, Self::large_pages_first),
        }
    }

    #[inline]
    fn protect(&mut self, area: AreaId, pages: u64, perms: TextPerms) {
        self.protect_part(area, 0, pages, perms);
    }

    fn close(&mut self, id: AreaId, how: GiveBack) {
        let area = self.areas[id.0 as usize].take().expect("an area is closed once");
        self.free_ids.push(id);
        self.unmap(&area);
        if area.reset_on_free {
            self.reset(&area.frames);
        } else {
            self.lazy_areas = true;
        }
        self.give_back(&area, how);
        self.free_table(area.table);
    }

    fn open_rox(&mut self, pages: u64) -> Result<PieceId, NoText> {
        // BPF lives in the cache since 7.3, whatever release the host is otherwise.
        RoxCache::take(self, pages, CacheEra::V7_2)
    }

    fn close_rox(&mut self, piece: PieceId) {
        RoxCache::give(self, piece, CacheEra::V7_2);
    }

    fn possible_nodes(&self) -> u64 {
        self.nodes
    }
}
