//! The end of a boot, as far as the texts of a host tell it.

use crate::memory::allocator::Memory;
use crate::memory::buddy::{Fragment, RefillMode};
use crate::memory::machine::node_of_cpu;
use crate::memory::migrate::MigrateType;
use crate::memory::pcp::{LOW_ORDERS, draw_waiting};
use crate::memory::rules::PcpTuning;
use crate::memory::zone::Zone;
use crate::rng::Stream;

/// Where lists may hold thousands of pages, those wait there too that boot has freed: so many at most. `/proc/zoneinfo` of
/// guests whose init has just started shows 304 to 894 pages on all lists with 6.1.172 and 6.12.117, 71 with 5.10.262.
/// They are neither unmovable nor movable single pages, of which the first programs need refills.
const FREED: u64 = 600;

/// A per-CPU list that boot leaves filled.
struct Fill {
    cpu: u32,
    order: usize,
    blocks: u32,
    /// How many single pages boot takes before this list is filled.
    after: u64,
}

impl Memory {
    /// Takes pages until so many of the unmovable and of the reclaimable pageblocks of the preferred zone are taken, as
    /// [`Memory::taken`] counts them; some of the unmovable ones wait on the per-CPU lists.
    ///
    /// How many wait there no text tells, though it decides where the first pages of a replay lie. So it is drawn: from
    /// none to as many as one refill brings. Single pages were refilled last; when the lists of the orders 1 to 3 were,
    /// is drawn too: boot takes fewer of these, and they come from where the free pages began at that time.
    ///
    /// So much waits on the lists of reclaimable and of movable pages, too: it counts when the lists grow too long.
    pub(crate) fn settle_boot(&mut self, taken: [u64; 2], stream: &mut Stream) {
        let [unmovable, reclaimable] = taken;
        self.drain_pcp();
        let (cpus, rules) = (self.cpus, self.rules);
        let zone = &mut self.zones[self.preferred as usize];
        zone.forget_lists();
        let nodes = self.zonelists.len() as u32;
        let local = (0..cpus).filter(|cpu| node_of_cpu(*cpu, cpus, nodes) == zone.node);
        let lists: Vec<(u32, usize)> = local.flat_map(|cpu| (0..LOW_ORDERS).map(move |order| (cpu, order))).collect();
        let limits = zone.limits;
        let draw = |stream: &mut Stream| -> Vec<Fill> {
            let fill = |&(cpu, order): &(u32, usize)| Fill {
                cpu,
                order,
                blocks: draw_waiting(order, limits, &rules, stream),
                after: 0,
            };
            lists.iter().map(fill).collect()
        };
        let mut fills = draw(stream);
        let waiting = pages_of(&fills);
        let missing = unmovable.saturating_sub(zone.taken(MigrateType::Unmovable));
        let singles = match missing.checked_sub(waiting) {
            Some(singles) => singles,
            None => {
                fills.clear();
                missing
            }
        };
        for fill in &mut fills {
            fill.after = if fill.order == 0 { singles } else { stream.below(singles + 1) };
        }
        fills.sort_by_key(|fill| fill.after);
        let mut done = 0;
        for fill in fills {
            self.held += take_singles(zone, fill.after - done, MigrateType::Unmovable);
            done = fill.after;
            zone.fill_list(fill.cpu, fill.order, fill.blocks, MigrateType::Unmovable, &rules);
        }
        self.held += take_singles(zone, singles - done, MigrateType::Unmovable);
        let missing = reclaimable.saturating_sub(zone.taken(MigrateType::Reclaimable));
        let mut fills = draw(stream);
        if rules.tuning != PcpTuning::Fixed {
            for fill in fills.iter_mut().filter(|fill| fill.order == 0) {
                fill.blocks += (stream.below(FREED + 1)) as u32;
            }
        }
        if pages_of(&fills) > missing {
            fills.clear();
        }
        self.held += take_singles(zone, missing - pages_of(&fills), MigrateType::Reclaimable);
        for (fills, kind) in [(fills, MigrateType::Reclaimable), (draw(stream), MigrateType::Movable)] {
            fills.iter().for_each(|fill| zone.fill_list(fill.cpu, fill.order, fill.blocks, kind, &rules));
        }
    }
}

fn pages_of(fills: &[Fill]) -> u64 {
    fills.iter().map(|fill| u64::from(fill.blocks) << fill.order).sum()
}

/// Single pages that do not come from the per-CPU lists; as many as there are.
fn take_singles(zone: &mut Zone, pages: u64, kind: MigrateType) -> u64 {
    let mut take = || zone.buddy.take(0, kind, Fragment::Allowed, &mut RefillMode::Normal);
    (0..pages).take_while(|_| take().is_some()).count() as u64
}
