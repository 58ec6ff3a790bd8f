//! The per-CPU lists of the slow page allocator.

use super::SlowZone;
use crate::memory::rules::{DrainTarget, PcpDrain, PcpOrders, PcpTuning};

impl SlowZone {
    pub(super) fn pindex(&self, order: u32, kind: usize) -> Option<usize> {
        match (self.rules.orders, order) {
            (_, 0) => Some(kind),
            (PcpOrders::Single, _) => None,
            (_, 1..=3) => Some(order as usize * 3 + kind),
            (PcpOrders::UpTo3AndHuge, 9) => Some(12),
            (_, 9) => Some(12 + usize::from(kind == 1)),
            _ => None,
        }
    }

    pub(in crate::memory::reference) fn count(&self) -> i64 {
        self.pcp.iter().flatten().map(|page| 1i64 << page.1).sum()
    }

    pub(super) fn take(&mut self, order: u32, kind: usize, whole: bool) -> Option<u64> {
        let Some(list) = self.pindex(order, kind) else {
            return self.take_buddy(order, kind, whole, &mut false);
        };
        self.free_factor >>= 1;
        self.free_count >>= 1;
        if self.pcp[list].is_empty() {
            let mut steal = false;
            for _ in 0..self.refill_size(order) {
                let Some(pfn) = self.take_buddy(order, kind, whole, &mut steal) else { break };
                self.pcp[list].push((pfn, order, kind));
            }
        }
        if self.pcp[list].is_empty() {
            return self.take_buddy(order, kind, whole, &mut false);
        }
        Some(self.pcp[list].remove(0).0)
    }

    fn refill_size(&mut self, order: u32) -> i64 {
        let (base, min, max) = self.sizes();
        let mut batch = base;
        if self.rules.tuning == PcpTuning::Auto {
            self.high = self.high.clamp(min, max);
            batch = if order == 0 { base << self.alloc_factor } else { base };
            if min != max && !self.below_high {
                self.high = (self.high + batch).min(max);
            }
            if order == 0 {
                let most = (self.high - self.count() - base).max(base);
                if batch <= most && self.alloc_factor < 5 {
                    self.alloc_factor += 1;
                }
                batch = batch.min(most);
            }
        }
        if batch > 1 && self.rules.orders != PcpOrders::Single { (batch >> order).max(2) } else { batch }
    }

    fn sizes(&self) -> (i64, i64, i64) {
        (i64::from(self.limits.batch), i64::from(self.limits.high_min), i64::from(self.limits.high_max))
    }

    pub(super) fn give(&mut self, pfn: u64, order: u32) {
        let kind = self.kind(pfn);
        let Some(list) = self.pindex(order, kind) else {
            return self.buddy_free(pfn, order, kind, false);
        };
        self.mark(pfn, order, kind);
        self.pcp[list].insert(0, (pfn, order, kind));
        let (batch, min, max) = self.sizes();
        let high_order = (1..=3).contains(&order);
        let drain = match self.rules.tuning {
            PcpTuning::Fixed => (self.count() >= min).then_some(batch),
            PcpTuning::FreeFactor => {
                if high_order && self.free_factor > 0 && self.rules.drain == PcpDrain::RequestedFirst {
                    Some(self.count())
                } else if self.count() >= min {
                    let pages = batch << self.free_factor;
                    if pages < min - batch {
                        self.free_factor += 1;
                    }
                    Some(pages.clamp(batch, min - batch))
                } else {
                    None
                }
            }
            PcpTuning::Auto => {
                self.alloc_factor >>= 1;
                let all = high_order && self.free_count >= batch && self.high_order_before && self.count() >= batch;
                self.high_order_before = high_order;
                if self.free_count < batch << 5 {
                    self.free_count += 1 << order;
                }
                self.high = self.high.clamp(min, max);
                if all {
                    self.high = (self.high - (batch << 5)).max(min);
                    Some(self.count().min(batch << 5))
                } else {
                    let mut limit = self.high;
                    if min != max && self.below_high {
                        self.high = (limit - self.free_count).max(min);
                        limit = self.count().max(min);
                    } else if min != max && self.count() >= limit {
                        self.high = (self.free_count + batch).clamp(min, max);
                    }
                    (self.count() >= limit).then(|| self.free_count.clamp(batch, limit - batch))
                }
            }
        };
        if let Some(pages) = drain {
            self.drain(pages, list);
            if self.below_high && self.free_pages() > self.marks.high + self.marks.reserve {
                self.below_high = false;
            }
        }
    }

    pub(in crate::memory::reference) fn drain(&mut self, pages: i64, first: usize) {
        let lists = match self.rules.orders {
            PcpOrders::Single => 3,
            PcpOrders::UpTo3AndHuge => 13,
            PcpOrders::UpTo3AndHugeByMobility => 14,
        };
        let mut left = pages.min(self.count());
        if self.rules.drain == PcpDrain::RequestedFirst {
            let order: Vec<usize> = (first..lists).chain(0..first).collect();
            for list in order {
                while left > 0 && !self.pcp[list].is_empty() {
                    left -= self.drain_tail(list);
                }
            }
            return;
        }
        let (mut list, mut turns) = (0, 0);
        while left > 0 {
            loop {
                turns += 1;
                list = if list + 1 == lists { 0 } else { list + 1 };
                if !self.pcp[list].is_empty() {
                    break;
                }
            }
            if turns == lists as i64 {
                turns = left;
            }
            loop {
                left -= self.drain_tail(list);
                turns -= 1;
                if left <= 0 || turns == 0 || self.pcp[list].is_empty() {
                    break;
                }
            }
        }
    }

    fn drain_tail(&mut self, list: usize) -> i64 {
        let (pfn, order, noted) = self.pcp[list].pop().unwrap();
        let kind = if self.rules.target == DrainTarget::Noted { noted } else { self.kind(pfn) };
        self.buddy_free(pfn, order, kind, false);
        1 << order
    }
}
