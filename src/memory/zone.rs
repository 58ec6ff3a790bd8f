//! A zone: one node's memory in one range of addresses, with its free lists, watermarks and per-CPU lists.

use super::buddy::{Buddy, End, Fragment, RefillMode};
use super::layout::{FOUR_GIB, SIXTEEN_MIB};
use super::migrate::MigrateType;
use super::pcp::{PcpZone, PerCpu, serves};
use super::rules::{PageAllocRules, PcpTuning};
use super::watermark::{Marks, PcpLimits};
use crate::units::{Order, PAGES_PER_2M, PfnRange};

/// The address class of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZoneClass {
    /// Below 16 MiB.
    Dma,
    /// From 16 MiB to 4 GiB.
    Dma32,
    /// From 4 GiB up.
    Normal,
}

impl ZoneClass {
    /// All classes, lowest first.
    pub const ALL: [Self; 3] = [Self::Dma, Self::Dma32, Self::Normal];

    /// The name in `/proc/buddyinfo`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dma => "DMA",
            Self::Dma32 => "DMA32",
            Self::Normal => "Normal",
        }
    }

    /// The frames of the class, first and one past the last. The very first frame belongs to the BIOS
    /// (`setup.c:trim_bios_range`).
    pub(super) const fn frames(self) -> (u64, u64) {
        match self {
            Self::Dma => (1, SIXTEEN_MIB),
            Self::Dma32 => (SIXTEEN_MIB, FOUR_GIB),
            Self::Normal => (FOUR_GIB, u64::MAX),
        }
    }
}

/// The watermark that a request has to respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Min,
    Low,
    High,
}

/// One zone of one node.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub node: u32,
    pub class: ZoneClass,
    /// RAM of the zone, ascending.
    pub ranges: Vec<PfnRange>,
    /// Pages that were not reserved at boot.
    pub managed: u64,
    pub marks: Marks,
    pub limits: PcpLimits,
    pub buddy: Buddy,
    /// Pageblocks without a free page at boot whose type stayed unmovable.
    pub boot_unmovable: u64,
    /// Free parts of such pageblocks that the kernel has not handed over yet.
    pub late: Vec<PfnRange>,
    below_high: bool,
    /// Lists of the CPUs that have used the zone.
    per_cpu: Vec<Option<Box<PerCpu>>>,
}

impl Zone {
    /// A zone with these RAM ranges in which every page is in use.
    pub(super) fn new(node: u32, class: ZoneClass, ranges: Vec<PfnRange>, rules: &PageAllocRules) -> Self {
        let start = ranges.first().map_or(0, |range| range.start().get());
        let end = ranges.last().map_or(0, |range| range.end().get());
        Self {
            node,
            class,
            ranges,
            managed: 0,
            marks: Marks::default(),
            limits: PcpLimits::default(),
            buddy: Buddy::new(start, end, rules.fallback),
            boot_unmovable: 0,
            late: Vec::new(),
            below_high: false,
            per_cpu: Vec::new(),
        }
    }

    /// Whether a request of this order may take from the zone (`zone_watermark_fast@6.1`).
    #[inline]
    pub(super) fn passes(&self, order: usize, mark: Mark) -> bool {
        let mark = match mark {
            Mark::Min => self.marks.min,
            Mark::Low => self.marks.low,
            Mark::High => self.marks.high,
        };
        let least = mark + self.marks.reserve + ((1 << order) - 1);
        self.buddy.free_pages() > least && (order == 0 || self.buddy.has_block(order))
    }

    /// Notes when the zone falls below its high watermark; the lists then shrink (`get_page_from_freelist@6.12`).
    fn note_high_mark(&mut self, order: usize, rules: &PageAllocRules) {
        if rules.tuning == PcpTuning::Auto && !self.below_high && !self.passes(order, Mark::High) {
            self.below_high = true;
        }
    }

