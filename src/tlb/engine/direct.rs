//! A level whose structures are rows of one table: accesses are looked up one after the other, none is listed.

use std::hint::select_unpredictable;

use super::bank::{CLASS_BITS, hash};
use super::index::SetIndex;
use super::lists::SLOTS;
use super::plan::{ID_BITS, LevelPlan, Place, RouteId};
use super::rows::{Change, Part, Rows};
use crate::tlb::access::Access;

const IDS: usize = 1 << ID_BITS;

/// In which row, and under which key, a structure holds the page at an address.
///
/// From the lowest bit: six of address shift, two of the size's number, eight of the shift of the index's second field,
/// sixteen of the index's mask, and the structure's first row.
#[derive(Clone, Copy, Debug, Default)]
struct Aim(u64);

impl Aim {
    /// `None` if the structure has another kind of index.
    fn new(place: Place, class: u8, part: &Part) -> Option<Self> {
        let (mask, fold) = match *part.index() {
            SetIndex::Mask(mask) => (mask, 63),
            SetIndex::Fold { mask, shift } => (mask, shift),
            SetIndex::Fields(_) | SetIndex::Modulo { .. } => return None,
        };
        let fits = mask <= u64::from(u16::MAX) && fold < u64::BITS;
        let index = u64::from(fold) << 8 | mask << 16;
        fits.then_some(Self(u64::from(place.shift) | u64::from(class) << 6 | index | (part.base() as u64) << 32))
    }

    #[inline(always)]
    const fn key(self, address: u64) -> u64 {
        (address >> (self.0 & 63)) << CLASS_BITS | (self.0 >> 6 & 3)
    }

    #[inline(always)]
    const fn row(self, address: u64) -> usize {
        let page = address >> (self.0 & 63);
        let set = (page ^ page >> (self.0 >> 8 & 63)) & (self.0 >> 16 & 0xffff);
        (self.0 >> 32) as usize + set as usize
    }
}

/// The structures of a level that hold the pages of a route: the second is taken where the hash reaches the bound.
#[derive(Clone, Copy, Debug, Default)]
struct Fork {
    aims: [Aim; 2],
    bound: u64,
    hash_shift: u64,
}

impl Fork {
    /// The place of the page at an address, and `mark` if it is the second.
    #[inline(always)]
    fn aim(&self, address: u64, mark: u8) -> (Aim, u8) {
        let second = hash(address >> self.hash_shift) >= self.bound;
        (select_unpredictable(second, self.aims[1], self.aims[0]), if second { mark } else { 0 })
    }
}

/// The routes of a level that lead to rows only.
#[derive(Clone, Debug)]
pub(super) struct Direct {
    forks: [Fork; IDS],
    /// The first place of each.
    first: [Aim; IDS],
    structures: [[usize; 2]; IDS],
    /// A bit for each such route.
    direct: u16,
    /// A bit for each that leads to two structures.
    forked: u16,
}

/// Accesses that are looked up, and what became of them.
pub(super) struct Pass<'a> {
    pub accesses: &'a [Access],
    /// A bit for each route that there is.
    pub routes: u16,
    /// By place in the batch.
    pub states: &'a mut [u8; SLOTS],
    pub marks: Marks,
    pub aimed: &'a mut Aimed,
}

/// What is set in the state of an access: one bit each.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    /// If it missed in the level.
    pub missed: u8,
    /// If the level's second structure of its route was looked up.
    pub second: u8,
}

