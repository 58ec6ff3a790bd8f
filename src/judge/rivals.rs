//! Models that know nothing, for scale.

use super::movement::{CounterMove, Movement};
use crate::direct_map::{CounterView, DirectMap, PermChange, Perms, Walk};
use crate::kernel::{MapChanges, PermMove};
use crate::recording::{self, PermRun, Seen};
use crate::units::{PAGES_PER_1G, PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// The direct map as the recording has it, step by step.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    map: DirectMap,
}

/// What makes an entry look like this; bits that a walk does not see are left alone.
fn becoming(seen: Seen) -> PermChange {
    let visible = Perms::PRESENT | Perms::WRITE | Perms::EXEC;
    let perms = seen.perms().unwrap_or_default();
    let set = [Perms::PRESENT, Perms::WRITE, Perms::EXEC].into_iter().filter(|bit| perms.contains(*bit));
    PermChange { set: set.fold(Perms::NONE, Perms::union), clear: visible }
}

impl Truth {
    pub(super) const fn new(map: DirectMap) -> Self {
        Self { map }
    }

    /// The map now.
    pub(super) const fn map(&self) -> &DirectMap {
        &self.map
    }

    /// What the rule of one line makes of a step, given the permissions that the kernel changed: a large entry that
    /// such a change covers in part is split.
    pub(super) fn one_line(&self, walk: &recording::Walk, events: bool) -> Movement {
        if walk.perms.is_empty() {
            return Movement::default();
        }
        let mut map = self.map.clone();
        let before = map.counters(CounterView::Kernel);
        let mut changes = MapChanges::default();
        for &PermRun(first, pages, was, now) in &walk.perms {
            let run = PfnRange::with_len(Pfn::new(first), pages);
            let sizes: Vec<Option<PageSize>> = run.iter().map(|pfn| size_at(&map, pfn)).collect();
            let _ = map.change(run, becoming(now), Walk::Range);
            for (pfn, size) in run.iter().zip(sizes) {
                let (old, new) = (size, size_at(&map, pfn));
                if old > Some(PageSize::Size4K) && new == Some(PageSize::Size4K) {
                    changes.split_2m.push(pfn.get() / PAGES_PER_2M);
                }
                if old == Some(PageSize::Size1G) && new < old {
                    changes.split_1g.push(pfn.get() / PAGES_PER_1G);
                }
                if let (Some(before), Some(after)) = (was.perms(), now.perms()) {
                    changes.perms.push(PermMove { pfn, before, after });
                }
            }
        }
        changes.split_2m.dedup();
        changes.split_1g.dedup();
        let moved = CounterMove::modelled(&before, &map.counters(CounterView::Kernel), events);
        Movement::modelled(changes, moved)
    }

    /// Does what the kernel did.
    pub(super) fn follow(&mut self, walk: &recording::Walk) {
        let mark = PermChange { set: Perms::KERNEL_4K, clear: Perms::NONE };
        let unmark = PermChange { set: Perms::NONE, clear: Perms::KERNEL_4K };
        for slot in walk.split_1g.iter() {
            // A change of one whole 2 MiB block splits the 1 GiB entry around it and no more.
            let block = PfnRange::with_len(Pfn::new(slot.get() * PAGES_PER_1G), PAGES_PER_2M);
            let _ = self.map.change(block, mark, Walk::Range);
            let _ = self.map.change(block, unmark, Walk::Range);
        }
        for block in walk.split_2m.iter() {
            let page = PfnRange::with_len(Pfn::new(block.get() * PAGES_PER_2M), 1);
            let _ = self.map.change(page, PermChange::default(), Walk::Force4k);
        }
        for &PermRun(first, pages, _, now) in &walk.perms {
            let _ = self.map.change(PfnRange::with_len(Pfn::new(first), pages), becoming(now), Walk::Range);
        }
    }
}

fn size_at(map: &DirectMap, pfn: Pfn) -> Option<PageSize> {
    map.leaf_at(pfn).map(|leaf| leaf.size)
}
