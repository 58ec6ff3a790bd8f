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

/// Hands the usable ranges over as [`hand_over`] does, but those parts that come only with the late set-up of struct
/// pages and whose pageblock nobody gives a type: they are noted for [`hand_over_late`].
pub(super) fn fill(zone: &mut Zone, usable: &[PfnRange], last_of_node: bool, boot: BootPageblocks) {
    mark_reserved(zone, usable);
    if last_of_node && boot == BootPageblocks::Unset {
        leave_unset(zone, usable);
    }
    let now = without(usable, &zone.late);
    hand_over(zone, &now);
}

/// The late parts of a zone, once the kernel has taken its first pages (`deferred_init_memmap`, run by
/// `page_alloc_init_late` before the initcalls: recorded on 6.1 and 6.12, the pack of the boot program takes the small
/// blocks of the pageblock below the struct pages that no earlier page has touched).
pub(in crate::memory) fn hand_over_late(zone: &mut Zone) {
    let late = std::mem::take(&mut zone.late);
    hand_over(zone, &late);
}

/// Hands ranges over, each cut into naturally aligned blocks, to the tails of the lists
/// (`memblock.c:__free_pages_memory@6.1`, `page_alloc.c:__free_pages_core` with `FPI_TO_TAIL` since 5.10).
fn hand_over(zone: &mut Zone, ranges: &[PfnRange]) {
    for range in ranges {
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
            if let Some(rest) = usable.iter().find(|range| range.start().get() == end) {
                zone.buddy.set_kind(partial, MigrateType::Unmovable);
                zone.late.push(rest.intersection(PfnRange::with_len(Pfn::new(partial), PAGES_PER_2M)));
            } else {
                zone.boot_unmovable += 1;
            }
        }
    }
}
