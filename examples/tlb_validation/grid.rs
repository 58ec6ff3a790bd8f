//! The estimate beside the simulation, for every core, over workloads and split shares.

use fragsim::tlb::{
    Access, Cpu, Doubt, Home, Host, LeafMap, Level, Placement, Replacement, Simulator, Workload, preset_names,
    workload_names,
};
use fragsim::units::PageSize;
use serde_json::json;

use crate::memory::{Memory, cpu, one_class};

/// Accesses that are counted for one cell, after as many of warm-up.
const ACCESSES: usize = 2_000_000;

/// What is accessed, and on which host.
struct Use {
    name: String,
    workload: Workload,
    memory: Box<dyn Fn(PageSize, f64) -> Memory>,
}

/// Uses, each on several hosts.
pub struct Grid {
    uses: Vec<Use>,
    /// Page sizes of the host before anything is split, and the percentage of blocks that is.
    layouts: Vec<(PageSize, f64)>,
    /// Which blocks are used, and which accesses are made.
    seed: u64,
}

impl Grid {
    /// The grid on which the formulas were found and the limits of doubts.
    pub fn known() -> Self {
        Self {
            uses: uses(&[(16, None), (8, Some(0.6)), (64, Some(0.9)), (64, Some(1.2))], &[64], 0),
            layouts: layouts(&[0.0, 1.0, 10.0, 50.0, 100.0], &[0.0, 1.0]),
            seed: 3,
        }
    }

    /// Cases between those and beside them, to which nothing is fitted.
    pub fn held_out() -> Self {
        Self {
            uses: uses(&[(12, None), (6, Some(0.45)), (20, Some(0.75)), (40, Some(1.05))], &[20, 40], 1),
            layouts: layouts(&[0.5, 3.0, 25.0, 75.0], &[0.0, 0.4, 3.0]),
            seed: 11,
        }
    }
}

/// Memory used by one class with these skews, if not evenly, and all presets on hosts of some sizes; `draw` says which
/// blocks are split.
fn uses(classes: &[(usize, Option<f64>)], hosts: &[usize], draw: u32) -> Vec<Use> {
    let of_class = |&(gib, skew): &(usize, Option<f64>)| Use {
        name: skew.map_or_else(|| format!("{gib} GiB uniform"), |skew| format!("{gib} GiB Zipf {skew}")),
        workload: one_class(gib, &skew.map_or_else(|| json!({"uniform": {}}), |skew| json!({ "zipf": skew }))),
        memory: Box::new(move |large, split| Memory::movable(gib, large).split(Home::Movable, split, draw)),
    };
    let of_host = |&gib: &usize| {
        workload_names().map(move |name| Use {
            name: if hosts.len() == 1 { name.to_owned() } else { format!("{name} on {gib} GiB") },
            workload: Workload::named(name).expect("it is a preset"),
            memory: Box::new(move |large, split| Memory::new(gib, large).split(Home::Unmovable, split, draw)),
        })
    };
    classes.iter().map(of_class).chain(hosts.iter().flat_map(of_host)).collect()
}

fn layouts(pages_of_2m: &[f64], pages_of_1g: &[f64]) -> Vec<(PageSize, f64)> {
    let of = |size| move |split: &f64| (size, *split);
    pages_of_2m.iter().map(of(PageSize::Size2M)).chain(pages_of_1g.iter().map(of(PageSize::Size1G))).collect()
}

/// How far the estimate of one cell is from the simulation.
struct Cell {
    core: String,
    place: String,
    what: &'static str,
    estimated: f64,
    simulated: f64,
    /// Why the estimate says that it may be off, if it does.
    doubt: Doubt,
}

impl Cell {
    /// The difference as a multiple of what is allowed: 2 % or 0.002, whichever is more.
    fn off(&self) -> f64 {
        (self.estimated - self.simulated).abs() / (0.02 * self.simulated).max(0.002)
    }

    fn difference(&self) -> String {
        let Self { estimated, simulated, .. } = self;
        let percent = 100.0 * (estimated / simulated - 1.0);
        format!("{estimated:.4} for {simulated:.4} ({percent:+.2} %)")
    }
}

