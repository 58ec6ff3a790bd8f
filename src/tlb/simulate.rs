//! Misses of a placed workload, counted by the simulation instead of estimated.

use super::access::Access;
use super::assess::{Question, leaf_map};
use super::engine::Simulator;
use super::estimate::Estimate;
use super::workload::{Accesses, HostMap, Placement};

/// Accesses that are made at a time.
const BATCH: usize = 2048;
/// Most flushes in one simulation; more of them, and closer together, shorten it.
const MOST_FLUSHES: u64 = 1 << 16;

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Accesses that are counted, after as many that fill the TLBs.
    pub accesses: u64,
    /// Flushes of the whole TLB per access: at most 1.
    pub flush_rate: f64,
}

/// Misses per access.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Simulated {
    /// With the pages as they are and the flushes.
    pub now: Estimate,
    /// The same without flushes.
    pub quiet: Estimate,
    /// If no page were split, without flushes.
    pub whole: Estimate,
}

/// Flushes at regular intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Flushes {
    count: u64,
    /// Accesses from one to the next.
    period: u64,
    /// How many flushes there are for each of these.
    weight: f64,
}

impl Window {
    /// Flushes that stand for this window's. Rates of any size are of use: where less than one flush falls into the
    /// window, one is simulated and counts for less.
    fn flushes(self) -> Flushes {
        let accesses = self.accesses.max(1);
        let rate = self.flush_rate.clamp(0.0, 1.0);
        let period = if rate * accesses as f64 <= 1.0 { accesses } else { ((1.0 / rate) as u64).clamp(1, accesses) };
        Flushes { count: (accesses / period).min(MOST_FLUSHES), period, weight: rate * period as f64 }
    }
}

impl Question {
    /// Looks the workload's accesses up one by one; the same ones, by class and rank, for the same seed on any host.
    ///
    /// The flushed TLBs are empty at the beginning of each interval between two flushes, the others have seen as many
    /// accesses before as are counted.
    pub fn simulate(&self, map: HostMap<'_>, seed: u64, window: Window) -> Simulated {
        let placement = Placement::on_host(self.workload.doc(), map, seed);
        let flushes = window.flushes();
        let (now, whole) = (leaf_map(map), map.unsplit_leaves(self.largest_page));
        let simulator = || Simulator::new(&self.cpu, self.host, seed);
        let mut sides = [(simulator(), &now), (simulator(), &whole)];
        let mut accesses = Batches { accesses: placement.accesses(seed, 0), batch: Vec::with_capacity(BATCH) };
        let counted = flushes.count * flushes.period;
        accesses.drive(counted, |batch| sides.iter_mut().for_each(|(side, leaves)| side.run(leaves, batch)));
        sides.iter_mut().for_each(|(side, _)| side.reset_counts(&self.cpu));
        let mut flushed = simulator();
        for _ in 0..flushes.count {
            if flushes.weight > 0.0 {
                flushed.flush();
            }
            accesses.drive(flushes.period, |batch| {
                sides.iter_mut().for_each(|(side, leaves)| side.run(leaves, batch));
                if flushes.weight > 0.0 {
                    flushed.run(&now, batch);
                }
            });
        }
        let [quiet, whole] = sides.map(|(side, _)| Estimate::counted(side.counts()));
        let now = if flushes.weight > 0.0 {
            quiet.towards(&Estimate::counted(flushed.counts()), flushes.weight)
        } else {
            quiet
        };
        Simulated { now, quiet, whole }
    }
}

/// An endless list of accesses, of which a batch is taken at a time.
struct Batches<'a> {
    accesses: Accesses<'a>,
    batch: Vec<Access>,
}

