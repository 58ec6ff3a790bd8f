//! Everything that can be wrong with a trace, told alike by `run` and by `trace check`.

use crate::place::{Ended, Place};

/// A scenario that replays `t.jsonl`.
const SCENARIO: &str = "{\"trace\": {\"file\": \"t.jsonl\"}}";
const HEADER: &str = "{\"fragsim_trace\":1}\n";
const LOAD: &str = "{\"time_ns\":10,\"load\":{\"id\":1,\"image_bytes\":[100]}}\n";

/// A place with a scenario and its trace.
fn place_with(trace: &[u8]) -> Place {
    let place = Place::new();
    place.write("s.json", SCENARIO);
    place.write("t.jsonl", trace);
    place
}

/// What the program says on standard error when it ends with this code and has nothing to show.
fn told(ended: &Ended, code: i32) -> &str {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    assert!(ended.stderr.starts_with("error: ") && !ended.stderr.contains("os error"), "{}", ended.stderr);
    &ended.stderr
}

/// What `run` and `trace check` say about a trace; both say the same, `trace check` ends with `code`.
fn both(trace: &[u8], code: i32) -> String {
    let place = place_with(trace);
    let run = place.run(&["run", "s.json"]);
    let check = place.run(&["trace", "check", "t.jsonl"]);
    assert_eq!(told(&run, 2), told(&check, code));
    run.stderr
}

/// A trace that ends in the given text, what is said about it, its place, and the source line with its mark.
const WRONG: [(&str, &str, &str, &str); 9] = [
    (
        "{\"time_ns\":20,\"load\":{\"id\":2,\"image_by",
        "the trace ends in the middle of a line",
        "t.jsonl:3:38",
        "3 | {\"time_ns\":20,\"load\":{\"id\":2,\"image_by\n  |                                      ^\n",
    ),
    (
        "{\"time_ns\":5,\"unload\":{\"id\":1}}\n",
        "time goes back from 10 ns to 5 ns",
        "t.jsonl:3:12",
        "3 | {\"time_ns\":5,\"unload\":{\"id\":1}}\n  |            ^ time_ns\n",
    ),
    (
        "{\"time_ns\":15,\"load\":{\"id\":1,\"image_bytes\":[9]}}\n",
        "program 1 is loaded although it already is",
        "t.jsonl:3:28",
        "3 | {\"time_ns\":15,\"load\":{\"id\":1,\"image_bytes\":[9]}}\n  |                            ^ load.id\n",
    ),
    (
        "{\"time_ns\":15,\"unload\":{\"id\":9}}\n",
        "program 9 goes away or changes, but it is not loaded",
        "t.jsonl:3:30",
        "3 | {\"time_ns\":15,\"unload\":{\"id\":9}}\n  |                              ^ unload.id\n",
    ),
    (
        "{\"time_ns\":15,\"load\":{\"id\":2,\"image_bytes\":[7,0]}}\n",
        "image 1 has size 0",
        "t.jsonl:3:44",
        "3 | {\"time_ns\":15,\"load\":{\"id\":2,\"image_bytes\":[7,0]}}\n  \
           |                                            ^^^^^ load.image_bytes\n",
    ),
    (
        "{\"time_ns\":15,\"load\":{\"id\":2,\"image_bytes\":[9223372036854775808]}}\n",
        "expected a whole number up to 4294967295, found a larger one",
        "t.jsonl:3:45",
        "  |                                             ^^^^^^^^^^^^^^^^^^^ load.image_bytes[0]\n",
    ),
    (
        "{\"time_ns\":15,\"lod\":{\"id\":2}}\n",
        "unknown key `lod`",
        "t.jsonl:3:15",
        "3 | {\"time_ns\":15,\"lod\":{\"id\":2}}\n  |               ^^^^^ lod\n  |\n  = help: did you mean `load`?\n",
    ),
    (
        "{\"time_ns\":15,\"unload\":{\"id\":1}}}\n",
        "this is no JSON: trailing characters",
        "t.jsonl:3:33",
        "3 | {\"time_ns\":15,\"unload\":{\"id\":1}}}\n  |                                 ^\n",
    ),
    ("\u{0}\u{1}\n", "this is no JSON: expected value", "t.jsonl:3:1", "3 | ??\n  | ^\n"),
];

#[test]
fn a_bad_event_is_shown_with_its_line_and_a_mark() {
    for (event, message, place, source) in WRONG {
        let error = both(format!("{HEADER}{LOAD}{event}").as_bytes(), 1);
        assert!(error.starts_with(&format!("error: {message}")), "{event}: {error}");
        assert!(error.contains(&format!(" --> {place}\n")), "{event}: {error}");
        assert!(error.contains(source), "{event}: {error}\nexpected: {source}");
    }
}

