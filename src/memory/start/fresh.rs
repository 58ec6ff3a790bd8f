//! A host that has just booted: everything that is not reserved, in ascending order.

use crate::memory::allocator::largest_order;
use crate::memory::buddy::End;
use crate::memory::memblock::without;
use crate::memory::migrate::MigrateType;
use crate::memory::rules::BootPageblocks;
use crate::memory::zone::Zone;
use crate::units::{Order, PAGES_PER_2M, Pfn, PfnRange};

/// Frames of one section of the sparse memory model (128 MiB); so much of a node's last zone is set up early.
const SECTION: u64 = 32_768;

/// Hands the usable ranges over, each cut into naturally aligned blocks, to the tails of the lists
/// (`memblock.c:__free_pages_memory@6.1`, `page_alloc.c:__free_pages_core` with `FPI_TO_TAIL` since 5.10).
pub(super) fn fill(zone: &mut Zone, usable: &[PfnRange], last_of_node: bool, boot: BootPageblocks) {
    mark_reserved(zone, usable);
    if last_of_node && boot == BootPageblocks::Unset {
        leave_unset(zone, usable);
    }
    for range in usable {
        let (mut pfn, end) = (range.start().get(), range.end().get());
        while pfn < end {
            let order = largest_order(pfn, end);
            if order == Order::MAX {
                let blocks = (end - pfn) / order.pages();
                zone.buddy.add_run(pfn, blocks, MigrateType::Movable);
                pfn += blocks * order.pages();
            } else {
                let kind = zone.buddy.kind(pfn);
                zone.buddy.free(pfn, order.index(), kind, End::Tail);
                pfn += order.pages();
            }
        }
    }
}

/// Notes that frames which share a pageblock with free ones, but are not free themselves, cannot be moved.
fn mark_reserved(zone: &mut Zone, usable: &[PfnRange]) {
    let around = |pfn: Pfn| pfn.get() / PAGES_PER_2M * PAGES_PER_2M;
    let mut blocks: Vec<u64> = usable.iter().flat_map(|range| [around(range.start()), around(range.end())]).collect();
    blocks.dedup();
    let zone_end = zone.ranges.last().map_or(0, |range| range.end().get());
    for block in blocks.into_iter().filter(|block| *block < zone_end) {
        let whole = PfnRange::with_len(Pfn::new(block), PAGES_PER_2M);
        let gaps = without(&[whole], usable);
        if gaps.iter().map(|gap| gap.pages()).sum::<u64>() == PAGES_PER_2M {
            continue;
        }
        for gap in gaps {
            zone.buddy.set_used(gap.start().get(), gap.pages(), MigrateType::Unmovable);
        }
    }
}

/// Where struct pages are set up late, a pageblock gets its type only when its first frame is freed; the others stay
/// unmovable (type 0). See [`BootPageblocks::Unset`].
fn leave_unset(zone: &mut Zone, usable: &[PfnRange]) {
    let start = zone.ranges.first().map_or(0, |range| range.start().get());
    let late = Pfn::new((start + SECTION).next_multiple_of(SECTION));
    let ram: Vec<PfnRange> =
        zone.ranges.iter().map(|range| PfnRange::new(range.start().max(late), range.end())).collect();
    for gap in without(&ram, usable) {
        let first = gap.start().get().next_multiple_of(PAGES_PER_2M);
        let end = gap.end().get();
        if first >= end {
            continue;
        }
        zone.boot_unmovable += (end - first) / PAGES_PER_2M;
        let partial = end / PAGES_PER_2M * PAGES_PER_2M;
        if partial < end && partial >= first {
            if usable.iter().any(|range| range.start().get() == end) {
                zone.buddy.set_kind(partial, MigrateType::Unmovable);
            } else {
                zone.boot_unmovable += 1;
            }
        }
    }
}