impl Batches<'_> {
    /// Makes so many accesses; none if the workload has no memory.
    fn drive(&mut self, mut count: u64, mut run: impl FnMut(&[Access])) {
        while count > 0 {
            self.batch.clear();
            self.batch.extend(self.accesses.by_ref().take(count.min(BATCH as u64) as usize));
            if self.batch.is_empty() {
                return;
            }
            run(&self.batch);
            count -= self.batch.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlb::{CostModel, Cpu, Host, ProgramUse, Workload};
    use crate::units::{PAGES_PER_2M, PageSize, Pfn, PfnRange};

    fn question(workload: &str, largest_page: PageSize) -> Question {
        Question {
            cpu: Cpu::named("icelake-sp").unwrap(),
            workload: Workload::named(workload).unwrap(),
            host: Host::Native,
            cost: CostModel::default(),
            text_runs_per_second: 1650.0,
            program_use: ProgramUse::Uniform,
            largest_page,
        }
    }

    fn blocks(first: u64, end: u64) -> PfnRange {
        PfnRange::new(Pfn::new(first * PAGES_PER_2M), Pfn::new(end * PAGES_PER_2M))
    }

    /// 16 GiB of which these blocks are not movable and the first `split` of them split; `largest` elsewhere.
    fn simulate(largest: PageSize, split: u64, not_movable: &[u64], window: Window) -> Simulated {
        let small = (split > 0).then_some((blocks(1024, 1024 + split), PageSize::Size4K));
        let next = (1024 + split).next_multiple_of(512);
        let between = (next > 1024 + split).then_some((blocks(1024 + split, next), PageSize::Size2M));
        let first =
            [(blocks(0, 1), PageSize::Size4K), (blocks(1, 512), PageSize::Size2M), (blocks(512, 1024), largest)];
        let rest = (blocks(next, 8192), largest);
        let pages: Vec<_> = first.into_iter().chain(small).chain(between).chain([rest]).collect();
        let map = HostMap { pages: &pages, not_movable, unplaced: 0 };
        question("web-server", largest).simulate(map, 3, window)
    }

    fn window(accesses: u64, flush_rate: f64) -> Window {
        Window { accesses, flush_rate }
    }

    #[test]
    fn flushes_come_as_often_as_they_are_to() {
        let of = |accesses, rate| {
            let Flushes { count, period, weight } = window(accesses, rate).flushes();
            (count, period, weight)
        };
        assert_eq!(of(1000, 0.0), (1, 1000, 0.0));
        assert_eq!(of(1000, 1e-5), (1, 1000, 0.01));
        assert_eq!(of(1000, 0.01), (10, 100, 1.0));
        assert_eq!(of(1000, 0.6), (1000, 1, 0.6));
        assert_eq!(of(1000, 7.0), (1000, 1, 1.0));
        assert_eq!(of(1 << 20, 1.0), (MOST_FLUSHES, 1, 1.0));
        assert_eq!(of(0, f64::INFINITY), (1, 1, 1.0));
        for rate in [1e-9, 0.001, 0.0013, 0.3, 0.9] {
            let (count, period, weight) = of(100_000, rate);
            assert!(weight <= 1.0 && (weight / period as f64 / rate - 1.0).abs() < 1e-9, "{rate}");
            assert!(count == 1 || 2 * count * period > 100_000, "{rate}: the window is made use of");
        }
    }

    #[test]
    fn a_host_without_a_split_is_as_good_as_whole() {
        let kernel: Vec<u64> = (1024..2024).collect();
        for largest in [PageSize::Size2M, PageSize::Size1G] {
            let none = simulate(largest, 0, &kernel, window(20_000, 0.0));
            assert_eq!((none.now, none.quiet), (none.whole, none.whole), "the accesses are the same");
            let some = simulate(largest, 700, &kernel, window(20_000, 0.0));
            assert_eq!(some.whole, none.whole);
            assert!(some.now.total_walks() > none.now.total_walks() + 0.05);
        }
    }

    #[test]
    fn what_differs_between_allocators_are_pages_not_accesses() {
        let kernel: Vec<u64> = (1024..2024).collect();
        let one_more: Vec<u64> = (1024..2025).collect();
        let walks = |kernel: &[u64]| simulate(PageSize::Size2M, 300, kernel, window(50_000, 0.0)).now.total_walks();
        let difference = (walks(&one_more) - walks(&kernel)).abs();
        // By chance alone, two independent lists of accesses would differ by 0.003 or so.
        assert!(difference < 0.001, "{difference}");
    }

    #[test]
    fn every_flush_empties_the_tlbs() {
        let kernel: Vec<u64> = (1024..2024).collect();
        let of = |accesses, rate| simulate(PageSize::Size2M, 300, &kernel, window(accesses, rate));
        let all = of(20_000, 1.0);
        assert_eq!(all.now.total_walks(), 1.0, "a flush for each access");
        // One after the other, as a user of the simulator would do it.
        let every_500 = of(20_000, 0.002);
        let pages = [
            (blocks(0, 1024), PageSize::Size2M),
            (blocks(1024, 1324), PageSize::Size4K),
            (blocks(1324, 8192), PageSize::Size2M),
        ];
        let map = HostMap { pages: &pages, not_movable: &kernel, unplaced: 0 };
        let question = question("web-server", PageSize::Size2M);
        let placement = Placement::on_host(question.workload.doc(), map, 3);
        let accesses: Vec<Access> = placement.accesses(3, 0).skip(20_000).take(20_000).collect();
        let mut simulator = Simulator::new(&question.cpu, question.host, 3);
        for stretch in accesses.chunks(500) {
            simulator.flush();
            simulator.run(&leaf_map(map), stretch);
        }
        // The first block of a real host is never a page of 2M; here it may be used.
        let (ours, theirs) = (every_500.now.total_walks(), simulator.counts().total_walks() as f64 / 20_000.0);
        assert!((ours - theirs).abs() < 0.001 && ours > every_500.quiet.total_walks() + 0.1, "{ours} {theirs}");
        // Far apart, each costs what it takes to fill the TLBs again, whatever the window.
        let refill = |accesses, rate| {
            let all = of(accesses, rate);
            (all.now.total_walks() - all.quiet.total_walks()) / rate
        };
        let (rare, rarer) = (refill(40_000, 1.0 / 40_000.0), refill(40_000, 1e-9));
        assert!((rare / rarer - 1.0).abs() < 1e-3, "{rare} {rarer}");
        assert!((200.0..2048.0).contains(&rare), "{rare} walks after a flush of 2048 entries");
    }
}
