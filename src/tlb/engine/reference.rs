//! The same TLBs again as lists, written to be read: no keys, no batches, no bit tricks.

use crate::rng::{Component, Stream};
use crate::tlb::access::{Access, Host};
use crate::tlb::cpu::{
    Cpu, FirstLevelHit, Inclusion, Index, Kind, Level, Links, Replacement, SecondLevelHit, Structure,
};
use crate::tlb::leaves::LeafMap;
use crate::units::PageSize;

/// A piece of a page: the page's size, and the number of the piece among those of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub page: PageSize,
    pub bytes: u64,
    pub number: u64,
}

/// A set: its ways, and whatever its policy remembers.
#[derive(Clone, Default)]
struct Set {
    ways: Vec<Option<Piece>>,
    /// Ways by last use, the latest last.
    uses: Vec<usize>,
}

struct Tlb {
    structure: Structure,
    sets: Vec<Set>,
    stream: Stream,
    pub hits: [u64; 3],
    pub misses: [u64; 3],
}

impl Tlb {
    fn new(structure: &Structure, stream: Stream) -> Self {
        let (sets, ways) = structure.sets_and_ways();
        let set = Set { ways: vec![None; ways as usize], uses: Vec::new() };
        Self { structure: structure.clone(), sets: vec![set; sets as usize], stream, hits: [0; 3], misses: [0; 3] }
    }

    fn piece(&self, page: PageSize, address: u64) -> Option<Piece> {
        let held = self.structure.pages.iter().find(|held| held.page() == page)?;
        let together = if page == PageSize::Size4K { u64::from(self.structure.coalesced_4k_pages) } else { 1 };
        let bytes = held.piece().bytes().get() * together;
        Some(Piece { page, bytes, number: address / bytes })
    }

    fn set(&mut self, piece: Piece) -> &mut Set {
        let sets = self.sets.len() as u64;
        let index = match &self.structure.index {
            Index::Linear => piece.number % sets,
            Index::Xor(widths) => {
                let mut rest = piece.number;
                let mut index = 0;
                for width in widths {
                    index ^= rest % (1 << width);
                    rest >>= width;
                }
                index
            }
        };
        &mut self.sets[index as usize]
    }

    fn has(&mut self, piece: Piece) -> bool {
        let set = self.set(piece);
        let Some(way) = set.ways.iter().position(|held| *held == Some(piece)) else { return false };
        set.uses.push(way);
        true
    }

    fn put(&mut self, piece: Piece) -> Option<Piece> {
        let (replacement, draw) = (self.structure.replacement, self.stream.clone());
        let mut draw = draw;
        let set = self.set(piece);
        let way = match set.ways.iter().position(Option::is_none) {
            Some(way) => way,
            None => victim(set, replacement, &mut draw),
        };
        let gone = set.ways[way].replace(piece);
        set.uses.push(way);
        self.stream = draw;
        gone
    }

    fn drop(&mut self, piece: Piece) -> bool {
        let set = self.set(piece);
        let Some(way) = set.ways.iter().position(|held| *held == Some(piece)) else { return false };
        set.ways[way] = None;
        true
    }

    fn flush(&mut self) {
        for set in &mut self.sets {
            set.ways.fill(None);
            set.uses.clear();
        }
    }
}

/// The way that gives way, from nothing but the uses of the set since it was empty.
fn victim(set: &Set, replacement: Replacement, stream: &mut Stream) -> usize {
    let ways = set.ways.len();
    let last_use = |way: usize| set.uses.iter().rposition(|used| *used == way);
    match replacement {
        Replacement::Lru => (0..ways).min_by_key(|way| last_use(*way)).unwrap(),
        Replacement::Random => stream.below(ways as u64) as usize,
        Replacement::TreePlru => tree_victim(&set.uses, 0, ways),
        Replacement::Mru3Plru4 => {
            let group = (set.uses.last().unwrap() / 4 + 1) % 3;
            tree_victim(&set.uses, 4 * group, 4)
        }
    }
}

/// Goes down the half that was not used last; the left one where none was used.
fn tree_victim(uses: &[usize], first: usize, ways: usize) -> usize {
    if ways == 1 {
        return first;
    }
    let half = ways / 2;
    let latest = uses.iter().rev().find(|way| (first..first + ways).contains(way));
    match latest {
        Some(way) if *way < first + half => tree_victim(uses, first + half, half),
        _ => tree_victim(uses, first, half),
    }
}

