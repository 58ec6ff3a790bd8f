//! Taking blocks from other types: whole pageblocks if possible, so that types stay apart.

use super::{Buddy, End, Found, Fragment, MAX, PAGEBLOCK, RefillMode};
use crate::memory::migrate::MigrateType;
use crate::memory::rules::Fallback;
use crate::units::PAGES_PER_2M;

/// Whether a request of this type may claim the pageblock of a free block of this order
/// (`can_steal_fallback@6.1`, `should_try_claim_block@6.16`).
const fn can_claim(order: usize, kind: MigrateType) -> bool {
    order >= PAGEBLOCK / 2 || !matches!(kind, MigrateType::Movable)
}

/// The pages of a pageblock, as the claim test counts them.
struct Census {
    free: u64,
    movable: u64,
}

impl Buddy {
    /// Serves a request from the lists of other types, as the release does it.
    pub(super) fn take_from_others(
        &mut self,
        order: usize,
        kind: MigrateType,
        fragment: Fragment,
        mode: &mut RefillMode,
    ) -> Option<u64> {
        match self.fallback {
            Fallback::MoveThenTest => loop {
                self.move_from_others(order, kind, fragment)?;
                if let Some(pfn) = self.take_smallest(order, kind) {
                    return Some(pfn);
                }
            },
            Fallback::TestThenMove => {
                let (found, claim) = self.choose(order, kind, fragment)?;
                let claimed = if claim { self.claim(found, order, kind) } else { None };
                claimed.or_else(|| self.take_single(found, order))
            }
            Fallback::ClaimOrSmallest => {
                if let Some(pfn) = self.claim_any(order, kind, fragment) {
                    return Some(pfn);
                }
                let pfn = self.steal_smallest(order, kind, fragment)?;
                *mode = RefillMode::Steal;
                Some(pfn)
            }
        }
    }

    /// The smallest order that may be taken from another type.
    fn least_order(order: usize, fragment: Fragment) -> usize {
        match fragment {
            Fragment::Allowed => order,
            Fragment::Avoided => order.max(PAGEBLOCK),
        }
    }

    /// The head of the first other type's list that has a block of this order.
    fn foreign(&mut self, order: usize, kind: MigrateType) -> Option<Found> {
        for other in kind.fallbacks() {
            while self.lists.count(other, order) > 0 {
                if let Some(pfn) = self.front(other, order) {
                    return Some(Found { pfn, order, kind: other });
                }
            }
        }
        None
    }

    /// The block of another type to take from, and whether to claim its pageblock: the largest, but the smallest for
    /// a movable request that may not claim it (`__rmqueue_fallback@5.10` to `@6.14`).
    fn choose(&mut self, order: usize, kind: MigrateType, fragment: Fragment) -> Option<(Found, bool)> {
        let least = Self::least_order(order, fragment);
        let largest = (least..=MAX).rev().find_map(|current| self.foreign(current, kind))?;
        if can_claim(largest.order, kind) {
            return Some((largest, true));
        }
        let smallest = (order..=largest.order).find_map(|current| self.foreign(current, kind));
        Some((smallest.unwrap_or(largest), false))
    }

    /// Moves free blocks of another type to the lists of `kind` (`steal_suitable_fallback@5.10`).
    fn move_from_others(&mut self, order: usize, kind: MigrateType, fragment: Fragment) -> Option<()> {
        let (found, claim) = self.choose(order, kind, fragment)?;
        if found.order >= PAGEBLOCK {
            self.set_range_kind(found, kind);
        } else if claim && self.spans_pageblock_end(found.pfn) {
            let old = self.frames.kind(found.pfn);
            let start = self.pageblock_start(found.pfn);
            self.settle_pageblock(start);
            let census = self.census(start);
            self.move_free_blocks(start, kind);
            if Self::enough(&census, old, kind) {
                self.frames.set_kind(found.pfn, kind);
            }
            return Some(());
        }
        self.take_front(found);
        self.insert(found.pfn, found.order, kind, End::Tail);
        Some(())
    }

    /// Claims the pageblock of a block for `kind` and serves the request from it; `None` if too much of the pageblock
    /// is used by others (`try_to_claim_block@6.16`, `steal_suitable_fallback@6.12`).
    fn claim(&mut self, found: Found, order: usize, kind: MigrateType) -> Option<u64> {
        if found.order >= PAGEBLOCK {
            self.take_front(found);
            self.set_range_kind(found, kind);
            self.expand(found.pfn, order, found.order, kind);
            return Some(found.pfn);
        }
        let start = found.pfn - found.pfn % PAGES_PER_2M;
        if start < self.start || !self.spans_pageblock_end(found.pfn) {
            return None;
        }
        self.settle_pageblock(start);
        let old = self.frames.kind(found.pfn);
        if !Self::enough(&self.census(start), old, kind) {
            return None;
        }
        self.move_free_blocks(start, kind);
        self.frames.set_kind(found.pfn, kind);
        self.take_smallest(order, kind)
    }

