//! Single pages that are needed for a moment only, as the verifier's scratch is.
//!
//! Most of the pages that a load takes go back before it ends. Where they come from a per-CPU list and are sure to come
//! back to it, there is no need to look up the pageblock of each.

use super::allocator::Memory;
use super::bulk::ARRAY_PAGES;
use super::migrate::MigrateType;
use super::pcp::pfn_of;

/// Pages that [`Memory::lend`] has lent.
#[derive(Debug)]
#[must_use = "the pages are lost unless Memory::take_back gets them"]
pub struct Lent {
    /// As they stood on their list.
    pages: Vec<u64>,
    kind: MigrateType,
    zone: u32,
    /// How many changes of types the zone had seen when the pages were lent.
    seen: u64,
}

impl Lent {
    /// How many pages.
    pub const fn pages(&self) -> u64 {
        self.pages.len() as u64
    }
}

impl Memory {
    /// Takes single pages and gives them back in the same order at once, as scratch memory is; afterwards the last one is
    /// the next to be handed out. The same as [`Memory::alloc_bulk`] or [`Memory::alloc_array`] and
    /// [`Memory::free_page`] for each, but faster; false if the CPU's list does not allow that, and nothing was done.
    pub fn turn_pages(&mut self, pages: u64, kind: MigrateType) -> bool {
        self.zones[self.preferred as usize].turn_head(pages as usize, kind, self.cpu, &self.rules)
    }

    /// Lends the pages that [`Memory::alloc_array`] would take; `None`, and nothing has changed, unless they are all on
    /// the list of the CPU and their way back leads there.
    pub fn lend(&mut self, pages: u64, kind: MigrateType) -> Option<Lent> {
        let mut taken = std::mem::take(&mut self.lent_before);
        let zone = &mut self.zones[self.preferred as usize];
        if pages > ARRAY_PAGES || !zone.lend(pages, kind, self.cpu, &self.rules, &mut taken) {
            self.lent_before = taken;
            return None;
        }
        self.held += pages;
        Some(Lent { pages: taken, kind, zone: self.preferred, seen: zone.buddy.kind_changes() })
    }

    /// Takes lent pages back, as [`Memory::free_page`] does with each, in the order in which they were lent.
    pub fn take_back(&mut self, mut lent: Lent) {
        let zone = &mut self.zones[lent.zone as usize];
        self.held -= lent.pages.len() as u64;
        let left = zone.take_back(&lent.pages, lent.kind, lent.seen, self.cpu, &self.rules);
        for page in left.iter().rev() {
            zone.free(pfn_of(*page), 0, self.cpu, &self.rules);
        }
        lent.pages.clear();
        self.lent_before = lent.pages;
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::all_eras;
    use super::super::{Aged, MemoryLayout, MemorySetup, StartState};
    use super::*;
    use crate::units::{Bytes, Order, Pfn};
    use proptest::prelude::*;

    const U: MigrateType = MigrateType::Unmovable;

    #[derive(Clone, Debug)]
    enum Step {
        Borrow(u64),
        /// Pages lent while a block of this order is taken and given back.
        Lend(u64, u8),
        Take(u64, usize),
        Give(prop::sample::Index),
        /// Every so-many-th of the pages held.
        GiveEvery(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1..40u64).prop_map(Step::Borrow),
            3 => (1..120u64, 0..4u8).prop_map(|(pages, order)| Step::Lend(pages, order)),
            3 => (1..80u64, 0..3usize).prop_map(|(pages, kind)| Step::Take(pages, kind)),
            1 => (500..5000u64, 0..3usize).prop_map(|(pages, kind)| Step::Take(pages, kind)),
            3 => any::<prop::sample::Index>().prop_map(Step::Give),
            1 => (1..5usize).prop_map(Step::GiveEvery),
        ];
        prop::collection::vec(step, 1..60)
    }

    /// Takes pages one way or the other and gives them back at once.
    fn scratch(memory: &mut Memory, step: &Step, by_hand: bool) -> bool {
        let mut runs = Vec::new();
        let (pages, order) = match *step {
            Step::Borrow(pages) if !by_hand && memory.turn_pages(pages, U) => return true,
            Step::Borrow(pages) => (pages, None),
            Step::Lend(pages, order) => (pages, Order::new(order)),
            _ => return true,
        };
        let lent = if by_hand { None } else { memory.lend(pages, U) };
        let taken = match order {
            _ if lent.is_some() => Ok(()),
            None => memory.alloc_bulk(pages, U, &mut runs),
            Some(_) => memory.alloc_array(pages, U, &mut runs),
        };
        if let Some(order) = order
            && let Ok(block) = memory.alloc_block(order, U)
        {
            memory.free_block(block, order);
        }
        lent.into_iter().for_each(|lent| memory.take_back(lent));
        runs.iter().flat_map(|run| run.iter()).for_each(|pfn| memory.free_page(pfn));
        taken.is_ok()
    }

    /// What the two hosts have in common in all that follows: the next pages, and the free lists behind them.
    fn future(memory: &Memory) -> (Vec<Pfn>, String) {
        let mut copy = memory.clone();
        let next = (0..500).map_while(|_| copy.alloc_page(U).ok()).collect();
        copy.drain_pcp();
        (next, copy.buddyinfo())
    }

    fn run(steps: &[Step], rules: crate::memory::PageAllocRules, start: &StartState) {
        let layout = MemoryLayout::q35(Bytes::new(128 << 20)).unwrap();
        let setup = MemorySetup { layout: &layout, reserved: &[], start, rules, cpus: 1, seed: 1, run: 0 };
        let mut fast = Memory::new(&setup).unwrap();
        let mut slow = fast.clone();
        let mut held: Vec<Pfn> = Vec::new();
        for step in steps {
            assert_eq!(scratch(&mut fast, step, false), scratch(&mut slow, step, true));
            let freed: Vec<Pfn> = match step {
                Step::Take(pages, kind) => {
                    for _ in 0..*pages {
                        let got = fast.alloc_page(MigrateType::from_index(*kind));
                        assert_eq!(got, slow.alloc_page(MigrateType::from_index(*kind)));
                        held.extend(got.ok());
                    }
                    continue;
                }
                Step::Give(which) if !held.is_empty() => vec![held.swap_remove(which.index(held.len()))],
                Step::GiveEvery(every) => {
                    let freed = held.iter().step_by(*every).copied().collect();
                    let mut number = 0..;
                    held.retain(|_| number.next().is_some_and(|number| number % every != 0));
                    freed
                }
                _ => Vec::new(),
            };
            for pfn in freed {
                fast.free_page(pfn);
                slow.free_page(pfn);
            }
            fast.check().unwrap();
            assert_eq!(fast.unused_pages(), slow.unused_pages());
            assert_eq!(future(&fast), future(&slow), "{step:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn lending_is_taking_and_giving(era in any::<prop::sample::Index>(), aged in any::<bool>(), steps in steps()) {
            let eras: Vec<_> = all_eras().into_iter().collect();
            let start = if aged { StartState::Aged(Aged::month()) } else { StartState::Fresh };
            run(&steps, eras[era.index(eras.len())], &start);
        }
    }
}
