//! What all pack designs share: chunks, the search through the packs, oversize images.
//!
//! Behaviour of `bpf_prog_pack_alloc` and `bpf_prog_pack_free` (`kernel/bpf/core.c@5.18..7.3`):
//! packs are searched in the order of their creation, the first run of free chunks is taken, a
//! new pack is appended when none has room, and an empty pack is freed at once.

use std::fmt;

use super::areas::{Areas, NoText};
use super::chunk_map::ChunkMap;
use super::first_fit::FirstFit;
use super::image::{CHUNK_BYTES, ImageBytes};
use super::{Home, OwnMemory, Slot, TextAllocator, TextUsage};
use crate::units::PAGE_BYTES;

/// What one pack design decides: where packs come from and how they go.
pub trait PackDesign: Send {
    /// What packs are made of: [`AreaId`](super::AreaId) or [`PieceId`](super::PieceId).
    type Memory: Copy + fmt::Debug + Send + Into<OwnMemory> + TryFrom<OwnMemory, Error = OwnMemory>;

    /// Base pages of one pack.
    fn pack_pages(&self, areas: &dyn Areas) -> u64;

    /// Opens memory whose first `pages` pages are executable: a pack, or an image larger than a pack.
    ///
    /// # Errors
    /// [`NoText`] if the machine has no memory for it.
    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<Self::Memory, NoText>;

    /// Frees such memory.
    fn close(&mut self, areas: &mut dyn Areas, memory: Self::Memory, pages: u64);

    /// Base pages that such memory makes executable.
    fn executable_pages(&self, pages: u64) -> u64 {
        pages
    }
}

/// One open pack.
#[derive(Debug)]
struct Pack<M> {
    memory: M,
    pages: u64,
    /// Place in the search order.
    position: usize,
    chunks: ChunkMap,
    /// Chunks that still hold the text of a freed image; empty while freed chunks are invalidated.
    stale: Vec<u64>,
}

/// A text allocator that packs images into chunks.
#[derive(Debug)]
pub struct Packs<D: PackDesign> {
    design: D,
    /// Whether freed chunks are filled with trapping instructions (`bpf_arch_text_invalidate`).
    invalidate: bool,
    packs: Vec<Option<Pack<D::Memory>>>,
    free_numbers: Vec<u32>,
    /// What closed packs leave for the next ones: maps of all free chunks.
    spare: Vec<ChunkMap>,
    /// Pack numbers in the order of creation; closed packs leave a gap until the next clean-up.
    order: Vec<u32>,
    fit: FirstFit,
    usage: TextUsage,
}

impl<D: PackDesign> Packs<D> {
    /// No pack yet.
    pub fn new(design: D, invalidate: bool) -> Self {
        Self {
            design,
            invalidate,
            packs: Vec::new(),
            free_numbers: Vec::new(),
            spare: Vec::new(),
            order: Vec::new(),
            fit: FirstFit::default(),
            usage: TextUsage::default(),
        }
    }

    /// Places `count` chunks: pack number and first chunk.
    fn place(&mut self, areas: &mut dyn Areas, pack_pages: u64, count: u32) -> Result<(u32, u32), NoText> {
        let position = match self.fit.first(count) {
            Some(position) => position,
            None => self.open_pack(areas, pack_pages)?,
        };
        let number = self.order[position];
        let pack = self.packs[number as usize].as_mut().expect("a place with room belongs to an open pack");
        let start = pack.chunks.take(count).expect("the pack has a run that long");
        self.fit.set(position, pack.chunks.longest_free());
        if !self.invalidate {
            self.usage.stale_bytes -= clear(&mut pack.stale, start, count) * CHUNK_BYTES;
        }
        Ok((number, start))
    }

