//! Which chunks of a pack are taken, with a fast first fit.
//!
//! The kernel scans the pack's bitmap from bit 0 for a run of zero bits
//! (`bitmap_find_next_zero_area` in `bpf_prog_pack_alloc@5.18`). Here a tree over
//! the 64-bit words of the bitmap knows, for every range of words, the free run at
//! its start, at its end, and the longest one inside, so that the same place is
//! found without looking at every bit.

use super::packs::masks;

/// Chunks in one word of the bitmap.
const WORD: u32 = u64::BITS;

/// Free runs of a range of chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Runs {
    /// Free chunks at the start.
    prefix: u32,
    /// Free chunks at the end.
    suffix: u32,
    /// The longest free run.
    best: u32,
}

impl Runs {
    /// The runs of one word; a set bit is a taken chunk.
    #[inline]
    fn of_word(taken: u64) -> Self {
        if taken == 0 {
            return Self { prefix: WORD, suffix: WORD, best: WORD };
        }
        Self { prefix: taken.trailing_zeros(), suffix: taken.leading_zeros(), best: longest_run(!taken) }
    }

    /// The runs of two neighbouring ranges of `len` chunks each.
    #[inline]
    fn joined(left: Self, right: Self, len: u32) -> Self {
        Self {
            prefix: if left.prefix == len { len + right.prefix } else { left.prefix },
            suffix: if right.suffix == len { len + left.suffix } else { right.suffix },
            best: left.best.max(right.best).max(left.suffix + right.prefix),
        }
    }
}

/// The length of the longest run of set bits.
#[inline]
fn longest_run(bits: u64) -> u32 {
    // `starts[k]` has a bit wherever a run of 2^k begins; the longest run is put together from the largest pieces.
    let mut starts = [bits; 6];
    for k in 1..6 {
        starts[k] = starts[k - 1] & (starts[k - 1] >> (1 << (k - 1)));
    }
    let mut length = 0;
    let mut at = u64::MAX;
    for k in (0..6).rev() {
        let longer = at & (starts[k] >> length);
        if longer != 0 {
            at = longer;
            length += 1 << k;
        }
    }
    length
}

/// The bits where a run of `len` set bits starts (1 to 64).
#[inline]
fn run_starts(mut bits: u64, len: u32) -> u64 {
    let mut have = 1;
    while have < len {
        let step = have.min(len - have);
        bits &= bits >> step;
        have += step;
    }
    bits
}

/// The chunks of one pack.
#[derive(Clone, Debug)]
pub struct ChunkMap {
    /// One bit a chunk, set while it is taken.
    words: Vec<u64>,
    /// Implicit tree: node 1 is the root, the leaves are the words (rounded up to a power of two).
    tree: Vec<Runs>,
    leaves: u32,
    taken: u32,
}

impl ChunkMap {
    /// A pack of this many chunks (a multiple of 64), all free.
    ///
    /// # Panics
    /// If the number is 0 or no multiple of 64.
    pub fn new(chunks: u32) -> Self {
        assert!(chunks > 0 && chunks.is_multiple_of(WORD), "a pack has whole words of chunks");
        let words = (chunks / WORD) as usize;
        let leaves = words.next_power_of_two();
        let mut map =
            Self { words: vec![0; words], tree: vec![Runs::default(); 2 * leaves], leaves: leaves as u32, taken: 0 };
        for leaf in 0..words {
            map.tree[leaves + leaf] = Runs::of_word(0);
        }
        for node in (1..leaves).rev() {
            map.tree[node] = map.children_joined(node);
        }
        map
    }

    /// Chunks in the pack.
    pub fn chunks(&self) -> u32 {
        self.words.len() as u32 * WORD
    }

    /// Chunks that are taken.
    #[inline]
    pub const fn taken(&self) -> u32 {
        self.taken
    }

    /// The longest run of free chunks.
    #[inline]
    pub fn longest_free(&self) -> u32 {
        self.tree[1].best
    }

