//! Memory of the process that loads programs.
//!
//! The guest of the recording lab writes every program into one array of instructions, which it replaces when a program does
//! not fit (`straight_line` in `scripts/kernel-lab/guest/programs.c`). These pages come from the same per-CPU lists as the
//! kernel's, and count when the lists grow too long. Whole 2 MiB blocks in the array come as huge pages, as
//! `thp_fault_alloc` of `/proc/vmstat` shows (6.1.172, E6: one or none for 400,000 instructions, three for a million,
//! depending on where the array lies in its block).

use crate::rng::Stream;
use crate::units::{PAGE_BYTES, PAGES_PER_2M};

/// Arrays from this size on have a mapping of their own (glibc's `M_MMAP_THRESHOLD`), shorter ones grow the heap.
const MAPPED_BYTES: u64 = 128 << 10;
/// What the C library keeps before the array.
const CHUNK_HEADER_BYTES: u64 = 16;

/// What becomes of the array's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArrayMove {
    /// The mapping goes, with all its pages.
    Unmap,
    /// So many pages of the heap are written for the first time.
    Heap(u64),
    /// So many single pages of the mapping.
    Small(u64),
    /// So many pages of the mapping, in huge pages.
    Huge(u64),
}

/// The array.
#[derive(Clone, Debug)]
pub(super) struct ProgramArray {
    bytes: u64,
    /// Pages from the last multiple of 2 MiB to the end of the mapping, which is the same for each: a mapping is put below
    /// the ones before it, and that is where the last one was.
    tail: u64,
}

impl ProgramArray {
    /// An empty one; the kernel puts mappings somewhere.
    pub(super) fn new(stream: &mut Stream) -> Self {
        Self { bytes: 0, tail: stream.below(PAGES_PER_2M) }
    }

    /// Makes room for a program of so many bytes, and writes it.
    pub(super) fn write(&mut self, bytes: u64) -> Vec<ArrayMove> {
        let before = self.bytes;
        if bytes <= before {
            return Vec::new();
        }
        self.bytes = bytes;
        let pages = |bytes: u64| (bytes + CHUNK_HEADER_BYTES).div_ceil(PAGE_BYTES);
        if bytes < MAPPED_BYTES {
            return vec![ArrayMove::Heap(pages(bytes) - if before == 0 { 0 } else { pages(before) })];
        }
        let tail = self.tail.min(pages(bytes));
        let rest = pages(bytes) - tail;
        let moves = [
            ArrayMove::Small(rest % PAGES_PER_2M),
            ArrayMove::Huge(rest - rest % PAGES_PER_2M),
            ArrayMove::Small(tail),
        ];
        let unmapped = (before >= MAPPED_BYTES).then_some(ArrayMove::Unmap);
        unmapped.into_iter().chain(moves).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(tail: u64) -> ProgramArray {
        ProgramArray { bytes: 0, tail }
    }

    #[test]
    fn a_short_array_grows_the_heap() {
        let mut array = array(0);
        assert_eq!(array.write(4080), [ArrayMove::Heap(1)]);
        assert_eq!(array.write(4080), []);
        assert_eq!(array.write(4081), [ArrayMove::Heap(1)]);
        assert_eq!(array.write(100_000), [ArrayMove::Heap(23)]);
    }

    #[test]
    fn a_long_array_has_huge_pages_where_blocks_are_whole() {
        let mut array = array(100);
        // 782 pages: 100 behind a multiple of 2 MiB, a block, and 170 before it.
        assert_eq!(array.write(3_200_000), [ArrayMove::Small(170), ArrayMove::Huge(512), ArrayMove::Small(100)]);
        let four = [ArrayMove::Unmap, ArrayMove::Small(318), ArrayMove::Huge(1536), ArrayMove::Small(100)];
        assert_eq!(array.write(7_999_992), four);
        assert_eq!(array.write(3_200_000), []);
        let mut late = self::array(500);
        assert_eq!(late.write(200_000), [ArrayMove::Small(0), ArrayMove::Huge(0), ArrayMove::Small(49)]);
    }
}
