//! What a host's page sizes cost: a workload placed on it, misses estimated, cycles counted.

use super::access::{Access, Host};
use super::cost::{Cost, CostModel};
use super::cpu::{Cpu, Kind, Level};
use super::estimate::{Demand, Estimate, estimate};
use super::leaves::{LeafMap, LeafMapBuilder};
use super::text_pages::{ProgramUse, TextGroup, TextMap, TextMisses, TextUse, text_misses};
use super::workload::{HostMap, Placement, Workload};
use crate::units::{PAGE_BYTES, PageSize};

/// Instruction-side walks of all code but BPF, per second of one CPU: 1.5 million on a web server (Song Liu, v5 of
/// "bpf_prog_pack followup", July 2022).
const OTHER_TEXT_WALKS_PER_SECOND: f64 = 1.5e6;
/// The part of them that is for pages of 2 MiB; how large it is hardly matters.
const OTHER_TEXT_2M_SHARE: f64 = 0.25;

/// What is asked about a host.
#[derive(Clone, Debug)]
pub struct Question {
    /// The core.
    pub cpu: Cpu,
    /// What it does with the kernel's memory.
    pub workload: Workload,
    /// What lies between the host and the hardware.
    pub host: Host,
    /// What walks take.
    pub cost: CostModel,
    /// How often a page of BPF text is entered, per second of one CPU.
    pub text_runs_per_second: f64,
    /// Which programs that is for.
    pub program_use: ProgramUse,
    /// The largest page that the direct map may use.
    pub largest_page: PageSize,
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Misses per access with the pages as they are.
    pub estimate: Estimate,
    /// Their cost.
    pub cost: Cost,
    /// Misses per access if no page were split: each as large as alignment and RAM allow.
    pub whole: Estimate,
    /// Their cost.
    pub whole_cost: Cost,
    /// What BPF text misses, per second of one CPU.
    pub text: TextMisses,
    /// Share of cycles that these take if all of them show, in percent.
    pub text_walk_percent: f64,
}

impl Question {
    /// What the workload asks of the TLBs on a host with its pages as they are, and if none of them were split.
    pub fn demands(&self, map: HostMap<'_>, seed: u64) -> [Demand; 2] {
        let placement = Placement::on_host(self.workload.doc(), map, seed);
        let leaves = leaf_map(map);
        let size = |block: u64| leaves.size_at(Access::load(block << 21)).unwrap_or(PageSize::Size4K);
        [placement.demand(size), placement.demand(map.unsplit(self.largest_page))]
    }

    /// Misses per access for a demand.
    pub fn estimate(&self, demand: &Demand) -> Estimate {
        estimate(&self.cpu, self.host, demand)
    }

    /// The pages that hold the programs that run, by how often they are entered.
    pub fn text_groups(&self, text: TextMap<'_>, seed: u64) -> Vec<TextGroup> {
        text.groups(self.program_use, seed)
    }

    /// What BPF text on these pages misses, per second of one CPU.
    pub fn text_misses(&self, groups: &[TextGroup]) -> TextMisses {
        let used = TextUse {
            entries_per_second: self.text_runs_per_second,
            groups: groups.to_vec(),
            other_walks_per_second: OTHER_TEXT_WALKS_PER_SECOND,
            other_2m_share: OTHER_TEXT_2M_SHARE,
        };
        text_misses(&self.cpu, self.host, &used)
    }

    /// What the misses cost, with the pages as they are and if none were split, and those of BPF text.
    pub fn answer(&self, [now, whole]: [Estimate; 2], text: TextMisses) -> Answer {
        let rate = self.workload.doc().accesses_per_second as f64;
        let cost = |estimate: &Estimate| self.cost.cost(&self.cpu, self.host, estimate, rate);
        let cycles = PageSize::ALL.map(|size| text.walks[size as usize] * self.cost.walk_cycles(self.host, size));
        Answer {
            estimate: now,
            cost: cost(&now),
            whole,
            whole_cost: cost(&whole),
            text,
            text_walk_percent: 100.0 * cycles.iter().sum::<f64>() / self.cost.clock_hz,
        }
    }

    /// Page walks that one flush of the whole TLB causes at most: as many as its last level has entries for data.
    pub fn walks_after_flush(&self) -> u64 {
        let entries = |level| -> u64 {
            let structures = self.cpu.doc().structures.iter();
            let of_level = structures.filter(|one| one.level == level && one.serves.contains(&Kind::Load));
            of_level.map(|structure| u64::from(structure.entries)).sum()
        };
        match entries(Level::Second) {
            0 => entries(Level::First),
            second => second,
        }
    }
}

pub(super) fn leaf_map(map: HostMap<'_>) -> LeafMap {
    let mut builder = LeafMapBuilder::new();
    for (range, size) in map.pages {
        let (start, bytes) = (range.start().get() * PAGE_BYTES, range.pages() * PAGE_BYTES);
        builder.map(start, bytes, *size).expect("the ranges of a direct map do not overlap");
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{PAGES_PER_2M, Pfn, PfnRange};

    fn question(workload: &str) -> Question {
        Question {
            cpu: Cpu::named("icelake-sp").unwrap(),
            workload: Workload::named(workload).unwrap(),
            host: Host::Native,
            cost: CostModel::default(),
            text_runs_per_second: 1650.0,
            program_use: ProgramUse::Uniform,
            largest_page: PageSize::Size2M,
        }
    }

    fn blocks(first: u64, end: u64) -> PfnRange {
        PfnRange::new(Pfn::new(first * PAGES_PER_2M), Pfn::new(end * PAGES_PER_2M))
    }

    /// 64 GiB of which these blocks are not movable and the first `split` of them split.
    fn answer(question: &Question, split: u64) -> Answer {
        let not_movable: Vec<u64> = (1000..3000).collect();
        let small = (split > 0).then_some((blocks(1000, 1000 + split), PageSize::Size4K));
        let large = [(blocks(1, 1000), PageSize::Size2M), (blocks(1000 + split, 32768), PageSize::Size2M)];
        let first = (blocks(0, 1), PageSize::Size4K);
        let pages: Vec<_> = [first, large[0]].into_iter().chain(small).chain([large[1]]).collect();
        let map = HostMap { pages: &pages, not_movable: &not_movable, unplaced: 0 };
        let text = [TextGroup { size: PageSize::Size4K, pages: 50.0, share: 1.0 }];
        let estimates = question.demands(map, 1).map(|demand| question.estimate(&demand));
        question.answer(estimates, question.text_misses(&text))
    }

    #[test]
    fn more_split_pages_cost_more() {
        let question = question("web-server");
        let walks: Vec<f64> = [0, 20, 200, 2000].map(|split| answer(&question, split).estimate.total_walks()).to_vec();
        assert!(walks.is_sorted() && walks[3] > walks[0] * 1.5, "{walks:?}");
        let none = answer(&question, 0);
        assert!((none.estimate.total_walks() - none.whole.total_walks()).abs() < 1e-12, "nothing is split");
        let all = answer(&question, 2000);
        assert_eq!(all.whole, none.whole);
        assert!(all.cost.lost_percent[1] > all.whole_cost.lost_percent[1]);
    }

    #[test]
    fn text_is_not_the_main_cost() {
        let answer = answer(&question("web-server"), 200);
        assert!(answer.text.walks[0] > 100.0);
        assert!(answer.text_walk_percent < 0.01 && answer.text_walk_percent < answer.cost.lost_percent[1] / 10.0);
    }

    #[test]
    fn a_flush_empties_the_last_level() {
        assert_eq!(question("web-server").walks_after_flush(), 2048);
    }
}
