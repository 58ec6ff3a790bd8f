//! The shipped scenarios give the results they gave before, whatever the number of threads.
//!
//! `tests/golden/NAME.csv` holds what `fragsim run scenarios/NAME.json --format csv` printed. A change of the model
//! that is meant to change results refreshes them, and its commit shows which numbers moved:
//!
//! ```text
//! FRAGSIM_UPDATE_GOLDEN=1 cargo test --test golden
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to anything, it makes the tests write the golden files instead of comparing with them.
const UPDATE: &str = "FRAGSIM_UPDATE_GOLDEN";
/// The column of a result in CSV that names the allocator.
const ALLOCATOR: &str = "allocator";

fn updating() -> bool {
    std::env::var_os(UPDATE).is_some()
}

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

/// What the program prints for a shipped scenario.
fn run(scenario: &str, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
    command.current_dir(root()).arg("run").arg(format!("scenarios/{scenario}.json")).args(more);
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{scenario} {more:?}");
    String::from_utf8(output.stdout).expect("all output is UTF-8")
}

fn golden_file(scenario: &str) -> PathBuf {
    root().join("tests/golden").join(format!("{scenario}.csv"))
}

/// A result in CSV: its columns, and for each allocator the values. No value of a shipped scenario needs quotation.
struct Table<'a> {
    columns: Vec<&'a str>,
    rows: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> Table<'a> {
    fn parse(text: &'a str) -> Self {
        assert!(!text.contains('"'), "a quoted value: {text}");
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let columns = lines.next().unwrap_or_default();
        let name = columns.iter().position(|column| *column == ALLOCATOR).expect("a result names its allocators");
        let rows = lines.map(|values| (values[name], values)).collect();
        Self { columns, rows }
    }

    fn allocators(&self) -> Vec<&str> {
        self.rows.iter().map(|(allocator, _)| *allocator).collect()
    }

    /// What an allocator has in a column, if there are both.
    fn value(&self, allocator: &str, column: &str) -> Option<&str> {
        let (_, values) = self.rows.iter().find(|(name, _)| *name == allocator)?;
        let column = self.columns.iter().position(|name| *name == column)?;
        values.get(column).copied()
    }
}

/// Which metric of which allocator is not what it was, a line each.
fn differences(golden: &str, today: &str) -> Vec<String> {
    let (golden, today) = (Table::parse(golden), Table::parse(today));
    let mut found = Vec::new();
    if golden.allocators() != today.allocators() {
        found.push(format!("allocators: {:?} -> {:?}", golden.allocators(), today.allocators()));
    }
    let new = today.columns.iter().filter(|column| !golden.columns.contains(column));
    for column in golden.columns.iter().chain(new) {
        for allocator in golden.allocators() {
            let (was, is) = (golden.value(allocator, column), today.value(allocator, column));
            if was != is {
                let text = |value: Option<&str>| value.unwrap_or("nothing").to_owned();
                found.push(format!("{allocator}: {column}: {} -> {}", text(was), text(is)));
            }
        }
    }
    if found.is_empty() && golden.columns != today.columns {
        found.push("the columns have another order".to_owned());
    }
    found
}

#[test]
fn shipped_scenarios_give_their_golden_results() {
    let mut offenders = Vec::new();
    for scenario in scenarios() {
        let (path, today) = (golden_file(&scenario), run(&scenario, &["--format", "csv"]));
        if updating() {
            fs::write(&path, &today).expect("the golden file can be written");
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(golden) if golden == today => {}
            Ok(golden) => {
                let found = differences(&golden, &today);
                offenders.extend(found.iter().map(|difference| format!("{scenario}: {difference}")));
                assert!(!found.is_empty(), "{scenario}: the text differs, its numbers do not:\n{today}");
            }
            Err(error) => offenders.push(format!("{scenario}: {}: {error}", path.display())),
        }
    }
    let help = format!("if that is meant: {UPDATE}=1 cargo test --test golden");
    assert!(offenders.is_empty(), "was -> is:\n{}\n{help}", offenders.join("\n"));
}

#[test]
fn every_golden_result_has_its_scenario() {
    if updating() {
        return; // Another test is still writing them.
    }
    let golden = names_in("tests/golden", ".csv");
    assert_eq!(golden, scenarios(), "golden files on the left, scenarios on the right");
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
    let golden = "scenario,allocator,splits,pages\ns,per-prog,1,2\ns,pack-4k,3,4\n";
    assert!(differences(golden, golden).is_empty());
    assert_eq!(differences(golden, &golden.replace("3,4", "3,5")), ["pack-4k: pages: 4 -> 5"]);
    assert_eq!(
        differences(golden, "scenario,allocator,pages\ns,per-prog,2\ns,pack-2m,4\n"),
        [
            "allocators: [\"per-prog\", \"pack-4k\"] -> [\"per-prog\", \"pack-2m\"]",
            "pack-4k: scenario: s -> nothing",
            "pack-4k: allocator: pack-4k -> nothing",
            "per-prog: splits: 1 -> nothing",
            "pack-4k: splits: 3 -> nothing",
            "pack-4k: pages: 4 -> nothing",
        ]
    );
    assert_eq!(differences("allocator,a,b\np,1,2\n", "allocator,b,a\np,2,1\n"), ["the columns have another order"]);
}
