//! Prints what the TLB model says where others have published something, as Markdown; see `scripts/tlb-validation.sh`.

use fragsim::rng::{Component, Stream};
use fragsim::tlb::{
    Cost, CostModel, Cpu, Estimate, Home, Host, LeafMap, LeafMapBuilder, Placement, Simulator, TextUse, Workload,
    estimate, text_walks_per_second,
};
use fragsim::units::PageSize;
use serde_json::{Value, json};

/// Blocks of 2 MiB in 1 GiB.
const BLOCKS: usize = 512;
/// Accesses that are simulated for one cell of the grid.
const ACCESSES: usize = 2_000_000;

/// A host's page sizes and homes, block by block.
struct Memory {
    sizes: Vec<PageSize>,
    homes: Vec<Home>,
}

impl Memory {
    /// Memory of which every eighth block, scattered, is unmovable.
    fn new(gib: usize, large: PageSize) -> Self {
        let home = |block: u64| match block.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61 {
            0 => Home::Unmovable,
            _ => Home::Movable,
        };
        Self { sizes: vec![large; gib * BLOCKS], homes: (0..(gib * BLOCKS) as u64).map(home).collect() }
    }

    fn movable(gib: usize, large: PageSize) -> Self {
        Self { sizes: vec![large; gib * BLOCKS], homes: vec![Home::Movable; gib * BLOCKS] }
    }

    /// Splits this part of the blocks of a home, drawn at random.
    fn split(mut self, home: Home, percent: f64, draw: u32) -> Self {
        let mut blocks: Vec<usize> = (0..self.sizes.len()).filter(|block| self.homes[*block] == home).collect();
        Stream::new(5, Component::StartState, draw).shuffle(&mut blocks);
        for &block in &blocks[..(blocks.len() as f64 * percent / 100.0).round() as usize] {
            let gib = block / BLOCKS * BLOCKS;
            let whole = self.sizes[gib..gib + BLOCKS].iter_mut().filter(|size| **size == PageSize::Size1G);
            whole.for_each(|size| *size = PageSize::Size2M);
            self.sizes[block] = PageSize::Size4K;
        }
        self
    }

    fn place(&self, workload: &Workload, seed: u64) -> Placement {
        let blocks: Vec<(u64, Home)> = self.homes.iter().enumerate().map(|(at, home)| (at as u64, *home)).collect();
        Placement::new(workload.doc(), &blocks, seed)
    }

    fn estimate(&self, cpu: &Cpu, placement: &Placement) -> Estimate {
        estimate(cpu, Host::Native, &placement.demand(|block| self.sizes[block as usize]))
    }

    fn leaves(&self) -> LeafMap {
        let mut builder = LeafMapBuilder::new();
        for (gib, sizes) in self.sizes.chunks(BLOCKS).enumerate() {
            let start = (gib as u64) << 30;
            if sizes[0] == PageSize::Size1G {
                builder.map(start, 1 << 30, PageSize::Size1G).expect("each GiB is mapped once");
                continue;
            }
            for (block, size) in sizes.iter().enumerate() {
                builder.map(start + ((block as u64) << 21), 2 << 20, *size).expect("each block is mapped once");
            }
        }
        builder.build()
    }

    /// Walks per access, after as many accesses of warm-up.
    fn simulate(&self, cpu: &Cpu, placement: &Placement) -> f64 {
        let leaves = self.leaves();
        let mut accesses = placement.accesses(9, 0);
        let mut simulator = Simulator::new(cpu, Host::Native, 1);
        simulator.run(&leaves, &accesses.by_ref().take(ACCESSES).collect::<Vec<_>>());
        simulator.reset_counts(cpu);
        simulator.run(&leaves, &accesses.take(ACCESSES).collect::<Vec<_>>());
        simulator.counts().total_walks() as f64 / ACCESSES as f64
    }
}

fn cpu(name: &str) -> Cpu {
    Cpu::named(name).expect("it is a preset")
}

fn one_class(gib: usize, pattern: &Value) -> Workload {
    let class = json!({ "name": "all", "memory": "movable", "share_percent": 100, "store_percent": 0,
                        "working_set": format!("{gib}GiB"), "pattern": pattern });
    let doc = json!({ "name": "one class", "accesses_per_second": 30_000_000, "classes": [class] });
    Workload::from_value(&doc).expect("the workload is right")
}

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
            let used =
                TextUse { entries_per_second: runs, pages, size, other_walks_per_second: 1.5e6, other_2m_share: 0.25 };
            text_walks_per_second(&cpu(core), Host::Native, &used)
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
}

fn whole_gigabytes() {
    println!("## Which page size is best\n");
    println!(
        "Xing Zhengjun, January 2021: of 259 cases on four servers 1G was best in 45 %, 2M in about 30 %, 4K in about 20 %."
    );
    println!(
        "Walk cycles per access, Zipf 1.2 over the blocks of a working set; there is no case in which 4K is best, because"
    );
    println!("nothing but walks is counted.\n");
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

fn grid() {
    println!("## The estimate beside the simulation\n");
    println!(
        "Walks per access on each core: 16 GiB uniform, 8 GiB Zipf 0.6, 64 GiB Zipf 0.9 and 1.2; pages of 2M with 0, 1, 10, 50"
    );
    println!(
        "and 100 % of the blocks split, and pages of 1G with 0 and 1 %; {ACCESSES} accesses after as many of warm-up. Promised are"
    );
    println!("2 % or 0.002, whichever is more; cores whose policies are taken for LRU may miss that.\n");
    println!(
        "| core | cells | within | largest difference, in % or as walks per access, at simulated walks |\n|---|--:|--:|--:|"
    );
    for name in fragsim::tlb::preset_names() {
        let core = cpu(name);
        let (mut cells, mut within, mut worst) = (0, 0, (0.0, String::new()));
        for (gib, pattern) in [
            (16, json!({"uniform": {}})),
            (8, json!({"zipf": 0.6})),
            (64, json!({"zipf": 0.9})),
            (64, json!({"zipf": 1.2})),
        ] {
            let workload = one_class(gib, &pattern);
            let two = [0.0, 1.0, 10.0, 50.0, 100.0].map(|percent| (PageSize::Size2M, percent));
            for (large, percent) in two.into_iter().chain([(PageSize::Size1G, 0.0), (PageSize::Size1G, 1.0)]) {
                let memory = Memory::movable(gib, large).split(Home::Movable, percent, 0);
                let placement = memory.place(&workload, 3);
                let estimated = memory.estimate(&core, &placement).total_walks();
                let simulated = memory.simulate(&core, &placement);
                let off = (estimated - simulated).abs();
                let allowed = (0.02 * simulated).max(0.002);
                cells += 1;
                within += u32::from(off <= allowed);
                if off / allowed > worst.0 {
                    let percent = 100.0 * (estimated / simulated - 1.0);
                    let text = format!("{percent:+.2} % or {:+.4} at {simulated:.4}", estimated - simulated);
                    worst = (off / allowed, text);
                }
            }
        }
        println!("| {name} | {cells} | {within} | {} |", worst.1);
    }
    println!();
}

fn main() {
    println!("# What the TLB model says where others have published something\n");
    println!("Made by `scripts/tlb-validation.sh`. The formulas and their assumptions are in [tlb.md](tlb.md).\n");
    mixed_map();
    text_pages();
    web_service();
    whole_gigabytes();
    grid();
}
