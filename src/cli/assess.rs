//! The way from the layouts that a replay saw to the TLB figures of a result.

use rayon::prelude::*;

use crate::kernel::Layout;
use crate::replay::{Outcome, Sample};
use crate::result::{BesideEstimate, EstimateDoubt, TlbAssumptions, TlbFigures};
use crate::scenario::{Engine, HotSet, Scenario, TextRuns, Tlb};
use crate::tlb::{Answer, Demand, Estimate, Host, HostMap, Kind, Question, Simulated, TextGroup, TextMap, Window};
use crate::units::{PAGE_BYTES, PageSize, SimTime};

/// What the workload's accesses are.
const KINDS: [Kind; 2] = [Kind::Load, Kind::Store];

/// What is asked about every layout of a scenario.
///
/// # Panics
/// If the scenario has not been checked.
pub(super) fn question(scenario: &Scenario) -> Question {
    let question = scenario.tlb.question(scenario.machine.largest_page.into());
    question.expect("a scenario is checked when it is read")
}

/// What the figures rest on.
pub(super) fn assumptions(scenario: &Scenario, question: &Question) -> TlbAssumptions {
    TlbAssumptions {
        cpu: scenario.tlb.cpu_name().to_owned(),
        workload: scenario.tlb.workload_name().to_owned(),
        accesses_per_second: question.workload.doc().accesses_per_second,
        engine: match scenario.tlb.engine {
            Engine::Estimate => "estimate".to_owned(),
            Engine::Simulate => "simulate".to_owned(),
        },
        simulated_accesses: (scenario.tlb.engine == Engine::Simulate).then_some(scenario.tlb.simulated_accesses),
        host: match question.host {
            Host::Native => "native".to_owned(),
            Host::Pages(size) => format!("guest on pages of {size}"),
        },
        walk_cycles: PageSize::ALL.map(|size| question.cost.walk_cycles(question.host, size)),
        exposed_share: question.cost.exposed,
        flush_cycles: question.cost.flush,
        clock_hz: question.cost.clock_hz,
        text_runs_per_second: scenario.tlb.text_runs_per_second,
        text_runs: match scenario.tlb.text_runs {
            TextRuns::Uniform => "uniform".to_owned(),
            TextRuns::HotSet(HotSet { programs_percent, runs_percent }) => {
                format!("{runs_percent} % of runs in {programs_percent} % of programs")
            }
        },
    }
}

/// The figures of each outcome at each moment at which the replay looked at its layout, in the order of time.
pub(super) fn figures(question: &Question, tlb: &Tlb, seed: u64, outcomes: &[Outcome]) -> Vec<Vec<TlbFigures>> {
    let (mut layouts, mut windows) = (Distinct::default(), Distinct::default());
    let accesses_per_second = question.workload.doc().accesses_per_second as f64;
    let mut moments: Vec<Vec<Moment>> = Vec::new();
    for outcome in outcomes {
        let moment = |(sample, layout): (&Sample<Layout>, usize)| {
            let done = Done::by(outcome, sample.time);
            let flush_rate = done.flushes_per_second / accesses_per_second;
            let window = windows.place((layout, Window { accesses: tlb.simulated_accesses, flush_rate }));
            Moment { time_ns: sample.time.nanos(), layout, window, done }
        };
        let places: Vec<usize> = outcome.layouts.iter().map(|sample| layouts.place(&sample.seen)).collect();
        moments.push(outcome.layouts.iter().zip(places).map(moment).collect());
    }
    let answers = estimated(question, seed, &layouts.items);
    let of_all = |figures: &dyn Fn(&Moment) -> TlbFigures| {
        moments.iter().map(|of_outcome| of_outcome.iter().map(figures).collect()).collect()
    };
    match tlb.engine {
        Engine::Estimate => of_all(&|moment| figures_of(question, &answers[moment.layout], moment)),
        Engine::Simulate => {
            let simulate =
                |(layout, window): &(usize, Window)| question.simulate(host_map(layouts.items[*layout]), seed, *window);
            let simulated: Vec<Simulated> = windows.items.par_iter().map(simulate).collect();
            of_all(&|moment| simulated_figures(question, &answers[moment.layout], &simulated[moment.window], moment))
        }
    }
}

