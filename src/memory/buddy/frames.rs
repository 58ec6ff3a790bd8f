//! What is known of each pageblock: its type, where free blocks start, which used pages are movable.
//!
//! A pageblock without an entry is in the default state: type movable, no free block below the largest order starts
//! in it, used pages are movable. So memory that nobody has cut into pieces costs nothing. Entries are found through
//! a table for each 128 MiB, which exists only where an entry does.

use crate::memory::migrate::MigrateType;
use crate::units::PAGES_PER_2M;

/// Pageblocks in one table: 128 MiB. Smaller tables would make the table of tables large on hosts of many TiB.
const TABLE_BLOCKS: u64 = 64;
/// Pages whose free-block heads share one chunk of an entry.
const CHUNK_PAGES: usize = 64;
const CHUNKS: usize = PAGES_PER_2M as usize / CHUNK_PAGES;
/// "No entry", "no chunk", "no block": ids start at 1.
pub(super) const NONE: u32 = 0;

/// The state of one pageblock that differs from the default.
#[derive(Clone, Debug)]
struct Pageblock {
    /// For each 64 pages, the chunk with the ids of the free blocks that start there.
    chunks: [u32; CHUNKS],
    /// One bit for each page: whether its user could move it; of no meaning while the page is free.
    movable: [u64; CHUNKS],
    /// Free blocks below the largest order that start here.
    heads: u16,
    kind: MigrateType,
    /// Whether the entry must stay although it is in the default state.
    pinned: bool,
}

const DEFAULT: Pageblock = Pageblock {
    chunks: [NONE; CHUNKS],
    movable: [u64::MAX; CHUNKS],
    heads: 0,
    kind: MigrateType::Movable,
    pinned: false,
};

/// The pageblocks of one zone.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    /// Number of the first pageblock of the zone.
    first: u64,
    groups: Vec<u32>,
    tables: Vec<[u32; TABLE_BLOCKS as usize]>,
    blocks: Vec<Pageblock>,
    spare_blocks: Vec<u32>,
    chunks: Vec<[u32; CHUNK_PAGES]>,
    spare_chunks: Vec<u32>,
    /// Entries of each type; the rest of the zone is movable.
    kinds: [u64; MigrateType::COUNT],
    /// How often a pageblock has changed its type.
    kind_changes: u64,
}

impl Frames {
    /// The pageblocks that hold the frames from `start` up to `end`.
    pub(super) fn new(start: u64, end: u64) -> Self {
        let first = start / PAGES_PER_2M;
        let count = (end.div_ceil(PAGES_PER_2M) - first).div_ceil(TABLE_BLOCKS);
        Self {
            first,
            groups: vec![NONE; count as usize],
            tables: Vec::new(),
            blocks: Vec::new(),
            spare_blocks: Vec::new(),
            chunks: Vec::new(),
            spare_chunks: Vec::new(),
            kinds: [0; MigrateType::COUNT],
            kind_changes: 0,
        }
    }

    #[inline]
    fn place(&self, pfn: u64) -> (usize, usize) {
        let block = pfn / PAGES_PER_2M - self.first;
        ((block / TABLE_BLOCKS) as usize, (block % TABLE_BLOCKS) as usize)
    }

    #[inline]
    fn find(&self, pfn: u64) -> Option<&Pageblock> {
        let (group, slot) = self.place(pfn);
        let table = self.groups[group];
        if table == NONE {
            return None;
        }
        let block = self.tables[table as usize - 1][slot];
        if block == NONE { None } else { Some(&self.blocks[block as usize - 1]) }
    }

    fn find_mut(&mut self, pfn: u64) -> Option<&mut Pageblock> {
        let (group, slot) = self.place(pfn);
        let table = self.groups[group];
        if table == NONE {
            return None;
        }
        let block = self.tables[table as usize - 1][slot];
        if block == NONE { None } else { Some(&mut self.blocks[block as usize - 1]) }
    }

