//! Where estimates are known to be further off than they are meant to be.

use super::{Demand, Estimate};
use crate::tlb::cpu::{Cpu, Kind, Level, Replacement, Structure};
use crate::units::PageSize;

/// First-level misses for pages of 1G, per access, from which on these can be in doubt.
const LEAST_1G_MISSES: f64 = 0.02;
/// The same of walks.
const LEAST_1G_WALKS: f64 = 0.01;
/// Entries for pages of 1G under tree-PLRU so few that it matters which of them it takes for the least recent.
const FEW_TREE_ENTRIES: u32 = 4;
/// Walks per access between which the second level's replacement and ways matter most: with fewer nearly all fits, with
/// more nearly nothing does.
const DOUBTFUL_WALKS: std::ops::Range<f64> = 0.015..0.2;
/// So many pages of 2M for each entry of the second level about fill it if they are one piece of memory.
const FILLING: std::ops::Range<f64> = 0.45..2.8;
/// The same if they are scattered: then pages of several classes may still be one piece together.
const FILLING_TOGETHER: std::ops::Range<f64> = 0.6..1.2;
/// Ways so few that it matters which pages meet in a set.
const FEW_WAYS: u32 = 6;

/// Why an estimate may be more than 2 % and 0.002 per access off; found by laying it beside the simulation
/// (`docs/tlb-validation.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// Pages of 1G miss, and a few of them decide: one is at times used by a stream alone, levels keep them in different
    /// pieces, the second level has hardly more entries than the first, or a tree of four does not take the least recent.
    pub pages_of_1g: bool,
    /// The second level replaces by (MRU+1)%3 PLRU4, for which there is no formula, and about holds what is used.
    pub plru4: bool,
    /// The second level has few ways and about holds what is used.
    pub few_ways: bool,
    /// Pages of 2M in one piece about fill the second level: then its sets have as many each, and not by chance.
    pub filled: bool,
}

impl Doubt {
    /// About an estimate for a core.
    pub(super) fn of(cpu: &Cpu, demand: &Demand, estimate: &Estimate) -> Self {
        let walks: f64 = estimate.total_walks();
        let doubtful = DOUBTFUL_WALKS.contains(&walks);
        let of_2m = || demand.groups.iter().filter(|group| group.size == PageSize::Size2M);
        let blocks: f64 = of_2m().map(|group| group.pages).sum();
        let one_piece = of_2m().any(|group| demand.regions[group.region].slots[PageSize::Size2M as usize].is_finite());
        let in_sets = |structure: &Structure| {
            structure.sets_and_ways().0 > 1 && structure.pages.iter().any(|held| held.page() == PageSize::Size2M)
        };
        let few_ways = |structure: &Structure| {
            let uneven = demand.regions.len() > 1 || blocks < 2.0 * f64::from(structure.entries);
            in_sets(structure) && structure.sets_and_ways().1 <= FEW_WAYS && uneven
        };
        let filled = |structure: &Structure| {
            let filling = if one_piece { FILLING } else { FILLING_TOGETHER };
            in_sets(structure) && filling.contains(&(blocks / f64::from(structure.entries)))
        };
        Self {
            pages_of_1g: pages_of_1g(cpu, demand, estimate),
            plru4: doubtful && of_level(cpu, Level::Second).any(|one| one.replacement == Replacement::Mru3Plru4),
            few_ways: doubtful && of_level(cpu, Level::Second).any(few_ways),
            filled: walks > DOUBTFUL_WALKS.start && of_level(cpu, Level::Second).any(filled),
        }
    }

    /// Whether there is any.
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// The structures of a level for loads.
fn of_level(cpu: &Cpu, level: Level) -> impl Iterator<Item = &Structure> {
    cpu.structures(level, Kind::Load).map(|(_, structure)| structure)
}

fn pages_of_1g(cpu: &Cpu, demand: &Demand, estimate: &Estimate) -> bool {
    let sum = |rate: fn(&Estimate, Kind, PageSize) -> f64| -> f64 {
        Kind::ALL.iter().map(|kind| rate(estimate, *kind, PageSize::Size1G)).sum()
    };
    let (misses, walks) = (sum(Estimate::first_level_misses), sum(Estimate::walks));
    let held = |level| {
        of_level(cpu, level).flat_map(|structure| {
            let held = structure.pages.iter().filter(|held| held.page() == PageSize::Size1G);
            held.map(move |held| (structure, held.piece()))
        })
    };
    let entries = |level| held(level).map(|(structure, _)| structure.entries).max().unwrap_or(0);
    let pieces = |level| held(level).map(|(_, piece)| piece).min();
    let streamed = demand.sweeps.iter().any(|sweep| sweep.size == PageSize::Size1G);
    let differ = pieces(Level::Second).is_some() && pieces(Level::First) != pieces(Level::Second);
    let no_larger = entries(Level::Second) > 0 && entries(Level::Second) <= entries(Level::First) * 3 / 2;
    let tree = held(Level::First)
        .any(|(structure, _)| structure.replacement == Replacement::TreePlru && structure.entries <= FEW_TREE_ENTRIES);
    misses > LEAST_1G_MISSES && (streamed || (walks > LEAST_1G_WALKS && (differ || no_larger || tree)))
}
