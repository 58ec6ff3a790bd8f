//! Up to sixteen ways under any policy: keys stay in their ways, the policy keeps the order.

use std::hint::select_unpredictable;

use super::bank::{Bank, CLASS_BITS, EMPTY, hash};
use super::index::{KeySets, SetIndex};
use super::policy::Policy;

/// The keys of all sets, by set and way.
pub(super) trait Tags {
    /// The way that holds a key, and whether one does.
    fn find(&self, set: usize, key: u64) -> (usize, bool);

    /// The key of a way.
    fn get(&self, set: usize, way: usize) -> u64;

    /// Puts a key into a way; `known` if it is there already, so that nothing needs to be written.
    fn put(&mut self, set: usize, way: usize, key: u64, known: bool);

    /// Empties every way.
    fn clear(&mut self);
}

/// Keys of up to `W` ways, compared one by one.
pub(super) struct Narrow<const W: usize>(Vec<[u64; W]>);

impl<const W: usize> Narrow<W> {
    pub fn new(sets: usize) -> Self {
        Self(vec![[EMPTY; W]; sets])
    }
}

impl<const W: usize> Tags for Narrow<W> {
    #[inline(always)]
    fn find(&self, set: usize, key: u64) -> (usize, bool) {
        let keys = &self.0[set];
        let mut mask = 0u32;
        for (way, held) in keys.iter().enumerate() {
            mask |= u32::from(*held == key) << way;
        }
        ((mask.trailing_zeros() as usize).min(W - 1), mask != 0)
    }

    #[inline(always)]
    fn get(&self, set: usize, way: usize) -> u64 {
        self.0[set][way]
    }

    #[inline(always)]
    fn put(&mut self, set: usize, way: usize, key: u64, _known: bool) {
        self.0[set][way] = key;
    }

    fn clear(&mut self) {
        self.0.fill([EMPTY; W]);
    }
}

/// Lanes of a wide set.
const LANES: usize = 16;

/// Keys of up to sixteen ways. Sixteen bits of each are compared at once; what matches there is compared whole.
pub(super) struct Sixteen {
    parts: Vec<[u16; LANES]>,
    keys: Vec<[u64; LANES]>,
}

impl Sixteen {
    pub fn new(sets: usize) -> Self {
        // One more set, never looked at, takes what need not be written: a store of one part delays the next load
        // of all sixteen by more than everything else takes.
        let mut new = Self { parts: vec![[0; LANES]; sets + 1], keys: vec![[0; LANES]; sets + 1] };
        new.clear();
        new
    }

    #[inline(always)]
    const fn part(key: u64) -> u16 {
        (hash(key) >> 48) as u16
    }
}

impl Tags for Sixteen {
    #[inline(always)]
    fn find(&self, set: usize, key: u64) -> (usize, bool) {
        let part = Self::part(key);
        let mut bits = [0u16; LANES];
        for (way, (bit, held)) in bits.iter_mut().zip(&self.parts[set]).enumerate() {
            *bit = if *held == part { 1 << way } else { 0 };
        }
        let mut mask = bits.iter().fold(0, |mask, bit| mask | bit);
        let keys = &self.keys[set];
        let mut way = mask.trailing_zeros() as usize % LANES;
        let mut found = keys[way] == key;
        // Hardly ever: two keys of a set have the same part.
        while (mask != 0) != found {
            mask &= mask - 1;
            way = mask.trailing_zeros() as usize % LANES;
            found = mask != 0 && keys[way] == key;
        }
        (way, found)
    }

    #[inline(always)]
    fn get(&self, set: usize, way: usize) -> u64 {
        self.keys[set][way]
    }

    #[inline(always)]
    fn put(&mut self, set: usize, way: usize, key: u64, known: bool) {
        let set = select_unpredictable(known, self.keys.len() - 1, set);
        self.parts[set][way] = Self::part(key);
        self.keys[set][way] = key;
    }

    fn clear(&mut self) {
        self.parts.fill([Self::part(EMPTY); LANES]);
        self.keys.fill([EMPTY; LANES]);
    }
}

/// Sets of up to sixteen ways.
pub(super) struct Sets<T, P> {
    entries: Entries<T, P>,
    index: SetIndex,
}

struct Entries<T, P> {
    tags: T,
    policy: P,
    /// Ways of each set that hold nothing.
    free: Vec<u8>,
    ways: usize,
}

impl<T: Tags, P: Policy> Sets<T, P> {
    pub fn new(tags: T, policy: P, sets: usize, ways: usize, index: SetIndex) -> Self {
        Self { entries: Entries { tags, policy, free: vec![ways as u8; sets], ways }, index }
    }

    #[inline(always)]
    fn set_of(&self, key: u64) -> usize {
        self.index.set(key >> CLASS_BITS)
    }
}

impl<T: Tags, P: Policy> Entries<T, P> {
    /// Takes the first empty way for a key that is not there.
    #[cold]
    fn fill(&mut self, set: usize, key: u64) {
        let way = (0..self.ways).find(|way| self.tags.get(set, *way) == EMPTY).expect("`free` counts the empty ways");
        self.free[set] -= 1;
        self.tags.put(set, way, key, false);
        self.policy.touch(set, way);
    }
}

impl<T: Tags, P: Policy> KeySets for Entries<T, P> {
    #[inline(always)]
    fn access(&mut self, set: usize, key: u64) -> bool {
        let (at, hit) = self.tags.find(set, key);
        if self.free[set] > 0 && !hit {
            self.fill(set, key);
            return false;
        }
        let way = if P::DRAWS {
            if hit { at } else { self.policy.victim(set) }
        } else {
            let victim = self.policy.victim(set);
            select_unpredictable(hit, at, victim)
        };
        self.tags.put(set, way, key, hit);
        self.policy.touch(set, way);
        hit
    }
}

impl<T: Tags + Send, P: Policy + Send> Bank for Sets<T, P> {
    fn access(&mut self, key: u64) -> bool {
        self.entries.access(self.set_of(key), key)
    }

    fn access_all(&mut self, keys: &[u64], missed: &mut [u8]) {
        self.index.for_all(keys, missed, &mut self.entries);
    }

    fn touch(&mut self, key: u64) -> bool {
        let set = self.set_of(key);
        let (way, hit) = self.entries.tags.find(set, key);
        if hit {
            self.entries.policy.touch(set, way);
        }
        hit
    }

    fn insert(&mut self, key: u64) -> Option<u64> {
        let set = self.set_of(key);
        if self.entries.free[set] > 0 {
            self.entries.fill(set, key);
            return None;
        }
        let way = self.entries.policy.victim(set);
        let victim = self.entries.tags.get(set, way);
        self.entries.tags.put(set, way, key, false);
        self.entries.policy.touch(set, way);
        Some(victim)
    }

    fn remove(&mut self, key: u64) -> bool {
        let set = self.set_of(key);
        let (way, hit) = self.entries.tags.find(set, key);
        if hit {
            self.entries.tags.put(set, way, EMPTY, false);
            self.entries.free[set] += 1;
        }
        hit
    }

    fn flush(&mut self) {
        self.entries.tags.clear();
        self.entries.policy.reset();
        self.entries.free.fill(self.entries.ways as u8);
    }
}
