//! Observations over time.

use crate::kernel::Observation;
use crate::units::{SimDuration, SimTime};

/// How often a replay is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Between this many points and twice as many, if that many moments are told apart in the trace.
    Points(u32),
    /// One point per interval in which something happened; where that would be more than 20,000, the interval doubles.
    Every(SimDuration),
}

/// A host at one moment: after everything that happened up to `time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The moment.
    pub time: SimTime,
    /// The host.
    pub seen: Observation,
}

/// Samples that are kept at most, start and end not counted: a few MB of result for each allocator.
const MOST_SAMPLES: usize = 20_000;

/// Collects the start, then one sample per interval: the last state in it.
///
/// With [`Sampling::Points`] the interval starts at a nanosecond and doubles whenever there are too many samples, so that
/// neither the trace's length nor its number of events must be known beforehand.
#[derive(Debug)]
pub(super) struct Sampler {
    interval: u64,
    /// Samples above which the interval doubles.
    limit: usize,
    /// End of the interval at hand.
    end: u64,
    samples: Vec<Sample>,
}

impl Sampler {
    /// A sampler that has seen the host before the first event.
    pub(super) fn new(sampling: Sampling, start: Observation) -> Self {
        let (interval, limit) = match sampling {
            Sampling::Points(points) => (1, 2 * points.max(1) as usize),
            Sampling::Every(interval) => (interval.nanos().max(1), MOST_SAMPLES),
        };
        Self { interval, limit, end: 0, samples: vec![Sample { time: SimTime::ZERO, seen: start }] }
    }

    /// Whether an event at this time starts a new interval, so that the state before it is to be kept.
    #[inline]
    pub(super) const fn is_due(&self, time: SimTime) -> bool {
        time.nanos() >= self.end
    }

    /// Keeps the state at `last`, the time of the latest event, and starts the interval of the event at `next`.
    pub(super) fn record(&mut self, last: SimTime, seen: Observation, next: SimTime) {
        if self.end > 0 {
            self.samples.push(Sample { time: last, seen });
            self.thin();
        }
        self.end = (next.nanos() / self.interval).saturating_add(1).saturating_mul(self.interval);
    }

    fn thin(&mut self) {
        while self.samples.len() > self.limit {
            self.interval = self.interval.saturating_mul(2);
            let interval = self.interval;
            // Of the samples in one interval the last one stays; the start stays in any case.
            let mut kept = 0;
            for at in 1..self.samples.len() {
                let same = |next: &Sample| self.samples[at].time.nanos() / interval == next.time.nanos() / interval;
                if !self.samples.get(at + 1).is_some_and(same) {
                    kept += 1;
                    self.samples[kept] = self.samples[at];
                }
            }
            self.samples.truncate(kept + 1);
        }
    }

    /// All samples, with the final state as the last one.
    pub(super) fn finish(mut self, time: SimTime, seen: Observation) -> Vec<Sample> {
        self.samples.push(Sample { time, seen });
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direct_map::{DirectMapCounters, Flushes};
    use crate::text_alloc::TextUsage;

    fn seen(programs_alive: u64) -> Observation {
        Observation {
            map: DirectMapCounters::default(),
            flushes: Flushes::default(),
            table_pages: 0,
            free_pages: 0,
            text: TextUsage::default(),
            programs_alive,
            companion_pages: 0,
            user_pages: 0,
        }
    }

    /// Samples of a host to which something happens at each of these times; `programs_alive` counts the events.
    fn samples(sampling: Sampling, times: &[u64]) -> Vec<(u64, u64)> {
        let mut sampler = Sampler::new(sampling, seen(0));
        let mut last = SimTime::ZERO;
        for (number, time) in (0..).zip(times) {
            let time = SimTime::from_nanos(*time);
            if sampler.is_due(time) {
                sampler.record(last, seen(number), time);
            }
            last = time;
        }
        let samples = sampler.finish(last, seen(times.len() as u64));
        samples.iter().map(|sample| (sample.time.nanos(), sample.seen.programs_alive)).collect()
    }

    #[test]
    fn the_start_comes_first_and_the_end_last() {
        assert_eq!(samples(Sampling::Points(10), &[]), [(0, 0), (0, 0)]);
        assert_eq!(samples(Sampling::Points(10), &[3, 5]), [(0, 0), (3, 1), (5, 2)]);
    }

    #[test]
    fn a_fixed_interval_keeps_the_last_state_in_it() {
        let every = Sampling::Every(SimDuration::from_nanos(10));
        assert_eq!(samples(every, &[1, 2, 9, 10, 35, 36]), [(0, 0), (9, 3), (10, 4), (36, 6)]);
    }

    #[test]
    fn a_fixed_interval_that_is_too_short_is_doubled() {
        let times: Vec<u64> = (1..100_000).collect();
        let got = samples(Sampling::Every(SimDuration::from_nanos(1)), &times);
        assert!((MOST_SAMPLES / 2..=MOST_SAMPLES + 1).contains(&got.len()), "{}", got.len());
        assert_eq!((got[0], got[got.len() - 1]), ((0, 0), (99_999, 99_999)));
        // From 1 ns to 8 ns.
        assert_eq!((got[1], got[2]), ((7, 7), (15, 15)));
    }

    #[test]
    fn any_number_of_events_gives_about_as_many_points_as_asked_for() {
        for events in [300, 1000, 77_777] {
            let times: Vec<u64> = (0..events).map(|number| number * 1_000_003).collect();
            let got = samples(Sampling::Points(100), &times);
            assert!((100..=202).contains(&got.len()), "{events}: {}", got.len());
            assert!(got.is_sorted());
            assert_eq!((got[0], got[got.len() - 1].1), ((0, 0), events));
        }
    }

    #[test]
    fn the_end_of_time_is_a_time() {
        assert_eq!(samples(Sampling::Points(2), &[0, u64::MAX]).last(), Some(&(u64::MAX, 2)));
    }
}
