//! The leaves of the direct map, stored sparsely.
//!
//! The layout at the start is a short sorted list of ranges with one page size each, however large the host.
//! What changed since lies over it in two maps: 1 GiB slots that were split or changed as a whole, and
//! 2 MiB blocks that were. So memory follows what was touched.

use rustc_hash::FxHashMap;
use thiserror::Error;

use super::pages::{PAGES, Pages};
use super::perms::Perms;
use crate::units::{PAGES_PER_1G, PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// Neighbouring entries of one size and with the same permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The frames that the entries map.
    pub range: PfnRange,
    /// The size of each entry.
    pub size: PageSize,
    /// The permissions of each entry.
    pub perms: Perms,
}

impl Leaf {
    /// How many entries these are.
    pub const fn entries(self) -> u64 {
        self.range.pages() / self.size.pages()
    }
}

/// Why a list of leaves is no direct map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LeafError {
    /// A range that does not start and end where entries of its size can.
    #[error("frames {} to {} are no whole {size} entries", .range.start().get(), .range.end().get())]
    Unaligned {
        /// The frames of the range.
        range: PfnRange,
        /// The size of its entries.
        size: PageSize,
    },
    /// Two ranges that share frames.
    #[error("frame {} is mapped twice", .at.get())]
    Overlap {
        /// The first shared frame.
        at: Pfn,
    },
}

/// A 1 GiB slot that no longer is as the base layout has it.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// Still one entry, with these permissions.
    Large(Perms),
    /// 512 entries of 2 MiB with these permissions, except for blocks that have a note of their own.
    Split(Perms),
    /// Small entries with these permissions, except for blocks that have a note of their own.
    Small(Perms),
}

/// A 2 MiB block that no longer is as the base layout or its slot has it.
#[derive(Clone, Debug)]
enum Block {
    /// Still one entry, with these permissions.
    Large(Perms),
    /// 512 small entries, or holes between them.
    Small(Pages),
}

/// What a frame is mapped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Hole,
    /// A 4 KiB entry whose block has no pages of its own yet: see [`Leaves::open`].
    Unopened,
    /// A 2 MiB or 1 GiB entry.
    Large(PageSize, Perms),
}

/// The store.
#[derive(Clone, Debug)]
pub(super) struct Leaves {
    /// Sorted, without overlap, neighbours merged.
    base: Vec<Leaf>,
    slots: FxHashMap<u32, Slot>,
    blocks: FxHashMap<u32, Block>,
}

/// The key of a frame's 1 GiB slot: at most 2^22.
fn slot_key(pfn: Pfn) -> u32 {
    (pfn.get() / PAGES_PER_1G) as u32
}

/// The key of a frame's 2 MiB block: at most 2^31.
#[inline]
fn block_key(pfn: Pfn) -> u32 {
    (pfn.get() / PAGES_PER_2M) as u32
}

impl Leaves {
    /// The store of a layout whose ranges may come in any order.
    pub(super) fn new(leaves: &[Leaf]) -> Result<Self, LeafError> {
        let mut sorted: Vec<Leaf> = leaves.iter().copied().filter(|leaf| !leaf.range.is_empty()).collect();
        sorted.sort_by_key(|leaf| leaf.range.start());
        let mut base = Runs::default();
        let mut end = Pfn::new(0);
        for leaf in sorted {
            let Leaf { range, size, .. } = leaf;
            if !range.start().is_aligned(size) || !range.end().is_aligned(size) {
                return Err(LeafError::Unaligned { range, size });
            }
            if range.start() < end {
                return Err(LeafError::Overlap { at: range.start() });
            }
            end = range.end();
            base.push(leaf);
        }
        Ok(Self { base: base.0, slots: FxHashMap::default(), blocks: FxHashMap::default() })
    }

    /// The pages of the frame's block, if it is mapped by small entries and has been opened.
    #[inline]
    pub(super) fn pages_mut(&mut self, pfn: Pfn) -> Option<&mut Pages> {
        match self.blocks.get_mut(&block_key(pfn)) {
            Some(Block::Small(pages)) => Some(pages),
            _ => None,
        }
    }

    /// What maps a frame whose block has no pages of its own.
    pub(super) fn find(&self, pfn: Pfn) -> Found {
        if let Some(Block::Large(perms)) = self.blocks.get(&block_key(pfn)) {
            return Found::Large(PageSize::Size2M, *perms);
        }
        match self.slots.get(&slot_key(pfn)) {
            Some(Slot::Large(perms)) => return Found::Large(PageSize::Size1G, *perms),
            Some(Slot::Split(perms)) => return Found::Large(PageSize::Size2M, *perms),
            Some(Slot::Small(_)) => return Found::Unopened,
            None => {}
        }
        match self.base.get(self.base_after(pfn)) {
            Some(leaf) if leaf.range.contains(pfn) => match leaf.size {
                PageSize::Size4K => Found::Unopened,
                size => Found::Large(size, leaf.perms),
            },
            _ => Found::Hole,
        }
    }

