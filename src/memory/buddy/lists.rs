//! Free lists: one for each type and order, in the order in which blocks are handed out.
//!
//! Blocks below the largest order are nodes of doubly linked lists in one arena. Blocks of the largest order never
//! merge with anything, so they only leave a list at its head; they are kept as runs of neighbours, and a fresh host
//! of any size is a handful of runs.

use std::collections::VecDeque;

use super::End;
use crate::memory::migrate::MigrateType;
use crate::units::Order;

/// Orders that have linked lists: all but the largest.
pub(super) const SMALL_ORDERS: usize = Order::COUNT - 1;
const LISTS: usize = MigrateType::COUNT * SMALL_ORDERS;
/// The largest order.
pub(super) const MAX: usize = Order::COUNT - 1;
/// Pages of a block of the largest order.
pub(super) const MAX_PAGES: u64 = 1 << MAX;

/// An entry of a list: a free block, or all blocks whose place has not been drawn yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A free block that starts at this frame.
    Block(u64),
    /// This list's blocks without a place.
    Latent,
}

/// Neighbouring blocks of the largest order, lowest first; or all that have no place yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub first: Entry,
    pub blocks: u64,
}

const LATENT: u64 = u64::MAX;
const ORDER_SHIFT: u32 = 48;
const KIND_SHIFT: u32 = 56;

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
    /// Frame, order and type of the block, or `LATENT`.
    what: u64,
}

/// All free lists of a zone. The ids 0 to `LISTS - 1` are the lists themselves.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    nodes: Vec<Node>,
    spare: Vec<u32>,
    /// For each list, the id of the entry of blocks without a place; 0 if there is none.
    latent: [u32; LISTS],
    runs: [VecDeque<Run>; MigrateType::COUNT],
    counts: [[u64; Order::COUNT]; MigrateType::COUNT],
    /// For each type, one bit for each order that has blocks.
    filled: [u16; MigrateType::COUNT],
}

const fn list_of(kind: MigrateType, order: usize) -> u32 {
    (kind.index() * SMALL_ORDERS + order) as u32
}

impl Lists {
    pub(super) fn new() -> Self {
        let nodes = (0..LISTS as u32).map(|id| Node { prev: id, next: id, what: LATENT }).collect();
        Self {
            nodes,
            spare: Vec::new(),
            latent: [0; LISTS],
            runs: Default::default(),
            counts: Default::default(),
            filled: [0; MigrateType::COUNT],
        }
    }

    /// The smallest order from `order` up that has a block of this type.
    #[inline]
    pub(super) fn smallest(&self, kind: MigrateType, order: usize) -> Option<usize> {
        let orders = self.filled[kind.index()] >> order;
        if orders == 0 { None } else { Some(order + orders.trailing_zeros() as usize) }
    }

    /// Free blocks of this type and order.
    #[inline]
    pub(super) fn count(&self, kind: MigrateType, order: usize) -> u64 {
        self.counts[kind.index()][order]
    }

    /// Changes the number of blocks; the callers keep it true.
    #[inline]
    pub(super) fn adjust(&mut self, kind: MigrateType, order: usize, by: i64) {
        let count = &mut self.counts[kind.index()][order];
        *count = count.wrapping_add_signed(by);
        let bit = 1 << order;
        if *count == 0 {
            self.filled[kind.index()] &= !bit;
        } else {
            self.filled[kind.index()] |= bit;
        }
    }

    /// Adds a block below the largest order; its id.
    #[inline]
    pub(super) fn add(&mut self, kind: MigrateType, order: usize, pfn: u64, end: End) -> u32 {
        let list = list_of(kind, order);
        let before = if end == End::Head { self.nodes[list as usize].next } else { list };
        let what = pfn | (order as u64) << ORDER_SHIFT | (kind.index() as u64) << KIND_SHIFT;
        self.adjust(kind, order, 1);
        self.insert(before, what)
    }

