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
pub struct Sample<T = Observation> {
    /// The moment.
    pub time: SimTime,
    /// What was seen of the host.
    pub seen: T,
}

/// Samples that are kept at most, start and end not counted: a few MB of result for each allocator.
const MOST_SAMPLES: usize = 20_000;

/// Collects the start, then one sample per interval: the last state in it.
///
/// With [`Sampling::Points`] the interval starts at a nanosecond and doubles whenever there are too many samples, so that
/// neither the trace's length nor its number of events must be known beforehand.
#[derive(Debug)]
pub(super) struct Sampler<T = Observation> {
    interval: u64,
    /// Samples above which the interval doubles, with the start but not the end.
    limit: usize,
    /// End of the interval at hand.
    end: u64,
    samples: Vec<Sample<T>>,
}

impl<T> Sampler<T> {
    /// A sampler that has seen the host before the first event.
    pub(super) fn new(sampling: Sampling, start: T) -> Self {
        Self::with_most(sampling, usize::MAX, start)
    }

    /// A sampler that keeps no more than `most` samples between start and end.
    ///
    /// Its moments are among those that a sampler without such a limit keeps of the same trace: its interval is that
    /// sampler's, doubled more often.
    pub(super) fn with_most(sampling: Sampling, most: usize, start: T) -> Self {
        let (interval, limit) = match sampling {
            Sampling::Points(points) => (1, 2 * points.max(1) as usize),
            Sampling::Every(interval) => (interval.nanos().max(1), MOST_SAMPLES),
        };
        // Nothing is ever due at the end of time.
        let end = if most == 0 { u64::MAX } else { 0 };
        let limit = limit.min(most.saturating_add(1));
        Self { interval, limit, end, samples: vec![Sample { time: SimTime::ZERO, seen: start }] }
    }

    /// Whether an event at this time starts a new interval, so that the state before it is to be kept.
    #[inline]
    pub(super) const fn is_due(&self, time: SimTime) -> bool {
        time.nanos() >= self.end
    }

    /// Keeps the state at `last`, the time of the latest event, and starts the interval of the event at `next`.
    pub(super) fn record(&mut self, last: SimTime, seen: T, next: SimTime) {
        if self.end > 0 {
            self.samples.push(Sample { time: last, seen });
            self.thin();
        }
        self.end = (next.nanos() / self.interval).saturating_add(1).saturating_mul(self.interval);
    }

    fn thin(&mut self) {
        while self.samples.len() > self.limit && self.interval < u64::MAX {
            self.interval = self.interval.saturating_mul(2);
            let interval = self.interval;
            // Of the samples in one interval the last one stays; the start stays in any case.
            let mut kept = 0;
            for at in 1..self.samples.len() {
                let same = |next: &Sample<T>| self.samples[at].time.nanos() / interval == next.time.nanos() / interval;
                if !self.samples.get(at + 1).is_some_and(same) {
                    kept += 1;
                    self.samples.swap(kept, at);
                }
            }
            self.samples.truncate(kept + 1);
        }
    }

    /// All samples, with the final state as the last one.
    pub(super) fn finish(mut self, time: SimTime, seen: T) -> Vec<Sample<T>> {
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
    fn a_sampler_of_fewer_moments_keeps_some_of_the_same() {
        let every = Sampling::Every(SimDuration::from_nanos(70));
        for (sampling, events) in [(Sampling::Points(100), 30_000_u64), (Sampling::Points(3), 500), (every, 9_000)] {
            let times = |most: usize| -> Vec<u64> {
                let mut sampler = Sampler::with_most(sampling, most, ());
                let mut last = SimTime::ZERO;
                // Some events come together, others after a pause.
                for time in (1..=events).map(|number| SimTime::from_nanos(number * number / 7 * 3)) {
                    if sampler.is_due(time) {
                        sampler.record(last, (), time);
                    }
                    last = time;
                }
                sampler.finish(last, ()).iter().map(|sample| sample.time.nanos()).collect()
            };
            let all = times(usize::MAX);
            for most in [0, 1, 2, 7, 8, 50, 100_000] {
                let some = times(most);
                assert!(some.iter().all(|time| all.contains(time)), "{most}: {some:?} of {all:?}");
                let between = some.len() - 2;
                let wanted = most.min(all.len() - 2);
                assert!(between <= wanted && between >= wanted.min(1) && 4 * between >= wanted, "{most}: {some:?}");
                assert_eq!((some[0], some.last()), (0, all.last()));
            }
        }
    }

    #[test]
    fn the_end_of_time_is_a_time() {
        assert_eq!(samples(Sampling::Points(2), &[0, u64::MAX]).last(), Some(&(u64::MAX, 2)));
        let mut sampler = Sampler::with_most(Sampling::Points(2), 1, ());
        for time in [5, 7, u64::MAX, u64::MAX].map(SimTime::from_nanos) {
            sampler.record(time, (), time);
        }
        assert!(sampler.finish(SimTime::from_nanos(u64::MAX), ()).len() <= 5);
    }
}
