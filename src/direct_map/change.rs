//! `change_page_attr` on the direct map: which entries it keeps, changes and splits.

use super::DirectMap;
use super::flush::Change;
use super::leaves::Found;
use super::perms::PermChange;
use crate::units::{PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// In what steps a range is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// One call over the whole range: a large entry that it covers is kept.
    ///
    /// The alias of a mapping by 2 MiB entries is changed by one such walk for each of these entries.
    Range,
    /// One call for each 4 KiB page: keeps no large entry but those that have the permissions already.
    ///
    /// So go the alias of a mapping by 4 KiB entries, the reset of an area with `VM_FLUSH_RESET_PERMS`, and the
    /// array interfaces (`set_pages_array_*`).
    PageWise,
    /// One call that splits every large entry on its way (`set_memory_4k`).
    Force4k,
}

impl DirectMap {
    /// Changes the permissions of the entries that map a range. Frames that nothing maps are passed over.
    ///
    /// The rules are those of `__change_page_attr` and `__should_split_large_page`, 5.10 to 7.3. For each entry,
    /// first to last: a large entry that has the wanted permissions already is left alone, whatever the
    /// range; otherwise, one that the call covers only in part is split one level down and looked at
    /// again; otherwise it is changed as it is. Two rules are left out, since frames of the kernel image are
    /// never handed out: protections of kernel text and read-only data, and of the BIOS area.
    pub fn change(&mut self, range: PfnRange, change: PermChange, how: Walk) -> Change {
        let mut done = Change { requested: range.pages(), ..Change::default() };
        let mut at = range.start();
        while at < range.end() {
            at = self.step(PfnRange::new(at, range.end()), change, how, &mut done);
        }
        self.audit();
        done
    }

    /// Deals with the entry, or block of small entries, at the start of the range; returns where to go on, which is
    /// the same place if the entry was split.
    #[inline]
    fn step(&mut self, range: PfnRange, change: PermChange, how: Walk, done: &mut Change) -> Pfn {
        if let Some(pages) = self.leaves.pages_mut(range.start()) {
            // Small entries do not care about each other, so a block's worth of calls is done at once.
            let first = range.start().get() % PAGES_PER_2M;
            let count = (PAGES_PER_2M - first).min(range.pages());
            done.changed += pages.change(first as usize, count as usize, change);
            return range.start().offset(count);
        }
        self.step_unopened(range, change, how, done)
    }

    /// The same where the block has no pages of its own: a large entry, a hole, or a block not yet opened.
    #[cold]
    fn step_unopened(&mut self, range: PfnRange, change: PermChange, how: Walk, done: &mut Change) -> Pfn {
        let at = range.start();
        match self.leaves.find(at) {
            Found::Hole => self.leaves.after_hole(at).map_or(range.end(), |next| next.min(range.end())),
            Found::Unopened => {
                self.leaves.open(at);
                at
            }
            Found::Large(size, perms) => {
                let entry = PfnRange::with_len(at.align_down(size), size.pages());
                let wanted = change.apply(perms);
                if how != Walk::Force4k && wanted == perms {
                    return entry.end().min(range.end());
                }
                if how == Walk::Range && range.intersection(entry) == entry {
                    self.leaves.set_large(at, size, wanted);
                    done.changed += 1;
                    return entry.end();
                }
                self.leaves.split(at, size, perms);
                self.tally.split(size);
                match size {
                    PageSize::Size1G => done.level3_splits += 1,
                    _ => done.level2_splits += 1,
                }
                at
            }
        }
    }
}
