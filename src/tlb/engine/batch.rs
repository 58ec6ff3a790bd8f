//! Levels that leave each other's entries alone: a batch of accesses, one level after the other.
//!
//! The second level sees what misses in the first, in the same order. Where all structures that a batch needs of a level
//! are rows of one table, see `direct`; where not, each structure gets the keys of its look-ups as one list and works
//! through it in one tight loop, see `lists`. What became of each access is kept in one byte; counting is comparing bytes,
//! many at once.

use super::bank::Banks;
use super::counts::{Counts, Tally};
use super::direct::{Aimed, Direct, Marks, Pass};
use super::lists::{LANES, Lengths, Lists, SLOTS};
use super::plan::{ID_BITS, LevelPlan, Plan, RouteId};
use super::rows::Change;
use crate::tlb::access::Access;
use crate::tlb::cpu::{Level, MAX_STRUCTURES};
use crate::tlb::leaves::{CODES, LeafMap};

/// Accesses that are taken at once.
pub(super) const BATCH: usize = SLOTS - 1;
/// Set in an access's byte if the first level missed.
const MISSED: u8 = 1 << ID_BITS;
/// Set if the second level missed too.
const WALKED: u8 = 2 << ID_BITS;
/// What look-ups in rows set in an access's byte, by level.
const MARKS: [Marks; 2] =
    [Marks { missed: MISSED, second: 4 << ID_BITS }, Marks { missed: WALKED, second: 8 << ID_BITS }];

/// Room for one batch.
pub(super) struct Batch {
    /// By access: its route, and what it missed.
    states: Box<[u8; SLOTS]>,
    lists: Lists,
    /// By look-up of a list: 1 if it missed.
    missed: Vec<u8>,
    /// The accesses that missed in the first level.
    remaining: Box<[u16; SLOTS]>,
    remaining_accesses: Box<[Access; SLOTS]>,
    /// By structure: whether its look-ups are counted one by one, because it shares pages of a size with another.
    counts_itself: Vec<bool>,
    /// By level, the routes that lead to rows.
    direct: [Direct; 2],
    aimed: Box<Aimed>,
}

/// What a batch is run on.
pub(super) struct Machine<'a> {
    pub plan: &'a Plan,
    /// The size of the entry for what the map holds at an address, by its code.
    pub classes: [u8; CODES],
    pub banks: &'a mut Banks,
    pub counts: &'a mut Counts,
}

impl Batch {
    pub fn new(plan: &Plan, banks: &Banks, structures: usize) -> Self {
        let shares = |at| plan.first.is_spread_over(at) || plan.second.is_spread_over(at);
        Self {
            states: Box::new([0; SLOTS]),
            lists: Lists::new(),
            missed: vec![0; SLOTS],
            remaining: Box::new([0; SLOTS]),
            remaining_accesses: Box::new([Access::load(0); SLOTS]),
            counts_itself: (0..structures).map(shares).collect(),
            direct: [&plan.first, &plan.second].map(|level| Direct::new(level, |at| banks.part(at))),
            aimed: Box::new(Aimed::NONE),
        }
    }

    /// Looks up at most [`BATCH`] accesses.
    #[inline(always)]
    pub fn run(&mut self, machine: &mut Machine, change: impl Change, leaves: &LeafMap, accesses: &[Access]) {
        let lanes = machine.plan.first.lanes().len().max(machine.plan.second.lanes().len()) + 1;
        if lanes <= LANES {
            self.run_lanes::<1>(machine, change, leaves, accesses);
        } else {
            self.run_lanes::<{ (MAX_STRUCTURES + 1).div_ceil(LANES) }>(machine, change, leaves, accesses);
        }
    }

    #[inline(always)]
    fn run_lanes<const N: usize>(
        &mut self,
        machine: &mut Machine,
        change: impl Change,
        leaves: &LeafMap,
        accesses: &[Access],
    ) {
        let routes = self.classify(&machine.classes, leaves, accesses);
        let missed = if self.direct[0].takes(routes) {
            self.look_up_first(machine, change, accesses, routes)
        } else {
            self.list_first::<N>(machine, accesses, routes);
            self.collect_missed(accesses)
        };
        if self.direct[1].takes(routes) {
            self.look_up_second(machine, change, routes, missed);
        } else {
            self.list_second::<N>(machine, routes, missed);
        }
        self.count(machine.plan, machine.counts, accesses.len(), routes);
    }

