//! What a page costs.
//!
//! * `pair`: one page taken and given back through the per-CPU list. Bounded by the list itself and the look-up of the
//!   pageblock's type when the page comes back.
//! * `refill`: pages taken one after another, so that each list refill cuts blocks of the buddy: bounded by list
//!   nodes and the index of free blocks.
//! * `bulk`: a million pages from whole blocks; the cost of a step is that of 4 MiB, not of a page.
//! * `aged`: as `refill`, on a host where each free block has to be given a place first.
//! * `create` and `clone`: the memory of a 16 TiB host.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fragsim::memory::{Aged, Memory, MemoryLayout, MemorySetup, MigrateType, PageAllocRules, StartState, memblock};
use fragsim::units::{Bytes, Order};
use std::hint::black_box;

const PAGES: u64 = 10_000;

fn memory(gib: u64, start: &StartState) -> Memory {
    let layout = MemoryLayout::server(Bytes::new(gib << 30), 1).expect("a plain server");
    let reserved = memblock::boot_reserved(&layout);
    let rules = PageAllocRules::v6_1();
    let setup = MemorySetup { layout: &layout, reserved: &reserved, start, rules, cpus: 8, seed: 1, run: 0 };
    Memory::new(&setup).expect("the start state fits")
}

fn take(memory: &mut Memory) {
    for _ in 0..PAGES {
        black_box(memory.alloc_page(MigrateType::Unmovable).expect("there is room"));
    }
}

fn pages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory");
    let (fresh, aged) = (StartState::Fresh, StartState::Aged(Aged::month()));
    let mut machine = memory(64, &fresh);
    group.throughput(Throughput::Elements(1));
    group.bench_function("pair", |bench| {
        bench.iter(|| {
            let pfn = machine.alloc_page(MigrateType::Unmovable).expect("there is room");
            machine.free_page(black_box(pfn));
        });
    });
    group.bench_function("pair_order_9", |bench| {
        bench.iter(|| {
            let pfn = machine.alloc_block(Order::PAGEBLOCK, MigrateType::Unmovable).expect("there is room");
            machine.free_block(black_box(pfn), Order::PAGEBLOCK);
        });
    });
    group.throughput(Throughput::Elements(PAGES));
    for (name, start) in [("refill", &fresh), ("aged", &aged)] {
        let prepared = memory(64, start);
        group.bench_function(name, |bench| {
            bench.iter_batched_ref(|| prepared.clone(), take, BatchSize::SmallInput);
        });
    }
    let mut used = memory(64, &fresh);
    let held: Vec<_> = (0..PAGES).filter_map(|_| used.alloc_page(MigrateType::Unmovable).ok()).collect();
    group.bench_function("free_many", |bench| {
        let free = |memory: &mut Memory| held.iter().for_each(|pfn| memory.free_page(*pfn));
        bench.iter_batched_ref(|| used.clone(), free, BatchSize::SmallInput);
    });
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("memory");
    let prepared = memory(64, &StartState::Fresh);
    group.throughput(Throughput::Elements(1 << 20));
    group.bench_function("bulk", |bench| {
        let mut runs = Vec::new();
        bench.iter_batched_ref(
            || prepared.clone(),
            |memory| {
                runs.clear();
                memory.alloc_bulk(1 << 20, MigrateType::Movable, &mut runs).expect("there is room");
            },
            BatchSize::SmallInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    for (name, start) in [("fresh", StartState::Fresh), ("aged", StartState::Aged(Aged::month()))] {
        group.bench_function(format!("create_16TiB_{name}"), |bench| bench.iter(|| memory(16 << 10, &start)));
        let prepared = memory(16 << 10, &start);
        group.bench_function(format!("clone_16TiB_{name}"), |bench| bench.iter(|| prepared.clone()));
    }
    group.finish();
}

criterion_group!(benches, pages, whole);
criterion_main!(benches);
