//! Which structure an access looks up at each level, and under which key.

use std::hint::select_unpredictable;

use super::bank::{CLASS_BITS, hash};
use crate::tlb::cpu::{Cpu, Kind, Level, Structure};
use crate::units::PageSize;

/// Slots for page sizes in a table by kind and size; one more than there are sizes, so that it is a shift.
const SIZE_SLOTS: usize = 4;
/// Slots of a table by kind and size.
pub(super) const ROUTES: usize = 3 * SIZE_SLOTS;
/// Bits of a [`RouteId`].
pub(super) const ID_BITS: u32 = 4;

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

    /// The id in the lowest bits of a byte.
    #[inline(always)]
    pub const fn of_byte(byte: u8) -> Self {
        Self(byte & ((1 << ID_BITS) - 1))
    }

    /// The only one of these, a bit for each; `None` if there are more.
    #[inline(always)]
    pub const fn only(routes: u16) -> Option<Self> {
        if routes.is_power_of_two() { Some(Self(routes.trailing_zeros() as u8)) } else { None }
    }

    /// The id as a byte.
    #[inline(always)]
    pub const fn byte(self) -> u8 {
        self.0
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

    /// The structures.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// For each place but the last, where in the range of the hash the next one begins.
    pub fn bounds(&self) -> &[u64] {
        &self.bounds
    }

    /// Address bits that the hash leaves out.
    pub const fn hash_shift(&self) -> u32 {
        self.hash_shift
    }

    /// The place of the page at an address; `None` if no structure of the level holds such pages.
    #[inline(always)]
    pub fn place(&self, address: u64) -> Option<Place> {
        if self.places.len() <= 1 {
            return self.places.first().copied();
        }
        let hash = hash(address >> self.hash_shift);
        let at = self.bounds.iter().filter(|bound| hash >= **bound).count();
        self.places.get(at).copied()
    }
}

/// A place in one word: what an access needs of it.
///
/// From the lowest bit: 6 bits of address shift, 2 of the class, and the lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step(u32);

impl Step {
    const fn new(lane: usize, shift: u32, class: u8) -> Self {
        Self((lane as u32) << 8 | (class as u32) << 6 | shift)
    }

    /// The lane of the structure; the one after the last where no structure of the level holds such pages.
    #[inline(always)]
    pub const fn lane(self) -> usize {
        (self.0 >> 8) as usize
    }

    /// The key of the page at an address.
    #[inline(always)]
    pub const fn key(self, address: u64) -> u64 {
        (address >> (self.0 & 63)) << CLASS_BITS | (self.0 >> 6 & 3) as u64
    }
}

/// The first two places of a route: the second is taken where the hash reaches the bound.
#[derive(Clone, Copy, Debug)]
struct Fork {
    first: Step,
    second: Step,
    bound: u64,
    hash_shift: u32,
}

/// How many structures of a level hold pages of the same route, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spread {
    One,
    Two,
    Many,
}

/// The routes of one level.
#[derive(Clone, Debug)]
pub(super) struct LevelPlan {
    routes: [Route; ROUTES],
    forks: [Fork; 1 << ID_BITS],
    spread: Spread,
    /// The level's structures, each of which has a lane.
    lanes: Vec<usize>,
    /// By structure.
    lane_of: Vec<usize>,
}

