//! The way from a scenario to a result: builds the hosts, replays the trace on them, writes down what they saw.

use std::num::NonZeroUsize;

use rayon::ThreadPoolBuilder;

use crate::diagnostics::Diagnostic;
use crate::kernel::{HostSetup, Observation};
use crate::memory::{MemoryLayout, StartState};
use crate::replay::{Contender, End, Observing, Outcome, ReplayError, Sampling, replay};
use crate::result::{self, Counters, ResultDoc, Run, Sample, ScenarioStamp, TextReport, counters};
use crate::scenario::{self, AllocatorRun, LoadedScenario};
use crate::text_alloc::{PolicyOptions, TextUsage};
use crate::trace::generate::Generated;
use crate::trace::{Event, EventSource, Repeated, TraceError, TraceReader};
use crate::units::PAGE_BYTES;

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events of the trace replayed so far, by every allocator.
    pub done: u64,
    /// About how many there are in all, if that is known.
    pub total: Option<u64>,
}

/// Replays a scenario under each of its allocators, on at most `threads` threads (default: one for each CPU).
///
/// `progress` is called now and then, from any thread. The result does not depend on the threads.
///
/// # Errors
/// The trace cannot be read, or the scenario asks for what cannot be simulated. Running out of simulated memory is
/// no error but an [`Outcome`](crate::result::Outcome) of the run.
pub fn execute(
    scenario: &LoadedScenario,
    threads: Option<NonZeroUsize>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ResultDoc, Box<Diagnostic>> {
    let allocators = scenario.allocators();
    let layout = scenario.scenario.machine.memory_layout().map_err(|error| Diagnostic::new(error.to_string()))?;
    let start = scenario.start_state();
    let hosts = allocators.iter().map(|run| contender(scenario, run, &layout, &start)).collect();
    let mut source = Source::open(scenario)?;
    let total = source.total_hint();
    let observing =
        Observing { sampling: sampling(scenario.scenario.sampling), view: scenario.scenario.counters.into() };
    let pool = ThreadPoolBuilder::new()
        .num_threads(thread_count(threads, allocators.len()))
        .build()
        .map_err(|error| Diagnostic::new(format!("cannot start threads: {error}")))?;
    let outcomes = pool
        .install(|| replay(hosts, &mut source, observing, &|done| progress(Progress { done, total })))
        .map_err(|error| replay_error(error, scenario))?;
    let seed = scenario.scenario.seed;
    let runs = allocators.iter().zip(&outcomes).map(|(run, outcome)| result_run(run, seed, outcome)).collect();
    Ok(ResultDoc::new(stamp(scenario, source.hash()), runs))
}

/// How many threads there are: as many as wanted or as there are CPUs, but none that would have nothing to do.
fn thread_count(wanted: Option<NonZeroUsize>, allocators: usize) -> usize {
    let wanted = wanted.or_else(|| std::thread::available_parallelism().ok());
    wanted.map_or(1, NonZeroUsize::get).min(allocators)
}

/// A host for one allocator.
fn contender<'a>(
    scenario: &LoadedScenario,
    run: &AllocatorRun,
    layout: &'a MemoryLayout,
    start: &'a StartState,
) -> Contender<'a> {
    let machine = &scenario.scenario.machine;
    Contender {
        host: HostSetup {
            release: run.kernel,
            layout,
            start,
            cpus: machine.cpus,
            largest_page: machine.largest_page.into(),
            boot_program: machine.boot_program,
            seed: scenario.scenario.seed,
            run: 0,
        },
        text: run.policy.build(PolicyOptions { invalidate: run.invalidate, give_back: run.give_back }),
    }
}

const fn sampling(sampling: scenario::Sampling) -> Sampling {
    match sampling {
        scenario::Sampling::Points(points) => Sampling::Points(points),
        scenario::Sampling::Every(interval) => Sampling::Every(interval),
    }
}

fn replay_error(error: ReplayError, scenario: &LoadedScenario) -> Diagnostic {
    let error = match error {
        ReplayError::Trace(error) => return error.into(),
        ReplayError::Memory(error) => Diagnostic::new(error.to_string()),
    };
    match scenario.inputs().into_iter().find(|(kind, _)| *kind == "snapshot") {
        Some((_, path)) => error.in_file(path.display().to_string()),
        None => error.at_json_path("machine"),
    }
}

/// Where a scenario's events come from.
enum Source {
    File(Box<TraceReader>),
    Repeated(Box<Repeated>),
    Generated(Box<Generated>),
}

impl Source {
    fn open(scenario: &LoadedScenario) -> Result<Self, Box<Diagnostic>> {
        let trace = &scenario.scenario.trace;
        if let Some(generate) = &trace.generate {
            let generated = Generated::new(generate, scenario.scenario.seed)?;
            return Ok(Self::Generated(Box::new(generated)));
        }
        let path = scenario.trace_path().ok_or_else(|| Diagnostic::new("the scenario names no trace"))?;
        match trace.repeat.unwrap_or(1) {
            1 => Ok(Self::File(Box::new(TraceReader::open(path).map_err(Diagnostic::from)?))),
            times => {
                Ok(Self::Repeated(Box::new(Repeated::of_file(path, times, trace.period).map_err(Diagnostic::from)?)))
            }
        }
    }

