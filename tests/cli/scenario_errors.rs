//! Everything that can be wrong with a scenario: exit code 2, nothing on standard output, and an error that says
//! what, where, and what would be right.

use crate::place::{Ended, Place};

/// The error about a scenario with these contents, beside a trace `t.jsonl`.
fn error(contents: impl AsRef<[u8]>) -> String {
    error_with(contents, &[])
}

fn error_with(contents: impl AsRef<[u8]>, more: &[&str]) -> String {
    let place = Place::new();
    place.write("t.jsonl", "{\"fragsim_trace\":1}\n");
    place.write("s.json", contents);
    let arguments: Vec<&str> = ["run", "s.json"].iter().chain(more).copied().collect();
    refused(&place.run(&arguments))
}

fn refused(ended: &Ended) -> String {
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "", "data and errors do not mix");
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "no colours outside of terminals");
    assert!(!ended.stderr.contains("os error"), "{}", ended.stderr);
    ended.stderr.clone()
}

/// A scenario with a good trace and this member.
fn with(member: &str) -> String {
    format!("{{\n  \"trace\": {{\"file\": \"t.jsonl\"}},\n  {member}\n}}\n")
}

#[test]
fn an_unknown_key_comes_with_place_path_excerpt_and_the_right_word() {
    let expected = "\
error: unknown key `memroy`
 --> s.json:3:15
  |
3 |   \"machine\": {\"memroy\": \"64GiB\"}
  |               ^^^^^^^^ machine.memroy
  |
  = help: did you mean `memory`?
";
    assert_eq!(error(with("\"machine\": {\"memroy\": \"64GiB\"}")), expected);
}

#[test]
fn an_unknown_allocator_comes_with_the_nearest_one() {
    let expected = "\
error: unknown name `pack4k`
 --> s.json:3:31
  |
3 |   \"allocators\": [\"per-prog\", \"pack4k\"]
  |                              ^^^^^^^^ allocators[1]
  |
  = help: did you mean `pack-4k`?
";
    assert_eq!(error(with("\"allocators\": [\"per-prog\", \"pack4k\"]")), expected.replace("3:31", "3:30"));
}

#[test]
fn wrong_types_say_what_was_found_and_what_belongs_there() {
    for (member, text) in [
        ("\"seed\": \"one\"", "expected a whole number that is not negative, found the text \"one\""),
        ("\"seed\": -1", "expected a whole number that is not negative, found the number -1"),
        ("\"seed\": 18446744073709551616", "expected a whole number up to 18446744073709551615, found a larger one"),
        ("\"machine\": []", "expected an object, found an array"),
        ("\"machine\": {\"boot_program\": 1}", "expected true or false, found the number 1"),
        (
            "\"machine\": {\"memory\": 64}",
            "expected a size as text with a unit, such as \"64GiB\", found the number 64",
        ),
        ("\"machine\": {\"start\": \"aged\"}", "expected an object with that name as its key, found only a name"),
        ("\"kernel\": 6.1", "expected a kernel release in quotation marks, such as \"6.1\", found the number 6.1"),
        ("\"allocators\": \"pack-4k\"", "expected an array, found the text \"pack-4k\""),
        ("\"sampling\": {\"every\": \"soon\"}", "`soon` is not a duration"),
        ("\"name\": null, \"comment\": 5", "expected text in quotation marks, found the number 5"),
    ] {
        let error = error(with(member));
        assert!(error.contains(text) && error.contains(" --> s.json:3:"), "{member}: {error}");
    }
}

#[test]
fn sizes_of_0_and_beyond_every_machine_are_refused() {
    for (size, text) in [
        ("0B", "the size is 0"),
        ("9223372036854775808B", "more than 65532GiB, the most that a host has"),
        ("18446744073709551616B", "too large"),
        ("99999999999999999999TiB", "too large"),
        ("64GB", "unknown unit `GB`"),
        ("", "empty text where a size"),
        ("-1GiB", "not a whole number"),
    ] {
        let error = error(with(&format!("\"machine\": {{\"memory\": \"{size}\"}}")));
        assert!(error.contains(text) && error.contains("machine.memory"), "{size}: {error}");
    }
}

