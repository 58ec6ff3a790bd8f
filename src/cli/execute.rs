//! The way from a scenario to a result: builds the hosts, replays the trace on them, writes down what they saw.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use rayon::ThreadPoolBuilder;

use super::assess;

use crate::diagnostics::Diagnostic;
use crate::files::STDIN;
use crate::kernel::{self, CellRun, HostSetup, Observation};
use crate::memory::{MemoryLayout, StartState};
use crate::replay::{Contender, End, MapSample, Observing, Outcome, ReplayError, Sampling, replay};
use crate::result::{self, Counters, ResultDoc, Run, Sample, ScenarioStamp, TextReport, counters};
use crate::scenario::{self, AllocatorRun, LoadedScenario};
use crate::text_alloc::{PolicyOptions, TextUsage};
use crate::tlb::Question;
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

/// Replays a scenario under each of its allocators, once with each of its seeds, on at most `threads` threads (default:
/// one for each CPU).
///
/// `progress` is called now and then, from any thread. The result does not depend on the threads. Memory does: as many
/// seeds are under way at once as there are threads.
///
/// # Errors
/// The trace cannot be read, or the scenario asks for what cannot be simulated. Running out of simulated memory is
/// no error but an [`Outcome`](crate::result::Outcome) of the run.
pub fn execute(
    scenario: &LoadedScenario,
    threads: Option<NonZeroUsize>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<ResultDoc, Box<Diagnostic>> {
    let seeds = scenario.seeds.as_slice();
    if seeds.len() > 1 && scenario.trace_path().is_some_and(|path| path.as_os_str() == STDIN) {
        let message = "a trace on standard input can be read once only, and each seed reads it";
        return Err(Box::new(Diagnostic::new(message).help("save the trace to a file, or take one seed")));
    }
    let job = Job {
        scenario,
        allocators: scenario.allocators(),
        layout: scenario.scenario.machine.memory_layout().map_err(|error| Diagnostic::new(error.to_string()))?,
        start: scenario.start_state(),
        question: assess::question(&scenario.scenario),
    };
    let (threads, replayed) = (thread_count(threads), AtomicU64::new(0));
    let team = threads.min(seeds.len());
    let replay_all = |&seed: &u64| {
        let mine = AtomicU64::new(0);
        job.replay(seed, threads / team, &|done, total| {
            let more = done - mine.swap(done, Relaxed);
            let all = seeds.len() as u64;
            let done = replayed.fetch_add(more, Relaxed) + more;
            progress(Progress { done, total: total.and_then(|total| total.checked_mul(all)) });
        })
    };
    let by_seed = side_by_side(seeds, team, replay_all).into_iter().collect::<Result<Vec<_>, _>>()?;
    let trace_hash = by_seed[0].trace_hash;
    if by_seed.iter().any(|one| one.trace_hash != trace_hash) {
        return Err(Box::new(
            Diagnostic::new("the trace changed while it was replayed").help("run the scenario again"),
        ));
    }
    // By allocator first, as a reader compares.
    let mut runs: Vec<_> = by_seed.into_iter().map(|one| one.runs.into_iter()).collect();
    let runs = (0..job.allocators.len()).flat_map(|_| runs.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>());
    let tlb = Some(assess::assumptions(&scenario.scenario, &job.question));
    Ok(ResultDoc { tlb, ..ResultDoc::new(stamp(scenario, trace_hash), runs.collect()) })
}

/// How many threads there are: as many as wanted, or as there are CPUs.
fn thread_count(wanted: Option<NonZeroUsize>) -> usize {
    wanted.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

/// Works on every item, on `team` threads, and gives the results in the order of the items.
///
/// No work stealing: a thread that waits inside an item must not begin another one, which would need memory too.
fn side_by_side<T: Sync, R: Send>(items: &[T], team: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let index = next.fetch_add(1, Relaxed);
        Some((index, work(items.get(index)?)))
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..team).map(|_| scope.spawn(|| std::iter::from_fn(take).collect::<Vec<_>>())).collect();
        let mut done: Vec<_> = std::iter::from_fn(take).collect();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What the replays with different seeds have in common.
struct Job<'a> {
    scenario: &'a LoadedScenario,
    allocators: Vec<AllocatorRun>,
    layout: MemoryLayout,
    start: StartState,
    question: Question,
}

/// What came out for one seed.
struct OneSeed {
    runs: Vec<Run>,
    trace_hash: Option<u128>,
}

impl Job<'_> {
    /// Replays the scenario with one seed; `progress` is told the events replayed so far, and about how many there are.
    fn replay(
        &self,
        seed: u64,
        threads: usize,
        progress: &(dyn Fn(u64, Option<u64>) + Sync),
    ) -> Result<OneSeed, Box<Diagnostic>> {
        let scenario = self.scenario;
        let hosts = self.allocators.iter().map(|run| self.contender(run, seed)).collect();
        let mut source = Source::open(scenario, seed)?;
        let total = source.total_hint();
        let observing = Observing {
            sampling: sampling(scenario.scenario.sampling),
            layouts: scenario.scenario.tlb.samples,
            view: scenario.scenario.counters.into(),
        };
        // More threads than allocators would have nothing to do.
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.clamp(1, self.allocators.len()))
            .build()
            .map_err(|error| Diagnostic::new(format!("cannot start threads: {error}")))?;
        let outcomes = pool
            .install(|| replay(hosts, &mut source, observing, &|done| progress(done, total)))
            .map_err(|error| replay_error(error, scenario))?;
        let figures = pool.install(|| assess::figures(&self.question, &scenario.scenario.tlb, seed, &outcomes));
        let run = |((run, outcome), figures): ((_, _), Vec<_>)| {
            let end = figures.last().copied();
            Run { tlb: end, tlb_series: figures, ..result_run(run, seed, outcome) }
        };
        let runs = self.allocators.iter().zip(&outcomes).zip(figures).map(run).collect();
        Ok(OneSeed { runs, trace_hash: source.hash() })
    }

    /// A host for one allocator.
    fn contender(&self, run: &AllocatorRun, seed: u64) -> Contender<'_> {
        let machine = &self.scenario.scenario.machine;
        Contender {
            host: HostSetup {
                release: run.kernel,
                layout: &self.layout,
                start: &self.start,
                cpus: machine.cpus,
                largest_page: machine.largest_page.into(),
                boot_program: machine.boot_program,
                seed,
                run: 0,
            },
            text: run.policy.build(PolicyOptions { invalidate: run.invalidate, give_back: run.give_back }),
        }
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
    fn open(scenario: &LoadedScenario, seed: u64) -> Result<Self, Box<Diagnostic>> {
        let trace = &scenario.scenario.trace;
        if let Some(generate) = &trace.generate {
            let generated = Generated::new(generate, seed)?;
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

    fn must_be_read_whole(&self) -> bool {
        match self {
            Self::File(reader) => reader.must_be_read_whole(),
            Self::Repeated(_) | Self::Generated(_) => false,
        }
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
        seeds: loaded.seeds.clone(),
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
        tlb: None,
        tlb_series: Vec::new(),
        series: outcome.samples.iter().map(|sample| sample_of(sample.time.nanos(), &sample.seen)).collect(),
        memory_map: Some(memory_map_of(&outcome.maps)),
    }
}

/// Maps of one host as results tell them; it has the same cells at any moment.
fn memory_map_of(maps: &[MapSample]) -> result::MemoryMap {
    let cell_pages = maps.last().map_or(0, |sample| sample.map.cell_pages);
    // A cell is no larger than it takes for 2^17 of them, so their number fits.
    let run = |run: &CellRun| (u32::try_from(run.cells).unwrap_or(u32::MAX), cell_state(run.state));
    let moment = |sample: &MapSample| result::MapMoment {
        time_ns: sample.time.nanos(),
        cells: sample.map.runs.iter().map(run).collect(),
    };
    result::MemoryMap { cell_bytes: cell_pages * PAGE_BYTES, moments: maps.iter().map(moment).collect() }
}

const fn cell_state(state: kernel::CellState) -> result::CellState {
    match state {
        kernel::CellState::Hole => result::CellState::Hole,
        kernel::CellState::Whole1G => result::CellState::Whole1G,
        kernel::CellState::Whole2M => result::CellState::Whole2M,
        kernel::CellState::LargeProtected => result::CellState::LargeProtected,
        kernel::CellState::LargeText => result::CellState::LargeText,
        kernel::CellState::Small => result::CellState::Small,
        kernel::CellState::SmallProtected => result::CellState::SmallProtected,
        kernel::CellState::SmallText => result::CellState::SmallText,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items_whoever_finishes_first() {
        let items: Vec<u64> = (0..20).collect();
        for team in [1, 2, 7, 30] {
            let working = AtomicUsize::new(0);
            let slow_first = |&item: &u64| {
                let at_once = working.fetch_add(1, Relaxed) + 1;
                assert!(at_once <= team, "{at_once} items are under way");
                std::thread::sleep(std::time::Duration::from_millis(if item == 0 { 20 } else { 0 }));
                working.fetch_sub(1, Relaxed);
                item * 10
            };
            assert_eq!(side_by_side(&items, team, slow_first), items.iter().map(|item| item * 10).collect::<Vec<_>>());
        }
    }
}
