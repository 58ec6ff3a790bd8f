//! Usage, help, exit codes, and manners on pipes.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

use crate::place::Place;

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    let place = Place::new();
    for (arguments, text) in [
        (&[][..], "Usage: fragsim"),
        (&["rum"], "unrecognized subcommand 'rum'"),
        (&["run"], "<SCENARIO>"),
        (&["run", "s.json", "--sed", "1"], "a similar argument exists: '--s"),
        (&["run", "s.json", "--seed", "x"], "invalid value 'x' for '--seed <N>'"),
        (&["run", "s.json", "--seed", "-1"], "invalid value '-1' for '--seed <N>'"),
        (&["run", "s.json", "--threads", "0"], "invalid value '0' for '--threads <N>'"),
        (&["run", "s.json", "--format", "xml"], "[possible values: table, json, csv, md]"),
        (&["list", "kernel"], "a similar value exists: 'kernels'"),
        (&["schema"], "<FORMAT>"),
        (&["completions", "cmd"], "possible values: bash"),
        (&["trace"], "Usage: fragsim trace"),
        (&["trace", "import"], "<FILE>"),
    ] {
        let ended = place.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.contains(text), "{arguments:?}: {}", ended.stderr);
    }
    assert!(place.names().is_empty());
}

#[test]
fn a_result_on_standard_output_is_json() {
    let place = Place::new();
    let ended = place.run(&["run", "s.json", "--output", "-", "--format", "csv"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("so it excludes `--format csv`"), "{}", ended.stderr);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    for arguments in [
        &["--help"][..],
        &["-h"],
        &["help", "run"],
        &["run", "--help"],
        &["compare", "--help"],
        &["check", "--help"],
        &["list", "--help"],
        &["schema", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
        &["trace", "--help"],
        &["trace", "import", "--help"],
        &["trace", "check", "--help"],
        &["trace", "stat", "--help"],
        &["trace", "gen", "--help"],
    ] {
        let ended = place.run(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(ended.stdout.contains("\n  fragsim "), "{arguments:?} has no example");
    }
    let version = format!("fragsim {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(place.run(&["--version"]).stdout, version);
}

#[test]
fn the_help_names_every_exit_code() {
    let help = Place::new().run(&["--help"]).stdout;
    for line in ["0  done", "1  a check failed", "2  bad usage or bad input", "3  nothing to compare with"] {
        assert!(help.contains(line), "{help}");
    }
}

#[test]
fn a_closed_pipe_is_quiet() {
    let place = Place::new();
    place.write(
        "s.json",
        "{\"trace\": {\"generate\": {\"duration\": \"1day\", \"classes\": [{\"preset\": \"general-mix\"}]}}}",
    );
    place.write("t.jsonl", "{\"fragsim_trace\":1}\n");
    place.write("bad.jsonl", "{\"fragsim_trace\":1}\n".to_owned() + &"{}\n".repeat(1000));
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["run", "s.json"],
        &["run", "s.json", "--output", "-"],
        &["run", "s.json", "--format", "csv"],
        &["run", "s.json", "--format", "md"],
        &["list", "allocators"],
        &["list", "kernels", "--format", "json"],
        &["schema", "scenario"],
        &["completions", "bash"],
        &["man"],
        &["trace", "stat", "t.jsonl"],
        &["trace", "stat", "t.jsonl", "--format", "json"],
        &["trace", "check", "t.jsonl"],
        &["trace", "gen", "--preset", "general-mix", "--every", "1s", "--duration", "1day"],
    ] {
        let mut command = place.command(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    // Nobody reads the errors either: the code still tells.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = place.command(&["trace", "check", "bad.jsonl"]).stderr(writer).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_reader_that_stops_after_a_line_is_no_error() {
    let place = Place::new();
    let arguments = ["trace", "gen", "--preset", "general-mix", "--every", "1s", "--duration", "10days"];
    let mut child = place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"fragsim_trace\":1"), "{first}");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let place = Place::new();
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = place.command(&["schema", "result"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("cannot write standard output: no space left on the device"), "{stderr}");
}

/// Sends the signal to the program once it has begun to write a file, and says with which code it ends.
fn interrupted(place: &Place, arguments: &[&str], signal: &str) -> Option<i32> {
    let mut child = place.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let unfinished = || place.names().iter().any(|name| name.starts_with(".fragsim-"));
    for _ in 0..1000 {
        if unfinished() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(unfinished(), "the file is being written: {:?}", place.names());
    let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    child.wait().unwrap().code()
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_no_unfinished_file() {
    let generate =
        ["trace", "gen", "--preset", "general-mix", "--every", "1ms", "--duration", "3650days", "--output", "t.jsonl"];
    for signal in ["-INT", "-TERM", "-HUP"] {
        let place = Place::new();
        assert_eq!(interrupted(&place, &generate, signal), Some(130), "{signal}");
        assert!(place.names().is_empty(), "{signal}: {:?}", place.names());
    }
    let place = Place::new();
    let load = "{\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[9]}}\n{\"time_ns\":1,\"unload\":{\"id\":1}}\n";
    place.write("t.jsonl", "{\"fragsim_trace\":1}\n".to_owned() + load);
    place.write("s.json", "{\"trace\": {\"file\": \"t.jsonl\", \"repeat\": 1000000000000, \"period\": \"1us\"}}");
    place.write("r.json", "earlier");
    assert_eq!(interrupted(&place, &["run", "s.json", "--output", "r.json"], "-INT"), Some(130));
    assert_eq!(place.names(), ["r.json", "s.json", "t.jsonl"]);
    assert_eq!(place.read("r.json"), "earlier");
}
