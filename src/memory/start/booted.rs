//! The end of a boot, as far as the texts of a host tell it.

use crate::memory::allocator::Memory;
use crate::memory::buddy::{Fragment, RefillMode};
use crate::memory::machine::node_of_cpu;
use crate::memory::migrate::MigrateType;
use crate::memory::pcp::{LOW_ORDERS, draw_waiting};
use crate::memory::zone::Zone;
use crate::rng::Stream;

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
    pub(crate) fn settle_boot(&mut self, taken: [u64; 2], stream: &mut Stream) {
        let [unmovable, reclaimable] = taken;
        self.drain_pcp();
        let (cpus, rules) = (self.cpus, self.rules);
        let zone = &mut self.zones[self.preferred as usize];
        zone.forget_lists();
        let nodes = self.zonelists.len() as u32;
        let local = (0..cpus).filter(|cpu| node_of_cpu(*cpu, cpus, nodes) == zone.node);
        let lists = local.flat_map(|cpu| (0..LOW_ORDERS).map(move |order| (cpu, order)));
        let fill =
            |(cpu, order)| Fill { cpu, order, blocks: draw_waiting(order, zone.limits, &rules, stream), after: 0 };
        let mut fills: Vec<Fill> = lists.map(fill).collect();
        let waiting: u64 = fills.iter().map(|fill| u64::from(fill.blocks) << fill.order).sum();
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
        self.held += take_singles(zone, missing, MigrateType::Reclaimable);
    }
}

/// Single pages that do not come from the per-CPU lists; as many as there are.
fn take_singles(zone: &mut Zone, pages: u64, kind: MigrateType) -> u64 {
    let mut take = || zone.buddy.take(0, kind, Fragment::Allowed, &mut RefillMode::Normal);
    (0..pages).take_while(|_| take().is_some()).count() as u64
}
