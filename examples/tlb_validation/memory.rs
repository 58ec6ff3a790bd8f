//! Memory of a host for the comparisons: page sizes and homes of its blocks.

use fragsim::rng::{Component, Stream};
use fragsim::tlb::{Cpu, Estimate, Home, Host, LeafMap, LeafMapBuilder, Placement, Workload, estimate};
use fragsim::units::PageSize;
use serde_json::{Value, json};

/// Blocks of 2 MiB in 1 GiB.
const BLOCKS: usize = 512;

/// A host's page sizes and homes, block by block.
pub struct Memory {
    sizes: Vec<PageSize>,
    homes: Vec<Home>,
}

impl Memory {
    /// Memory of which every eighth block, drawn at random, is unmovable.
    pub fn new(gib: usize, large: PageSize) -> Self {
        let mut homes = vec![Home::Movable; gib * BLOCKS];
        homes[..gib * BLOCKS / 8].fill(Home::Unmovable);
        Stream::new(7, Component::StartState, 0).shuffle(&mut homes);
        Self { sizes: vec![large; gib * BLOCKS], homes }
    }

    pub fn movable(gib: usize, large: PageSize) -> Self {
        Self { sizes: vec![large; gib * BLOCKS], homes: vec![Home::Movable; gib * BLOCKS] }
    }

    /// Splits this part of the blocks of a home, drawn at random.
    pub fn split(mut self, home: Home, percent: f64, draw: u32) -> Self {
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

    pub fn place(&self, workload: &Workload, seed: u64) -> Placement {
        let blocks: Vec<(u64, Home)> = self.homes.iter().enumerate().map(|(at, home)| (at as u64, *home)).collect();
        Placement::new(workload.doc(), &blocks, seed)
    }

    pub fn estimate(&self, cpu: &Cpu, placement: &Placement) -> Estimate {
        estimate(cpu, Host::Native, &placement.demand(|block| self.sizes[block as usize]))
    }

    pub fn leaves(&self) -> LeafMap {
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
}

pub fn cpu(name: &str) -> Cpu {
    Cpu::named(name).expect("it is a preset")
}

pub fn one_class(gib: usize, pattern: &Value) -> Workload {
    let class = json!({ "name": "all", "memory": "movable", "share_percent": 100, "store_percent": 0,
                        "working_set": format!("{gib}GiB"), "pattern": pattern });
    let doc = json!({ "name": "one class", "accesses_per_second": 30_000_000, "classes": [class] });
    Workload::from_value(&doc).expect("the workload is right")
}
