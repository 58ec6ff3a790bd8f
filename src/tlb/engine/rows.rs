//! Structures of few ways as rows of one table, so that a level takes one access after the other whatever its page is.
//!
//! A row is searched, and written, as a whole. Both are loops without a branch, of which the compiler makes a few
//! instructions on many keys. Because where a look-up writes is known before the way is, the next one, which may be in
//! the same row, need not wait.

use std::hint::select_unpredictable;

use super::bank::{Bank, CLASS_BITS, EMPTY};
use super::index::{KeySets, SetIndex};
use super::policy::OneWord;
use super::states::{Order, State, States, WAYS};
use super::vector;

/// Rows of a level; a power of two, so that no row needs a check.
const ROWS: usize = 2048;

/// The sets of all structures of a level that fit, a row each.
pub(super) struct Rows {
    keys: Box<[Row; ROWS]>,
    states: Box<[State; ROWS]>,
    steps: States,
    used: usize,
}

/// The keys of a set, by way.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Row(pub [u64; WAYS]);

impl Row {
    pub const EMPTY: Self = Self([EMPTY; WAYS]);

    /// All bits of a way, none of the others.
    #[inline(always)]
    pub const fn only(way: usize) -> &'static [u64; WAYS] {
        static ONLY: [[u64; WAYS]; WAYS] = {
            let mut only = [[0; WAYS]; WAYS];
            let mut way = 0;
            while way < WAYS {
                only[way][way] = u64::MAX;
                way += 1;
            }
            only
        };
        &ONLY[way % WAYS]
    }
}

/// What looks a key up in a row and, if it is not there, puts it into the way that is given up; returns the way that held
/// it, plus [`WAYS`], or 0.
pub(super) trait Change: Fn(&mut Row, u64, usize) -> usize + Copy {}

impl<F: Fn(&mut Row, u64, usize) -> usize + Copy> Change for F {}

/// [`Change`] for any machine.
#[inline(always)]
pub(super) fn change(row: &mut Row, key: u64, victim: usize) -> usize {
    let ways = row.0.iter().enumerate();
    let found = ways.fold(0, |found, (way, held)| found | select_unpredictable(*held == key, WAYS + way, 0));
    let missed = u64::from(found != 0).wrapping_sub(1);
    for (slot, only) in row.0.iter_mut().zip(Row::only(victim)) {
        *slot ^= (*slot ^ key) & only & missed;
    }
    found
}

/// The rows of a structure.
#[derive(Clone, Debug)]
pub(super) struct Part {
    base: usize,
    sets: usize,
    start: State,
    index: SetIndex,
}

impl Part {
    /// The first row.
    pub const fn base(&self) -> usize {
        self.base
    }

    /// Which row a page belongs to.
    pub const fn index(&self) -> &SetIndex {
        &self.index
    }
}

impl Rows {
    pub fn new() -> Self {
        const MANY: &str = "it has so many rows";
        Self {
            keys: vec![Row::EMPTY; ROWS].into_boxed_slice().try_into().expect(MANY),
            states: vec![State::NONE; ROWS].into_boxed_slice().try_into().expect(MANY),
            steps: States::new(),
            used: 0,
        }
    }

    /// Rows for a structure; `None` if it has too many sets or ways, or its policy too many states.
    pub fn add(
        &mut self,
        (sets, ways): (usize, usize),
        order: Order,
        policy: &mut impl OneWord,
        index: SetIndex,
    ) -> Option<Part> {
        let base = self.used;
        if ways > WAYS || base + sets > ROWS {
            return None;
        }
        let start = self.steps.start(order, ways, policy)?;
        self.used += sets;
        self.states[base..self.used].fill(start);
        Some(Part { base, sets, start, index })
    }

    /// Looks a key up in a row and, if it is not there, puts it there; whether it was there.
    #[inline(always)]
    pub fn access(&mut self, change: impl Change, row: usize, key: u64) -> bool {
        let row = row % ROWS;
        let state = self.states[row];
        if state.has_hole() {
            return self.access_with_hole(row, key);
        }
        let held = &mut self.keys[row];
        let found = change(held, key, state.victim());
        // All bits if it was not found.
        let missed = usize::from(found != 0).wrapping_sub(1);
        let way = (found | (state.victim() & missed)) % WAYS;
        self.states[row] = self.steps.after(state, way);
        missed == 0
    }

    /// Accesses one page of a structure after the other and marks with 1 those that missed, with 0 the others.
    #[inline(always)]
    pub fn access_all(&mut self, part: &Part, change: impl Change, keys: &[u64], missed: &mut [u8]) {
        struct Of<'a, F>(&'a mut Rows, usize, F);
        impl<F: Change> KeySets for Of<'_, F> {
            #[inline(always)]
            fn access(&mut self, set: usize, key: u64) -> bool {
                self.0.access(self.2, self.1 + set, key)
            }
        }
        part.index.for_all(keys, missed, &mut Of(self, part.base, change));
    }

    /// The same for a row in which a way was emptied.
    #[cold]
    #[inline(never)]
    fn access_with_hole(&mut self, row: usize, key: u64) -> bool {
        let (held, state) = (&mut self.keys[row].0, self.states[row].with_hole(false));
        let hit = held.iter().position(|held| *held == key);
        let way = hit.or_else(|| held.iter().position(|held| *held == EMPTY)).expect("a way is empty");
        held[way] = key;
        let state = self.steps.after(state, way);
        self.states[row] = state.with_hole(held[..self.steps.filled(state)].contains(&EMPTY));
        hit.is_some()
    }

    /// The rows of a structure as a bank.
    pub const fn bank<'a>(&'a mut self, part: &'a Part) -> RowBank<'a> {
        RowBank { rows: self, part }
    }
}

/// The rows of one structure.
pub(super) struct RowBank<'a> {
    rows: &'a mut Rows,
    part: &'a Part,
}

impl RowBank<'_> {
    fn row(&self, key: u64) -> usize {
        self.part.base + self.part.index.set(key >> CLASS_BITS)
    }

    fn find(&self, key: u64) -> Option<usize> {
        self.rows.keys[self.row(key)].0.iter().position(|held| *held == key)
    }
}

impl Bank for RowBank<'_> {
    fn access(&mut self, key: u64) -> bool {
        self.rows.access(change, self.row(key), key)
    }

    fn access_all(&mut self, keys: &[u64], missed: &mut [u8]) {
        vector::access_all(self.rows, self.part, keys, missed);
    }

    fn touch(&mut self, key: u64) -> bool {
        self.find(key).is_some() && self.access(key)
    }

    fn insert(&mut self, key: u64) -> Option<u64> {
        let row = self.row(key);
        let (held, state) = (&self.rows.keys[row].0, self.rows.states[row]);
        let victim = if state.has_hole() { EMPTY } else { held[state.victim()] };
        self.access(key);
        (victim != EMPTY).then_some(victim)
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(way) = self.find(key) else { return false };
        let row = self.row(key);
        self.rows.keys[row].0[way] = EMPTY;
        self.rows.states[row] = self.rows.states[row].with_hole(true);
        true
    }

    fn flush(&mut self) {
        let rows = self.part.base..self.part.base + self.part.sets;
        self.rows.keys[rows.clone()].fill(Row::EMPTY);
        self.rows.states[rows].fill(self.part.start);
    }
}
