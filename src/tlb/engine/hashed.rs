//! Many ways under any policy: a hash table over all entries finds a key.

use super::bank::{Bank, CLASS_BITS, EMPTY, hash};
use super::index::SetIndex;
use super::policy::Policy;

/// Buckets for each entry: with four, few entries share one.
const BUCKETS_PER_ENTRY: usize = 4;

/// Sets of any number of ways. An entry's slot is its set times the ways plus its way.
pub(super) struct Hashed<P> {
    /// The first slot of each bucket, or the slot that holds nothing.
    buckets: Vec<u32>,
    /// The next slot of the same bucket.
    chain: Vec<u32>,
    /// The key of each slot; the last slot is the end of every chain.
    keys: Vec<u64>,
    /// The first way of each set that may be empty; `ways` if none is.
    first_free: Vec<u32>,
    policy: P,
    ways: usize,
    shift: u32,
    index: SetIndex,
}

impl<P: Policy> Hashed<P> {
    pub fn new(policy: P, sets: usize, ways: usize, index: SetIndex) -> Self {
        let entries = sets * ways;
        let buckets = (BUCKETS_PER_ENTRY * entries).next_power_of_two();
        Self {
            buckets: vec![entries as u32; buckets],
            chain: vec![entries as u32; entries + 1],
            keys: vec![EMPTY; entries + 1],
            first_free: vec![0; sets],
            policy,
            ways,
            shift: u64::BITS - buckets.trailing_zeros(),
            index,
        }
    }

    const fn end(&self) -> usize {
        self.keys.len() - 1
    }

    #[inline(always)]
    const fn bucket(&self, key: u64) -> usize {
        (hash(key) >> self.shift) as usize
    }

    /// The slot of a key.
    #[inline(always)]
    fn find(&self, key: u64) -> Option<usize> {
        let mut slot = self.buckets[self.bucket(key)] as usize;
        while self.keys[slot] != key {
            if slot == self.end() {
                return None;
            }
            slot = self.chain[slot] as usize;
        }
        Some(slot)
    }

    #[inline(always)]
    fn set_of(&self, key: u64) -> usize {
        self.index.set(key >> CLASS_BITS)
    }

    fn unlink(&mut self, slot: usize) {
        let bucket = self.bucket(self.keys[slot]);
        let after = self.chain[slot];
        let mut at = self.buckets[bucket] as usize;
        if at == slot {
            self.buckets[bucket] = after;
            return;
        }
        while self.chain[at] as usize != slot {
            at = self.chain[at] as usize;
        }
        self.chain[at] = after;
    }

    /// The first empty way of a set.
    fn free_way(&mut self, set: usize) -> Option<usize> {
        let mut way = self.first_free[set] as usize;
        while way < self.ways && self.keys[set * self.ways + way] != EMPTY {
            way += 1;
        }
        self.first_free[set] = way as u32;
        (way < self.ways).then_some(way)
    }

    /// Puts a key that is not there into its set.
    #[inline(always)]
    fn place(&mut self, set: usize, key: u64) -> Option<u64> {
        let free = if (self.first_free[set] as usize) < self.ways { self.free_way(set) } else { None };
        let way = match free {
            Some(way) => way,
            None => self.policy.victim(set),
        };
        let slot = set * self.ways + way;
        let victim = self.keys[slot];
        if victim != EMPTY {
            self.unlink(slot);
        }
        self.keys[slot] = key;
        let bucket = self.bucket(key);
        self.chain[slot] = self.buckets[bucket];
        self.buckets[bucket] = slot as u32;
        self.policy.touch(set, way);
        (victim != EMPTY).then_some(victim)
    }
}

impl<P: Policy + Send> Bank for Hashed<P> {
    #[inline(always)]
    fn access(&mut self, key: u64) -> bool {
        let hit = self.touch(key);
        if !hit {
            self.place(self.set_of(key), key);
        }
        hit
    }

    #[inline(always)]
    fn touch(&mut self, key: u64) -> bool {
        let Some(slot) = self.find(key) else { return false };
        let set = self.set_of(key);
        self.policy.touch(set, slot - set * self.ways);
        true
    }

    fn insert(&mut self, key: u64) -> Option<u64> {
        self.place(self.set_of(key), key)
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(slot) = self.find(key) else { return false };
        self.unlink(slot);
        self.keys[slot] = EMPTY;
        let (set, way) = (slot / self.ways, slot % self.ways);
        self.first_free[set] = self.first_free[set].min(way as u32);
        true
    }

    fn flush(&mut self) {
        let end = self.end() as u32;
        self.buckets.fill(end);
        self.chain.fill(end);
        self.keys.fill(EMPTY);
        self.first_free.fill(0);
        self.policy.reset();
    }
}