    fn ensure(&mut self, pfn: u64) -> &mut Pageblock {
        let (group, slot) = self.place(pfn);
        if self.groups[group] == NONE {
            self.tables.push([NONE; TABLE_BLOCKS as usize]);
            self.groups[group] = self.tables.len() as u32;
        }
        let entry = &mut self.tables[self.groups[group] as usize - 1][slot];
        if *entry == NONE {
            *entry = match self.spare_blocks.pop() {
                Some(id) => {
                    self.blocks[id as usize - 1] = DEFAULT;
                    id
                }
                None => {
                    self.blocks.push(DEFAULT);
                    self.blocks.len() as u32
                }
            };
            self.kinds[MigrateType::Movable.index()] += 1;
        }
        &mut self.blocks[*entry as usize - 1]
    }

    /// The type of the pageblock that holds the frame.
    #[inline]
    pub(super) fn kind(&self, pfn: u64) -> MigrateType {
        self.find(pfn).map_or(MigrateType::Movable, |block| block.kind)
    }

    /// Changes the type of the pageblock that holds the frame.
    pub(super) fn set_kind(&mut self, pfn: u64, kind: MigrateType) {
        let block = self.ensure(pfn);
        let old = std::mem::replace(&mut block.kind, kind);
        self.kinds[old.index()] -= 1;
        self.kinds[kind.index()] += 1;
        self.kind_changes += u64::from(old != kind);
        self.drop_default(pfn);
    }

    /// How often a pageblock has changed its type: while this stays the same, so does the type of every frame.
    #[inline]
    pub(super) fn kind_changes(&self) -> u64 {
        self.kind_changes
    }

    /// Pageblocks whose type is not movable, unmovable ones first.
    pub(super) fn other_kinds(&self) -> [u64; 2] {
        [self.kinds[MigrateType::Unmovable.index()], self.kinds[MigrateType::Reclaimable.index()]]
    }