impl LevelPlan {
    fn new(cpu: &Cpu, level: Level) -> Self {
        let mut routes: [Route; ROUTES] = Default::default();
        for id in RouteId::all() {
            let (kind, size) = id.split();
            let place = |(at, structure)| Some((place(at, structure, PageSize::ALL[size])?, structure.entries));
            routes[id.index()] = Route::new(cpu.structures(level, Kind::ALL[kind]).filter_map(place).collect());
        }
        let structures = cpu.doc().structures.iter().enumerate();
        let lanes: Vec<usize> = structures.filter(|(_, at)| at.level == level).map(|(at, _)| at).collect();
        let mut lane_of = vec![lanes.len(); cpu.doc().structures.len()];
        lanes.iter().enumerate().for_each(|(lane, structure)| lane_of[*structure] = lane);
        let nowhere = Step::new(lanes.len(), 0, 0);
        let fork = Fork { first: nowhere, second: nowhere, bound: u64::MAX, hash_shift: 0 };
        let mut plan = Self { routes, forks: [fork; 1 << ID_BITS], spread: Spread::One, lanes, lane_of };
        for id in RouteId::all() {
            let route = plan.route(id);
            let step = |place: &Place| Step::new(plan.lane(place.structure), place.shift, id.class());
            let [first, others @ ..] = &route.places[..] else { continue };
            let bound = *route.bounds.first().unwrap_or(&u64::MAX);
            let second = others.first().unwrap_or(first);
            let fork = Fork { first: step(first), second: step(second), bound, hash_shift: route.hash_shift };
            let spread = [Spread::One, Spread::Two, Spread::Many][others.len().min(2)];
            plan.forks[id.index()] = fork;
            plan.spread = plan.spread.max(spread);
        }
        plan
    }

    /// The structure of each lane.
    pub fn lanes(&self) -> &[usize] {
        &self.lanes
    }

    /// The lane of a structure.
    #[inline(always)]
    pub fn lane(&self, structure: usize) -> usize {
        self.lane_of[structure]
    }

    /// The whole route.
    #[inline(always)]
    pub const fn route(&self, id: RouteId) -> &Route {
        &self.routes[id.index()]
    }

    /// How far routes are spread.
    pub const fn spread(&self) -> Spread {
        self.spread
    }

    /// The only place of a route, or its first.
    #[inline(always)]
    pub const fn step(&self, id: RouteId) -> Step {
        self.forks[id.index() & ((1 << ID_BITS) - 1)].first
    }

    /// The place of the page at an address, on a level on which no route is spread over more than two.
    #[inline(always)]
    pub fn step_of_two(&self, id: RouteId, address: u64) -> Step {
        let fork = self.forks[id.index() & ((1 << ID_BITS) - 1)];
        select_unpredictable(hash(address >> fork.hash_shift) >= fork.bound, fork.second, fork.first)
    }

    /// The place of the page at an address.
    pub fn step_of_many(&self, id: RouteId, address: u64) -> Step {
        let step = |place: Place| Step::new(self.lane(place.structure), place.shift, id.class());
        self.route(id).place(address).map_or_else(|| self.step(id), step)
    }

    /// Whether a structure shares the pages of a route with others.
    pub fn is_spread_over(&self, structure: usize) -> bool {
        let shares = |route: &Route| route.places.len() > 1 && route.places.iter().any(|at| at.structure == structure);
        self.routes.iter().any(shares)
    }
}

/// The routes of both levels.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub first: LevelPlan,
    pub second: LevelPlan,
}

impl Plan {
    pub fn of(cpu: &Cpu) -> Self {
        Self { first: LevelPlan::new(cpu, Level::First), second: LevelPlan::new(cpu, Level::Second) }
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
        let small = plan.second.route(id(Kind::Load, PageSize::Size4K));
        let at = |page: u64| small.place(page << 12).unwrap().structure;
        let in_first = (0..10_000).filter(|page| at(*page) == 6).count();
        assert!((4_900..5_100).contains(&in_first), "{in_first} of 10000 pages in one of two banks");
        assert_eq!(
            plan.second.route(id(Kind::Fetch, PageSize::Size2M)).place(0),
            Some(Place { structure: 6, shift: 21 })
        );
        assert_eq!(
            plan.first.route(id(Kind::Store, PageSize::Size1G)).place(0),
            Some(Place { structure: 5, shift: 30 })
        );
        assert_eq!(
            plan.first.route(id(Kind::Fetch, PageSize::Size1G)).place(0),
            Some(Place { structure: 1, shift: 21 })
        );
        let haswell = Plan::of(&Cpu::named("haswell-ep").unwrap());
        assert_eq!(haswell.second.route(id(Kind::Load, PageSize::Size1G)).place(0), None);
        let zen = Plan::of(&Cpu::named("zen4").unwrap());
        assert_eq!(zen.first.route(id(Kind::Load, PageSize::Size4K)).place(0).unwrap().shift, 14);
    }
}
