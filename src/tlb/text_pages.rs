//! Instruction fetches of BPF programs: how often their pages are walked again.

use super::access::Host;
use super::cpu::{Cpu, Kind};
use super::estimate::{Demand, Estimate, PageGroup, Region, Sweep, estimate};
use super::workload::mix;
use crate::units::PageSize;

/// Pages whose uses differ by no more than this are a group.
const GROUP_RATIO: f64 = 1.1;

/// Where loaded programs lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextMap<'a> {
    /// The programs, by id, and how many of `pages` each has.
    pub programs: &'a [(u64, u32)],
    /// The pages of one program after those of the other: a number for each page, and its size. Programs share pages.
    pub pages: &'a [(u64, PageSize)],
}

/// Which programs run how often.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ProgramUse {
    /// All alike.
    #[default]
    Uniform,
    /// A part of the programs, at least one, gets a part of the runs; the other programs share the rest.
    HotSet {
        /// How many of 100 programs.
        programs_percent: f64,
        /// How many of 100 runs.
        runs_percent: f64,
    },
}

/// Pages of BPF text that are entered equally often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextGroup {
    /// Their size.
    pub size: PageSize,
    /// How many they are.
    pub pages: f64,
    /// Their share of all entries together.
    pub share: f64,
}

/// How BPF programs are run beside everything else that a CPU executes.
#[derive(Clone, Debug, PartialEq)]
pub struct TextUse {
    /// How often a page of BPF text is entered, per second.
    pub entries_per_second: f64,
    /// Pages that hold BPF text in use; their shares add up to 1.
    pub groups: Vec<TextGroup>,
    /// Instruction-side page walks of all other code, per second; each brings a page that is not used again soon.
    pub other_walks_per_second: f64,
    /// The part of these that are for pages of 2M, as the kernel's own text has: they are what pushes a page of 2M out
    /// of the small first-level structure. How large it is hardly matters unless it is next to nothing.
    pub other_2m_share: f64,
}

/// What BPF text misses in the instruction TLBs, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TextMisses {
    /// First-level misses, by page size.
    pub first_level: [f64; 3],
    /// Page walks, by page size.
    pub walks: [f64; 3],
}

impl TextMap<'_> {
    /// The pages in groups: a run of a program enters one of its pages, each as likely. Which programs are hot depends on
    /// their ids and the seed, so that they are the same ones for every allocator.
    pub fn groups(self, usage: ProgramUse, seed: u64) -> Vec<TextGroup> {
        let weights = self.weights(usage, seed);
        let mut entered: Vec<((u64, PageSize), f64)> = Vec::with_capacity(self.pages.len());
        let mut pages = self.pages.iter();
        for (&(_, count), weight) in self.programs.iter().zip(weights) {
            let each = weight / f64::from(count);
            entered.extend(pages.by_ref().take(count as usize).map(|page| (*page, each)));
        }
        // Stable, so that the weights of a page are added up in the order of the programs.
        entered.sort_by_key(|(page, _)| *page);
        let page_of = |programs: &[((u64, PageSize), f64)]| {
            (programs[0].0.1, programs.iter().map(|(_, weight)| weight).sum::<f64>())
        };
        let mut pages: Vec<(PageSize, f64)> = entered.chunk_by(|one, other| one.0 == other.0).map(page_of).collect();
        pages.sort_by(|one, other| one.0.cmp(&other.0).then(other.1.total_cmp(&one.1)));
        let mut groups: Vec<TextGroup> = Vec::new();
        let mut most = f64::INFINITY;
        for (size, share) in pages {
            match groups.last_mut().filter(|group| group.size == size && share * GROUP_RATIO >= most) {
                Some(group) => (group.pages, group.share) = (group.pages + 1.0, group.share + share),
                None => {
                    most = share;
                    groups.push(TextGroup { size, pages: 1.0, share });
                }
            }
        }
        groups
    }

    /// Each program's part of all runs.
    fn weights(self, usage: ProgramUse, seed: u64) -> Vec<f64> {
        let count = self.programs.len();
        let ProgramUse::HotSet { programs_percent, runs_percent } = usage else {
            return vec![1.0 / count as f64; count];
        };
        let hot = ((count as f64 * programs_percent / 100.0).round() as usize).clamp(1, count.max(1));
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&at| (mix(self.programs[at].0 ^ mix(seed)), at));
        let hot_runs = if hot >= count { 1.0 } else { runs_percent / 100.0 };
        let mut weights = vec![0.0; count];
        for (rank, at) in order.into_iter().enumerate() {
            weights[at] = if rank < hot { hot_runs / hot as f64 } else { (1.0 - hot_runs) / (count - hot) as f64 };
        }
        weights
    }
}

