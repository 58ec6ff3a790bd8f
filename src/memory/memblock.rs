//! Boot: what the kernel keeps for itself before the page allocator takes over, and what it hands over.

use super::layout::{FOUR_GIB, MemoryLayout};
use crate::units::{PAGES_PER_2M, Pfn, PfnRange};

/// The first MiB: BIOS, real-mode trampoline (reserved as a whole since 5.13, `reserve_real_mode`).
const FIRST_MIB: u64 = 256;
/// The kernel image without KASLR: text at 16 MiB, about 34 MiB up to the end of bss.
const KERNEL: (u64, u64) = (4096, 4096 + 34 * 256);
/// Frames of RAM that one section of the sparse memory model describes (128 MiB).
const SECTION: u64 = 32_768;
/// Early page tables and node data at the very top of a node's memory.
const EARLY: u64 = 64;
/// First per-CPU chunk: 2 MiB aligned, of which the used part stays (recordings: about 80 frames with one CPU).
const PER_CPU: u64 = 78;
/// Bounce buffers for devices that reach 4 GiB only, there if any RAM lies above (`IO_TLB_DEFAULT_SIZE`, 64 MiB).
const SWIOTLB: u64 = 16_384;

/// Frames that a kernel of the 6.x series keeps on a machine of this layout, booted with `nokaslr` and one CPU:
/// the first MiB, its image, bounce buffers below 4 GiB, and at the top of each node the array of struct pages
/// (64 bytes for each page, `SECTION` by section) with little else.
///
/// What is left over is some 10,000 pages (40 MB) more than recorded kernels have free when their first process
/// starts, with 1 GiB as with 8 GiB: that much they have allocated by then.
pub fn boot_reserved(layout: &MemoryLayout) -> Vec<PfnRange> {
    let mut reserved = vec![range(0, FIRST_MIB), range(KERNEL.0, KERNEL.1)];
    let ranges = layout.ranges();
    if ranges.iter().any(|ram| ram.range.end().get() > FOUR_GIB)
        && let Some(low) = ranges.iter().rev().map(|ram| ram.range).find(|ram| ram.end().get() <= FOUR_GIB)
        && low.pages() > 2 * SWIOTLB
    {
        reserved.push(range(low.end().get() - SWIOTLB, low.end().get()));
    }
    for node in 0..layout.nodes() {
        let own: Vec<PfnRange> = ranges.iter().filter(|ram| ram.node == node).map(|ram| ram.range).collect();
        reserve_node(&own, node == 0, &mut reserved);
    }
    reserved
}

/// The struct pages of one node, below its top.
fn reserve_node(own: &[PfnRange], first: bool, reserved: &mut Vec<PfnRange>) {
    let Some(top) = own.last() else { return };
    let memmap = sections(own) * PAGES_PER_2M;
    let end = top.end().get();
    let map_end = (end - EARLY.min(top.pages())) / PAGES_PER_2M * PAGES_PER_2M;
    if map_end < memmap + PAGES_PER_2M || map_end - memmap - PAGES_PER_2M < top.start().get() {
        // Too small a node, or its memory lies in pieces: a 64th of it, as high as possible.
        let pages: u64 = own.iter().map(|ram| ram.pages()).sum();
        reserved.push(range(end - (pages / 64).min(top.pages()), end));
        return;
    }
    reserved.push(range(end - EARLY, end));
    reserved.push(range(map_end - memmap, map_end));
    if first {
        let chunk = map_end - memmap - PAGES_PER_2M;
        reserved.push(range(chunk, chunk + PER_CPU));
    }
}

/// Sections that hold RAM of these ranges.
fn sections(ranges: &[PfnRange]) -> u64 {
    let mut next = 0;
    let mut count = 0;
    for ram in ranges {
        let first = (ram.start().get() / SECTION).max(next);
        next = ram.end().get().div_ceil(SECTION);
        count += next.saturating_sub(first);
    }
    count
}

const fn range(start: u64, end: u64) -> PfnRange {
    PfnRange::new(Pfn::new(start), Pfn::new(end))
}

/// What is left of ascending ranges when others, in any order, are taken out.
pub(super) fn without(ranges: &[PfnRange], reserved: &[PfnRange]) -> Vec<PfnRange> {
    let mut holes = reserved.to_vec();
    holes.sort_unstable();
    let mut left = Vec::new();
    for range in ranges {
        let mut start = range.start();
        for hole in holes.iter().filter(|hole| hole.end() > range.start() && hole.start() < range.end()) {
            if hole.start() > start {
                left.push(PfnRange::new(start, hole.start()));
            }
            start = start.max(hole.end());
        }
        if start < range.end() {
            left.push(PfnRange::new(start, range.end()));
        }
    }
    // Ranges that touch are one, as memblock keeps them.
    left.dedup_by(|next, last| {
        let touch = last.end() == next.start();
        if touch {
            *last = PfnRange::new(last.start(), next.end());
        }
        touch
    });
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    #[test]
    fn struct_pages_lie_where_recordings_show_them() {
        for (gib, map) in [(1, (257_536, 261_632)), (4, (1_555_968, 1_572_352)), (8, (2_588_160, 2_620_928))] {
            let layout = MemoryLayout::q35(Bytes::new(gib << 30)).unwrap();
            let reserved = boot_reserved(&layout);
            assert!(reserved.contains(&range(map.0, map.1)), "{gib} GiB: {reserved:?}");
        }
    }

    #[test]
    fn holes_are_cut_out() {
        let left = without(&[range(0, 10), range(20, 30)], &[range(25, 40), range(0, 2), range(4, 6), range(5, 22)]);
        assert_eq!(left, [range(2, 4), range(22, 25)]);
    }
}
