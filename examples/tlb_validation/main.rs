//! Prints what the TLB model says where others have published something, as Markdown; see `scripts/tlb-validation.sh`.

mod grid;
mod memory;

use fragsim::rng::{Component, Stream};
use fragsim::tlb::{
    Access, Cost, CostModel, Cpu, Home, Host, Kind, LeafMap, Simulator, TextGroup, TextUse, Workload, text_misses,
};
use fragsim::units::PageSize;
use memory::{Memory, cpu, one_class};
use serde_json::json;

/// A core with one structure that all sizes share.
fn shared(entries: u32) -> Cpu {
    let structure =
        json!({ "name": "all", "level": 1, "pages": ["4K", "2M", "1G"], "entries": entries, "ways": "full" });
    Cpu::from_value(&json!({ "name": "shared", "structures": [structure] })).expect("the core is right")
}

fn mixed_map() {
    println!("## A partly split map\n");
    println!("64 GiB used evenly inside each block of 2 MiB, Zipf 0.9 over blocks; misses per access of one fully");
    println!(
        "associative structure. Published: one draw of the split blocks; fragsim: mean (least to most) of 16 draws.\n"
    );
    println!("| entries | blocks split | published | fragsim |\n|--:|--:|--:|--:|");
    let workload = one_class(64, &json!({ "zipf": 0.9 }));
    for (entries, published) in [
        (3072, [(0.0, 0.425), (1.0, 0.442), (10.0, 0.481), (25.0, 0.587), (50.0, 0.688), (100.0, 0.971)]),
        (1536, [(0.0, 0.519), (1.0, 0.522), (10.0, 0.550), (25.0, 0.611), (50.0, 0.739), (100.0, 0.985)]),
    ] {
        for (percent, figure) in published {
            let draw = |draw: u32| {
                let memory = Memory::movable(64, PageSize::Size2M).split(Home::Movable, percent, draw);
                memory.estimate(&shared(entries), &memory.place(&workload, u64::from(draw))).total_walks()
            };
            let all: Vec<f64> = (0..16).map(draw).collect();
            let (least, most) = (all.iter().copied().fold(1.0, f64::min), all.iter().copied().fold(0.0, f64::max));
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            println!("| {entries} | {percent} % | {figure:.3} | {mean:.3} ({least:.3} to {most:.3}) |");
        }
    }
    println!();
}

fn text_pages() {
    println!("## BPF text on one page of 2M or on 50 of 4K\n");
    println!(
        "Song Liu, July 2022: about 300 and 1600 instruction walks per second for BPF, of 1.5 million in all. Free is how"
    );
    println!(
        "often programs run (set so that the first figure comes out), and the part of other walks for pages of 2M (25 %).\n"
    );
    println!(
        "| core | programs run per second | 1 page of 2M | 50 pages of 4K | difference at 100 cycles each |\n|---|--:|--:|--:|--:|"
    );
    for (core, runs) in
        [("skylake-sp", 1650.0), ("cascadelake-sp", 1650.0), ("broadwell-ep", 1650.0), ("icelake-sp", 1650.0)]
    {
        let walks = |pages: f64, size| {
            let used = TextUse {
                entries_per_second: runs,
                groups: vec![TextGroup { size, pages, share: 1.0 }],
                other_walks_per_second: 1.5e6,
                other_2m_share: 0.25,
            };
            text_misses(&cpu(core), Host::Native, &used).walks.iter().sum::<f64>()
        };
        let (one, fifty) = (walks(1.0, PageSize::Size2M), walks(50.0, PageSize::Size4K));
        let percent = (fifty - one) * 100.0 / 2e9 * 100.0;
        println!("| {core} | {runs} | {one:.0} | {fifty:.0} | {percent:.4} % of a core |");
    }
    println!();
}

fn web_service() {
    println!("## A web service on a split direct map\n");
    println!(
        "Song Liu, May to June 2022: packs of 4K +0.5..0.7 %, packs of 2M 0.1 to 0.2 points more, a fragmented direct map of"
    );
    println!(
        "the order of 1 %. Hosts, memory and direct maps are not known, so that these are no predictions: 64 GiB, workload"
    );
    println!(
        "`web-server`, 30 million kernel accesses a second, walks of 30, 22 and 15 cycles. The share of unmovable blocks"
    );
    println!("that are split is free, and so is the exposed share (5 %, 33 %, 100 %).\n");
    println!(
        "| core | unmovable blocks split | walks per 1000 accesses | time lost more than without splits |\n|---|--:|--:|--:|"
    );
    let workload = Workload::named("web-server").expect("it is a preset");
    for core in ["skylake-sp", "icelake-sp", "zen4"] {
        let core = cpu(core);
        let mut base = None;
        for percent in [0.0, 5.0, 10.0, 25.0, 50.0, 100.0] {
            let memory = Memory::new(64, PageSize::Size2M).split(Home::Unmovable, percent, 0);
            let estimated = memory.estimate(&core, &memory.place(&workload, 1));
            let rate = workload.doc().accesses_per_second as f64;
            let Cost { lost_percent, .. } = CostModel::default().cost(&core, Host::Native, &estimated, rate);
            let base = *base.get_or_insert(lost_percent);
            let [least, likely, most] = [0, 1, 2].map(|at| lost_percent[at] - base[at]);
            let walks = estimated.total_walks() * 1000.0;
            println!("| {} | {percent} % | {walks:.1} | {likely:.2} % ({least:.2} to {most:.2}) |", core.doc().name);
        }
    }
    println!();
    blocks_that_explain_it(&workload);
}