/// What BPF text misses.
pub fn text_misses(cpu: &Cpu, host: Host, used: &TextUse) -> TextMisses {
    let total = used.entries_per_second + used.other_walks_per_second;
    if total <= 0.0 || used.groups.is_empty() {
        return TextMisses::default();
    }
    let group = |group: &TextGroup| {
        let rate = used.entries_per_second / total * group.share / group.pages;
        PageGroup { region: group.size as usize, size: group.size, pages: group.pages, rates: [0.0, 0.0, rate] }
    };
    let other_share = |size: PageSize| match size {
        PageSize::Size4K => used.other_walks_per_second / total * (1.0 - used.other_2m_share),
        PageSize::Size2M => used.other_walks_per_second / total * used.other_2m_share,
        PageSize::Size1G => 0.0,
    };
    // By the size of the entries, which is what misses are counted by.
    let other_entries = |entry: PageSize| -> f64 {
        PageSize::ALL.iter().filter(|size| host.entry_size(**size) == entry).map(|size| other_share(*size)).sum()
    };
    // One fetch for each page.
    let other = |size: PageSize| {
        let accesses_per_4k = 1.0 / size.pages() as f64;
        Sweep { stream: size as usize, kind: Kind::Fetch, size, share: other_share(size), accesses_per_4k }
    };
    let pages_of = |size: PageSize| -> f64 {
        let groups = used.groups.iter().filter(|group| group.size == size);
        groups.map(|group| group.pages).sum::<f64>().max(1.0)
    };
    let all = Demand {
        regions: PageSize::ALL.map(|size| Region { slots: [pages_of(size); 3] }).to_vec(),
        groups: used.groups.iter().map(group).collect(),
        sweeps: vec![other(PageSize::Size4K), other(PageSize::Size2M)],
        ..Demand::default()
    };
    let estimate = estimate(cpu, host, &all);
    // What all other code misses comes again in full.
    let rates = |rate: fn(&Estimate, Kind, PageSize) -> f64| {
        PageSize::ALL.map(|size| ((rate(&estimate, Kind::Fetch, size) - other_entries(size)) * total).max(0.0))
    };
    TextMisses { first_level: rates(Estimate::first_level_misses), walks: rates(Estimate::walks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misses(entries_per_second: f64, groups: Vec<TextGroup>) -> TextMisses {
        let used = TextUse { entries_per_second, groups, other_walks_per_second: 1.5e6, other_2m_share: 0.25 };
        text_misses(&Cpu::named("skylake-sp").unwrap(), Host::Native, &used)
    }

    fn walks(entries_per_second: f64, pages: f64, size: PageSize) -> f64 {
        misses(entries_per_second, vec![TextGroup { size, pages, share: 1.0 }]).walks.iter().sum()
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
        assert_eq!(misses(1650.0, vec![]), TextMisses::default());
        // What runs all the time is hardly ever lost: less than once in ten thousand times.
        let walks = walks(1e6, 1.0, PageSize::Size2M);
        assert!(walks < 100.0, "{walks} walks per second");
    }

    #[test]
    fn under_a_hypervisor_with_small_pages_only_entries_of_4k_are_left() {
        let used = TextUse {
            entries_per_second: 1650.0,
            groups: vec![TextGroup { size: PageSize::Size2M, pages: 1.0, share: 1.0 }],
            other_walks_per_second: 1.5e6,
            other_2m_share: 0.25,
        };
        let misses = text_misses(&Cpu::named("zen4").unwrap(), Host::Pages(PageSize::Size4K), &used);
        assert_eq!(misses.walks[1..], [0.0, 0.0]);
        assert!((1500.0..=1650.0).contains(&misses.walks[0]), "{misses:?}");
        assert!(misses.first_level[0] >= misses.walks[0]);
    }

    /// Two programs in page 1, one in pages 1 and 2, one in page 7 of 2M.
    const MAP: TextMap<'_> = TextMap {
        programs: &[(10, 1), (11, 1), (12, 2), (13, 1)],
        pages: &[
            (1, PageSize::Size4K),
            (1, PageSize::Size4K),
            (1, PageSize::Size4K),
            (2, PageSize::Size4K),
            (7, PageSize::Size2M),
        ],
    };

    fn shares(usage: ProgramUse, seed: u64) -> Vec<(PageSize, f64, f64)> {
        let groups = MAP.groups(usage, seed);
        groups.iter().map(|group| (group.size, group.pages, group.share)).collect()
    }

    #[test]
    fn programs_run_alike_and_share_their_pages() {
        let expected = [(PageSize::Size4K, 1.0, 0.625), (PageSize::Size4K, 1.0, 0.125), (PageSize::Size2M, 1.0, 0.25)];
        assert_eq!(shares(ProgramUse::Uniform, 1), expected);
        let many: Vec<(u64, u32)> = (0..1000).map(|id| (id, 1)).collect();
        let pages: Vec<(u64, PageSize)> = (0..1000).map(|page| (page, PageSize::Size4K)).collect();
        let groups = TextMap { programs: &many, pages: &pages }.groups(ProgramUse::Uniform, 1);
        assert_eq!(groups.len(), 1, "pages that are used alike are one group");
        assert!((groups[0].pages, (groups[0].share - 1.0).abs() < 1e-9) == (1000.0, true));
        assert_eq!(TextMap { programs: &[], pages: &[] }.groups(ProgramUse::Uniform, 1), []);
    }

    #[test]
    fn hot_programs_are_drawn_by_id() {
        let hot = |programs_percent, runs_percent| ProgramUse::HotSet { programs_percent, runs_percent };
        for seed in 0..50 {
            // One of four programs gets all runs.
            let one = shares(hot(25.0, 100.0), seed);
            assert_eq!(one.iter().filter(|(_, _, share)| *share > 0.9).count().max(1), 1, "{one:?}");
            assert!((one.iter().map(|(_, _, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        }
        let page_of_13 = |seed| shares(hot(25.0, 100.0), seed).last().map_or(0.0, |(_, _, share)| *share);
        let drawn = (0..400).filter(|seed| page_of_13(*seed) == 1.0).count();
        assert!((60..140).contains(&drawn), "{drawn} of 400 seeds draw one of four");
        assert_eq!(shares(hot(100.0, 30.0), 1), shares(ProgramUse::Uniform, 1), "all are hot");
        assert_eq!(shares(hot(0.001, 40.0), 1).len(), 3, "at least one is hot");
    }

    /// What runs more often stays in the TLBs: a hot set misses less, and never more than each time it is entered.
    #[test]
    fn a_hot_set_misses_less() {
        let programs: Vec<(u64, u32)> = (0..400).map(|id| (id, 1)).collect();
        let pages: Vec<(u64, PageSize)> = (0..400).map(|page| (page / 2, PageSize::Size4K)).collect();
        let map = TextMap { programs: &programs, pages: &pages };
        let of = |usage| misses(1e5, map.groups(usage, 1)).walks[0];
        let uniform = of(ProgramUse::Uniform);
        let mild = of(ProgramUse::HotSet { programs_percent: 10.0, runs_percent: 50.0 });
        let hot = of(ProgramUse::HotSet { programs_percent: 5.0, runs_percent: 90.0 });
        assert!(hot < 0.7 * uniform && hot < mild && mild < uniform && uniform < 1e5, "{hot} {mild} {uniform}");
    }
}