/// First-level misses and walks per access.
fn simulate(core: &Cpu, leaves: &LeafMap, accesses: &[Access]) -> [f64; 2] {
    let mut simulator = Simulator::new(core, Host::Native, 1);
    let (warm_up, counted) = accesses.split_at(ACCESSES);
    simulator.run(leaves, warm_up);
    simulator.reset_counts(core);
    simulator.run(leaves, counted);
    let counts = simulator.counts();
    [counts.total_first_level_misses(), counts.total_walks()].map(|misses| misses as f64 / ACCESSES as f64)
}

fn cells(cores: &[Cpu], grid: &Grid) -> Vec<Cell> {
    let mut cells = Vec::new();
    for Use { name, workload, memory } in &grid.uses {
        // Which blocks are used does not depend on their page sizes, so that all layouts see the same accesses.
        let place = |memory: &Memory| -> Placement { memory.place(workload, grid.seed) };
        let accesses: Vec<Access> =
            place(&memory(PageSize::Size2M, 0.0)).accesses(3 * grid.seed, 0).take(2 * ACCESSES).collect();
        for &(large, split) in &grid.layouts {
            let memory = memory(large, split);
            let (placement, leaves) = (place(&memory), memory.leaves());
            for core in cores {
                let estimated = memory.estimate(core, &placement);
                let simulated = simulate(core, &leaves, &accesses);
                let doubt = estimated.doubt();
                let estimated = [estimated.total_first_level_misses(), estimated.total_walks()];
                for (at, what) in ["first-level misses", "walks"].into_iter().enumerate() {
                    let core = core.doc().name.clone();
                    let place = format!("{name}, pages of {large}, {split} % split");
                    let (estimated, simulated) = (estimated[at], simulated[at]);
                    cells.push(Cell { core, place, what, estimated, simulated, doubt });
                }
            }
        }
    }
    cells
}

/// Prints the grid for the cores of these names, or for all: for each core how many cells are near enough and the worst one, then every cell that is not.
pub fn print(names: &[String]) {
    println!("## The estimate beside the simulation\n");
    println!(
        "Per access and on each core: first-level misses and walks of 16 GiB uniform, 8 GiB Zipf 0.6, 64 GiB Zipf 0.9"
    );
    println!(
        "and 1.2, all of it movable, and of the workloads that come with fragsim on 64 GiB of which every eighth block is"
    );
    println!(
        "unmovable; pages of 2M with 0, 1, 10, 50 and 100 % of the blocks (of the workloads: of the unmovable blocks)"
    );
    println!(
        "split, and pages of 1G with 0 and 1 %; {ACCESSES} accesses after as many of warm-up. Promised are 2 % or 0.002"
    );
    println!("per access, whichever is more.\n");
    println!("| core | cells | within | worst cell | estimated for simulated |\n|---|--:|--:|---|--:|");
    let names = names_or_all(names);
    let cells = cells(&names.iter().map(|name| cpu(name)).collect::<Vec<_>>(), &Grid::known());
    for name in names {
        let of_core = || cells.iter().filter(|cell| cell.core == name);
        let within = of_core().filter(|cell| cell.off() <= 1.0).count();
        let worst = of_core().max_by(|one, other| one.off().total_cmp(&other.off())).expect("every core has cells");
        println!(
            "| {name} | {} | {within} | {}, {} | {} |",
            of_core().count(),
            worst.place,
            worst.what,
            worst.difference()
        );
    }
    doubts(&cells);
    beyond(&cells);
}

