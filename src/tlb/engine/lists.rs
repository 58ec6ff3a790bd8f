//! The look-ups of a batch at one level, listed by structure.

use std::ops::Range;

use super::plan::{LevelPlan, RouteId, Spread, Step};
use crate::tlb::access::Access;
use crate::tlb::cpu::MAX_STRUCTURES;

/// Bits of a lane's count.
const LANE_BITS: u32 = 9;
/// Places for keys of a lane; a power of two, so that no place needs a check. The keys of a batch are fewer, so that a
/// lane's count has room for them.
pub(super) const SLOTS: usize = 1 << LANE_BITS;
/// Lanes whose counts fit into one word.
pub(super) const LANES: usize = 7;
/// Places for all lanes: one lane for each structure, and one for what none holds.
const LIST_SLOTS: usize = (MAX_STRUCTURES + 1).next_power_of_two() * SLOTS;
/// The look-ups of a batch at one level: a list for each lane, one after the other.
pub(super) struct Lists {
    keys: Box<[u64; LIST_SLOTS]>,
    /// Which access of the batch each key is from.
    at: Box<[u16; LIST_SLOTS]>,
}

impl Lists {
    pub fn new() -> Self {
        const MANY: &str = "it has so many places";
        Self {
            keys: vec![0; LIST_SLOTS].into_boxed_slice().try_into().expect(MANY),
            at: vec![0; LIST_SLOTS].into_boxed_slice().try_into().expect(MANY),
        }
    }

    /// The keys of these places of the lists.
    pub fn keys(&self, list: Range<usize>) -> &[u64] {
        &self.keys[list]
    }

    /// Which access of the batch each key of these is from.
    pub fn places(&self, list: Range<usize>) -> &[u16] {
        &self.at[list]
    }

    /// Lists accesses, given with their places in the batch, for the structures of a level. `only` is the route of all
    /// of them if they have the same.
    #[inline(always)]
    pub fn fill<const N: usize>(
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
pub(super) struct Lengths<const N: usize>([u64; N]);

impl<const N: usize> Lengths<N> {
    /// The word of a lane, and where in it.
    #[inline(always)]
    const fn place(lane: usize) -> (usize, u32) {
        if N == 1 { (0, lane as u32 * LANE_BITS) } else { (lane / LANES, (lane % LANES) as u32 * LANE_BITS) }
    }

    #[inline(always)]
    pub const fn get(&self, lane: usize) -> usize {
        let (word, shift) = Self::place(lane);
        (self.0[word] >> shift) as usize % SLOTS
    }

    #[inline(always)]
    const fn add(&mut self, lane: usize, count: u64) {
        let (word, shift) = Self::place(lane);
        self.0[word] += count << shift;
    }
}
