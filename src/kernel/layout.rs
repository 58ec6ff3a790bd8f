//! What TLBs see of a host: the sizes of the direct map's pages, and in which pageblocks the kernel's own memory lies.

use std::ops::Range;

use super::Kernel;
use crate::text_alloc::Slot;
use crate::units::{PageSize, PfnRange};

/// Page sizes and pageblock types of a host at one moment. Its size follows what was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The direct map's pages by size, ascending; neighbours of one size are one range.
    pub pages: Vec<(PfnRange, PageSize)>,
    /// Numbers (`pfn / 512`) of the pageblocks that are not movable, zone by zone.
    pub not_movable: Vec<u64>,
    /// How many more of them there are whose place is not drawn yet.
    pub unplaced: u64,
    /// Where the images of loaded programs lie.
    pub text: TextLayout,
}

/// Pages of BPF text by program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextLayout {
    /// The programs that have images, by id, and how many of `pages` each has.
    pub programs: Vec<(u64, u32)>,
    /// The pages of one program after those of the other: a number for each page, and its size. Programs share pages.
    pub pages: Vec<(u64, PageSize)>,
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
        Layout { pages, not_movable, unplaced, text: self.text_layout() }
    }

    fn text_layout(&self) -> TextLayout {
        let mut programs: Vec<_> = self.programs.iter().collect();
        programs.sort_unstable_by_key(|(id, _)| *id);
        let mut text = TextLayout::default();
        let mut pages = Vec::new();
        for (id, program) in programs {
            pages.clear();
            program.slots().for_each(|slot| self.add_text_pages(slot, &mut pages));
            // Functions of one program share pages.
            pages.sort_unstable();
            pages.dedup();
            if !pages.is_empty() {
                text.programs.push((id.get(), pages.len() as u32));
                text.pages.extend(&pages);
            }
        }
        text
    }

    /// Adds the pages of an image.
    fn add_text_pages(&self, slot: Slot, pages: &mut Vec<(u64, PageSize)>) {
        let Some(memory) = self.text.memory_of(slot) else { return };
        let (area, first, size) = self.machine.text_place(memory);
        let Range { start, end } = slot.pages();
        let number = |page: u64| (u64::from(area.0) << 32) + (first + page) / size.pages();
        pages.extend((start..end).map(|page| (number(page), size)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{HostSetup, Release};
    use crate::memory::{MemoryLayout, StartState};
    use crate::text_alloc::{Policy, PolicyOptions};
    use crate::trace::{EventKind, Images, Load, ProgId};
    use crate::units::Bytes;

    /// The text of a host on which programs with images of these lengths are loaded and the first is unloaded.
    fn text(policy: Policy, release: &str, programs: &[&[u32]]) -> TextLayout {
        let layout = MemoryLayout::q35(Bytes::new(4 << 30)).unwrap();
        let setup = HostSetup {
            release: Release::named(release).unwrap(),
            layout: &layout,
            start: &StartState::Fresh,
            cpus: 1,
            largest_page: PageSize::Size1G,
            boot_program: false,
            seed: 1,
            run: 0,
        };
        let mut kernel = Kernel::boot(&setup, policy.build(PolicyOptions::default())).unwrap();
        for (id, images) in (1..).zip(programs) {
            let images = Images::new(images).unwrap();
            kernel.apply(&EventKind::Load(Load { id: ProgId::new(id), images, insns: 0, jited: true })).unwrap();
        }
        kernel.apply(&EventKind::Unload { id: ProgId::new(1) }).unwrap();
        kernel.layout().text
    }

    /// How many pages there are of each size, each counted once.
    fn distinct(text: &TextLayout) -> [usize; 2] {
        let mut pages = text.pages.clone();
        pages.sort_unstable();
        pages.dedup();
        [PageSize::Size4K, PageSize::Size2M].map(|size| pages.iter().filter(|page| page.1 == size).count())
    }

    #[test]
    fn the_pages_of_programs_are_those_of_their_images() {
        let programs: [&[u32]; 4] = [&[9000], &[3000], &[500, 600], &[12_000]];
        let own = text(Policy::PerProg, "5.15", &programs);
        assert_eq!(own.programs, [(2, 1), (3, 2), (4, 3)], "the first is unloaded");
        assert_eq!(distinct(&own), [6, 0], "no image shares a page with another");
        let packed = text(Policy::Pack4k, "5.18", &programs);
        // Bytes 9024 to 12096, to 13312 and to 25344 of packs of one page, or of pages of their own.
        assert!(distinct(&packed)[0] < 6 && distinct(&packed)[1] == 0, "{packed:?}");
        let large = text(Policy::Pack2m, "5.18", &programs);
        assert_eq!((large.programs.as_slice(), distinct(&large)), (&[(2, 1), (3, 1), (4, 1)][..], [0, 1]));
        let cached = text(Policy::ExecmemRox, "7.3", &programs);
        assert_eq!((cached.programs.as_slice(), distinct(&cached)), (&[(2, 1), (3, 1), (4, 1)][..], [0, 1]));
        let single = text(Policy::PackVmalloc, "6.1", &programs);
        // Chunks of 64 bytes from 9024 on: pages 2, 2 and 3, 3 to 6.
        assert_eq!(single.programs, [(2, 1), (3, 2), (4, 4)], "{single:?}");
        assert_eq!(distinct(&single), [5, 0]);
    }
}
