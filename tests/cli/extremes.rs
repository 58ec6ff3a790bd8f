//! Values at and beyond every edge: a result or an error, never a crash.

use crate::place::{Ended, Place};

const HEADER: &str = "{\"fragsim_trace\":1}\n";
const TRACE: &str =
    "{\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[600]}}\n{\"time_ns\":9,\"unload\":{\"id\":1}}\n";

/// A place with a scenario `s.json` that replays these events.
fn place(events: &str) -> Place {
    let place = Place::new();
    place.write("s.json", "{\"trace\": {\"file\": \"t.jsonl\"}}");
    place.write("t.jsonl", format!("{HEADER}{events}"));
    place
}

fn run(place: &Place, changes: &[&str]) -> Ended {
    let sets = changes.iter().flat_map(|change| ["--set", change]);
    place.run(&["run", "s.json", "--format", "csv"].into_iter().chain(sets).collect::<Vec<_>>())
}

#[test]
fn hosts_of_every_size_and_shape_are_simulated() {
    let place = place(TRACE);
    for changes in [
        &["machine.memory=65532GiB"][..],
        &["machine.memory=63TiB", "machine.nodes=64", "machine.cpus=8192"],
        &["machine.memory=8GiB", "machine.nodes=64"],
        &["machine.memory=1000000KiB", "machine.nodes=3"],
        &["machine.cpus=8192", "machine.memory=128MiB"],
        &["machine.largest_page=4KiB"],
        &["machine.largest_page=2MiB", "machine.layout=q35"],
        &[r#"machine.ranges=[{"start":"65532GiB","size":"4GiB"}]"#],
        &[r#"machine.ranges=[{"start":"4KiB","size":"128MiB"}]"#],
        &[r#"machine.ranges=[{"start":"0B","size":"128MiB"},{"start":"1TiB","size":"4KiB"}]"#],
        &[r#"machine.ranges=[{"start":"0B","size":"128MiB","node":1},{"start":"1TiB","size":"128MiB","node":0}]"#],
        &["machine.start.aged=month", "machine.nodes=64"],
        &[r#"machine.start.aged={"used_percent":0,"unmovable_percent":0,"scatter_percent":0}"#],
        &[r#"machine.start.aged={"used_percent":99,"unmovable_percent":100,"reclaimable_percent":0}"#],
        &[r#"machine.start.aged={"used_percent":99,"unmovable_percent":0,"reclaimable_percent":100}"#],
        &["machine.start.aged.scatter_percent=100", "machine.memory=128MiB"],
        &["seed=18446744073709551615"],
        &["sampling.every=1ns"],
        &["sampling.every=584years"],
        &["sampling.points=10000"],
        &["trace.repeat=1000", "trace.period=1ns"],
    ] {
        let ended = run(&place, changes);
        assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 8), "{changes:?}: {}", ended.stderr);
    }
    let ended = place.run(&["run", "s.json", "--threads", "18446744073709551615", "--quiet"]);
    assert_eq!(ended.code, Some(0), "no more threads than there is work: {}", ended.stderr);
}

#[test]
fn values_beyond_the_edge_are_refused() {
    let place = place(TRACE);
    for (change, text) in [
        ("machine.memory=64TiB", "64TiB is more than 65532GiB"),
        ("machine.memory=127MiB", "127MiB is less than 128MiB, the least that a host has"),
        (r#"machine={"memory":"2GiB","nodes":64}"#, "2GiB shared by 64 nodes is less than 128MiB each"),
        (r#"machine.ranges=[{"start":"0B","size":"64MiB"}]"#, "node 0 has 64MiB, less than 128MiB"),
        ("machine.cpus=8193", "from 1 to 8192 CPUs"),
        ("machine.nodes=65", "from 1 to 64 nodes"),
        ("machine.nodes=4294967296", "expected a whole number up to 4294967295, found a larger one"),
        ("machine.start.aged.used_percent=100", "from 0 to 99 percent"),
        ("machine.ranges=[]", "from 1 to 1024 ranges"),
        (r#"machine.ranges=[{"start":"64TiB","size":"4GiB"}]"#, "the range ends above 64TiB"),
        ("sampling.points=10001", "from 2 to 10000 points"),
        ("sampling.every=0s", "the time between two samples is 0"),
        ("sampling={}", "exactly one key belongs here"),
        ("trace.repeat=1000000000000", "`repeat` needs a `period`"),
        (r#"trace={"file":"t.jsonl","repeat":1000000000000,"period":"1s"}"#, "is more than 584 years"),
        (r#"trace={"file":"t.jsonl","repeat":18446744073709551615,"period":"1ns"}"#, "go beyond the end of time"),
        ("name=../../x", "`../../x` cannot be the name of a result"),
        (r#"allocators=[{"policy":"per-prog","label":"a\nb"}]"#, "a label is one line"),
    ] {
        let ended = run(&place, &[change]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{change}");
        assert!(ended.stderr.contains(text), "{change}: {}", ended.stderr);
    }
}

#[test]
fn events_of_every_kind_may_be_as_odd_as_they_like() {
    let last = "{\"time_ns\":18446744073709551615,\"unload\":{\"id\":18446744073709551615}}";
    let first = "{\"time_ns\":0,\"load\":{\"id\":18446744073709551615,\"image_bytes\":[1]}}";
    let set = |first: u64, pages: u64, to| {
        format!("{{\"time_ns\":0,\"set_memory\":{{\"first_pfn\":{first},\"pages\":{pages},\"to\":\"{to}\"}}}}\n")
    };
    let mut frames = String::new();
    for to in ["ro", "4k", "np", "p", "rw"] {
        for (first, pages) in [(0, 1), (511, 2), (513, 100_000), (262_143, 1), (262_144, 9), (1 << 39, 1 << 39)] {
            frames += &set(first, pages, to);
        }
    }
    for events in [
        format!("{first}\n{last}\n"),
        frames + TRACE,
        "{\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[2147483648]}}\n".to_owned(),
        "{\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[1],\"insns\":4294967295}}\n".to_owned(),
        "{\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[4096],\"jited\":false}}\n".to_owned(),
        "{\"time_ns\":0,\"module_load\":{\"id\":1,\"init_data_bytes\":2147483648}}\n".to_owned(),
        "{\"time_ns\":0,\"module_load\":{\"id\":1,\"text_bytes\":1}}\n{\"time_ns\":0,\"module_unload\":{\"id\":1}}\n"
            .to_owned(),
        "{\"time_ns\":0,\"trampoline_attach\":{\"id\":1,\"image_bytes\":2147483648}}\n".to_owned(),
        "{\"time_ns\":0,\"memory_take\":{\"user\":\"a\",\"kind\":\"page-tables\",\"bytes\":\"64TiB\"}}\n".to_owned(),
        "{\"time_ns\":0,\"memory_take\":{\"user\":\"a\",\"kind\":\"anonymous\",\"bytes\":\"1B\",\"order\":10}}\n\
         {\"time_ns\":0,\"memory_give\":{\"user\":\"a\",\"bytes\":\"4KiB\",\"pattern\":\"scattered\"}}\n"
            .to_owned(),
    ] {
        let place = place(&events);
        for kernel in ["5.10", "5.18", "6.1", "6.15", "7.3"] {
            let ended = run(&place, &["machine.memory=1GiB", &format!("kernel={kernel}")]);
            assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 8), "{events:.200}: {}", ended.stderr);
        }
    }
}

#[test]
fn snapshots_that_do_not_fit_are_refused() {
    let place = place(TRACE);
    let snapshot = "{\"memory\": \"4GiB\", \"start\": {\"snapshot\": {\"buddyinfo\": \"b\"}}}";
    place.write("s.json", format!("{{\"trace\": {{\"file\": \"t.jsonl\"}}, \"machine\": {snapshot}}}"));
    for (text, message) in [
        (b"\x7fELF\xd0".as_slice(), " --> b:1:5\n"),
        (b"", "no line of the form `Node 0, zone Normal ...` found"),
        (b"Node 0, zone Weird 1\n", "found `Weird`\n --> b:1:14\n"),
        (b"Node 0, zone Normal 99999999999999999999 0 0 0 0 0 0 0 0 0 0\n", " --> b:1:21\n"),
        (b"Node 7, zone Normal 1 0 0 0 0 0 0 0 0 0 0\n", "this machine has no memory there\n--> b\n"),
        (b"Node 0, zone Normal 0 0 0 0 0 0 0 0 0 0 4294967295\n", "do not fit into 524288 pages of RAM\n--> b\n"),
    ] {
        place.write("b", text);
        let ended = run(&place, &[]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{message}");
        assert!(ended.stderr.contains(message), "{message}: {}", ended.stderr);
    }
    place.write("b", "Node 0, zone Normal 0 0 0 0 0 0 0 0 0 0 0\n");
    assert!(run(&place, &[]).stdout.contains("out_of_memory"), "a host without any free memory");
}
