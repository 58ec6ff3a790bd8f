//! One per-CPU list: free pages, or small blocks, of one order and type.

use crate::memory::buddy::Buddy;
use crate::memory::migrate::MigrateType;
use crate::units::PAGES_PER_2M;

/// The type that was noted for a page stands above its frame number.
const KIND_SHIFT: u32 = 60;
const PFN_MASK: u64 = (1 << KIND_SHIFT) - 1;
/// As `PcpList::seen`: must be looked up again.
const UNKNOWN: u64 = u64::MAX;

/// The frame number of a page on a list.
#[inline]
pub(in crate::memory) const fn pfn_of(page: u64) -> u64 {
    page & PFN_MASK
}

/// The pages of one list.
#[derive(Clone, Debug, Default)]
pub(super) struct PcpList {
    /// The head at the end, where pages come and go in one step.
    pages: Vec<u64>,
    /// Where the list begins, with its tail; what lies before it is gone.
    tail: usize,
    /// Whether every page lies in a pageblock of the list's type, so that it comes back to this list when it is freed.
    /// A page that was freed does when it comes; one from a refill need not; and pageblocks change their type.
    home: bool,
    /// How many changes of types the zone had seen when `home` was found out.
    seen: u64,
}

impl PcpList {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.pages.len() - self.tail
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first frames of the pages, from the head on.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.pages[self.tail..].iter().rev().map(|page| pfn_of(*page))
    }

    /// Puts a freed page of this pageblock type at the head.
    #[inline]
    pub(super) fn push_head(&mut self, pfn: u64, kind: MigrateType) {
        self.pages.push(pfn | (kind.index() as u64) << KIND_SHIFT);
    }

    /// Fills the list, which is empty, with pages for this type from the buddy, the head first; how many they are.
    pub(super) fn refill(&mut self, kind: MigrateType, mut next: impl FnMut() -> Option<u64>) -> usize {
        debug_assert!(self.is_empty(), "a list is refilled when it is empty");
        self.pages.clear();
        self.tail = 0;
        self.seen = UNKNOWN;
        while let Some(pfn) = next() {
            self.push_head(pfn, kind);
        }
        self.pages.reverse();
        self.pages.len()
    }

    /// Takes the page at the head.
    #[inline]
    pub(super) fn pop_head(&mut self) -> Option<u64> {
        if self.is_empty() { None } else { self.pages.pop().map(pfn_of) }
    }

    /// Takes the page at the tail, with the type that was noted for it.
    pub(super) fn pop_tail(&mut self) -> Option<(u64, MigrateType)> {
        let page = *self.pages.get(self.tail)?;
        self.tail += 1;
        if 2 * self.tail > self.pages.len() {
            self.pages.drain(..self.tail);
            self.tail = 0;
        }
        Some((pfn_of(page), MigrateType::from_index((page >> KIND_SHIFT) as usize)))
    }

    /// Whether every page of this list of single pages would come back to it.
    #[inline]
    pub(super) fn is_home(&mut self, kind: MigrateType, buddy: &Buddy) -> bool {
        if self.seen != buddy.kind_changes() {
            self.home = self.head_is_home(self.len(), kind, buddy);
            self.seen = buddy.kind_changes();
        }
        self.home
    }

    /// Whether the first pages would come back to this list.
    pub(super) fn head_is_home(&self, pages: usize, kind: MigrateType, buddy: &Buddy) -> bool {
        let mut block = u64::MAX;
        self.iter().take(pages).all(|pfn| {
            let same = pfn / PAGES_PER_2M == block;
            block = pfn / PAGES_PER_2M;
            same || buddy.kind(pfn) == kind
        })
    }

    /// Turns the order of the first pages round; there are so many.
    #[inline]
    pub(super) fn turn_head(&mut self, pages: usize) {
        let rest = self.pages.len() - pages;
        self.pages[rest..].reverse();
    }

    /// Moves the first pages to `into`; there are so many. They stand there as here, with the types noted for them.
    #[inline]
    pub(super) fn take_head(&mut self, pages: usize, into: &mut Vec<u64>) {
        let rest = self.pages.len() - pages;
        into.extend_from_slice(&self.pages[rest..]);
        self.pages.truncate(rest);
    }

    /// Puts pages that [`PcpList::take_head`] has moved at the head, the former head first.
    #[inline]
    pub(super) fn return_head(&mut self, pages: &[u64]) {
        self.pages.extend(pages.iter().rev());
    }

    /// Bytes of heap behind the list.
    pub(super) fn heap_bytes(&self) -> usize {
        self.pages.capacity() * size_of::<u64>()
    }
}
