//! `fragsim sweep` and `fragsim merge`.

use serde_json::Value;

use crate::place::Place;

/// A place with a scenario `s.json` whose result depends on memory and seed.
fn place() -> Place {
    let place = Place::new();
    place.write(
        "s.json",
        r#"{"machine": {"memory": "2GiB", "start": {"aged": "month"}},
            "trace": {"generate": {"duration": "6h", "classes": [{"preset": "general-mix", "every": "2m"}]}},
            "allocators": ["per-prog", "pack-4k"]}"#,
    );
    place
}

#[test]
fn every_combination_is_a_result_of_its_own() {
    let place = place();
    let axes = ["--axis", "machine.memory=2GiB,3GiB", "--axis", "kernel=5.17,6.1"];
    let swept = place.run(&[&["sweep", "s.json"], &axes[..], &["-o", "d", "-q", "--format", "json"]].concat());
    assert_eq!((swept.code, swept.stderr.as_str()), (Some(0), ""));
    let rows: Vec<Value> = serde_json::from_str(&swept.stdout).expect("the output is JSON");
    assert_eq!(rows.len(), 2 * 2 * 2);
    assert_eq!(rows[2]["values"], serde_json::json!({"machine.memory": "2GiB", "kernel": "6.1"}));
    assert_eq!((&rows[2]["file"], &rows[3]["allocator"]), (&"d/s-2GiB-6.1.json".into(), &"pack-4k".into()));
    // A point is what `run` makes of it.
    place.run(&["run", "s.json", "--set", "machine.memory=3GiB", "--set", "kernel=5.17", "-o", "one.json", "-q"]);
    assert!(place.read("one.json") == place.read("d/s-3GiB-5.17.json"));
    let one: Value = serde_json::from_str(&place.read("one.json")).unwrap();
    let splits = &one["runs"][0]["counters"]["direct_map_level2_splits"];
    assert_eq!(&rows[4]["medians"]["counters.direct_map_level2_splits"], splits);
    // Parts are the whole, and what they write is the same.
    for part in ["1/3", "2/3", "3/3"] {
        let part = place.run(&[&["sweep", "s.json"], &axes[..], &["-o", "parts", "-q", "--part", part]].concat());
        assert_eq!((part.code, part.stderr.as_str()), (Some(0), ""));
    }
    for name in ["s-2GiB-5.17", "s-2GiB-6.1", "s-3GiB-5.17", "s-3GiB-6.1"] {
        assert!(place.read(&format!("d/{name}.json")) == place.read(&format!("parts/{name}.json")), "{name}");
    }
    let drawn = place.run(&["plot", "d/s-2GiB-6.1.json", "d/s-3GiB-6.1.json", "--x", "machine.memory", "-o", "p"]);
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
}

#[test]
fn wrong_sweeps_say_what_is_right_before_anything_is_replayed() {
    let place = place();
    for (arguments, message) in [
        (&["s.json"][..], "--axis"),
        (&["s.json", "--axis", "machine.memory"], "there is no `=`"),
        (&["s.json", "--axis", "machine.memory=1GiB,"], "a value is empty"),
        (&["s.json", "--axis", "machine.memory=2GiB,2GiB"], "the value `2GiB` is there twice"),
        (&["s.json", "--axis", "machine.memory=2GiB,2GB!"], "machine.memory"),
        (&["s.json", "--axis", "machine.memry=2GiB"], "did you mean `memory`?"),
        (&["s.json", "--axis", "seed=1", "--part", "3/2"], "write which part of how many"),
        (&["-", "--axis", "seed=1,2"], "can be read once only"),
        (&["no.json", "--axis", "seed=1,2"], "cannot open `no.json`"),
        (&["s.json", "--axis", "comment=a/b,a-b"], "would both be written to"),
    ] {
        let ended = place.run(&[&["sweep"], arguments, &["-o", "d"]].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(place.names(), ["s.json"]);
}

#[test]
fn merged_seeds_are_what_one_run_with_all_of_them_is() {
    let place = place();
    place.run(&["run", "s.json", "--seeds", "1..3,7", "-o", "all.json", "-q"]);
    place.run(&["run", "s.json", "--seeds", "3,7", "-o", "b.json", "-q"]);
    place.run(&["run", "s.json", "--seeds", "1..2", "-o", "a.json", "-q"]);
    for order in [["a.json", "b.json"], ["b.json", "a.json"]] {
        let merged = place.run(&["merge", order[0], order[1]]);
        assert_eq!((merged.code, merged.stderr.as_str()), (Some(0), ""));
        assert!(merged.stdout == place.read("all.json"), "{order:?}");
    }
    let written = place.run(&["merge", "a.json", "b.json", "-o", "m.json"]);
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), "wrote m.json\n"));
    assert!(place.read("m.json") == place.read("all.json"));
    place.run(&["run", "s.json", "--set", "machine.memory=3GiB", "--seed", "9", "-o", "other.json", "-q"]);
    for (arguments, message) in [
        (&["a.json", "all.json"][..], "the allocator `per-prog` with seed 1 is in two results"),
        (&["a.json", "other.json"], "`other.json` and `a.json` do not belong together: machine.memory: 2GiB → 3GiB"),
        (&["a.json", "b.json", "-o", "a.json"], "the result would replace its part `a.json`"),
        (&["s.json"], "this is a scenario, not a result"),
    ] {
        let ended = place.run(&[&["merge"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
    }
}
