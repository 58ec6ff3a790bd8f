//! What misses cost: cycles of page walks, and the share of time that is lost, as a range.
//!
//! `docs/tlb.md` explains the formula and names what is not known.

use super::access::Host;
use super::cpu::{Cpu, Kind};
use super::estimate::Estimate;
use crate::units::PageSize;

/// Where the page tables are found during a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// In the first or second cache level: hot tables.
    #[default]
    NearCache,
    /// The last fetch of a walk goes to the third cache level.
    FarCache,
    /// The last fetch of a walk goes to memory.
    Memory,
}

/// What a walk takes, in cycles, and how much of it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostModel {
    /// Cycles of a native walk for pages of 4K, 2M and 1G with tables in a near cache. No vendor publishes them.
    pub native_walk: [f64; 3],
    /// Cycles of a walk in a guest whose host has pages of 4K, by the guest's page size; measured on Zen 4.
    pub nested_walk: [f64; 3],
    /// Cycles that the last fetch takes longer from the third cache level, and from memory.
    pub far_fetch: [f64; 2],
    /// How much of a walk's time the core cannot hide: least, likely, most.
    pub exposed: [f64; 3],
    /// Cycles that a CPU spends on a flush, from the interrupt to its end, without the walks that fill the TLB again: least,
    /// likely, most.
    pub flush: [f64; 3],
    /// Walks that the workload has under way at once, if the core has that many walkers.
    pub walks_at_once: f64,
    /// The core's cycles per second.
    pub clock_hz: f64,
    /// Where the tables are.
    pub tables: Tables,
}

impl Default for CostModel {
    /// Native walks are estimates from published latencies; nested ones and the clock were measured on a Genoa guest
    /// (136 and 63 cycles, 3.7 GHz); the exposed share is throughput gained per walk cycle removed in seven
    /// applications (Hunter et al., OSDI 2021: 0.33 on average, 0.03 to 0.95). Of flushes it is published that they take
    /// microseconds (Amit, USENIX ATC 2017); the most is what an interrupt took in that guest (`scripts/tlb-flush-cost.c`).
    fn default() -> Self {
        Self {
            native_walk: [30.0, 22.0, 15.0],
            nested_walk: [136.0, 63.0, 63.0],
            far_fetch: [55.0, 325.0],
            exposed: [0.05, 0.33, 1.0],
            flush: [1000.0, 4000.0, 25_000.0],
            walks_at_once: 1.0,
            clock_hz: 3.7e9,
            tables: Tables::default(),
        }
    }
}

/// A cost per access and per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Cycles in which a walk is under way, per access.
    pub walk_cycles: f64,
    /// Cycles that hits in the second level take longer than in the first, per access.
    pub second_level_cycles: f64,
    /// Cycles lost to walks in percent of all cycles: least, likely, most.
    pub lost_percent: [f64; 3],
}

impl CostModel {
    /// Cycles of one walk for a page of the tables that the kernel sees.
    pub fn walk_cycles(&self, host: Host, size: PageSize) -> f64 {
        let near = match host {
            Host::Native => self.native_walk[size as usize],
            Host::Pages(_) => self.nested_walk[size as usize],
        };
        near + match self.tables {
            Tables::NearCache => 0.0,
            Tables::FarCache => self.far_fetch[0],
            Tables::Memory => self.far_fetch[1],
        }
    }

    /// Cycles of one CPU that so many flushes per second take, in percent of all: least, likely, most.
    pub fn flush_percent(&self, per_second: f64) -> [f64; 3] {
        // No CPU does more than flush.
        self.flush.map(|cycles| (100.0 * per_second * cycles / self.clock_hz).min(100.0))
    }

    /// The cost of misses; accesses come at this rate as long as no walk takes time.
    ///
    /// In a guest, walks are charged by the size of the TLB entry, which is the smaller of both pages.
    pub fn cost(&self, cpu: &Cpu, host: Host, estimate: &Estimate, accesses_per_second: f64) -> Cost {
        let data = [Kind::Load, Kind::Store];
        let of_size = |size: PageSize| {
            let walks: f64 = data.iter().map(|kind| estimate.walks(*kind, size)).sum();
            walks * self.walk_cycles(host, size)
        };
        let overlap = self.walks_at_once.clamp(1.0, f64::from(cpu.doc().walk.walkers));
        let walk_cycles = PageSize::ALL.into_iter().map(of_size).sum::<f64>() / overlap;
        let sum = |of: fn(&Estimate, Kind, PageSize) -> f64| {
            data.iter().flat_map(|kind| PageSize::ALL.map(|size| of(estimate, *kind, size))).sum::<f64>()
        };
        let second_hits = sum(Estimate::first_level_misses) - sum(Estimate::walks);
        Cost {
            walk_cycles,
            second_level_cycles: second_hits * f64::from(cpu.doc().walk.second_level_hit_cycles),
            lost_percent: self.exposed.map(|exposed| {
                // For each cycle of work.
                let lost = exposed * walk_cycles * accesses_per_second / self.clock_hz;
                100.0 * lost / (1.0 + lost)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_core_loses_more_than_all_its_cycles() {
        let cpu = Cpu::named("zen4").unwrap();
        let group =
            |pages| crate::tlb::PageGroup { region: 0, size: PageSize::Size4K, pages, rates: [1.0 / pages, 0.0, 0.0] };
        let demand = crate::tlb::Demand {
            regions: vec![crate::tlb::Region::SCATTERED],
            groups: vec![group(1e9)],
            ..crate::tlb::Demand::default()
        };
        let estimate = crate::tlb::estimate(&cpu, Host::Native, &demand);
        let lost = |rate| CostModel::default().cost(&cpu, Host::Native, &estimate, rate).lost_percent[2];
        // Nearly every access walks for 30 cycles: half the time is lost if 30 cycles of work lie between.
        assert!((lost(3.7e9 / 30.0) - 50.0).abs() < 0.1 && (lost(3.7e9 / 3e5) - 0.01).abs() < 1e-4);
        assert!(lost(1e18) <= 100.0);
    }

    #[test]
    fn flushes_take_their_part_of_a_core() {
        let model = CostModel { flush: [0.0, 37_000.0, 1e9], ..CostModel::default() };
        assert_eq!(model.flush_percent(1000.0), [0.0, 1.0, 100.0]);
        assert_eq!(model.flush_percent(0.0), [0.0; 3]);
    }
}
