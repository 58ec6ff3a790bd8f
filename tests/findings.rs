//! Findings that shipped scenarios show: published counts, and what recordings of real kernels told.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The runs of a shipped scenario.
fn runs(scenario: &str) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    command.current_dir(root).args(["run", &format!("scenarios/{scenario}.json"), "--format", "json"]);
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut result: Value = serde_json::from_slice(&output.stdout).expect("results are JSON");
    serde_json::from_value(result["runs"].take()).expect("a result has runs")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn splits(run: &Value) -> u64 {
    number(&run["counters"]["direct_map_level2_splits"])
}

/// Splits when so many programs had been loaded.
fn splits_at(run: &Value, programs: u64) -> u64 {
    let series = run["series"].as_array().expect("a run has a series");
    let before = series.iter().take_while(|sample| number(&sample["programs_alive"]) <= programs);
    number(&before.last().expect("the series starts with no program")["direct_map_level2_splits"])
}

#[test]
fn published_split_counts_come_out_within_15_percent() {
    for (scenario, published) in [("sockex1-fresh", [183, 389, 765]), ("sockex1-filled", [217, 483, 1097])] {
        let runs = runs(scenario);
        for (instances, published) in [512, 1024, 2048].into_iter().zip(published) {
            let got = splits_at(&runs[0], 3 * instances);
            assert!(got.abs_diff(published) * 100 <= published * 15, "{scenario}, {instances}: {got}, not {published}");
        }
        assert_eq!(splits(&runs[1]), 0, "packs");
    }
}

#[test]
fn from_6_15_to_6_18_modules_cost_more_with_the_cache_than_without() {
    let runs = runs("module-churn");
    let [v6_1, v6_12, v6_15, v6_18, v7_2, v7_3] = [0, 1, 2, 3, 4, 5].map(|run: usize| splits(&runs[run]));
    assert!(v6_1 <= 2 && v6_12 <= 2 && v7_2 <= 3 && v7_3 <= 3, "{v6_1} {v6_12} {v7_2} {v7_3}");
    assert!((16..=22).contains(&v6_15) && (16..=22).contains(&v6_18), "{v6_15} {v6_18}");
}

#[test]
fn scattered_pages_cost_hundreds_of_splits_in_one_load() {
    let runs = runs("scattered-unmovable");
    let most = |run: &Value| {
        let counts: Vec<u64> = (0..=5).map(|programs| splits_at(run, programs)).collect();
        counts.windows(2).map(|pair| pair[1] - pair[0]).max().expect("five loads")
    };
    assert!(most(&runs[1]) > 200, "6.1: {}", most(&runs[1]));
    assert!(splits(&runs[2]) <= 5, "7.0 opens four packs: {}", splits(&runs[2]));
    assert_eq!(splits(&runs[3]), 0, "7.3");
}

#[test]
fn contiguous_packs_cost_a_split_each_and_scattered_ones_many() {
    let runs = runs("contiguous-packs");
    let packs = number(&runs[1]["text"]["packs_created"]);
    assert!(splits(&runs[1]) <= packs, "{} for {packs} packs", splits(&runs[1]));
    assert!(splits(&runs[0]) > 10 * splits(&runs[1]), "{} and {}", splits(&runs[0]), splits(&runs[1]));
    assert_eq!(splits(&runs[2]), 0, "execmem-rox");
}
