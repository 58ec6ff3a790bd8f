//! Events per second through a whole host: buddy allocator, direct map, companions, text allocator.
//!
//! `cargo bench --bench replay`. One thread; the trace is in memory. `runqslower` is the recording of the shipped scenario,
//! started ten thousand times; `mix` has loads of 40 bytes to 6 kB and unloads in random order, about 2000 programs alive.
//!
//! What bounds it (callgrind and perf): for `mix` the per-CPU page lists and the look-ups of freed frames (a program of
//! 6 kB comes with 25 pages of its own and of scratch), then the tree over the chunks of a pack; for `runqslower` that
//! tree, whose nine levels change with every load and unload of a small program in a nearly empty pack.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fragsim::direct_map::CounterView;
use fragsim::kernel::{HostSetup, Release};
use fragsim::memory::{MemoryLayout, StartState};
use fragsim::replay::{Contender, Observing, Sampling, replay};
use fragsim::rng::{Component, Stream};
use fragsim::text_alloc::{Policy, PolicyOptions};
use fragsim::trace::{Event, EventKind, EventSource, Images, InMemory, Load, ProgId, Repeated};
use fragsim::units::{Bytes, PageSize, SimDuration, SimTime};

const EVENTS: u64 = 1_000_000;
const ALIVE: usize = 2000;

fn trace() -> Vec<Event> {
    let mut stream = Stream::new(1, Component::Generator, 0);
    let mut events = Vec::with_capacity(EVENTS as usize);
    let mut alive: Vec<ProgId> = Vec::new();
    for number in 0..EVENTS {
        // One event every 100 us: a few hundred frees wait for their grace period.
        let time = SimTime::from_nanos(number * 100_000);
        let kind = if alive.len() > ALIVE || (!alive.is_empty() && stream.ratio(alive.len() as u64, 2 * ALIVE as u64)) {
            EventKind::Unload { id: alive.swap_remove(stream.below(alive.len() as u64) as usize) }
        } else {
            let bytes = [40, 120, 400, 900, 1800, 6000][stream.below(6) as usize] + stream.below(100) as u32;
            let id = ProgId::new(number);
            alive.push(id);
            let images = Images::one(bytes).expect("the length is not 0");
            EventKind::Load(Load { id, images, insns: 0, jited: true })
        };
        events.push(Event { time, kind });
    }
    events
}

/// The recorded start of runqslower, every 3 s.
fn recorded() -> Vec<Event> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/traces/runqslower.jsonl");
    let period = SimDuration::from_millis(3000);
    let mut source = Repeated::of_file(path, 10_000, Some(period)).expect("the shipped trace is right");
    let mut events = Vec::new();
    while source.next_batch(&mut events, 65_536).expect("the shipped trace is right") > 0 {}
    events
}

fn replays(c: &mut Criterion) {
    replay_trace(c, "mix", &trace());
    replay_trace(c, "runqslower", &recorded());
}

fn replay_trace(c: &mut Criterion, name: &str, events: &[Event]) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be started");
    let layout = MemoryLayout::server(Bytes::new(64 << 30), 1).expect("64 GiB is a machine");
    let host = HostSetup {
        release: Release::named(Release::DEFAULT).expect("the default exists"),
        layout: &layout,
        start: &StartState::Fresh,
        cpus: 1,
        largest_page: PageSize::Size1G,
        boot_program: true,
        seed: 1,
        run: 0,
    };
    let observing = Observing { sampling: Sampling::Points(200), layouts: 8, view: CounterView::Mapped };
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(events.len() as u64)).sample_size(10);
    for policy in Policy::ALL {
        group.bench_function(policy.name(), |bencher| {
            bencher.iter_batched(
                || (InMemory::new(events.to_vec()), policy.build(PolicyOptions::default())),
                |(mut source, text)| {
                    let contenders = vec![Contender { host: host.clone(), text }];
                    let outcome = pool.install(|| replay(contenders, &mut source, observing, &|_| {}));
                    black_box(outcome.expect("the trace is right"))
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, replays);
criterion_main!(benches);
