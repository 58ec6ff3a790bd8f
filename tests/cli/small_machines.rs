//! A machine too small for its trace: a result that says so, never a crash.

use serde_json::Value;

use crate::place::Place;

/// A place with a trace that no small machine can hold: 4000 programs of 12 kB and none unloaded.
fn place(machine: &str) -> Place {
    let place = Place::new();
    place.write("s.json", format!("{{\"machine\": {machine}, \"trace\": {{\"file\": \"t.jsonl\"}}}}"));
    let load = |id| format!("{{\"time_ns\":{id},\"load\":{{\"id\":{id},\"image_bytes\":[9000,3000]}}}}\n");
    place.write("t.jsonl", "{\"fragsim_trace\":1}\n".to_owned() + &(0..4000).map(load).collect::<String>());
    place
}

/// The result on a machine, with these arguments more.
fn result(place: &Place, more: &[&str]) -> Value {
    let ended = place.run(&[&["run", "s.json", "--format", "json"], more].concat());
    assert_eq!(ended.code, Some(0), "{more:?}: {}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("the result is JSON")
}

#[test]
fn running_out_of_memory_is_told_in_every_format() {
    let place = place("{\"memory\": \"192MiB\"}");
    let result = result(&place, &[]);
    let table = place.run(&["run", "s.json"]);
    let text = table.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((table.code, table.stderr.as_str()), (Some(0), ""), "the table says it itself");
    let csv = place.run(&["run", "s.json", "--format", "csv"]);
    let markdown = place.run(&["run", "s.json", "--format", "md"]);
    for (run, line) in result["runs"].as_array().unwrap().iter().zip(csv.stdout.lines().skip(1)) {
        let (name, outcome) = (run["allocator"].as_str().unwrap(), &run["outcome"]["out_of_memory"]);
        let (event, message) = (outcome["event"].as_u64().unwrap(), outcome["message"].as_str().unwrap());
        assert!(event > 1 && event < 4000 && message.len() > 10, "{outcome}");
        let sentence = format!("{name} ran out of simulated memory at event {event}");
        assert!(text.contains(&sentence) && text.contains(message), "{sentence}: {text}");
        assert!(markdown.stdout.contains(&sentence), "{}", markdown.stdout);
        assert!(line.contains(",out_of_memory,"), "{line}");
        assert!(csv.stderr.contains(&format!("warning: {sentence}")), "{}", csv.stderr);
        assert_eq!(run["text"]["programs_loaded"], event - 1, "{name}: the load that failed is not counted");
    }
}

#[test]
fn no_allocator_and_no_kernel_crashes_on_a_small_machine() {
    let place = place("{\"memory\": \"128MiB\"}");
    for kernel in ["5.10", "5.17", "5.18-rc1", "5.18", "6.0", "6.6", "6.12", "6.15", "7.0", "7.2", "7.3"] {
        for memory in ["machine.memory=128MiB", "machine.memory=132MiB", "machine.memory=192MiB"] {
            for start in ["machine.boot_program=true", "machine.boot_program=false"] {
                let result = result(&place, &["--kernel", kernel, "--set", memory, "--set", start]);
                for run in result["runs"].as_array().unwrap() {
                    assert!(run["outcome"]["out_of_memory"].is_object(), "{kernel} {memory} {start}: {run}");
                }
            }
        }
    }
}

#[test]
fn more_memory_holds_no_fewer_programs() {
    let place = place("{\"memory\": \"128MiB\"}");
    let mut held = [0; 7];
    for mebibytes in [128, 136, 144, 152, 168, 192] {
        let result = result(&place, &["--set", &format!("machine.memory={mebibytes}MiB")]);
        for (held, run) in held.iter_mut().zip(result["runs"].as_array().unwrap()) {
            let loaded = run["text"]["programs_loaded"].as_u64().unwrap();
            assert!(loaded >= *held, "{mebibytes} MiB: {} programs instead of {held}: {}", loaded, run["allocator"]);
            *held = loaded;
        }
    }
}

#[test]
fn a_small_machine_that_is_in_use_already_is_no_crash_either() {
    for start in ["{\"aged\": \"month\"}", "{\"aged\": {\"used_percent\": 99}}", "{\"aged\": {\"used_percent\": 0}}"] {
        let place = place(&format!("{{\"memory\": \"128MiB\", \"start\": {start}}}"));
        for run in result(&place, &[])["runs"].as_array().unwrap() {
            assert!(run["outcome"]["out_of_memory"].is_object(), "{start}: {run}");
        }
    }
}
