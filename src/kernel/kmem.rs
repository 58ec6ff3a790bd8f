//! Kernel memory by the ways that a load uses: single pages, `vmalloc`, `kvmalloc`.

use super::machine::Machine;
use super::release::{Frees, PageEra, Vmalloc};
use crate::memory::{Memory, MigrateType, OutOfMemory};
use crate::text_alloc::NoText;
use crate::units::{Order, PAGE_BYTES, PAGES_PER_2M, Pfn, PfnRange};

/// Largest request that a slab cache serves (`KMALLOC_MAX_CACHE_SIZE`); the caches keep such memory, so it moves nothing.
const SLAB_MAX_BYTES: u64 = 2 * PAGE_BYTES;
/// Pointers in one page: an area of more pages keeps its table of page pointers in an area of its own, a smaller one in
/// a slab (`__vmalloc_area_node`, 5.10 to 7.3).
const POINTERS_PER_PAGE: u64 = PAGE_BYTES / 8;

/// Memory from `kvmalloc`.
#[derive(Debug)]
pub(super) enum Kvmalloc {
    /// A slab object.
    Slab,
    /// One block.
    Block(Pfn, Order),
    /// Pages of a vmalloc area and, behind them, those of its table.
    Area(Vec<PfnRange>),
}

impl Kvmalloc {
    /// Pages that it holds.
    pub(super) fn pages(&self) -> u64 {
        match self {
            Self::Slab => 0,
            Self::Block(_, order) => order.pages(),
            Self::Area(runs) => runs.iter().map(|run| run.pages()).sum(),
        }
    }
}

impl Machine {
    /// Repeats a request until it succeeds or there is no page cache left to drop for it.
    fn with_reclaim<T>(
        &mut self,
        pages: u64,
        mut request: impl FnMut(&mut Memory) -> Result<T, OutOfMemory>,
    ) -> Result<T, NoText> {
        loop {
            match request(&mut self.memory) {
                Ok(granted) => return Ok(granted),
                Err(_) if self.users.drop_page_cache(&mut self.memory, pages) => {}
                Err(error) => return Err(NoText::Frames { pages, order: error.order, free_pages: error.free_pages }),
            }
        }
    }

    /// One page for the kernel; takes page cache back if there is none.
    #[inline]
    pub(super) fn page(&mut self) -> Result<Pfn, NoText> {
        match self.memory.alloc_page(MigrateType::Unmovable) {
            Ok(pfn) => Ok(pfn),
            Err(_) => self.with_reclaim(1, |memory| memory.alloc_page(MigrateType::Unmovable)),
        }
    }

    /// Single pages for the kernel in the order they come, appended to `runs`.
    pub(super) fn single_pages(&mut self, pages: u64, runs: &mut Vec<PfnRange>) -> Result<(), NoText> {
        // One by one in 5.10, through the bulk allocator since (`vm_area_alloc_pages`).
        let take = if self.release.pages == PageEra::V5_10 { Memory::alloc_bulk } else { Memory::alloc_array };
        self.with_reclaim(pages, |memory| take(memory, pages, MigrateType::Unmovable, runs))
    }

    /// Large orders first, each at most as large as what is left; after a failure only smaller ones; single pages for the
    /// rest (`vm_area_alloc_pages@7.2`).
    pub(super) fn large_pages_first(&mut self, pages: u64, runs: &mut Vec<PfnRange>) -> Result<(), NoText> {
        let before = runs.len();
        let (mut left, mut limit) = (pages, Order::MAX.get());
        while left > 1 && limit > 0 {
            let order = (left.ilog2() as u8).min(limit);
            let Some(order) = Order::new(order).filter(|order| *order > Order::ZERO) else { break };
            match self.memory.alloc_block(order, MigrateType::Unmovable) {
                Ok(pfn) => {
                    runs.push(PfnRange::with_len(pfn, order.pages()));
                    left -= order.pages();
                }
                Err(_) => limit = order.get() - 1,
            }
        }
        if left > 0
            && let Err(error) = self.single_pages(left, runs)
        {
            for run in runs.drain(before..) {
                self.free_pages_of(run);
            }
            return Err(error);
        }
        Ok(())
    }

    /// The pages of an ordinary area without its table, as the release gets them, appended to `runs`.
    pub(super) fn area_pages(&mut self, pages: u64, runs: &mut Vec<PfnRange>) -> Result<(), NoText> {
        match self.release.vmalloc {
            Vmalloc::SinglePages => self.single_pages(pages, runs),
            Vmalloc::LargeOrdersFirst => self.large_pages_first(pages, runs),
        }
    }

    /// The table of page pointers of an area, if it has pages of its own; it is there before the area's pages are.
    pub(super) fn table_of(&mut self, pages: u64) -> Result<Option<Box<[PfnRange]>>, NoText> {
        if pages <= POINTERS_PER_PAGE {
            return Ok(None);
        }
        let mut runs = Vec::new();
        self.area_pages(pages.div_ceil(POINTERS_PER_PAGE), &mut runs)?;
        Ok(Some(runs.into()))
    }