#[test]
fn texts_that_are_no_json_are_shown_where_they_stop_being_json() {
    for (contents, text, place) in [
        (&b""[..], "the file is empty", "s.json"),
        (b" \n\t\n", "the file is empty", "s.json"),
        (b"{\"trace\": {\"file\": \"t.jsonl\"}", "ends in the middle", "s.json:1:"),
        (b"{\"trace\": {\"file\": \"t.jsonl\"},}", "trailing comma", "s.json:1:31"),
        (b"{\n // note\n}", "JSON has no comments", "s.json:2:2"),
        (b"{'trace': 1}", "double quotation marks", "s.json:1:2"),
        (b"{\"trace\": 1} x", "trailing characters", "s.json:1:14"),
        (b"\x1f\x8b\x08\x00\x00", "is not UTF-8 text", "s.json:1:2"),
        (b"{\"name\": \"\xff\"}", "the byte 0xff is not UTF-8 text", "s.json:1:11"),
        (b"\xff\xfe{\x00}\x00", "save it as UTF-8", "s.json"),
        (b"\x00\x00\x00", "expected value", "s.json:1:1"),
        (b"[1, 2]", "a scenario is an object", "s.json:1:1"),
        (b"5", "a scenario is an object", "s.json:1:1"),
        (b"{\"trace\": {\"file\": \"t.jsonl\"}, \"trace\": {}}", "this key is given twice", "s.json:1:32"),
        (b"{\"seed\": 1e999}", "number out of range", "s.json:1:"),
    ] {
        let error = error(contents);
        assert!(error.contains(text) && error.contains(&format!("> {place}")), "{contents:?}: {error}");
    }
    let deep = "[".repeat(100_000);
    assert!(error(&deep).contains("recursion limit exceeded"));
}

#[test]
fn a_byte_order_mark_is_no_error() {
    let error = error(format!("\u{feff}{}", with("\"sead\": 1")));
    assert!(error.contains("unknown key `sead`") && error.contains("s.json:3:3"), "{error}");
}

#[test]
fn files_that_are_no_scenario_are_named() {
    let place = Place::new();
    let of = |arguments: &[&str]| refused(&place.run(arguments));
    assert!(of(&["run", "nothing.json"]).starts_with("error: cannot open `nothing.json`: no such file or directory\n"));
    place.write("month.json", "{}");
    assert!(of(&["run", "mont.json"]).contains("help: did you mean `month.json`?"));
    let directory = of(&["run", "."]);
    assert!(directory.contains("`.` is a directory, not a scenario"), "{directory}");
    assert!(directory.contains("help: name a file in it, such as `./month.json`"), "{directory}");
    assert!(of(&["run", "month.json/x"]).contains("not a directory"));
    let result = of(&["run", "month.json"]);
    assert!(result.contains("`trace` is missing here"), "{result}");
    let huge = std::fs::File::create(place.path().join("huge.json")).unwrap();
    huge.set_len(1 << 30).unwrap();
    assert!(of(&["run", "huge.json"]).contains("`huge.json` is larger than 4MiB, the limit for a scenario"));
    assert!(of(&["run", "/dev/zero"]).contains("`/dev/zero` is larger than 4MiB"));
    let long = "x".repeat(5000);
    assert!(of(&["run", &long]).contains("file name too long"));
}

