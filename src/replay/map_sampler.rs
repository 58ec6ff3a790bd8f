//! Maps of physical memory over time: few of them, for each takes more room and time than an observation.

use crate::kernel::MemoryMap;
use crate::units::SimTime;

/// Maps that are kept between the first and the last one.
const MOST_MAPS: usize = 8;
/// Where the interval between two maps starts; it doubles. About 1 ms: no trace of interest is as short.
const SHORTEST_NANOS: u64 = 1 << 20;

/// Physical memory at one moment: after everything that happened up to `time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSample {
    /// The moment.
    pub time: SimTime,
    /// The map.
    pub map: MemoryMap,
}

/// Collects the start, the end, and some moments between them that lie evenly in the simulated time of the trace,
/// whose length need not be known: the interval between two moments doubles when there are too many.
#[derive(Debug)]
pub(super) struct MapSampler {
    interval: u64,
    /// From when on the next map is wanted.
    next: u64,
    maps: Vec<MapSample>,
}

impl MapSampler {
    /// A sampler that has seen the host before the first event.
    pub(super) fn new(map: MemoryMap) -> Self {
        let maps = vec![MapSample { time: SimTime::ZERO, map }];
        Self { interval: SHORTEST_NANOS, next: SHORTEST_NANOS, maps }
    }

    /// Whether a map is wanted at this time.
    pub(super) const fn is_due(&self, time: SimTime) -> bool {
        time.nanos() >= self.next
    }

    /// Keeps the map at `time`, for which a map is due.
    pub(super) fn record(&mut self, time: SimTime, map: MemoryMap) {
        self.maps.push(MapSample { time, map });
        while self.maps.len() > 1 + MOST_MAPS {
            self.interval = self.interval.saturating_mul(2);
            let (interval, mut before) = (self.interval, 0);
            // Of the maps in one interval the first one stays, and the start stays.
            self.maps.retain(|sample| {
                let number = sample.time.nanos() / interval;
                let stays = number > before || sample.time == SimTime::ZERO;
                before = number;
                stays
            });
        }
        self.next = (time.nanos() / self.interval).saturating_add(1).saturating_mul(self.interval);
    }

    /// All maps, the final one as the last.
    pub(super) fn finish(mut self, time: SimTime, map: MemoryMap) -> Vec<MapSample> {
        self.maps.pop_if(|last| last.time == time && time != SimTime::ZERO);
        self.maps.push(MapSample { time, map });
        self.maps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(times: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut sampler = MapSampler::new(MemoryMap::default());
        let mut last = SimTime::ZERO;
        for time in times {
            last = SimTime::from_nanos(time);
            if sampler.is_due(last) {
                sampler.record(last, MemoryMap::default());
            }
        }
        sampler.finish(last, MemoryMap::default()).iter().map(|sample| sample.time.nanos()).collect()
    }

    #[test]
    fn a_short_trace_has_a_start_and_an_end() {
        assert_eq!(sample(std::iter::empty()), [0, 0]);
        assert_eq!(sample([5, 9].into_iter()), [0, 9]);
    }

    #[test]
    fn a_trace_of_any_length_has_about_as_many_maps() {
        for step in [1 << 16, 1_000_000_007, 1 << 40] {
            let times = sample((1..=5000).map(|number| number * step));
            assert!((6..=2 + MOST_MAPS).contains(&times.len()), "{step}: {times:?}");
            assert!(times.is_sorted());
            let end = 5000 * step;
            let widest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(widest <= end / 3, "{step}: {times:?}");
        }
    }

    #[test]
    fn long_pauses_and_the_end_of_time_do_no_harm() {
        let times = sample([1, 2, 1 << 50, (1 << 50) + 1, u64::MAX - 1, u64::MAX].into_iter());
        assert_eq!(times, [0, 1 << 50, u64::MAX - 1, u64::MAX]);
    }
}
