//! A structure as an array of entries; a key is a page's number and, in its two lowest bits, its size.

use super::hashed::Hashed;
use super::index::SetIndex;
use super::logged::{self, Logged};
use super::ordered::Ordered;
use super::policy::{ListLru, Mru3Plru4, NibbleLru, OneWord, Policy, Random, TreePlru};
use super::sets::{Narrow, Sets, Sixteen, Tags};
use super::stepped::Stepped;
use crate::rng::Stream;
use crate::tlb::cpu::{Replacement, Structure};

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

/// The bank of a structure; `stream` is used if it replaces at random.
pub(super) fn bank(structure: &Structure, stream: Stream) -> Box<dyn Bank> {
    let index = SetIndex::of(structure);
    let (sets, ways) = structure.sets_and_ways();
    let (sets, ways) = (sets as usize, ways as usize);
    match structure.replacement {
        _ if ways == 1 => Box::new(Ordered::<1>::new(sets, index)),
        Replacement::Lru if ways <= 5 => stepped(&mut NibbleLru::new(1, ways), sets, ways, index),
        Replacement::Lru if ways == 6 => Box::new(Ordered::<6>::new(sets, index)),
        Replacement::Lru if ways == 7 => Box::new(Ordered::<7>::new(sets, index)),
        Replacement::Lru if ways == 8 => Box::new(Ordered::<8>::new(sets, index)),
        Replacement::Lru if ways <= 16 => {
            Box::new(Sets::new(Sixteen::new(sets), NibbleLru::new(sets, ways), sets, ways, index))
        }
        Replacement::Lru if sets == 1 && ways <= logged::MOST_WAYS => Box::new(Logged::new(ways)),
        Replacement::Lru => Box::new(Hashed::new(ListLru::new(sets, ways), sets, ways, index)),
        Replacement::TreePlru if ways <= 8 => stepped(&mut TreePlru::new(1, ways), sets, ways, index),
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

fn stepped(policy: &mut impl OneWord, sets: usize, ways: usize, index: SetIndex) -> Box<dyn Bank> {
    match ways {
        2 => Box::new(Stepped::<2>::new(policy, sets, index)),
        3 => Box::new(Stepped::<3>::new(policy, sets, index)),
        4 => Box::new(Stepped::<4>::new(policy, sets, index)),
        5 => Box::new(Stepped::<5>::new(policy, sets, index)),
        _ => Box::new(Stepped::<8>::new(policy, sets, index)),
    }
}
