//! How the kernel builds the direct map at boot (`arch/x86/mm/init.c:init_mem_mapping`, 5.10 to 7.3).
//!
//! The page sizes could be read off the list of RAM ranges. The counters could not: the kernel maps memory
//! in pieces from the top down, and counts a large entry again for each piece that touches it
//! (`phys_pud_init`). So the pieces are cut here as the kernel cuts them.

use super::counters::DirectMapCounters;
use super::leaves::Leaf;
use super::perms::Perms;
use crate::units::{PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// The end of the range that is mapped in any case (`ISA_END_ADDRESS`, 1 MiB).
const ISA_END: Pfn = Pfn::new(256);

/// A step of the walk down from the end of memory is this many times as large as the one before
/// (`get_new_step_size`: 2 MiB, 512 MiB, 128 GiB, ...).
const STEP_GROWTH: u64 = 256;

/// What a host allows its direct map at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootOptions {
    /// The largest entry: 4 KiB with `debug_pagealloc`, 2 MiB with `nogbpages` or on a processor
    /// without 1 GiB pages (`probe_page_size_mask`).
    pub largest: PageSize,
    /// The permissions of every entry: without [`Perms::GLOBAL`] on a host with page table isolation.
    pub perms: Perms,
}

impl Default for BootOptions {
    /// 1 GiB entries, no page table isolation.
    fn default() -> Self {
        Self { largest: PageSize::Size1G, perms: Perms::BOOT }
    }
}

/// The direct map as boot builds it.
pub(super) struct Built {
    /// Every entry once, in ascending order.
    pub(super) leaves: Vec<Leaf>,
    /// What the kernel counted on the way: some entries more than once.
    pub(super) counted: DirectMapCounters,
}

/// Maps RAM as the kernel does. The ranges may come in any order; neighbours are taken as one, for at
/// that time the kernel does not yet know of nodes.
///
/// The highest 2 MiB block of RAM is taken to be free. (If a boot loader has put something there, the
/// kernel starts a little lower, which only matters for what is counted twice.)
pub(super) fn build(ram: &[PfnRange], options: BootOptions) -> Built {
    let ram = union(ram.to_vec());
    let mut mapper = Mapper { ram: &ram, largest: options.largest, touched: Default::default() };
    mapper.map(PfnRange::new(Pfn::new(0), ISA_END));
    mapper.map_top_down();

    let mut counted = DirectMapCounters::default();
    let mut leaves = Vec::new();
    for (size, touched) in PageSize::ALL.into_iter().zip(mapper.touched) {
        *counted.entries_mut(size) = touched.iter().map(|range| range.pages() / size.pages()).sum();
        leaves.extend(union(touched).into_iter().map(|range| Leaf { range, size, perms: options.perms }));
    }
    leaves.sort_by_key(|leaf| leaf.range.start());
    Built { leaves, counted }
}

/// The frames of all ranges: sorted, without overlap, neighbours joined.
fn union(mut ranges: Vec<PfnRange>) -> Vec<PfnRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort();
    ranges.dedup_by(|next, last| {
        let joined = next.start() <= last.end();
        if joined {
            *last = PfnRange::new(last.start(), last.end().max(next.end()));
        }
        joined
    });
    ranges
}

/// The state of `init_mem_mapping`.
struct Mapper<'a> {
    /// Sorted, without overlap, neighbours joined (memblock memory).
    ram: &'a [PfnRange],
    largest: PageSize,
    /// For each page size, what was mapped with it, piece by piece: a range for each piece that touched
    /// an entry, rounded out to whole entries.
    touched: [Vec<PfnRange>; 3],
}

