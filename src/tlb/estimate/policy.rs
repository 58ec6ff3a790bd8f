//! Replacement that is neither LRU nor random.

use super::flow::Flow;
use crate::tlb::cpu::{Replacement, Structure};

/// How much of tree-PLRU with eight ways or more is random replacement: fitted to the simulation of the presets on one
/// grid of uses (`docs/tlb-validation.md`). With four ways and less, none.
const TREE_PLRU: f64 = 0.13;
/// The same of (MRU+1)%3 PLRU4.
const MRU3_PLRU4: f64 = 0.15;

/// A policy that is taken for a mixture of LRU and random replacement. Where all pages are used alike, any policy hits
/// as often; where some are used more, LRU keeps more of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture {
    /// How much of it is random replacement.
    random: f64,
    /// How long LRU keeps a page of a structure of one set.
    kept: f64,
    /// How long random replacement keeps a page on average.
    stay: f64,
}

impl Mixture {
    /// For what comes to a structure; `None` if it is LRU.
    pub fn of(structure: &Structure, flow: &Flow) -> Option<Self> {
        let ways = structure.sets_and_ways().1;
        let random = match structure.replacement {
            Replacement::TreePlru if ways >= 8 => TREE_PLRU,
            Replacement::Mru3Plru4 => MRU3_PLRU4,
            Replacement::TreePlru if ways > 2 => 0.0,
            _ => return None,
        };
        let entries = f64::from(structure.entries);
        let pieces: f64 = flow.items.iter().map(|item| item.pieces).sum();
        (pieces > entries).then(|| Self { random, kept: flow.filling(1.0, entries), stay: stay(flow, entries) })
    }

    /// How much less often than under LRU a page hits that comes at this rate.
    pub fn lost(self, rate: f64) -> f64 {
        if self.random > 0.0 { self.random * self.gap(rate) } else { 0.0 }
    }

    /// How much less often it hits under random replacement.
    pub fn gap(self, rate: f64) -> f64 {
        let (lru, random) = (-libm::expm1(-rate * self.kept), rate * self.stay / (1.0 + rate * self.stay));
        lru - random
    }
}

/// Random replacement: the mean stay times the misses is the number of entries.
pub(super) fn stay(flow: &Flow, entries: f64) -> f64 {
    let held = |stay: f64| {
        let of_items = flow.items.iter().map(|item| item.pieces * item.rate * stay / (1.0 + item.rate * stay));
        of_items.sum::<f64>() + flow.swept * stay
    };
    let (mut low, mut high) = (0.0, libm::log(flow.settled() * 1e6));
    for _ in 0..24 {
        let middle = (low + high) / 2.0;
        if held(libm::exp(middle)) < entries { low = middle } else { high = middle }
    }
    libm::exp(high)
}
