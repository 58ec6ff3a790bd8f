//! Which entry of a full set gives way.

use crate::rng::Stream;

/// The order in which a structure's sets give up their entries.
pub(super) trait Policy {
    /// Whether a victim is a random number, which must be drawn only where it is needed.
    const DRAWS: bool = false;

    /// An entry was used.
    fn touch(&mut self, set: usize, way: usize);

    /// The way that gives way next; every way of the set holds an entry.
    fn victim(&mut self, set: usize) -> usize;

    /// All entries are gone.
    fn reset(&mut self);
}

/// A policy of which a set's state is one word, kept for one set.
pub(super) trait OneWord: Policy {
    fn word(&self) -> u64;

    fn set_word(&mut self, word: u64);
}

impl OneWord for NibbleLru {
    fn word(&self) -> u64 {
        self.order[0]
    }

    fn set_word(&mut self, word: u64) {
        self.order[0] = word;
    }
}

impl OneWord for TreePlru {
    fn word(&self) -> u64 {
        self.bits[0]
    }

    fn set_word(&mut self, word: u64) {
        self.bits[0] = word;
    }
}

/// Every nibble 1; times a nibble, every nibble that one.
const NIBBLES: u64 = 0x1111_1111_1111_1111;

/// Least recently used first, for 2 to 16 ways: a word per set holds the ways in the order of their last use, one
/// nibble each, the latest in the lowest.
pub(super) struct NibbleLru {
    order: Vec<u64>,
    start: u64,
    victim_shift: u32,
}

impl NibbleLru {
    pub fn new(sets: usize, ways: usize) -> Self {
        debug_assert!((2..=16).contains(&ways));
        // Nibbles past the last way hold 15, which is no way, or is the way that stands in the last one.
        let unused = if ways == 16 { 0 } else { u64::MAX << (4 * ways) };
        let start = (0..ways).fold(unused, |order, way| order | (way as u64) << (4 * (ways - 1 - way)));
        Self { order: vec![start; sets], start, victim_shift: 4 * (ways as u32 - 1) }
    }
}

impl Policy for NibbleLru {
    #[inline(always)]
    fn touch(&mut self, set: usize, way: usize) {
        let order = &mut self.order[set];
        let difference = *order ^ NIBBLES.wrapping_mul(way as u64);
        // The lowest nibble that is 0 has its highest bit set here; others may have it above that one.
        let zero = difference.wrapping_sub(NIBBLES) & !difference & (NIBBLES << 3);
        let at = zero.trailing_zeros() & 0x3c;
        let later = (1u64 << at) - 1;
        let up_to_it = (0x10u64 << at).wrapping_sub(1);
        *order = *order & !up_to_it | (*order & later) << 4 | way as u64;
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> usize {
        (self.order[set] >> self.victim_shift) as usize & 15
    }

    fn reset(&mut self) {
        self.order.fill(self.start);
    }
}

/// Least recently used first, for any number of ways: each set's ways are a ring, the latest after the ring's head.
pub(super) struct ListLru {
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Ways and the head.
    ring: usize,
}

impl ListLru {
    pub fn new(sets: usize, ways: usize) -> Self {
        let ring = ways + 1;
        let mut list = Self { next: vec![0; sets * ring], previous: vec![0; sets * ring], ring };
        list.reset();
        list
    }
}

impl Policy for ListLru {
    #[inline(always)]
    fn touch(&mut self, set: usize, way: usize) {
        let ring = set * self.ring..(set + 1) * self.ring;
        let (next, previous) = (&mut self.next[ring.clone()], &mut self.previous[ring]);
        let head = next.len() - 1;
        let latest = next[head] as usize;
        if latest == way {
            return;
        }
        let (before, after) = (previous[way], next[way]);
        next[before as usize] = after;
        previous[after as usize] = before;
        (next[way], previous[way]) = (latest as u32, head as u32);
        previous[latest] = way as u32;
        next[head] = way as u32;
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> usize {
        self.previous[(set + 1) * self.ring - 1] as usize
    }

    fn reset(&mut self) {
        for (at, (next, previous)) in self.next.iter_mut().zip(&mut self.previous).enumerate() {
            let way = at % self.ring;
            *next = ((way + 1) % self.ring) as u32;
            *previous = ((way + self.ring - 1) % self.ring) as u32;
        }
    }
}

/// What an access to a way does to the bits of its set.
#[derive(Clone, Copy, Default)]
struct Change {
    keep: u64,
    set: u64,
}

/// A binary tree of bits, each pointing to the half that gives way first; an access turns those above it away.
///
/// Bit `n` of a set's word is node `n`: node 1 is the root, node `2n` left below node `n`.
pub(super) struct TreePlru {
    bits: Vec<u64>,
    changes: Vec<Change>,
    depth: u32,
}

impl TreePlru {
    pub fn new(sets: usize, ways: usize) -> Self {
        debug_assert!(ways.is_power_of_two() && ways <= 64);
        let depth = ways.trailing_zeros();
        Self { bits: vec![0; sets], changes: (0..ways).map(|way| away_from(way, depth)).collect(), depth }
    }
}

/// Points every node above a way to the other side.
fn away_from(way: usize, depth: u32) -> Change {
    let mut change = Change { keep: u64::MAX, set: 0 };
    let mut node = 1;
    for level in (0..depth).rev() {
        let right = way >> level & 1;
        change.keep &= !(1 << node);
        change.set |= (1 - right as u64) << node;
        node = 2 * node + right;
    }
    change
}

impl Policy for TreePlru {
    #[inline(always)]
    fn touch(&mut self, set: usize, way: usize) {
        let change = self.changes[way];
        self.bits[set] = self.bits[set] & change.keep | change.set;
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> usize {
        let bits = self.bits[set];
        let node = (0..self.depth).fold(1, |node, _| 2 * node + (bits >> node & 1) as usize);
        node - (1 << self.depth)
    }

    fn reset(&mut self) {
        self.bits.fill(0);
    }
}

/// Groups of ways.
const GROUPS: usize = 3;
/// Ways of a group.
const GROUP: usize = 4;
/// Bits that name the group used last.
const LATEST_BITS: u32 = 2;

/// Three groups of four ways with a tree each; the group after the one that was used last gives way.
///
/// Measured on the second level of Kaby Lake cores (`(MRU+1)%3PLRU4`, vusec/tlbdr).
pub(super) struct Mru3Plru4 {
    /// The group used last in the lowest two bits, then three bits for each group's tree.
    bits: Vec<u16>,
    changes: [Change; GROUPS * GROUP],
    victims: Vec<u8>,
}

impl Mru3Plru4 {
    pub fn new(sets: usize) -> Self {
        let mut changes = [Change::default(); GROUPS * GROUP];
        for (way, change) in changes.iter_mut().enumerate() {
            let (group, tree) = (way / GROUP, away_from(way % GROUP, 2));
            // A tree's nodes are 1 to 3; it is kept from its node 1 on.
            let shift = LATEST_BITS as usize + 3 * group;
            let cleared = ((!tree.keep >> 1) & 7) << shift | 3;
            *change = Change { keep: !cleared, set: (tree.set >> 1) << shift | group as u64 };
        }
        Self { bits: vec![0; sets], changes, victims: (0..1 << (LATEST_BITS + 9)).map(victim_of).collect() }
    }
}

fn victim_of(bits: u16) -> u8 {
    let group = (usize::from(bits & 3) + 1) % GROUPS;
    let tree = bits >> (LATEST_BITS as usize + 3 * group) & 7;
    let right = tree & 1;
    let last = tree >> (1 + right) & 1;
    (group * GROUP) as u8 + (2 * right + last) as u8
}

impl Policy for Mru3Plru4 {
    #[inline(always)]
    fn touch(&mut self, set: usize, way: usize) {
        let change = self.changes[way];
        self.bits[set] = (u64::from(self.bits[set]) & change.keep | change.set) as u16;
    }