    /// The lists of a CPU, and the rest of the zone.
    #[inline(always)]
    fn split<'a>(&'a mut self, cpu: u32, rules: &'a PageAllocRules) -> (&'a mut PerCpu, PcpZone<'a>) {
        let index = cpu as usize;
        if self.per_cpu.get(index).is_none_or(Option::is_none) {
            self.add_lists(index);
        }
        let lists = self.per_cpu[index].as_deref_mut().expect("the lists have just been seen or added");
        (lists, PcpZone { buddy: &mut self.buddy, rules, limits: self.limits, below_high: self.below_high })
    }

    #[cold]
    fn add_lists(&mut self, cpu: usize) {
        if cpu >= self.per_cpu.len() {
            self.per_cpu.resize_with(cpu + 1, || None);
        }
        self.per_cpu[cpu] = Some(Box::new(PerCpu::new(self.limits)));
    }

    /// A single page from the CPU's list if it holds one and the zone is far from its watermarks.
    #[inline]
    pub(super) fn take_cached(&mut self, cpu: u32, kind: MigrateType) -> Option<u64> {
        if !self.passes(0, Mark::High) {
            return None;
        }
        self.per_cpu.get_mut(cpu as usize)?.as_mut()?.pop(kind)
    }

    /// See [`PerCpu::turn_head`].
    pub(super) fn turn_head(&mut self, pages: usize, kind: MigrateType, cpu: u32, rules: &PageAllocRules) -> bool {
        if !self.passes(0, Mark::High) || self.per_cpu.len() <= cpu as usize {
            return false;
        }
        let (lists, zone) = self.split(cpu, rules);
        lists.turn_head(pages, kind, &zone)
    }

    /// Single pages from the CPU's list, if the zone is far from its watermarks; see [`PerCpu::lend`].
    pub(super) fn lend(
        &mut self,
        pages: u64,
        kind: MigrateType,
        cpu: u32,
        rules: &PageAllocRules,
        into: &mut Vec<u64>,
    ) -> bool {
        let far = self.passes(0, Mark::High) && self.has_for_array(pages);
        let (lists, zone) = self.split(cpu, rules);
        far && lists.lend(pages as usize, kind, zone.buddy, into)
    }

    /// A block for a request that respects `mark`; `None` if the zone has none to give.
    pub(super) fn take(
        &mut self,
        order: usize,
        kind: MigrateType,
        mark: Mark,
        fragment: Fragment,
        cpu: u32,
        rules: &PageAllocRules,
    ) -> Option<u64> {
        self.note_high_mark(order, rules);
        if !self.passes(order, mark) {
            return None;
        }
        if serves(rules.orders, order) {
            let (lists, mut zone) = self.split(cpu, rules);
            if let Some(pfn) = lists.take(order, kind, fragment, &mut zone) {
                return Some(pfn);
            }
        }
        self.buddy.take(order, kind, fragment, &mut RefillMode::Normal)
    }

    /// Whether the bulk allocator may take so many pages (`alloc_pages_bulk@6.1`).
    fn has_for_array(&self, pages: u64) -> bool {
        self.buddy.free_pages() > self.marks.low + self.marks.reserve + pages
    }

    /// Single pages for the bulk allocator, as many of `pages` as the CPU's list and the zone give; none if that many
    /// would bring the zone below its low watermark.
    pub(super) fn take_array(
        &mut self,
        pages: u64,
        kind: MigrateType,
        cpu: u32,
        rules: &PageAllocRules,
        mut each: impl FnMut(u64),
    ) -> u64 {
        if !self.has_for_array(pages) {
            return 0;
        }
        let (lists, mut zone) = self.split(cpu, rules);
        let mut taken = 0;
        while taken < pages {
            let Some(pfn) = lists.take_listed(0, kind, Fragment::Allowed, &mut zone) else { break };
            each(pfn);
            taken += 1;
        }
        taken
    }

    /// Whole blocks for up to `wanted` single pages; see [`PerCpu::take_whole`]. Takes nothing that would bring the
    /// zone near its watermarks.
    pub(super) fn take_whole(
        &mut self,
        wanted: u64,
        kind: MigrateType,
        fragment: Fragment,
        cpu: u32,
        rules: &PageAllocRules,
        blocks: &mut Vec<(u64, u64)>,
    ) -> u64 {
        // The last refill takes up to 2016 pages more than are asked for.
        let keep = self.marks.high + self.marks.reserve + 4096;
        let wanted = wanted.min(self.buddy.free_pages().saturating_sub(keep));
        if wanted == 0 {
            return 0;
        }
        let (lists, mut zone) = self.split(cpu, rules);
        lists.take_whole(wanted, kind, fragment, &mut zone, blocks)
    }

    /// Gives a block back, through the CPU's lists if they serve its order (`__free_pages`).
    #[inline(always)]
    pub(super) fn free(&mut self, pfn: u64, order: usize, cpu: u32, rules: &PageAllocRules) {
        if !serves(rules.orders, order) {
            self.buddy.free(pfn, order, self.buddy.kind(pfn), End::Head);
            return;
        }
        let kind = self.buddy.release(pfn, 1 << order);
        let (lists, mut zone) = self.split(cpu, rules);
        // Three calls with a known list each: the CPU foresees the branch and need not wait for the type.
        let drained = match kind {
            MigrateType::Unmovable => lists.free(pfn, order, MigrateType::Unmovable, &mut zone),
            MigrateType::Movable => lists.free(pfn, order, MigrateType::Movable, &mut zone),
            MigrateType::Reclaimable => lists.free(pfn, order, MigrateType::Reclaimable, &mut zone),
        };
        self.note_drain(drained);
    }

    /// A drain may bring the zone above its high watermark again.
    #[inline(always)]
    fn note_drain(&mut self, drained: bool) {
        if drained && self.below_high && self.passes(0, Mark::High) {
            self.below_high = false;
        }
    }

    /// Gives lent pages back through the CPU's list of this type, the last one first, until a pageblock changes its type,
    /// which makes the number of changes differ from `seen`. The pages that are left.
    pub(super) fn take_back<'p>(
        &mut self,
        mut pages: &'p [u64],
        kind: MigrateType,
        seen: u64,
        cpu: u32,
        rules: &PageAllocRules,
    ) -> &'p [u64] {
        while !pages.is_empty() && self.buddy.kind_changes() == seen {
            let (lists, mut zone) = self.split(cpu, rules);
            let (left, drained) = lists.take_back(pages, kind, &mut zone);
            self.note_drain(drained);
            pages = left;
        }
        pages
    }

    /// Forgets all CPUs' lists, which are empty, and how they were used.
    pub(super) fn forget_lists(&mut self) {
        self.per_cpu.clear();
    }

    /// Fills an empty list of a CPU.
    pub(super) fn fill_list(&mut self, cpu: u32, order: usize, blocks: u32, kind: MigrateType, rules: &PageAllocRules) {
        let (lists, mut zone) = self.split(cpu, rules);
        lists.fill(blocks, order, kind, &mut zone);
    }

    /// Gives the pages of all CPUs' lists back.
    pub(super) fn drain(&mut self, rules: &PageAllocRules) {
        for cpu in 0..self.per_cpu.len() as u32 {
            if self.per_cpu[cpu as usize].is_some() {
                let (lists, mut zone) = self.split(cpu, rules);
                lists.drain_all(&mut zone);
            }
        }
    }

    /// See [`super::Memory::taken`]; for unmovable and reclaimable pages.
    pub(super) fn taken(&self, kind: MigrateType) -> u64 {
        let [unmovable, reclaimable] = self.buddy.other_kinds();
        let blocks = match kind {
            MigrateType::Unmovable => unmovable + self.boot_unmovable,
            MigrateType::Movable => 0,
            MigrateType::Reclaimable => reclaimable,
        };
        let free: u64 = Order::all().map(|order| self.buddy.blocks_of(kind, order.index()) << order.get()).sum();
        (blocks * PAGES_PER_2M).saturating_sub(free)
    }

    fn lists(&self) -> impl Iterator<Item = &PerCpu> {
        self.per_cpu.iter().flatten().map(|lists| &**lists)
    }

    /// Pages on per-CPU lists.
    pub(super) fn cached_pages(&self) -> u64 {
        self.lists().map(PerCpu::pages).sum()
    }

    /// The blocks on per-CPU lists, frame and pages.
    pub(super) fn cached_blocks(&self) -> Vec<(u64, u64)> {
        self.lists().flat_map(PerCpu::blocks).collect()
    }

    /// Bytes of heap behind the zone.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buddy.heap_bytes() + self.per_cpu.capacity() * 8 + self.lists().map(PerCpu::heap_bytes).sum::<usize>()
    }
}