    /// The hash of the trace file, once it is read; `None` for a generated trace.
    fn hash(&self) -> Option<u128> {
        match self {
            Self::File(reader) => reader.hash(),
            Self::Repeated(repeated) => repeated.hash(),
            Self::Generated(_) => None,
        }
    }

    fn inner(&mut self) -> &mut (dyn EventSource + Send) {
        match self {
            Self::File(reader) => reader.as_mut(),
            Self::Repeated(repeated) => repeated.as_mut(),
            Self::Generated(generated) => generated.as_mut(),
        }
    }
}

impl EventSource for Source {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        self.inner().next_batch(into, max)
    }

    fn total_hint(&self) -> Option<u64> {
        match self {
            Self::File(reader) => reader.total_hint(),
            Self::Repeated(repeated) => repeated.total_hint(),
            Self::Generated(generated) => generated.total_hint(),
        }
    }
}

/// What a result says about its scenario; `trace_hash` is that of the trace's contents, `None` if it was generated.
pub fn stamp(loaded: &LoadedScenario, trace_hash: Option<u128>) -> ScenarioStamp {
    ScenarioStamp {
        name: loaded.name.clone(),
        comment: loaded.scenario.comment.clone(),
        hash: loaded.hash.clone(),
        trace_hash: trace_hash.map_or_else(String::new, |hash| format!("{hash:032x}")),
        resolved: serde_json::to_value(&loaded.scenario).expect("every field of a scenario has a form in JSON"),
    }
}

fn result_run(run: &AllocatorRun, seed: u64, outcome: &Outcome) -> Run {
    Run {
        allocator: run.label.clone(),
        policy: run.policy.name().to_owned(),
        kernel: run.kernel.name.to_owned(),
        seed,
        outcome: match &outcome.end {
            End::Completed => result::Outcome::Completed {},
            End::OutOfMemory { time, event, cause } => {
                result::Outcome::OutOfMemory { time_ns: time.nanos(), event: *event, message: cause.to_string() }
            }
        },
        start: counters_of(&outcome.start),
        counters: counters_of(&outcome.finish),
        text: text_report(outcome),
        series: outcome.samples.iter().map(|sample| sample_of(sample.time.nanos(), &sample.seen)).collect(),
    }
}

/// kB of this many base pages.
const fn kb(pages: u64) -> u64 {
    pages.saturating_mul(PAGE_BYTES / 1024)
}

fn counters_of(seen: &Observation) -> Counters {
    let own = [
        (counters::MEM_FREE, kb(seen.free_pages)),
        (counters::FLUSH_TLB_ALL, seen.flushes.full),
        (counters::FLUSH_TLB_PAGES, seen.flushes.ranged),
        (counters::PAGE_TABLE_PAGES, seen.table_pages),
    ];
    seen.map.named().into_iter().chain(own).collect()
}

/// Executable memory as results tell it.
const fn usage_of(text: &TextUsage, programs: u64, companion_pages: u64) -> result::TextUsage {
    result::TextUsage {
        programs,
        executable_pages: text.executable_pages,
        image_bytes: text.image_bytes,
        padding_bytes: text.reserved_bytes - text.image_bytes,
        unused_bytes: text.executable_pages * PAGE_BYTES - text.reserved_bytes,
        stale_bytes: text.stale_bytes,
        companion_pages,
    }
}

fn text_report(outcome: &Outcome) -> TextReport {
    let (peaks, end) = (&outcome.peaks, &outcome.finish);
    let mut report = TextReport {
        programs_loaded: outcome.programs_loaded,
        programs_unloaded: outcome.programs_unloaded,
        images_loaded: outcome.images_loaded,
        executable_pages_peak: peaks.executable_pages,
        stale_bytes_peak: peaks.stale_bytes,
        packs_created: end.text.packs_created,
        packs_freed: end.text.packs_freed,
        text_poke_bytes: end.text.text_poke_bytes,
        companion_pages_peak: peaks.companion_pages,
        ..TextReport::default()
    };
    report.record_peak(&usage_of(&peaks.at_most_programs, peaks.programs_alive, 0));
    report.record_end(&usage_of(&end.text, end.programs_alive, end.companion_pages));
    report
}

fn sample_of(time_ns: u64, seen: &Observation) -> Sample {
    let usage = usage_of(&seen.text, seen.programs_alive, seen.companion_pages);
    Sample {
        time_ns,
        direct_map_4k_kb: seen.map.direct_map_4k_kb(),
        direct_map_2m_kb: seen.map.direct_map_2m_kb(),
        direct_map_1g_kb: seen.map.direct_map_1g_kb(),
        mem_free_kb: kb(seen.free_pages),
        direct_map_level2_splits: seen.map.level2_splits,
        direct_map_level3_splits: seen.map.level3_splits,
        flush_tlb_all: seen.flushes.full,
        programs_alive: usage.programs,
        executable_pages: usage.executable_pages,
        image_bytes: usage.image_bytes,
        padding_bytes: usage.padding_bytes,
        unused_bytes: usage.unused_bytes,
        stale_bytes: usage.stale_bytes,
    }
}
