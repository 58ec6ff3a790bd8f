//! Which structure an access looks up at each level, and under which key.

use super::bank::CLASS_BITS;
use crate::tlb::cpu::{Cpu, Kind, Level, Structure};
use crate::units::PageSize;

/// Slots for page sizes in a table by kind and size; one more than there are sizes, so that it is a shift.
const SIZE_SLOTS: usize = 4;
/// Slots of a table by kind and size.
pub(super) const ROUTES: usize = 3 * SIZE_SLOTS;

/// Kind and size of an access as one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteId(u8);

impl RouteId {
    #[inline(always)]
    pub const fn new(kind_index: usize, class: u8) -> Self {
        Self((kind_index * SIZE_SLOTS) as u8 | class)
    }

    #[inline(always)]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The size's number: 0, 1 or 2.
    #[inline(always)]
    pub const fn class(self) -> u8 {
        self.0 % SIZE_SLOTS as u8
    }

    /// Kind and size as indices.
    pub const fn split(self) -> (usize, usize) {
        (self.0 as usize / SIZE_SLOTS, self.0 as usize % SIZE_SLOTS)
    }

    pub fn all() -> impl Iterator<Item = Self> {
        Kind::ALL.iter().flat_map(|kind| PageSize::ALL.iter().map(|size| Self::new(kind.index(), *size as u8)))
    }
}

/// A structure that holds a page, and how many address bits one of its entries covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub structure: usize,
    pub shift: u32,
}

impl Place {
    /// The key of the page at an address.
    #[inline(always)]
    pub const fn key(self, address: u64, class: u8) -> u64 {
        (address >> self.shift) << CLASS_BITS | class as u64
    }
}

/// The structures of a level that hold pages of one size for one kind of access.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    places: Vec<Place>,
    /// For each place but the last, where in the range of the hash the next one begins.
    bounds: Vec<u64>,
    /// Address bits that the hash leaves out, so that all pieces of an entry go to the same place.
    hash_shift: u32,
}

impl Route {
    fn new(places: Vec<(Place, u32)>) -> Self {
        let total: u64 = places.iter().map(|(_, entries)| u64::from(*entries)).sum();
        let mut below = 0;
        let bound = |(_, entries): &(Place, u32)| {
            below += u64::from(*entries);
            (u128::from(below) * (1u128 << 64) / u128::from(total)) as u64
        };
        let bounds = places.iter().take(places.len().saturating_sub(1)).map(bound).collect();
        let hash_shift = places.iter().map(|(place, _)| place.shift).max().unwrap_or(0);
        Self { places: places.into_iter().map(|(place, _)| place).collect(), bounds, hash_shift }
    }

    /// The place of the page at an address; `None` if no structure of the level holds such pages.
    #[inline(always)]
    pub fn place(&self, address: u64) -> Option<Place> {
        if self.places.len() <= 1 {
            return self.places.first().copied();
        }
        let hash = (address >> self.hash_shift).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = self.bounds.iter().filter(|bound| hash >= **bound).count();
        self.places.get(at).copied()
    }
}

/// The routes of both levels.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    first: [Route; ROUTES],
    second: [Route; ROUTES],
}

impl Plan {
    pub fn of(cpu: &Cpu) -> Self {
        let mut plan = Self { first: Default::default(), second: Default::default() };
        for kind in Kind::ALL {
            for size in PageSize::ALL {
                let id = RouteId::new(kind.index(), size as u8).index();
                let route = |level| {
                    let place = |(at, structure)| Some((place(at, structure, size)?, structure.entries));
                    Route::new(cpu.structures(level, kind).filter_map(place).collect())
                };
                plan.first[id] = route(Level::First);
                plan.second[id] = route(Level::Second);
            }
        }
        plan
    }

    #[inline(always)]
    pub const fn first(&self, id: RouteId) -> &Route {
        &self.first[id.index()]
    }

    #[inline(always)]
    pub const fn second(&self, id: RouteId) -> &Route {
        &self.second[id.index()]
    }
}

/// Where a structure keeps pages of a size, if it does.
pub(super) fn place(at: usize, structure: &Structure, size: PageSize) -> Option<Place> {
    let held = structure.pages.iter().find(|held| held.page() == size)?;
    let coalesced = if size == PageSize::Size4K { structure.coalesced_4k_pages } else { 1 };
    let shift = held.piece().bytes().get().trailing_zeros() + coalesced.trailing_zeros();
    Some(Place { structure: at, shift })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_one_place_at_each_level() {
        let plan = Plan::of(&Cpu::named("icelake-sp").unwrap());
        let id = |kind: Kind, size: PageSize| RouteId::new(kind.index(), size as u8);
        let small = plan.second(id(Kind::Load, PageSize::Size4K));
        let at = |page: u64| small.place(page << 12).unwrap().structure;
        let in_first = (0..10_000).filter(|page| at(*page) == 6).count();
        assert!((4_900..5_100).contains(&in_first), "{in_first} of 10000 pages in one of two banks");
        assert_eq!(plan.second(id(Kind::Fetch, PageSize::Size2M)).place(0), Some(Place { structure: 6, shift: 21 }));
        assert_eq!(plan.first(id(Kind::Store, PageSize::Size1G)).place(0), Some(Place { structure: 5, shift: 30 }));
        assert_eq!(plan.first(id(Kind::Fetch, PageSize::Size1G)).place(0), Some(Place { structure: 1, shift: 21 }));
        let haswell = Plan::of(&Cpu::named("haswell-ep").unwrap());
        assert_eq!(haswell.second(id(Kind::Load, PageSize::Size1G)).place(0), None);
        let zen = Plan::of(&Cpu::named("zen4").unwrap());
        assert_eq!(zen.first(id(Kind::Load, PageSize::Size4K)).place(0).unwrap().shift, 14);
    }
}
