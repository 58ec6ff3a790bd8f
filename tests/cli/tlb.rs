//! `fragsim tlb`: counts, formats, and everything that can be wrong with its inputs.

use serde_json::{Value, json};

use crate::place::{Ended, Place};

/// A core with one structure that holds every page size.
fn core() -> Value {
    json!({
        "name": "one", "structures": [{ "name": "T", "level": 1, "pages": ["4K", "2M", "1G"], "entries": 12, "ways": 4 }]
    })
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn hits_and_misses_by_structure_and_page_size() {
    let place = Place::new();
    place.write("map.txt", "0x0-0x200000 4K\n0x200000-0x40000000 2M\n* 1G\n");
    let list = "0x1000\n0x1008 w\n0x200000 x\n0x40000000\n0x7fffffff r\nflush\n0x1000\nflush 0x1000\n4096\n";
    let arguments = ["tlb", "--cpu", "zen4", "--leaf-sizes", "map.txt", "--accesses", "-", "--format", "json"];
    let report = json_of(&place.run_with_input(&arguments, list.as_bytes()));
    assert_eq!(report["accesses"], 7);
    assert_eq!((&report["page_walks"], &report["flushes"], &report["page_flushes"]), (&json!(5), &json!(1), &json!(1)));
    let structure = |name: &str| {
        let structures = report["structures"].as_array().unwrap();
        structures.iter().find(|structure| structure["name"] == name).unwrap()["page_sizes"].clone()
    };
    assert_eq!(structure("L1D")["4K"], json!({"hits": 1, "misses": 3}));
    assert_eq!(structure("L1D")["1G"], json!({"hits": 1, "misses": 1}));
    assert_eq!(structure("L2I")["2M"], json!({"hits": 0, "misses": 1}));
    for (format, start) in
        [("table", "CPU zen4\n"), ("csv", "what,level,pages,hits,misses,"), ("md", "| what | level |")]
    {
        let arguments = ["tlb", "--cpu", "zen4", "--accesses", "-", "--format", format];
        let ended = place.run_with_input(&arguments, list.as_bytes());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.starts_with(start), "{}", ended.stdout);
    }
}

#[test]
fn binary_lists_and_hosts_with_smaller_pages() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..1000u64).flat_map(|page| (page << 12).to_le_bytes()).collect();
    place.write("list.bin", bytes);
    let arguments =
        ["tlb", "--cpu", "skylake-sp", "--leaf-sizes", "1G", "--accesses", "list.bin", "--binary", "--format", "json"];
    assert_eq!(json_of(&place.run(&arguments))["page_walks"], 1);
    for (host, walks) in [("2M", 2), ("4K", 1000)] {
        let arguments = [&arguments[..], &["--host-pages", host]].concat();
        let report = json_of(&place.run(&arguments));
        assert_eq!((&report["page_walks"], &report["host_pages"]), (&json!(walks), &json!(host)));
    }
}

#[test]
fn an_own_core_is_made_from_a_preset() {
    let place = Place::new();
    let ended = place.run(&["tlb", "--cpu", "zen4", "--print-cpu"]);
    assert_eq!(ended.code, Some(0));
    place.write("own.json", &ended.stdout);
    place.write("list.txt", "1\n2\n3\n");
    let count = |cpu: &str| json_of(&place.run(&["tlb", "--cpu", cpu, "--accesses", "list.txt", "--format", "json"]));
    assert_eq!(count("own.json"), count("zen4"));
}

