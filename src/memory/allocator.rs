//! The memory of a machine: zones, zone lists, and the requests that the rest of the model makes.

use super::buddy::Fragment;
use super::layout::MemoryLayout;
use super::machine::{first_try, node_of_cpu, set_limits, stretches_of, zonelist, zones_of};
use super::migrate::MigrateType;
use super::rules::PageAllocRules;
use super::start::{self, MemoryError, StartState};
use super::zone::{Mark, Zone};
use crate::units::{Order, Pfn, PfnRange};

/// What a machine's memory is made of.
#[derive(Clone, Debug)]
pub struct MemorySetup<'a> {
    /// The RAM.
    pub layout: &'a MemoryLayout,
    /// Frames that never reach the page allocator; see [`super::memblock::boot_reserved`]. In any order, may overlap.
    pub reserved: &'a [PfnRange],
    /// What is free at the start.
    pub start: &'a StartState,
    /// The kernel release.
    pub rules: PageAllocRules,
    /// CPUs, spread evenly over the nodes; at least one.
    pub cpus: u32,
    /// Seed of the random places of free blocks.
    pub seed: u64,
    /// Number of the run; runs with the same seed differ.
    pub run: u32,
}

/// No block for a request: neither free nor to be had without reclaim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of memory: no {kind} block of order {} ({free_pages} pages are free)", order.get())]
pub struct OutOfMemory {
    /// The order asked for.
    pub order: Order,
    /// The type asked for.
    pub kind: MigrateType,
    /// Free pages of the whole machine at that moment, per-CPU lists not counted.
    pub free_pages: u64,
}

/// A contiguous range of frames and the zone it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub start: u64,
    pub end: u64,
    pub zone: u32,
}

/// Physical memory as the kernel's page allocator sees it.
///
/// A clone is a world of its own: the same requests give the same frames in both.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(super) zones: Vec<Zone>,
    /// Which zone each frame belongs to, ascending.
    stretches: Vec<Stretch>,
    /// The one that the last freed frame lies in: the next one will, too.
    last_freed: Stretch,
    /// For each node, the zones that serve its requests, best first.
    pub(super) zonelists: Vec<Vec<u32>>,
    /// For each node, whether its requests first try not to cut up pageblocks of other types.
    pub(super) first_try: Vec<Fragment>,
    pub(super) rules: PageAllocRules,
    pub(super) cpus: u32,
    pub(super) cpu: u32,
    pub(super) node: u32,
    /// The first zone of the node's zone list.
    pub(super) preferred: u32,
    /// Pages that callers hold.
    pub(super) held: u64,
    /// Room for the next pages that are lent.
    pub(super) lent_before: Vec<u64>,
}

impl Memory {
    /// The memory of a machine in its start state. Takes time and space for the number of ranges, not for their size.
    ///
    /// # Errors
    /// If the start state does not fit the layout.
    pub fn new(setup: &MemorySetup<'_>) -> Result<Self, MemoryError> {
        let mut zones = zones_of(setup.layout, &setup.rules);
        start::fill(&mut zones, setup)?;
        let nodes = setup.layout.nodes();
        let cpus = setup.cpus.max(1);
        set_limits(&mut zones, nodes, cpus, &setup.rules);
        let stretches = stretches_of(&zones);
        let zonelists: Vec<Vec<u32>> = (0..nodes).map(|node| zonelist(&zones, node, nodes)).collect();
        let first_try = zonelists.iter().map(|list| first_try(&zones, list, nodes)).collect();
        Ok(Self {
            last_freed: stretches[0],
            preferred: zonelists[0][0],
            zones,
            stretches,
            zonelists,
            first_try,
            rules: setup.rules,
            cpus,
            cpu: 0,
            node: 0,
            held: 0,
            lent_before: Vec::new(),
        })
    }

    /// The CPU that makes the next requests: its per-CPU lists serve them, its node is the local one. Numbers past
    /// the last CPU count as the last one.
    pub fn set_cpu(&mut self, cpu: u32) {
        self.cpu = cpu.min(self.cpus - 1);
        self.node = node_of_cpu(self.cpu, self.cpus, self.zonelists.len() as u32);
        self.preferred = self.zonelists[self.node as usize][0];
    }

    /// A single page (`alloc_page(GFP_KERNEL)`).
    ///
    /// # Errors
    /// If no zone has a page above its min watermark.
    #[inline]
    pub fn alloc_page(&mut self, kind: MigrateType) -> Result<Pfn, OutOfMemory> {
        match self.zones[self.preferred as usize].take_cached(self.cpu, kind) {
            Some(pfn) => {
                self.held += 1;
                Ok(Pfn::new(pfn))
            }
            None => self.alloc_block(Order::ZERO, kind),
        }
    }

    /// A naturally aligned block (`alloc_pages`), without reclaim or compaction: first above the low watermarks, then
    /// above the min watermarks (`__alloc_pages@6.1`).
    ///
    /// # Errors
    /// If no zone has such a block above its min watermark.
    pub fn alloc_block(&mut self, order: Order, kind: MigrateType) -> Result<Pfn, OutOfMemory> {
        let first_try = self.first_try[self.node as usize];
        let pfn = self
            .take(order.index(), kind, Mark::Low, first_try)
            .or_else(|| self.take(order.index(), kind, Mark::Min, Fragment::Allowed));
        match pfn {
            Some(pfn) => {
                self.held += order.pages();
                Ok(Pfn::new(pfn))
            }
            None => Err(OutOfMemory { order, kind, free_pages: self.free_pages() }),
        }
    }

