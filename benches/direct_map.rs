//! What a permission change of the direct map costs.
//!
//! A page in a block that is split already is the case of a replay's inner loop: one look-up in the map of blocks
//! bounds it, and behind that the cache misses when many blocks take turns. The first change of an entry is
//! bounded by the allocator: it makes the block's codes and a place in the map.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fragsim::direct_map::{BootOptions, Change, CpaEra, DirectMap, PermChange, Walk};
use fragsim::units::{PAGES_PER_1G, PAGES_PER_2M, Pfn, PfnRange};

const ERA: CpaEra = CpaEra::From6_15;

/// A server with 16 TiB of RAM.
fn server() -> DirectMap {
    let range = |start, end| PfnRange::new(Pfn::new(start), Pfn::new(end));
    let ram = [range(0, 159), range(256, 524_255), range(4 * PAGES_PER_1G, (2 + (16 << 10)) * PAGES_PER_1G)];
    let mut map = DirectMap::boot(&ram, BootOptions::default());
    map.start_running();
    map
}

/// Single pages in different 2 MiB blocks that are split already, in turn. The throughput is in changes.
fn single_page(c: &mut Criterion, blocks: u64) {
    let mut map = server();
    // A stride, so that neither the cache nor the map of blocks sees neighbours.
    let page = |index: u64| {
        let index = index % blocks;
        let block = 4 * 512 + index * 4099 % (16 << 19);
        PfnRange::with_len(Pfn::new(block * PAGES_PER_2M + index * 37 % PAGES_PER_2M), 1)
    };
    let pages: Vec<PfnRange> = (0..blocks.max(1000)).map(page).collect();
    let mut group = c.benchmark_group("one page in a split block, there and back");
    group.throughput(Throughput::Elements(2 * pages.len() as u64));
    group.bench_function(format!("{blocks} blocks"), |b| {
        b.iter(|| {
            let mut changed = 0;
            for change in [PermChange::read_only(ERA), PermChange::default_()] {
                changed += pages.iter().map(|&page| map.change(page, change, Walk::PageWise).changed).sum::<u64>();
            }
            changed
        });
    });
    group.finish();
}

/// 512 pages of a 2 MiB entry that nobody has touched, with the splits that takes.
fn fresh_entry(c: &mut Criterion, name: &str, walk: Walk) {
    let map = server();
    let block = PfnRange::with_len(Pfn::new(40 * PAGES_PER_1G), PAGES_PER_2M);
    c.bench_function(name, |b| {
        b.iter_batched_ref(
            || map.clone(),
            |map| black_box(map.change(block, PermChange::read_only(ERA), walk)),
            BatchSize::SmallInput,
        );
    });
}

/// Half of the pages of a block with two kinds of page.
fn half_a_block(c: &mut Criterion) {
    let mut map = server();
    let half = PfnRange::with_len(Pfn::new(40 * PAGES_PER_1G + 128), PAGES_PER_2M / 2);
    c.bench_function("256 pages of a split block, there and back", |b| {
        b.iter(|| {
            let mut change: Change = map.change(half, PermChange::read_only(ERA), Walk::PageWise);
            change += map.change(half, PermChange::read_write(), Walk::PageWise);
            black_box(change)
        });
    });
}

fn boot(c: &mut Criterion) {
    c.bench_function("boot with 16 TiB", |b| b.iter(|| black_box(server())));
}

fn benches(c: &mut Criterion) {
    single_page(c, 1);
    single_page(c, 1_000);
    single_page(c, 100_000);
    fresh_entry(c, "512 pages of a fresh entry, page by page", Walk::PageWise);
    fresh_entry(c, "a fresh entry as a whole", Walk::Range);
    half_a_block(c);
    boot(c);
}

criterion_group!(all, benches);
criterion_main!(all);
