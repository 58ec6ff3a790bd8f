//! The shipped scenarios give the results they gave before, whatever the number of threads.
//!
//! `results/NAME.json` holds what came out of `scenarios/NAME.json`: the baseline of `fragsim check`, which only looks for
//! what got worse; here a change for the better counts too. A change of the model that is meant to change results
//! refreshes them, and its commit shows which numbers moved:
//!
//! ```text
//! cargo run -- check --update
//! ```

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Set to anything, it makes the tests write the baselines instead of comparing with them.
const UPDATE: &str = "FRAGSIM_UPDATE_GOLDEN";
/// Largest baseline, in bytes: they are kept in the repository.
const MAX_BASELINE: u64 = 40_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names in a folder of the repository that end so, without that end, sorted.
fn names_in(folder: &str, end: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(end)?.to_owned())).collect();
    names.sort_unstable();
    names
}

fn scenarios() -> Vec<String> {
    let names = names_in("scenarios", ".json");
    assert!(names.len() >= 5, "{names:?}");
    names
}

/// Runs the program in the repository; all has to be well.
fn fragsim(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
    let output = command.current_dir(root()).args(arguments).output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.is_empty(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("all output is UTF-8")
}

/// What the program prints for a shipped scenario.
fn run(scenario: &str, more: &[&str]) -> String {
    fragsim(&[&["run", &format!("scenarios/{scenario}.json")], more].concat())
}

/// What is not as in the baseline of an input of a check, a line each.
fn differences(input: &Value) -> Vec<String> {
    let name = input["input"].as_str().unwrap_or_default();
    let list = |key: &str| input[key].as_array().into_iter().flatten();
    let change = |change: &Value| {
        let text = |key: &str| change[key].as_str().unwrap_or_default();
        let (allocator, metric) = (text("allocator"), text("metric"));
        format!("{name}: {allocator}: {metric}: {} -> {}", change["baseline"], change["now"])
    };
    let missing = |what: &str, missing: &Value| format!("{name}: {what}: {missing}");
    let changes = list("changes").map(change);
    let went = list("went").map(|gone| missing("gone", gone));
    changes.chain(went).chain(list("came").map(|new| missing("new", new))).collect()
}

#[test]
fn shipped_scenarios_give_their_golden_results() {
    if std::env::var_os(UPDATE).is_some() {
        fragsim(&["check", "--update", "--quiet"]);
        return;
    }
    let report: Value = serde_json::from_str(&fragsim(&["check", "--format", "json"])).expect("the report is JSON");
    let inputs = report["inputs"].as_array().expect("a report has inputs");
    assert!(inputs.iter().all(|input| input["ending"] == "checked"), "{report:#}");
    assert_eq!(inputs.len(), scenarios().len());
    let offenders: Vec<String> = inputs.iter().flat_map(differences).collect();
    let help = "if that is meant: cargo run -- check --update";
    assert!(offenders.is_empty(), "was -> is:\n{}\n{help}", offenders.join("\n"));
}

#[test]
fn every_baseline_has_its_scenario_and_is_small() {
    if std::env::var_os(UPDATE).is_some() {
        return; // Another test is still writing them.
    }
    assert_eq!(names_in("results", ".json"), scenarios(), "baselines on the left, scenarios on the right");
    for name in scenarios() {
        let bytes = fs::metadata(root().join(format!("results/{name}.json"))).expect("it is there").len();
        assert!(bytes <= MAX_BASELINE, "results/{name}.json has {bytes} bytes");
    }
}

#[test]
fn results_do_not_depend_on_threads_and_do_not_change_between_runs() {
    for scenario in scenarios() {
        let alone = run(&scenario, &["--format", "json", "--threads", "1"]);
        assert!(alone.starts_with("{\n  \"schema_version\""), "{alone:.100}");
        for more in [&["--threads", "2"][..], &["--threads", "2"], &["--threads", "7"], &[]] {
            let again = run(&scenario, &[&["--format", "json"], more].concat());
            let line = alone.lines().zip(again.lines()).position(|(one, other)| one != other);
            assert!(alone == again, "{scenario} {more:?}: the results differ from line {line:?} on");
        }
    }
}

#[test]
fn a_changed_number_is_named() {
    let input = serde_json::json!({
        "input": "s.json",
        "changes": [{"verdict": "better", "allocator": "p", "metric": "m", "baseline": 3, "now": 2}],
        "went": [{"metric": "x", "runs": []}],
        "came": [],
    });
    assert_eq!(differences(&input), ["s.json: p: m: 3 -> 2", "s.json: gone: {\"metric\":\"x\",\"runs\":[]}"]);
}
