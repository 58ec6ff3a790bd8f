//! Units of the model: page frame numbers, addresses, page sizes, orders, byte
//! counts and simulated time.
//!
//! Every quantity has a type of its own; a raw integer appears only where a
//! value enters (`new`) or leaves (`get`). Arithmetic that could leave the
//! range of the type returns an `Option` or saturates by name.

mod seeds;
mod text;

use std::fmt;

pub use seeds::{MAX_SEEDS, ParseSeedsError, Seeds};
pub use text::{ParseUnitError, Percent, SimDuration};

/// Bytes in a base page (4 KiB), the granule of the page allocator on x86-64.
pub const PAGE_BYTES: u64 = 4096;
/// Base pages in a 2 MiB entry (`PTRS_PER_PTE`), also the pages of a pageblock.
pub const PAGES_PER_2M: u64 = 512;
/// Base pages in a 1 GiB entry (`PTRS_PER_PMD * PTRS_PER_PTE`).
pub const PAGES_PER_1G: u64 = 512 * 512;
/// Largest page frame number that x86-64 can map with 52 physical address bits.
pub const MAX_PFN: u64 = (1 << 40) - 1;

/// A page frame number: a physical address divided by 4096.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Pfn(u64);

impl Pfn {
    /// The frame with this number. Numbers above [`MAX_PFN`] are a bug of the caller.
    #[inline]
    pub const fn new(number: u64) -> Self {
        debug_assert!(number <= MAX_PFN + 1);
        Self(number)
    }

    /// The frame's number.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The frame `pages` further up, or `None` past the last frame of x86-64.
    #[inline]
    pub const fn checked_add(self, pages: u64) -> Option<Self> {
        match self.0.checked_add(pages) {
            Some(number) if number <= MAX_PFN + 1 => Some(Self(number)),
            _ => None,
        }
    }

    /// The frame `pages` further up; for offsets known to stay inside a range that exists.
    #[inline]
    pub const fn offset(self, pages: u64) -> Self {
        Self::new(self.0 + pages)
    }

    /// Whether the frame starts a page of this size.
    #[inline]
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.0.is_multiple_of(size.pages())
    }

    /// The first frame of the page of this size that holds this frame.
    #[inline]
    pub const fn align_down(self, size: PageSize) -> Self {
        Self(self.0 - self.0 % size.pages())
    }

    /// The physical address of the frame's first byte.
    #[inline]
    pub const fn address(self) -> PhysAddr {
        PhysAddr(self.0 * PAGE_BYTES)
    }
}

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pfn {}", self.0)
    }
}

/// A physical address in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct PhysAddr(u64);

impl PhysAddr {
    /// The address; `None` past the 52 physical address bits of x86-64.
    pub const fn new(address: u64) -> Option<Self> {
        if address / PAGE_BYTES > MAX_PFN + 1 { None } else { Some(Self(address)) }
    }

    /// The address in bytes.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The frame that holds this address.
    #[inline]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 / PAGE_BYTES)
    }
}

impl fmt::Display for PhysAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A half-open range of page frames, `start..end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PfnRange {
    start: Pfn,
    end: Pfn,
}

impl PfnRange {
    /// The frames from `start` up to, not including, `end`; empty if `end <= start`.
    #[inline]
    pub const fn new(start: Pfn, end: Pfn) -> Self {
        if end.0 < start.0 { Self { start, end: start } } else { Self { start, end } }
    }

    /// `pages` frames from `start` on.
    #[inline]
    pub const fn with_len(start: Pfn, pages: u64) -> Self {
        Self { start, end: start.offset(pages) }
    }

    /// The first frame.
    #[inline]
    pub const fn start(self) -> Pfn {
        self.start
    }

    /// One past the last frame.
    #[inline]
    pub const fn end(self) -> Pfn {
        self.end
    }

    /// How many frames the range holds.
    #[inline]
    pub const fn pages(self) -> u64 {
        self.end.0 - self.start.0
    }

    /// Whether the range holds no frame.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.end.0 == self.start.0
    }

    /// Whether the frame lies in the range.
    #[inline]
    pub const fn contains(self, pfn: Pfn) -> bool {
        self.start.0 <= pfn.0 && pfn.0 < self.end.0
    }

    /// The frames that both ranges hold.
    pub fn intersection(self, other: Self) -> Self {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Every frame, in ascending order.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Pfn> {
        (self.start.0..self.end.0).map(Pfn)
    }
}

/// The size of one direct-map entry (a leaf of the page table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageSize {
    /// A page table entry, 4 KiB.
    Size4K,
    /// A page middle directory leaf, 2 MiB.
    Size2M,
    /// A page upper directory leaf, 1 GiB.
    Size1G,
}

impl PageSize {
    /// All sizes, smallest first.
    pub const ALL: [Self; 3] = [Self::Size4K, Self::Size2M, Self::Size1G];

    /// Base pages in a page of this size.
    #[inline]
    pub const fn pages(self) -> u64 {
        match self {
            Self::Size4K => 1,
            Self::Size2M => PAGES_PER_2M,
            Self::Size1G => PAGES_PER_1G,
        }
    }

    /// Bytes in a page of this size.
    #[inline]
    pub const fn bytes(self) -> Bytes {
        Bytes(self.pages() * PAGE_BYTES)
    }

    /// The size that an entry of this size is split into, one level down.
    pub const fn smaller(self) -> Option<Self> {
        match self {
            Self::Size4K => None,
            Self::Size2M => Some(Self::Size4K),
            Self::Size1G => Some(Self::Size2M),
        }
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size4K => "4K",
            Self::Size2M => "2M",
            Self::Size1G => "1G",
        })
    }
}

/// The order of a block of the buddy allocator: `2^order` base pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Order(u8);

impl Order {
    /// The largest order of the allocator (`MAX_ORDER - 1` up to 6.3, `MAX_PAGE_ORDER` since 6.8), 4 MiB.
    pub const MAX: Self = Self(10);
    /// The order of a pageblock with 2 MiB huge pages (`pageblock_order`).
    pub const PAGEBLOCK: Self = Self(9);
    /// The order of larger slabs (`PAGE_ALLOC_COSTLY_ORDER`, `slub_max_order`), 32 KiB.
    pub const SLAB: Self = Self(3);
    /// A single base page.
    pub const ZERO: Self = Self(0);

    /// The order, or `None` above [`Order::MAX`].
    pub const fn new(order: u8) -> Option<Self> {
        if order <= Self::MAX.0 { Some(Self(order)) } else { None }
    }

    /// The order as a number.
    #[inline]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The order as an index into an array of [`Order::COUNT`] entries.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// How many orders there are.
    pub const COUNT: usize = Self::MAX.0 as usize + 1;

    /// Base pages in a block of this order.
    #[inline]
    pub const fn pages(self) -> u64 {
        1 << self.0
    }

    /// The next larger order, if there is one.
    #[inline]
    pub const fn larger(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The next smaller order, if there is one.
    #[inline]
    pub const fn smaller(self) -> Option<Self> {
        match self.0 {
            0 => None,
            order => Some(Self(order - 1)),
        }
    }

    /// Every order from the smallest to the largest.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..=Self::MAX.0).map(Self)
    }
}

/// A number of bytes. Parses and prints with binary units: `"64GiB"`, `"2MiB"`, `"300B"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Bytes(u64);

