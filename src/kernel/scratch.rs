//! Ordinary areas that live for a part of one load.

use super::machine::Machine;
use super::release::{Frees, Vmalloc};
use crate::memory::{Lent, MigrateType};
use crate::text_alloc::NoText;
use crate::units::PfnRange;

/// The pages of such an area.
#[derive(Debug)]
#[must_use = "the pages are lost unless Machine::vfree_scratch gets them"]
pub(super) enum Scratch {
    /// Single pages that are sure to go back to the list they came from.
    Lent(Lent),
    /// Any pages, in virtual order, and behind them those of their table.
    Pages(Vec<PfnRange>),
}

impl Machine {
    /// Whether areas are made of single pages and freed page by page.
    fn has_single_pages(&self) -> bool {
        self.release.vmalloc == Vmalloc::SinglePages && self.release.frees == Frees::PageByPage
    }

    /// The area that [`Machine::vmalloc`] gives. What is lent is too small for a table of pages of its own.
    pub(super) fn vmalloc_scratch(&mut self, pages: u64) -> Result<Scratch, NoText> {
        if self.has_single_pages()
            && let Some(lent) = self.memory.lend(pages, MigrateType::Unmovable)
        {
            if let Err(error) = self.map_area(pages) {
                self.memory.take_back(lent);
                return Err(error);
            }
            return Ok(Scratch::Lent(lent));
        }
        let mut runs = Vec::new();
        self.vmalloc(pages, &mut runs)?;
        Ok(Scratch::Pages(runs))
    }

    /// Frees it as [`Machine::vfree`] does.
    pub(super) fn vfree_scratch(&mut self, scratch: Scratch) {
        match scratch {
            Scratch::Lent(lent) => {
                self.forget_area(lent.pages());
                self.memory.take_back(lent);
            }
            Scratch::Pages(runs) => self.vfree(runs),
        }
    }

    /// The same area made and freed, with nothing in between.
    #[inline]
    pub(super) fn vmalloc_and_vfree(&mut self, pages: u64) -> Result<(), NoText> {
        if self.has_single_pages() && self.memory.turn_pages(pages, MigrateType::Unmovable) {
            self.map_area(pages)?;
            self.forget_area(pages);
            return Ok(());
        }
        let scratch = self.vmalloc_scratch(pages)?;
        self.vfree_scratch(scratch);
        Ok(())
    }
}