#[test]
fn what_is_no_trace_at_all_is_refused() {
    let elf = [b"\x7fELF\x02\x01\x01\0".as_slice(), &[0xff; 4000]].concat();
    for (trace, message, place) in [
        (b"".as_slice(), "the trace is empty", "--> t.jsonl\n"),
        (&elf, "this is not a trace: its first line is no header", " --> t.jsonl:1:9\n"),
        (LOAD.as_bytes(), "the trace has no header: its first line is an event", " --> t.jsonl:1:1\n"),
        (b"{\"fragsim_trace\":2}\n", "trace format version 2 is not known", " --> t.jsonl:1:18\n"),
        (b"{\"fragsim_trace\":1", "this is not a trace: its first line is no header (the trace ends", "t.jsonl:1:18\n"),
        (b"\x1f\x8b\x08\0\0\0", "this is a gzip file, not a trace", "--> t.jsonl\n"),
        (b"PERFILE2\0", "this is a perf.data file, not a trace", "--> t.jsonl\n"),
        (b"\x28\xb5\x2f\xfd\0\0\0", "cannot read the trace", "--> t.jsonl"),
    ] {
        let error = both(trace, 2);
        assert!(error.contains(message) && error.contains(place), "{error}");
        assert!(error.len() < 1500, "short, whatever the file holds: {error}");
    }
}

#[test]
fn files_that_are_no_trace_are_named() {
    let place = Place::new();
    let of = |name: &str| {
        place.write("s.json", format!("{{\"trace\": {{\"file\": \"{name}\"}}}}"));
        let run = told(&place.run(&["run", "s.json"]), 2).to_owned();
        for command in ["check", "stat"] {
            let alone = place.run(&["trace", command, name]);
            // A scenario adds the place that names the trace.
            assert_eq!(told(&alone, 2).lines().next(), run.lines().next());
        }
        assert!(run.contains(" --> s.json:1:20\n"), "{run}");
        run
    };
    assert!(of(".").starts_with("error: `.` is a directory, not a trace\n"));
    assert!(of("missing").starts_with("error: cannot open `missing`: no such file or directory\n"));
    place.write("host.jsonl", HEADER);
    assert!(of("hots.jsonl").contains("help: did you mean `host.jsonl`?"));
    assert!(of("host.jsonl/x").contains("not a directory"));
}

#[test]
fn check_lists_all_that_is_wrong_and_run_stops_at_the_first() {
    let events: String = WRONG[1..].iter().map(|(event, ..)| *event).collect();
    let place = place_with(format!("{HEADER}{LOAD}{events}").as_bytes());
    let check = place.run(&["trace", "check", "t.jsonl"]);
    let problems = told(&check, 1).matches("error: ").count();
    assert!(problems >= 6, "{}", check.stderr);
    let run = place.run(&["run", "s.json"]);
    assert_eq!(told(&run, 2).matches("error: ").count(), 1);
    let few = place.run(&["trace", "check", "t.jsonl", "--limit", "2"]);
    assert!(told(&few, 1).contains("more problems are not listed"), "{}", few.stderr);
}

#[test]
fn a_trace_can_come_from_standard_input() {
    let place = place_with(b"");
    let trace = format!("{HEADER}{LOAD}");
    place.write("piped.json", "{\"trace\": {\"file\": \"-\"}}");
    let piped = place.run_with_input(&["run", "piped.json", "--format", "csv"], trace.as_bytes());
    assert_eq!((piped.code, piped.stderr.as_str(), piped.stdout.lines().count()), (Some(0), "", 8), "{piped:?}");
    place.write("t.jsonl", &trace);
    let scenario = place.run_with_input(&["run", "-", "--format", "csv"], SCENARIO.as_bytes());
    assert_eq!((scenario.code, scenario.stderr.as_str()), (Some(0), ""), "{scenario:?}");
    let numbers = |csv: &str| csv.replace("scenario,", "").replace("piped,", "");
    assert_eq!(numbers(&piped.stdout), numbers(&scenario.stdout));

    let check = place.run_with_input(&["trace", "check", "-"], trace.as_bytes());
    assert!(check.stdout.starts_with("<standard input>: nothing wrong in 1 events on 2 lines"), "{check:?}");
    let half = place.run_with_input(&["run", "piped.json"], &trace.as_bytes()[..trace.len() - 9]);
    assert!(told(&half, 2).contains(" --> <standard input>:2:"), "{half:?}");
    let both = place.run_with_input(&["run", "-"], b"{\"trace\": {\"file\": \"-\"}}");
    assert!(told(&both, 2).contains("standard input is the scenario already"), "{both:?}");
}
