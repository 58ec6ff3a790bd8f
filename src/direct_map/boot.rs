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
            if mapped < step {
                last = self.skip_gap(last, step);
            }
            let start = if last.get() > step { step_below(last, step).max(ISA_END) } else { ISA_END };
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

    /// Passes over steps that hold no RAM, as long as they cannot make the step grow.
    fn skip_gap(&self, last: Pfn, step: u64) -> Pfn {
        let below = self.ram.partition_point(|range| range.start() < last);
        let top = self.ram[..below].last().map_or(ISA_END, |range| range.end()).max(ISA_END);
        Pfn::new(top.get().next_multiple_of(step)).min(last)
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
