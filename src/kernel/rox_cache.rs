//! The cache of read-only executable huge pages (`mm/execmem.c@6.15..7.3`).
//!
//! The cache grows by whole 2 MiB pages that become read-only and executable at once, hands out the free piece with the
//! lowest address that is large enough, and gives an area back when all of it is free. A piece that is made writable for
//! a while (module text) breaks the alias of its 2 MiB page; whole pages do not break.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::release::TrapFill;
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
    pub(super) fn take(machine: &mut Machine, pages: u64) -> Result<PieceId, NoText> {
        let fits =
            |cache: &Self| cache.free.iter().find(|(_, free)| **free >= pages).map(|(start, free)| (*start, *free));
        let (start, free) = match fits(&machine.rox) {
            Some(found) => found,
            None => Self::grow(machine, pages)?,
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

    /// Adds an area of whole 2 MiB pages, all of it read-only and executable (`execmem_cache_populate`).
    fn grow(machine: &mut Machine, pages: u64) -> Result<(VirtualPage, u64), NoText> {
        let whole = pages.next_multiple_of(PAGES_PER_2M);
        let area = machine.open(AreaRequest { pages: whole, backing: Backing::Huge, reset_on_free: false })?;
        machine.protect(area, whole, TextPerms::Rox);
        let start = machine.rox.lowest_gap(whole);
        machine.rox.areas.insert(start, (area, whole));
        machine.rox.free.insert(start, whole);
        Ok((start, whole))
    }

    /// The lowest 2 MiB-aligned place with room for an area and the guard page behind it.
    fn lowest_gap(&self, pages: u64) -> VirtualPage {
        let mut at = 0;
        for (start, (_, length)) in &self.areas {
            if at + pages < *start {
                break;
            }
            at = (start + length + 1).next_multiple_of(PAGES_PER_2M);
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

    /// Gives a piece back (`execmem_cache_free`), and its area too if all of it is free now (`execmem_cache_clean`).
    pub(super) fn give(machine: &mut Machine, id: PieceId, fill: TrapFill) {
        if fill == TrapFill::ThroughMapping {
            Self::make_writable(machine, id);
            Self::restore(machine, id);
        }
        let cache = &mut machine.rox;
        let piece = cache.pieces[id.0 as usize].take().expect("a piece is given back once");
        cache.free_ids.push(id.0);
        let (start, pages) = cache.merge(piece);
        let (area_start, (area, area_pages)) = cache.area_of(start);
        if (start, pages) != (area_start, area_pages) {
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
