//! The buddy allocator of one zone: free lists, merging, splitting.
//!
//! Behaviour follows `mm/page_alloc.c`; the places where releases differ are in [`super::rules`].

mod fallback;
mod frames;
mod latent;
mod lists;
mod units;

pub(super) use latent::{FreeCounts, Latent};
pub(super) use units::Units;

use super::migrate::MigrateType;
use super::rules::Fallback;
use crate::units::{Order, PAGES_PER_2M};
use frames::{Frames, NONE};
use lists::{Entry, Lists, MAX, MAX_PAGES, Run};

/// Order of a pageblock, as an index.
pub(super) const PAGEBLOCK: usize = Order::PAGEBLOCK.index();

/// Which end of a list a block is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Head,
    Tail,
}

/// Whether a request may cut up pageblocks of other types (`ALLOC_NOFRAGMENT` says it may not).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    Allowed,
    Avoided,
}

/// What an earlier page of the same refill has found out (`enum rmqueue_mode@6.16`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefillMode {
    Normal,
    /// Nothing could be claimed, the next pages are taken singly as well.
    Steal,
}

/// A block found on a free list.
#[derive(Clone, Copy, Debug)]
struct Found {
    pfn: u64,
    order: usize,
    /// Type of the list it is on, which need not be the type of its pageblock.
    kind: MigrateType,
}

/// The free pages of one zone.
#[derive(Clone, Debug)]
pub(super) struct Buddy {
    start: u64,
    end: u64,
    fallback: Fallback,
    lists: Lists,
    frames: Frames,
    free_pages: u64,
    /// Free blocks whose place is drawn when they are needed.
    latent: Option<Box<Latent>>,
}

impl Buddy {
    /// A zone over the frames `start..end` in which every page is in use.
    pub(super) fn new(start: u64, end: u64, fallback: Fallback) -> Self {
        let (lists, frames) = (Lists::new(), Frames::new(start, end));
        Self { start, end, fallback, lists, frames, free_pages: 0, latent: None }
    }

    /// Pages on the free lists (`NR_FREE_PAGES`, which does not count per-CPU lists).
    #[inline]
    pub(super) fn free_pages(&self) -> u64 {
        self.free_pages
    }

    /// Free blocks of one order, all types.
    pub(super) fn blocks(&self, order: usize) -> u64 {
        MigrateType::ALL.into_iter().map(|kind| self.lists.count(kind, order)).sum()
    }

    /// Free blocks of one order and type.
    pub(super) fn blocks_of(&self, kind: MigrateType, order: usize) -> u64 {
        self.lists.count(kind, order)
    }

    /// Whether a block of at least this order is free.
    #[inline]
    pub(super) fn has_block(&self, order: usize) -> bool {
        MigrateType::ALL.into_iter().any(|kind| self.lists.smallest(kind, order).is_some())
    }

    /// The type of the pageblock that holds the frame. Where no place has been drawn yet, that is movable.
    #[inline]
    pub(super) fn kind(&self, pfn: u64) -> MigrateType {
        self.frames.kind(pfn)
    }

    /// How often a pageblock has changed its type.
    #[inline]
    pub(super) fn kind_changes(&self) -> u64 {
        self.frames.kind_changes()
    }

    /// Pageblocks whose type is unmovable and reclaimable.
    pub(super) fn other_kinds(&self) -> [u64; 2] {
        let mut kinds = self.frames.other_kinds();
        if let Some(latent) = &self.latent {
            kinds[0] += latent.unassigned(MigrateType::Unmovable);
            kinds[1] += latent.unassigned(MigrateType::Reclaimable);
        }
        kinds
    }