    /// Takes a block of another type; what is left of it stays with that type.
    fn take_single(&mut self, found: Found, order: usize) -> Option<u64> {
        self.take_front(found);
        self.expand(found.pfn, order, found.order, found.kind);
        Some(found.pfn)
    }

    /// Tries to claim the pageblock of one block of each order, from the largest down (`__rmqueue_claim@6.16`).
    fn claim_any(&mut self, order: usize, kind: MigrateType, fragment: Fragment) -> Option<u64> {
        for current in (Self::least_order(order, fragment)..=MAX).rev() {
            let Some(found) = self.foreign(current, kind) else { continue };
            if !can_claim(current, kind) {
                return None;
            }
            if let Some(pfn) = self.claim(found, order, kind) {
                return Some(pfn);
            }
        }
        None
    }

    /// Takes the smallest block of another type (`__rmqueue_steal@6.16`).
    pub(super) fn steal_smallest(&mut self, order: usize, kind: MigrateType, fragment: Fragment) -> Option<u64> {
        if fragment == Fragment::Avoided {
            return None;
        }
        let found = (order..=MAX).find_map(|current| self.foreign(current, kind))?;
        self.take_single(found, order)
    }

    fn set_range_kind(&mut self, found: Found, kind: MigrateType) {
        for start in (found.pfn..found.pfn + (1 << found.order)).step_by(PAGES_PER_2M as usize) {
            self.frames.set_kind(start, kind);
        }
    }

    /// Free blocks move only within pageblocks that the zone holds to their end (`move_freepages_block@6.1`).
    fn spans_pageblock_end(&self, pfn: u64) -> bool {
        pfn - pfn % PAGES_PER_2M + PAGES_PER_2M <= self.end
    }

    /// First frame of the pageblock; the frame itself if the zone starts within the pageblock.
    fn pageblock_start(&self, pfn: u64) -> u64 {
        let start = pfn - pfn % PAGES_PER_2M;
        if start < self.start { pfn } else { start }
    }

    /// Half a pageblock of free pages and pages of a like use is enough to change its type: movable pages count for a
    /// movable request; otherwise, in a pageblock that was movable, all that cannot be moved.
    fn enough(census: &Census, old: MigrateType, kind: MigrateType) -> bool {
        let alike = match (kind, old) {
            (MigrateType::Movable, _) => census.movable,
            (_, MigrateType::Movable) => PAGES_PER_2M - (census.free + census.movable),
            _ => 0,
        };
        census.free + alike >= PAGES_PER_2M / 2
    }

    fn census(&self, start: u64) -> Census {
        let heads = self.frames.heads(start);
        let blocks = || heads.iter().map(|(pfn, id)| (*pfn, 1 << self.lists.order(*id)));
        let free = blocks().map(|block| block.1).sum();
        Census { free, movable: self.frames.movable_pages(start, blocks()) }
    }

    /// Moves all free blocks of a pageblock to the tails of the lists of `kind`, lowest first.
    fn move_free_blocks(&mut self, start: u64, kind: MigrateType) {
        for (pfn, id) in self.frames.heads(start) {
            let order = self.lists.order(id);
            self.remove(pfn);
            self.insert(pfn, order, kind, End::Tail);
        }
    }

    /// Draws a place for the next block without one of the largest order; its first frame.
    pub(super) fn settle_max(&mut self, kind: MigrateType) -> u64 {
        let latent = self.latent.as_mut().expect("a latent entry exists only with latent blocks");
        let pfn = latent.draw_max(kind);
        self.lists.take_from_run(kind, 1);
        self.lists.add_run(kind, pfn, 1, End::Head);
        if kind != MigrateType::Movable {
            self.set_range_kind(Found { pfn, order: MAX, kind }, kind);
        }
        pfn
    }

    /// Draws a place for the next block without one of this list; `None` if there is no room for a block of this order
    /// and it has become two of the next smaller one.
    pub(super) fn settle(&mut self, kind: MigrateType, order: usize) -> Option<u64> {
        let latent = self.latent.as_mut().expect("a latent entry exists only with latent blocks");
        let drawn = latent.draw(kind, order, &mut self.frames);
        let last = latent.remaining(kind, order) == 0;
        if let Some(pfn) = drawn {
            let id = self.lists.settle_head(kind, order, pfn);
            self.frames.set_head(pfn, id);
        } else {
            self.lists.adjust(kind, order, -1);
            if latent.remaining(kind, order - 1) == 2 {
                self.lists.add_latent(kind, order - 1, 2);
            } else {
                self.lists.adjust(kind, order - 1, 2);
            }
        }
        if last {
            self.lists.remove_latent(kind, order);
        }
        drawn
    }