impl Direct {
    /// `part_of` tells a structure's rows if it has them.
    pub fn new<'a>(level: &LevelPlan, part_of: impl Fn(usize) -> Option<&'a Part>) -> Self {
        let mut new = Self {
            forks: [Fork::default(); IDS],
            first: [Aim::default(); IDS],
            structures: [[0; 2]; IDS],
            direct: 0,
            forked: 0,
        };
        for id in RouteId::all() {
            let route = level.route(id);
            let aim = |place: &Place| Aim::new(*place, id.class(), part_of(place.structure)?);
            let Some(aims) = route.places().iter().map(aim).collect::<Option<Vec<Aim>>>() else { continue };
            let [first, second] = match aims[..] {
                [only] => [only; 2],
                [first, second] => [first, second],
                _ => continue,
            };
            let bound = route.bounds().first().copied().unwrap_or(u64::MAX);
            let fork = Fork { aims: [first, second], bound, hash_shift: route.hash_shift().into() };
            new.structures[id.index()] = [0, aims.len() - 1].map(|at| route.places()[at].structure);
            new.forks[id.index()] = fork;
            new.first[id.index()] = fork.aims[0];
            new.direct |= 1 << id.byte();
            new.forked |= u16::from(aims.len() == 2) << id.byte();
        }
        new
    }

    /// Whether all these routes lead to rows.
    pub const fn takes(&self, routes: u16) -> bool {
        routes & !self.direct == 0
    }

    /// The structure of a route, the first or the second.
    pub const fn structure(&self, id: RouteId, second: bool) -> usize {
        self.structures[id.index() % IDS][second as usize]
    }

    /// Whether any of these routes leads to two structures.
    pub const fn forks(&self, routes: u16) -> bool {
        routes & self.forked != 0
    }

    /// Looks up accesses, whose places in the batch are given too, and tells of each whether it missed.
    ///
    /// Which rows and keys they are is found out beforehand: a processor has more look-ups under way if each is short.
    #[inline(always)]
    pub fn look_up(
        &self,
        rows: &mut Rows,
        change: impl Change,
        mut pass: Pass,
        places: impl Iterator<Item = usize> + Clone,
        mut tell: impl FnMut(usize, Access, bool),
    ) {
        self.aim(&mut pass, places.clone());
        let Pass { accesses, states, marks, aimed, .. } = pass;
        let aimed = aimed.rows.iter().zip(&aimed.keys).zip(&aimed.marks);
        for ((place, access), ((row, key), mark)) in places.zip(accesses).zip(aimed) {
            let missed = !rows.access(change, usize::from(*row), *key);
            states[place % SLOTS] |= u8::from(missed) << marks.missed.trailing_zeros() | mark;
            tell(place, *access, missed);
        }
    }

    /// Finds the row and the key of each access.
    #[inline(always)]
    fn aim(&self, pass: &mut Pass, places: impl Iterator<Item = usize>) {
        let only = RouteId::only(pass.routes);
        let id_at = |place: usize| RouteId::of_byte(pass.states[place % SLOTS]);
        let aimed = &mut *pass.aimed;
        match (only, self.forks(pass.routes)) {
            (Some(id), false) => {
                let aim = self.first[id.index() % IDS];
                aimed.fill(pass.accesses, |_| (aim, 0));
            }
            (None, false) => {
                aimed.fill_at(pass.accesses, places, |place, _| (self.first[id_at(place).index() % IDS], 0));
            }
            (Some(id), true) => {
                let fork = self.forks[id.index() % IDS];
                aimed.fill(pass.accesses, |address| fork.aim(address, pass.marks.second));
            }
            (None, true) => aimed.fill_at(pass.accesses, places, |place, address| {
                self.forks[id_at(place).index() % IDS].aim(address, pass.marks.second)
            }),
        }
    }
}

/// Rows and keys of look-ups, and what is set in the state of each.
pub(super) struct Aimed {
    rows: [u16; SLOTS],
    keys: [u64; SLOTS],
    marks: [u8; SLOTS],
}

impl Aimed {
    pub const NONE: Self = Self { rows: [0; SLOTS], keys: [0; SLOTS], marks: [0; SLOTS] };

    #[inline(always)]
    fn fill(&mut self, accesses: &[Access], aim_of: impl Fn(u64) -> (Aim, u8)) {
        self.fill_at(accesses, 0..accesses.len(), |_, address| aim_of(address));
    }

    #[inline(always)]
    fn fill_at(
        &mut self,
        accesses: &[Access],
        places: impl Iterator<Item = usize>,
        aim_of: impl Fn(usize, u64) -> (Aim, u8),
    ) {
        // What is chosen goes first, alone; what is left is a loop of vectors.
        for ((place, access), (key, mark)) in places.zip(accesses).zip(self.keys.iter_mut().zip(&mut self.marks)) {
            let (aim, second) = aim_of(place, access.address());
            (*key, *mark) = (aim.0, second);
        }
        for (access, (row, key)) in accesses.iter().zip(self.rows.iter_mut().zip(&mut self.keys)) {
            let aim = Aim(*key);
            (*row, *key) = (aim.row(access.address()) as u16, aim.key(access.address()));
        }
    }
}
