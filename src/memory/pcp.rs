//! Per-CPU lists: pages kept back from the buddy allocator so that most requests need no zone lock.
//!
//! A refill appends pages at the tail in the order the buddy hands them out, a request takes the head, a freed page is
//! put at the head. So fresh pages ascend, and the last freed page is used first.

mod boot;
mod lend;
mod list;

pub(super) use boot::{LOW_ORDERS, draw_waiting};
pub(super) use list::pfn_of;

use super::buddy::{Buddy, End, Fragment, RefillMode};
use super::migrate::MigrateType;
use super::rules::{DrainTarget, PageAllocRules, PcpDrain, PcpOrders, PcpTuning};
use super::watermark::PcpLimits;
use crate::units::Order;
use list::PcpList;

/// Orders 0 to 3 (`PAGE_ALLOC_COSTLY_ORDER`), three types each.
const LOW_LISTS: usize = 4 * MigrateType::COUNT;
/// One more for huge pages that cannot be moved, one for those that can.
const LISTS: usize = LOW_LISTS + 2;
const COSTLY_ORDER: usize = 3;
/// `CONFIG_PCP_BATCH_SCALE_MAX`: batches grow to at most `batch << 5`.
const SCALE_MAX: u32 = 5;

/// What the lists need to know of their zone.
pub(super) struct PcpZone<'a> {
    pub buddy: &'a mut Buddy,
    pub rules: &'a PageAllocRules,
    pub limits: PcpLimits,
    /// Whether the zone was seen below its high watermark (`ZONE_BELOW_HIGH`, since 6.7).
    pub below_high: bool,
}

/// The lists of one CPU for one zone (`struct per_cpu_pages`).
#[derive(Clone, Debug, Default)]
pub(super) struct PerCpu {
    lists: [PcpList; LISTS],
    /// Pages on all lists.
    count: u32,
    /// Limit that moves (since 6.7).
    high: u32,
    /// Doublings of the next drain (5.14 to 6.6).
    free_factor: u32,
    /// Pages freed of late (since 6.7).
    free_count: u32,
    /// Doublings of the next refill (since 6.7).
    alloc_factor: u32,
    /// Whether the last page freed was of order 1 to 3.
    freed_high_order: bool,
}

/// Whether the per-CPU lists serve this order.
#[inline]
pub(super) const fn serves(orders: PcpOrders, order: usize) -> bool {
    match orders {
        PcpOrders::Single => order == 0,
        PcpOrders::UpTo3AndHuge | PcpOrders::UpTo3AndHugeByMobility => {
            order <= COSTLY_ORDER || order == Order::PAGEBLOCK.index()
        }
    }
}

/// The list of a type and order (`order_to_pindex`).
#[inline]
const fn list_of(orders: PcpOrders, order: usize, kind: MigrateType) -> usize {
    if order <= COSTLY_ORDER {
        MigrateType::COUNT * order + kind.index()
    } else if matches!(orders, PcpOrders::UpTo3AndHugeByMobility) && matches!(kind, MigrateType::Movable) {
        LOW_LISTS + 1
    } else {
        LOW_LISTS
    }
}

/// The order of the pages on a list (`pindex_to_order`).
const fn order_of(list: usize) -> usize {
    if list < LOW_LISTS { list / MigrateType::COUNT } else { Order::PAGEBLOCK.index() }
}

/// How many lists a release has.
const fn lists_in_use(orders: PcpOrders) -> usize {
    match orders {
        PcpOrders::Single => MigrateType::COUNT,
        PcpOrders::UpTo3AndHuge => LOW_LISTS + 1,
        PcpOrders::UpTo3AndHugeByMobility => LISTS,
    }
}

impl PerCpu {
    pub(super) fn new(limits: PcpLimits) -> Self {
        Self { high: limits.high_min, ..Self::default() }
    }

    /// Pages on the lists.
    pub(super) fn pages(&self) -> u64 {
        u64::from(self.count)
    }

