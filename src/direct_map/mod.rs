//! The direct map: the kernel's linear mapping of all RAM, and what permission changes do to it.
//!
//! The kernel maps every frame of RAM at a fixed offset, with the largest entries that fit: 1 GiB, 2 MiB, 4 KiB.
//! When the permissions of a few pages change, the entry around them is split, one level at a time, and
//! nothing ever puts it together again. This room is that mapping and no more: it does not know who
//! changes permissions, or which frames they got.
//!
//! - `boot`: the mapping as the kernel builds it from a list of RAM ranges, with the quirks of its counters;
//! - `perms`: permissions, and the masks of the kernel's helpers by release;
//! - `change`: the rules of `change_page_attr`;
//! - `leaves` and `pages`: where the entries are kept, so that memory follows what was touched;
//! - `counters`: `DirectMap4k` and its siblings, as the kernel shows them and as they are;
//! - `flush`: what every change costs in TLB flushes.
//!
//! ```
//! use fragsim::direct_map::{BootOptions, CounterView, CpaEra, DirectMap, PermChange, Walk};
//! use fragsim::units::{Pfn, PfnRange};
//!
//! let ram = PfnRange::new(Pfn::new(0), Pfn::new(4 << 18)); // 4 GiB
//! let mut map = DirectMap::boot(&[ram], BootOptions::default());
//! map.start_running();
//! let page = PfnRange::with_len(Pfn::new(3 << 18), 1);
//! let change = map.change(page, PermChange::read_only(CpaEra::From6_15), Walk::PageWise);
//! assert_eq!((change.level3_splits, change.level2_splits), (1, 1));
//! assert_eq!(map.counters(CounterView::Mapped).direct_map_1g, 3);
//! ```

mod boot;
mod change;
mod counters;
mod flush;
mod leaves;
mod pages;
mod perms;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod reference;

pub use boot::BootOptions;
pub use change::Walk;
pub use counters::{CounterView, DirectMapCounters};
pub use flush::{CallEnd, Change, FLUSH_CEILING_PAGES, Flushes};
pub use leaves::{Leaf, LeafError};
pub use perms::{CpaEra, ParsePermsError, PermChange, Perms};

use crate::units::{PageSize, Pfn, PfnRange};
use counters::Tally;
use leaves::Leaves;

/// The linear mapping of all RAM, with the kernel's counters for it.
#[derive(Clone, Debug)]
pub struct DirectMap {
    leaves: Leaves,
    tally: Tally,
    /// Changes until a debug build recounts the entries.
    until_audit: usize,
}

impl DirectMap {
    /// The direct map that the kernel builds at boot for this RAM (whole frames, in any order). The host still
    /// boots: see [`DirectMap::start_running`].
    pub fn boot(ram: &[PfnRange], options: BootOptions) -> Self {
        let built = boot::build(ram, options);
        let leaves = Leaves::new(&built.leaves).expect("boot maps every frame once, in aligned entries");
        Self::new(leaves, Some(built.counted))
    }

    /// A direct map with exactly these entries, as read from a host. Its counters count no entry twice. The host still
    /// boots: see [`DirectMap::start_running`].
    ///
    /// # Errors
    /// If ranges overlap or do not fit their page size.
    pub fn from_leaves(leaves: &[Leaf]) -> Result<Self, LeafError> {
        Ok(Self::new(Leaves::new(leaves)?, None))
    }

    fn new(leaves: Leaves, counted: Option<DirectMapCounters>) -> Self {
        let mapped = count(&leaves);
        Self { leaves, tally: Tally::new(counted.unwrap_or(mapped), mapped), until_audit: 0 }
    }

    /// The system is up (`system_state == SYSTEM_RUNNING`): from here on splits count as events too.
    pub fn start_running(&mut self) {
        self.tally.start_running();
    }

    /// Counts splits of 2 MiB entries in the mapping that the kernel runs from. The kernel takes these addresses
    /// for the direct map (`__virt_addr_valid`), so its counters move though no entry here is split.
    pub fn split_kernel_image_entry(&mut self, entries: u64) {
        self.tally.kernel_splits(PageSize::Size2M, entries);
    }

    /// The single entry that maps a frame, if one does.
    pub fn leaf_at(&self, pfn: Pfn) -> Option<Leaf> {
        self.leaves.at(pfn)
    }

    /// All entries in ascending order; neighbours of one size and with the same permissions come as one [`Leaf`].
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> + '_ {
        self.leaves.collect().into_iter()
    }

    /// The counters now.
    pub fn counters(&self, view: CounterView) -> DirectMapCounters {
        self.tally.view(view)
    }

    /// What [`CounterView::Mapped`] must show: the entries counted one by one. Slow, for checks.
    pub fn recount(&self) -> DirectMapCounters {
        let counted = count(&self.leaves);
        DirectMapCounters {
            direct_map_4k: counted.direct_map_4k,
            direct_map_2m: counted.direct_map_2m,
            direct_map_1g: counted.direct_map_1g,
            ..self.counters(CounterView::Mapped)
        }
    }

    /// In debug builds, compares the counters with a recount now and then: rarer, the more there is to count.
    #[inline]
    fn audit(&mut self) {
        if cfg!(debug_assertions) {
            if self.until_audit == 0 {
                self.until_audit = 8 * self.leaves.stored().max(1);
                assert_eq!(self.recount(), self.counters(CounterView::Mapped), "counters differ from the entries");
            }
            self.until_audit -= 1;
        }
    }
}

/// The entries of each size.
fn count(leaves: &Leaves) -> DirectMapCounters {
    let mut counters = DirectMapCounters::default();
    for leaf in leaves.collect() {
        *counters.entries_mut(leaf.size) += leaf.entries();
    }
    counters
}
