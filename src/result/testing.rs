//! A small result for tests.

use super::counters::{
    Counters, DIRECT_MAP_1G, DIRECT_MAP_2M, DIRECT_MAP_4K, FLUSH_TLB_ALL, LEVEL2_SPLITS, LEVEL3_SPLITS, MEM_FREE,
};
use super::{Outcome, ResultDoc, Run, Sample, ScenarioStamp, TextReport};
use crate::units::Seeds;

/// Counters of a host with 64 GiB after so many splits of 2 MiB and of 1 GiB pages.
pub fn counters(level2: u64, level3: u64, flushes: u64) -> Counters {
    Counters::from([
        (DIRECT_MAP_4K, 4096 + 2048 * level2),
        (DIRECT_MAP_2M, (4 << 20) + (1 << 20) * level3 - 2048 * level2),
        (DIRECT_MAP_1G, (60 << 20) - (1 << 20) * level3),
        (MEM_FREE, (64 << 20) - 500_000),
        (LEVEL2_SPLITS, level2),
        (LEVEL3_SPLITS, level3),
        (FLUSH_TLB_ALL, flushes),
    ])
}

/// A run that split so many pages.
pub fn run(allocator: &str, level2: u64, level3: u64, text: TextReport) -> Run {
    let end = Sample { time_ns: 2_000_000_000, direct_map_level2_splits: level2, ..Sample::default() };
    Run {
        allocator: allocator.to_owned(),
        policy: allocator.to_owned(),
        kernel: "6.1".to_owned(),
        seed: 1,
        outcome: Outcome::Completed {},
        start: counters(0, 0, 0),
        counters: counters(level2, level3, 3 * level2 + level3),
        text,
        tlb: None,
        tlb_series: Vec::new(),
        series: vec![Sample::default(), end],
        memory_map: None,
    }
}

/// A result of these runs.
pub fn result(runs: Vec<Run>) -> ResultDoc {
    let scenario = ScenarioStamp {
        name: "small".to_owned(),
        comment: Some("made by hand".to_owned()),
        hash: "0".repeat(32),
        trace_hash: "f".repeat(32),
        seeds: Seeds::of(runs.iter().map(|run| run.seed)).unwrap_or(Seeds::one(1)),
        resolved: serde_json::json!({"machine": {"memory": "64GiB"}, "trace": {"file": "t.jsonl"}}),
    };
    ResultDoc { fragsim: "0.1.0".to_owned(), ..ResultDoc::new(scenario, runs) }
}

/// `per-prog` with 12 and 1 splits, `pack-4k` with 3.
pub fn two_runs() -> ResultDoc {
    let text = TextReport {
        programs_loaded: 10,
        programs_unloaded: 10,
        peak_programs_alive: 7,
        executable_pages_peak: 8,
        executable_pages_at_peak: 8,
        executable_bytes_at_peak: 32768,
        wasted_bytes_at_peak: 29000,
        ..TextReport::default()
    };
    let packed = TextReport {
        packs_created: 3,
        executable_pages_at_peak: 2,
        executable_bytes_at_peak: 8192,
        wasted_bytes_at_peak: 4424,
        executable_pages: 1,
        executable_bytes: 4096,
        wasted_bytes: 4096,
        stale_bytes_peak: 612,
        ..text
    };
    result(vec![run("per-prog", 12, 1, text), run("pack-4k", 3, 0, packed)])
}
