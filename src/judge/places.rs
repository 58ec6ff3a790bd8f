//! The range of addresses that images are put into, without memory behind it.

use std::collections::BTreeMap;

use crate::text_alloc::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, PieceId, TextPerms};
use crate::units::PAGES_PER_2M;

/// An area: its first page, counted from the start of the range, and its pages. An unmapped page follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: u64,
    pub(super) pages: u64,
}

/// Who is in the way at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant {
    /// An area of the text allocator.
    Area(AreaId),
    /// A freed area whose addresses wait for the next purge.
    Lazy,
    /// An area of somebody else.
    Foreign,
}

/// The module range: every area is put at the lowest address where it fits (`find_vmap_lowest_match`), and an unmapped page
/// behind it. Freed areas whose permissions are reset are purged at once, others by the next change of permissions
/// (`vm_unmap_aliases`).
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: BTreeMap<u64, (u64, Tenant)>,
    areas: Vec<Option<(Place, bool)>>,
    /// Areas opened since this was last asked, in order.
    opened: Vec<AreaId>,
}

impl Places {
    /// The lowest place for an area.
    fn lowest(&self, pages: u64, align: u64) -> u64 {
        let mut at = 0;
        for (start, (length, _)) in &self.taken {
            if at + pages < *start {
                break;
            }
            at = at.max((start + length + 1).next_multiple_of(align));
        }
        at
    }

    fn purge(&mut self) {
        self.taken.retain(|_, (_, tenant)| *tenant != Tenant::Lazy);
    }

    /// Where an area is.
    pub(super) fn place(&self, area: AreaId) -> Option<Place> {
        self.areas.get(area.0 as usize).copied().flatten().map(|(place, _)| place)
    }

    /// Moves an area to another place if that is free; its guard page must be, too.
    pub(super) fn move_to(&mut self, area: AreaId, start: u64) {
        let Some((place, _)) = self.areas[area.0 as usize].as_mut() else { return };
        let overlaps = |(at, (length, _)): (&u64, &(u64, Tenant))| *at <= start + place.pages && start <= at + length;
        let Some(tenant) = self.taken.remove(&place.start) else { return };
        if !self.taken.iter().any(overlaps) {
            place.start = start;
        }
        self.taken.insert(place.start, tenant);
    }

    /// The areas that were opened since this was last asked.
    pub(super) fn take_opened(&mut self) -> Vec<AreaId> {
        std::mem::take(&mut self.opened)
    }

    /// Notes an area of somebody else, unless it is known.
    pub(super) fn occupy(&mut self, place: Place) {
        let inside = self.taken.range(..=place.start).next_back();
        if inside.is_none_or(|(start, (pages, _))| start + pages <= place.start) {
            self.taken.insert(place.start, (place.pages, Tenant::Foreign));
        }
    }

    /// Forgets areas of somebody else that begin in this range of pages.
    pub(super) fn release(&mut self, start: u64, end: u64) {
        self.taken.retain(|at, (_, tenant)| *tenant != Tenant::Foreign || !(start..end).contains(at));
    }
}

impl Areas for Places {
    fn open(&mut self, request: AreaRequest) -> Result<AreaId, NoText> {
        let align = if request.backing == Backing::Huge { PAGES_PER_2M } else { 1 };
        let place = Place { start: self.lowest(request.pages, align), pages: request.pages };
        let area = AreaId(self.areas.len() as u32);
        self.areas.push(Some((place, request.reset_on_free)));
        self.taken.insert(place.start, (place.pages, Tenant::Area(area)));
        self.opened.push(area);
        Ok(area)
    }

    fn protect(&mut self, _: AreaId, _: u64, _: TextPerms) {
        self.purge();
    }

    fn close(&mut self, area: AreaId, _: GiveBack) {
        let (place, reset) = self.areas[area.0 as usize].take().expect("an area is closed once");
        if reset {
            self.purge();
            self.taken.remove(&place.start);
        } else {
            self.taken.insert(place.start, (place.pages, Tenant::Lazy));
        }
    }

    /// Each piece that BPF asks for is a whole area of the cache, and has its number.
    fn open_rox(&mut self, pages: u64) -> Result<PieceId, NoText> {
        let pages = pages.next_multiple_of(PAGES_PER_2M);
        let area = self.open(AreaRequest { pages, backing: Backing::Huge, reset_on_free: false })?;
        self.protect(area, pages, TextPerms::Rox);
        Ok(PieceId(area.0))
    }

    fn close_rox(&mut self, piece: PieceId) {
        let area = AreaId(piece.0);
        self.protect(area, 0, TextPerms::Rw);
        self.close(area, GiveBack::Release);
    }

    fn possible_nodes(&self) -> u64 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(places: &mut Places, pages: u64, backing: Backing, reset_on_free: bool) -> (AreaId, u64) {
        let area = places.open(AreaRequest { pages, backing, reset_on_free }).unwrap();
        (area, places.place(area).unwrap().start)
    }

    #[test]
    fn packs_stand_as_far_apart_as_recorded() {
        let mut places = Places::default();
        let at: Vec<u64> = (0..3).map(|_| open(&mut places, 512, Backing::Vmalloc, true).1).collect();
        assert_eq!(at, [0, 0x201, 0x402], "2 MiB and a guard page");
        let mut places = Places::default();
        let at: Vec<u64> = (0..3).map(|_| open(&mut places, 512, Backing::Huge, true).1).collect();
        assert_eq!(at, [0, 0x400, 0x800], "at the next 2 MiB behind the guard page");
    }

    #[test]
    fn lazily_freed_addresses_alternate() {
        let mut places = Places::default();
        let mut at = Vec::new();
        for _ in 0..4 {
            let (area, start) = open(&mut places, 512, Backing::Huge, false);
            places.protect(area, 512, TextPerms::Rox);
            places.protect(area, 512, TextPerms::Rw);
            places.close(area, GiveBack::Pages);
            at.push(start);
        }
        assert_eq!(at, [0, 0x400, 0, 0x400]);
    }

    #[test]
    fn areas_move_only_to_where_there_is_room() {
        let mut places = Places::default();
        let [first, second, third] = [1, 2, 1].map(|pages| open(&mut places, pages, Backing::Vmalloc, true).0);
        places.close(second, GiveBack::Release);
        let at = |places: &mut Places, start| {
            places.move_to(third, start);
            places.place(third).unwrap().start
        };
        // The first stands on page 0, the hole is pages 2 to 4, the last of which is to guard the second.
        assert_eq!([0, 1, 2, 3, 9].map(|start| at(&mut places, start)), [5, 5, 2, 3, 9]);
        assert_eq!(places.place(first).unwrap().start, 0);
    }

    #[test]
    fn others_are_in_the_way_until_they_are_gone() {
        let mut places = Places::default();
        places.occupy(Place { start: 2, pages: 4 });
        assert_eq!(open(&mut places, 1, Backing::Vmalloc, true).1, 0);
        assert_eq!(open(&mut places, 1, Backing::Vmalloc, true).1, 7);
        places.release(0, 3);
        assert_eq!(open(&mut places, 1, Backing::Vmalloc, true).1, 2);
    }
}
