//! Observations over time.

use crate::kernel::Observation;
use crate::units::{SimDuration, SimTime};

/// How often a replay is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// About this many points, whatever the trace's length: at least this many where the trace has as many
    /// events, at most twice as many.
    Points(u32),
    /// One point per interval in which something happened.
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

/// Collects one sample per interval: the last state in it.
///
/// With [`Sampling::Points`] the interval starts at a nanosecond and doubles whenever there are too many samples, so that
/// neither the trace's length nor its number of events must be known beforehand.
#[derive(Debug)]
pub(super) struct Sampler {
    interval: u64,
    /// Samples above which the interval doubles; `None` with a fixed interval.
    limit: Option<usize>,
    /// End of the interval at hand.
    end: u64,
    samples: Vec<Sample>,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling) -> Self {
        let (interval, limit) = match sampling {
            Sampling::Points(points) => (1, Some(2 * points.max(1) as usize)),
            Sampling::Every(interval) => (interval.nanos().max(1), None),
        };
        Self { interval, limit, end: 0, samples: Vec::new() }
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
        self.end = (next.nanos() / self.interval + 1).saturating_mul(self.interval);
    }

    fn thin(&mut self) {
        let Some(limit) = self.limit else { return };
        while self.samples.len() > limit {
            self.interval = self.interval.saturating_mul(2);
            let interval = self.interval;
            // Of the samples in one interval the last one stays.
            let mut keep = self
                .samples
                .windows(2)
                .map(|pair| pair[0].time.nanos() / interval != pair[1].time.nanos() / interval)
                .collect::<Vec<_>>()
                .into_iter();
            self.samples.retain(|_| keep.next().unwrap_or(true));
        }
    }

    /// All samples, with the final state as the last one.
    pub(super) fn finish(mut self, time: SimTime, seen: Observation) -> Vec<Sample> {
        self.samples.push(Sample { time, seen });
        self.samples
    }
}
