//! Random streams: ChaCha8, one stream per (seed, component, run index).
//!
//! Two components never share a stream, so that a draw added to one does not
//! move the numbers of another, and every allocator of a run sees the same
//! numbers. Only integers come out; floats that depend on a platform's
//! mathematical library never reach a result.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Who draws. The discriminant is part of the stream and never changes meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Component {
    /// Positions of free blocks on a host that has been up for a while.
    StartState = 1,
    /// Traces made by a generator.
    Generator = 2,
    /// Kernel memory that comes along with a load.
    Companions = 3,
    /// Delays of deferred frees.
    Deferral = 4,
    /// Other memory users of a trace.
    MemoryUsers = 5,
    /// Entries of a TLB that replaces at random.
    Tlb = 6,
    /// Where the classes of an access workload lie, and its accesses.
    Accesses = 7,
    /// Where memory of a process that loads programs lies.
    Loader = 8,
}

/// A stream of random numbers that is the same on every machine.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of one component in one run.
    pub fn new(seed: u64, component: Component, run: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(component as u32) << 32 | u64::from(run));
        Self(rng)
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `limit`, each as likely (to 2^-64); 0 if `limit` is 0.
    #[inline]
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// True `numerator` times out of `denominator`.
    #[inline]
    pub fn ratio(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// An exponentially distributed number with this mean, rounded down.
    ///
    /// The logarithm is the software one of the `libm` crate: the same bits everywhere.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        // 53 random bits give a float in (0, 1] without rounding.
        let uniform = ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (-libm::log(uniform) * mean as f64) as u64
    }

    /// A random order of the items.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_never_change() {
        let mut stream = Stream::new(1, Component::Generator, 0);
        let first: Vec<u64> = (0..4).map(|_| stream.below(1000)).collect();
        assert_eq!(first, GOLDEN_BELOW);
        let delays: Vec<u64> = (0..4).map(|_| stream.exponential(1_000_000)).collect();
        assert_eq!(delays, GOLDEN_EXPONENTIAL);
    }

    const GOLDEN_BELOW: [u64; 4] = [693, 696, 184, 690];
    const GOLDEN_EXPONENTIAL: [u64; 4] = [197607, 87160, 670209, 223471];

    #[test]
    fn streams_differ_by_seed_component_and_run() {
        let first = |seed, component, run| Stream::new(seed, component, run).bits();
        let base = first(1, Component::Generator, 0);
        assert_ne!(base, first(2, Component::Generator, 0));
        assert_ne!(base, first(1, Component::Companions, 0));
        assert_ne!(base, first(1, Component::Generator, 1));
        assert_eq!(base, first(1, Component::Generator, 0));
    }

    #[test]
    fn means_come_out() {
        let mut stream = Stream::new(7, Component::Deferral, 0);
        let sum: u64 = (0..10_000).map(|_| stream.exponential(1000)).sum();
        assert!((9_500_000..10_500_000).contains(&sum), "{sum}");
        let hits = (0..10_000).filter(|_| stream.ratio(1, 4)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(3, Component::MemoryUsers, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