    /// The first mapped frame behind a hole.
    pub(super) fn after_hole(&self, pfn: Pfn) -> Option<Pfn> {
        self.base.get(self.base_after(pfn)).map(|leaf| leaf.range.start())
    }

    /// The index of the first base range that ends behind the frame.
    fn base_after(&self, pfn: Pfn) -> usize {
        self.base.partition_point(|leaf| leaf.range.end() <= pfn)
    }

    /// Gives the block of a frame that the base layout or its slot maps by small entries pages of its own.
    pub(super) fn open(&mut self, pfn: Pfn) {
        if let Some(Slot::Small(perms)) = self.slots.get(&slot_key(pfn)) {
            self.blocks.insert(block_key(pfn), Block::Small(Pages::Uniform(*perms)));
            return;
        }
        let block = PfnRange::with_len(pfn.align_down(PageSize::Size2M), PAGES_PER_2M);
        let mut list = [Perms::HOLE; PAGES];
        let first = self.base_after(block.start());
        for leaf in self.base[first..].iter().take_while(|leaf| leaf.range.start() < block.end()) {
            let part = leaf.range.intersection(block);
            let index = (part.start().get() - block.start().get()) as usize;
            list[index..index + part.pages() as usize].fill(leaf.perms);
        }
        self.blocks.insert(block_key(pfn), Block::Small(Pages::from_fn(|index| list[index])));
    }

    /// Gives a large entry, which must exist, other permissions.
    pub(super) fn set_large(&mut self, pfn: Pfn, size: PageSize, perms: Perms) {
        match size {
            PageSize::Size1G => drop(self.slots.insert(slot_key(pfn), Slot::Large(perms))),
            PageSize::Size2M => drop(self.blocks.insert(block_key(pfn), Block::Large(perms))),
            PageSize::Size4K => unreachable!("a small entry is no large one"),
        }
    }

    /// Splits a large entry, which must exist and have these permissions, one level down.
    pub(super) fn split(&mut self, pfn: Pfn, size: PageSize, perms: Perms) {
        match size {
            PageSize::Size1G => drop(self.slots.insert(slot_key(pfn), Slot::Split(perms))),
            PageSize::Size2M => {
                drop(self.blocks.insert(block_key(pfn), Block::Small(Pages::Uniform(perms))));
            }
            PageSize::Size4K => unreachable!("a small entry has no smaller ones"),
        }
    }

    /// The size and permissions of all entries in a 1 GiB slot that starts at this frame, if they are the same
    /// everywhere and no block has a note of its own.
    pub(super) fn uniform_slot(&self, start: Pfn) -> Option<(PageSize, Perms)> {
        let found = match self.slots.get(&slot_key(start)) {
            Some(Slot::Large(perms)) => return Some((PageSize::Size1G, *perms)),
            Some(Slot::Split(perms)) => (PageSize::Size2M, *perms),
            Some(Slot::Small(perms)) => (PageSize::Size4K, *perms),
            None => {
                let slot = PfnRange::with_len(start, PAGES_PER_1G);
                let leaf = self.base.get(self.base_after(start))?;
                (leaf.range.intersection(slot) == slot).then_some((leaf.size, leaf.perms))?
            }
        };
        let first = block_key(start);
        let noted = (first..first + (PAGES_PER_1G / PAGES_PER_2M) as u32).any(|key| self.blocks.contains_key(&key));
        (!noted).then_some(found)
    }

    /// Makes all entries of such a slot alike.
    pub(super) fn set_uniform_slot(&mut self, start: Pfn, size: PageSize, perms: Perms) {
        let slot = match size {
            PageSize::Size1G => Slot::Large(perms),
            PageSize::Size2M => Slot::Split(perms),
            PageSize::Size4K => Slot::Small(perms),
        };
        self.slots.insert(slot_key(start), slot);
    }

    /// The permissions of a small entry whose block has no pages of its own.
    fn unopened(&self, pfn: Pfn) -> Perms {
        match self.slots.get(&slot_key(pfn)) {
            Some(Slot::Small(perms)) => *perms,
            _ => self.base[self.base_after(pfn)].perms,
        }
    }