    /// One walk along the zone list (`get_page_from_freelist@6.1`).
    fn take(&mut self, order: usize, kind: MigrateType, mark: Mark, mut fragment: Fragment) -> Option<u64> {
        let list = &self.zonelists[self.node as usize];
        loop {
            for &index in list {
                let zone = &mut self.zones[index as usize];
                // Better to cut up a local pageblock than to go to another node.
                if fragment == Fragment::Avoided && zone.node != self.node {
                    break;
                }
                if let Some(pfn) = zone.take(order, kind, mark, fragment, self.cpu, &self.rules) {
                    return Some(pfn);
                }
            }
            if fragment == Fragment::Allowed {
                return None;
            }
            fragment = Fragment::Allowed;
        }
    }

    /// Gives a single page back, through the per-CPU list (`__free_page`).
    ///
    /// # Panics
    /// If the frame lies past the end of RAM.
    #[inline]
    pub fn free_page(&mut self, pfn: Pfn) {
        self.give(pfn.get(), 0);
    }

    /// Gives a block back as one (`__free_pages`), through the per-CPU lists if the release keeps its order there.
    ///
    /// # Panics
    /// If the frames lie past the end of RAM.
    pub fn free_block(&mut self, pfn: Pfn, order: Order) {
        self.give(pfn.get(), order.index());
    }

    #[inline(always)]
    fn give(&mut self, pfn: u64, order: usize) {
        if pfn < self.last_freed.start || pfn >= self.last_freed.end {
            self.last_freed = *self.stretch(pfn).expect("freed frames were handed out, so they are RAM");
        }
        self.held -= 1 << order;
        self.zones[self.last_freed.zone as usize].free(pfn, order, self.cpu, &self.rules);
    }

    /// Gives a contiguous run back as the largest aligned blocks that it holds, lowest first (7.x `free_pages_bulk`).
    /// To free page by page, loop over [`Memory::free_page`].
    ///
    /// # Panics
    /// If the frames lie past the end of RAM.
    pub fn free_run(&mut self, run: PfnRange) {
        let mut pfn = run.start();
        while pfn < run.end() {
            // A block lies in one zone.
            let zone_end = self.stretch(pfn.get()).map_or(u64::MAX, |stretch| stretch.end);
            let order = largest_order(pfn.get(), run.end().get().min(zone_end));
            self.free_block(pfn, order);
            pfn = pfn.offset(order.pages());
        }
    }

    /// Hands over what a kernel sets up late at boot; a fresh machine lacks these few pages until then.
    pub fn hand_over_late(&mut self) {
        self.zones.iter_mut().for_each(start::hand_over_late);
    }

    /// Gives the pages of all per-CPU lists back to the free lists (`drain_all_pages`).
    pub fn drain_pcp(&mut self) {
        for zone in &mut self.zones {
            zone.drain(&self.rules);
        }
    }

    /// Pages on the free lists: what `MemFree` of `/proc/meminfo` shows (`NR_FREE_PAGES`; per-CPU lists do not count).
    pub fn free_pages(&self) -> u64 {
        self.zones.iter().map(|zone| zone.buddy.free_pages()).sum()
    }

    /// Pages on the free lists and on per-CPU lists: all that nobody uses.
    pub fn unused_pages(&self) -> u64 {
        self.free_pages() + self.zones.iter().map(Zone::cached_pages).sum::<u64>()
    }

    /// The zone that local requests turn to first: its node and class.
    pub(super) fn preferred_zone(&self) -> &Zone {
        &self.zones[self.preferred as usize]
    }

    /// Pageblocks of the preferred zone whose type boot left unset.
    pub fn unset_pageblocks(&self) -> u64 {
        self.preferred_zone().boot_unmovable
    }

    /// Pages of the preferred zone's pageblocks of a type less those that are free on lists of this type: what has been
    /// taken for it, pages on per-CPU lists too.
    pub fn taken(&self, kind: MigrateType) -> u64 {
        self.preferred_zone().taken(kind)
    }

    /// Pages that the allocator manages: RAM without what was reserved at boot (`MemTotal`).
    pub fn managed_pages(&self) -> u64 {
        self.zones.iter().map(|zone| zone.managed).sum()
    }

    /// The type of the pageblock that holds the frame; movable outside RAM, and where an aged host has nothing drawn
    /// yet.
    pub fn migrate_type_of(&self, pfn: Pfn) -> MigrateType {
        self.stretch(pfn.get())
            .map_or(MigrateType::Movable, |found| self.zones[found.zone as usize].buddy.kind(pfn.get()))
    }

    /// Numbers (`pfn / 512`) of the pageblocks that are unmovable or reclaimable, and how many more such pageblocks an
    /// aged host has that are not drawn yet.
    pub fn pageblocks_not_movable(&self) -> (Vec<u64>, u64) {
        let placed = self.zones.iter().flat_map(|zone| zone.buddy.not_movable()).collect();
        (placed, self.zones.iter().map(|zone| zone.buddy.unplaced()).sum())
    }

    /// Bytes of heap that the model of this memory takes, roughly.
    pub fn heap_bytes(&self) -> usize {
        self.zones.iter().map(|zone| size_of::<Zone>() + zone.heap_bytes()).sum()
    }

    /// The stretch that holds a frame.
    fn stretch(&self, pfn: u64) -> Option<&Stretch> {
        self.stretches.get(self.stretches.partition_point(|stretch| stretch.end <= pfn))
    }
}

/// The largest order of an aligned block that starts at a frame and ends at or before `end`.
pub(super) fn largest_order(pfn: u64, end: u64) -> Order {
    let aligned = pfn.trailing_zeros().min(u32::from(Order::MAX.get()));
    let fits = (end - pfn).ilog2();
    Order::new(aligned.min(fits) as u8).unwrap_or(Order::MAX)
}
