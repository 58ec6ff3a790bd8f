//! A host that has been up for a while, by a few parameters.

use super::MemoryError;
use crate::memory::buddy::FreeCounts;
use crate::memory::migrate::MigrateType;
use crate::memory::text::pageblocks;
use crate::memory::zone::Zone;
use crate::units::Order;

/// A host that has been up for a while. All shares are thousandths.
///
/// Free memory is spread over the orders so that each order holds `(1000 - scatter) / scatter` times the pages of the
/// one below: with scatter 500 every order holds as many pages, with 0 all free memory is in blocks of 4 MiB, with
/// 1000 as much of it in single pages as there can be without two buddies being free. Blocks of 2 MiB and more are
/// movable; smaller ones are unmovable, reclaimable and movable in proportion to the pageblocks. `scatter` is also
/// the chance that the next small block lies in another pageblock than the one before. The DMA zone (16 MiB) is as
/// after boot: its watermarks keep ordinary requests out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    /// RAM that is in use, of that which was not reserved at boot.
    pub used: u32,
    /// Pageblocks of type unmovable.
    pub unmovable: u32,
    /// Pageblocks of type reclaimable.
    pub reclaimable: u32,
    /// How scattered the free pages are.
    pub scatter: u32,
}

impl Aged {
    /// A host that has been up for a month: nine tenths of RAM in use (page cache for the most part), a tenth of the
    /// pageblocks unmovable, small free blocks all over the place, few whole 2 MiB blocks.
    ///
    /// With 64 GiB, `/proc/buddyinfo` of such a host shows for the Normal zone about 540000 single pages, 180000
    /// pairs, 60000 blocks of four, 20000 of eight, and so on down to some 25 blocks of order 9 and a handful of
    /// order 10.
    pub const fn month() -> Self {
        Self { used: 900, unmovable: 100, reclaimable: 50, scatter: 600 }
    }

    /// # Errors
    /// If a share is more than the whole.
    pub(super) fn check(&self) -> Result<(), MemoryError> {
        let shares = [
            ("used", self.used),
            ("unmovable", self.unmovable),
            ("reclaimable", self.reclaimable),
            ("unmovable and reclaimable together", self.unmovable.saturating_add(self.reclaimable)),
            ("scatter", self.scatter),
        ];
        match shares.into_iter().find(|share| share.1 > 1000) {
            Some((what, permille)) => Err(MemoryError::Permille { what, permille }),
            None => Ok(()),
        }
    }

    /// The free blocks of one zone.
    pub(super) fn counts(&self, zone: &Zone) -> FreeCounts {
        let free = zone.managed / 1000 * u64::from(1000 - self.used);
        let total = pageblocks(zone);
        let of_blocks = |share: u32| total * u64::from(share) / 1000;
        let (unmovable, reclaimable) = (of_blocks(self.unmovable), of_blocks(self.reclaimable));
        let mut counts = FreeCounts {
            blocks: Some([unmovable, total - unmovable - reclaimable, reclaimable]),
            scatter: self.scatter,
            ..FreeCounts::default()
        };
        let weights = self.weights();
        let sum: u128 = weights.iter().sum();
        // Pages that the orders seen so far could not hold move on to the next one.
        let (mut left, mut carried) = (free, 0);
        for order in Order::all() {
            let wanted = (u128::from(free) * weights[order.index()] / sum) as u64 + carried;
            // Even if every page were free or not at random, some buddies would be free together and merge.
            let alone = (u128::from(left) * u128::from(zone.managed - left) / u128::from(zone.managed.max(1))) as u64;
            let pages = if order == Order::MAX { left } else { wanted.min(alone) };
            carried = wanted - pages.min(wanted);
            left -= pages;
            let blocks = pages / order.pages();
            let shares = if order >= Order::PAGEBLOCK { [0, 0] } else { [self.unmovable, self.reclaimable] };
            let [unmovable, reclaimable] = shares.map(|share| blocks * u64::from(share) / 1000);
            counts.free[MigrateType::Unmovable.index()][order.index()] = unmovable;
            counts.free[MigrateType::Reclaimable.index()][order.index()] = reclaimable;
            counts.free[MigrateType::Movable.index()][order.index()] = blocks - unmovable - reclaimable;
        }
        counts
    }

    /// Relative numbers of pages in each order.
    fn weights(&self) -> [u128; Order::COUNT] {
        let (up, down) = (u128::from(1000 - self.scatter), u128::from(self.scatter));
        std::array::from_fn(|order| up.pow(order as u32) * down.pow((Order::COUNT - 1 - order) as u32))
    }
}
