//! Which chunks of a pack are taken, with a fast first fit.
//!
//! The kernel scans the pack's bitmap from bit 0 for a run of zero bits
//! (`bitmap_find_next_zero_area` in `bpf_prog_pack_alloc@5.18`). Here every free run has its length noted at both ends,
//! so that a freed image finds its free neighbours at once, and a tree of maxima finds the first run that is long
//! enough, so that the same place is found without looking at every bit.

use super::first_fit::FirstFit;

/// Chunks that share one leaf of the tree.
const WORD: u32 = u64::BITS;

/// The chunks of one pack.
#[derive(Clone, Debug)]
pub struct ChunkMap {
    /// At the first and the last chunk of each free run its length; 0 at every other chunk.
    runs: Vec<u32>,
    /// One bit a chunk, set where a free run starts.
    starts: Vec<u64>,
    /// For each word of `starts`, the longest of the runs that start there.
    longest: FirstFit,
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
        let mut map = Self {
            runs: vec![0; chunks as usize],
            starts: vec![0; words],
            longest: FirstFit::with_places(words),
            taken: 0,
        };
        map.add_run(0, chunks);
        map.update(0);
        map
    }

    /// Chunks in the pack.
    pub fn chunks(&self) -> u32 {
        self.runs.len() as u32
    }

    /// Chunks that are taken.
    #[inline]
    pub const fn taken(&self) -> u32 {
        self.taken
    }

    /// The longest run of free chunks.
    #[inline]
    pub fn longest_free(&self) -> u32 {
        self.longest.most()
    }

    /// Takes the first run of `count` free chunks and returns its first chunk; `None` if there is none.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return None;
        }
        let word = self.longest.first(count)?;
        let (start, length) =
            self.runs_from(word).find(|(_, length)| *length >= count).expect("a run that long starts in the word");
        self.remove_run(start, length);
        self.taken += count;
        let rest = start + count;
        if length > count {
            self.add_run(rest, length - count);
            if (rest / WORD) as usize != word {
                // Before the word that lost the run, so that the tree keeps most of its maxima.
                self.update(rest);
            }
        }
        self.update(start);
        Some(start)
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
        let (mut first, mut end) = (start, start + count);
        // The chunk before is taken or the last of a free run; the chunk behind is taken or the first of one.
        if start > 0 && self.runs[start as usize - 1] > 0 {
            let length = self.runs[start as usize - 1];
            first -= length;
            self.remove_run(first, length);
        }
        let behind = self.runs.get(end as usize).copied().unwrap_or(0);
        if behind > 0 {
            self.remove_run(end, behind);
            end += behind;
        }
        self.add_run(first, end - first);
        self.taken -= count;
        self.update(first);
        if behind > 0 && (start + count) / WORD != first / WORD {
            self.update(start + count);
        }
    }

    /// Whether the chunk is taken.
    pub fn is_taken(&self, chunk: u32) -> bool {
        self.run_up_to(chunk).is_none_or(|(start, length)| start + length <= chunk)
    }

    /// The last free run that starts at a chunk or before it: first chunk and length.
    fn run_up_to(&self, chunk: u32) -> Option<(u32, u32)> {
        let (last, bit) = ((chunk / WORD) as usize, chunk % WORD);
        let up_to_chunk = self.starts[last] & (u64::MAX >> (WORD - 1 - bit));
        let before = (0..last).rev().map(|word| (word, self.starts[word]));
        let (word, starts) = std::iter::once((last, up_to_chunk)).chain(before).find(|(_, starts)| *starts != 0)?;
        let start = word as u32 * WORD + starts.ilog2();
        Some((start, self.runs[start as usize]))
    }

    /// The free runs that start in a word, first to last: first chunk and length.
    #[inline]
    fn runs_from(&self, word: usize) -> impl Iterator<Item = (u32, u32)> {
        let mut starts = self.starts[word];
        std::iter::from_fn(move || {
            if starts == 0 {
                return None;
            }
            let start = word as u32 * WORD + starts.trailing_zeros();
            starts &= starts - 1;
            Some((start, self.runs[start as usize]))
        })
    }

    #[inline]
    fn add_run(&mut self, start: u32, length: u32) {
        self.starts[(start / WORD) as usize] |= 1 << (start % WORD);
        self.note(start, length, length);
    }

    #[inline]
    fn remove_run(&mut self, start: u32, length: u32) {
        self.starts[(start / WORD) as usize] &= !(1 << (start % WORD));
        self.note(start, length, 0);
    }

    /// Writes a note at both ends of a run.
    #[inline]
    fn note(&mut self, start: u32, length: u32, note: u32) {
        self.runs[start as usize] = note;
        self.runs[(start + length - 1) as usize] = note;
    }

    /// Brings the tree up to date for the word of a chunk.
    #[inline]
    fn update(&mut self, chunk: u32) {
        let word = (chunk / WORD) as usize;
        let longest = self.runs_from(word).map(|(_, length)| length).max();
        self.longest.set(word, longest.unwrap_or(0));
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
