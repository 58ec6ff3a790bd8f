//! One text allocator's own copy of the host, and what happens to it.

use super::Observing;
use super::map_sampler::{MapSample, MapSampler};
use super::queue::Queue;
use super::sampler::{Sample, Sampler};
use crate::direct_map::CounterView;
use crate::kernel::{Deferred, Kernel, Layout, Observation};
use crate::text_alloc::{NoText, TextUsage};
use crate::trace::{Event, EventKind};
use crate::units::SimTime;

/// Length of an RCU grace period. Whatever waits for one is freed at the end of the next whole period, 20 to
/// 40 ms later (recorded: 40 ms after a close every program was gone).
const RCU_PERIOD_NANOS: u64 = 20_000_000;
/// Length of an RCU-tasks grace period, after which trampolines are freed (`call_rcu_tasks`): up to seconds.
const RCU_TASKS_PERIOD_NANOS: u64 = 1_000_000_000;

/// Cells of a map of physical memory at most: one for each 2 MiB up to 256 GiB.
const MOST_MAP_CELLS: u64 = 1 << 17;

/// How a replay ended for one allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The trace was replayed to its end.
    Completed,
    /// The host ran out of memory.
    OutOfMemory {
        /// When.
        time: SimTime,
        /// At which event of the trace, counted from 1.
        event: u64,
        /// What was missing.
        cause: NoText,
    },
}

/// Largest values seen during a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Programs loaded at the same time.
    pub programs_alive: u64,
    /// Executable pages.
    pub executable_pages: u64,
    /// Stale bytes.
    pub stale_bytes: u64,
    /// Pages that programs hold apart from their images.
    pub companion_pages: u64,
    /// What the allocator held when the most programs were loaded (the first time).
    pub at_most_programs: TextUsage,
}

/// What came out for one allocator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The host before the first event.
    pub start: Observation,
    /// The host after the last event and all deferred work.
    pub finish: Observation,
    /// The host as the samples saw it.
    pub samples: Vec<Sample>,
    /// Physical memory at the start, at some moments, and at the end.
    pub maps: Vec<MapSample>,
    /// What TLBs see of the host at the start, at some of the samples' moments, and at the end.
    pub layouts: Vec<Sample<Layout>>,
    /// Largest values.
    pub peaks: Peaks,
    /// Programs loaded in all.
    pub programs_loaded: u64,
    /// Programs unloaded in all.
    pub programs_unloaded: u64,
    /// Images made in all.
    pub images_loaded: u64,
    /// How it ended.
    pub end: End,
}

/// A host, its pending work and its observers.
#[derive(Debug)]
pub(super) struct World {
    kernel: Kernel,
    view: CounterView,
    deferred: Queue<Deferred>,
    sampler: Sampler,
    maps: MapSampler,
    layouts: Sampler<Layout>,
    start: Observation,
    peaks: Peaks,
    events: u64,
    loaded: u64,
    unloaded: u64,
    now: SimTime,
    end: End,
}

impl World {
    pub(super) fn new(kernel: Kernel, Observing { sampling, layouts, view }: Observing) -> Self {
        let start = kernel.observe(view);
        Self {
            maps: MapSampler::new(kernel.memory_map(MOST_MAP_CELLS)),
            layouts: Sampler::with_most(sampling, layouts as usize, kernel.layout()),
            kernel,
            view,
            deferred: Queue::default(),
            sampler: Sampler::new(sampling, start),
            start,
            peaks: Peaks {
                at_most_programs: start.text,
                executable_pages: start.text.executable_pages,
                ..Peaks::default()
            },
            events: 0,
            loaded: 0,
            unloaded: 0,
            now: SimTime::ZERO,
            end: End::Completed,
        }
    }

    /// Replays a stretch of the trace.
    pub(super) fn replay(&mut self, events: &[Event]) {
        for event in events {
            if self.has_ended() {
                return;
            }
            self.step(event);
        }
    }

    /// Whether the host is out of memory, so that nothing more can happen to it.
    pub(super) fn has_ended(&self) -> bool {
        self.end != End::Completed
    }

    #[inline]
    fn step(&mut self, event: &Event) {
        // Work that is due by now was asked for earlier, so it goes first.
        while let Some((time, work)) = self.deferred.pop_due(event.time) {
            self.finish_work(time, work);
        }
        self.advance(event.time);
        self.events += 1;
        match self.kernel.apply(&event.kind) {
            Ok(None) => {}
            Ok(Some(work)) => self.defer(work),
            Err(cause) => {
                self.end = End::OutOfMemory { time: event.time, event: self.events, cause };
                return;
            }
        }
        match event.kind {
            EventKind::Load(_) => self.after_load(),
            EventKind::Unload { .. } => self.unloaded += 1,
            _ => {}
        }
    }

    #[inline]
    fn advance(&mut self, time: SimTime) {
        if self.sampler.is_due(time) {
            self.sampler.record(self.now, self.kernel.observe(self.view), time);
            // Maps are far fewer than samples, so that only a moment of a sample can be that of a map.
            if self.maps.is_due(self.now) {
                self.maps.record(self.now, self.kernel.memory_map(MOST_MAP_CELLS));
            }
            // So are layouts, whose sampler has the same moments or fewer.
            if self.layouts.is_due(time) {
                self.layouts.record(self.now, self.kernel.layout(), time);
            }
        }
        self.now = time;
    }

    #[inline]
    fn finish_work(&mut self, time: SimTime, work: Deferred) {
        self.advance(time);
        self.kernel.finish(work);
        self.peaks.stale_bytes = self.peaks.stale_bytes.max(self.kernel.text_usage().stale_bytes);
    }

    #[inline]
    fn after_load(&mut self) {
        self.loaded += 1;
        self.peaks.companion_pages = self.peaks.companion_pages.max(self.kernel.companion_pages());
        let usage = self.kernel.text_usage();
        self.peaks.executable_pages = self.peaks.executable_pages.max(usage.executable_pages);
        let alive = self.kernel.programs_alive();
        if alive > self.peaks.programs_alive {
            self.peaks.programs_alive = alive;
            self.peaks.at_most_programs = usage;
        }
    }

    #[inline]
    fn defer(&mut self, work: Deferred) {
        let period = match work {
            Deferred::Program(_) => RCU_PERIOD_NANOS,
            Deferred::Trampoline(_) => RCU_TASKS_PERIOD_NANOS,
        };
        let due = (self.now.nanos() / period).saturating_add(2).saturating_mul(period);
        self.deferred.push(SimTime::from_nanos(due), work);
    }

    /// Completes deferred work and closes the books.
    pub(super) fn finish(mut self) -> Outcome {
        while self.end == End::Completed
            && let Some((time, work)) = self.deferred.pop()
        {
            self.finish_work(time, work);
        }
        let finish = self.kernel.observe(self.view);
        Outcome {
            start: self.start,
            finish,
            samples: self.sampler.finish(self.now, finish),
            maps: self.maps.finish(self.now, self.kernel.memory_map(MOST_MAP_CELLS)),
            layouts: self.layouts.finish(self.now, self.kernel.layout()),
            peaks: self.peaks,
            programs_loaded: self.loaded,
            programs_unloaded: self.unloaded,
            images_loaded: self.kernel.images_loaded(),
            end: self.end,
        }
    }
}