    #[inline(always)]
    fn victim(&mut self, set: usize) -> usize {
        self.victims[usize::from(self.bits[set])].into()
    }

    fn reset(&mut self) {
        self.bits.fill(0);
    }
}

/// Any way.
pub(super) struct Random {
    stream: Stream,
    ways: u64,
}

impl Random {
    pub const fn new(stream: Stream, ways: usize) -> Self {
        Self { stream, ways: ways as u64 }
    }
}

impl Policy for Random {
    const DRAWS: bool = true;

    #[inline(always)]
    fn touch(&mut self, _set: usize, _way: usize) {}

    fn victim(&mut self, _set: usize) -> usize {
        self.stream.below(self.ways) as usize
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next victims of a set if each is filled again at once.
    fn victims(policy: &mut impl Policy, count: usize) -> Vec<usize> {
        let next = |_| {
            let way = policy.victim(0);
            policy.touch(0, way);
            way
        };
        (0..count).map(next).collect()
    }

    fn filled<P: Policy>(mut policy: P, ways: usize) -> P {
        (0..ways).for_each(|way| policy.touch(0, way));
        policy
    }

    #[test]
    fn lru_gives_up_what_was_used_longest_ago() {
        for ways in 2..=16 {
            let (mut nibbles, mut list) = (filled(NibbleLru::new(1, ways), ways), filled(ListLru::new(1, ways), ways));
            for at in 0..1000 {
                let way = at * 7919 % (2 * ways + 3) % ways;
                nibbles.touch(0, way);
                list.touch(0, way);
                assert_eq!(nibbles.victim(0), list.victim(0), "{ways} ways");
            }
            let mut order = filled(NibbleLru::new(1, ways), ways);
            order.touch(0, 0);
            assert_eq!(order.victim(0), 1);
        }
    }

    #[test]
    fn a_tree_turns_away_from_what_was_used() {
        // As in any textbook: after 0 1 2 3 the tree points to 0, then halves and their sides take turns.
        assert_eq!(victims(&mut filled(TreePlru::new(1, 4), 4), 6), [0, 2, 1, 3, 0, 2]);
        assert_eq!(victims(&mut filled(TreePlru::new(1, 8), 8), 8), [0, 4, 2, 6, 1, 5, 3, 7]);
        let mut tree = filled(TreePlru::new(1, 4), 4);
        tree.touch(0, 0);
        assert_eq!(tree.victim(0), 2);
    }

    #[test]
    fn the_group_after_the_latest_gives_way() {
        let mut policy = filled(Mru3Plru4::new(1), 12);
        assert_eq!(victims(&mut policy, 7), [0, 4, 8, 2, 6, 10, 1]);
        policy.touch(0, 11);
        assert_eq!(policy.victim(0), 3);
    }
}