    /// Notes the route of each access; returns a bit for each route that there is.
    #[inline(always)]
    fn classify(&mut self, classes: &[u8; CODES], leaves: &LeafMap, accesses: &[Access]) -> u16 {
        // What the map says is found out first, alone: a loop of single loads is short, and the rest is one of vectors.
        match leaves.uniform_code() {
            Some(code) => self.states[..accesses.len()].fill(code),
            None => self.states.iter_mut().zip(accesses).for_each(|(state, access)| *state = leaves.code_at(*access)),
        }
        let classes = u32::from_le_bytes(*classes);
        let mut routes = 0u32;
        for (state, access) in self.states.iter_mut().zip(accesses) {
            let class = (classes >> (8 * (u32::from(*state) % CODES as u32))) as u8;
            let id = RouteId::new(access.kind_index(), class);
            *state = id.byte();
            routes |= 1 << u32::from(id.byte());
        }
        routes as u16
    }

    /// Looks accesses up in the rows of the first level; returns how many missed, which are what remains.
    #[inline(always)]
    fn look_up_first(&mut self, machine: &mut Machine, change: impl Change, accesses: &[Access], routes: u16) -> usize {
        let Self { states, remaining, remaining_accesses, aimed, direct: [direct, _], .. } = self;
        let pass = Pass { accesses, routes, states, marks: MARKS[0], aimed };
        let mut count = 0;
        direct.look_up(machine.banks.rows(Level::First), change, pass, 0..accesses.len(), |at, access, missed| {
            (remaining[count % SLOTS], remaining_accesses[count % SLOTS]) = (at as u16, access);
            count += usize::from(missed);
        });
        count
    }

    /// Looks what remains up in the rows of the second level.
    #[inline(always)]
    fn look_up_second(&mut self, machine: &mut Machine, change: impl Change, routes: u16, missed: usize) {
        let Self { states, remaining, remaining_accesses, aimed, direct: [_, direct], .. } = self;
        let pass = Pass { accesses: &remaining_accesses[..missed], routes, states, marks: MARKS[1], aimed };
        let places = remaining[..missed].iter().map(|at| usize::from(*at));
        direct.look_up(machine.banks.rows(Level::Second), change, pass, places, |_, _, _| ());
    }

    #[inline(always)]
    fn list_first<const N: usize>(&mut self, machine: &mut Machine, accesses: &[Access], routes: u16) {
        let Self { states, lists, .. } = self;
        let only = RouteId::only(routes);
        let id_of = |at: usize| only.unwrap_or_else(|| RouteId::of_byte(states[at % SLOTS]));
        let lengths = lists.fill::<N>(&machine.plan.first, only, accesses.iter().copied().enumerate(), id_of);
        self.work_through(machine, &machine.plan.first, &lengths, MISSED);
    }

    #[inline(always)]
    fn list_second<const N: usize>(&mut self, machine: &mut Machine, routes: u16, missed: usize) {
        let Self { states, lists, remaining, remaining_accesses, .. } = self;
        let only = RouteId::only(routes);
        let places = remaining[..missed].iter().map(|at| usize::from(*at));
        let remaining = places.zip(remaining_accesses.iter().copied());
        let id_of = |at: usize| RouteId::of_byte(states[at % SLOTS]);
        let lengths = lists.fill::<N>(&machine.plan.second, only, remaining, id_of);
        self.work_through(machine, &machine.plan.second, &lengths, WALKED);
    }

