//! Instruction fetches of BPF programs: how often their pages are walked again.

use super::access::Host;
use super::cpu::{Cpu, Kind};
use super::estimate::{Demand, PageGroup, Region, Sweep, estimate};
use crate::units::PageSize;

/// How BPF programs are run beside everything else that a CPU executes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextUse {
    /// How often a page of BPF text is entered, per second; every page alike.
    pub entries_per_second: f64,
    /// Pages that hold BPF text in use.
    pub pages: f64,
    /// Their size.
    pub size: PageSize,
    /// Instruction-side page walks of all other code, per second; each brings a page that is not used again soon.
    pub other_walks_per_second: f64,
    /// The part of these that are for pages of 2M, as the kernel's own text has: they are what pushes a page of 2M out
    /// of the small first-level structure. How large it is hardly matters unless it is next to nothing.
    pub other_2m_share: f64,
}

/// Page walks for BPF text per second.
pub fn text_walks_per_second(cpu: &Cpu, host: Host, used: &TextUse) -> f64 {
    let total = used.entries_per_second + used.other_walks_per_second;
    if total <= 0.0 || used.pages <= 0.0 {
        return 0.0;
    }
    let rate = used.entries_per_second / total / used.pages;
    let group = PageGroup { region: 0, size: used.size, pages: used.pages, rates: [0.0, 0.0, rate] };
    let other = |size: PageSize, part: f64| Sweep {
        kind: Kind::Fetch,
        size,
        share: used.other_walks_per_second / total * part,
        // One fetch for each page.
        accesses_per_4k: 1.0 / size.pages() as f64,
    };
    let sweeps = vec![other(PageSize::Size4K, 1.0 - used.other_2m_share), other(PageSize::Size2M, used.other_2m_share)];
    let regions = vec![Region { slots: [used.pages; 3] }];
    let all = Demand { regions, groups: vec![group], sweeps, ..Demand::default() };
    let walks: f64 = PageSize::ALL.iter().map(|size| estimate(cpu, host, &all).walks(Kind::Fetch, *size)).sum();
    (walks * total - used.other_walks_per_second).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walks(entries_per_second: f64, pages: f64, size: PageSize) -> f64 {
        let used = TextUse { entries_per_second, pages, size, other_walks_per_second: 1.5e6, other_2m_share: 0.25 };
        text_walks_per_second(&Cpu::named("skylake-sp").unwrap(), Host::Native, &used)
    }

    /// Song Liu, July 2022: 300 BPF instruction walks per second with one page of 2M, 1600 with about 50 of 4K, of
    /// 1.5 million in all. One number is free, how often programs run; it is set so that the first comes out.
    #[test]
    fn one_page_of_2m_against_fifty_of_4k() {
        let (one, fifty) = (walks(1650.0, 1.0, PageSize::Size2M), walks(1650.0, 50.0, PageSize::Size4K));
        assert!((200.0..400.0).contains(&one), "{one} walks per second with one page of 2M");
        assert!((1400.0..1700.0).contains(&fifty), "{fifty} walks per second with 50 pages of 4K");
        // 30 to 100 cycles each are less than a hundredth of a percent of a core.
        assert!((fifty - one) * 100.0 / 2e9 < 1e-4);
    }

    #[test]
    fn text_that_never_runs_is_never_walked() {
        assert_eq!(walks(0.0, 50.0, PageSize::Size4K), 0.0);
        // What runs all the time is hardly ever lost: less than once in ten thousand times.
        assert!(walks(1e6, 1.0, PageSize::Size2M) < 100.0);
    }
}
