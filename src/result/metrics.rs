//! Every number of a run by name, and what is known about it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::counters;
use super::document::Run;

/// Where the better values of a metric lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better: splits, flushes, wasted bytes.
    Lower,
    /// More is better: memory mapped with the largest pages.
    Higher,
    /// On no side: it moves along with others, such as how many packs were made.
    Neither,
    /// It has to stay: it follows from the scenario, such as how many programs were loaded.
    Fixed,
}

impl Better {
    /// Where the better values of the metric of this name lie. One that is not known here has to stay: nobody can say
    /// that a change of it is good.
    pub fn of(metric: &str) -> Self {
        About::metric(metric).map_or(Self::Fixed, |about| about.better)
    }
}

/// What is known about a metric of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The metric's name: the block of the run and the key in it, such as `text.packs_created`.
    pub name: &'static str,
    /// What one of it is: `kB`, `pages`.
    pub unit: &'static str,
    /// Where its better values lie.
    pub better: Better,
    /// What a comparison calls it, if it is one of the few that are shown first.
    pub headline: Option<&'static str>,
}

/// One number of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name: the block of the run and the key in it, such as `counters.DirectMap4k`.
    pub name: String,
    /// The number; counts are exact up to 2^53.
    pub value: f64,
}

const fn about(name: &'static str, unit: &'static str, better: Better, headline: Option<&'static str>) -> About {
    About { name, unit, better, headline }
}

/// The metrics that are known here; comparisons show them in this order. A result of a newer fragsim may have more.
pub const KNOWN: [About; 76] = {
    use Better::{Fixed, Higher, Lower, Neither};
    [
        about("counters.direct_map_level2_splits", "pages", Lower, Some("level-2 splits")),
        about("counters.direct_map_level3_splits", "pages", Lower, Some("level-3 splits")),
        about("counters.DirectMap4k", "kB", Lower, Some("DirectMap4k")),
        about("counters.DirectMap2M", "kB", Neither, None),
        about("counters.DirectMap1G", "kB", Higher, Some("DirectMap1G")),
        about("counters.MemFree", "kB", Higher, None),
        about("counters.direct_map_level2_collapses", "pages", Neither, None),
        about("counters.direct_map_level3_collapses", "pages", Neither, None),
        about("counters.direct_map_page_table_pages", "pages", Lower, None),
        about("counters.flush_tlb_all", "flushes", Lower, Some("global flushes")),
        about("counters.flush_tlb_pages", "flushes", Lower, None),
        about("text.executable_bytes_at_peak", "bytes", Lower, Some("text at peak")),
        about("text.wasted_bytes_at_peak", "bytes", Lower, Some("wasted text at peak")),
        about("text.stale_bytes_peak", "bytes", Lower, Some("stale text, peak")),
        about("text.programs_loaded", "programs", Fixed, None),
        about("text.programs_unloaded", "programs", Fixed, None),
        about("text.images_loaded", "images", Fixed, None),
        about("text.peak_programs_alive", "programs", Fixed, None),
        about("text.programs_alive", "programs", Fixed, None),
        about("text.executable_pages_peak", "pages", Lower, None),
        about("text.executable_pages_at_peak", "pages", Lower, None),
        about("text.image_bytes_at_peak", "bytes", Fixed, None),
        about("text.padding_bytes_at_peak", "bytes", Lower, None),
        about("text.unused_bytes_at_peak", "bytes", Lower, None),
        about("text.executable_pages", "pages", Lower, None),
        about("text.executable_bytes", "bytes", Lower, None),
        about("text.image_bytes", "bytes", Fixed, None),
        about("text.padding_bytes", "bytes", Lower, None),
        about("text.unused_bytes", "bytes", Lower, None),
        about("text.wasted_bytes", "bytes", Lower, None),
        about("text.stale_bytes", "bytes", Lower, None),
        about("text.packs_created", "packs", Neither, None),
        about("text.packs_freed", "packs", Neither, None),
        about("text.text_poke_bytes", "bytes", Lower, None),
        about("text.companion_pages_peak", "pages", Fixed, None),
        about("text.companion_pages", "pages", Fixed, None),
        about("tlb.walks_per_1000", "walks", Lower, Some("page walks per 1000 accesses")),
        about("tlb.extra_walks_per_1000", "walks", Lower, Some("page walks more than unsplit")),
        about("tlb.lost_percent", "%", Lower, Some("cycles lost to walks")),
        about("tlb.lost_percent_least", "%", Lower, None),
        about("tlb.lost_percent_most", "%", Lower, None),
        about("tlb.extra_lost_percent", "%", Lower, None),
        about("tlb.extra_lost_percent_least", "%", Lower, None),
        about("tlb.extra_lost_percent_most", "%", Lower, None),
        about("tlb.l1_misses_per_1000", "misses", Lower, None),
        about("tlb.l1_misses_4k_per_1000", "misses", Neither, None),
        about("tlb.l1_misses_2m_per_1000", "misses", Neither, None),
        about("tlb.l1_misses_1g_per_1000", "misses", Neither, None),
        about("tlb.walks_4k_per_1000", "walks", Neither, None),
        about("tlb.walks_2m_per_1000", "walks", Neither, None),
        about("tlb.walks_1g_per_1000", "walks", Neither, None),
        about("tlb.walks_per_second", "walks", Lower, None),
        about("tlb.walk_cycles_per_access", "cycles", Lower, None),
        about("tlb.level2_hit_cycles_per_access", "cycles", Neither, None),
        about("tlb.text_l1_misses_per_second", "misses", Lower, None),
        about("tlb.text_walks_per_second", "walks", Lower, None),
        about("tlb.text_walk_percent", "%", Lower, None),
        about("tlb.flushes_per_second", "flushes", Lower, None),
        about("tlb.refill_walks_per_second_most", "walks", Lower, None),
        about("tlb.refill_walks_per_second", "walks", Lower, None),
        about("tlb.flush_interrupts_per_second", "flushes", Lower, None),
        about("tlb.flush_percent", "%", Lower, None),
        about("tlb.flush_percent_least", "%", Lower, None),
        about("tlb.flush_percent_most", "%", Lower, None),
        about("tlb.split_table_bytes", "bytes", Lower, None),
        about("start.DirectMap4k", "kB", Fixed, None),
        about("start.DirectMap2M", "kB", Fixed, None),
        about("start.DirectMap1G", "kB", Fixed, None),
        about("start.MemFree", "kB", Fixed, None),
        about("start.direct_map_level2_splits", "pages", Fixed, None),
        about("start.direct_map_level3_splits", "pages", Fixed, None),
        about("start.direct_map_level2_collapses", "pages", Fixed, None),
        about("start.direct_map_level3_collapses", "pages", Fixed, None),
        about("start.direct_map_page_table_pages", "pages", Fixed, None),
        about("start.flush_tlb_all", "flushes", Fixed, None),
        about("start.flush_tlb_pages", "flushes", Fixed, None),
    ]
};

