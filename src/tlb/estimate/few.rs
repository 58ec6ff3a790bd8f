//! Structures that hold few pages, each looked at for itself: the pages of 1G of a host.

use super::flow::{Flow, seen};
use super::survival::{Survival, survivals};
use crate::tlb::cpu::Structure;

/// Most pages that are looked at one by one.
const MOST_PAGES: usize = 256;
/// Most sets of theirs.
const MOST_SETS: usize = 16;
/// Most pages of a set times its ways.
const MOST_WORK: usize = 512;

/// One page as a structure sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub set: usize,
    /// Which of the groups it belongs to.
    pub group: usize,
    /// How often it comes.
    pub rate: f64,
    pub dead: f64,
}

/// How long each page of a group stays, by group.
#[derive(Clone, Debug)]
pub(super) struct Few(Vec<Vec<Survival>>);

impl Few {
    /// For all that comes to a structure, if that is these pages; `None` if they are too many.
    pub fn of(structure: &Structure, flow: &Flow, pages: &[Page], groups: usize) -> Option<Self> {
        let (sets, ways) = structure.sets_and_ways();
        let mut by_set: Vec<Vec<Page>> = vec![Vec::new(); sets as usize];
        if pages.is_empty() || pages.len() > MOST_PAGES || by_set.len() > MOST_SETS {
            return None;
        }
        pages.iter().for_each(|page| by_set[page.set].push(*page));
        if by_set.iter().any(|pages| pages.len() * ways as usize > MOST_WORK) {
            return None;
        }
        let mut few = Self(vec![Vec::new(); groups]);
        for pages in by_set.iter().filter(|pages| !pages.is_empty()) {
            for (page, survival) in pages.iter().zip(of_set(flow, pages, sets, ways as usize)) {
                few.0[page.group].push(survival);
            }
        }
        Some(few)
    }

    /// How long the pages of a group stay, one by one.
    pub fn group(&self, group: usize) -> &[Survival] {
        &self.0[group]
    }
}

fn of_set(flow: &Flow, pages: &[Page], sets: u32, ways: usize) -> Vec<Survival> {
    let settled = flow.settled();
    let all = |time: f64| -> Vec<f64> {
        let mut chances: Vec<f64> = pages.iter().map(|page| seen(page.rate, page.dead, time)).collect();
        let mean = chances.iter().sum::<f64>() / chances.len() as f64;
        chances.extend(flow.swept_in_set(time, f64::from(sets), mean));
        chances
    };
    let fewer = |chances: &[f64], without: Option<usize>| {
        let counts =
            counts(chances.iter().enumerate().filter(|(at, _)| Some(*at) != without).map(|(_, chance)| *chance), ways);
        counts.iter().sum::<f64>().min(1.0)
    };
    let one_more = |time: f64| counts(all(time).into_iter(), ways + 1).iter().sum::<f64>();
    let least = |time: f64| fewer(&all(time), None);
    let curves = |times: &[f64]| {
        let mut chances = vec![Vec::with_capacity(times.len()); pages.len()];
        for time in times {
            let all = all(*time);
            let together = counts(all.iter().copied(), ways);
            for (at, chances) in chances.iter_mut().enumerate() {
                // What a likely one adds cannot be taken out again: the error grows from count to count.
                let fewer = if all[at] < 0.5 { without(&together, all[at]) } else { fewer(&all, Some(at)) };
                chances.push(fewer);
            }
        }
        chances
    };
    survivals(pages.len(), settled, &least, &one_more, curves)
}

/// Chance of fewer than all that are listed, if one is taken out that comes with this chance.
fn without(counts: &[f64], chance: f64) -> f64 {
    let (mut sum, mut before) = (0.0, 0.0);
    for count in counts {
        before = (count - chance * before) / (1.0 - chance);
        sum += before;
    }
    sum.clamp(0.0, 1.0)
}

/// Chances of 0 to `limit - 1` of these coming.
fn counts(chances: impl Iterator<Item = f64>, limit: usize) -> Vec<f64> {
    let mut counts = vec![0.0; limit];
    counts[0] = 1.0;
    for chance in chances {
        for at in (1..limit).rev() {
            counts[at] += chance * (counts[at - 1] - counts[at]);
        }
        counts[0] *= 1.0 - chance;
    }
    counts
}