    /// Draws which of the blocks without a place lie in this pageblock, before it changes hands.
    fn settle_pageblock(&mut self, start: u64) {
        let Some(latent) = self.latent.as_mut() else { return };
        for (kind, order, pfn) in latent.draw_pageblock(start, &mut self.frames) {
            // The block leaves the entry without a place and stands on the same list.
            self.lists.adjust(kind, order, -1);
            let id = self.lists.add(kind, order, pfn, End::Tail);
            self.frames.set_head(pfn, id);
            if latent.remaining(kind, order) == 0 {
                self.lists.remove_latent(kind, order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: MigrateType = MigrateType::Movable;
    const U: MigrateType = MigrateType::Unmovable;

    /// One pageblock of which `used` pages are in use by movable pages, the rest free.
    fn zone(fallback: Fallback, used: u64) -> Buddy {
        let mut buddy = Buddy::new(0, 512, fallback);
        buddy.add_block(0, 9, M);
        for pfn in 0..used {
            assert_eq!(buddy.take(0, M, Fragment::Allowed, &mut RefillMode::Normal), Some(pfn));
        }
        buddy
    }

    fn take(buddy: &mut Buddy, kind: MigrateType) -> Option<u64> {
        let pfn = buddy.take(0, kind, Fragment::Allowed, &mut RefillMode::Normal);
        buddy.check().unwrap();
        pfn
    }

    #[test]
    fn stealing_half_a_pageblock_changes_its_type() {
        for fallback in [Fallback::MoveThenTest, Fallback::TestThenMove, Fallback::ClaimOrSmallest] {
            let mut buddy = zone(fallback, 200);
            assert!(take(&mut buddy, U).is_some());
            assert_eq!(buddy.kind(0), U, "{fallback:?}");
            assert_eq!((0..=MAX).map(|order| buddy.blocks_of(M, order)).sum::<u64>(), 0, "all moved");
        }
    }

    #[test]
    fn less_than_half_leaves_the_type_and_releases_differ_in_what_moves() {
        // 312 used: free are 8 (312..320), 64 (320..384), 128 (384..512).
        let mut old = zone(Fallback::MoveThenTest, 312);
        assert_eq!(take(&mut old, U), Some(312), "all blocks moved, the smallest is used");
        assert_eq!((old.kind(0), old.blocks_of(M, 7), old.blocks_of(U, 7)), (M, 0, 1));
        let mut new = zone(Fallback::TestThenMove, 312);
        assert_eq!(take(&mut new, U), Some(384), "cut from the largest");
        assert_eq!((new.kind(0), new.blocks_of(M, 6), new.blocks_of(U, 6)), (M, 2, 0));
        let mut newest = zone(Fallback::ClaimOrSmallest, 312);
        assert_eq!(take(&mut newest, U), Some(312), "cut from the smallest");
        assert_eq!((newest.blocks_of(M, 7), newest.blocks_of(M, 2)), (1, 1));
    }

    #[test]
    fn unmovable_neighbours_count_as_alike() {
        let mut buddy = zone(Fallback::MoveThenTest, 0);
        assert_eq!(take(&mut buddy, M), Some(0));
        // 100 movable, 300 reserved for others, 112 free: 300 + 112 are enough.
        for _ in 1..100 {
            take(&mut buddy, M);
        }
        buddy.set_used(0, 100, M);
        let mut free = 512 - 100;
        while free > 112 {
            let pfn = take(&mut buddy, M).unwrap();
            buddy.set_used(pfn, 1, U);
            free -= 1;
        }
        take(&mut buddy, U).unwrap();
        assert_eq!(buddy.kind(0), U);
    }

    #[test]
    fn movable_requests_take_the_smallest_block_they_may_not_claim() {
        let mut buddy = Buddy::new(0, 512, Fallback::MoveThenTest);
        buddy.set_kind(0, U);
        buddy.add_block(0, 3, U);
        buddy.add_block(64, 1, U);
        assert_eq!(take(&mut buddy, M), Some(64));
        assert_eq!(buddy.kind(0), U);
    }

    #[test]
    fn avoiding_fragmentation_takes_whole_pageblocks_only() {
        let mut buddy = zone(Fallback::MoveThenTest, 1);
        let avoided = buddy.take(0, U, Fragment::Avoided, &mut RefillMode::Normal);
        assert_eq!(avoided, None);
        assert!(take(&mut buddy, U).is_some());
    }
}