    /// All blocks on the lists, with their sizes in pages; for checks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u64, u64)> {
        let lists = self.lists.iter().enumerate();
        lists.flat_map(|(list, pages)| pages.iter().map(move |pfn| (pfn, 1 << order_of(list))))
    }

    /// A single page from the list, if there is one: no zone is looked at.
    #[inline]
    pub(super) fn pop(&mut self, kind: MigrateType) -> Option<u64> {
        let pfn = self.lists[kind.index()].pop_head()?;
        self.count -= 1;
        self.note_request();
        Some(pfn)
    }

    /// A request halves what the next drain takes (`rmqueue_pcplist`).
    #[inline]
    fn note_request(&mut self) {
        self.free_factor >>= 1;
        self.free_count >>= 1;
    }

    /// A block from the list, refilled if it is empty (`rmqueue_pcplist@6.1`).
    pub(super) fn take(
        &mut self,
        order: usize,
        kind: MigrateType,
        fragment: Fragment,
        zone: &mut PcpZone<'_>,
    ) -> Option<u64> {
        self.note_request();
        self.take_listed(order, kind, fragment, zone)
    }

    /// The same without the note: how the bulk allocator takes its pages (`__rmqueue_pcplist@6.1`).
    pub(super) fn take_listed(
        &mut self,
        order: usize,
        kind: MigrateType,
        fragment: Fragment,
        zone: &mut PcpZone<'_>,
    ) -> Option<u64> {
        let list = list_of(zone.rules.orders, order, kind);
        if self.lists[list].is_empty() {
            let blocks = self.refill_size(order, zone);
            self.refill(blocks, order, kind, fragment, zone);
        }
        let pfn = self.lists[list].pop_head()?;
        self.count -= 1 << order;
        Some(pfn)
    }

    /// How many blocks the next refill takes (`nr_pcp_alloc@6.12`, the constant batch before).
    fn refill_size(&mut self, order: usize, zone: &PcpZone<'_>) -> u32 {
        let PcpLimits { batch: base, high_min, high_max } = zone.limits;
        let mut batch = base;
        if zone.rules.tuning == PcpTuning::Auto {
            self.high = self.high.clamp(high_min, high_max);
            if order == 0 {
                batch <<= self.alloc_factor;
            }
            if high_min != high_max && !zone.below_high {
                self.high = (self.high + batch).min(high_max);
            }
            if order == 0 {
                let most = self.high.saturating_sub(self.count + base).max(base);
                if batch <= most && self.alloc_factor < SCALE_MAX {
                    self.alloc_factor += 1;
                }
                batch = batch.min(most);
            }
        }
        if batch > 1 && zone.rules.orders != PcpOrders::Single { (batch >> order).max(2) } else { batch }
    }

    /// Fills an empty list with up to `blocks` blocks from the buddy (`rmqueue_bulk@6.1`).
    fn refill(&mut self, blocks: u32, order: usize, kind: MigrateType, fragment: Fragment, zone: &mut PcpZone<'_>) {
        let list = list_of(zone.rules.orders, order, kind);
        let mut mode = RefillMode::Normal;
        let mut left = blocks;
        let next = || {
            left = left.checked_sub(1)?;
            zone.buddy.take(order, kind, fragment, &mut mode)
        };
        self.count += (self.lists[list].refill(kind, next) as u32) << order;
    }

    /// Serves up to `wanted` single pages with whole blocks, if the list is empty: page by page would give the very
    /// same frames, and leave the lists as this does. Appends first frames and pages; returns how many pages in all.
    pub(super) fn take_whole(
        &mut self,
        wanted: u64,
        kind: MigrateType,
        fragment: Fragment,
        zone: &mut PcpZone<'_>,
        blocks: &mut Vec<(u64, u64)>,
    ) -> u64 {
        if !self.lists[kind.index()].is_empty() {
            return 0;
        }
        let pages = zone.buddy.take_whole(wanted, kind, blocks);
        if pages > 0 {
            let mut refilled = 0;
            while refilled < pages {
                refilled += u64::from(self.refill_size(0, zone));
            }
            self.refill((refilled - pages) as u32, 0, kind, fragment, zone);
            // Each request halves them.
            let halvings = pages.min(31) as u32;
            (self.free_factor, self.free_count) = (self.free_factor >> halvings, self.free_count >> halvings);
        }
        pages
    }

    /// Puts a freed block on its list, and drains if there are too many (`free_unref_page_commit`); whether it drained.
    #[inline(always)]
    pub(super) fn free(&mut self, pfn: u64, order: usize, kind: MigrateType, zone: &mut PcpZone<'_>) -> bool {
        let list = list_of(zone.rules.orders, order, kind);
        self.lists[list].push_head(pfn, kind);
        self.count += 1 << order;
        let due = self.due(order, zone);
        if let Some(pages) = due {
            self.drain(pages, list, zone);
        }
        due.is_some()
    }

    /// Pages to drain after a block of this order has come, if the lists are too long.
    #[inline]
    fn due(&mut self, order: usize, zone: &PcpZone<'_>) -> Option<u32> {
        let PcpLimits { batch, high_min: high, .. } = zone.limits;
        match zone.rules.tuning {
            PcpTuning::Fixed => (self.count >= high).then_some(batch),
            PcpTuning::FreeFactor => {
                // Since 5.18, orders 1 to 3 are not hoarded while pages are only freed.
                let high_order = order > 0 && order <= COSTLY_ORDER;
                if high_order && self.free_factor > 0 && zone.rules.drain == PcpDrain::RequestedFirst {
                    return Some(self.count);
                }
                (self.count >= high).then(|| self.scaled_drain(zone))
            }
            PcpTuning::Auto => {
                let (limit, pages) = self.auto_limit(order, zone);
                (self.count >= limit).then_some(pages)
            }
        }
    }

    /// Pages to drain, doubled for each drain without a request between (`nr_pcp_free@6.1`).
    fn scaled_drain(&mut self, zone: &PcpZone<'_>) -> u32 {
        let PcpLimits { batch, high_min: high, .. } = zone.limits;
        let most = high - batch;
        let pages = batch << self.free_factor;
        if pages < most {
            self.free_factor += 1;
        }
        pages.clamp(batch, most)
    }

    /// The limit and how many pages to drain above it (`free_unref_page_commit`, `nr_pcp_high`, `nr_pcp_free@6.12`).
    fn auto_limit(&mut self, order: usize, zone: &PcpZone<'_>) -> (u32, u32) {
        let PcpLimits { batch, high_min, high_max } = zone.limits;
        self.alloc_factor >>= 1;
        // Pages of order 1 to 3 freed in a row go back at once; `PCPF_FREE_HIGH_BATCH` is set where each CPU's share of
        // the cache is large, as on any machine of today.
        let high_order = order > 0 && order <= COSTLY_ORDER;
        let all = high_order && self.free_count >= batch && self.freed_high_order && self.count >= batch;
        self.freed_high_order = high_order;
        if self.free_count < batch << SCALE_MAX {
            self.free_count += 1 << order;
        }
        self.high = self.high.clamp(high_min, high_max);
        if all {
            self.high = self.high.saturating_sub(batch << SCALE_MAX).max(high_min);
            return (0, self.count.min(batch << SCALE_MAX));
        }
        let limit = self.tuned_limit(batch, zone);
        (limit, self.free_count.clamp(batch, (limit - batch).max(batch)))
    }

    fn tuned_limit(&mut self, batch: u32, zone: &PcpZone<'_>) -> u32 {
        let PcpLimits { high_min, high_max, .. } = zone.limits;
        let limit = self.high;
        if high_min == high_max {
            return limit;
        }
        if zone.below_high {
            self.high = limit.saturating_sub(self.free_count).max(high_min);
            return self.count.max(high_min);
        }
        if self.count >= limit {
            self.high = (self.free_count + batch).clamp(high_min, high_max);
        }
        limit
    }

    /// Gives everything back (`drain_pages_zone`).
    pub(super) fn drain_all(&mut self, zone: &mut PcpZone<'_>) {
        self.drain(self.count, 0, zone);
    }

    /// Gives `pages` pages back to the buddy, each list from its tail (`free_pcppages_bulk`).
    #[inline(never)]
    fn drain(&mut self, pages: u32, first: usize, zone: &mut PcpZone<'_>) {
        let pages = pages.min(self.count);
        match zone.rules.drain {
            PcpDrain::RoundRobin => self.drain_round_robin(pages, zone),
            PcpDrain::RequestedFirst => self.drain_from(pages, first, zone),
        }
    }

    fn drain_round_robin(&mut self, pages: u32, zone: &mut PcpZone<'_>) {
        let lists = lists_in_use(zone.rules.orders);
        let mut left = i64::from(pages);
        let (mut list, mut turns) = (0, 0);
        while left > 0 {
            loop {
                turns += 1;
                list = (list + 1) % lists;
                if !self.lists[list].is_empty() {
                    break;
                }
            }
            // The only list with pages gives all.
            if turns == lists as i64 {
                turns = left;
            }
            loop {
                left -= self.drain_one(list, zone);
                turns -= 1;
                if left <= 0 || turns == 0 || self.lists[list].is_empty() {
                    break;
                }
            }
        }
    }

    fn drain_from(&mut self, pages: u32, first: usize, zone: &mut PcpZone<'_>) {
        let mut left = i64::from(pages);
        let lists = lists_in_use(zone.rules.orders);
        let mut list = first;
        while left > 0 {
            while left > 0 && !self.lists[list].is_empty() {
                left -= self.drain_one(list, zone);
            }
            list = (list + 1) % lists;
        }
    }

    /// Gives the block at the tail of a list back; its pages.
    fn drain_one(&mut self, list: usize, zone: &mut PcpZone<'_>) -> i64 {
        let order = order_of(list);
        let (pfn, noted) = self.lists[list].pop_tail().expect("the caller has seen that the list holds pages");
        self.count -= 1 << order;
        let kind = match zone.rules.target {
            DrainTarget::Noted => noted,
            DrainTarget::Pageblock => zone.buddy.kind(pfn),
        };
        zone.buddy.free(pfn, order, kind, End::Head);
        1 << order
    }

    /// Bytes of heap behind the lists.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.lists.iter().map(PcpList::heap_bytes).sum::<usize>()
    }
}