    /// Numbers of the pageblocks whose type is not movable, ascending.
    pub(super) fn not_movable(&self) -> impl Iterator<Item = u64> + '_ {
        let tables = self.groups.iter().enumerate().filter(|(_, table)| **table != NONE);
        tables.flat_map(move |(group, table)| {
            let first = self.first + group as u64 * TABLE_BLOCKS;
            let entries = self.tables[*table as usize - 1].iter().zip(first..);
            let not_movable = |block: &u32| self.blocks[*block as usize - 1].kind != MigrateType::Movable;
            entries.filter(move |(block, _)| **block != NONE && not_movable(block)).map(|(_, number)| number)
        })
    }

    /// Keeps the entry of this pageblock for ever.
    pub(super) fn pin(&mut self, pfn: u64) {
        self.ensure(pfn).pinned = true;
    }

    /// The id of the free block below the largest order that starts at the frame, or [`NONE`].
    #[inline]
    pub(super) fn head(&self, pfn: u64) -> u32 {
        let Some(block) = self.find(pfn) else { return NONE };
        let offset = (pfn % PAGES_PER_2M) as usize;
        match block.chunks[offset / CHUNK_PAGES] {
            NONE => NONE,
            chunk => self.chunks[chunk as usize - 1][offset % CHUNK_PAGES],
        }
    }

    /// Notes that the free block `id` starts at the frame.
    pub(super) fn set_head(&mut self, pfn: u64, id: u32) {
        let offset = (pfn % PAGES_PER_2M) as usize;
        let block = self.ensure(pfn);
        block.heads += 1;
        let chunk = block.chunks[offset / CHUNK_PAGES];
        let chunk = if chunk == NONE { self.add_chunk(pfn, offset / CHUNK_PAGES) } else { chunk };
        self.chunks[chunk as usize - 1][offset % CHUNK_PAGES] = id;
    }

    fn add_chunk(&mut self, pfn: u64, index: usize) -> u32 {
        let chunk = match self.spare_chunks.pop() {
            Some(chunk) => chunk,
            None => {
                self.chunks.push([NONE; CHUNK_PAGES]);
                self.chunks.len() as u32
            }
        };
        self.ensure(pfn).chunks[index] = chunk;
        chunk
    }

    /// Notes that no free block starts at the frame any more.
    pub(super) fn clear_head(&mut self, pfn: u64) {
        let offset = (pfn % PAGES_PER_2M) as usize;
        let block = self.ensure(pfn);
        block.heads -= 1;
        let empty = block.heads == 0;
        let chunk = block.chunks[offset / CHUNK_PAGES];
        self.chunks[chunk as usize - 1][offset % CHUNK_PAGES] = NONE;
        if empty {
            // Every slot of its chunks is NONE again, so they can serve another pageblock as they are.
            let chunks = std::mem::replace(&mut self.ensure(pfn).chunks, [NONE; CHUNKS]);
            self.spare_chunks.extend(chunks.into_iter().filter(|chunk| *chunk != NONE));
        }
    }

    /// Notes who uses the `pages` frames from `pfn` on. They are a block: within one pageblock, or whole pageblocks.
    pub(super) fn set_used(&mut self, pfn: u64, pages: u64, kind: MigrateType) {
        let movable = kind == MigrateType::Movable;
        if pages >= PAGES_PER_2M {
            for start in (pfn..pfn + pages).step_by(PAGES_PER_2M as usize) {
                self.set_whole(start, movable);
            }
            return;
        }
        if movable && self.find(pfn).is_none() {
            return;
        }
        let block = self.ensure(pfn);
        for (word, mask) in words(pfn % PAGES_PER_2M, pages) {
            if movable {
                block.movable[word] |= mask;
            } else {
                block.movable[word] &= !mask;
            }
        }
        if movable && block.heads == 0 {
            self.drop_default(pfn);
        }
    }

    /// Notes that the type of its pageblock uses the block, which has been freed to a per-CPU list; the type.
    #[inline]
    pub(super) fn release(&mut self, pfn: u64, pages: u64) -> MigrateType {
        let Some(block) = self.find(pfn) else { return MigrateType::Movable };
        let kind = block.kind;
        let offset = (pfn % PAGES_PER_2M) as usize;
        let movable = block.movable[offset / CHUNK_PAGES] >> (offset % CHUNK_PAGES) & 1 == 1;
        if pages > 1 || movable != (kind == MigrateType::Movable) {
            self.set_used(pfn, pages, kind);
        }
        kind
    }

    fn set_whole(&mut self, pfn: u64, movable: bool) {
        if !movable {
            self.ensure(pfn).movable = [0; CHUNKS];
        } else if let Some(block) = self.find_mut(pfn) {
            block.movable = [u64::MAX; CHUNKS];
            self.drop_default(pfn);
        }
    }

    /// Notes that the whole pageblock is free, in a block of the largest order.
    pub(super) fn set_all_free(&mut self, pfn: u64) {
        self.set_whole(pfn, true);
    }

    /// Gives the entry back if it says what no entry says.
    fn drop_default(&mut self, pfn: u64) {
        let (group, slot) = self.place(pfn);
        let Some(block) = self.find(pfn) else { return };
        let default = block.heads == 0
            && !block.pinned
            && block.kind == MigrateType::Movable
            && block.movable == [u64::MAX; CHUNKS];
        if default {
            let id = std::mem::replace(&mut self.tables[self.groups[group] as usize - 1][slot], NONE);
            self.spare_blocks.push(id);
            self.kinds[MigrateType::Movable.index()] -= 1;
        }
    }

    /// The free blocks below the largest order that start in the pageblock, from this frame on: frame and id, ascending.
    pub(super) fn heads(&self, from: u64) -> Vec<(u64, u32)> {
        let Some(block) = self.find(from) else { return Vec::new() };
        let start = from - from % PAGES_PER_2M;
        let mut heads = Vec::with_capacity(usize::from(block.heads));
        for (index, chunk) in block.chunks.iter().enumerate().filter(|(_, chunk)| **chunk != NONE) {
            let first = start + (index * CHUNK_PAGES) as u64;
            let ids = self.chunks[*chunk as usize - 1].iter().zip(first..);
            heads.extend(ids.filter(|(id, pfn)| **id != NONE && *pfn >= from).map(|(id, pfn)| (pfn, *id)));
        }
        heads
    }

    /// Pages of the pageblock, from this frame on, that could be moved if in use; pages in `free` blocks do not count.
    pub(super) fn movable_pages(&self, from: u64, free: impl Iterator<Item = (u64, u64)>) -> u64 {
        let mut bits = self.find(from).map_or([u64::MAX; CHUNKS], |block| block.movable);
        clear_bits(&mut bits, 0, from % PAGES_PER_2M);
        for (pfn, pages) in free {
            clear_bits(&mut bits, pfn % PAGES_PER_2M, pages);
        }
        bits.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Bytes of heap behind the index.
    pub(super) fn heap_bytes(&self) -> usize {
        self.groups.capacity() * 4
            + self.tables.capacity() * size_of::<[u32; TABLE_BLOCKS as usize]>()
            + self.blocks.capacity() * size_of::<Pageblock>()
            + self.chunks.capacity() * size_of::<[u32; CHUNK_PAGES]>()
            + (self.spare_blocks.capacity() + self.spare_chunks.capacity()) * 4
    }
}

