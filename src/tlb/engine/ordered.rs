//! Few ways under LRU: a set keeps its keys in the order of their last use, the latest first.

use std::hint::select_unpredictable;

use super::bank::{Bank, CLASS_BITS, EMPTY};
use super::index::{KeySets, SetIndex};

/// Sets of `W` keys.
///
/// Where a key is found cannot be foreseen, so an access moves all keys with conditional moves and no branch.
pub(super) struct Ordered<const W: usize> {
    sets: Vec<[u64; W]>,
    index: SetIndex,
}

impl<const W: usize> Ordered<W> {
    pub fn new(sets: usize, index: SetIndex) -> Self {
        Self { sets: vec![[EMPTY; W]; sets], index }
    }

    #[inline(always)]
    fn set(&mut self, key: u64) -> &mut [u64; W] {
        &mut self.sets[self.index.set(key >> CLASS_BITS)]
    }
}

impl<const W: usize> KeySets for Vec<[u64; W]> {
    #[inline(always)]
    fn access(&mut self, set: usize, key: u64) -> bool {
        let mut found = false;
        let mut carried = key;
        for slot in &mut self[set] {
            let here = *slot;
            *slot = select_unpredictable(found, here, carried);
            found |= here == key;
            carried = here;
        }
        found
    }
}

impl<const W: usize> Bank for Ordered<W> {
    fn access(&mut self, key: u64) -> bool {
        self.sets.access(self.index.set(key >> CLASS_BITS), key)
    }

    fn access_all(&mut self, keys: &[u64], missed: &mut [u8]) {
        self.index.for_all(keys, missed, &mut self.sets);
    }

    fn touch(&mut self, key: u64) -> bool {
        self.set(key).contains(&key) && self.access(key)
    }

    fn insert(&mut self, key: u64) -> Option<u64> {
        let last = self.set(key)[W - 1];
        self.access(key);
        (last != EMPTY).then_some(last)
    }

    fn remove(&mut self, key: u64) -> bool {
        let set = self.set(key);
        let Some(at) = set.iter().position(|held| *held == key) else { return false };
        set[at..].rotate_left(1);
        set[W - 1] = EMPTY;
        true
    }

    fn flush(&mut self) {
        self.sets.fill([EMPTY; W]);
    }
}
