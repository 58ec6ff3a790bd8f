//! Which set a page belongs to.

use super::bank::CLASS_BITS;
use crate::tlb::cpu::{Index, Structure};

/// Sets of keys.
pub(super) trait KeySets {
    /// Looks a key up in its set and, if it is not there, puts it there; whether it was there.
    fn access(&mut self, set: usize, key: u64) -> bool;
}

/// Selects a set by a page number.
#[derive(Clone, Debug)]
pub(in crate::tlb) enum SetIndex {
    /// The low bits.
    Mask(u64),
    /// Two fields of the same width, combined.
    Fold { mask: u64, shift: u32 },
    /// Any fields, as shift and mask each.
    Fields(Vec<(u32, u64)>),
    /// The remainder, by multiplication with a reciprocal of 128 bits.
    Modulo { sets: u64, reciprocal: u128 },
}

impl SetIndex {
    /// The index of a structure.
    pub fn of(structure: &Structure) -> Self {
        let sets = u64::from(structure.sets_and_ways().0);
        match &structure.index {
            Index::Linear if sets.is_power_of_two() => Self::Mask(sets - 1),
            Index::Linear => Self::Modulo { sets, reciprocal: u128::MAX / u128::from(sets) + 1 },
            Index::Xor(widths) => match **widths {
                [first, second] if first == second => Self::Fold { mask: sets - 1, shift: first },
                _ => {
                    let mut shift = 0;
                    let field = |&width: &u32| {
                        let field = (shift, (1 << width) - 1);
                        shift += width;
                        field
                    };
                    Self::Fields(widths.iter().map(field).collect())
                }
            },
        }
    }

    /// The set of a page.
    #[inline(always)]
    pub fn set(&self, page: u64) -> usize {
        let set = match self {
            Self::Mask(mask) => page & mask,
            Self::Fold { mask, shift } => (page ^ page >> shift) & mask,
            Self::Fields(fields) => fields.iter().fold(0, |set, (shift, mask)| set ^ page >> shift & mask),
            Self::Modulo { sets, reciprocal } => modulo(page, *sets, *reciprocal),
        };
        set as usize
    }

    /// Accesses one page after the other and marks with 1 those that missed, with 0 the others.
    ///
    /// The kind of the index is chosen once, not for every key.
    #[inline(always)]
    pub(in crate::tlb::engine) fn for_all(&self, keys: &[u64], missed: &mut [u8], sets: &mut impl KeySets) {
        let each = keys.iter().zip(missed);
        match *self {
            Self::Mask(mask) => each.for_each(|(key, missed)| {
                *missed = u8::from(!sets.access((key >> CLASS_BITS & mask) as usize, *key));
            }),
            Self::Fold { mask, shift } => each.for_each(|(key, missed)| {
                let page = key >> CLASS_BITS;
                *missed = u8::from(!sets.access(((page ^ page >> shift) & mask) as usize, *key));
            }),
            Self::Modulo { sets: divisor, reciprocal } => each.for_each(|(key, missed)| {
                *missed = u8::from(!sets.access(modulo(key >> CLASS_BITS, divisor, reciprocal) as usize, *key));
            }),
            Self::Fields(_) => each.for_each(|(key, missed)| {
                *missed = u8::from(!sets.access(self.set(key >> CLASS_BITS), *key));
            }),
        }
    }
}

/// `page % sets` for any page below 2^64 (Lemire, Kaser and Kurz, "Faster remainder by direct computation", 2019).
#[inline(always)]
fn modulo(page: u64, sets: u64, reciprocal: u128) -> u64 {
    let fraction = reciprocal.wrapping_mul(u128::from(page));
    let (low, high) = (fraction as u64, (fraction >> 64) as u64);
    let carried = (u128::from(low) * u128::from(sets)) >> 64;
    ((u128::from(high) * u128::from(sets) + carried) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remainders_are_exact() {
        for sets in [3u64, 5, 7, 12, 85, 1000, 4095, 1 << 19 | 1] {
            let reciprocal = u128::MAX / u128::from(sets) + 1;
            let mut page = 1u64;
            for step in 0..2000u64 {
                page = page.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step) >> (step % 40);
                assert_eq!(modulo(page, sets, reciprocal), page % sets);
            }
            assert_eq!(modulo(u64::MAX, sets, reciprocal), u64::MAX % sets);
        }
    }

    #[test]
    fn fields_fold_alike() {
        let fields = SetIndex::Fields(vec![(0, 127), (7, 127)]);
        let fold = SetIndex::Fold { mask: 127, shift: 7 };
        for page in (0..1 << 40).step_by(999_999_937) {
            assert_eq!(fields.set(page), fold.set(page));
        }
        assert_eq!(SetIndex::Fields(vec![(0, 7), (3, 1)]).set(0b1_101), 0b100);
    }
}
