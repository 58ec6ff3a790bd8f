//! The estimate beside the simulation, for every core, over workloads and split shares.

use fragsim::tlb::{Access, Cpu, Home, Host, LeafMap, Placement, Simulator, Workload, preset_names, workload_names};
use fragsim::units::PageSize;
use serde_json::json;

use crate::memory::{Memory, cpu, one_class};

/// Accesses that are counted for one cell, after as many of warm-up.
const ACCESSES: usize = 2_000_000;
/// Page sizes of the host before anything is split, and the percentage of blocks that is.
const LAYOUTS: [(PageSize, f64); 7] = [
    (PageSize::Size2M, 0.0),
    (PageSize::Size2M, 1.0),
    (PageSize::Size2M, 10.0),
    (PageSize::Size2M, 50.0),
    (PageSize::Size2M, 100.0),
    (PageSize::Size1G, 0.0),
    (PageSize::Size1G, 1.0),
];

/// What is accessed, and on which host.
struct Use {
    name: String,
    workload: Workload,
    memory: fn(PageSize, f64) -> Memory,
}

fn uses() -> Vec<Use> {
    let one = |name: &str, gib: usize, pattern, memory| Use {
        name: name.to_owned(),
        workload: one_class(gib, &pattern),
        memory,
    };
    let mut uses = vec![
        one("16 GiB uniform", 16, json!({"uniform": {}}), |large, split| movable(16, large, split)),
        one("8 GiB Zipf 0.6", 8, json!({"zipf": 0.6}), |large, split| movable(8, large, split)),
        one("64 GiB Zipf 0.9", 64, json!({"zipf": 0.9}), |large, split| movable(64, large, split)),
        one("64 GiB Zipf 1.2", 64, json!({"zipf": 1.2}), |large, split| movable(64, large, split)),
    ];
    for name in workload_names() {
        uses.push(Use {
            name: name.to_owned(),
            workload: Workload::named(name).expect("it is a preset"),
            memory: |large, split| Memory::new(64, large).split(Home::Unmovable, split, 0),
        });
    }
    uses
}

fn movable(gib: usize, large: PageSize, split: f64) -> Memory {
    Memory::movable(gib, large).split(Home::Movable, split, 0)
}

/// How far the estimate of one cell is from the simulation.
struct Cell {
    core: String,
    place: String,
    what: &'static str,
    estimated: f64,
    simulated: f64,
    /// Whether the estimate says that it may be off.
    doubted: bool,
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

fn cells(cores: &[Cpu]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for Use { name, workload, memory } in uses() {
        // Which blocks are used does not depend on their page sizes, so that all layouts see the same accesses.
        let place = |memory: &Memory| -> Placement { memory.place(&workload, 3) };
        let accesses: Vec<Access> = place(&memory(PageSize::Size2M, 0.0)).accesses(9, 0).take(2 * ACCESSES).collect();
        for (large, split) in LAYOUTS {
            let memory = memory(large, split);
            let (placement, leaves) = (place(&memory), memory.leaves());
            for core in cores {
                let estimated = memory.estimate(core, &placement);
                let simulated = simulate(core, &leaves, &accesses);
                let doubted = estimated.doubt().any();
                let estimated = [estimated.total_first_level_misses(), estimated.total_walks()];
                for (at, what) in ["first-level misses", "walks"].into_iter().enumerate() {
                    let core = core.doc().name.clone();
                    let place = format!("{name}, pages of {large}, {split} % split");
                    let (estimated, simulated) = (estimated[at], simulated[at]);
                    cells.push(Cell { core, place, what, estimated, simulated, doubted });
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
    let names = if names.is_empty() { preset_names().map(str::to_owned).collect() } else { names.to_vec() };
    let cells = cells(&names.iter().map(|name| cpu(name)).collect::<Vec<_>>());
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
    let said = cells.iter().filter(|cell| cell.doubted && cell.off() > 1.0).count();
    let silent = cells.iter().filter(|cell| !cell.doubted && cell.off() > 1.0).count();
    let needless = cells.iter().filter(|cell| cell.doubted && cell.off() <= 1.0).count();
    println!(
        "\nOf those that are not within, the estimate itself says of {said} that it may be off (`estimate_doubt`), of {silent}"
    );
    println!("it does not; of {needless} that are within it says so as well.");
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