#[test]
fn bad_inputs_are_told_with_their_place_and_a_remedy() {
    let place = Place::new();
    place.write("list.txt", "0x1000\n".repeat(6) + "junk\n");
    place.write("good.txt", "0x1000\n");
    place.write("map.txt", "0x0-0x1000 4K\n0x1000-0x2000 8K\n");
    place.write("cut.bin", [0u8; 12]);
    let cpu = |pointer: &str, value: Value| {
        let mut doc = core();
        *doc.pointer_mut(pointer).unwrap() = value;
        serde_json::to_string_pretty(&doc).unwrap()
    };
    place.write("ways.json", cpu("/structures/0/ways", json!(5)));
    place.write("entries.json", cpu("/structures/0/entries", json!(0)));
    place.write("empty.txt", "");
    place.write("flush.txt", "# nothing\nflush\n\nflush 0x1000\n");
    place.write("noise.bin", [0xff, 0x80, 0x0a]);
    place.write("huge.txt", "0x1000\n0xfffffffffffffffff\n");
    place.write("pages.json", cpu("/structures/0/pages", json!(["4K", "2M"])));
    for (arguments, message, at, help) in [
        (&["--cpu", "zen4", "--accesses", "list.txt"][..], "`junk` is no address", "list.txt:7:1", "write an address"),
        (&["--cpu", "zen44", "--accesses", "good.txt"], "there is no CPU `zen44`", "", "did you mean `zen4`?"),
        (
            &["--cpu", "ways.json", "--accesses", "good.txt"],
            "5 ways do not divide 12 entries",
            "ways.json:13:15",
            "the nearest",
        ),
        (
            &["--cpu", "entries.json", "--accesses", "good.txt"],
            "a TLB cannot have 0 entries",
            "entries.json:5:18",
            "write from 1",
        ),
        (
            &["--cpu", "pages.json", "--accesses", "good.txt"],
            "no structure holds pages of 1G",
            "pages.json:3:17",
            "add \"1G\"",
        ),
        (
            &["--cpu", "zen4", "--leaf-sizes", "map.txt", "--accesses", "good.txt"],
            "`8K` is no page size",
            "map.txt:2:1",
            "4K, 2M or 1G",
        ),
        (&["--cpu", "zen4", "--leaf-sizes", "none.txt", "--accesses", "good.txt"], "cannot open `none.txt`", "", ""),
        (&["--cpu", "zen4", "--accesses", "none.txt"], "cannot open `none.txt`", "", ""),
        (&["--cpu", "zen4", "--accesses", "cut.bin", "--binary"], "the list ends after 4 bytes", "cut.bin", "8 bytes"),
        (&["--cpu", "zen4"], "--accesses <FILE>", "", ""),
        (&["--cpu", "zen4", "--accesses", "empty.txt"], "the list has no access", "empty.txt", "write one address"),
        (&["--cpu", "zen4", "--accesses", "empty.txt", "--binary"], "the list has no access", "empty.txt", "8 bytes"),
        (&["--cpu", "zen4", "--accesses", "flush.txt"], "the list has no access", "flush.txt", "write one address"),
        (&["--cpu", "zen4", "--accesses", "."], "`.` is a directory", "", "name a file"),
        (&["--cpu", ".", "--accesses", "good.txt"], "`.` is a directory", "", "name a file"),
        (&["--cpu", "zen4", "--accesses", "noise.bin"], "this line is no text", "noise.bin:1:1", "--binary"),
        (&["--cpu", "zen4", "--accesses", "huge.txt"], "does not fit into 64 bits", "huge.txt:2:1", "write an address"),
        (&["--cpu", "zen4", "--accesses", "good.txt", "--host-pages", "3M"], "a page size is 4K, 2M or 1G", "", ""),
    ] {
        let ended = place.run(&[&["tlb"], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ended:?}");
        for text in [message, at, help] {
            assert!(ended.stderr.contains(text), "{arguments:?} lacks {text}: {}", ended.stderr);
        }
    }
}

#[test]
fn cores_and_workloads_are_listed_and_described() {
    let place = Place::new();
    for (what, name) in [("cpus", "icelake-sp"), ("workloads", "page-cache-server")] {
        assert!(place.run(&["list", what]).stdout.contains(name));
    }
    for (what, key) in [("cpu", "structures"), ("workload", "classes")] {
        let schema: Value = serde_json::from_str(&place.run(&["schema", what]).stdout).unwrap();
        assert!(schema["properties"][key].is_object(), "{schema}");
    }
}