/// How many blocks have to be split for the published gains.
fn blocks_that_explain_it(workload: &Workload) {
    println!(
        "Turned round: how many of 100 unmovable blocks have to be split, or kept whole, for what was measured. Text on a"
    );
    println!(
        "page of 2M cannot be the reason for the 0.1 to 0.2 points (see above: below 0.01 %), fewer splits can.\n"
    );
    println!(
        "| core | +0.5..0.7 % (pages for each program to packs of 4K) | 0.1..0.2 points more (packs of 2M), from there |"
    );
    println!("|---|--:|--:|");
    for core in ["skylake-sp", "icelake-sp", "zen4"] {
        let core = cpu(core);
        let lost = |percent: f64| {
            let memory = Memory::new(64, PageSize::Size2M).split(Home::Unmovable, percent, 0);
            let estimated = memory.estimate(&core, &memory.place(workload, 1));
            let rate = workload.doc().accesses_per_second as f64;
            CostModel::default().cost(&core, Host::Native, &estimated, rate).lost_percent[1]
        };
        let reached = |from: f64, points: f64| {
            let base = lost(from);
            let (mut low, mut high) = (from, 100.0);
            for _ in 0..12 {
                let middle = (low + high) / 2.0;
                if lost(middle) - base < points { low = middle } else { high = middle }
            }
            high - from
        };
        let packs = [0.5, 0.7].map(|points| reached(0.0, points));
        let more = [0.1, 0.2].map(|points| reached(packs[0], points));
        println!("| {} | {:.1} to {:.1} | {:.1} to {:.1} |", core.doc().name, packs[0], packs[1], more[0], more[1]);
    }
    println!();
}

/// Pages of 4K, each in a GiB of its own, used alike: cycles per access of walks, and of hits in the second level.
fn sparse_use(core: &Cpu, pages: u64, size: PageSize) -> [f64; 2] {
    const ACCESSES: usize = 1_000_000;
    let mut stream = Stream::new(1, Component::Accesses, 0);
    let places: Vec<u64> = (1..=pages).map(|gib| (gib << 30) + (stream.below(1 << 18) << 12)).collect();
    let accesses: Vec<Access> = (0..2 * ACCESSES).map(|_| Access::load(places[stream.below(pages) as usize])).collect();
    let (mut simulator, leaves) = (Simulator::new(core, Host::Native, 1), LeafMap::uniform(size));
    simulator.run(&leaves, &accesses[..ACCESSES]);
    simulator.reset_counts(core);
    simulator.run(&leaves, &accesses[ACCESSES..]);
    let counts = simulator.counts();
    let (walks, misses) = (counts.walks(Kind::Load, size), counts.first_level_misses(Kind::Load, size));
    let hit = f64::from(core.doc().walk.second_level_hit_cycles);
    let walk = CostModel::default().walk_cycles(Host::Native, size);
    [walks as f64 * walk, (misses - walks) as f64 * hit].map(|cycles| cycles / ACCESSES as f64)
}

fn scattered_pages() {
    println!(
        "Few pages far apart are one entry each, whatever their size, and most structures have more entries for smaller"
    );
    println!(
        "ones. Cycles per access of walks + of hits in the second level, simulated, when so many pages of 4K are used"
    );
    println!("alike, each in a GiB of its own: here 4K can be best.\n");
    println!("| core | pages | 4K | 2M | 1G |\n|---|--:|--:|--:|--:|");
    for core in ["broadwell-ep", "skylake-sp", "icelake-sp", "zen2", "zen4"] {
        for pages in [16, 60, 250] {
            let cell = |size| {
                let [walks, hits] = sparse_use(&cpu(core), pages, size);
                format!("{walks:.2} + {hits:.2}")
            };
            let [small, middle, large] = PageSize::ALL.map(cell);
            println!("| {core} | {pages} | {small} | {middle} | {large} |");
        }
    }
    println!();
}

fn whole_gigabytes() {
    println!("## Which page size is best\n");
    println!(
        "Xing Zhengjun, January 2021: of 259 cases on four servers 1G was best in 45 %, 2M in about 30 %, 4K in about 20 %."
    );
    println!(
        "Walk cycles per access, Zipf 1.2 over the blocks of a working set: dense use, in which 4K is never best.\n"
    );
    println!("| core | working set | 4K | 2M | 1G |\n|---|--:|--:|--:|--:|");
    for core in ["broadwell-ep", "skylake-sp", "icelake-sp", "zen2", "zen4"] {
        for gib in [16, 64, 256, 512] {
            let cycles = PageSize::ALL.map(|size| {
                let memory = Memory::movable(gib, size);
                let workload = one_class(gib, &json!({ "zipf": 1.2 }));
                let estimated = memory.estimate(&cpu(core), &memory.place(&workload, 1));
                CostModel::default().cost(&cpu(core), Host::Native, &estimated, 1e6).walk_cycles
            });
            println!("| {core} | {gib} GiB | {:.2} | {:.2} | {:.2} |", cycles[0], cycles[1], cycles[2]);
        }
    }
    println!();
}

fn main() {
    // `published`, `grid` or `held-out` prints one part alone, the last two of some cores if they are named.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (part, cores) = arguments.split_first().map_or(("", &[][..]), |(part, cores)| (part.as_str(), cores));
    if part.is_empty() || part == "published" {
        println!("# What the TLB model says where others have published something\n");
        println!("Made by `scripts/tlb-validation.sh`. The formulas and their assumptions are in [tlb.md](tlb.md).\n");
        mixed_map();
        text_pages();
        web_service();
        whole_gigabytes();
        scattered_pages();
    }
    if part.is_empty() || part == "grid" {
        grid::print(cores);
    }
    if part.is_empty() || part == "held-out" {
        grid::print_held_out(cores);
    }
}
