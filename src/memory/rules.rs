//! Details of the page allocator that differ between kernel releases.

/// What happens when a request must take from another type's lists (`__rmqueue_fallback` and its helpers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Move all free blocks of the pageblock first, then change its type if half of it is free or alike
    /// (`steal_suitable_fallback@5.10`, the same up to 6.9).
    MoveThenTest,
    /// Test first; a pageblock that fails the test gives the one block only, and what is left of that block stays
    /// with its old type (`steal_suitable_fallback@6.12`, since the free-list hygiene series of 6.10).
    TestThenMove,
    /// As before, but one block of each order is tried from the largest down, and if none can be claimed the smallest
    /// foreign block is used (`__rmqueue_claim`, `__rmqueue_steal@6.16`; c2f6ea38fc1b and 90abee6d7895).
    ClaimOrSmallest,
}

/// How the per-CPU lists grow and shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcpTuning {
    /// Refill and drain by `batch`, at most `6 * batch` pages (`pageset_set_batch@5.10`).
    Fixed,
    /// The limit follows the zone's low watermark; batches double while pages are only freed
    /// (`nr_pcp_free@6.1`, 5.14 to 6.6).
    FreeFactor,
    /// Refills double while pages are only taken, and the limit moves (`nr_pcp_alloc`, `nr_pcp_high@6.12`, since 6.7).
    Auto,
}

/// From which lists a drain takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcpDrain {
    /// Round robin over all lists (`free_pcppages_bulk@5.10`, up to 5.17).
    RoundRobin,
    /// The list that overflowed first, then the following ones (`free_pcppages_bulk@6.1`, since 5.18).
    RequestedFirst,
}

/// Which requests the per-CPU lists serve (`pcp_allowed_order`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcpOrders {
    /// Single pages only (up to 5.12).
    Single,
    /// Orders 0 to 3, and order 9 in one list for all types (5.13 to 6.9, with transparent huge pages built in).
    UpTo3AndHuge,
    /// Orders 0 to 3, and order 9 in two lists, movable and the rest (since 6.10; bf14ed81f571).
    UpTo3AndHugeByMobility,
}

/// On which free list a page of a per-CPU list ends when it is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainTarget {
    /// Of the type noted when the page came to the per-CPU list (`get_pcppage_migratetype`, up to 6.9).
    Noted,
    /// Of the type its pageblock has now (`get_pfnblock_migratetype` in `free_pcppages_bulk@6.12`).
    Pageblock,
}

/// Whether khugepaged has raised `min_free_kbytes` (`set_recommended_min_free_kbytes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// Transparent huge pages are `always` or `madvise`, as in distributions.
    On,
    /// They are `never`.
    Off,
}

/// The type of pageblocks that are not free from their first frame on when memory is handed over at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootPageblocks {
    /// Where struct pages are set up late (`CONFIG_DEFERRED_STRUCT_PAGE_INIT`, as in Debian) nobody sets the type of
    /// such pageblocks and they stay unmovable, so the first unmovable pages come from them
    /// (`deferred_free_range@6.1`; recordings of 5.10, 6.1 and 6.12 show the struct-page array as unmovable).
    Unset,
    /// Movable as all others (recordings of 6.16 and later).
    Movable,
}

/// The page allocator of one kernel release, as far as releases differ.
///
/// The batch is the same in all of them: `managed / 1024 / 4` up to 64, rounded, minus one (`zone_batchsize@5.10`);
/// the new words of 7.x (`managed >> 12`, at most 256 KiB) give the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PageAllocRules {
    /// Taking from other types.
    pub fallback: Fallback,
    /// Size of the per-CPU lists.
    pub tuning: PcpTuning,
    /// How the per-CPU lists are drained.
    pub drain: PcpDrain,
    /// What the per-CPU lists hold.
    pub orders: PcpOrders,
    /// Where drained pages go.
    pub target: DrainTarget,
    /// Transparent huge pages, which raise the watermarks.
    pub huge_pages: HugePages,
    /// Types of partly used pageblocks at boot.
    pub boot_pageblocks: BootPageblocks,
}

impl PageAllocRules {
    /// Linux 5.10 (`mm/page_alloc.c@5.10`).
    pub const fn v5_10() -> Self {
        Self {
            fallback: Fallback::MoveThenTest,
            tuning: PcpTuning::Fixed,
            drain: PcpDrain::RoundRobin,
            orders: PcpOrders::Single,
            target: DrainTarget::Noted,
            huge_pages: HugePages::On,
            boot_pageblocks: BootPageblocks::Unset,
        }
    }

    /// Linux 5.15: per-CPU lists also of orders 1 to 3 and 9, their limit from the low watermark (5.13, 5.14).
    pub const fn v5_15() -> Self {
        Self { tuning: PcpTuning::FreeFactor, orders: PcpOrders::UpTo3AndHuge, ..Self::v5_10() }
    }

    /// Linux 5.18: the list that overflowed is drained first.
    pub const fn v5_18() -> Self {
        Self { drain: PcpDrain::RequestedFirst, ..Self::v5_15() }
    }

    /// Linux 6.1 (`mm/page_alloc.c@6.1`): as 5.18 in everything modelled here.
    pub const fn v6_1() -> Self {
        Self::v5_18()
    }

    /// Linux 6.12 (`mm/page_alloc.c@6.12`).
    pub const fn v6_12() -> Self {
        Self {
            fallback: Fallback::TestThenMove,
            tuning: PcpTuning::Auto,
            orders: PcpOrders::UpTo3AndHugeByMobility,
            target: DrainTarget::Pageblock,
            ..Self::v6_1()
        }
    }

    /// Linux 6.16 and later, up to 7.3.
    pub const fn v7_2() -> Self {
        Self { fallback: Fallback::ClaimOrSmallest, boot_pageblocks: BootPageblocks::Movable, ..Self::v6_12() }
    }
}

/// Every set of rules, for tests.
#[cfg(test)]
pub(super) fn all_eras() -> [PageAllocRules; 5] {
    use PageAllocRules as Rules;
    [Rules::v5_10(), Rules::v5_15(), Rules::v6_1(), Rules::v6_12(), Rules::v7_2()]
}