    /// Lets each structure of a level work through its list, and marks what missed.
    fn work_through<const N: usize>(
        &mut self,
        machine: &mut Machine,
        plan: &LevelPlan,
        lengths: &Lengths<N>,
        mark: u8,
    ) {
        let shift = mark.trailing_zeros();
        for (lane, &structure) in plan.lanes().iter().enumerate().filter(|(lane, _)| lengths.get(*lane) > 0) {
            let list = lane * SLOTS..lane * SLOTS + lengths.get(lane);
            let (keys, missed) = (self.lists.keys(list.clone()), &mut self.missed[..list.len()]);
            machine.banks.with(structure, |bank| bank.access_all(keys, missed));
            let states = &mut self.states;
            for (&at, missed) in self.lists.places(list).iter().zip(&mut *missed) {
                let state = &mut states[usize::from(at) % SLOTS];
                *state |= *missed << shift;
                *missed = *state & (WALKED | (WALKED - 1));
            }
            if self.counts_itself[structure] {
                let tallies = &mut machine.counts.structures[structure].by_size;
                count_states(missed, |id, [hit, missed, walked]| {
                    let (hits, misses) = if mark == MISSED { (hit, missed) } else { (missed, walked) };
                    add(&mut tallies[id.split().1], hits, misses);
                });
            }
        }
        let lane = plan.lanes().len();
        for &at in self.lists.places(lane * SLOTS..lane * SLOTS + lengths.get(lane)) {
            self.states[usize::from(at)] |= mark;
        }
    }

    /// Lists the accesses that missed in the first level; returns how many they are.
    fn collect_missed(&mut self, accesses: &[Access]) -> usize {
        let (remaining, remaining_accesses) = (&mut self.remaining, &mut self.remaining_accesses);
        let mut count = 0;
        for (at, (state, access)) in self.states.iter().zip(accesses).enumerate() {
            (remaining[count % SLOTS], remaining_accesses[count % SLOTS]) = (at as u16, *access);
            count += usize::from(*state >> ID_BITS & 1);
        }
        count
    }

    /// Adds the batch to the counts.
    #[inline(always)]
    fn count(&self, plan: &Plan, counts: &mut Counts, accesses: usize, routes: u16) {
        let states = &self.states[..accesses];
        let forks = self.direct.each_ref().map(|direct| direct.takes(routes) && direct.forks(routes));
        for id in RouteId::all().filter(|id| routes >> id.byte() & 1 == 1) {
            let (kind, size) = id.split();
            for (first, second) in [(false, false), (true, false), (false, true), (true, true)] {
                if (first && !forks[0]) || (second && !forks[1]) {
                    continue;
                }
                let of = |marks: Marks, second| if second { marks.second } else { 0 };
                let (one, both) = (of(MARKS[0], first), of(MARKS[0], first) | of(MARKS[1], second));
                let hit = if second { 0 } else { count_equal(states, id.byte() | one) };
                let [missed, walked] =
                    [MISSED, MISSED | WALKED].map(|missed| count_equal(states, id.byte() | missed | both));
                counts.accesses[kind][size] += hit + missed + walked;
                counts.first_misses[kind][size] += missed + walked;
                counts.walks[kind][size] += walked;
                for (level, second, hits, misses) in [(0, first, hit, missed + walked), (1, second, missed, walked)] {
                    if let Some(structure) = self.structure(plan, level, routes, id, second) {
                        add(&mut counts.structures[structure].by_size[size], hits, misses);
                    }
                }
            }
        }
    }

    /// The structure of a route at a level, if it does not count itself.
    #[inline(always)]
    fn structure(&self, plan: &Plan, level: usize, routes: u16, id: RouteId, second: bool) -> Option<usize> {
        if self.direct[level].takes(routes) {
            return Some(self.direct[level].structure(id, second));
        }
        let plan = [&plan.first, &plan.second][level];
        plan.lanes().get(plan.step(id).lane()).copied().filter(|structure| !self.counts_itself[*structure])
    }
}

const fn add(tally: &mut Tally, hits: u64, misses: u64) {
    tally.hits += hits;
    tally.misses += misses;
}

/// Tells of each route how many looked up, given by their states, hit in the first level, missed there only, and walked.
fn count_states(states: &[u8], mut tell: impl FnMut(RouteId, [u64; 3])) {
    let mut left = states.len() as u64;
    for id in RouteId::all() {
        if left == 0 {
            return;
        }
        let counts = [0, MISSED, MISSED | WALKED].map(|missed| count_equal(states, id.byte() | missed));
        left -= counts.iter().sum::<u64>();
        tell(id, counts);
    }
}

/// How many bytes have this value.
fn count_equal(bytes: &[u8], value: u8) -> u64 {
    // Chunks whose counts fit into a byte, so that many bytes are compared and counted at once.
    let count = |chunk: &[u8]| u64::from(chunk.iter().map(|byte| u8::from(*byte == value)).sum::<u8>());
    bytes.chunks(128).map(count).sum()
}