/// A moment with figures.
struct Moment {
    time_ns: u64,
    /// Which of the layouts that differ.
    layout: usize,
    /// Which of the layouts and windows that differ.
    window: usize,
    done: Done,
}

fn host_map(layout: &Layout) -> HostMap<'_> {
    HostMap { pages: &layout.pages, not_movable: &layout.not_movable, unplaced: layout.unplaced }
}

fn text_map(layout: &Layout) -> TextMap<'_> {
    TextMap { programs: &layout.text.programs, pages: &layout.text.pages }
}

/// What is estimated for each layout.
///
/// Much is alike: allocators start on like hosts, most moments change little, and no workload uses every page. So each
/// map, each demand of one and each use of text pages is worked on once.
fn estimated(question: &Question, seed: u64, layouts: &[&Layout]) -> Vec<Answer> {
    let (mut maps, mut demands, mut texts) = (Distinct::default(), Distinct::default(), Distinct::default());
    let of_layouts: Vec<usize> = layouts.iter().map(|layout| maps.place(host_map(layout))).collect();
    let of_maps: Vec<[Demand; 2]> = maps.items.par_iter().map(|map| question.demands(*map, seed)).collect();
    let of_maps: Vec<[usize; 2]> = of_maps.into_iter().map(|both| both.map(|demand| demands.place(demand))).collect();
    let groups_of = |layout: &&Layout| question.text_groups(text_map(layout), seed);
    let groups: Vec<Vec<TextGroup>> = layouts.par_iter().map(groups_of).collect();
    let of_texts: Vec<usize> = groups.into_iter().map(|groups| texts.place(groups)).collect();
    let (estimates, misses): (Vec<_>, Vec<_>) = rayon::join(
        || demands.items.par_iter().map(|demand| question.estimate(demand)).collect(),
        || texts.items.par_iter().map(|groups| question.text_misses(groups)).collect(),
    );
    let answer = |(map, text): (&usize, &usize)| question.answer(of_maps[*map].map(|at| estimates[at]), misses[*text]);
    of_layouts.iter().zip(&of_texts).map(answer).collect()
}

