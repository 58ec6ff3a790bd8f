//! What boot leaves on a CPU's lists.

use super::{COSTLY_ORDER, PcpZone, PerCpu, SCALE_MAX, serves};
use crate::memory::buddy::Fragment;
use crate::memory::migrate::MigrateType;
use crate::memory::rules::{PageAllocRules, PcpTuning};
use crate::memory::watermark::PcpLimits;
use crate::rng::Stream;

/// Orders whose lists boot leaves filled, from 0 on: so many of them.
pub(in crate::memory) const LOW_ORDERS: usize = COSTLY_ORDER + 1;

/// Blocks of an order that wait after boot: from none to as many as one refill brings, each number as likely. Where
/// refills of single pages double while pages are only taken, how often they have doubled is drawn as well.
pub(in crate::memory) fn draw_waiting(
    order: usize,
    limits: PcpLimits,
    rules: &PageAllocRules,
    stream: &mut Stream,
) -> u32 {
    // Two draws in every case, so that one list does not move the numbers of another.
    let (doublings, share) = (stream.below(u64::from(SCALE_MAX) + 1), stream.bits());
    let most = match order {
        _ if !serves(rules.orders, order) => return 0,
        0 if rules.tuning == PcpTuning::Auto => limits.batch << doublings,
        0 => limits.batch,
        _ => (limits.batch >> order).max(2),
    };
    ((u128::from(share) * u128::from(most + 1)) >> 64) as u32
}

impl PerCpu {
    /// Fills an empty list from the buddy.
    pub(in crate::memory) fn fill(&mut self, blocks: u32, order: usize, kind: MigrateType, zone: &mut PcpZone<'_>) {
        self.refill(blocks, order, kind, Fragment::Allowed, zone);
    }
}