/// Prints the cases that nothing is fitted to: how many are near enough, what is said of the others, and what they are.
pub fn print_held_out(names: &[String]) {
    println!("### Cases to which nothing is fitted\n");
    println!(
        "The formulas, what they take from the policies and the limits of the doubts were found on the cases above. These"
    );
    println!(
        "are others, made once all that was settled: 12 GiB uniform, 6 GiB Zipf 0.45, 20 GiB Zipf 0.75 and 40 GiB Zipf"
    );
    println!(
        "1.05, and the workloads on 20 and on 40 GiB; other seeds and other draws of split blocks; pages of 2M with 0.5, 3,"
    );
    println!("25 and 75 % split, and pages of 1G with 0, 0.4 and 3 %.\n");
    let names = names_or_all(names);
    let cells = cells(&names.iter().map(|name| cpu(name)).collect::<Vec<_>>(), &Grid::held_out());
    let within = cells.iter().filter(|cell| cell.off() <= 1.0).count();
    println!("Of {} cells {within} are within.", cells.len());
    doubts(&cells);
    policies(&cells);
    beyond(&cells);
}

fn names_or_all(names: &[String]) -> Vec<String> {
    if names.is_empty() { preset_names().map(str::to_owned).collect() } else { names.to_vec() }
}

type Reason = (&'static str, fn(&Doubt) -> bool);

/// How often estimates say that they may be off, why, and how often they are.
fn doubts(cells: &[Cell]) {
    let count = |is: &dyn Fn(&Cell) -> bool| cells.iter().filter(|cell| is(cell)).count();
    let said = count(&|cell| cell.doubt.any() && cell.off() > 1.0);
    let silent = count(&|cell| !cell.doubt.any() && cell.off() > 1.0);
    let needless = count(&|cell| cell.doubt.any() && cell.off() <= 1.0);
    println!(
        "\nOf those that are not within, the estimate itself says of {said} that it may be off (`estimate_doubt`), of {silent}"
    );
    println!(
        "it does not; of {needless} that are within it says so as well. By reason, of which there may be several:\n"
    );
    println!("| reason | said of | not within | needless |\n|---|--:|--:|--:|");
    let reasons: [Reason; 3] = [
        ("pages_of_1g", |doubt| doubt.pages_of_1g),
        ("replacement", |doubt| doubt.replacement),
        ("sets", |doubt| doubt.sets),
    ];
    for (name, holds) in reasons {
        let of = count(&|cell| holds(&cell.doubt));
        let off = count(&|cell| holds(&cell.doubt) && cell.off() > 1.0);
        println!("| `{name}` | {of} | {off} | {} |", of - off);
    }
}

/// How far the walks of cores with fitted policies are off.
fn policies(cells: &[Cell]) {
    println!("\nWalks of more than 0.01 per access, of cores whose second level is neither LRU nor random:\n");
    println!("| policy | cells | mean difference | least | most |\n|---|--:|--:|--:|--:|");
    for (title, policy) in
        [("tree-PLRU of eight or more ways", Replacement::TreePlru), ("(MRU+1)%3 PLRU4", Replacement::Mru3Plru4)]
    {
        let has = |core: &Cpu| {
            let all = &core.doc().structures;
            all.iter().any(|one| one.level == Level::Second && one.replacement == policy && one.entries >= 512)
        };
        let of_policy =
            cells.iter().filter(|cell| cell.what == "walks" && cell.simulated > 0.01 && has(&cpu(&cell.core)));
        let percents: Vec<f64> = of_policy.map(|cell| 100.0 * (cell.estimated / cell.simulated - 1.0)).collect();
        if percents.is_empty() {
            continue;
        }
        let mean = percents.iter().sum::<f64>() / percents.len() as f64;
        let (least, most) =
            percents.iter().fold((0.0f64, 0.0f64), |(least, most), one| (least.min(*one), most.max(*one)));
        println!("| {title} | {} | {mean:+.2} % | {least:+.2} % | {most:+.2} % |", percents.len());
    }
}

/// Prints every cell that is not within.
fn beyond(cells: &[Cell]) {
    let beyond: Vec<&Cell> = cells.iter().filter(|cell| cell.off() > 1.0).collect();
    if beyond.is_empty() {
        println!("\nAll of the {} cells are within.\n", cells.len());
        return;
    }
    println!("\nOf {} cells {} are not within:\n", cells.len(), beyond.len());
    println!("| core | where | what | estimated for simulated |\n|---|---|---|--:|");
    for cell in beyond {
        println!("| {} | {} | {} | {} |", cell.core, cell.place, cell.what, cell.difference());
    }
    println!();
}