    /// Opens a pack at the end of the search order and returns its position.
    fn open_pack(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<usize, NoText> {
        let memory = self.design.open(areas, pages)?;
        if self.order.len() > 64 && self.usage.live_packs() * 2 < self.order.len() as u64 {
            self.close_gaps();
        }
        let count = (pages * PAGE_BYTES / CHUNK_BYTES) as u32;
        let spare = self.spare.pop().filter(|map| map.chunks() == count);
        let chunks = spare.unwrap_or_else(|| ChunkMap::new(count));
        let stale = if self.invalidate { Vec::new() } else { vec![0; chunks.chunks() as usize / 64] };
        let position = self.fit.push(chunks.longest_free());
        let pack = Pack { memory, pages, position, chunks, stale };
        let number = match self.free_numbers.pop() {
            Some(number) => {
                self.packs[number as usize] = Some(pack);
                number
            }
            None => {
                self.packs.push(Some(pack));
                self.packs.len() as u32 - 1
            }
        };
        self.order.push(number);
        self.usage.executable_pages += pages;
        self.usage.packs_created += 1;
        Ok(position)
    }

    /// Numbers the positions of the open packs anew, without gaps.
    fn close_gaps(&mut self) {
        let mut open: Vec<(usize, u32)> = Vec::new();
        for (number, pack) in self.packs.iter().enumerate() {
            open.extend(pack.as_ref().map(|pack| (pack.position, number as u32)));
        }
        open.sort_unstable();
        self.fit.clear();
        self.order.clear();
        for (_, number) in open {
            let pack = self.packs[number as usize].as_mut().expect("the pack is open");
            pack.position = self.fit.push(pack.chunks.longest_free());
            self.order.push(number);
        }
    }

    fn give_chunks(&mut self, areas: &mut dyn Areas, number: u32, start: u32, count: u32) {
        let pack = self.packs[number as usize].as_mut().expect("a live image keeps its pack open");
        pack.chunks.give(start, count);
        if self.invalidate {
            self.usage.text_poke_bytes += u64::from(count) * CHUNK_BYTES;
        } else {
            self.usage.stale_bytes += mark(&mut pack.stale, start, count) * CHUNK_BYTES;
        }
        if pack.chunks.taken() > 0 {
            self.fit.set(pack.position, pack.chunks.longest_free());
            return;
        }
        let pack = self.packs[number as usize].take().expect("the pack was open");
        self.fit.set(pack.position, 0);
        self.free_numbers.push(number);
        self.usage.stale_bytes -= count_ones(&pack.stale) * CHUNK_BYTES;
        self.usage.executable_pages -= pack.pages;
        self.usage.packs_freed += 1;
        self.spare.push(pack.chunks);
        self.design.close(areas, pack.memory, pack.pages);
    }
}

impl<D: PackDesign> TextAllocator for Packs<D> {
    fn load(&mut self, areas: &mut dyn Areas, image: ImageBytes) -> Result<Slot, NoText> {
        let pack_pages = self.design.pack_pages(areas);
        let reserved = image.chunks() * CHUNK_BYTES;
        let slot = if reserved > pack_pages * PAGE_BYTES {
            let pages = image.oversize_pages();
            let memory = self.design.open(areas, pages)?;
            self.usage.executable_pages += self.design.executable_pages(pages);
            self.usage.reserved_bytes += pages * PAGE_BYTES;
            Slot::own(memory, image)
        } else {
            let (pack, start) = self.place(areas, pack_pages, image.chunks() as u32)?;
            self.usage.reserved_bytes += reserved;
            Slot { home: Home::Pack(pack), start, image }
        };
        self.usage.image_bytes += image.get();
        // The image is written elsewhere and copied in (`bpf_arch_text_copy`).
        self.usage.text_poke_bytes += reserved;
        Ok(slot)
    }

    fn unload(&mut self, areas: &mut dyn Areas, slot: Slot) {
        self.usage.image_bytes -= slot.image.get();
        match slot.home {
            Home::Own(memory) => {
                let pages = slot.image.oversize_pages();
                self.usage.executable_pages -= self.design.executable_pages(pages);
                self.usage.reserved_bytes -= pages * PAGE_BYTES;
                let memory = memory.try_into().expect("an image comes back to the policy that placed it");
                self.design.close(areas, memory, pages);
            }
            Home::Pack(pack) => {
                let count = slot.image.chunks();
                self.usage.reserved_bytes -= count * CHUNK_BYTES;
                self.give_chunks(areas, pack, slot.start, count as u32);
            }
        }
    }

    fn usage(&self) -> TextUsage {
        self.usage
    }

    fn memory_of(&self, slot: Slot) -> Option<OwnMemory> {
        match slot.home {
            Home::Own(memory) => Some(memory),
            Home::Pack(pack) => self.packs[pack as usize].as_ref().map(|pack| pack.memory.into()),
        }
    }
}

/// Sets bits `start..start + count`; returns how many were clear.
fn mark(words: &mut [u64], start: u32, count: u32) -> u64 {
    masks(start, count)
        .map(|(word, mask)| {
            let fresh = mask & !words[word];
            words[word] |= mask;
            u64::from(fresh.count_ones())
        })
        .sum()
}

/// Clears bits `start..start + count`; returns how many were set.
fn clear(words: &mut [u64], start: u32, count: u32) -> u64 {
    masks(start, count)
        .map(|(word, mask)| {
            let old = mask & words[word];
            words[word] &= !mask;
            u64::from(old.count_ones())
        })
        .sum()
}

fn count_ones(words: &[u64]) -> u64 {
    words.iter().map(|word| u64::from(word.count_ones())).sum()
}

/// The words that hold bits `start..start + count`, each with the mask of those bits.
pub(super) fn masks(start: u32, count: u32) -> impl Iterator<Item = (usize, u64)> {
    let (first, last) = (start / 64, (start + count - 1) / 64);
    (first..=last).map(move |word| {
        let base = word * 64;
        let (from, to) = (start.max(base) - base, (start + count).min(base + 64) - base);
        (word as usize, (u64::MAX >> (64 - (to - from))) << from)
    })
}

#[cfg(test)]
mod tests {
    use super::super::areas::{AreaId, AreaRequest, GiveBack, PieceId, TextPerms};
    use super::*;
    use proptest::prelude::*;

    /// Areas that are numbers only.
    #[derive(Default)]
    struct Numbers(u32);

