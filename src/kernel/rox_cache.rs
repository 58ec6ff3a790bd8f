//! The cache of read-only executable huge pages (`mm/execmem.c@6.15..7.3`).
//!
//! The cache grows by whole 2 MiB pages that become read-only and executable at once, hands out the free piece with the
//! lowest address that is large enough, and gives an area back when all of it is free. A piece that is made writable for
//! a while (module text) breaks the alias of its 2 MiB page; whole pages do not break.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::release::CacheEra;
use crate::text_alloc::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, PieceId, TextPerms};
use crate::units::PAGES_PER_2M;

/// A virtual address inside the module range, in pages from its start.
type VirtualPage = u64;

/// A piece in use.
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: VirtualPage,
    pages: u64,
}

/// The cache's areas and free pieces.
#[derive(Debug, Default)]
pub(super) struct RoxCache {
    /// Areas by start: the area behind and its length in pages.
    areas: BTreeMap<VirtualPage, (AreaId, u64)>,
    /// Free pieces by start, with their length in pages; neighbours inside an area are merged.
    free: BTreeMap<VirtualPage, u64>,
    pieces: Vec<Option<Piece>>,
    free_ids: Vec<u32>,
}

impl RoxCache {
    /// Takes a piece of this many pages; grows the cache if there is none (`execmem_cache_alloc`).
    pub(super) fn take(machine: &mut Machine, pages: u64, era: CacheEra) -> Result<PieceId, NoText> {
        let fits =
            |cache: &Self| cache.free.iter().find(|(_, free)| **free >= pages).map(|(start, free)| (*start, *free));
        let (start, free) = match fits(&machine.rox) {
            Some(found) => found,
            None => Self::grow(machine, pages, era)?,
        };
        let cache = &mut machine.rox;
        cache.free.remove(&start);
        if free > pages {
            cache.free.insert(start + pages, free - pages);
        }
        let piece = Some(Piece { start, pages });
        Ok(PieceId(match cache.free_ids.pop() {
            Some(id) => {
                cache.pieces[id as usize] = piece;
                id
            }
            None => {
                cache.pieces.push(piece);
                cache.pieces.len() as u32 - 1
            }
        }))
    }

    /// Adds an area of whole 2 MiB, in large pages if there are such, all of it read-only and executable; else, in later
    /// kernels, an area of single pages for this request alone (`execmem_cache_populate`).
    fn grow(machine: &mut Machine, pages: u64, era: CacheEra) -> Result<(VirtualPage, u64), NoText> {
        let whole = pages.next_multiple_of(PAGES_PER_2M);
        let (area, pages, align) =
            match machine.open(AreaRequest { pages: whole, backing: Backing::Huge, reset_on_free: false }) {
                Ok(area) => (area, whole, PAGES_PER_2M),
                Err(_) if era == CacheEra::V7_2 && pages < whole => {
                    let exact = AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: false };
                    (machine.open(exact)?, pages, 1)
                }
                Err(error) => return Err(error),
            };
        machine.protect(area, pages, TextPerms::Rox);
        let start = machine.rox.lowest_gap(pages, align);
        machine.rox.areas.insert(start, (area, pages));
        machine.rox.free.insert(start, pages);
        Ok((start, pages))
    }

    /// The lowest aligned place with room for an area and the guard page behind it.
    fn lowest_gap(&self, pages: u64, align: u64) -> VirtualPage {
        let mut at = 0;
        for (start, (_, length)) in &self.areas {
            if at + pages < *start {
                break;
            }
            at = (start + length + 1).next_multiple_of(align);
        }
        at
    }

    /// Makes a piece writable, as a module's text is while it is loaded (`execmem_alloc_rw@6.15`).
    pub(super) fn make_writable(machine: &mut Machine, piece: PieceId) {
        machine.rox_protect(piece, TextPerms::Rw);
    }

    /// Makes a piece read-only and executable again (`execmem_restore_rox`).
    pub(super) fn restore(machine: &mut Machine, piece: PieceId) {
        machine.rox_protect(piece, TextPerms::Rox);
    }

    /// Gives a piece back (`execmem_cache_free`), and its area too if that is whole 2 MiB and all of it is free now
    /// (`execmem_cache_clean`).
    pub(super) fn give(machine: &mut Machine, id: PieceId, era: CacheEra) {
        if era == CacheEra::V7_2 {
            Self::make_writable(machine, id);
            Self::restore(machine, id);
        }
        let cache = &mut machine.rox;
        let piece = cache.pieces[id.0 as usize].take().expect("a piece is given back once");
        cache.free_ids.push(id.0);
        let (start, pages) = cache.merge(piece);
        let (area_start, (area, area_pages)) = cache.area_of(start);
        if (start, pages) != (area_start, area_pages) || !area_pages.is_multiple_of(PAGES_PER_2M) {
            return;
        }
        cache.free.remove(&start);
        cache.areas.remove(&start);
        machine.make_valid(area);
        machine.close(area, GiveBack::Release);
    }

    /// Joins a freed piece with its free neighbours inside the same area.
    fn merge(&mut self, piece: Piece) -> (VirtualPage, u64) {
        let (mut start, mut pages) = (piece.start, piece.pages);
        if let Some((&before, &length)) = self.free.range(..start).next_back()
            && before + length == start
        {
            self.free.remove(&before);
            (start, pages) = (before, pages + length);
        }
        if let Some(length) = self.free.remove(&(start + pages)) {
            pages += length;
        }
        self.free.insert(start, pages);
        (start, pages)
    }

    /// The area that holds an address.
    fn area_of(&self, at: VirtualPage) -> (VirtualPage, (AreaId, u64)) {
        let found = self.areas.range(..=at).next_back().expect("every piece lies in an area");
        (*found.0, *found.1)
    }

    /// Where a piece begins: its area and the page inside it.
    pub(super) fn place(&self, piece: PieceId) -> (AreaId, u64) {
        let (area, first, _) = self.locate(piece);
        (area, first)
    }

    /// Where a piece lies: its area, the first page inside it, and its pages.
    fn locate(&self, piece: PieceId) -> (AreaId, u64, u64) {
        let piece = self.pieces[piece.0 as usize].as_ref().expect("a piece is used only while it is out");
        let (area_start, (area, _)) = self.area_of(piece.start);
        (area, piece.start - area_start, piece.pages)
    }
}

