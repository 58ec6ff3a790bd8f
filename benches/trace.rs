//! Events per second out of each source.
//!
//! What bounds them now: the canonical lines by the bytes of a line (the name is skipped byte by byte) and by the set
//! of programs alive; other spellings by serde_json; zstd by the decompression; the generator by its queue.

use std::hint::black_box;
use std::io::Cursor;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fragsim::trace::generate::{Class, Preset};
use fragsim::trace::{Event, EventSource, Generate, Generated, Repeated, TraceHeader, TraceReader, TraceWriter};
use fragsim::units::SimDuration;

/// A trace of containers: three loads and three unloads each, names of usual length.
fn generated() -> Generated {
    let class = Class { preset: Some(Preset::ContainerStart), per_hour: Some(1200), ..Class::default() };
    let duration = SimDuration::from_millis(40 * 3_600_000);
    Generated::new(&Generate { duration, classes: vec![class] }, 1).expect("the class is right")
}

/// The trace as text, and how many events it has.
fn text() -> (Vec<u8>, u64) {
    let mut generated = generated();
    let mut writer = TraceWriter::new(Vec::new(), &TraceHeader::new("", "")).expect("memory can be written");
    let mut count = 0;
    while let Some(event) = generated.next_named() {
        writer.write(&event, &[]).expect("memory can be written");
        count += 1;
    }
    (writer.into_inner().expect("memory can be written"), count)
}

/// Takes everything out of a source, as the replay does.
fn drain(mut source: impl EventSource) -> u64 {
    let mut batch: Vec<Event> = Vec::with_capacity(1024);
    let mut count = 0;
    while source.next_batch(&mut batch, 1024).expect("the trace is right") > 0 {
        count += black_box(&batch).len() as u64;
        batch.clear();
    }
    count
}

fn read(bytes: Vec<u8>) -> u64 {
    drain(TraceReader::from_reader("bench", Cursor::new(bytes)).expect("the trace is right"))
}

fn sources(criterion: &mut Criterion) {
    let (plain, count) = text();
    let compressed = zstd::encode_all(&plain[..], 3).expect("memory can be written");
    let spaced = String::from_utf8(plain.clone()).expect("a trace is text").replace("\":", "\": ").into_bytes();
    let mut events = Vec::new();
    generated().next_batch(&mut events, usize::MAX).expect("the generator never fails");
    let mut group = criterion.benchmark_group("trace");
    group.throughput(Throughput::Elements(count)).sample_size(20).measurement_time(Duration::from_secs(4));
    for (name, bytes) in
        [("canonical lines", &plain), ("canonical lines, zstd", &compressed), ("other spelling", &spaced)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| bytes.clone(), |bytes| assert_eq!(read(bytes), count), BatchSize::LargeInput);
        });
    }
    group.bench_function("generated", |bencher| {
        bencher.iter_batched(generated, |source| assert_eq!(drain(source), count), BatchSize::LargeInput);
    });
    group.bench_function("repeated, overlapping", |bencher| {
        let some: Vec<Event> = events[..1000].to_vec();
        let times = count / 1000;
        bencher.iter_batched(
            || Repeated::of_events(some.clone(), times, Some(SimDuration::from_millis(60_000))).expect("numbers fit"),
            |source| assert_eq!(drain(source), times * 1000),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, sources);
criterion_main!(benches);