/// The TLBs of a core.
pub struct Reference {
    tlbs: Vec<Tlb>,
    host: Host,
    links: Links,
    pub accesses: u64,
    pub first_misses: u64,
    pub walks: [u64; 3],
}

impl Reference {
    pub fn new(cpu: &Cpu, host: Host, seed: u64) -> Self {
        let tlb = |(at, structure)| Tlb::new(structure, Stream::new(seed, Component::Tlb, at as u32));
        let tlbs = cpu.doc().structures.iter().enumerate().map(tlb).collect();
        Self { tlbs, host, links: cpu.doc().links, accesses: 0, first_misses: 0, walks: [0; 3] }
    }

    pub fn lookups(&self) -> Vec<([u64; 3], [u64; 3])> {
        self.tlbs.iter().map(|tlb| (tlb.hits, tlb.misses)).collect()
    }

    /// The structure where a page belongs at a level.
    fn home(&self, level: Level, kind: Kind, page: PageSize, address: u64) -> Option<(usize, Piece)> {
        let holding: Vec<(usize, Piece)> = (0..self.tlbs.len())
            .filter(|at| {
                let structure = &self.tlbs[*at].structure;
                structure.level == level && structure.serves.contains(&kind)
            })
            .filter_map(|at| Some((at, self.tlbs[at].piece(page, address)?)))
            .collect();
        if holding.len() < 2 {
            return holding.first().copied();
        }
        let unit = holding.iter().map(|(_, piece)| piece.bytes).max().unwrap();
        let hash = u128::from((address / unit).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let entries = |at: usize| u128::from(self.tlbs[at].structure.entries);
        let total: u128 = holding.iter().map(|(at, _)| entries(*at)).sum();
        let mut below = 0;
        for (at, piece) in &holding {
            below += entries(*at);
            if hash < (below << 64) / total {
                return Some((*at, *piece));
            }
        }
        None
    }

    fn look_up(&mut self, home: Option<(usize, Piece)>) -> bool {
        let Some((at, piece)) = home else { return false };
        let hit = self.tlbs[at].has(piece);
        let counter = if hit { &mut self.tlbs[at].hits } else { &mut self.tlbs[at].misses };
        counter[piece.page as usize] += 1;
        hit
    }

    pub fn access(&mut self, leaves: &LeafMap, access: Access) {
        let (address, kind) = (access.address(), Kind::ALL[access.kind_index()]);
        let page = self.host.entry_size(leaves.size_at(access).unwrap_or(PageSize::Size4K));
        let first = self.home(Level::First, kind, page, address);
        let second = self.home(Level::Second, kind, page, address);
        self.accesses += 1;
        if self.look_up(first) {
            if let (FirstLevelHit::TouchesSecond, Some((at, piece))) = (self.links.first_level_hit, second) {
                self.tlbs[at].has(piece);
            }
            return;
        }
        self.first_misses += 1;
        let hit = self.look_up(second);
        self.walks[page as usize] += u64::from(!hit);
        let refill = !hit || self.links.second_level_hit == SecondLevelHit::RefillsFirst;
        let exclusive = self.links.inclusion == Inclusion::Exclusive && first.is_some();
        match second {
            Some((at, piece)) if exclusive && hit && refill => drop(self.tlbs[at].drop(piece)),
            Some((at, piece)) if !exclusive && !hit => {
                let gone = self.tlbs[at].put(piece);
                if let (Some(gone), Inclusion::Inclusive) = (gone, self.links.inclusion) {
                    for tlb in self.tlbs.iter_mut().filter(|tlb| tlb.structure.level == Level::First) {
                        tlb.drop(gone);
                    }
                }
            }
            _ => {}
        }
        if let Some((at, piece)) = first
            && refill
            && let Some(gone) = self.tlbs[at].put(piece)
            && exclusive
            && let Some((at, piece)) = self.home(Level::Second, kind, gone.page, gone.number * gone.bytes)
            && !self.tlbs[at].has(piece)
        {
            self.tlbs[at].put(piece);
        }
    }

    pub fn flush(&mut self) {
        self.tlbs.iter_mut().for_each(Tlb::flush);
    }

    pub fn flush_page(&mut self, leaves: &LeafMap, access: Access) {
        let page = self.host.entry_size(leaves.size_at(access).unwrap_or(PageSize::Size4K));
        let bytes = page.bytes().get();
        let start = access.address() / bytes * bytes;
        for tlb in &mut self.tlbs {
            for offset in (0..bytes).step_by(4096) {
                if let Some(piece) = tlb.piece(page, start + offset) {
                    tlb.drop(piece);
                }
            }
        }
    }
}