impl Mapper<'_> {
    /// `memory_map_top_down`: from 1 MiB to the end of RAM.
    fn map_top_down(&mut self) {
        let end = self.ram.last().map_or(ISA_END, |range| range.end());
        let real_end = self.highest_block_end();
        let mut step = PAGES_PER_2M;
        let mut mapped = 0;
        let mut last = real_end;
        while last > ISA_END {
            last = self.skip_gap(last);
            let start = if last.get() > step { step_below(last, step) } else { ISA_END };
            mapped += self.map_ram(PfnRange::new(start, last));
            last = start;
            if mapped >= step {
                step *= STEP_GROWTH;
            }
        }
        self.map_ram(PfnRange::new(real_end, end));
    }

    /// The end of the highest aligned 2 MiB block that is RAM above 1 MiB. The kernel finds it by allocating it from
    /// memblock; if there is none, the failed allocation is taken for a block at address 0.
    fn highest_block_end(&self) -> Pfn {
        let above = |range: &PfnRange| PfnRange::new(range.start().max(ISA_END), range.end());
        let block_end = |range: PfnRange| {
            let end = range.end().align_down(PageSize::Size2M);
            (end.get() >= range.start().get() + PAGES_PER_2M).then_some(end)
        };
        self.ram.iter().rev().find_map(|range| block_end(above(range))).unwrap_or(Pfn::new(PAGES_PER_2M))
    }

    /// Passes over steps that hold no RAM. They do not make the step grow: it just did, if there was reason to.
    fn skip_gap(&self, last: Pfn) -> Pfn {
        let below = self.ram.partition_point(|range| range.start() < last);
        let ram_end = self.ram[..below].last().map_or(ISA_END, |range| range.end());
        last.min(ram_end.max(ISA_END))
    }

    /// `init_range_memory_mapping`: maps the RAM of a range; returns how many frames that is.
    fn map_ram(&mut self, range: PfnRange) -> u64 {
        let first = self.ram.partition_point(|ram| ram.end() <= range.start());
        let ram = self.ram;
        let mut mapped = 0;
        for part in ram[first..].iter().take_while(|ram| ram.start() < range.end()) {
            let part = part.intersection(range);
            self.map(part);
            mapped += part.pages();
        }
        mapped
    }

    /// `init_memory_mapping`: maps a range that is RAM, or is to be mapped like RAM.
    fn map(&mut self, range: PfnRange) {
        for part in self.parts(range) {
            self.touched[part.size as usize].push(round_out(part.range, part.size));
        }
    }

    /// `split_mem_range`: a range cut into parts, with the largest page size for each.
    fn parts(&self, range: PfnRange) -> Vec<Part> {
        use PageSize::{Size1G, Size2M, Size4K};
        let mut parts: Vec<Part> = Vec::with_capacity(5);
        let mut at = range.start();
        for (size, end) in [
            (Size4K, round_up(at, Size2M).min(range.end())),
            (Size2M, round_up(round_up(at, Size2M), Size1G).min(range.end().align_down(Size2M))),
            (Size1G, range.end().align_down(Size1G)),
            (Size2M, range.end().align_down(Size2M)),
            (Size4K, range.end()),
        ] {
            if at < end {
                let part = PfnRange::new(at, end);
                let size = self.upgraded(part, size.min(self.largest));
                match parts.last_mut() {
                    Some(last) if last.size == size => last.range = PfnRange::new(last.range.start(), end),
                    _ => parts.push(Part { range: part, size }),
                }
                at = end;
            }
        }
        parts
    }

    /// `adjust_range_page_size_mask`: a larger size, if the part rounded out to it is RAM in one piece.
    fn upgraded(&self, part: PfnRange, size: PageSize) -> PageSize {
        PageSize::ALL
            .into_iter()
            .filter(|&larger| larger > size && larger <= self.largest && self.is_ram(round_out(part, larger)))
            .max()
            .unwrap_or(size)
    }

    /// `memblock_is_region_memory`.
    fn is_ram(&self, range: PfnRange) -> bool {
        let next = self.ram.partition_point(|ram| ram.end() <= range.start());
        self.ram.get(next).is_some_and(|ram| ram.intersection(range) == range)
    }
}

/// A part of a range (`struct map_range`).
struct Part {
    range: PfnRange,
    size: PageSize,
}

/// The last multiple of the step before a frame.
fn step_below(pfn: Pfn, step: u64) -> Pfn {
    Pfn::new((pfn.get() - 1) / step * step)
}

fn round_up(pfn: Pfn, size: PageSize) -> Pfn {
    Pfn::new(pfn.get().next_multiple_of(size.pages()))
}

