//! Places for blocks that have none yet: aligned 4 MiB units of RAM, counted through, and a random order of them.

use crate::rng::Stream;
use crate::units::PfnRange;

use super::lists::MAX_PAGES;

/// The whole 4 MiB units in some ranges of frames, numbered from the lowest.
#[derive(Clone, Debug)]
pub(in crate::memory) struct Units {
    /// First frame of the first unit, and how many units lie before.
    ranges: Vec<(u64, u64)>,
    count: u64,
    /// Half the bits of the numbers that the random order permutes.
    half_bits: u32,
    keys: [u64; ROUNDS],
}

const ROUNDS: usize = 4;

impl Units {
    /// The units in these ascending ranges, with a random order drawn from the stream.
    pub(in crate::memory) fn new(ranges: &[PfnRange], stream: &mut Stream) -> Self {
        let mut units = Vec::new();
        let mut count = 0;
        for range in ranges {
            let first = range.start().get().next_multiple_of(MAX_PAGES);
            let fit = range.end().get().saturating_sub(first) / MAX_PAGES;
            if fit > 0 {
                units.push((first, count));
                count += fit;
            }
        }
        let bits = 64 - count.saturating_sub(1).leading_zeros();
        Self { ranges: units, count, half_bits: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| stream.bits()) }
    }

    /// How many units there are.
    pub(in crate::memory) fn count(&self) -> u64 {
        self.count
    }

    /// First frame of the unit with this number.
    pub(in crate::memory) fn pfn(&self, number: u64) -> u64 {
        let after = self.ranges.partition_point(|range| range.1 <= number);
        let (first, before) = self.ranges[after - 1];
        first + (number - before) * MAX_PAGES
    }

    /// The number of the unit at this position of the random order: each unit stands at exactly one position.
    ///
    /// A Feistel network over the next even power of two, walked until the number is in range; at most four steps
    /// are needed on average.
    pub(super) fn shuffled(&self, position: u64) -> u64 {
        let mut number = position;
        loop {
            number = self.feistel(number);
            if number < self.count {
                return number;
            }
        }
    }

    fn feistel(&self, number: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }

    /// A random bit that belongs to a unit.
    pub(super) fn coin(&self, number: u64) -> bool {
        mix(number ^ self.keys[0]) >> 63 == 1
    }

    /// Neighbouring units from `number` on, at most `wanted`: their first frame and how many they are.
    pub(in crate::memory) fn neighbours(&self, number: u64, wanted: u64) -> (u64, u64) {
        let after = self.ranges.partition_point(|range| range.1 <= number);
        let end = self.ranges.get(after).map_or(self.count, |range| range.1);
        (self.pfn(number), wanted.min(end - number))
    }
}

/// Mixes all bits of a number (the finalizer of splitmix64).
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Component;
    use crate::units::Pfn;

    #[test]
    fn every_unit_stands_at_one_position() {
        for pages in [1, 3, 64, 1000] {
            let mut stream = Stream::new(pages, Component::StartState, 0);
            let units = Units::new(&[PfnRange::with_len(Pfn::new(0), pages * MAX_PAGES)], &mut stream);
            let mut all: Vec<u64> = (0..pages).map(|i| units.shuffled(i)).collect();
            if pages == 1000 {
                assert!(all.windows(2).filter(|pair| pair[0] < pair[1]).count() < 600, "not in order");
            }
            all.sort_unstable();
            assert_eq!(all, (0..pages).collect::<Vec<_>>());
        }
    }

    #[test]
    fn units_are_aligned_and_skip_holes() {
        let range = |start, end| PfnRange::new(Pfn::new(start), Pfn::new(end));
        let mut stream = Stream::new(1, Component::StartState, 0);
        let units = Units::new(&[range(5, 3000), range(3500, 4000), range(4000, 10_000)], &mut stream);
        let all: Vec<u64> = (0..units.count()).map(|i| units.pfn(i)).collect();
        assert_eq!(all, [1024, 4096, 5120, 6144, 7168, 8192]);
        assert_eq!((units.neighbours(0, 9), units.neighbours(2, 9)), ((1024, 1), (5120, 4)));
    }
}
