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
        // What one call of the bulk allocator serves; it leaves single pages to others.
        let served = 2..=ARRAY_PAGES;
        let mut taken = std::mem::take(&mut self.lent_before);
        let zone = &mut self.zones[self.preferred as usize];
        if !served.contains(&pages) || !zone.lend(pages, kind, self.cpu, &self.rules, &mut taken) {
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
    use super::super::{MemoryLayout, MemorySetup, NodeRange, PageAllocRules, StartState};
    use super::*;
    use crate::units::{Order, Pfn, PfnRange};
    use proptest::prelude::*;

    const U: MigrateType = MigrateType::Unmovable;

    #[derive(Clone, Debug)]
    enum Step {
        Borrow(u64),
        /// Pages lent while other things happen.
        Lend(u64, Vec<Step>),
        Take(u64, usize),
        /// A block taken and given back.
        Block(u8),
        /// Frees so many of the pages held, from this one on.
        Give(prop::sample::Index, usize),
        /// Every so-many-th of the pages held.
        GiveEvery(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1..80u64, 0..3usize).prop_map(|(pages, kind)| Step::Take(pages, kind)),
            1 => (500..9000u64, 0..3usize).prop_map(|(pages, kind)| Step::Take(pages, kind)),
            3 => (0..4u8).prop_map(Step::Block),
            4 => (any::<prop::sample::Index>(), 1..60usize).prop_map(|(from, count)| Step::Give(from, count)),
            1 => (1..5usize).prop_map(Step::GiveEvery),
        ];
        let lend = (prop_oneof![1 => Just(1u64), 8 => 2..120u64], prop::collection::vec(step.clone(), 0..4));
        let all = prop_oneof![
            4 => step,
            3 => (1..40u64).prop_map(Step::Borrow),
            3 => lend.prop_map(|(pages, inner)| Step::Lend(pages, inner)),
        ];
        prop::collection::vec(all, 1..60)
    }

    /// A host that borrows and lends, one that takes and gives instead, and what is held on both.
    struct Pair {
        fast: Memory,
        slow: Memory,
        held: Vec<Pfn>,
    }

    impl Pair {
        fn both<T: PartialEq + std::fmt::Debug>(&mut self, mut act: impl FnMut(&mut Memory) -> T) -> T {
            let done = act(&mut self.fast);
            assert_eq!(done, act(&mut self.slow));
            done
        }

        fn give(&mut self, pages: Vec<Pfn>) {
            self.both(|memory| pages.iter().for_each(|pfn| memory.free_page(*pfn)));
        }

        fn step(&mut self, step: &Step) {
            match step {
                Step::Borrow(pages) => {
                    let mut runs = Vec::new();
                    let taken = self.slow.alloc_bulk(*pages, U, &mut runs);
                    self.slow.give_back(&mut runs, 0);
                    if self.fast.turn_pages(*pages, U) {
                        assert!(taken.is_ok());
                    } else {
                        assert_eq!(self.fast.alloc_bulk(*pages, U, &mut runs), taken);
                        self.fast.give_back(&mut runs, 0);
                    }
                }
                Step::Lend(pages, inner) => self.lend(*pages, inner),
                Step::Take(pages, kind) => {
                    for _ in 0..*pages {
                        let page = self.both(|memory| memory.alloc_page(MigrateType::from_index(*kind)));
                        self.held.extend(page.ok());
                    }
                }
                Step::Block(order) => {
                    let order = Order::new(*order).unwrap();
                    self.both(|memory| memory.alloc_block(order, U).map(|pfn| memory.free_block(pfn, order)).is_ok());
                }
                Step::Give(from, count) if !self.held.is_empty() => {
                    let from = from.index(self.held.len());
                    let to = (from + count).min(self.held.len());
                    let pages = self.held.drain(from..to).collect();
                    self.give(pages);
                }
                Step::Give(..) => {}
                Step::GiveEvery(every) => {
                    let all = std::mem::take(&mut self.held).into_iter().enumerate();
                    let (freed, kept): (Vec<_>, Vec<_>) = all.partition(|(number, _)| number % every == 0);
                    self.held = kept.into_iter().map(|(_, pfn)| pfn).collect();
                    self.give(freed.into_iter().map(|(_, pfn)| pfn).collect());
                }
            }
        }

        fn lend(&mut self, pages: u64, inner: &[Step]) {
            let mut runs = Vec::new();
            if self.slow.alloc_array(pages, U, &mut runs).is_err() {
                assert!(self.fast.alloc_array(pages, U, &mut Vec::new()).is_err());
                return;
            }
            let lent = self.fast.lend(pages, U);
            if lent.is_none() {
                self.fast.alloc_array(pages, U, &mut Vec::new()).unwrap();
            }
            inner.iter().for_each(|step| self.step(step));
            match lent {
                Some(lent) => self.fast.take_back(lent),
                None => self.fast.give_back(&mut runs.clone(), 0),
            }
            self.slow.give_back(&mut runs, 0);
        }
    }

    /// What the two hosts have in common in all that follows: the next pages, and the free lists behind them.
    fn future(memory: &Memory) -> (Vec<Pfn>, String) {
        let mut copy = memory.clone();
        let next = (0..300).map_while(|_| copy.alloc_page(U).ok()).collect();
        copy.drain_pcp();
        (next, copy.pagetypeinfo())
    }

    fn run(steps: &[Step], rules: PageAllocRules) {
        let range = PfnRange::new(Pfn::new(4096), Pfn::new(12_300));
        let layout = MemoryLayout::from_ranges(vec![NodeRange { node: 0, range }]).unwrap();
        let start = &StartState::Fresh;
        let setup = MemorySetup { layout: &layout, reserved: &[], start, rules, cpus: 1, seed: 1, run: 0 };
        let memory = Memory::new(&setup).unwrap();
        let mut pair = Pair { fast: memory.clone(), slow: memory, held: Vec::new() };
        for step in steps {
            pair.step(step);
            pair.fast.check().unwrap();
            assert_eq!(pair.fast.unused_pages(), pair.slow.unused_pages());
            assert_eq!(future(&pair.fast), future(&pair.slow), "{step:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn lending_is_taking_and_giving(era in any::<prop::sample::Index>(), steps in steps()) {
            run(&steps, all_eras()[era.index(all_eras().len())]);
        }
    }
}
