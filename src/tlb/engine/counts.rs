//! What was counted: by structure and page size, and as a whole by kind of access and page size.

use crate::tlb::cpu::{Cpu, Kind, Level};
use crate::units::PageSize;

/// Hits and misses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Look-ups that found the translation.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
}

/// The look-ups of one structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructureCounts {
    /// The structure's name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// Which page sizes it holds, by the order of [`PageSize::ALL`].
    pub holds: [bool; 3],
    /// Look-ups by the size of the page, in the order of [`PageSize::ALL`].
    pub by_size: [Tally; 3],
}

/// Counts by kind and page size.
type Table = [[u64; 3]; 3];

/// Everything that a [`super::Simulator`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Each structure, in the order of the CPU's document.
    pub structures: Vec<StructureCounts>,
    /// Flushes of everything.
    pub flushes: u64,
    /// Flushes of a single page.
    pub page_flushes: u64,
    pub(super) accesses: Table,
    pub(super) first_misses: Table,
    pub(super) walks: Table,
}

impl Counts {
    pub(super) fn of(cpu: &Cpu) -> Self {
        let structure = |structure: &crate::tlb::cpu::Structure| StructureCounts {
            name: structure.name.clone(),
            level: structure.level,
            holds: PageSize::ALL.map(|size| structure.pages.iter().any(|held| held.page() == size)),
            by_size: [Tally::default(); 3],
        };
        Self {
            structures: cpu.doc().structures.iter().map(structure).collect(),
            flushes: 0,
            page_flushes: 0,
            accesses: Table::default(),
            first_misses: Table::default(),
            walks: Table::default(),
        }
    }

    /// Accesses of a kind to pages of a size.
    pub fn accesses(&self, kind: Kind, size: PageSize) -> u64 {
        self.accesses[kind.index()][size as usize]
    }

    /// Accesses that missed in the first level.
    pub fn first_level_misses(&self, kind: Kind, size: PageSize) -> u64 {
        self.first_misses[kind.index()][size as usize]
    }

    /// Accesses that missed in both levels and walked the page tables.
    pub fn walks(&self, kind: Kind, size: PageSize) -> u64 {
        self.walks[kind.index()][size as usize]
    }

    /// Accesses of every kind and size.
    pub fn total_accesses(&self) -> u64 {
        self.accesses.iter().flatten().sum()
    }

    /// First-level misses of every kind and size.
    pub fn total_first_level_misses(&self) -> u64 {
        self.first_misses.iter().flatten().sum()
    }

    /// Walks of every kind and size.
    pub fn total_walks(&self) -> u64 {
        self.walks.iter().flatten().sum()
    }
}