    impl Areas for Numbers {
        fn open(&mut self, _: AreaRequest) -> Result<AreaId, NoText> {
            self.0 += 1;
            Ok(AreaId(self.0))
        }
        fn protect(&mut self, _: AreaId, _: u64, _: TextPerms) {}
        fn close(&mut self, _: AreaId, _: GiveBack) {}
        fn open_rox(&mut self, _: u64) -> Result<PieceId, NoText> {
            self.0 += 1;
            Ok(PieceId(self.0))
        }
        fn close_rox(&mut self, _: PieceId) {}
        fn possible_nodes(&self) -> u64 {
            1
        }
    }

    /// Packs of `0` pages.
    struct Small(u64);

    impl PackDesign for Small {
        type Memory = PieceId;

        fn pack_pages(&self, _: &dyn Areas) -> u64 {
            self.0
        }
        fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<PieceId, NoText> {
            areas.open_rox(pages)
        }
        fn close(&mut self, areas: &mut dyn Areas, piece: PieceId, _: u64) {
            areas.close_rox(piece);
        }
    }

    /// The kernel's list of packs, searched bit by bit; a pack is named by the order of its creation.
    #[derive(Default)]
    struct List {
        packs: Vec<(u64, Vec<Option<bool>>)>,
        created: u64,
    }

    /// Chunk states: `None` trapping, `Some(true)` live, `Some(false)` stale.
    impl List {
        fn place(&mut self, count: usize, chunks: usize) -> (u64, u32) {
            for (name, map) in &mut self.packs {
                let free = |at: usize| map[at..at + count].iter().all(|chunk| *chunk != Some(true));
                if let Some(start) = (0..=chunks - count).find(|&at| free(at)) {
                    map[start..start + count].fill(Some(true));
                    return (*name, start as u32);
                }
            }
            self.created += 1;
            let mut map = vec![None; chunks];
            map[..count].fill(Some(true));
            self.packs.push((self.created, map));
            (self.created, 0)
        }

        fn give(&mut self, name: u64, start: u32, count: usize) {
            let at = self.packs.iter().position(|pack| pack.0 == name).unwrap();
            let map = &mut self.packs[at].1;
            map[start as usize..start as usize + count].fill(Some(false));
            if map.iter().all(|chunk| *chunk != Some(true)) {
                self.packs.remove(at);
            }
        }

        fn stale_chunks(&self) -> u64 {
            self.packs.iter().flat_map(|pack| &pack.1).filter(|chunk| **chunk == Some(false)).count() as u64
        }
    }

    proptest! {
        #[test]
        fn places_images_as_the_kernels_list_does(
            pages in 1_u64..3,
            steps in prop::collection::vec((1_u32..6000, any::<prop::sample::Index>(), 0..5_u8), 1..400),
        ) {
            let mut areas = Numbers::default();
            let mut fast = Packs::new(Small(pages), false);
            let mut slow = List::default();
            let chunks = (pages * PAGE_BYTES / CHUNK_BYTES) as usize;
            let mut names = std::collections::BTreeMap::new();
            let mut live: Vec<(Slot, u64)> = Vec::new();
            for (bytes, which, kind) in steps {
                if kind < 2 && !live.is_empty() {
                    let (slot, name) = live.swap_remove(which.index(live.len()));
                    fast.unload(&mut areas, slot);
                    if let Some((_, start)) = slot.chunk() {
                        slow.give(name, start, slot.image().chunks() as usize);
                    }
                } else {
                    let image = ImageBytes::new(if kind == 4 { bytes } else { bytes % 600 + 1 });
                    let slot = fast.load(&mut areas, image).unwrap();
                    let Some((number, start)) = slot.chunk() else {
                        prop_assert!(image.chunks() as usize > chunks);
                        live.push((slot, 0));
                        continue;
                    };
                    let created = slow.created;
                    let (name, at) = slow.place(image.chunks() as usize, chunks);
                    if slow.created > created {
                        names.insert(number, name);
                    }
                    prop_assert_eq!((names[&number], start), (name, at));
                    live.push((slot, name));
                }
                prop_assert_eq!(fast.usage().live_packs() as usize, slow.packs.len());
                prop_assert_eq!(fast.usage().stale_bytes, slow.stale_chunks() * CHUNK_BYTES);
            }
            for (slot, _) in live {
                fast.unload(&mut areas, slot);
            }
            let end = fast.usage();
            prop_assert_eq!((end.image_bytes, end.reserved_bytes, end.executable_pages, end.stale_bytes), (0, 0, 0, 0));
        }
    }

    #[test]
    fn invalidated_chunks_are_never_stale() {
        let mut areas = Numbers::default();
        let mut packs = Packs::new(Small(1), true);
        let first = packs.load(&mut areas, ImageBytes::new(100)).unwrap();
        let second = packs.load(&mut areas, ImageBytes::new(100)).unwrap();
        packs.unload(&mut areas, first);
        assert_eq!(packs.usage().stale_bytes, 0);
        assert_eq!(packs.usage().text_poke_bytes, 3 * 2 * CHUNK_BYTES);
        packs.unload(&mut areas, second);
        assert_eq!(packs.usage().live_packs(), 0);
    }
}