impl Machine {
    fn rox_protect(&mut self, piece: PieceId, perms: TextPerms) {
        let (area, first, pages) = self.rox.locate(piece);
        self.protect_part(area, first, pages, perms);
    }
}

#[cfg(test)]
mod tests {
    use crate::direct_map::CounterView;
    use crate::kernel::{HostSetup, Kernel, Release};
    use crate::memory::{MemoryLayout, StartState};
    use crate::text_alloc::{NoText, Policy, PolicyOptions};
    use crate::trace::{EventKind, GivePattern, MemoryGive, MemoryKind, MemoryTake, ModuleLoad};
    use crate::units::{Bytes, Order, PageSize};

    /// A host with about 200 pages that can be had, and no executable memory yet.
    fn nearly_full(release: &str) -> Kernel {
        let layout = MemoryLayout::q35(Bytes::new(256 << 20)).unwrap();
        let setup = HostSetup {
            release: Release::named(release).unwrap(),
            layout: &layout,
            start: &StartState::Fresh,
            cpus: 1,
            largest_page: PageSize::Size1G,
            boot_program: false,
            seed: 1,
            run: 0,
        };
        let mut kernel = Kernel::boot(&setup, Policy::PerProg.build(PolicyOptions::default())).unwrap();
        let take = MemoryTake { user: 0, kind: MemoryKind::PageTables, pages: 1, order: Order::ZERO };
        // The first failure brings pages of the per-CPU lists back.
        for _ in 0..2 {
            while kernel.apply(&EventKind::MemoryTake(take)).is_ok() {}
        }
        let give = MemoryGive { user: 0, pages: Some(200), pattern: GivePattern::Oldest };
        kernel.apply(&EventKind::MemoryGive(give)).unwrap();
        kernel
    }

    /// Loads a module of two pages of text; its other sections are empty.
    fn load_module(kernel: &mut Kernel) -> Result<(), NoText> {
        let module = ModuleLoad {
            id: 1,
            text_bytes: 8000,
            rodata_bytes: 0,
            ro_after_init_bytes: 0,
            data_bytes: 0,
            init_text_bytes: 0,
            init_rodata_bytes: 0,
            init_data_bytes: 0,
        };
        kernel.apply(&EventKind::ModuleLoad(Box::new(module))).map(drop)
    }

    #[test]
    fn without_2_mib_later_kernels_grow_the_cache_by_the_request() {
        let error = load_module(&mut nearly_full("6.18")).unwrap_err();
        assert!(matches!(error, NoText::Frames { pages: 512, order: Order::ZERO, .. }), "{error:?}");

        let mut kernel = nearly_full("7.2");
        let read_only = |kernel: &Kernel| -> u64 {
            let leaves = kernel.leaves().filter(|leaf| leaf.perms.to_string() == "ro");
            leaves.map(|leaf| leaf.range.pages()).sum()
        };
        let before = read_only(&kernel);
        load_module(&mut kernel).unwrap();
        assert_eq!(read_only(&kernel), before + 2);
        // What is no whole 2 MiB stays in the cache and is used again.
        kernel.apply(&EventKind::ModuleUnload { id: 1 }).unwrap();
        assert_eq!(read_only(&kernel), before + 2);
        let splits = kernel.observe(CounterView::Mapped).map.level2_splits;
        load_module(&mut kernel).unwrap();
        assert_eq!(read_only(&kernel), before + 2);
        assert_eq!(kernel.observe(CounterView::Mapped).map.level2_splits, splits);
    }
}
