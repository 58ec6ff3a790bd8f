//! What the processor at hand does best: the same code is made for processors with AVX2 and for any other, and which of
//! them runs is found out once.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_blendv_epi8, _mm256_cmpeq_epi64, _mm256_extract_epi64, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi64x, _mm256_setr_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi32,
};

use multiversion::multiversion;
use multiversion::target::match_target;

use super::batch::{Batch, Machine};
#[cfg(target_arch = "x86_64")]
use super::rows::Row;
use super::rows::{Part, Rows, change};
use crate::tlb::access::Access;
use crate::tlb::leaves::LeafMap;

/// Looks up at most [`super::batch::BATCH`] accesses.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn run(batch: &mut Batch, machine: &mut Machine, leaves: &LeafMap, accesses: &[Access]) {
    match_target! {
        "x86_64+avx2" => {
            batch.run(machine, |row: &mut Row, key, victim| change_avx2(row, key, victim), leaves, accesses);
        },
        _ => batch.run(machine, change, leaves, accesses),
    }
}

/// Accesses one page after the other in the rows of a structure and marks with 1 those that missed, with 0 the others.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn access_all(rows: &mut Rows, part: &Part, keys: &[u64], missed: &mut [u8]) {
    match_target! {
        "x86_64+avx2" => {
            rows.access_all(part, |row: &mut Row, key, victim| change_avx2(row, key, victim), keys, missed);
        },
        _ => rows.access_all(part, change, keys, missed),
    }
}

/// [`change`] with AVX2.
///
/// Whether the key is there reaches the row without a way round the vectors: the next look-up of the row waits for that.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn change_avx2(row: &mut Row, key: u64, victim: usize) -> usize {
    let [low, high]: [__m256i; 2] = bytemuck::cast(row.0);
    let [put_low, put_high]: [__m256i; 2] = bytemuck::cast(*Row::only(victim));
    let key = _mm256_set1_epi64x(key.cast_signed());
    // Each way that holds the key as its number plus eight, then all of them in every lane.
    let in_low = _mm256_and_si256(_mm256_cmpeq_epi64(low, key), _mm256_setr_epi64x(8, 9, 10, 11));
    let in_high = _mm256_and_si256(_mm256_cmpeq_epi64(high, key), _mm256_setr_epi64x(12, 13, 14, 15));
    let found = _mm256_or_si256(in_low, in_high);
    let found = _mm256_or_si256(found, _mm256_permute2x128_si256::<1>(found, found));
    let found = _mm256_or_si256(found, _mm256_shuffle_epi32::<0b0100_1110>(found));
    let missed = _mm256_cmpeq_epi64(found, _mm256_setzero_si256());
    let low = _mm256_blendv_epi8(low, key, _mm256_and_si256(missed, put_low));
    let high = _mm256_blendv_epi8(high, key, _mm256_and_si256(missed, put_high));
    row.0 = bytemuck::cast([low, high]);
    _mm256_extract_epi64::<0>(found) as usize
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::rng::{Component, Stream};
    use crate::tlb::engine::bank::EMPTY;
    use crate::tlb::engine::states::WAYS;

    #[test]
    fn both_ways_to_change_a_row_agree() {
        #[multiversion(targets("x86_64+avx2"))]
        fn best(row: &mut Row, key: u64, victim: usize) -> usize {
            match_target! {
                "x86_64+avx2" => change_avx2(row, key, victim),
                _ => change(row, key, victim),
            }
        }
        let mut random = Stream::new(3, Component::Tlb, 0);
        let (mut one, mut other) = (Row::EMPTY, Row::EMPTY);
        for _ in 0..10_000 {
            // Keys that differ in one half only are different keys.
            let key = [random.below(6), random.below(6) << 32, EMPTY - 1][random.below(3) as usize];
            let victim = random.below(WAYS as u64) as usize;
            assert_eq!(best(&mut one, key, victim), change(&mut other, key, victim));
            assert_eq!(one.0, other.0);
        }
    }
}