    /// The single entry that maps a frame.
    pub(super) fn at(&self, pfn: Pfn) -> Option<Leaf> {
        let single =
            |size: PageSize, perms| Leaf { range: PfnRange::with_len(pfn.align_down(size), size.pages()), size, perms };
        if let Some(Block::Small(pages)) = self.blocks.get(&block_key(pfn)) {
            let perms = pages.get((pfn.get() % PAGES_PER_2M) as usize);
            return (perms != Perms::HOLE).then(|| single(PageSize::Size4K, perms));
        }
        match self.find(pfn) {
            Found::Hole => None,
            Found::Large(size, perms) => Some(single(size, perms)),
            Found::Unopened => Some(single(PageSize::Size4K, self.unopened(pfn))),
        }
    }

    /// How many ranges, slots and blocks are stored.
    pub(super) fn stored(&self) -> usize {
        self.base.len() + self.slots.len() + self.blocks.len()
    }

    /// All leaves in ascending order, equal neighbours merged.
    pub(super) fn collect(&self) -> Vec<Leaf> {
        let mut slots: Vec<(Pfn, &Slot)> =
            self.slots.iter().map(|(&key, slot)| (Pfn::new(u64::from(key) * PAGES_PER_1G), slot)).collect();
        slots.sort_unstable_by_key(|&(start, _)| start);
        let mut blocks: Vec<(Pfn, &Block)> =
            self.blocks.iter().map(|(&key, block)| (Pfn::new(u64::from(key) * PAGES_PER_2M), block)).collect();
        blocks.sort_unstable_by_key(|&(start, _)| start);
        let mut walk = Collect { slots: &slots, blocks: &blocks, runs: Runs::default() };
        for &leaf in &self.base {
            walk.leaf(leaf);
        }
        walk.runs.0
    }
}

/// Leaves in ascending order, equal neighbours merged.
#[derive(Debug, Default)]
pub(super) struct Runs(pub(super) Vec<Leaf>);

impl Runs {
    /// Adds a leaf behind all others.
    pub(super) fn push(&mut self, leaf: Leaf) {
        match self.0.last_mut() {
            _ if leaf.range.is_empty() => {}
            Some(last)
                if last.range.end() == leaf.range.start() && (last.size, last.perms) == (leaf.size, leaf.perms) =>
            {
                last.range = PfnRange::new(last.range.start(), leaf.range.end());
            }
            _ => self.0.push(leaf),
        }
    }
}

/// A walk over the base layout and what lies over it.
struct Collect<'a> {
    slots: &'a [(Pfn, &'a Slot)],
    blocks: &'a [(Pfn, &'a Block)],
    runs: Runs,
}

impl Collect<'_> {
    /// Emits a stretch of entries of one size as it is now.
    fn leaf(&mut self, leaf: Leaf) {
        let mut at = leaf.range.start();
        for &(start, slot) in within(self.slots, leaf.range, PageSize::Size1G) {
            let range = PfnRange::with_len(start, PAGES_PER_1G);
            self.blocks(Leaf { range: PfnRange::new(at, start), ..leaf });
            self.blocks(match *slot {
                Slot::Large(perms) => Leaf { range, size: PageSize::Size1G, perms },
                Slot::Split(perms) => Leaf { range, size: PageSize::Size2M, perms },
                Slot::Small(perms) => Leaf { range, size: PageSize::Size4K, perms },
            });
            at = range.end();
        }
        self.blocks(Leaf { range: PfnRange::new(at, leaf.range.end()), ..leaf });
    }

    /// Emits a stretch of entries without notes on its slots.
    fn blocks(&mut self, leaf: Leaf) {
        let mut at = leaf.range.start();
        for &(start, block) in within(self.blocks, leaf.range, PageSize::Size2M) {
            let range = PfnRange::with_len(start, PAGES_PER_2M).intersection(leaf.range);
            self.runs.push(Leaf { range: PfnRange::new(at, range.start()), ..leaf });
            match block {
                Block::Large(perms) => self.runs.push(Leaf { range, perms: *perms, ..leaf }),
                Block::Small(pages) => self.pages(start, pages, range),
            }
            at = range.end();
        }
        self.runs.push(Leaf { range: PfnRange::new(at, leaf.range.end()), ..leaf });
    }

    /// Emits the pages of a block that lie in a range: the base may map one block by several ranges.
    fn pages(&mut self, start: Pfn, pages: &Pages, range: PfnRange) {
        for (first, count, perms) in pages.runs() {
            let run = PfnRange::with_len(start.offset(first as u64), count as u64).intersection(range);
            self.runs.push(Leaf { range: run, size: PageSize::Size4K, perms });
        }
    }
}

/// The notes of a sorted list whose page of this size shares frames with the range.
fn within<T>(notes: &[(Pfn, T)], range: PfnRange, size: PageSize) -> &[(Pfn, T)] {
    let from = range.start().align_down(size);
    let first = notes.partition_point(|(start, _)| *start < from);
    let end = notes.partition_point(|(start, _)| *start < range.end());
    &notes[first..end]
}
