//! Where results go, and that nothing is lost or left behind when something goes wrong.

use serde_json::Value;

use crate::place::Place;

const TRACE: &str = "{\"fragsim_trace\":1}\n\
                     {\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[3000]}}\n\
                     {\"time_ns\":9,\"unload\":{\"id\":1}}\n";

/// A place with a scenario `s.json` that can be replayed.
fn place() -> Place {
    let place = Place::new();
    place.write("s.json", "{\"trace\": {\"file\": \"t.jsonl\"}}");
    place.write("t.jsonl", TRACE);
    place
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the result is JSON")
}

#[test]
fn a_result_goes_where_it_is_wanted() {
    let place = place();
    let printed = place.run(&["run", "s.json", "--output", "-"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    assert_eq!(json(&printed.stdout)["runs"].as_array().unwrap().len(), 7);
    assert_eq!(place.run(&["run", "s.json", "--format", "json"]).stdout, printed.stdout);

    let saved = place.run(&["run", "s.json", "--save", "--output", "r.json"]);
    assert_eq!(saved.code, Some(0));
    assert!(saved.stdout.starts_with("Scenario s, 16GiB of memory, seed 1\n"), "{}", saved.stdout);
    assert_eq!(saved.stderr, "wrote r.json\nwrote results/s.json\n");
    for file in ["r.json", "results/s.json"] {
        assert_eq!(place.read(file), printed.stdout, "{file}");
    }
    let quiet = place.run(&["run", "s.json", "--save", "--quiet", "--set", "name=other"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
    assert_eq!(json(&place.read("results/other.json"))["scenario"]["name"], "other");
    assert_eq!(place.names(), ["r.json", "results", "s.json", "t.jsonl"]);
}

#[test]
fn every_format_tells_the_same_numbers() {
    let place = place();
    let result = json(&place.run(&["run", "s.json", "--format", "json"]).stdout);
    let csv = place.run(&["run", "s.json", "--format", "csv"]).stdout;
    let markdown = place.run(&["run", "s.json", "--format", "md"]).stdout;
    let columns: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    for (run, line) in result["runs"].as_array().unwrap().iter().zip(csv.lines().skip(1)) {
        let values: Vec<&str> = line.split(',').collect();
        assert_eq!(values[1], run["allocator"].as_str().unwrap());
        for (column, value) in columns.iter().zip(&values) {
            let Some((group, name)) = column.split_once('.') else { continue };
            assert_eq!(run[group][name].as_f64(), value.parse().ok(), "{column}");
        }
        assert!(markdown.contains(&format!("| {} ", values[1])), "{markdown}");
    }
}

#[test]
fn an_earlier_result_survives_what_goes_wrong() {
    let place = place();
    place.write("r.json", "earlier");
    place.write("t.jsonl", &TRACE[..TRACE.len() - 8]);
    std::fs::create_dir(place.path().join("results")).unwrap();
    place.write("results/s.json", "earlier");
    for arguments in [
        &["run", "s.json", "--output", "r.json", "--save"][..],
        &["run", "missing.json", "--output", "r.json"],
        &["run", "s.json", "--output", "r.json", "--set", "machine.memory=1GB"],
        &["trace", "gen", "--spec", "s.json", "--output", "r.json"],
        &["trace", "import", "t.jsonl", "--output", "r.json"],
    ] {
        let ended = place.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!((place.read("r.json"), place.read("results/s.json")), ("earlier".into(), "earlier".into()));
    }
    assert_eq!(place.names(), ["r.json", "results", "s.json", "t.jsonl"]);
}

#[test]
fn a_result_never_replaces_what_it_was_made_from() {
    let place = place();
    for (output, text) in [
        ("s.json", "the result would replace its scenario `s.json`"),
        ("./t.jsonl", "the result would replace its trace `./t.jsonl`"),
        (".", "cannot write `.`: it is a directory"),
        ("no/r.json", "there is no directory `no`"),
        ("s.json/r.json", "a part of the path is not a directory"),
    ] {
        let ended = place.run(&["run", "s.json", "--output", output]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{output}");
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
    let imported = place.run(&["trace", "import", "t.jsonl", "--output", "t.jsonl"]);
    assert!(imported.stderr.contains("the trace would replace its recording `t.jsonl`"), "{}", imported.stderr);
    let generated = place.run(&["trace", "gen", "--spec", "s.json", "--output", "s.json"]);
    assert!(generated.stderr.contains("the trace would replace its specification `s.json`"), "{}", generated.stderr);
    assert_eq!(place.read("t.jsonl"), TRACE);
    assert_eq!(place.names(), ["s.json", "t.jsonl"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let place = place();
    let ended = place.run(&["run", "s.json", "--output", "/dev/full"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("cannot write `/dev/full`: no space left on the device"), "{}", ended.stderr);
    let ended = place.run(&["trace", "gen", "--preset", "general-mix", "--output", "/dev/full"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("no space left on the device"), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_written_is_an_error_before_the_work() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let locked = place.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    let ended = place.run_unprivileged(&["run", "s.json", "--output", "locked/r.json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("cannot write `locked/r.json`: permission denied"), "{}", ended.stderr);
}

#[test]
fn a_closed_pipe_loses_no_file() {
    let place = place();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = place.command(&["run", "s.json", "--output", "r.json", "-q"]).stdout(writer).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(json(&place.read("r.json"))["runs"].as_array().unwrap().len(), 7);
}
