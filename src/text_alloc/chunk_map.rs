//! Which chunks of a pack are taken, with a fast first fit.
//!
//! The kernel scans the pack's bitmap from bit 0 for a run of zero bits
//! (`bitmap_find_next_zero_area` in `bpf_prog_pack_alloc@5.18`). Here the length of every free run is noted where it
//! starts, in a tree of maxima that finds the first one that is long enough, and where it ends, so that a freed image
//! finds its free neighbours at once. So the same place is found without looking at every bit.

use super::first_fit::FirstFit;

/// The chunks of one pack.
#[derive(Clone, Debug)]
pub struct ChunkMap {
    /// For each chunk, the length of the free run that starts there, 0 if none does.
    runs: FirstFit,
    /// For each chunk, the length of the free run that ends there, 0 if none does.
    ends: Vec<u32>,
    taken: u32,
}

impl ChunkMap {
    /// A pack of this many chunks (a multiple of 64), all free.
    ///
    /// # Panics
    /// If the number is 0 or no multiple of 64.
    pub fn new(chunks: u32) -> Self {
        assert!(chunks > 0 && chunks.is_multiple_of(64), "a pack has whole pages of chunks");
        let mut runs = FirstFit::with_places(chunks as usize);
        runs.set(0, chunks);
        let mut ends = vec![0; chunks as usize];
        ends[chunks as usize - 1] = chunks;
        Self { runs, ends, taken: 0 }
    }

    /// Chunks in the pack.
    pub fn chunks(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Chunks that are taken.
    #[inline]
    pub const fn taken(&self) -> u32 {
        self.taken
    }

    /// The longest run of free chunks.
    #[inline]
    pub fn longest_free(&self) -> u32 {
        self.runs.most()
    }

    /// Takes the first run of `count` free chunks and returns its first chunk; `None` if there is none.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return None;
        }
        let start = self.runs.first(count)?;
        let length = self.runs.room(start);
        let left = length - count;
        self.ends[start + length as usize - 1] = left;
        if left > 0 {
            // Before the whole run goes, so that the tree keeps most of its maxima.
            self.runs.raise(start + count as usize, left);
        }
        self.runs.set(start, 0);
        self.taken += count;
        Some(start as u32)
    }

    /// Gives `count` chunks from `start` on back.
    ///
    /// # Panics
    /// In debug builds, if one of them is free.
    pub fn give(&mut self, start: u32, count: u32) {
        debug_assert!(
            self.run_up_to(start + count - 1).is_none_or(|(free, length)| free + length <= start),
            "a free chunk was freed"
        );
        let end = start + count;
        // The chunk before is taken or ends a free run; the chunk behind is taken or starts one.
        let before = if start == 0 { 0 } else { std::mem::take(&mut self.ends[start as usize - 1]) };
        let behind = if end == self.chunks() { 0 } else { self.runs.room(end as usize) };
        let (first, length) = (start - before, before + count + behind);
        self.ends[(first + length - 1) as usize] = length;
        self.runs.raise(first as usize, length);
        if behind > 0 {
            self.runs.set(end as usize, 0);
        }
        self.taken -= count;
    }

    /// Whether the chunk is taken.
    pub fn is_taken(&self, chunk: u32) -> bool {
        self.run_up_to(chunk).is_none_or(|(start, length)| start + length <= chunk)
    }

    /// The last free run that starts at a chunk or before it: its start and its length. Walks there.
    fn run_up_to(&self, chunk: u32) -> Option<(u32, u32)> {
        (0..=chunk).rev().map(|start| (start, self.runs.room(start as usize))).find(|(_, length)| *length > 0)
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
                prop_assert!((0..fast.chunks()).all(|chunk| fast.is_taken(chunk) == slow.0[chunk as usize]));
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
