//! A structure as an array of entries; a key is a page's number and, in its two lowest bits, its size.

use super::hashed::Hashed;
use super::index::SetIndex;
use super::logged::{self, Logged};
use super::ordered::Ordered;
use super::policy::{ListLru, Mru3Plru4, NibbleLru, Policy, Random, TreePlru};
use super::rows::{Part, Rows};
use super::sets::{Narrow, Sets, Sixteen, Tags};
use super::states::Order;
use crate::rng::Stream;
use crate::tlb::cpu::{Cpu, Level, Replacement, Structure};

/// Bits of a key below the page number.
pub(super) const CLASS_BITS: u32 = 2;
/// An odd factor near 2^64 divided by the golden ratio: a product with it has its highest bits spread (Knuth, "The Art of
/// Computer Programming", 6.4).
pub(super) const HASH_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// No page's key: no page has the size 3.
pub(super) const EMPTY: u64 = u64::MAX;

/// A number whose highest bits depend on all bits of `value`.
#[inline(always)]
pub(super) const fn hash(value: u64) -> u64 {
    value.wrapping_mul(HASH_FACTOR)
}

/// The entries of one structure.
pub(super) trait Bank: Send {
    /// Looks a page up and, if it is not there, puts it there; whether it was there.
    fn access(&mut self, key: u64) -> bool;

    /// Looks a page up; whether it is there.
    fn touch(&mut self, key: u64) -> bool;

    /// Puts a page there that is not; returns the one that gives way.
    fn insert(&mut self, key: u64) -> Option<u64>;

    /// Drops a page; whether it was there.
    fn remove(&mut self, key: u64) -> bool;

    /// Drops every page.
    fn flush(&mut self);

    /// Accesses one page after the other and marks with 1 those that missed, with 0 the others.
    ///
    /// One call for many pages, so that nothing is chosen at run time in between.
    fn access_all(&mut self, keys: &[u64], missed: &mut [u8]) {
        for (key, missed) in keys.iter().zip(missed) {
            *missed = u8::from(!self.access(*key));
        }
    }
}

/// The structures of a core.
pub(super) struct Banks {
    /// By structure.
    places: Vec<Held>,
    /// By level.
    rows: [Rows; 2],
}

/// Where a structure's entries are.
enum Held {
    /// Among the rows of its level.
    InRows(Level, Part),
    Apart(Box<dyn Bank>),
}

impl Banks {
    /// Empty; `stream` makes the random numbers of a structure that replaces at random.
    pub fn of(cpu: &Cpu, stream: impl Fn(usize) -> Stream) -> Self {
        let mut rows = [Rows::new(), Rows::new()];
        let held = |(at, structure): (usize, &Structure)| {
            let part = part(structure, &mut rows[structure.level as usize]);
            part.map_or_else(|| Held::Apart(bank(structure, stream(at))), |part| Held::InRows(structure.level, part))
        };
        Self { places: cpu.doc().structures.iter().enumerate().map(held).collect(), rows }
    }

    /// A structure's rows, if it has them.
    pub fn part(&self, structure: usize) -> Option<&Part> {
        match &self.places[structure] {
            Held::InRows(_, part) => Some(part),
            Held::Apart(_) => None,
        }
    }

    /// The rows of a level.
    pub const fn rows(&mut self, level: Level) -> &mut Rows {
        &mut self.rows[level as usize]
    }

    /// Does something to a structure.
    pub fn with<T>(&mut self, structure: usize, act: impl FnOnce(&mut dyn Bank) -> T) -> T {
        match &mut self.places[structure] {
            Held::InRows(level, part) => act(&mut self.rows[*level as usize].bank(part)),
            Held::Apart(bank) => act(&mut **bank),
        }
    }

    /// Drops every page.
    pub fn flush(&mut self) {
        (0..self.places.len()).for_each(|structure| self.with(structure, |bank| bank.flush()));
    }
}

/// Sets, ways, and which set a page belongs to.
fn shape(structure: &Structure) -> (usize, usize, SetIndex) {
    let (sets, ways) = structure.sets_and_ways();
    (sets as usize, ways as usize, SetIndex::of(structure))
}

/// Rows for a structure, if it fits into them.
fn part(structure: &Structure, rows: &mut Rows) -> Option<Part> {
    let (sets, ways, index) = shape(structure);
    match structure.replacement {
        Replacement::Lru if (2..=6).contains(&ways) => {
            rows.add((sets, ways), Order::Lru, &mut NibbleLru::new(1, ways), index)
        }
        Replacement::TreePlru if (2..=8).contains(&ways) => {
            rows.add((sets, ways), Order::TreePlru, &mut TreePlru::new(1, ways), index)
        }
        _ => None,
    }
}

/// The bank of a structure; `stream` is used if it replaces at random.
fn bank(structure: &Structure, stream: Stream) -> Box<dyn Bank> {
    let (sets, ways, index) = shape(structure);
    match structure.replacement {
        _ if ways == 1 => Box::new(Ordered::<1>::new(sets, index)),
        Replacement::Lru if ways == 7 => Box::new(Ordered::<7>::new(sets, index)),
        Replacement::Lru if ways == 8 => Box::new(Ordered::<8>::new(sets, index)),
        Replacement::Lru if ways <= 16 => narrow_or_wide(NibbleLru::new(sets, ways), sets, ways, index),
        Replacement::Lru if sets == 1 && ways <= logged::MOST_WAYS => Box::new(Logged::new(ways)),
        Replacement::Lru => Box::new(Hashed::new(ListLru::new(sets, ways), sets, ways, index)),
        Replacement::TreePlru => narrow_or_wide(TreePlru::new(sets, ways), sets, ways, index),
        Replacement::Mru3Plru4 => narrow_or_wide(Mru3Plru4::new(sets), sets, ways, index),
        Replacement::Random => narrow_or_wide(Random::new(stream, ways), sets, ways, index),
    }
}

fn narrow_or_wide<P: Policy + Send + 'static>(policy: P, sets: usize, ways: usize, index: SetIndex) -> Box<dyn Bank> {
    fn boxed<T: Tags + Send + 'static, P: Policy + Send + 'static>(sets: Sets<T, P>) -> Box<dyn Bank> {
        Box::new(sets)
    }
    match ways {
        0..=4 => boxed(Sets::new(Narrow::<4>::new(sets), policy, sets, ways, index)),
        5..=8 => boxed(Sets::new(Narrow::<8>::new(sets), policy, sets, ways, index)),
        9..=16 => boxed(Sets::new(Sixteen::new(sets), policy, sets, ways, index)),
        _ => Box::new(Hashed::new(policy, sets, ways, index)),
    }
}