#[test]
fn other_files_of_the_program_are_recognised() {
    let place = Place::new();
    place.write("t.jsonl", "{\"fragsim_trace\":1}\n{\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[9]}}\n");
    place.write("s.json", "{\"trace\": {\"file\": \"t.jsonl\"}}");
    let trace = refused(&place.run(&["run", "t.jsonl"]));
    assert!(trace.starts_with("error: this is a trace, not a scenario\n--> t.jsonl\n"), "{trace}");
    assert!(trace.contains("help: a scenario names it: {\"trace\": {\"file\": \"t.jsonl\"}}"), "{trace}");
    assert_eq!(place.run(&["run", "s.json", "--output", "r.json"]).code, Some(0));
    assert!(refused(&place.run(&["run", "r.json"])).starts_with("error: this is a result, not a scenario\n"));
    assert!(refused(&place.run(&["trace", "import", "t.jsonl"])).starts_with("error: this is a trace already\n"));
    assert!(refused(&place.run(&["trace", "check", "s.json"])).starts_with("error: this is not a trace: "));
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.write("s.json", "{}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    assert!(refused(&place.run_unprivileged(&["run", "s.json"])).contains("cannot open `s.json`: permission denied"));
}

#[test]
fn the_trace_of_a_scenario_must_be_there() {
    let error_of = |trace: &str| error(format!("{{\"trace\": {trace}}}"));
    let missing = error_of("{\"file\": \"t.jsnl\"}");
    assert!(missing.contains("cannot open `t.jsnl`: no such file") && missing.contains("s.json:1:20"), "{missing}");
    assert!(missing.contains("did you mean `t.jsonl`?"), "{missing}");
    assert!(error_of("{\"file\": \"/\"}").contains("`/` is a directory, not a trace"));
    assert!(error_of("{}").contains("the trace has neither `file` nor `generate`"));
    assert!(error_of("{\"file\": \"t.jsonl\", \"repeat\": 3}").contains("`repeat` needs a `period`"));
    let generate = error_of("{\"generate\": {\"duration\": \"1h\", \"classes\": [{\"preset\": \"libbpf\"}]}}");
    assert!(generate.contains("trace.generate.classes[0].preset"), "{generate}");
    let never = error_of("{\"generate\": {\"duration\": \"1h\", \"classes\": [{\"programs\": [{\"bytes\": 9}]}]}}");
    assert!(never.contains("the class never starts") && never.contains("trace.generate.classes[0]"), "{never}");
}

#[test]
fn every_value_out_of_its_limits_is_listed() {
    let error =
        error(with("\"machine\": {\"cpus\": 0, \"nodes\": 65}, \"sampling\": {\"points\": 1}, \"name\": \"a/b\""));
    assert_eq!(error.matches("error: ").count(), 4, "{error}");
    assert!(error.contains("cpus\n\nerror: "), "an empty line between two errors: {error}");
}

#[test]
fn standard_input_is_a_scenario_too() {
    let place = Place::new();
    let ended = place.run_with_input(&["run", "-"], b"{\"trace\": {\"file\": 1}}");
    assert!(refused(&ended).contains(" --> <standard input>:1:20"), "{ended:?}");
    let ended = place.run_with_input(&["run", "-"], b"\xff");
    assert!(refused(&ended).contains("the byte 0xff is not UTF-8 text"), "{ended:?}");
}

#[test]
fn changes_on_the_command_line_name_their_flag() {
    for (more, text) in [
        (&["--set", "machine.memroy=1GiB"][..], "in `--set machine.memroy=1GiB`: unknown key `memroy`"),
        (&["--set", "machine.memory=1GB"], "in `--set machine.memory=1GB`: unknown unit `GB`"),
        (&["--set", "machine.memory"], "`--set machine.memory` has no `=`"),
        (&["--set", "machine..memory=1"], "has an empty part"),
        (&["--set", "allocators[9]=per-prog"], "is no array, so it has no element 9"),
        (&["--set", "trace.file.x=1"], "`trace.file` is no object"),
        (&["--kernel", "6.99"], "in `--kernel 6.99`: unknown name `6.99`"),
        (&["--allocator", "pack4k"], "in `--allocator pack4k`: unknown name `pack4k`"),
        (&["--allocator", "per-prog", "-a", "per-prog"], "the label `per-prog` is used twice"),
    ] {
        let error = error_with(with("\"seed\": 1"), more);
        assert!(error.contains(text), "{more:?}: {error}");
    }
    let near = error_with(with("\"seed\": 1"), &["--set", "machine.memroy=1GiB"]);
    assert!(near.contains("help: did you mean `memory`?"), "{near}");
}

#[test]
fn errors_of_the_file_keep_their_place_when_something_is_set() {
    let error = error_with(with("\"kernle\": \"6.1\""), &["--set", "machine.memory=1GiB", "--seed", "7"]);
    assert!(error.contains("unknown key `kernle`\n --> s.json:3:3\n"), "{error}");
}
