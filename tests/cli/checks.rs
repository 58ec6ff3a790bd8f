//! `fragsim check`: every exit code, from the shell, through `make` and through a pipe, and every reason for it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::place::{Ended, Place};

const TRACE: &str = "{\"fragsim_trace\":1}\n\
                     {\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[3000]}}\n\
                     {\"time_ns\":9,\"load\":{\"id\":2,\"image_bytes\":[900]}}\n\
                     {\"time_ns\":19,\"unload\":{\"id\":1}}\n";
const SCENARIO: &str = "{\"trace\": {\"file\": \"t.jsonl\"}, \"allocators\": [\"per-prog\", \"pack-4k\"]}";
const SPLITS: &str = "/runs/0/counters/direct_map_level2_splits";

/// A place with a scenario `s.json`; nothing else is there yet.
fn bare_place() -> Place {
    let place = Place::new();
    place.write("s.json", SCENARIO);
    place.write("t.jsonl", TRACE);
    place
}

/// A place with a scenario `s.json` and its baseline.
fn place() -> Place {
    let place = bare_place();
    let ended = place.run(&["check", "s.json", "--update"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    place
}

/// Changes a document in the place.
fn edit(place: &Place, name: &str, change: impl FnOnce(&mut Value)) {
    let mut document = serde_json::from_str(&place.read(name)).expect("the file is JSON");
    change(&mut document);
    place.write(name, document.to_string());
}

/// Adds to a number of a document.
fn add(document: &mut Value, pointer: &str, more: i64) {
    let number = document.pointer_mut(pointer).expect("the number is there");
    *number = (number.as_i64().expect("it is a number") + more).into();
}

/// How a check ends, and what it prints in the end.
fn check(place: &Place, more: &[&str]) -> (Option<i32>, String, String) {
    let Ended { code, stdout, stderr } = place.run(&["check"].iter().chain(more).copied().collect::<Vec<_>>());
    let last = stdout.lines().last().unwrap_or_default().to_owned();
    (code, last, stderr)
}

#[test]
fn every_exit_code_has_its_reason() {
    let place = bare_place();
    let (code, last, stderr) = check(&place, &["s.json"]);
    assert_eq!((code, last.as_str(), stderr.as_str()), (Some(3), "Of 1 checked: 1 have no baseline.", ""));
    let (code, last, _) = check(&place, &["s.json", "--update"]);
    assert_eq!((code, last.as_str()), (Some(0), "Of 1 checked: 1 have a new baseline."));
    let (code, last, _) = check(&place, &["s.json", "--update"]);
    assert_eq!((code, last.as_str()), (Some(0), "Of 1 checked: 1 are up to date."));
    let (code, last, stderr) = check(&place, &["s.json"]);
    assert_eq!((code, last.as_str(), stderr.as_str()), (Some(0), "Of 1 checked: 1 hold.", ""));
    edit(&place, "results/s.json", |baseline| add(baseline, SPLITS, -1));
    let (code, last, stderr) = check(&place, &["s.json"]);
    assert_eq!((code, last.as_str(), stderr.as_str()), (Some(1), "Of 1 checked: 1 got worse.", ""), "by one split");
    edit(&place, "results/s.json", |baseline| add(baseline, SPLITS, 2));
    let (code, last, _) = check(&place, &["s.json"]);
    assert_eq!((code, last.as_str()), (Some(0), "Of 1 checked: 1 hold."), "better by one split");
    let (code, last, stderr) = check(&place, &["missing.json"]);
    assert_eq!((code, last.as_str()), (Some(2), "Of 1 checked: 1 cannot be checked."));
    assert!(stderr.starts_with("error: cannot open `missing.json`: no such file"), "{stderr}");
    let (code, ..) = check(&place, &["s.json", "--tolerance", "splits"]);
    assert_eq!(code, Some(2));
}

#[test]
fn all_inputs_are_checked_and_the_most_serious_one_counts() {
    let place = place();
    place.write("new.json", SCENARIO);
    place.write("bad.json", "{}");
    let ends = |inputs: &[&str]| {
        let (code, last, _) = check(&place, inputs);
        (code.unwrap(), last)
    };
    assert_eq!(ends(&["new.json", "s.json"]).0, 3);
    edit(&place, "results/s.json", |baseline| add(baseline, SPLITS, -1));
    assert_eq!(ends(&["new.json", "s.json"]).0, 1);
    let (code, last) = ends(&["bad.json", "new.json", "s.json"]);
    assert_eq!((code, last.as_str()), (2, "Of 3 checked: 1 got worse, 1 have no baseline, 1 cannot be checked."));
}

#[test]
fn without_inputs_every_scenario_is_checked() {
    let place = bare_place();
    let (code, _, stderr) = check(&place, &[]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("no scenarios in `scenarios`"), "{stderr}");
    std::fs::create_dir(place.path().join("scenarios")).unwrap();
    for name in ["b", "a"] {
        place.write(&format!("scenarios/{name}.json"), SCENARIO.replace("t.jsonl", "../t.jsonl"));
    }
    assert_eq!(check(&place, &["--update"]).0, Some(0));
    let ended = place.run(&["check"]);
    assert_eq!(ended.code, Some(0));
    let firsts: Vec<&str> = ended.stdout.lines().take(2).map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(firsts, ["scenarios/a.json", "scenarios/b.json"]);
}

#[test]
fn a_result_is_compared_as_it_is() {
    let place = place();
    assert_eq!(place.run(&["run", "s.json", "--output", "r.json", "-q"]).code, Some(0));
    assert_eq!(check(&place, &["r.json"]).0, Some(0));
    edit(&place, "r.json", |result| add(result, SPLITS, 1));
    let ended = place.run(&["check", "r.json", "--baseline", "results/s.json"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("worse    per-prog   counters.direct_map_level2_splits"), "{}", ended.stdout);
    for own in [&["results/s.json"][..], &["r.json", "--baseline", "r.json"]] {
        let (code, _, stderr) = check(&place, own);
        assert_eq!(code, Some(2));
        assert!(stderr.contains("is its own baseline"), "{stderr}");
    }
    let (code, _, stderr) = check(&place, &["r.json", "s.json", "--baseline", "results/s.json"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("one baseline for several inputs"), "{stderr}");
}

#[test]
fn metrics_that_went_count_and_metrics_that_came_are_listed() {
    let place = place();
    place.run(&["run", "s.json", "--output", "r.json", "-q"]);
    let remove = |document: &mut Value| {
        document["runs"][1]["counters"].as_object_mut().unwrap().remove("flush_tlb_all").expect("it was there");
    };
    edit(&place, "r.json", remove);
    let ended = place.run(&["check", "r.json"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("\ngone: counters.flush_tlb_all of pack-4k\n"), "{}", ended.stdout);
    edit(&place, "results/s.json", remove);
    let ended = place.run(&["check", "s.json"]);
    assert_eq!(ended.code, Some(0), "nobody can judge what was not there before");
    assert!(ended.stdout.contains("\nnew: counters.flush_tlb_all of pack-4k\n"), "{}", ended.stdout);
    place.run(&["check", "s.json", "--junit", "check.xml"]);
    assert!(place.read("check.xml").contains("name=\"new: counters.flush_tlb_all of pack-4k\"/>"));
    edit(&place, "results/s.json", |baseline| drop(baseline["runs"].as_array_mut().unwrap().remove(1)));
    let ended = place.run(&["check", "s.json"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("\nnew: all of pack-4k\n"), "{}", ended.stdout);
}

#[test]
fn damaged_and_foreign_versions_are_named() {
    let good = place();
    good.run(&["run", "s.json", "--output", "r.json", "-q"]);
    let text = good.read("r.json");
    let half = text[..text.len() / 2].to_owned();
    let without_key = text.replacen("        \"packs_created\": 0,\n", "", 1);
    assert_ne!(without_key, text);
    for (contents, message) in [
        (half, "the text ends in the middle of the document"),
        (without_key, "`packs_created` is missing here"),
        (text.replacen("\"schema_version\": 1", "\"schema_version\": 0", 1), "this result has format 0"),
        (text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1), "read it with a newer fragsim"),
        (String::new(), "the file is empty"),
    ] {
        good.write("r.json", &contents);
        let (code, last, stderr) = check(&good, &["r.json"]);
        assert_eq!((code, last.as_str()), (Some(2), "Of 1 checked: 1 cannot be checked."), "{message}");
        assert!(stderr.starts_with("error: ") && stderr.contains(message), "{message}: {stderr}");
        good.write("results/broken.json", &contents);
        let (code, _, stderr) = check(&good, &["s.json", "--baseline", "results/broken.json"]);
        assert_eq!(code, Some(2), "the same as a baseline");
        assert!(stderr.contains(message) && stderr.contains("results/broken.json"), "{message}: {stderr}");
    }
    let (code, _, stderr) = check(&good, &["s.json", "--baseline", "results/broken.json", "--update"]);
    assert_eq!(code, Some(0), "a new baseline replaces what cannot be read");
    assert!(stderr.starts_with("warning: the file is empty"), "{stderr}");
    assert_eq!(check(&good, &["s.json", "--baseline", "results/broken.json"]).0, Some(0));
}

#[test]
fn a_baseline_of_something_else_is_refused_with_the_difference() {
    let place = place();
    let refused = |message: &str| {
        let (code, _, stderr) = check(&place, &["s.json"]);
        assert_eq!(code, Some(2), "{message}");
        assert!(stderr.contains(message) && stderr.contains("results/s.json"), "{message}: {stderr}");
        assert!(matches!(check(&place, &["s.json", "--allow-different-scenario"]).0, Some(0 | 1)), "{message}");
    };
    place.write("s.json", SCENARIO.replace("{\"trace\"", "{\"machine\": {\"memory\": \"32GiB\"}, \"trace\""));
    refused("machine.memory: 16GiB → 32GiB");
    place.write("s.json", SCENARIO.replace("\"per-prog\"", "\"pack-2m\""));
    refused("allocators[0].");
    place.write("s.json", SCENARIO);
    place.write("t.jsonl", TRACE.replace("900", "901"));
    refused("the trace has other contents: xxh3 ");
    place.write("t.jsonl", TRACE);
    place.write("s.json", SCENARIO.replace("{\"trace\"", "{\"seed\": 2, \"trace\""));
    refused("seed: 1 → 2");
    // Words about the scenario, and its rules, are no other scenario.
    place.write("s.json", SCENARIO.replace("{\"trace\"", "{\"comment\": \"x\", \"checks\": {}, \"trace\""));
    assert_eq!(check(&place, &["s.json"]).0, Some(0));
    // A new baseline is what to do about it.
    place.write("s.json", SCENARIO.replace("{\"trace\"", "{\"machine\": {\"memory\": \"32GiB\"}, \"trace\""));
    assert_eq!(check(&place, &["s.json", "--update"]).0, Some(0));
    assert_eq!(check(&place, &["s.json"]).0, Some(0));
}

#[test]
fn rules_come_from_the_scenario_and_the_command_line() {
    let place = place();
    edit(&place, "results/s.json", |baseline| add(baseline, SPLITS, -1));
    let with_rules = |rules: &str| {
        place.write("s.json", SCENARIO.replace("{\"trace\"", &format!("{{\"checks\": {rules}, \"trace\"")));
        check(&place, &["s.json"]).0.unwrap()
    };
    assert_eq!(with_rules("{\"direct_map_level2_splits\": {\"absolute\": 1}}"), 0);
    assert_eq!(with_rules("{\"counters.*\": {\"relative\": \"1%\"}}"), 1);
    assert_eq!(with_rules("{\"counters.*\": {\"direction\": \"any\"}}"), 0);
    assert_eq!(with_rules("{\"direct_map_level2_splits\": {\"direction\": \"higher\"}}"), 0);
    assert_eq!(with_rules("{\"direct_map_level2_split\": {}}"), 2);
    assert_eq!(with_rules("{}"), 1);
    place.write("s.json", SCENARIO);
    assert_eq!(check(&place, &["s.json", "--update"]).0, Some(0));
    edit(&place, "results/s.json", |baseline| add(baseline, "/runs/0/counters/MemFree", 10));
    for (tolerances, code) in [
        (&["MemFree=10"][..], 0),
        (&["MemFree=9"], 1),
        (&["MemFree=1%"], 0),
        (&["*=1%", "MemFree=0%"], 1),
        (&["*=10"], 0),
    ] {
        let flags: Vec<&str> = tolerances.iter().flat_map(|tolerance| ["--tolerance", tolerance]).collect();
        assert_eq!(check(&place, &[&["s.json"][..], &flags].concat()).0, Some(code), "{tolerances:?}");
    }
    // A result brings the rules of its scenario along.
    place.write("s.json", SCENARIO.replace("{\"trace\"", "{\"checks\": {\"*\": {\"direction\": \"any\"}}, \"trace\""));
    place.run(&["run", "s.json", "--output", "r.json", "-q"]);
    assert_eq!(check(&place, &["r.json"]).0, Some(0));
    place.write("s.json", SCENARIO.replace("{\"trace\"", "{\"checks\": {\"MemFre\": {}}, \"trace\""));
    let (_, _, stderr) = check(&place, &["s.json"]);
    assert!(stderr.contains("no metric is called `MemFre`") && stderr.contains("did you mean `MemFree`?"), "{stderr}");
    assert!(stderr.contains("s.json:1:13"), "{stderr}");
}

#[test]
fn a_scenario_is_replayed_with_the_seeds_of_its_baseline() {
    let place = bare_place();
    assert_eq!(check(&place, &["s.json", "--update", "--seeds", "1..3"]).0, Some(0));
    let baseline: Value = serde_json::from_str(&place.read("results/s.json")).unwrap();
    assert_eq!((baseline["scenario"]["seeds"].as_str(), baseline["runs"].as_array().unwrap().len()), (Some("1..3"), 6));
    assert!(baseline["runs"].as_array().unwrap().iter().all(|run| run["series"] == serde_json::json!([])));
    assert_eq!(check(&place, &["s.json"]).0, Some(0));
    edit(&place, "results/s.json", |baseline| add(baseline, "/runs/1/counters/direct_map_level2_splits", -1));
    let ended = place.run(&["check", "s.json"]);
    assert_eq!(ended.code, Some(1));
    let ended_with = place.run(&["check", "s.json", "--seeds", "1"]);
    assert!(ended_with.stdout.contains("gone: all of per-prog (seed 2), per-prog (seed 3)"), "{}", ended_with.stdout);
}

#[test]
fn the_outcome_goes_to_every_service() {
    let place = place();
    edit(&place, "results/s.json", |baseline| add(baseline, SPLITS, -1));
    let arguments = ["check", "s.json", "--github", "--junit", "check.xml", "--md", "summary.md", "--format", "json"];
    let ended = place.run(&arguments);
    assert_eq!(ended.code, Some(1));
    let json: Value = serde_json::from_str(&ended.stdout).expect("annotations do not mix with the data");
    assert_eq!((json["holds"].as_bool(), json["inputs"][0]["worse"].as_u64()), (Some(false), Some(1)));
    assert!(
        ended.stderr.starts_with("::error file=s.json,title=fragsim check%3A something got worse::"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1);
    assert!(place.read("check.xml").contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{}", place.read("check.xml"));
    assert!(place.read("summary.md").starts_with("### fragsim check: Of 1 checked: 1 got worse."));
    let ended = place.run(&["check", "s.json", "--junit", "no/check.xml"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("there is no directory `no`"), "{}", ended.stderr);
    // What came out is said all the same, and the other file is written.
    assert!(ended.stdout.ends_with("Of 1 checked: 1 got worse.\n"), "{}", ended.stdout);
    let ended = place.run(&["check", "s.json", "--junit", "no/check.xml", "--md", "other.md", "--format", "md"]);
    assert_eq!((ended.code, place.read("other.md")), (Some(2), ended.stdout));
    assert!(place.names().iter().all(|name| !name.starts_with(".fragsim-")));
}

#[test]
fn a_job_summary_keeps_what_other_commands_wrote() {
    let place = place();
    let check = |summary: &str| {
        let mut command = place.command(&["check", "s.json", "--quiet", "--md", "summary.md"]);
        let output = command.env("GITHUB_STEP_SUMMARY", summary).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(0));
        place.read("summary.md")
    };
    let own = check("summary.md");
    assert!(own.starts_with("### fragsim check: "), "{own}");
    assert_eq!(check("summary.md"), format!("{own}\n{own}"));
    place.write("summary.md", "# Title");
    assert_eq!(check("summary.md"), format!("# Title\n\n{own}"));
    assert_eq!(check("other.md"), own, "any other file is written anew");
    let ended = place.run(&["check", "s.json", "--md", "-"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("`--format md` prints it") && !place.names().contains(&"-".to_owned()),
        "{}",
        ended.stderr
    );
}

#[test]
#[cfg(unix)]
fn a_baseline_that_may_not_be_read_is_not_a_missing_one() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let allow = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path().join("results"), permissions).expect("the directory is ours");
    };
    allow(0o000);
    let ended = place.run_unprivileged(&["check", "s.json"]);
    allow(0o755);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("cannot open `results/s.json`: permission denied"), "{}", ended.stderr);
}

/// Each way to end, with the arguments for it; the place has a baseline that is worse than `s.json`, `good.json` with one
/// that holds, and `new.json` without one.
const ENDS: [(&str, i32); 4] = [("good.json", 0), ("s.json", 1), ("missing.json", 2), ("new.json", 3)];

fn place_of_ends() -> Place {
    let place = place();
    place.write("good.json", SCENARIO);
    place.write("new.json", SCENARIO);
    assert_eq!(check(&place, &["good.json", "--update"]).0, Some(0));
    edit(&place, "results/s.json", |baseline| add(baseline, SPLITS, -1));
    place
}

/// Whether a program that a test needs is installed; says so if not.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("{program} is not installed: this is not tested");
    }
    found
}

#[test]
fn make_fails_and_says_with_which_code() {
    if !is_installed("make") {
        return;
    }
    let place = place_of_ends();
    let program = Path::new(env!("CARGO_BIN_EXE_fragsim")).display();
    place.write("Makefile", format!("check:\n\t@{program} check $(INPUT)\n"));
    for (input, code) in ENDS {
        let mut make = Command::new("make");
        make.arg("check").arg(format!("INPUT={input}")).current_dir(place.path()).env("LC_ALL", "C");
        let output = make.output().expect("make starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        // make has one code for every failure; the code of the command is in its message.
        assert_eq!(output.status.code(), Some(if code == 0 { 0 } else { 2 }), "{input}: {stderr}");
        assert_eq!(stderr.contains(&format!("Error {code}")), code != 0, "{input}: {stderr}");
    }
}

#[test]
fn a_pipe_does_not_hide_the_code() {
    if !is_installed("bash") {
        return;
    }
    let place = place_of_ends();
    let program = Path::new(env!("CARGO_BIN_EXE_fragsim")).display();
    for (input, code) in ENDS {
        for reader in ["tee log", "true", "head -1", "cat"] {
            let script = format!("{program} check {input} | {reader} >/dev/null; exit ${{PIPESTATUS[0]}}");
            let status = Command::new("bash").args(["-c", &script]).current_dir(place.path()).output().unwrap().status;
            assert_eq!(status.code(), Some(code), "{input} | {reader}");
        }
        let script = format!("set -o pipefail; {program} check {input} | tee log >/dev/null");
        let status = Command::new("bash").args(["-c", &script]).current_dir(place.path()).output().unwrap().status;
        assert_eq!(status.code(), Some(code), "{input} with pipefail");
    }
    // A pipe that nobody reads at all.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = place.command(&["check", "s.json"]).stdout(writer).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
