//! How fast the two TLB engines are, on the accesses of `scripts/tlb-peer.c`: pages drawn with Zipf skew, spread by a
//! multiplication. `scripts/tlb-bench.sh` runs both and cachegrind.
//!
//! All lists but the last miss far more often than programs do; in the last one 90 of 100 accesses go to one of the eight
//! pages used last, so that some 5 to 15 of 100 miss in the first level. The simulation spends two thirds of its time on the
//! look-ups; the estimate is bound by the exponential function, some ten thousand times a layout.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fragsim::tlb::{
    Access, Cpu, Demand, Host, LeafMap, LeafMapBuilder, PageGroup, Region, Simulator, estimate, rank_classes,
};
use fragsim::units::PageSize;

/// Accesses of one list.
const ACCESSES: usize = 1 << 20;

/// Pages drawn with Zipf skew, as the peer draws them.
fn zipf_pages(pages: u64, skew: f64) -> Vec<u64> {
    let mut total = 0.0;
    let sums: Vec<f64> = (1..=pages)
        .map(|rank| {
            total += (rank as f64).powf(-skew);
            total
        })
        .collect();
    let mut state = 88_172_645_463_325_252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 * total
    };
    let spread = |rank: u64| rank.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - pages.trailing_zeros());
    (0..ACCESSES)
        .map(|_| {
            let at = next();
            spread(sums.partition_point(|sum| *sum < at) as u64)
        })
        .collect()
}

/// Half of all GiB whole, the others in pages of 2M of which every fourth is split.
fn three_sizes(gib: u64) -> LeafMap {
    let mut builder = LeafMapBuilder::new();
    for at in 0..gib {
        if at % 2 == 0 {
            builder.map(at << 30, 1 << 30, PageSize::Size1G).expect("each GiB is mapped once");
            continue;
        }
        for block in 0..512 {
            let size = if block % 4 == 0 { PageSize::Size4K } else { PageSize::Size2M };
            builder.map(at << 30 | block << 21, 2 << 20, size).expect("each block is mapped once");
        }
    }
    builder.build()
}

/// A list with the locality of a program: 90 of 100 accesses go to one of eight pages in use, of which the others replace
/// one each.
fn with_locality(fresh: &[u64]) -> Vec<u64> {
    let mut state = 1u64;
    let mut used = [fresh[0]; 8];
    let access = |address: &u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let slot = &mut used[(state >> 32) as usize % 8];
        if state % 100 >= 90 {
            *slot = *address;
        }
        *slot
    };
    fresh.iter().map(access).collect()
}

/// A list on a core, again and again. The throughput is in translations.
fn simulate(c: &mut Criterion, name: &str, cpu: &str, leaves: &LeafMap, addresses: &[u64]) {
    let cpu = Cpu::named(cpu).expect("it is a preset");
    let accesses: Vec<Access> = addresses.iter().map(|address| Access::load(*address)).collect();
    let mut simulator = Simulator::new(&cpu, Host::Native, 1);
    simulator.run(leaves, &accesses);
    let mut group = c.benchmark_group("translations");
    group.throughput(Throughput::Elements(ACCESSES as u64));
    group.sample_size(20);
    group.bench_function(format!("{}, {name}", cpu.doc().name), |b| b.iter(|| simulator.run(leaves, &accesses)));
    group.finish();
}

fn simulations(c: &mut Criterion) {
    let small = LeafMap::uniform(PageSize::Size4K);
    let mixed = three_sizes(64);
    for (name, pages, skew) in [
        ("1048576 pages, Zipf 0.9", 1 << 20, 0.9),
        ("8192 pages, Zipf 0.9", 1 << 13, 0.9),
        ("1024 pages, Zipf 1.1", 1 << 10, 1.1),
    ] {
        let addresses: Vec<u64> = zipf_pages(pages, skew).iter().map(|page| page << 12).collect();
        for cpu in ["broadwell-ep", "skylake-sp", "icelake-sp", "zen4", "neoverse-n1"] {
            simulate(c, &format!("4K, {name}"), cpu, &small, &addresses);
        }
    }
    // 64 GiB by blocks of 2 MiB, one random page in each.
    let blocks = zipf_pages(1 << 15, 0.9);
    let addresses: Vec<u64> =
        blocks.iter().enumerate().map(|(at, block)| block << 21 | (at as u64 * 7919 % 512) << 12).collect();
    for cpu in ["broadwell-ep", "skylake-sp", "icelake-sp", "zen4", "neoverse-n1"] {
        simulate(c, "three page sizes, 64 GiB, Zipf 0.9", cpu, &mixed, &addresses);
        simulate(c, "three page sizes, 64 GiB, 90 % to eight pages in use", cpu, &mixed, &with_locality(&addresses));
    }
}

/// 64 GiB in pages of 2M of which a tenth is split.
fn layout() -> Demand {
    let blocks = 1u64 << 15;
    let mut demand = Demand { regions: vec![Region::contiguous(blocks as f64)], ..Demand::default() };
    for class in rank_classes(blocks, 0.9) {
        let ranks = (class.end - class.start) as f64;
        let each = class.weight / ranks;
        let mut push = |size, pages, rate| {
            demand.groups.push(PageGroup { region: 0, size, pages, rates: [rate, 0.0, 0.0] });
        };
        push(PageSize::Size4K, ranks * 0.1 * 512.0, each / 512.0);
        push(PageSize::Size2M, ranks * 0.9, each);
    }
    demand
}

fn estimates(c: &mut Criterion) {
    let demand = layout();
    for name in ["skylake-sp", "icelake-sp", "zen4"] {
        let cpu = Cpu::named(name).expect("it is a preset");
        c.bench_function(&format!("estimate of a layout, {name}"), |b| {
            b.iter(|| black_box(estimate(&cpu, Host::Native, &demand)));
        });
    }
}

criterion_group!(all, simulations, estimates);
criterion_main!(all);
