//! One set of many ways under LRU, as a log of uses.
//!
//! Uses are numbered. A page is held as long as its last use is not older than that of the oldest page held, so a
//! look-up needs no list of ways: it finds the number of the page's last use and compares it. What was given up stays in
//! the table until something else takes its slot.

use std::hint::select_unpredictable;

use super::bank::{Bank, HASH_FACTOR};

/// Most ways; with more, the table takes more memory than it is worth.
pub(super) const MOST_WAYS: usize = 1024;
/// Keys of a bucket.
const SLOTS: usize = 4;
/// Buckets for each way: with eight, hardly ever do five pages that are held share one.
const BUCKETS_PER_WAY: usize = 8;
/// Uses that fit into the log for each way, and at least.
const USES_PER_WAY: usize = 4;
const LEAST_USES: usize = 4096;
/// Buckets are doubled as long as a way has no more of them than this.
const MOST_BUCKETS_PER_WAY: usize = 64;

/// A structure that gives up what was used longest ago.
pub(super) struct Logged {
    table: Table,
    /// The page of each use.
    log: Vec<u64>,
    /// A bit for each use that is its page's last. What is older than the oldest page that is held does not count.
    last: Vec<u64>,
    /// The number of the next use; the first is 1.
    next: u32,
    /// The last use of the oldest page that is held; if none is, not after `next`.
    oldest: u32,
    /// The word of `last` that has the oldest page's bit, without what does not count.
    word: u64,
    held: usize,
    ways: usize,
}

/// Which use was the last of each page.
struct Table {
    keys: Vec<[u64; SLOTS]>,
    /// 0 is before every use.
    uses: Vec<[u32; SLOTS]>,
    /// Of the hash. Each time that pages are spread anew it is multiplied with the first one; all are odd, so that no two
    /// pages have the same product.
    factor: u64,
    shift: u32,
}

/// Where a page stands in the table, or may be put.
#[derive(Clone, Copy)]
struct Found {
    bucket: usize,
    slot: usize,
    /// The last use of what stands there.
    used: u32,
    /// Whether that is the page.
    known: bool,
}

impl Table {
    fn new(buckets: usize, factor: u64) -> Self {
        debug_assert!(buckets.is_power_of_two() && buckets > 1);
        let shift = u64::BITS - buckets.trailing_zeros();
        Self { keys: vec![[0; SLOTS]; buckets], uses: vec![[0; SLOTS]; buckets], factor, shift }
    }

    /// The slot of a page or, if it has none, the one of its bucket that was used longest ago.
    #[inline(always)]
    fn find(&self, key: u64) -> Found {
        let bucket = (key.wrapping_mul(self.factor) >> self.shift) as usize;
        let (keys, uses) = (&self.keys[bucket], self.uses[bucket]);
        let mask = keys.iter().enumerate().fold(0, |mask, (slot, held)| mask | u32::from(*held == key) << slot);
        let older = |a: (u32, usize), b: (u32, usize)| select_unpredictable(b.0 < a.0, b, a);
        let (low, high) = (older((uses[0], 0), (uses[1], 1)), older((uses[2], 2), (uses[3], 3)));
        let (_, oldest) = older(low, high);
        let known = mask != 0;
        let slot = select_unpredictable(known, mask.trailing_zeros() as usize, oldest) % SLOTS;
        Found { bucket, slot, used: self.uses[bucket][slot], known }
    }

    #[inline(always)]
    fn put(&mut self, found: Found, key: u64, used: u32) {
        self.keys[found.bucket][found.slot] = key;
        self.uses[found.bucket][found.slot] = used;
    }

    fn clear(&mut self) {
        self.uses.fill([0; SLOTS]);
    }
}

impl Logged {
    pub fn new(ways: usize) -> Self {
        let uses = (USES_PER_WAY * ways).max(LEAST_USES).next_multiple_of(64);
        Self {
            table: Table::new((BUCKETS_PER_WAY * ways).next_power_of_two(), HASH_FACTOR),
            log: vec![0; uses],
            last: vec![0; uses / 64],
            next: 1,
            oldest: 1,
            word: 0,
            held: 0,
            ways,
        }
    }

    #[inline(always)]
    const fn holds(&self, found: Found) -> bool {
        found.known & (found.used >= self.oldest)
    }

    /// Notes the use of a page that stands, or is to stand, in this slot.
    #[inline(always)]
    fn note(&mut self, found: Found, key: u64, held: bool) {
        let now = self.next;
        self.clear(found.used, held);
        self.table.put(found, key, now);
        self.log[now as usize] = key;
        let (at, bit) = (now as usize / 64, 1 << (now % 64));
        self.last[at] |= bit;
        self.word |= select_unpredictable(at == self.oldest as usize / 64, bit, 0);
        self.next += 1;
        self.held += usize::from(!held);
        let full = self.held > self.ways;
        self.held -= usize::from(full);
        self.word &= self.word.wrapping_sub(u64::from(full));
        self.skip();
    }

    /// Clears the bit of a use if it is `really` one.
    #[inline(always)]
    fn clear(&mut self, used: u32, really: bool) {
        let (at, bit) = (used as usize / 64, u64::from(really) << (used % 64));
        self.last[at] &= !bit;
        self.word &= !select_unpredictable(at == self.oldest as usize / 64, bit, 0);
    }

    /// Moves on to the oldest page that is held; there is one.
    #[inline(always)]
    fn skip(&mut self) {
        let mut at = self.oldest / 64;
        while self.word == 0 {
            at += 1;
            self.word = self.last[at as usize];
        }
        self.oldest = at * 64 + self.word.trailing_zeros();
    }