    /// Adds the entry that stands for `count` blocks without a place, at the tail.
    pub(super) fn add_latent(&mut self, kind: MigrateType, order: usize, count: u64) {
        self.adjust(kind, order, count as i64);
        if order == MAX {
            self.runs[kind.index()].push_back(Run { first: Entry::Latent, blocks: count });
        } else {
            let list = list_of(kind, order);
            self.latent[list as usize] = self.insert(list, LATENT);
        }
    }

    /// Turns one of the blocks without a place, which are at the head, into a block at this frame; its id.
    pub(super) fn settle_head(&mut self, kind: MigrateType, order: usize, pfn: u64) -> u32 {
        let head = self.nodes[list_of(kind, order) as usize].next;
        self.insert(head, pfn | (order as u64) << ORDER_SHIFT | (kind.index() as u64) << KIND_SHIFT)
    }

    /// Drops the entry of blocks without a place, if it is still there: none is left.
    pub(super) fn remove_latent(&mut self, kind: MigrateType, order: usize) {
        let entry = std::mem::take(&mut self.latent[list_of(kind, order) as usize]);
        if entry != 0 {
            self.unlink(entry);
        }
    }

    fn insert(&mut self, before: u32, what: u64) -> u32 {
        let prev = self.nodes[before as usize].prev;
        let node = Node { prev, next: before, what };
        let id = match self.spare.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as u32
            }
        };
        self.nodes[prev as usize].next = id;
        self.nodes[before as usize].prev = id;
        id
    }

    fn unlink(&mut self, id: u32) {
        let Node { prev, next, .. } = self.nodes[id as usize];
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
        self.spare.push(id);
    }

    /// The order of the block with this id.
    #[inline]
    pub(super) fn order(&self, id: u32) -> usize {
        (self.nodes[id as usize].what >> ORDER_SHIFT & 0xff) as usize
    }

    /// The type of the list that the block with this id is on.
    #[inline]
    pub(super) fn kind(&self, id: u32) -> MigrateType {
        MigrateType::from_index((self.nodes[id as usize].what >> KIND_SHIFT) as usize)
    }

    /// Takes the block with this id off its list.
    #[inline]
    pub(super) fn remove(&mut self, id: u32) {
        self.adjust(self.kind(id), self.order(id), -1);
        self.unlink(id);
    }

    /// The head of a list below the largest order.
    #[inline]
    pub(super) fn head(&self, kind: MigrateType, order: usize) -> Option<(u32, Entry)> {
        let list = list_of(kind, order);
        let id = self.nodes[list as usize].next;
        if id == list {
            return None;
        }
        let what = self.nodes[id as usize].what;
        let entry = if what == LATENT { Entry::Latent } else { Entry::Block(what & ((1 << ORDER_SHIFT) - 1)) };
        Some((id, entry))
    }

    /// Adds `blocks` neighbouring blocks of the largest order.
    pub(super) fn add_run(&mut self, kind: MigrateType, first: u64, blocks: u64, end: End) {
        self.adjust(kind, MAX, blocks as i64);
        let runs = &mut self.runs[kind.index()];
        match (end, runs.front_mut(), first + blocks * MAX_PAGES) {
            (End::Head, Some(Run { first: Entry::Block(old), blocks: count }), after) if *old == after => {
                (*old, *count) = (first, *count + blocks);
                return;
            }
            _ => {}
        }
        if end == End::Head {
            runs.push_front(Run { first: Entry::Block(first), blocks });
            return;
        }
        match runs.back_mut() {
            Some(Run { first: Entry::Block(old), blocks: count }) if *old + *count * MAX_PAGES == first => {
                *count += blocks;
            }
            _ => runs.push_back(Run { first: Entry::Block(first), blocks }),
        }
    }

    /// The first run of the largest order.
    pub(super) fn first_run(&self, kind: MigrateType) -> Option<Run> {
        self.runs[kind.index()].front().copied()
    }

    /// Takes `blocks` blocks from the first run of the largest order.
    pub(super) fn take_from_run(&mut self, kind: MigrateType, blocks: u64) {
        let runs = &mut self.runs[kind.index()];
        let run = runs.front_mut().expect("the caller has just seen the first run");
        run.blocks -= blocks;
        if let Entry::Block(first) = &mut run.first {
            *first += blocks * MAX_PAGES;
        }
        if run.blocks == 0 {
            runs.pop_front();
        }
        self.adjust(kind, MAX, -(blocks as i64));
    }

    /// All entries of a list, in the order in which they are handed out; for checks.
    pub(super) fn entries(&self, kind: MigrateType, order: usize) -> Vec<Entry> {
        if order == MAX {
            let blocks = |run: &Run| -> Vec<Entry> {
                match run.first {
                    Entry::Latent => vec![Entry::Latent],
                    Entry::Block(first) => (0..run.blocks).map(|i| Entry::Block(first + i * MAX_PAGES)).collect(),
                }
            };
            return self.runs[kind.index()].iter().flat_map(blocks).collect();
        }
        let list = list_of(kind, order);
        let mut entries = Vec::new();
        let mut id = self.nodes[list as usize].next;
        while id != list {
            let what = self.nodes[id as usize].what;
            entries.push(if what == LATENT { Entry::Latent } else { Entry::Block(what & ((1 << ORDER_SHIFT) - 1)) });
            id = self.nodes[id as usize].next;
        }
        entries
    }

    /// The runs of the largest order; for checks.
    pub(super) fn runs(&self, kind: MigrateType) -> impl Iterator<Item = &Run> {
        self.runs[kind.index()].iter()
    }

    /// Bytes of heap behind the lists.
    pub(super) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.spare.capacity() * 4
            + self.runs.iter().map(|runs| runs.capacity() * size_of::<Run>()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: MigrateType = MigrateType::Movable;

    #[test]
    fn blocks_come_in_list_order() {
        let mut lists = Lists::new();
        let middle = lists.add(KIND, 3, 16, End::Head);
        lists.add(KIND, 3, 8, End::Head);
        lists.add(KIND, 3, 64, End::Tail);
        assert_eq!(lists.entries(KIND, 3), [8, 16, 64].map(Entry::Block));
        lists.remove(middle);
        assert_eq!(lists.entries(KIND, 3), [8, 64].map(Entry::Block));
        assert_eq!((lists.count(KIND, 3), lists.smallest(KIND, 0), lists.smallest(KIND, 4)), (2, Some(3), None));
    }

    #[test]
    fn neighbours_of_the_largest_order_are_one_run() {
        let mut lists = Lists::new();
        lists.add_run(KIND, 4096, 1 << 20, End::Tail);
        lists.add_run(KIND, 3072, 1, End::Head);
        assert_eq!(lists.runs(KIND).count(), 1);
        lists.take_from_run(KIND, 2);
        assert_eq!(lists.first_run(KIND), Some(Run { first: Entry::Block(5120), blocks: (1 << 20) - 1 }));
        lists.add_run(KIND, 0, 1, End::Tail);
        assert_eq!((lists.runs(KIND).count(), lists.count(KIND, MAX)), (2, 1 << 20));
    }

    #[test]
    fn blocks_without_a_place_are_one_entry() {
        let mut lists = Lists::new();
        lists.add_latent(KIND, 0, 1000);
        lists.add(KIND, 0, 5, End::Head);
        lists.add(KIND, 0, 9, End::Tail);
        assert_eq!(lists.entries(KIND, 0), [Entry::Block(5), Entry::Latent, Entry::Block(9)]);
        assert_eq!(lists.count(KIND, 0), 1002);
        lists.remove_latent(KIND, 0);
        assert_eq!(lists.entries(KIND, 0), [5, 9].map(Entry::Block));
    }
}