    /// Takes the first run of `count` free chunks and returns its first chunk; `None` if there is none.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 || self.longest_free() < count {
            return None;
        }
        let start = self.first_run(count);
        self.set(start, count, true);
        self.taken += count;
        Some(start)
    }

    /// Gives `count` chunks from `start` on back.
    ///
    /// # Panics
    /// In debug builds, if one of them is free.
    pub fn give(&mut self, start: u32, count: u32) {
        debug_assert!((start..start + count).all(|chunk| self.is_taken(chunk)), "a free chunk was freed");
        self.set(start, count, false);
        self.taken -= count;
    }

    /// Whether the chunk is taken.
    pub fn is_taken(&self, chunk: u32) -> bool {
        self.words[(chunk / WORD) as usize] & (1 << (chunk % WORD)) != 0
    }

    /// The first run of `count` free chunks; one must exist.
    fn first_run(&self, count: u32) -> u32 {
        let (mut node, mut start, mut half) = (1_usize, 0_u32, self.leaves * WORD / 2);
        while node < self.leaves as usize {
            let (left, right) = (self.tree[2 * node], self.tree[2 * node + 1]);
            if left.best >= count {
                node *= 2;
            } else if left.suffix + right.prefix >= count {
                return start + half - left.suffix;
            } else {
                node = 2 * node + 1;
                start += half;
            }
            half /= 2;
        }
        let free = !self.words[node - self.leaves as usize];
        start + run_starts(free, count).trailing_zeros()
    }

    /// Marks chunks and brings the tree up to date.
    fn set(&mut self, start: u32, count: u32, taken: bool) {
        let (first, last) = ((start / WORD) as usize, ((start + count - 1) / WORD) as usize);
        for (word, mask) in masks(start, count) {
            if taken {
                self.words[word] |= mask;
            } else {
                self.words[word] &= !mask;
            }
            self.tree[self.leaves as usize + word] = Runs::of_word(self.words[word]);
        }
        self.update_above(first, last);
    }

    /// Joins the nodes above the leaves `first..=last` anew; stops where nothing changes.
    fn update_above(&mut self, first: usize, last: usize) {
        let (mut low, mut high) = ((self.leaves as usize + first) / 2, (self.leaves as usize + last) / 2);
        while low >= 1 {
            let mut changed = false;
            for node in low..=high {
                let joined = self.children_joined(node);
                changed |= joined != self.tree[node];
                self.tree[node] = joined;
            }
            if !changed {
                return;
            }
            (low, high) = (low / 2, high / 2);
        }
    }

    #[inline]
    fn children_joined(&self, node: usize) -> Runs {
        let depth = node.ilog2();
        let half = (self.leaves >> (depth + 1)) * WORD;
        Runs::joined(self.tree[2 * node], self.tree[2 * node + 1], half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The kernel's own search, bit by bit.
    struct Scan(Vec<bool>);

    impl Scan {
        fn take(&mut self, count: usize) -> Option<u32> {
            let start =
                (0..self.0.len().saturating_sub(count - 1)).find(|&at| self.0[at..at + count].iter().all(|t| !t))?;
            self.0[start..start + count].fill(true);
            Some(start as u32)
        }

        fn longest_free(&self) -> u32 {
            self.0.split(|taken| *taken).map(<[bool]>::len).max().unwrap_or(0) as u32
        }
    }

    proptest! {
        #[test]
        fn finds_the_place_that_a_scan_finds(
            words in 1_u32..9,
            steps in prop::collection::vec((1_u32..150, any::<prop::sample::Index>(), 0..3_u8), 1..200),
        ) {
            let mut fast = ChunkMap::new(words * 64);
            let mut slow = Scan(vec![false; words as usize * 64]);
            let mut live: Vec<(u32, u32)> = Vec::new();
            for (count, which, kind) in steps {
                if kind == 0 && !live.is_empty() {
                    let (start, count) = live.swap_remove(which.index(live.len()));
                    fast.give(start, count);
                    slow.0[start as usize..(start + count) as usize].fill(false);
                } else {
                    // Small images are the rule, large ones the exception.
                    let count = if kind == 1 { count % 9 + 1 } else { count };
                    let found = fast.take(count);
                    prop_assert_eq!(found, slow.take(count as usize));
                    live.extend(found.map(|start| (start, count)));
                }
                prop_assert_eq!(fast.taken() as usize, slow.0.iter().filter(|taken| **taken).count());
                prop_assert_eq!(fast.longest_free(), slow.longest_free());
            }
        }
    }

    #[test]
    fn a_run_may_cross_words() {
        let mut map = ChunkMap::new(128);
        assert_eq!(map.take(63), Some(0));
        assert_eq!(map.take(2), Some(63));
        assert_eq!(map.take(64), None);
        assert_eq!(map.take(63), Some(65));
        assert_eq!(map.longest_free(), 0);
        map.give(0, 63);
        assert_eq!(map.take(64), None);
        assert_eq!(map.take(63), Some(0));
    }

    #[test]
    fn a_whole_pack_can_be_taken() {
        let mut map = ChunkMap::new(32_768);
        assert_eq!(map.take(32_768), Some(0));
        map.give(0, 32_768);
        assert_eq!((map.taken(), map.longest_free()), (0, 32_768));
        assert_eq!(map.take(32_769), None);
    }
}