/// Things that differ, in the order in which they first came.
struct Distinct<T> {
    items: Vec<T>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T: PartialEq> Distinct<T> {
    /// The place of an item, which joins if it is new. The latest are the likeliest.
    fn place(&mut self, item: T) -> usize {
        self.items.iter().rposition(|other| *other == item).unwrap_or_else(|| {
            self.items.push(item);
            self.items.len() - 1
        })
    }
}

/// What the host had done by a moment.
#[derive(Clone, Copy)]
struct Done {
    /// Flushes of the whole TLB per second.
    flushes_per_second: f64,
    /// Flushes of any kind per second.
    interrupts_per_second: f64,
    /// Page tables that splits took.
    table_pages: u64,
}

impl Done {
    fn by(outcome: &Outcome, time: SimTime) -> Self {
        let Some(sample) = outcome.samples.iter().rfind(|sample| sample.time <= time) else {
            return Self { flushes_per_second: 0.0, interrupts_per_second: 0.0, table_pages: 0 };
        };
        let per_second =
            |count: u64| if time == SimTime::ZERO { 0.0 } else { count as f64 * 1e9 / time.nanos() as f64 };
        let flushes = sample.seen.flushes;
        Self {
            flushes_per_second: per_second(flushes.full),
            interrupts_per_second: per_second(flushes.full + flushes.ranged),
            table_pages: sample.seen.table_pages,
        }
    }
}

/// Figures of what was simulated, with the estimate beside them.
fn simulated_figures(question: &Question, estimated: &Answer, simulated: &Simulated, moment: &Moment) -> TlbFigures {
    let Simulated { now, quiet, whole } = simulated;
    let answer = question.answer([*now, *whole], estimated.text);
    let rate = question.workload.doc().accesses_per_second as f64;
    TlbFigures {
        refill_walks_per_second: Some(six((now.total_walks() - quiet.total_walks()) * rate)),
        beside_estimate: Some(BesideEstimate {
            estimated_l1_misses_per_1000: six(1000.0 * estimated.estimate.total_first_level_misses()),
            simulated_l1_misses_per_1000: six(1000.0 * quiet.total_first_level_misses()),
            estimated_walks_per_1000: six(1000.0 * estimated.estimate.total_walks()),
            simulated_walks_per_1000: six(1000.0 * quiet.total_walks()),
            differs: estimated.estimate.is_off(quiet),
        }),
        ..figures_of(question, &answer, moment)
    }
}

fn figures_of(question: &Question, answer: &Answer, moment: &Moment) -> TlbFigures {
    let misses = |estimate: &Estimate, size| {
        1000.0 * KINDS.iter().map(|kind| estimate.first_level_misses(*kind, size)).sum::<f64>()
    };
    let walks = |estimate: &Estimate, size| 1000.0 * KINDS.iter().map(|kind| estimate.walks(*kind, size)).sum::<f64>();
    let [l1_4k, l1_2m, l1_1g] = PageSize::ALL.map(|size| misses(&answer.estimate, size));
    let [walks_4k, walks_2m, walks_1g] = PageSize::ALL.map(|size| walks(&answer.estimate, size));
    let walks_per_1000 = walks_4k + walks_2m + walks_1g;
    let whole_walks: f64 = PageSize::ALL.iter().map(|size| walks(&answer.whole, *size)).sum();
    let lost = answer.cost.lost_percent;
    let extra = [0, 1, 2].map(|at| lost[at] - answer.whole_cost.lost_percent[at]);
    let rate = question.workload.doc().accesses_per_second as f64;
    let done = moment.done;
    let flush = question.cost.flush_percent(done.interrupts_per_second);
    TlbFigures {
        time_ns: moment.time_ns,
        l1_misses_per_1000: six(l1_4k + l1_2m + l1_1g),
        l1_misses_4k_per_1000: six(l1_4k),
        l1_misses_2m_per_1000: six(l1_2m),
        l1_misses_1g_per_1000: six(l1_1g),
        walks_per_1000: six(walks_per_1000),
        walks_4k_per_1000: six(walks_4k),
        walks_2m_per_1000: six(walks_2m),
        walks_1g_per_1000: six(walks_1g),
        walks_per_second: six(walks_per_1000 * rate / 1000.0),
        walk_cycles_per_access: six(answer.cost.walk_cycles),
        level2_hit_cycles_per_access: six(answer.cost.second_level_cycles),
        lost_percent_least: six(lost[0]),
        lost_percent: six(lost[1]),
        lost_percent_most: six(lost[2]),
        extra_walks_per_1000: six(walks_per_1000 - whole_walks),
        extra_lost_percent_least: six(extra[0]),
        extra_lost_percent: six(extra[1]),
        extra_lost_percent_most: six(extra[2]),
        text_l1_misses_per_second: six(answer.text.first_level.iter().sum()),
        text_walks_per_second: six(answer.text.walks.iter().sum()),
        text_walk_percent: six(answer.text_walk_percent),
        flushes_per_second: six(done.flushes_per_second),
        refill_walks_per_second_most: six(done.flushes_per_second * question.walks_after_flush() as f64),
        flush_interrupts_per_second: six(done.interrupts_per_second),
        flush_percent_least: six(flush[0]),
        flush_percent: six(flush[1]),
        flush_percent_most: six(flush[2]),
        split_table_bytes: done.table_pages * PAGE_BYTES,
        refill_walks_per_second: None,
        beside_estimate: None,
        estimate_doubt: doubt_of(answer),
    }
}

/// Why the estimate of one of the two layouts may be further off than it is meant to be; none of what was simulated.
fn doubt_of(answer: &Answer) -> Option<EstimateDoubt> {
    let [now, whole] = [answer.estimate.doubt(), answer.whole.doubt()];
    (now.any() || whole.any()).then_some(EstimateDoubt {
        pages_of_1g: now.pages_of_1g || whole.pages_of_1g,
        replacement: now.replacement || whole.replacement,
        sets: now.sets || whole.sets,
    })
}

/// Six digits, and nothing where what is left is the rounding of sums.
fn six(value: f64) -> f64 {
    if value.abs() < 1e-9 { 0.0 } else { format!("{value:.5e}").parse().unwrap_or(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_six_digits() {
        assert_eq!([1.0 / 3.0, 123_456_789.0, -2e-12, 0.0].map(six), [0.333_333, 123_457_000.0, 0.0, 0.0]);
    }
}
