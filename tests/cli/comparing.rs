//! Several seeds, and `fragsim compare`.

use serde_json::Value;

use crate::place::Place;

/// A place with a scenario `s.json` whose result depends on the seed.
fn place() -> Place {
    let place = Place::new();
    place.write(
        "s.json",
        r#"{"machine": {"memory": "2GiB", "start": {"aged": "month"}},
            "trace": {"generate": {"duration": "1day", "classes": [{"preset": "general-mix", "every": "2m"}]}},
            "allocators": ["per-prog", "pack-4k", "pack-2m"]}"#,
    );
    place
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the output is JSON")
}

#[test]
fn every_allocator_meets_every_seed() {
    let place = place();
    let all = place.run(&["run", "s.json", "--seeds", "7,1..3", "--output", "-"]);
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""));
    let result = json(&all.stdout);
    assert_eq!(result["scenario"]["seeds"], "1..3,7");
    let runs: Vec<(&str, u64)> = result["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["allocator"].as_str().unwrap(), run["seed"].as_u64().unwrap()))
        .collect();
    let expected: Vec<(&str, u64)> =
        ["per-prog", "pack-4k", "pack-2m"].iter().flat_map(|name| [1, 2, 3, 7].map(|seed| (*name, seed))).collect();
    assert_eq!(runs, expected, "by allocator first, seeds ascending");
    for threads in ["1", "2", "3", "9"] {
        let again = place.run(&["run", "s.json", "--seeds", "1..3,7", "--output", "-", "--threads", threads]);
        assert!(again.stdout == all.stdout, "{threads} threads");
    }
    // A run is what it is alone.
    let alone = json(&place.run(&["run", "s.json", "--seed", "7", "--output", "-"]).stdout);
    assert_eq!(alone["runs"][1], result["runs"][7]);
    assert_ne!(result["runs"][0]["counters"], result["runs"][1]["counters"], "seeds matter");
}

#[test]
fn wrong_seeds_are_refused() {
    let place = place();
    for (arguments, message) in [
        (&["--seeds", "5..1"][..], "the range `5..1` ends before it begins"),
        (&["--seeds", "1,1"], "seed 1 is named twice"),
        (&["--seeds", "-1"], "neither a seed nor a range"),
        (&["--seeds", "1..2", "--seed", "1"], "cannot be used with"),
    ] {
        let ended = place.run(&[&["run", "s.json"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
    place.write("stdin.json", "{\"trace\": {\"file\": \"-\"}}");
    let ended = place.run_with_input(&["run", "stdin.json", "--seeds", "1..2"], b"{\"fragsim_trace\":1}\n");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("can be read once only"), "{}", ended.stderr);
}

#[test]
fn a_table_of_several_seeds_shows_medians() {
    let place = place();
    let run = place.run(&["run", "s.json", "--seeds", "1..6", "--output", "r.json", "--quiet"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        run.stdout.starts_with("Scenario s, 2GiB of memory, seeds 1..6\n\nlevel-2 splits (pages, lower is better)\n")
    );
    assert_eq!(run.stdout.matches("\nper-prog ").count(), run.stdout.matches("\npack-2m ").count());
    assert_eq!(place.run(&["compare", "r.json"]).stdout, run.stdout, "the table is that of a comparison");
    let few = place.run(&["run", "s.json", "--seeds", "1..3"]);
    assert!(few.stderr.contains("warning: 3 seeds are too few to tell a difference from chance"), "{}", few.stderr);
    assert!(few.stdout.contains(" ?"), "{}", few.stdout);
    let csv = place.run(&["run", "s.json", "--seeds", "1..3", "--format", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 1 + 3 * 3, "the numbers themselves");
}

#[test]
fn allocators_and_results_are_compared() {
    let place = place();
    place.run(&["run", "s.json", "--seeds", "1..8", "--output", "before.json", "-q"]);
    place.run(&["run", "s.json", "--seeds", "1..8", "--output", "after.json", "-q", "--set", "machine.memory=3GiB"]);
    let waste = ["--metric", "wasted_bytes_at_peak", "--format", "json"];
    let one = json(&place.run(&[&["compare", "before.json", "--reference", "pack-4k"][..], &waste].concat()).stdout);
    assert_eq!((&one["reference"], one["metrics"].as_array().unwrap().len()), (&"pack-4k".into(), 1));
    let rows = one["metrics"][0]["rows"].as_array().unwrap();
    let verdicts: Vec<Option<&str>> = rows.iter().map(|row| row["difference"]["verdict"].as_str()).collect();
    assert_eq!(verdicts, [Some("worse"), None, Some("worse")]);
    let two = place.run(&["compare", "before.json", "after.json", "--metric", "MemFree", "--format", "csv"]);
    assert_eq!((two.code, two.stdout.lines().count()), (Some(0), 7));
    assert!(two.stderr.contains("another scenario or trace: machine.memory: 2GiB → 3GiB"), "{}", two.stderr);
    assert!(two.stdout.lines().nth(2).unwrap().ends_with(",better"), "{}", two.stdout);
    let same = place.run(&["compare", "before.json", "before.json", "--metric", "*", "--format", "csv"]);
    assert!(
        same.stdout.lines().skip(1).all(|line| line.ends_with(",same") || line.ends_with(",,,,")),
        "{}",
        same.stdout
    );
    assert_eq!(same.stderr, "");
}

#[test]
fn wrong_comparisons_say_what_is_right() {
    let place = place();
    place.run(&["run", "s.json", "--output", "one.json", "-q"]);
    place.run(&["run", "s.json", "--output", "two.json", "-q", "--seed", "2"]);
    for (arguments, code, message) in [
        (&["one.json", "--reference", "pack4k"][..], 2, "did you mean `pack-4k`?"),
        (&["one.json", "--reference", "zzz"], 2, "the result has per-prog, pack-4k, pack-2m"),
        (&["one.json", "two.json", "--reference", "per-prog"], 2, "is for one result, and here are several"),
        (&["one.json", "two.json"], 3, "have no allocator with the same seed"),
        (&["one.json", "--metric", "MemFre"], 2, "did you mean `MemFree`?"),
        (&["s.json"], 2, "this is a scenario, not a result"),
        (&["no.json"], 2, "cannot open `no.json`"),
        (&[], 2, "<RESULT>"),
    ] {
        let ended = place.run(&[&["compare"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}