    /// Numbers of the pageblocks that are not movable and have a place, ascending.
    pub(super) fn not_movable(&self) -> impl Iterator<Item = u64> + '_ {
        self.frames.not_movable()
    }

    /// How many pageblocks are not movable and have no place yet.
    pub(super) fn unplaced(&self) -> u64 {
        let kinds = [MigrateType::Unmovable, MigrateType::Reclaimable];
        self.latent.as_ref().map_or(0, |latent| kinds.into_iter().map(|kind| latent.unassigned(kind)).sum())
    }

    /// Gives a pageblock a type, at boot.
    pub(super) fn set_kind(&mut self, pfn: u64, kind: MigrateType) {
        self.frames.set_kind(pfn, kind);
    }

    /// Notes that these frames, a block, go to a per-CPU list: there they count as used by the type of their
    /// pageblock, which is returned.
    #[inline]
    pub(super) fn release(&mut self, pfn: u64, pages: u64) -> MigrateType {
        self.frames.release(pfn, pages)
    }

    /// Notes who uses these frames; they lie in one pageblock.
    #[inline]
    pub(super) fn set_used(&mut self, pfn: u64, pages: u64, kind: MigrateType) {
        self.frames.set_used(pfn, pages, kind);
    }

    /// Adds free blocks without a place.
    pub(super) fn set_latent(&mut self, latent: Latent) {
        for (kind, order, count) in latent.counts() {
            self.lists.add_latent(kind, order, count);
            self.free_pages += count << order;
        }
        self.latent = Some(Box::new(latent));
    }

    /// Whether the block of this order at the frame is free as such.
    #[inline]
    fn is_free(&self, pfn: u64, order: usize) -> bool {
        if pfn < self.start || pfn >= self.end {
            return false;
        }
        let id = self.frames.head(pfn);
        id != NONE && self.lists.order(id) == order
    }

    fn insert(&mut self, pfn: u64, order: usize, kind: MigrateType, end: End) {
        if order == MAX {
            self.lists.add_run(kind, pfn, 1, end);
        } else {
            let id = self.lists.add(kind, order, pfn, end);
            self.frames.set_head(pfn, id);
        }
    }

    /// Takes the free block at the frame, which is below the largest order, off its list.
    fn remove(&mut self, pfn: u64) {
        let id = self.frames.head(pfn);
        self.lists.remove(id);
        self.frames.clear_head(pfn);
    }

    /// Adds neighbouring free blocks of the largest order at the tail, at boot.
    pub(super) fn add_run(&mut self, pfn: u64, blocks: u64, kind: MigrateType) {
        self.free_pages += blocks * MAX_PAGES;
        self.lists.add_run(kind, pfn, blocks, End::Tail);
    }

    /// Adds a free block at the tail without merging it.
    pub(super) fn add_block(&mut self, pfn: u64, order: usize, kind: MigrateType) {
        self.free_pages += 1 << order;
        self.insert(pfn, order, kind, End::Tail);
    }

    /// Gives a block back: merges it with its free buddies and adds it to the list of `kind`
    /// (`__free_one_page@6.1`); `end` asks for the tail, as at boot.
    pub(super) fn free(&mut self, mut pfn: u64, mut order: usize, kind: MigrateType, end: End) {
        self.free_pages += 1 << order;
        while order < MAX {
            let buddy = pfn ^ (1 << order);
            if !self.is_free(buddy, order) {
                break;
            }
            self.remove(buddy);
            // Since 6.10 a pageblock that merges takes the type of the one it merges with.
            if order >= PAGEBLOCK && self.fallback != Fallback::MoveThenTest && self.frames.kind(buddy) != kind {
                self.frames.set_kind(buddy, kind);
            }
            pfn &= !(1 << order);
            order += 1;
        }
        if order == MAX {
            self.frames.set_all_free(pfn);
            self.frames.set_all_free(pfn + PAGES_PER_2M);
        }
        let end = if end == End::Tail || self.merge_is_likely(pfn, order) { End::Tail } else { End::Head };
        self.insert(pfn, order, kind, end);
    }

    /// Whether the pair that this block would form with its buddy has a free buddy itself
    /// (`buddy_merge_likely@6.1`): then the block waits at the tail.
    fn merge_is_likely(&self, pfn: u64, order: usize) -> bool {
        order < PAGEBLOCK && self.is_free(pfn & !(1 << order) ^ (2 << order), order + 1)
    }

    /// The head of a list, which stays there; `None` if the list is empty or its blocks without a place had to be
    /// cut smaller to find one, so that the caller must look again.
    fn front(&mut self, kind: MigrateType, order: usize) -> Option<u64> {
        if order == MAX {
            let run = self.lists.first_run(kind)?;
            match run.first {
                Entry::Block(pfn) => return Some(pfn),
                Entry::Latent => return Some(self.settle_max(kind)),
            }
        }
        match self.lists.head(kind, order)? {
            (_, Entry::Block(pfn)) => Some(pfn),
            (_, Entry::Latent) => self.settle(kind, order),
        }
    }

    /// Takes the head of a list that [`Buddy::front`] has just shown.
    fn take_front(&mut self, found: Found) {
        if found.order == MAX {
            self.lists.take_from_run(found.kind, 1);
        } else {
            self.remove(found.pfn);
        }
    }

    /// Cuts a block that is off its list down to `order`: the lowest part is used, the upper halves go to the heads
    /// of the lists of `kind` (`expand@6.1`).
    fn expand(&mut self, pfn: u64, order: usize, from: usize, kind: MigrateType) {
        for half in (order..from).rev() {
            self.insert(pfn + (1 << half), half, kind, End::Head);
        }
        self.free_pages -= 1 << order;
    }

    /// The smallest block of this type that is large enough (`__rmqueue_smallest@6.1`).
    fn take_smallest(&mut self, order: usize, kind: MigrateType) -> Option<u64> {
        loop {
            let from = self.lists.smallest(kind, order)?;
            let Some(pfn) = self.front(kind, from) else { continue };
            self.take_front(Found { pfn, order: from, kind });
            self.expand(pfn, order, from, kind);
            return Some(pfn);
        }
    }

    /// Takes a block for a request of this type, from other types if need be (`__rmqueue`).
    pub(super) fn take(
        &mut self,
        order: usize,
        kind: MigrateType,
        fragment: Fragment,
        mode: &mut RefillMode,
    ) -> Option<u64> {
        let pfn = match *mode {
            RefillMode::Normal => match self.take_smallest(order, kind) {
                None => self.take_from_others(order, kind, fragment, mode),
                pfn => pfn,
            },
            RefillMode::Steal => self.steal_smallest(order, kind, fragment),
        }?;
        self.frames.set_used(pfn, 1 << order, kind);
        Some(pfn)
    }

    /// Takes the blocks that single pages of this type would be cut from next, whole, as long as they hold at most
    /// `wanted` pages together: the smallest of its own lists first, then blocks of the largest order of other types.
    /// Single pages one after another use up one block from its lowest page on before they touch the next, so the
    /// frames are the same. Appends first frame and pages; returns how many pages in all.
    pub(super) fn take_whole(&mut self, wanted: u64, kind: MigrateType, blocks: &mut Vec<(u64, u64)>) -> u64 {
        let mut taken = 0;
        while let Some((from, order)) = self.next_whole(kind) {
            let fit = (wanted - taken) >> order;
            if fit == 0 {
                break;
            }
            let Some(pfn) = self.front(from, order) else { continue };
            let count = if order == MAX { self.take_run(from, fit, kind) } else { 1 };
            if order < MAX {
                self.remove(pfn);
            }
            let pages = count << order;
            // A movable pageblock that nobody has touched keeps no entry: its used pages are movable.
            self.frames.set_used(pfn, pages, kind);
            self.free_pages -= pages;
            blocks.push((pfn, pages));
            taken += pages;
        }
        taken
    }

    /// The list that the next single page of this type comes from, unless a pageblock has to be looked at first.
    fn next_whole(&self, kind: MigrateType) -> Option<(MigrateType, usize)> {
        match self.lists.smallest(kind, 0) {
            Some(order) => Some((kind, order)),
            None => Some((kind.fallbacks().into_iter().find(|other| self.lists.count(*other, MAX) > 0)?, MAX)),
        }
    }

    /// Takes up to `wanted` blocks from the first run of the largest order, for `kind`; how many.
    fn take_run(&mut self, from: MigrateType, wanted: u64, kind: MigrateType) -> u64 {
        let Some(Run { first: Entry::Block(pfn), blocks }) = self.lists.first_run(from) else { return 0 };
        let blocks = wanted.min(blocks);
        self.lists.take_from_run(from, blocks);
        if from != kind {
            for block in (pfn..pfn + blocks * MAX_PAGES).step_by(PAGES_PER_2M as usize) {
                self.frames.set_kind(block, kind);
            }
        }
        blocks
    }

    /// Bytes of heap behind the zone's free pages.
    pub(super) fn heap_bytes(&self) -> usize {
        self.lists.heap_bytes()
            + self.frames.heap_bytes()
            + self.latent.as_ref().map_or(0, |latent| latent.heap_bytes() + size_of::<Latent>())
    }

    /// Recounts the lists and the index; all free blocks with a place, ascending.
    ///
    /// # Errors
    /// Says what does not fit together.
    pub(super) fn check(&self) -> Result<Vec<(u64, u64)>, String> {
        let mut free = Vec::new();
        let mut pages = 0;
        for kind in MigrateType::ALL {
            for order in 0..=MAX {
                pages += self.lists.count(kind, order) << order;
                self.check_list(kind, order, &mut free)?;
            }
        }
        free.sort_unstable();
        if let Some(pair) = free.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
            return Err(format!("free blocks overlap: {pair:?}"));
        }
        if let Some(block) = free.iter().find(|block| block.0 < self.start || block.0 + block.1 > self.end) {
            return Err(format!("free block {block:?} lies outside the zone {}..{}", self.start, self.end));
        }
        if pages != self.free_pages {
            return Err(format!("{pages} pages on the lists, but {} free pages counted", self.free_pages));
        }
        Ok(free)
    }

    fn check_list(&self, kind: MigrateType, order: usize, free: &mut Vec<(u64, u64)>) -> Result<(), String> {
        let latent = self.latent.as_ref().map_or(0, |latent| latent.remaining(kind, order));
        let mut count = latent;
        if order == MAX {
            for run in self.lists.runs(kind) {
                if let Entry::Block(first) = run.first {
                    count += run.blocks;
                    free.push((first, run.blocks * MAX_PAGES));
                }
            }
        } else {
            for entry in self.lists.entries(kind, order) {
                let Entry::Block(pfn) = entry else { continue };
                count += 1;
                free.push((pfn, 1 << order));
                let id = self.frames.head(pfn);
                if id == NONE || self.lists.order(id) != order || self.lists.kind(id) != kind {
                    return Err(format!("the index does not know the order-{order} {kind} block at pfn {pfn}"));
                }
                if pfn % (1 << order) != 0 {
                    return Err(format!("the order-{order} block at pfn {pfn} is not aligned"));
                }
            }
        }
        let counted = self.lists.count(kind, order);
        if counted == count {
            Ok(())
        } else {
            Err(format!("{kind} order {order}: {counted} counted, {count} on the list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: MigrateType = MigrateType::Movable;
    const U: MigrateType = MigrateType::Unmovable;

    fn zone(fallback: Fallback) -> Buddy {
        let mut buddy = Buddy::new(0, 8192, fallback);
        buddy.add_run(0, 8, M);
        buddy
    }

    fn take(buddy: &mut Buddy, order: usize, kind: MigrateType) -> u64 {
        let pfn = buddy.take(order, kind, Fragment::Allowed, &mut RefillMode::Normal).unwrap();
        buddy.check().unwrap();
        pfn
    }

    #[test]
    fn expand_hands_out_the_low_part_and_pages_ascend() {
        let mut buddy = zone(Fallback::MoveThenTest);
        assert_eq!((0..5).map(|_| take(&mut buddy, 0, M)).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(take(&mut buddy, 1, M), 6);
        assert_eq!((take(&mut buddy, 2, M), take(&mut buddy, 0, M)), (8, 5));
    }

    #[test]
    fn a_freed_block_is_reused_first_unless_its_parent_may_merge() {
        let mut buddy = zone(Fallback::MoveThenTest);
        for _ in 0..16 {
            take(&mut buddy, 0, M);
        }
        buddy.free(3, 0, M, End::Head);
        buddy.free(8, 0, M, End::Head);
        assert_eq!((take(&mut buddy, 0, M), take(&mut buddy, 0, M)), (8, 3), "head, last in first out");
        // 12 and 13 form an order-1 block; then 14 has a free buddy one order up and waits at the tail.
        for pfn in [12, 13, 2, 14] {
            buddy.free(pfn, 0, M, End::Head);
        }
        assert_eq!(take(&mut buddy, 0, M), 2);
    }

    #[test]
    fn buddies_merge_up_to_the_largest_order() {
        let mut buddy = zone(Fallback::MoveThenTest);
        let pages: Vec<u64> = (0..1024).map(|_| take(&mut buddy, 0, M)).collect();
        for pfn in pages {
            buddy.free(pfn, 0, M, End::Head);
        }
        buddy.check().unwrap();
        assert_eq!(buddy.blocks(MAX), 8);
        assert_eq!((0..MAX).map(|order| buddy.blocks(order)).sum::<u64>(), 0);
        assert_eq!(take(&mut buddy, 9, M), 0, "the merged block is at the head");
    }

    #[test]
    fn whole_blocks_come_in_the_order_of_single_pages() {
        let mut buddy = zone(Fallback::MoveThenTest);
        assert_eq!(take(&mut buddy, 1, M), 0);
        let mut blocks = Vec::new();
        // 2, 4, 8, ... 512 pages are left of the first block; 2000 more pages are one more block and a rest.
        assert_eq!(buddy.take_whole(1022 + 2000, M, &mut blocks), 1022 + 1024);
        assert_eq!((blocks.len(), blocks[0], blocks[8], blocks[9]), (10, (2, 2), (512, 512), (1024, 1024)));
        blocks.clear();
        assert_eq!((buddy.take_whole(5000, U, &mut blocks), &blocks[..]), (4096, &[(2048, 4096)][..]));
        assert_eq!((buddy.kind(2048), buddy.kind(6143), buddy.kind(6144)), (U, U, M), "claimed from movable");
        buddy.check().unwrap();
    }
}
