//! What is free when a replay starts: a host that has just booted, one that has been up for long, or a real one.

mod aged;
mod booted;
mod fresh;
mod place;
mod snapshot;

pub use aged::Aged;
pub(super) use fresh::hand_over_late;
pub use snapshot::{Problem, Snapshot, SnapshotError, SnapshotText};

use super::allocator::MemorySetup;
use super::memblock::without;
use super::zone::{Zone, ZoneClass};
use crate::rng::{Component, Stream};

/// What is free at the start.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum StartState {
    /// What memblock hands over at boot: all that is not reserved, in ascending order.
    #[default]
    Fresh,
    /// A host that has been up for a while, by a few parameters.
    Aged(Aged),
    /// The numbers of a real host. Where its free blocks lie is drawn.
    Snapshot(Snapshot),
}

/// Why a start state does not fit the machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// Everything is reserved.
    #[error("node {node}: all {pages} pages of RAM are reserved, none is left for the page allocator")]
    NothingLeft {
        /// The node.
        node: u32,
        /// Its pages of RAM.
        pages: u64,
    },
    /// The snapshot speaks of a zone that the machine does not have.
    #[error("the snapshot has node {node}, zone {zone}, but this machine has no memory there")]
    NoSuchZone {
        /// The node.
        node: u32,
        /// The zone's name.
        zone: &'static str,
    },
    /// More is free than there is memory.
    #[error(
        "node {node}, zone {zone}: {free} free pages ({large} blocks of orders 9 and 10) \
         do not fit into {room} pages of RAM"
    )]
    NoRoom {
        /// The node.
        node: u32,
        /// The zone's name.
        zone: &'static str,
        /// Free pages by the snapshot.
        free: u64,
        /// Blocks of orders 9 and 10 among them.
        large: u64,
        /// Pages that can hold them: whole 4 MiB units that are not reserved.
        room: u64,
    },
    /// More pageblocks than there are.
    #[error(
        "node {node}, zone {zone}: the snapshot has {told} pageblocks there, this machine only {there}; \
         is `machine.memory` that of the host?"
    )]
    TooManyPageblocks {
        /// The node.
        node: u32,
        /// The zone's name.
        zone: &'static str,
        /// Pageblocks by the snapshot.
        told: u64,
        /// Pageblocks of the machine.
        there: u64,
    },
    /// A share above the whole.
    #[error("{what} is {permille} thousandths; at most 1000 make sense")]
    Permille {
        /// Which parameter.
        what: &'static str,
        /// Its value.
        permille: u32,
    },
}

/// Brings all zones into the start state.
pub(super) fn fill(zones: &mut [Zone], setup: &MemorySetup<'_>) -> Result<(), MemoryError> {
    for zone in &mut *zones {
        zone.managed = without(&zone.ranges, setup.reserved).iter().map(|range| range.pages()).sum();
    }
    for node in 0..setup.layout.nodes() {
        let own = || zones.iter().filter(|zone| zone.node == node);
        if own().all(|zone| zone.managed == 0) {
            let pages = own().flat_map(|zone| &zone.ranges).map(|range| range.pages()).sum();
            return Err(MemoryError::NothingLeft { node, pages });
        }
    }
    let mut root = Stream::new(setup.seed, Component::StartState, setup.run);
    match setup.start {
        StartState::Fresh => {}
        StartState::Aged(aged) => aged.check()?,
        StartState::Snapshot(snapshot) => snapshot.check(zones)?,
    }
    for index in 0..zones.len() {
        let last = zones.get(index + 1).is_none_or(|next| next.node != zones[index].node);
        let zone = &mut zones[index];
        let stream = Stream::new(root.bits(), Component::StartState, setup.run);
        let usable = without(&zone.ranges, setup.reserved);
        let counts = match setup.start {
            StartState::Fresh => None,
            // Requests for other zones hardly reach the DMA zone: it stays as it was at boot.
            StartState::Aged(_) if zone.class == ZoneClass::Dma => None,
            StartState::Aged(aged) => Some(aged.counts(zone)),
            StartState::Snapshot(snapshot) => Some(snapshot.counts(zone)),
        };
        match counts {
            None => fresh::fill(zone, &usable, last, setup.rules.boot_pageblocks),
            Some(counts) => {
                // A snapshot knows better what its host had reserved.
                let ranges = if counts.pages() <= zone.managed { usable } else { zone.ranges.clone() };
                zone.managed = ranges.iter().map(|range| range.pages()).sum();
                place::fill(zone, &ranges, counts, stream)?;
            }
        }
    }
    Ok(())
}