/// The entries of a size that a range touches.
fn round_out(range: PfnRange, size: PageSize) -> PfnRange {
    PfnRange::new(range.start().align_down(size), round_up(range.end(), size))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::units::PAGES_PER_1G;

    const MIB: u64 = 256;
    const GIB: u64 = 1024 * MIB;
    const TIB: u64 = 1024 * GIB;

    fn ranges(ram: &[(u64, u64)]) -> Vec<PfnRange> {
        ram.iter().map(|&(start, end)| PfnRange::new(Pfn::new(start), Pfn::new(end))).collect()
    }

    /// Entries of 4K, 2M, 1G: those that are there, and those that were counted too often.
    fn boot(ram: &[(u64, u64)], largest: PageSize) -> ([u64; 3], [u64; 3]) {
        let built = build(&ranges(ram), BootOptions { largest, ..BootOptions::default() });
        let there = PageSize::ALL
            .map(|size| built.leaves.iter().filter(|leaf| leaf.size == size).map(|leaf| leaf.entries()).sum());
        let DirectMapCounters { direct_map_4k, direct_map_2m, direct_map_1g, .. } = built.counted;
        let extra = [direct_map_4k - there[0], direct_map_2m - there[1], direct_map_1g - there[2]];
        (there, extra)
    }

    #[test]
    fn guests_of_several_sizes_boot_as_recorded() {
        let low = [(0, 159), (256, 524_255)];
        let high = |end| [low[0], low[1], (4 * GIB, end)];
        // QEMU q35 guests. Small ones end in ACPI tables, so nothing is counted twice.
        assert_eq!(boot(&[(0, 159), (256, 262_111)], PageSize::Size1G), ([512 + 479, 510, 0], [0; 3]));
        assert_eq!(boot(&low, PageSize::Size1G), ([512 + 479, 1022, 0], [0; 3]));
        // RAM above 4 GiB ends at a full GiB: that entry is counted three times.
        assert_eq!(boot(&high(6 * GIB), PageSize::Size1G), ([512 + 479, 1022, 2], [0, 0, 2]));
        assert_eq!(boot(&high(12 * GIB), PageSize::Size1G), ([512 + 479, 1022, 8], [0, 0, 2]));
    }

    #[test]
    fn the_end_of_memory_decides_what_is_counted_twice() {
        let server = |end| [(0, 159), (256, 2 * GIB - 4321), (4 * GIB, end)];
        // 2 GiB - 4321 frames end 287 frames into a block, 503 blocks into a slot.
        assert_eq!(boot(&server(16 * TIB + 2 * GIB), PageSize::Size1G), ([512 + 287, 1014, 16_382], [0, 0, 2]));
        // Half a GiB, or a few frames, behind the last full GiB: the last slot has small entries.
        let odd = server(16 * TIB + 2 * GIB + GIB / 2);
        assert_eq!(boot(&odd, PageSize::Size1G), ([512 + 287, 1014 + 256, 16_382], [0; 3]));
        let odd = server(16 * TIB + 2 * GIB + 3);
        assert_eq!(boot(&odd, PageSize::Size1G), ([512 + 287 + 3, 1014, 16_382], [0, 0, 2]));
        let odd = server(16 * TIB + 3 * GIB - 1);
        assert_eq!(boot(&odd, PageSize::Size1G), ([512 + 287 + 511, 1014 + 511, 16_382], [0; 3]));
    }

    #[test]
    fn without_the_hole_below_one_mebibyte_the_first_entry_is_counted_again() {
        assert_eq!(boot(&[(0, 4 * GIB)], PageSize::Size1G), ([0, 0, 4], [0, 0, 3]));
        assert_eq!(boot(&[(0, GIB)], PageSize::Size2M), ([0, 512, 0], [0, 1, 0]));
        assert_eq!(boot(&[(0, GIB)], PageSize::Size4K), ([GIB, 0, 0], [0; 3]));
    }

    #[test]
    fn tiny_machines_boot() {
        assert_eq!(boot(&[(0, 159), (256, 3 * MIB)], PageSize::Size1G), ([3 * MIB, 0, 0], [0; 3]));
        // The first MiB is mapped whatever the firmware says.
        assert_eq!(boot(&[], PageSize::Size1G), ([256, 0, 0], [0; 3]));
        assert_eq!(boot(&[(0, 100)], PageSize::Size1G), ([256, 0, 0], [0; 3]));
    }

    #[test]
    fn large_entries_stop_where_the_options_say() {
        let ram = [(0, 159), (256, 524_255), (4 * GIB, 6 * GIB)];
        assert_eq!(boot(&ram, PageSize::Size2M), ([512 + 479, 1022 + 1024, 0], [0; 3]));
        assert_eq!(boot(&ram, PageSize::Size4K), ([256 + 523_999 + 2 * GIB, 0, 0], [0; 3]));
    }

    #[test]
    fn the_last_frame_of_the_architecture_can_be_mapped() {
        let end = crate::units::MAX_PFN + 1;
        assert_eq!(boot(&[(0, 159), (end - GIB, end)], PageSize::Size1G), ([256, 0, 1], [0, 0, 2]));
    }

    #[test]
    fn the_walk_starts_at_the_highest_whole_block() {
        // 3 MiB at the end hold no aligned block of 2 MiB.
        let ram = [(0, 159), (256, 4 * GIB), (5 * GIB + MIB, 5 * GIB + 4 * MIB - 1)];
        assert_eq!(boot(&ram, PageSize::Size1G), ([512 + 256 + 511, 511, 3], [0, 0, 2]));
    }

    #[test]
    fn neighbouring_ranges_are_one() {
        let nodes = [(3 * GIB, 4 * GIB), (256, 3 * GIB), (0, 159), (2 * GIB, 3 * GIB + 5)];
        assert_eq!(boot(&nodes, PageSize::Size1G), boot(&[(0, 159), (256, 4 * GIB)], PageSize::Size1G));
    }

    /// The same, frame by frame: each piece counts each entry that it touches once.
    fn naive(ram: &[PfnRange], largest: PageSize) -> ([u64; 3], [u64; 3]) {
        let end = ram.iter().map(|range| range.end().get()).max().unwrap_or(0);
        let mut is_ram = vec![false; end.next_multiple_of(GIB).max(GIB) as usize];
        for range in ram {
            is_ram[range.start().get() as usize..range.end().get() as usize].fill(true);
        }
        let all = |size: u64| is_ram.chunks(size as usize).map(|page| !page.contains(&false)).collect::<Vec<_>>();
        let (slots, blocks) = (all(PAGES_PER_1G), all(PAGES_PER_2M));
        let entry = |frame: u64| {
            let size = match largest {
                PageSize::Size1G if slots[(frame / PAGES_PER_1G) as usize] => PageSize::Size1G,
                PageSize::Size1G | PageSize::Size2M if blocks[(frame / PAGES_PER_2M) as usize] => PageSize::Size2M,
                _ => PageSize::Size4K,
            };
            (size, frame / size.pages())
        };
        let mut there = BTreeSet::new();
        let mut counted = [0; 3];
        let mut map = |piece: std::ops::Range<u64>, always: bool| {
            let mut touched = Vec::new();
            let mut frame = piece.start;
            while frame < piece.end {
                let (size, index) = entry(frame);
                if always || is_ram[frame as usize] {
                    touched.push((size, index));
                }
                frame = (index + 1) * size.pages();
            }
            touched.iter().for_each(|&(size, _)| counted[size as usize] += 1);
            there.extend(touched);
            is_ram[piece.start as usize..piece.end as usize].iter().filter(|&&ram| ram).count() as u64
        };
        map(0..256, true);
        let free = |block: &u64| (*block..*block + 512).all(|frame| is_ram[frame as usize]);
        let real_end = (512..end.saturating_sub(511)).step_by(512).filter(free).last().map_or(512, |block| block + 512);
        let (mut last, mut step, mut mapped) = (real_end, 512, 0);
        while last > 256 {
            let start = if last > step { ((last - 1) / step * step).max(256) } else { 256 };
            mapped += map(start..last, false);
            last = start;
            if mapped >= step {
                step *= 256;
            }
        }
        if real_end < end {
            map(real_end..end, false);
        }
        let there = PageSize::ALL.map(|size| there.iter().filter(|entry| entry.0 == size).count() as u64);
        (there, std::array::from_fn(|size| counted[size] - there[size]))
    }

    /// A frame, mostly at a place where entries or steps can end.
    fn frame() -> impl Strategy<Value = u64> {
        prop_oneof![
            (0..=4_u64).prop_map(|slot| slot * GIB),
            (0..=8_u64).prop_map(|half| half * GIB / 2),
            (0..=2048_u64).prop_map(|block| block * 512),
            0..=4 * GIB,
            0..2 * MIB,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn boot_agrees_with_the_frame_by_frame_one(
            ends in prop::collection::vec((frame(), frame()), 1..6),
            largest in 0..9_usize,
        ) {
            let ram = union(ends.iter().map(|&(a, b)| PfnRange::new(Pfn::new(a.min(b)), Pfn::new(a.max(b)))).collect());
            let largest = [PageSize::Size2M, PageSize::Size4K].get(largest).copied().unwrap_or(PageSize::Size1G);
            let pairs: Vec<_> = ram.iter().map(|range| (range.start().get(), range.end().get())).collect();
            prop_assert_eq!(boot(&pairs, largest), naive(&ram, largest));
        }
    }
}
