//! Many single pages at once.

use super::allocator::{Memory, OutOfMemory};
use super::buddy::Fragment;
use super::migrate::MigrateType;
use super::zone::Mark;
use crate::units::{Pfn, PfnRange};

/// From so many single pages on it pays to look for whole blocks.
const BULK_FROM: u64 = 32;

/// Pages that vmalloc asks the bulk allocator for at a time (`vm_area_alloc_pages@6.1`).
const ARRAY_PAGES: u64 = 100;

impl Memory {
    /// Single pages one after another, exactly the frames that as many [`Memory::alloc_page`] calls give. Neighbouring
    /// ascending frames are appended as one range, in the order of hand-out; descending frames as ranges of one frame.
    ///
    /// # Errors
    /// If the pages cannot all be had; what was taken is then freed again, in the same order.
    pub fn alloc_bulk(&mut self, pages: u64, kind: MigrateType, runs: &mut Vec<PfnRange>) -> Result<(), OutOfMemory> {
        let before = runs.len();
        let mut left = pages;
        let mut blocks = Vec::new();
        while left > 0 {
            if left >= BULK_FROM {
                left -= self.take_whole(left, kind, &mut blocks);
                for (pfn, pages) in blocks.drain(..) {
                    append(runs, before, PfnRange::with_len(Pfn::new(pfn), pages));
                }
                if left == 0 {
                    break;
                }
            }
            self.append_page(kind, runs, before)?;
            left -= 1;
        }
        Ok(())
    }

    /// One more single page behind those from `before` on; without it, these are all given back.
    fn append_page(&mut self, kind: MigrateType, runs: &mut Vec<PfnRange>, before: usize) -> Result<(), OutOfMemory> {
        match self.alloc_page(kind) {
            Ok(pfn) => append(runs, before, PfnRange::with_len(pfn, 1)),
            Err(error) => {
                self.give_back(runs, before);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes single pages and gives them back in the same order at once, as scratch memory is; afterwards the last one is
    /// the next to be handed out. The same as [`Memory::alloc_bulk`] or [`Memory::alloc_array`] and
    /// [`Memory::free_page`] for each, but faster; false if the CPU's list does not allow that, and nothing was done.
    pub fn turn_pages(&mut self, pages: u64, kind: MigrateType) -> bool {
        self.zones[self.preferred as usize].turn_head(pages as usize, kind, self.cpu, &self.rules)
    }

    /// Single pages as vmalloc takes them since 5.13: from one zone at a time, at most 100 by one call of the bulk
    /// allocator, which does not mind cutting up pageblocks of other types (`alloc_pages_bulk@6.1` sets no
    /// `ALLOC_NOFRAGMENT`; `vm_area_alloc_pages@6.1`). On a host with whole pageblocks left the frames are those of
    /// [`Memory::alloc_bulk`].
    ///
    /// # Errors
    /// If the pages cannot all be had; what was taken is then freed again, in the same order.
    pub fn alloc_array(&mut self, pages: u64, kind: MigrateType, runs: &mut Vec<PfnRange>) -> Result<(), OutOfMemory> {
        let before = runs.len();
        let mut left = pages;
        while left > 0 {
            let taken = self.take_array(left.min(ARRAY_PAGES), kind, |pfn| {
                append(runs, before, PfnRange::with_len(Pfn::new(pfn), 1));
            });
            left -= taken;
            if taken == 0 {
                self.append_page(kind, runs, before)?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// One call of the bulk allocator: pages from the first zone of the local node that can spare them. It does not
    /// serve requests for a single page.
    fn take_array(&mut self, pages: u64, kind: MigrateType, mut each: impl FnMut(u64)) -> u64 {
        if pages == 1 {
            return 0;
        }
        for &index in &self.zonelists[self.node as usize] {
            let zone = &mut self.zones[index as usize];
            if zone.node != self.node {
                break;
            }
            let taken = zone.take_array(pages, kind, self.cpu, &self.rules, &mut each);
            if taken > 0 {
                self.held += taken;
                return taken;
            }
        }
        0
    }

    fn give_back(&mut self, runs: &mut Vec<PfnRange>, from: usize) {
        for run in runs.drain(from..) {
            run.iter().for_each(|pfn| self.free_page(pfn));
        }
    }

    /// Whole blocks for single pages, from the zone that would serve these; how many pages.
    fn take_whole(&mut self, wanted: u64, kind: MigrateType, blocks: &mut Vec<(u64, u64)>) -> u64 {
        let fragment = self.first_try[self.node as usize];
        let list = &self.zonelists[self.node as usize];
        let Some(index) = list.iter().find(|index| self.zones[**index as usize].passes(0, Mark::Low)) else { return 0 };
        let zone = &mut self.zones[*index as usize];
        if fragment == Fragment::Avoided && zone.node != self.node {
            return 0;
        }
        let pages = zone.take_whole(wanted, kind, fragment, self.cpu, &self.rules, blocks);
        self.held += pages;
        pages
    }
}

/// Appends a range to those after `from`, joined to the last one if it continues it.
fn append(runs: &mut Vec<PfnRange>, from: usize, run: PfnRange) {
    match runs[from..].last_mut() {
        Some(last) if last.end() == run.start() => *last = PfnRange::new(last.start(), run.end()),
        _ => runs.push(run),
    }
}
