//! The simulation: every look-up of every access, exactly.
//!
//! Levels that leave each other's entries alone are a row of filters, so that accesses are taken in batches, see `batch`.
//! Levels that are linked go the long way, see `linked`.

mod bank;
mod batch;
mod counts;
mod direct;
mod hashed;
mod index;
mod linked;
mod lists;
mod logged;
mod ordered;
mod plan;
mod policy;
mod rows;
mod sets;
mod states;
mod vector;

pub use counts::{Counts, StructureCounts, Tally};
pub(super) use index::SetIndex;

use super::access::{Access, Host};
use super::cpu::{Cpu, Links};
use super::leaves::{CODES, LeafMap};
use crate::rng::{Component, Stream};
use crate::units::PageSize;
use bank::{Banks, CLASS_BITS};
use batch::{BATCH, Batch, Machine};
use plan::{Plan, RouteId, place};

/// The TLBs of one core at work.
pub struct Simulator {
    plan: Plan,
    banks: Banks,
    links: Links,
    /// The size of the entry for what the map holds at an address, by its code: none is larger than the host's pages,
    /// and what is not mapped counts as 4K.
    classes: [u8; CODES],
    shifts: Vec<[u32; 3]>,
    counts: Counts,
    batch: Batch,
}

impl Simulator {
    /// Empty TLBs. `seed` is where structures that replace at random begin.
    pub fn new(cpu: &Cpu, host: Host, seed: u64) -> Self {
        let structures = &cpu.doc().structures;
        let plan = Plan::of(cpu);
        let banks = Banks::of(cpu, |at| Stream::new(seed, Component::Tlb, at as u32));
        Self {
            batch: Batch::new(&plan, &banks, structures.len()),
            plan,
            banks,
            links: cpu.doc().links,
            classes: std::array::from_fn(|code| {
                host.entry_size(*PageSize::ALL.get(code).unwrap_or(&PageSize::Size4K)) as u8
            }),
            shifts: linked::shifts(cpu),
            counts: Counts::of(cpu),
        }
    }

    /// What was counted since the beginning, or since [`Simulator::reset_counts`].
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Forgets what was counted, but no translation.
    pub fn reset_counts(&mut self, cpu: &Cpu) {
        self.counts = Counts::of(cpu);
    }

    /// Makes accesses to memory that is mapped like this. What is not mapped counts as pages of 4K.
    pub fn run(&mut self, leaves: &LeafMap, accesses: &[Access]) {
        if linked::is_linked(self.links) {
            return self.run_linked(leaves, accesses);
        }
        for batch in accesses.chunks(BATCH) {
            let Self { plan, classes, banks, counts, .. } = self;
            let machine = &mut Machine { plan, classes: *classes, banks, counts };
            vector::run(&mut self.batch, machine, leaves, batch);
        }
    }

    /// Drops every translation, as a write to CR4 or `invpcid` does.
    pub fn flush(&mut self) {
        self.banks.flush();
        self.counts.flushes += 1;
    }

    /// Drops the translations of the page at an address, whatever its size, as `invlpg` does.
    pub fn flush_page(&mut self, leaves: &LeafMap, address: Access) {
        let size = PageSize::ALL[usize::from(self.class(leaves, address))];
        let start = address.address() & !(size.bytes().get() - 1);
        for (structure, shifts) in self.shifts.iter().enumerate() {
            let shift = shifts[size as usize];
            if shift == 0 {
                continue;
            }
            let pieces = (size.bytes().get() >> shift).max(1);
            let first = start >> shift;
            for piece in first..first + pieces {
                self.banks.with(structure, |bank| bank.remove(piece << CLASS_BITS | size as u64));
            }
        }
        self.counts.page_flushes += 1;
    }

    #[inline(always)]
    fn route(&self, leaves: &LeafMap, access: Access) -> RouteId {
        RouteId::new(access.kind_index(), self.class(leaves, access))
    }

    #[inline(always)]
    fn class(&self, leaves: &LeafMap, access: Access) -> u8 {
        self.classes[usize::from(leaves.code_at(access)) % CODES]
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