impl Bytes {
    /// This many bytes.
    #[inline]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bytes of this many base pages; `None` on overflow.
    pub const fn from_pages(pages: u64) -> Option<Self> {
        match pages.checked_mul(PAGE_BYTES) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// The number of bytes.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The base pages needed to hold this many bytes.
    #[inline]
    pub const fn pages_up(self) -> u64 {
        self.0.div_ceil(PAGE_BYTES)
    }

    /// The sum; `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }
}

/// A point in simulated time: nanoseconds since the start of the replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SimTime(u64);

impl SimTime {
    /// The start of the replay.
    pub const ZERO: Self = Self(0);

    /// This many nanoseconds after the start.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start.
    #[inline]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// This point moved on by a duration; `None` past about 584 years.
    #[inline]
    pub const fn checked_add(self, by: SimDuration) -> Option<Self> {
        match self.0.checked_add(by.nanos()) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// This point moved on by a duration, at most to the end of time.
    #[inline]
    pub const fn saturating_add(self, by: SimDuration) -> Self {
        Self(self.0.saturating_add(by.nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_align_to_each_page_size() {
        let pfn = Pfn::new(PAGES_PER_1G + PAGES_PER_2M + 3);
        assert_eq!(pfn.align_down(PageSize::Size4K), pfn);
        assert_eq!(pfn.align_down(PageSize::Size2M), Pfn::new(PAGES_PER_1G + PAGES_PER_2M));
        assert_eq!(pfn.align_down(PageSize::Size1G), Pfn::new(PAGES_PER_1G));
        assert!(!pfn.is_aligned(PageSize::Size2M));
        assert_eq!(pfn.address().pfn(), pfn);
    }

    #[test]
    fn arithmetic_stops_at_the_end_of_physical_memory() {
        assert_eq!(Pfn::new(1).checked_add(u64::MAX), None);
        assert_eq!(Pfn::new(0).checked_add(MAX_PFN + 2), None);
        assert_eq!(PhysAddr::new(u64::MAX), None);
        assert_eq!(Bytes::from_pages(u64::MAX), None);
        assert_eq!(SimTime::from_nanos(1).checked_add(SimDuration::from_nanos(u64::MAX)), None);
    }

    #[test]
    fn ranges_intersect_and_never_turn_negative() {
        let range = |start, end| PfnRange::new(Pfn::new(start), Pfn::new(end));
        assert_eq!(range(0, 10).intersection(range(5, 20)), range(5, 10));
        assert!(range(0, 5).intersection(range(7, 9)).is_empty());
        assert_eq!(range(9, 3).pages(), 0);
        assert_eq!(PfnRange::with_len(Pfn::new(4), 3).iter().map(Pfn::get).collect::<Vec<_>>(), [4, 5, 6]);
    }

    #[test]
    fn orders_end_at_four_mebibytes() {
        assert_eq!(Order::MAX.pages(), 1024);
        assert_eq!(Order::new(11), None);
        assert_eq!(Order::MAX.larger(), None);
        assert_eq!(Order::ZERO.smaller(), None);
        assert_eq!(Order::all().len(), Order::COUNT);
    }
}
