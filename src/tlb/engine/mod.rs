//! The simulation: every look-up of every access, exactly.
//!
//! Levels that leave each other's entries alone are a row of filters: the second level sees what misses in the first,
//! in the same order. So accesses are taken in batches; each structure gets the keys of its look-ups as one list and
//! works through it in one tight loop. Levels that are linked go the long way, see `linked`.

mod bank;
mod counts;
mod hashed;
mod index;
mod linked;
mod ordered;
mod plan;
mod policy;
mod sets;

pub use counts::{Counts, StructureCounts, Tally};

use super::access::{Access, Host};
use super::cpu::{Cpu, Links};
use super::leaves::LeafMap;
use crate::rng::{Component, Stream};
use crate::units::PageSize;
use bank::{Bank, CLASS_BITS, bank};
use counts::{add_lookups, add_routes};
use plan::{Plan, RouteId, place};

/// Accesses that are taken at once: their lists stay in the processor's caches.
const BATCH: usize = 2048;

/// The TLBs of one core at work.
pub struct Simulator {
    plan: Plan,
    banks: Vec<Box<dyn Bank>>,
    links: Links,
    /// The class of the host's pages; what is larger is cut down to it.
    host_class: u8,
    shifts: Vec<[u32; 3]>,
    counts: Counts,
    batch: Batch,
}

/// The look-ups of one structure in a batch.
#[derive(Clone, Default)]
struct List {
    keys: Vec<u64>,
    /// Which access of the batch each key is from.
    at: Vec<u16>,
}

/// Room for one batch.
struct Batch {
    routes: Vec<RouteId>,
    lists: Vec<List>,
    /// By access: 1 if it has not been found yet.
    missed: Vec<u8>,
    /// By look-up of a list.
    list_missed: Vec<u8>,
    remaining: Vec<u16>,
}

impl Batch {
    fn new(structures: usize) -> Self {
        Self {
            routes: vec![RouteId::new(0, 0); BATCH],
            lists: vec![List::default(); structures],
            missed: vec![0; BATCH],
            list_missed: vec![0; BATCH],
            remaining: vec![0; BATCH + 1],
        }
    }

    /// Makes the list of the accesses that are still missed; returns how many they are.
    fn collect_missed(&mut self, accesses: usize) -> usize {
        let mut count = 0;
        for (at, missed) in self.missed[..accesses].iter().enumerate() {
            self.remaining[count] = at as u16;
            count += usize::from(*missed);
        }
        count
    }
}

impl Simulator {
    /// Empty TLBs. `seed` is where structures that replace at random begin.
    pub fn new(cpu: &Cpu, host: Host, seed: u64) -> Self {
        let structures = &cpu.doc().structures;
        let stream = |at: usize| Stream::new(seed, Component::Tlb, at as u32);
        Self {
            plan: Plan::of(cpu),
            banks: structures.iter().enumerate().map(|(at, structure)| bank(structure, stream(at))).collect(),
            links: cpu.doc().links,
            host_class: host.entry_size(PageSize::Size1G) as u8,
            shifts: linked::shifts(cpu),
            counts: Counts::of(cpu),
            batch: Batch::new(structures.len()),
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
            self.run_batch(leaves, batch);
        }
    }

    /// Drops every translation, as a write to CR4 or `invpcid` does.
    pub fn flush(&mut self) {
        self.banks.iter_mut().for_each(|bank| bank.flush());
        self.counts.flushes += 1;
    }

    /// Drops the translations of the page at an address, whatever its size, as `invlpg` does.
    pub fn flush_page(&mut self, leaves: &LeafMap, address: Access) {
        let size = PageSize::ALL[usize::from(leaves.class_at(address).min(self.host_class))];
        let start = address.address() & !(size.bytes().get() - 1);
        for (bank, shifts) in self.banks.iter_mut().zip(&self.shifts) {
            let shift = shifts[size as usize];
            if shift == 0 {
                continue;
            }
            let pieces = (size.bytes().get() >> shift).max(1);
            let first = start >> shift;
            for piece in first..first + pieces {
                bank.remove(piece << CLASS_BITS | size as u64);
            }
        }
        self.counts.page_flushes += 1;
    }

    #[inline(always)]
    fn route(&self, leaves: &LeafMap, access: Access) -> RouteId {
        RouteId::new(access.kind_index(), leaves.class_at(access).min(self.host_class))
    }

    fn run_batch(&mut self, leaves: &LeafMap, accesses: &[Access]) {
        let Self { plan, batch, .. } = self;
        for (id, access) in batch.routes.iter_mut().zip(accesses) {
            *id = RouteId::new(access.kind_index(), leaves.class_at(*access).min(self.host_class));
        }
        let routes = &batch.routes[..accesses.len()];
        add_routes(&mut self.counts.accesses, routes.iter().copied());
        for (at, (&id, access)) in routes.iter().zip(accesses).enumerate() {
            if let Some(place) = plan.first(id).place(access.address()) {
                let list = &mut batch.lists[place.structure];
                list.keys.push(place.key(access.address(), id.class()));
                list.at.push(at as u16);
            }
        }
        self.batch.missed[..accesses.len()].fill(1);
        self.work_through_lists();
        let remaining = self.batch.collect_missed(accesses.len());

        let Self { plan, batch, .. } = self;
        let missed = &batch.remaining[..remaining];
        add_routes(&mut self.counts.first_misses, missed.iter().map(|&at| batch.routes[usize::from(at)]));
        for &at in missed {
            let (id, access) = (batch.routes[usize::from(at)], accesses[usize::from(at)]);
            if let Some(place) = plan.second(id).place(access.address()) {
                let list = &mut batch.lists[place.structure];
                list.keys.push(place.key(access.address(), id.class()));
                list.at.push(at);
            }
        }
        self.work_through_lists();
        let remaining = self.batch.collect_missed(accesses.len());
        let batch = &self.batch;
        let walks = batch.remaining[..remaining].iter().map(|&at| batch.routes[usize::from(at)]);
        add_routes(&mut self.counts.walks, walks);
    }

    /// Lets each structure work through its list, marks what was found, and empties the lists.
    fn work_through_lists(&mut self) {
        for ((bank, list), counts) in self.banks.iter_mut().zip(&mut self.batch.lists).zip(&mut self.counts.structures)
        {
            if list.keys.is_empty() {
                continue;
            }
            let list_missed = &mut self.batch.list_missed[..list.keys.len()];
            bank.access_all(&list.keys, list_missed);
            add_lookups(&mut counts.by_size, &list.keys, list_missed);
            for (&at, missed) in list.at.iter().zip(list_missed) {
                self.batch.missed[usize::from(at)] = *missed;
            }
            list.keys.clear();
            list.at.clear();
        }
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
