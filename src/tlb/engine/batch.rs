//! Levels that leave each other's entries alone: a batch of accesses, one structure after the other.
//!
//! The second level sees what misses in the first, in the same order. So each structure gets the keys of its look-ups
//! as one list and works through it in one tight loop. What became of each access is kept in one byte; counting is
//! comparing bytes, many at once.

use super::bank::Bank;
use super::counts::{Counts, Tally};
use super::plan::{ID_BITS, LevelPlan, Plan, RouteId, Spread, Step};
use crate::tlb::access::Access;
use crate::tlb::cpu::MAX_STRUCTURES;
use crate::tlb::leaves::{CODES, LeafMap};

/// Bits of a lane's count.
const LANE_BITS: u32 = 9;
/// Places for keys of a lane; a power of two, so that no place needs a check.
const SLOTS: usize = 1 << LANE_BITS;
/// Accesses that are taken at once: few enough that a lane's count has room for all of them.
pub(super) const BATCH: usize = SLOTS - 1;
/// Lanes whose counts fit into one word.
const LANES: usize = 7;
/// Places for all lanes: one lane for each structure, and one for what none holds.
const LIST_SLOTS: usize = (MAX_STRUCTURES + 1).next_power_of_two() * SLOTS;
/// Set in an access's byte if the first level missed.
const MISSED: u8 = 1 << ID_BITS;
/// Set if the second level missed too.
const WALKED: u8 = 2 << ID_BITS;

/// The look-ups of a batch at one level: a list for each lane, one after the other.
struct Lists {
    keys: Box<[u64; LIST_SLOTS]>,
    /// Which access of the batch each key is from.
    at: Box<[u16; LIST_SLOTS]>,
}

impl Lists {
    fn new() -> Self {
        const MANY: &str = "it has so many places";
        Self {
            keys: vec![0; LIST_SLOTS].into_boxed_slice().try_into().expect(MANY),
            at: vec![0; LIST_SLOTS].into_boxed_slice().try_into().expect(MANY),
        }
    }

    /// Lists accesses, given with their places in the batch, for the structures of a level. `only` is the route of all
    /// of them if they have the same.
    #[inline(always)]
    fn fill<const N: usize>(
        &mut self,
        plan: &LevelPlan,
        only: Option<RouteId>,
        accesses: impl Iterator<Item = (usize, Access)>,
        id_of: impl Fn(usize) -> RouteId,
    ) -> Lengths<N> {
        match (plan.spread(), only) {
            (Spread::One, Some(id)) => self.fill_lane(plan.step(id), accesses),
            (Spread::One, None) => self.fill_lanes(accesses, |at, _| plan.step(id_of(at))),
            (Spread::Two, _) => self.fill_lanes(accesses, |at, address| plan.step_of_two(id_of(at), address)),
            (Spread::Many, _) => self.fill_lanes(accesses, |at, address| plan.step_of_many(id_of(at), address)),
        }
    }

    #[inline(always)]
    fn fill_lane<const N: usize>(&mut self, step: Step, accesses: impl Iterator<Item = (usize, Access)>) -> Lengths<N> {
        let list = step.lane() * SLOTS..(step.lane() + 1) * SLOTS;
        let (keys, places) = (&mut self.keys[list.clone()], &mut self.at[list]);
        let mut length = 0;
        for (at, access) in accesses {
            (keys[length % SLOTS], places[length % SLOTS]) = (step.key(access.address()), at as u16);
            length += 1;
        }
        let mut lengths = Lengths([0; N]);
        lengths.add(step.lane(), length as u64);
        lengths
    }

    #[inline(always)]
    fn fill_lanes<const N: usize>(
        &mut self,
        accesses: impl Iterator<Item = (usize, Access)>,
        step_of: impl Fn(usize, u64) -> Step,
    ) -> Lengths<N> {
        let mut lengths = Lengths([0; N]);
        for (at, access) in accesses {
            let step = step_of(at, access.address());
            let slot = (step.lane() * SLOTS + lengths.get(step.lane())) % LIST_SLOTS;
            (self.keys[slot], self.at[slot]) = (step.key(access.address()), at as u16);
            lengths.add(step.lane(), 1);
        }
        lengths
    }
}

/// How long the list of each lane is, in `N` words that stay in registers: a count in memory would make each access
/// wait for the last one of its lane.
#[derive(Clone, Copy)]
struct Lengths<const N: usize>([u64; N]);

impl<const N: usize> Lengths<N> {
    /// The word of a lane, and where in it.
    #[inline(always)]
    const fn place(lane: usize) -> (usize, u32) {
        if N == 1 { (0, lane as u32 * LANE_BITS) } else { (lane / LANES, (lane % LANES) as u32 * LANE_BITS) }
    }

    #[inline(always)]
    const fn get(&self, lane: usize) -> usize {
        let (word, shift) = Self::place(lane);
        (self.0[word] >> shift) as usize % SLOTS
    }

    #[inline(always)]
    const fn add(&mut self, lane: usize, count: u64) {
        let (word, shift) = Self::place(lane);
        self.0[word] += count << shift;
    }
}

