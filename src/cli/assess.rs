//! The way from the layouts that a replay saw to the TLB figures of a result.

use rayon::prelude::*;

use crate::kernel::Layout;
use crate::replay::Outcome;
use crate::result::{TlbAssumptions, TlbFigures};
use crate::scenario::Scenario;
use crate::tlb::{Answer, Demand, Estimate, Host, HostMap, Kind, Question};
use crate::units::{PageSize, SimTime};

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
        engine: "estimate".to_owned(),
        host: match question.host {
            Host::Native => "native".to_owned(),
            Host::Pages(size) => format!("guest on pages of {size}"),
        },
        walk_cycles: PageSize::ALL.map(|size| question.cost.walk_cycles(question.host, size)),
        exposed_share: question.cost.exposed,
        clock_hz: question.cost.clock_hz,
        text_runs_per_second: scenario.tlb.text_runs_per_second,
    }
}

/// The figures of each outcome at each moment at which the replay looked at its layout, in the order of time.
///
/// Much is alike: allocators start on like hosts, most moments change little, and no workload uses every page. So each
/// layout, each demand of one and each number of text pages is worked on once.
pub(super) fn figures(question: &Question, seed: u64, outcomes: &[Outcome]) -> Vec<Vec<TlbFigures>> {
    let mut layouts = Distinct::default();
    let places: Vec<Vec<usize>> = outcomes
        .iter()
        .map(|outcome| outcome.layouts.iter().map(|sample| layouts.place(&sample.seen)).collect())
        .collect();
    let demands_of = |layout: &&Layout| {
        let map = HostMap { pages: &layout.pages, not_movable: &layout.not_movable, unplaced: layout.unplaced };
        question.demands(map, seed)
    };
    let (mut demands, mut texts) = (Distinct::default(), Distinct::default());
    let of_layouts: Vec<[Demand; 2]> = layouts.items.par_iter().map(demands_of).collect();
    let needs: Vec<([usize; 2], usize)> = of_layouts
        .into_iter()
        .zip(&layouts.items)
        .map(|(both, layout)| (both.map(|demand| demands.place(demand)), texts.place(layout.text_pages)))
        .collect();
    let (estimates, text_walks): (Vec<_>, Vec<_>) = rayon::join(
        || demands.items.par_iter().map(|demand| question.estimate(demand)).collect(),
        || texts.items.par_iter().map(|text| question.text_walks_per_second(*text)).collect(),
    );
    let answers: Vec<Answer> = needs
        .iter()
        .map(|(both, text)| question.answer(both.map(|at| estimates[at]), text_walks[*text], texts.items[*text].1))
        .collect();
    let of_outcome = |(outcome, places): (&Outcome, &Vec<usize>)| {
        let moments = outcome.layouts.iter().zip(places);
        moments
            .map(|(sample, place)| {
                let per_second = flushes_per_second(outcome, sample.time);
                figures_of(question, &answers[*place], sample.time.nanos(), per_second)
            })
            .collect()
    };
    outcomes.iter().zip(&places).map(of_outcome).collect()
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

/// Flushes of the whole TLB up to a moment, per second.
fn flushes_per_second(outcome: &Outcome, time: SimTime) -> f64 {
    let before = outcome.samples.iter().rev().find(|sample| sample.time <= time);
    let flushes = before.map_or(0, |sample| sample.seen.flushes.full);
    if time == SimTime::ZERO { 0.0 } else { flushes as f64 * 1e9 / time.nanos() as f64 }
}

fn figures_of(question: &Question, answer: &Answer, time_ns: u64, flushes_per_second: f64) -> TlbFigures {
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
    TlbFigures {
        time_ns,
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
        text_walks_per_second: six(answer.text_walks_per_second),
        text_walk_percent: six(answer.text_walk_percent),
        flushes_per_second: six(flushes_per_second),
        refill_walks_per_second_most: six(flushes_per_second * question.walks_after_flush() as f64),
    }
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