    /// Frees such a table.
    pub(super) fn free_table(&mut self, table: Option<Box<[PfnRange]>>) {
        table.into_iter().flatten().for_each(|run| self.free_run_of(run));
    }

    /// An ordinary area, appended to `runs`: its pages, and behind them those of its table, as they are freed.
    pub(super) fn vmalloc(&mut self, pages: u64, runs: &mut Vec<PfnRange>) -> Result<(), NoText> {
        let table = self.table_of(pages)?;
        if let Err(error) = self.area_pages(pages, runs) {
            self.free_table(table);
            return Err(error);
        }
        runs.extend(table.into_iter().flatten());
        self.map_area(runs.iter().map(|run| run.pages()).sum())
    }

    /// An ordinary area of one page.
    #[inline]
    pub(super) fn vmalloc_page(&mut self) -> Result<Pfn, NoText> {
        let pfn = self.page()?;
        self.map_area(1)?;
        Ok(pfn)
    }

    /// Maps an ordinary area; page tables that its range still lacks are taken now.
    #[inline]
    pub(super) fn map_area(&mut self, pages: u64) -> Result<(), NoText> {
        for _ in 0..self.ordinary.map(pages) {
            self.page()?;
        }
        Ok(())
    }

    /// Frees an ordinary area, as the release does; its virtual range stays behind until the next purge.
    #[inline]
    pub(super) fn vfree(&mut self, runs: impl IntoIterator<Item = PfnRange>) {
        let mut pages = 0;
        for run in runs {
            pages += run.pages();
            self.free_run_of(run);
        }
        self.forget_area(pages);
    }

    /// The virtual range of a freed area, which stays behind until the next purge. Too much of it is purged at once,
    /// which flushes it (`try_purge_vmap_area_lazy`): far more pages than are flushed one by one.
    #[inline]
    pub(super) fn forget_area(&mut self, pages: u64) {
        self.lazy_areas = true;
        if self.ordinary.unmap(pages) {
            self.lazy_areas = false;
            self.flushes.full += 1;
        }
    }

    #[inline]
    fn free_run_of(&mut self, run: PfnRange) {
        match self.release.frees {
            Frees::PageByPage => self.free_pages_of(run),
            Frees::ContiguousRuns => self.memory.free_run(run),
        }
    }

    /// An array of so many bytes: a slab object, one block if there is one, else an area (`kvmalloc`).
    pub(super) fn kvmalloc(&mut self, bytes: u64) -> Result<Kvmalloc, NoText> {
        if bytes <= SLAB_MAX_BYTES {
            return Ok(Kvmalloc::Slab);
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        let order = u8::try_from(pages.next_power_of_two().ilog2()).ok().and_then(Order::new);
        if let Some(order) = order
            && let Ok(pfn) = self.memory.alloc_block(order, MigrateType::Unmovable)
        {
            return Ok(Kvmalloc::Block(pfn, order));
        }
        let mut runs = Vec::new();
        // Since 5.18 such areas are made of whole 2 MiB pages if they are large enough (9becb6889130).
        if self.release.pages < PageEra::V5_18 || pages < PAGES_PER_2M || !self.huge_vmalloc(pages, &mut runs)? {
            self.vmalloc(pages, &mut runs)?;
        }
        Ok(Kvmalloc::Area(runs))
    }

    /// An area of order-9 blocks only, which are freed as single pages like any other; false if one is missing.
    fn huge_vmalloc(&mut self, pages: u64, runs: &mut Vec<PfnRange>) -> Result<bool, NoText> {
        let pages = pages.next_multiple_of(PAGES_PER_2M);
        let table = self.table_of(pages)?;
        for _ in 0..pages / PAGES_PER_2M {
            match self.memory.alloc_block(Order::PAGEBLOCK, MigrateType::Unmovable) {
                Ok(pfn) => runs.push(PfnRange::with_len(pfn, PAGES_PER_2M)),
                Err(_) => {
                    runs.drain(..).for_each(|run| self.free_pages_of(run));
                    self.free_table(table);
                    return Ok(false);
                }
            }
        }
        runs.extend(table.into_iter().flatten());
        self.map_area(runs.iter().map(|run| run.pages()).sum())?;
        Ok(true)
    }

    /// Frees such memory (`kvfree`).
    pub(super) fn kvfree(&mut self, memory: Kvmalloc) {
        match memory {
            Kvmalloc::Slab => {}
            Kvmalloc::Block(pfn, order) => self.memory.free_block(pfn, order),
            Kvmalloc::Area(runs) => self.vfree(runs),
        }
    }

    pub(super) fn free_pages_of(&mut self, run: PfnRange) {
        for pfn in run.iter() {
            self.memory.free_page(pfn);
        }
    }
}