impl About {
    /// What is known about the metric of this name.
    pub fn metric(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|about| about.name == name)
    }
}

impl Run {
    /// Every number of the run, in the order of the names: `counters.DirectMap4k`, `start.MemFree`,
    /// `text.packs_created`.
    ///
    /// A block that is added to a run is added here; then every table, comparison and check has its numbers.
    pub fn metrics(&self) -> Vec<Metric> {
        let block = |counters: &counters::Counters| -> BTreeMap<String, f64> {
            counters.iter().map(|(name, value)| (name.to_owned(), value as f64)).collect()
        };
        let mut tlb = self.tlb.as_ref().map(numbers).unwrap_or_default();
        // When the trace ended is no figure of the TLB.
        tlb.remove("time_ns");
        let blocks = [
            ("counters", block(&self.counters)),
            ("start", block(&self.start)),
            ("text", numbers(&self.text)),
            ("tlb", tlb),
        ];
        let named = |(block, numbers): (&str, BTreeMap<String, f64>)| {
            let named = |(name, value)| Metric { name: format!("{block}.{name}"), value };
            numbers.into_iter().map(named).collect::<Vec<_>>()
        };
        blocks.into_iter().flat_map(named).collect()
    }

    /// The number of this name, if the run has it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics().into_iter().find(|metric| metric.name == name).map(|metric| metric.value)
    }
}

/// The numbers among the members of a block, by name.
fn numbers(block: &impl serde::Serialize) -> BTreeMap<String, f64> {
    match serde_json::to_value(block) {
        Ok(Value::Object(members)) => {
            members.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect()
        }
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::result::testing::two_runs;

    #[test]
    fn every_number_of_a_run_is_known() {
        let mut run = two_runs().runs.remove(0);
        run.tlb = Some(crate::result::TlbFigures {
            refill_walks_per_second: Some(0.0),
            ..crate::result::TlbFigures::default()
        });
        for (name, ..) in counters::ALL {
            run.counters.set(name, 1);
            run.start.set(name, 1);
        }
        let has: BTreeSet<String> = run.metrics().into_iter().map(|metric| metric.name).collect();
        let known: BTreeSet<String> = KNOWN.iter().map(|about| about.name.to_owned()).collect();
        assert_eq!(has, known);
        assert_eq!(known.len(), KNOWN.len());
        for (name, unit, _) in counters::ALL {
            assert_eq!(About::metric(&format!("counters.{name}")).unwrap().unit, unit);
        }
    }

    #[test]
    fn numbers_keep_their_names_and_values() {
        let run = two_runs().runs.remove(0);
        assert_eq!(run.metric("counters.direct_map_level2_splits"), Some(12.0));
        assert_eq!(run.metric("text.wasted_bytes_at_peak"), Some(29000.0));
        assert_eq!(run.metric("text.wasted"), None);
        let names: Vec<String> = run.metrics().into_iter().map(|metric| metric.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(
            ["counters.MemFree", "start.MemFree", "text.packs_freed", "counters.new"].map(Better::of),
            [Better::Higher, Better::Fixed, Better::Neither, Better::Fixed]
        );
    }
}