    /// Makes room for one more use of a page, and finds its slot.
    #[inline(always)]
    fn room_for(&mut self, key: u64) -> Found {
        if self.next as usize == self.log.len() {
            self.renumber();
        }
        let mut found = self.table.find(key);
        // One comparison, so that whether the page is known decides no branch.
        while select_unpredictable(found.known, 0, found.used) >= self.oldest {
            self.enlarge();
            found = self.table.find(key);
        }
        found
    }

    /// Numbers the uses from 1 again.
    #[cold]
    #[inline(never)]
    fn renumber(&mut self) {
        let kept: Vec<u64> = self.in_order().map(|used| self.log[used]).collect();
        self.forget();
        for key in kept {
            let found = self.room_for(key);
            self.note(found, key, false);
        }
    }

    /// Spreads the pages over more buckets, or differently.
    #[cold]
    #[inline(never)]
    fn enlarge(&mut self) {
        let buckets = self.table.keys.len();
        let larger = if buckets < MOST_BUCKETS_PER_WAY * self.ways { 2 * buckets } else { buckets };
        self.table = Table::new(larger, self.table.factor.wrapping_mul(HASH_FACTOR));
        let kept: Vec<usize> = self.in_order().collect();
        for used in kept {
            let found = self.table.find(self.log[used]);
            if found.used > 0 {
                return self.enlarge();
            }
            self.table.put(found, self.log[used], used as u32);
        }
    }

    /// The uses of the pages that are held, from the oldest on.
    fn in_order(&self) -> impl Iterator<Item = usize> {
        let first = self.oldest as usize / 64;
        let bits = move |(at, word): (usize, &u64)| {
            let word = if at == first { self.word } else { *word };
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        };
        self.last.iter().enumerate().skip(first).flat_map(bits)
    }

    fn forget(&mut self) {
        self.table.clear();
        self.last.fill(0);
        (self.next, self.oldest, self.word, self.held) = (1, 1, 0, 0);
    }
}

impl Bank for Logged {
    #[inline(always)]
    fn access(&mut self, key: u64) -> bool {
        let found = self.room_for(key);
        let held = self.holds(found);
        self.note(found, key, held);
        held
    }

    fn touch(&mut self, key: u64) -> bool {
        self.holds(self.table.find(key)) && self.access(key)
    }

    fn insert(&mut self, key: u64) -> Option<u64> {
        let victim = (self.held == self.ways).then(|| self.log[self.oldest as usize]);
        self.access(key);
        victim
    }

    fn remove(&mut self, key: u64) -> bool {
        let found = self.table.find(key);
        let held = self.holds(found);
        if held {
            self.clear(found.used, true);
            self.table.put(found, key, 0);
            self.held -= 1;
            if self.held > 0 {
                self.skip();
            }
        }
        held
    }

    fn flush(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Component, Stream};

    /// The same as a list of the pages that are held, the latest last.
    struct Listed {
        pages: Vec<u64>,
        ways: usize,
    }

    impl Listed {
        fn access(&mut self, key: u64) -> bool {
            let held = self.remove(key);
            if self.pages.len() == self.ways {
                self.pages.remove(0);
            }
            self.pages.push(key);
            held
        }

        fn remove(&mut self, key: u64) -> bool {
            let at = self.pages.iter().position(|page| *page == key);
            at.map(|at| self.pages.remove(at)).is_some()
        }
    }

    /// Does the same on both for a while: pages `of` whatever number below `pages`.
    fn agree(ways: usize, pages: u64, of: impl Fn(u64) -> u64) -> Logged {
        let mut random = Stream::new(5, Component::Tlb, 0);
        let (mut fast, mut slow) = (Logged::new(ways), Listed { pages: Vec::new(), ways });
        for step in 0..20_000 {
            let key = of(random.below(pages).min(random.below(pages)));
            match random.below(200) {
                0..4 => assert_eq!(fast.remove(key), slow.remove(key), "{step}"),
                4..8 => {
                    let known = slow.pages.contains(&key);
                    assert_eq!(fast.touch(key), known, "{step}");
                    assert!(!known || slow.access(key));
                }
                8..20 if !slow.pages.contains(&key) => {
                    let victim = (slow.pages.len() == ways).then(|| slow.pages[0]);
                    assert_eq!(fast.insert(key), victim, "{step}");
                    slow.access(key);
                }
                20 if step % 50 == 0 => {
                    fast.flush();
                    slow.pages.clear();
                }
                _ => assert_eq!(fast.access(key), slow.access(key), "{step}"),
            }
        }
        fast
    }

    #[test]
    fn it_gives_up_what_was_used_longest_ago() {
        for (ways, pages) in [(1, 3), (2, 3), (17, 20), (48, 60), (72, 2000), (128, 130), (1024, 1500)] {
            agree(ways, pages, |page| page);
            agree(ways, pages, |page| page << 19 | 1);
        }
    }

    #[test]
    fn pages_that_share_a_bucket_are_spread_anew() {
        // The inverse of the factor, so that the hash is the page's number and all of them begin in the first bucket.
        let inverse = (0..6).fold(1u64, |near, _| near.wrapping_mul(2u64.wrapping_sub(HASH_FACTOR.wrapping_mul(near))));
        assert_eq!(inverse.wrapping_mul(HASH_FACTOR), 1);
        let spread = agree(72, 200, |page| page.wrapping_mul(inverse));
        assert_ne!(spread.table.factor, HASH_FACTOR);
    }
}