/// Room for one batch.
pub(super) struct Batch {
    /// By access: its route, and what it missed.
    states: Vec<u8>,
    lists: Lists,
    /// By look-up of a list: 1 if it missed.
    missed: Vec<u8>,
    /// The accesses that missed in the first level.
    remaining: Vec<u16>,
    /// By structure: whether its look-ups are counted one by one, because it shares pages of a size with another.
    counts_itself: Vec<bool>,
}

/// What a batch is run on.
pub(super) struct Machine<'a> {
    pub plan: &'a Plan,
    /// The size of the entry for what the map holds at an address, by its code.
    pub classes: [u8; CODES],
    pub banks: &'a mut [Box<dyn Bank>],
    pub counts: &'a mut Counts,
}

impl Batch {
    pub fn new(plan: &Plan, structures: usize) -> Self {
        let shares = |at| plan.first.is_spread_over(at) || plan.second.is_spread_over(at);
        Self {
            states: vec![0; SLOTS],
            lists: Lists::new(),
            missed: vec![0; SLOTS],
            remaining: vec![0; SLOTS],
            counts_itself: (0..structures).map(shares).collect(),
        }
    }

    /// Looks up at most [`BATCH`] accesses.
    pub fn run(&mut self, machine: &mut Machine, leaves: &LeafMap, accesses: &[Access]) {
        let lanes = machine.plan.first.lanes().len().max(machine.plan.second.lanes().len()) + 1;
        if lanes <= LANES {
            self.run_lanes::<1>(machine, leaves, accesses);
        } else {
            self.run_lanes::<{ (MAX_STRUCTURES + 1).div_ceil(LANES) }>(machine, leaves, accesses);
        }
        self.count(machine.plan, machine.counts, accesses.len());
    }

    fn run_lanes<const N: usize>(&mut self, machine: &mut Machine, leaves: &LeafMap, accesses: &[Access]) {
        let mut routes = 0u16;
        for (state, &access) in self.states.iter_mut().zip(accesses) {
            let class = machine.classes[usize::from(leaves.code_at(access)) % CODES];
            let id = RouteId::new(access.kind_index(), class);
            *state = id.byte();
            routes |= 1 << id.byte();
        }
        let Self { states, lists, .. } = self;
        let only = routes.is_power_of_two().then(|| RouteId::of_byte(routes.trailing_zeros() as u8));
        let id_of = |at: usize| only.unwrap_or_else(|| RouteId::of_byte(states[at % SLOTS]));
        let lengths = lists.fill::<N>(&machine.plan.first, only, accesses.iter().copied().enumerate(), id_of);
        self.work_through(machine, &machine.plan.first, &lengths, MISSED);
        let missed = self.collect_missed(accesses.len());
        let Self { states, lists, remaining, .. } = self;
        let of = |at: u16| (usize::from(at), accesses[usize::from(at)]);
        let id_of = |at: usize| RouteId::of_byte(states[at % SLOTS]);
        let lengths = lists.fill::<N>(&machine.plan.second, only, remaining[..missed].iter().map(|at| of(*at)), id_of);
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
            let (keys, missed) = (&self.lists.keys[list.clone()], &mut self.missed[..list.len()]);
            machine.banks[structure].access_all(keys, missed);
            let states = <&mut [u8; SLOTS]>::try_from(&mut self.states[..]).expect("it has so many places");
            for (&at, missed) in self.lists.at[list].iter().zip(&mut *missed) {
                let state = &mut states[usize::from(at) % SLOTS];
                *state |= *missed << shift;
                *missed = *state;
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
        for &at in &self.lists.at[lane * SLOTS..lane * SLOTS + lengths.get(lane)] {
            self.states[usize::from(at)] |= mark;
        }
    }

    /// Lists the accesses that missed in the first level; returns how many they are.
    fn collect_missed(&mut self, accesses: usize) -> usize {
        let remaining = <&mut [u16; SLOTS]>::try_from(&mut self.remaining[..]).expect("it has so many places");
        let mut count = 0;
        for (at, state) in self.states[..accesses].iter().enumerate() {
            remaining[count % SLOTS] = at as u16;
            count += usize::from(*state >> ID_BITS & 1);
        }
        count
    }

    /// Adds the batch to the counts.
    fn count(&self, plan: &Plan, counts: &mut Counts, accesses: usize) {
        count_states(&self.states[..accesses], |id, [hit, missed, walked]| {
            let (kind, size) = id.split();
            counts.accesses[kind][size] += hit + missed + walked;
            counts.first_misses[kind][size] += missed + walked;
            counts.walks[kind][size] += walked;
            for (plan, hits, misses) in [(&plan.first, hit, missed + walked), (&plan.second, missed, walked)] {
                let structure = plan.lanes().get(plan.step(id).lane());
                if let Some(&structure) = structure.filter(|structure| !self.counts_itself[**structure]) {
                    add(&mut counts.structures[structure].by_size[size], hits, misses);
                }
            }
        });
    }
}

const fn add(tally: &mut Tally, hits: u64, misses: u64) {
    tally.hits += hits;
    tally.misses += misses;
}

/// Tells of each route how many accesses hit in the first level, missed there only, and walked.
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
