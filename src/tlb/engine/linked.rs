//! Levels that change each other's entries: one access after the other, in full.

use super::bank::CLASS_BITS;
use super::plan::{Place, RouteId};
use super::{Simulator, place};
use crate::tlb::access::Access;
use crate::tlb::cpu::{Cpu, FirstLevelHit, Inclusion, Level, Links, SecondLevelHit};
use crate::tlb::leaves::LeafMap;
use crate::units::PageSize;

/// Whether the levels need this path.
pub(super) fn is_linked(links: Links) -> bool {
    links != Links::default()
}

impl Simulator {
    pub(super) fn run_linked(&mut self, leaves: &LeafMap, accesses: &[Access]) {
        for &access in accesses {
            let id = self.route(leaves, access);
            let (kind, size) = id.split();
            let address = access.address();
            let first = self.plan.first.route(id).place(address);
            let second = self.plan.second.route(id).place(address);
            self.counts.accesses[kind][size] += 1;
            if self.look_up(first, address, id) {
                if self.links.first_level_hit == FirstLevelHit::TouchesSecond
                    && let Some(place) = second
                {
                    self.banks.with(place.structure, |bank| bank.touch(place.key(address, id.class())));
                }
                continue;
            }
            self.counts.first_misses[kind][size] += 1;
            let hit = self.look_up(second, address, id);
            if !hit {
                self.counts.walks[kind][size] += 1;
            }
            self.fill(first, second, address, id, hit);
        }
    }

    /// Looks a page up and counts it.
    fn look_up(&mut self, place: Option<Place>, address: u64, id: RouteId) -> bool {
        let Some(place) = place else { return false };
        let hit = self.banks.with(place.structure, |bank| bank.touch(place.key(address, id.class())));
        let tally = &mut self.counts.structures[place.structure].by_size[usize::from(id.class())];
        if hit {
            tally.hits += 1;
        } else {
            tally.misses += 1;
        }
        hit
    }

    /// Puts a translation where it belongs after a hit in the second level or a walk.
    fn fill(&mut self, first: Option<Place>, second: Option<Place>, address: u64, id: RouteId, hit: bool) {
        let class = id.class();
        let refills = !hit || self.links.second_level_hit == SecondLevelHit::RefillsFirst;
        let exclusive = self.links.inclusion == Inclusion::Exclusive && first.is_some();
        if let Some(place) = second {
            let key = place.key(address, class);
            if exclusive && hit && refills {
                self.banks.with(place.structure, |bank| bank.remove(key));
            } else if !exclusive && !hit {
                let victim = self.banks.with(place.structure, |bank| bank.insert(key));
                if let (Some(victim), Inclusion::Inclusive) = (victim, self.links.inclusion) {
                    self.drop_from_first(victim);
                }
            }
        }
        if let Some(place) = first
            && refills
        {
            let victim = self.banks.with(place.structure, |bank| bank.insert(place.key(address, class)));
            if let (Some(victim), true) = (victim, exclusive) {
                self.hand_down(place, victim, id);
            }
        }
    }

    /// Takes from the first level what the second one gave up.
    fn drop_from_first(&mut self, victim: u64) {
        // Both levels hold pages in the same pieces, as the check of a CPU demands, so the keys are the same.
        for structure in 0..self.counts.structures.len() {
            if self.counts.structures[structure].level == Level::First {
                self.banks.with(structure, |bank| bank.remove(victim));
            }
        }
    }

    /// Gives the second level what the first one gave up.
    fn hand_down(&mut self, first: Place, victim: u64, id: RouteId) {
        let class = (victim & ((1 << CLASS_BITS) - 1)) as u8;
        let address = (victim >> CLASS_BITS) << self.shifts[first.structure][usize::from(class)];
        let (kind, _) = id.split();
        if let Some(place) = self.plan.second.route(RouteId::new(kind, class)).place(address) {
            let key = place.key(address, class);
            if !self.banks.with(place.structure, |bank| bank.touch(key)) {
                self.banks.with(place.structure, |bank| bank.insert(key));
            }
        }
    }
}

/// How many address bits an entry of each structure covers, by page size.
pub(super) fn shifts(cpu: &Cpu) -> Vec<[u32; 3]> {
    let of_size = |structure, size| place(0, structure, size).map_or(0, |place| place.shift);
    cpu.doc().structures.iter().map(|structure| PageSize::ALL.map(|size| of_size(structure, size))).collect()
}
