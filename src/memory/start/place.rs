//! Turns numbers of free blocks into free lists.

use super::MemoryError;
use crate::memory::buddy::{FreeCounts, Latent, PAGEBLOCK, Units};
use crate::memory::migrate::MigrateType;
use crate::memory::text::pageblocks;
use crate::memory::zone::Zone;
use crate::rng::Stream;
use crate::units::{Order, PAGES_PER_2M, Pfn, PfnRange};

/// A zone of at most so many pageblocks (the DMA zone has 8) gets all its blocks placed at once.
const SMALL_ZONE: u64 = 64;
const MAX: usize = Order::MAX.index();

/// Fills a zone with these free blocks.
///
/// If at least half of the zone is free blocks of the largest order, the host looks freshly booted: they lie at the
/// top of the zone and are handed out in ascending order, the small blocks below them. Otherwise all places are
/// drawn, each when its block is first needed.
pub(super) fn fill(
    zone: &mut Zone,
    usable: &[PfnRange],
    mut counts: FreeCounts,
    mut stream: Stream,
) -> Result<(), MemoryError> {
    if pageblocks(zone) <= SMALL_ZONE {
        return fill_small(zone, usable, &counts);
    }
    let units = Units::new(usable, &mut stream);
    let large = counts.of_order(MAX) + counts.of_order(PAGEBLOCK);
    let room = units.count() * Order::MAX.pages();
    if counts.pages() > room || large > units.count() {
        return Err(no_room(zone, &counts, room));
    }
    let of_max = counts.of_order(MAX);
    let units = if of_max > 0 && 2 * of_max >= units.count() {
        add_ascending(zone, &mut counts, &units);
        let below = Pfn::new(units.pfn(units.count() - of_max));
        let lower: Vec<PfnRange> =
            usable.iter().map(|range| range.intersection(PfnRange::new(Pfn::new(0), below))).collect();
        Units::new(&lower, &mut stream)
    } else {
        units
    };
    zone.buddy.set_latent(Latent::new(&counts, units, stream));
    Ok(())
}

pub(super) fn no_room(zone: &Zone, counts: &FreeCounts, room: u64) -> MemoryError {
    let large = counts.of_order(MAX) + counts.of_order(PAGEBLOCK);
    MemoryError::NoRoom { node: zone.node, zone: zone.class.name(), free: counts.pages(), large, room }
}

/// Puts the free blocks of the largest order at the top of the zone, ascending.
fn add_ascending(zone: &mut Zone, counts: &mut FreeCounts, units: &Units) {
    let mut number = units.count() - counts.of_order(MAX);
    for kind in [MigrateType::Unmovable, MigrateType::Reclaimable, MigrateType::Movable] {
        let mut left = std::mem::take(&mut counts.free[kind.index()][MAX]);
        if let Some(blocks) = &mut counts.blocks {
            blocks[kind.index()] = blocks[kind.index()].saturating_sub(2 * left);
        }
        while left > 0 {
            let (pfn, blocks) = units.neighbours(number, left);
            if kind != MigrateType::Movable {
                let end = pfn + blocks * Order::MAX.pages();
                (pfn..end).step_by(PAGES_PER_2M as usize).for_each(|start| zone.buddy.set_kind(start, kind));
            }
            zone.buddy.add_run(pfn, blocks, kind);
            (number, left) = (number + blocks, left - blocks);
        }
    }
}

/// Places all blocks of a small zone, the largest first and as high as possible; unmovable pageblocks are the lowest
/// ones.
fn fill_small(zone: &mut Zone, usable: &[PfnRange], counts: &FreeCounts) -> Result<(), MemoryError> {
    let end = usable.last().map_or(0, |range| range.end().get());
    let start = usable.first().map_or(0, |range| range.start().get());
    set_kinds(zone, start, end, counts);
    let is_usable = |pfn: u64| usable.iter().any(|range| range.contains(Pfn::new(pfn)));
    let mut free: Vec<bool> = (0..end).map(|pfn| pfn >= start && is_usable(pfn)).collect();
    // Order of each block placed so far, at its first frame.
    let mut placed: Vec<Option<usize>> = vec![None; end as usize];
    let mut blocks = Vec::new();
    for order in (0..=MAX).rev() {
        for kind in [MigrateType::Movable, MigrateType::Reclaimable, MigrateType::Unmovable] {
            for _ in 0..counts.free[kind.index()][order] {
                let slots = || (0..end >> order).rev().map(|slot| slot << order);
                let fits = |pfn: &u64| free[*pfn as usize..(*pfn + (1 << order)) as usize].iter().all(|free| *free);
                let lonely = |pfn: &u64| placed.get((pfn ^ (1 << order)) as usize) != Some(&Some(order));
                let place = slots()
                    .find(|pfn| fits(pfn) && lonely(pfn) && zone.buddy.kind(*pfn) == kind)
                    .or_else(|| slots().find(|pfn| fits(pfn) && lonely(pfn)))
                    .or_else(|| slots().find(fits))
                    .ok_or_else(|| no_room(zone, counts, zone.managed))?;
                free[place as usize..(place + (1 << order)) as usize].fill(false);
                placed[place as usize] = Some(order);
                blocks.push((place, order, kind));
            }
        }
    }
    blocks.sort_unstable();
    for (pfn, order, kind) in blocks {
        zone.buddy.add_block(pfn, order, kind);
    }
    Ok(())
}

fn set_kinds(zone: &mut Zone, start: u64, end: u64, counts: &FreeCounts) {
    let Some(blocks) = counts.blocks else { return };
    let mut pageblocks = (start / PAGES_PER_2M..end.div_ceil(PAGES_PER_2M)).map(|block| block * PAGES_PER_2M);
    for kind in [MigrateType::Unmovable, MigrateType::Reclaimable] {
        for pfn in pageblocks.by_ref().take(blocks[kind.index()] as usize) {
            zone.buddy.set_kind(pfn, kind);
        }
    }
}