fn clear_bits(bits: &mut [u64; CHUNKS], offset: u64, pages: u64) {
    for (word, mask) in words(offset, pages) {
        bits[word] &= !mask;
    }
}

/// The words and bits of `pages` pages from this one of a pageblock on.
fn words(offset: u64, pages: u64) -> impl Iterator<Item = (usize, u64)> {
    let (mut at, end) = (offset as usize, (offset + pages) as usize);
    std::iter::from_fn(move || {
        let (word, bit) = (at / CHUNK_PAGES, at % CHUNK_PAGES);
        let count = end.saturating_sub(at).min(CHUNK_PAGES - bit);
        at += count;
        (count > 0).then(|| (word, (u64::MAX >> (CHUNK_PAGES - count)) << bit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_state_costs_no_entry() {
        let mut frames = Frames::new(1 << 20, 1 << 32);
        frames.set_head(1 << 20, 7);
        assert_eq!((frames.head(1 << 20), frames.head((1 << 20) + 1)), (7, NONE));
        frames.set_used((1 << 20) + 70, 2, MigrateType::Unmovable);
        frames.clear_head(1 << 20);
        assert_eq!(frames.spare_chunks.len(), 1);
        assert!(frames.spare_blocks.is_empty(), "two pages are unmovable");
        frames.set_used((1 << 20) + 70, 2, MigrateType::Movable);
        assert_eq!(frames.spare_blocks.len(), 1);
        assert_eq!(frames.kinds, [0; 3]);
    }

    #[test]
    fn bits_of_a_block_reach_over_words() {
        let mut frames = Frames::new(0, 1024);
        frames.set_used(0, 256, MigrateType::Unmovable);
        frames.set_used(64, 128, MigrateType::Movable);
        frames.set_used(100, 30, MigrateType::Unmovable);
        let block = frames.find(0).unwrap();
        let movable: Vec<usize> = (0..512).filter(|page| block.movable[page / 64] >> (page % 64) & 1 == 1).collect();
        assert_eq!(movable, (64..100).chain(130..192).chain(256..512).collect::<Vec<_>>());
        assert_eq!(frames.movable_pages(70, [(64, 16), (384, 128)].into_iter()), 20 + 62 + 128);
    }

    #[test]
    fn types_are_counted() {
        let mut frames = Frames::new(0, 4096);
        frames.set_kind(512, MigrateType::Unmovable);
        frames.set_kind(1024, MigrateType::Reclaimable);
        assert_eq!((frames.other_kinds(), frames.kind(513)), ([1, 1], MigrateType::Unmovable));
        assert_eq!(frames.not_movable().collect::<Vec<_>>(), [1, 2]);
        frames.set_kind(512, MigrateType::Movable);
        assert_eq!(frames.other_kinds(), [0, 1]);
        assert_eq!(frames.not_movable().collect::<Vec<_>>(), [2]);
    }
}
