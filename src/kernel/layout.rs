//! What TLBs see of a host: the sizes of the direct map's pages, and in which pageblocks the kernel's own memory lies.

use super::Kernel;
use crate::units::{Bytes, PageSize, PfnRange};

/// Page sizes and pageblock types of a host at one moment. Its size follows what was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The direct map's pages by size, ascending; neighbours of one size are one range.
    pub pages: Vec<(PfnRange, PageSize)>,
    /// Numbers (`pfn / 512`) of the pageblocks that are not movable, zone by zone.
    pub not_movable: Vec<u64>,
    /// How many more of them there are whose place is not drawn yet.
    pub unplaced: u64,
    /// Pages that TLBs need to run what is loaded: 2 MiB entries of the areas of text if there are any, else the 4 KiB
    /// pages that its images fill if they lie densely.
    pub text_pages: (u64, PageSize),
}

impl Kernel {
    /// Page sizes and pageblock types now.
    pub fn layout(&self) -> Layout {
        let mut pages: Vec<(PfnRange, PageSize)> = Vec::new();
        for leaf in self.machine.map.leaves() {
            match pages.last_mut() {
                Some((range, size)) if *size == leaf.size && range.end() == leaf.range.start() => {
                    *range = PfnRange::with_len(range.start(), range.pages() + leaf.range.pages());
                }
                _ => pages.push((leaf.range, leaf.size)),
            }
        }
        let (mut not_movable, unplaced) = self.machine.memory.pageblocks_not_movable();
        not_movable.sort_unstable();
        Layout { pages, not_movable, unplaced, text_pages: self.text_pages() }
    }

    fn text_pages(&self) -> (u64, PageSize) {
        match self.machine.large_text_entries() {
            0 => (Bytes::new(self.text.usage().reserved_bytes).pages_up(), PageSize::Size4K),
            // A pack is opened when the ones before it are full.
            large => (large, PageSize::Size2M),
        }
    }
}
