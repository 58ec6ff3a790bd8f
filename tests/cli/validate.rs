//! Real kernels judge the model, as a user sees it.

use std::path::Path;

use crate::place::Place;
use serde_json::Value;

/// A log of the lab: Debian 5.10.262 under the real runqslower.
const LOG: &str = "tests/data/E10-4096M.jsonl.gz";

fn log() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG)).unwrap()
}

/// The log as the compact form's plain text.
fn plain(place: &Place) -> String {
    place.write("E10-4096M.jsonl.gz", log());
    let ended = place.run(&["recording", "convert", "E10-4096M.jsonl.gz", "--output", "out"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let bytes = std::fs::read(place.path().join("out/5.10.262/E10-4096M.jsonl.zst")).unwrap();
    String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap()
}

/// A recording without its steps.
fn without_steps(text: &str) -> String {
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("{\"step\"")).collect();
    let records = format!("\"records\":{}", kept.len() - 1);
    kept.iter().map(|line| line.replacen("\"records\":74", &records, 1) + "\n").collect()
}

/// The sum of one number over all recordings.
fn sum(verdict: &Value, path: &str) -> u64 {
    let recordings = verdict["recordings"].as_array().unwrap();
    recordings.iter().map(|recording| recording.pointer(path).and_then(Value::as_u64).unwrap()).sum()
}

fn verdict(level: &str) -> (Option<i32>, Value) {
    let ended = Place::new().run(&["validate", "--level", level, "--format", "json"]);
    assert_eq!(ended.stderr, "");
    (ended.code, serde_json::from_str(&ended.stdout).unwrap())
}

#[test]
fn the_mechanics_agree_with_every_kernel() {
    let (code, verdict) = verdict("mechanics");
    assert_eq!((code, &verdict["agrees"]), (Some(0), &Value::Bool(true)));
    for steps in ["steps", "changed_steps", "splitting_steps"] {
        let of = |what| sum(&verdict, &format!("/mechanics/{steps}/{what}"));
        assert_eq!(of("checked"), of("agreeing"), "{steps}");
    }
    // The rules of thumb that the model is compared with do not do as well.
    let splitting = |what| sum(&verdict, &format!("/mechanics/splitting_steps/{what}"));
    assert_eq!(splitting("null_model"), 0);
    assert!(splitting("one_line_model") < splitting("agreeing"));
}

#[test]
fn every_image_stands_where_the_model_puts_it() {
    let (code, verdict) = verdict("placement");
    assert_eq!((code, &verdict["agrees"]), (Some(0), &Value::Bool(true)));
    let images = |what| sum(&verdict, &format!("/placement/images/{what}"));
    assert!(images("checked") > 20_000 && images("null_model") < images("agreeing"));
}

#[test]
fn recordings_are_named_by_file_folder_or_shipped_name() {
    let place = Place::new();
    place.write("E10-4096M.jsonl.gz", log());
    let file = place.run(&["validate", "E10-4096M.jsonl.gz"]);
    assert_eq!((file.code, file.stderr.as_str()), (Some(0), ""));
    assert!(file.stdout.contains("5.10.262  64/64"), "{}", file.stdout);
    for name in [".", "debian/5.10.262/E10-4096M", "recordings/debian/5.10.262/E10-4096M.jsonl.zst"] {
        assert_eq!(place.run(&["validate", name]).stdout, file.stdout, "{name}");
    }
    let folder = place.run(&["validate", "debian/6.16.12", "--format", "md"]);
    assert!(folder.stdout.contains("| 6.16.12 E12-4096M | agrees | 78/78 |"), "{}", folder.stdout);
    let verbose = place.run(&["validate", "debian/6.16.12", "--verbose"]);
    assert!(verbose.stdout.contains("6.16.12 E6-4096M"), "{}", verbose.stdout);
}

#[test]
fn a_disagreement_names_the_step_and_how_to_replay_it() {
    let place = Place::new();
    let good = plain(&place);
    // The kernel makes another frame read-only than the one that the image stands on.
    place.write("bad.jsonl", good.replacen("\"perm\":[[1053373,1,", "\"perm\":[[1053374,1,", 1));
    let ended = place.run(&["validate", "bad.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    for part in [
        "5.10.262 E10-4096M, step 2, load of descriptor 5:",
        "the kernel: splits 1 GiB entries 4; splits 2 MiB blocks 2057; permissions of frames 1053374 (1) rw to ro",
        "the model:  splits 1 GiB entries 4; splits 2 MiB blocks 2057; permissions of frames 1053373 (1) rw to ro",
        "replay it:  fragsim validate bad.jsonl --step 2 --verbose",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    let ended = place.run(&["validate", "bad.jsonl", "--step", "2", "--verbose"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("verdict   kernel and model differ"), "{}", ended.stdout);
    assert!(ended.stdout.contains("call      read-only, page by page: frames 1053373 (1)"), "{}", ended.stdout);
    assert_eq!(place.run(&["validate", "bad.jsonl", "--step", "1"]).code, Some(0));
}

#[test]
fn logs_may_say_more_than_is_understood() {
    let place = Place::new();
    let mut log_text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(log().as_slice()), &mut log_text).unwrap();
    let mut lines: Vec<String> = log_text.lines().map(str::to_owned).collect();
    lines[0] = lines[0].replacen("{\"op\"", "{\"host\":{\"qemu\":[9,2]},\"op\"", 1);
    // An operation without a number, and one that uses words of the lab otherwise.
    lines.insert(9, "{\"op\":\"note\",\"text\":[\"between\",\"steps\"],\"slot\":\"seven\"}".to_owned());
    place.write("newer-lab.jsonl", lines.join("\n"));
    let ended = place.run(&["validate", "newer-lab.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    // A word that is known must be used as it is known.
    lines[9] = "{\"op\":\"load\",\"id\":\"seven\"}".to_owned();
    place.write("wrong.jsonl", lines.join("\n"));
    let ended = place.run(&["validate", "wrong.jsonl"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--> wrong.jsonl:10:19"), "{}", ended.stderr);
}

#[test]
fn a_kernel_that_is_not_known_has_a_stand_in() {
    let place = Place::new();
    let good = plain(&place);
    place.write("newer.jsonl", good.replacen("\"release\":\"5.10", "\"release\":\"9.1", 1));
    let ended = place.run(&["validate", "newer.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let note = "5.10.262 is judged by the model of 7.3, the newest release before it that there is.";
    assert_eq!(ended.stdout.matches(note).count(), 1, "{}", ended.stdout);
    place.write("same.jsonl", good);
    assert!(!place.run(&["validate", "same.jsonl"]).stdout.contains("is judged by"));
}

#[test]
fn another_seed_draws_another_start() {
    let place = Place::new();
    let curves = |seed: &str| {
        let arguments =
            ["validate", "patched/G0/P1-4096M", "--level", "prediction", "--format", "json", "--seed", seed];
        let ended = place.run(&arguments);
        let verdict: Value = serde_json::from_str(&ended.stdout).unwrap();
        verdict["recordings"][0]["prediction"].clone()
    };
    assert_eq!(curves("1"), curves("1"));
    assert_ne!(curves("1"), curves("2"));
}

/// The command that a report prints, without the program's name.
fn replay_command(report: &str) -> Vec<String> {
    let line = report.lines().find_map(|line| line.trim().strip_prefix("replay it:  fragsim ")).expect(report);
    line.split(' ').map(str::to_owned).collect()
}

/// Runs the command that a report prints, and returns what came of it.
fn replay(place: &Place, report: &str) -> (Option<i32>, String) {
    let command = replay_command(report);
    let ended = place.run(&command.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.stderr, "", "{command:?}");
    (ended.code, ended.stdout)
}

#[test]
fn the_printed_command_replays_the_step_on_every_level() {
    let place = Place::new();
    let good = plain(&place);
    // Placement: the kernel's image is in another page than the model's.
    let (before, after) = ("0xffffffffc00021ec", "0xffffffffc00031ec");
    assert!(good.contains(before));
    place.write("moved.jsonl", good.replacen(before, after, 1));
    let ended = place.run(&["validate", "moved.jsonl", "--level", "placement"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    assert!(ended.stdout.contains("the kernel: an area of 1 pages at 0xffffffffc0002000"), "{}", ended.stdout);
    let (code, told) = replay(&place, &ended.stdout);
    let shown = "place     an area of 1 pages at 0xffffffffc0002000; the model has an area of 1 pages at 0xffffffffc0003000: differ";
    assert!(code == Some(1) && told.contains(shown), "{told}");
    assert!(told.contains("place     15 bytes of code at 0xffffffffc00031ec; the model has room from"), "{told}");
    // Mechanics: the layout at the end is another.
    let end = good.rfind("[1048576,").unwrap();
    let (head, tail) = good.split_at(end);
    let (range, rest) = tail.split_once(']').unwrap();
    assert!(range.ends_with("\"rw\""), "{range}");
    place.write("end.jsonl", format!("{head}{}]{rest}", range.replace("\"rw\"", "\"ro\"")));
    let ended = place.run(&["validate", "end.jsonl", "--level", "mechanics"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    assert!(ended.stdout.contains("step 64, layout at the end:"), "{}", ended.stdout);
    let (code, told) = replay(&place, &ended.stdout);
    assert!(code == Some(1) && told.contains("layout at the end: kernel and model differ"), "{told}");
    // Prediction: packs where the kernel has pages.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings/patched/G0/P1-4096M.jsonl.zst");
    let text = String::from_utf8(zstd::decode_all(std::fs::read(path).unwrap().as_slice()).unwrap()).unwrap();
    place.write("my G1.jsonl", text.replacen("\"kernel\":\"G0\"", "\"kernel\":\"G1\"", 1));
    let ended = place.run(&["validate", "my G1.jsonl", "--level", "prediction"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    assert!(ended.stdout.contains("replay it:  fragsim validate 'my G1.jsonl' --level prediction"), "{}", ended.stdout);
    let words = ["validate", "my G1.jsonl", "--level", "prediction", "--step", "1", "--verbose"];
    let told = place.run(&words);
    assert_eq!((told.code, told.stderr.as_str()), (Some(1), ""), "{}", ended.stdout);
    assert!(ended.stdout.contains("G1 P1-4096M, step 1, load 1:\n"), "{}", ended.stdout);
    assert!(told.stdout.contains("so far    level 2: "), "{}", told.stdout);
}

#[test]
fn one_step_of_a_folder_is_told_where_there_is_one() {
    let place = Place::new();
    let ended = place.run(&["validate", "debian/7.3.4", "--step", "20"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.contains("7.3.4 E6-4096M") && !ended.stdout.contains("E1-1024M"), "{}", ended.stdout);
}

#[test]
fn a_start_that_is_not_told_is_noted() {
    let place = Place::new();
    let good = plain(&place);
    let note = "5.10.262 E10-4096M tells no /proc/buddyinfo before its first step";
    let ended = |text: &str| {
        place.write("start.jsonl", text);
        let ended = place.run(&["validate", "start.jsonl", "--level", "prediction"]);
        assert_eq!(ended.stderr, "");
        ended.stdout
    };
    assert!(!ended(&good).contains(note));
    let untold = ended(&good.replacen("\"path\":\"/proc/buddyinfo\"", "\"path\":\"/proc/loadavg\"", 1));
    assert!(untold.contains(note), "{untold}");
    // A byte order mark says nothing.
    assert!(!ended(&format!("\u{feff}{good}")).contains(note));
}

/// A recording under the name of a kernel that differs in one rule: the model without that rule, or with it, must fail
/// where the rule counts.
#[test]
fn a_rule_that_is_off_fails_in_the_steps_where_it_counts() {
    let place = Place::new();
    let reset = "permissions of frames 1060352 (512) ro to rw";
    let split = "splits 2 MiB blocks 2071; permissions of frames 1060352 (512) ro to rw";
    for (recording, told, instead, first, kernel, model, agreeing) in [
        // No reset when a pack is freed; one too many; packs made page by page; modules outside the cache.
        ("patched/G1/P1-4096M", "\"G1\"", "\"G1fix\"", "step 4, unload 2", split, reset, "65/71"),
        ("patched/G1fix/P1-4096M", "\"G1fix\"", "\"G1\"", "step 4, unload 2", reset, split, "41/71"),
        (
            "debian/7.3.4/E6-4096M",
            "\"7.3",
            "\"7.2",
            "step 9, load 5",
            "permissions of frames 1075712 (512) rw to ro",
            "splits 2 MiB blocks 2101",
            "18/26",
        ),
        (
            "debian/6.18.15/E12-4096M",
            "\"6.18",
            "\"6.14",
            "step 1, insmod dummy",
            "splits 2 MiB blocks 2058, 2062",
            "opens areas of 1 pages",
            "54/78",
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("recordings/{recording}.jsonl.zst"));
        let bytes = zstd::decode_all(std::fs::read(path).unwrap().as_slice()).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        place.write("good.jsonl", &text);
        assert_eq!(place.run(&["validate", "good.jsonl", "--level", "mechanics"]).code, Some(0), "{recording}");
        let key = if told.starts_with("\"G") { "kernel" } else { "release" };
        let off = text.replacen(&format!("\"{key}\":{told}"), &format!("\"{key}\":{instead}"), 1);
        assert!(off != text, "{recording}: no {told}");
        place.write("off.jsonl", off);
        let ended = place.run(&["validate", "off.jsonl", "--level", "mechanics"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{recording}");
        for part in [first, &format!("the kernel: {kernel}"), &format!("the model:  {model}"), agreeing] {
            assert!(ended.stdout.contains(part), "{recording}: {part}: {}", ended.stdout);
        }
        let step = first.split([' ', ',']).nth(1).unwrap();
        let replayed = place.run(&["validate", "off.jsonl", "--step", step, "--verbose"]);
        assert_eq!(replayed.code, Some(1));
        assert!(replayed.stdout.contains("verdict   kernel and model differ"), "{}", replayed.stdout);
    }
}

#[test]
fn what_cannot_be_judged_is_bad_input() {
    let place = Place::new();
    let good = plain(&place);
    place.write("cut.jsonl.gz", &log()[..2000]);
    place.write("short.jsonl", good.lines().take(20).map(|line| format!("{line}\n")).collect::<String>());
    place.write("newer.jsonl", good.replacen("\"fragsim_recording\":1", "\"fragsim_recording\":7", 1));
    place.write("foreign.jsonl", "{\"fragsim_trace\":1}\n");
    place.write("old.jsonl", good.replacen("\"release\":\"5.10", "\"release\":\"4.19", 1));
    place.write("gap.jsonl", good.replacen("{\"step\":9,", "{\"step\":10,", 1));
    place.write("crowd.jsonl", good.replacen("\"cpus\":1", "\"cpus\":4294967295", 1));
    place.write("none.jsonl", good.replacen("\"cpus\":1", "\"cpus\":0", 1));
    place.write("vast.jsonl", good.replacen("\"ram_mib\":4096", "\"ram_mib\":18446744073709551615", 1));
    place.write("minus.jsonl", good.replacen("\"fragsim_recording\":1", "\"fragsim_recording\":-1", 1));
    place.write("zone.jsonl", good.replacen("Node 0, zone   Normal ", "Node 0, zone   Normal x", 1));
    place.write("twice.jsonl", format!("{good}{good}"));
    place.write("still.jsonl", without_steps(&good));
    place.write("null.jsonl", good.replacen("\"perm\":[[1053373,1,", "\"perm\":[[1053373,0,", 1));
    let mut bent = std::fs::read(place.path().join("out/5.10.262/E10-4096M.jsonl.zst")).unwrap();
    let middle = bent.len() / 2;
    bent[middle] ^= 0xff;
    place.write("bent.jsonl.zst", bent);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    for (arguments, message) in [
        (&["cut.jsonl.gz"][..], "the compressed file is cut off"),
        (&["short.jsonl"], "the recording ends after 19 of 74 records"),
        (&["newer.jsonl"], "recording format version 7 is not known"),
        (&["foreign.jsonl"], "this is a trace, not a recording"),
        (&["old.jsonl"], "is none that fragsim has a model of"),
        (&["gap.jsonl"], "gap.jsonl:17:1"),
        (&["crowd.jsonl"], "a guest with 4294967295 processors: a kernel serves at most 8192"),
        (&["none.jsonl"], "a guest with 0 processors"),
        (&["vast.jsonl"], "a guest with 18446744073709551615 MiB of memory: a kernel maps at most 67108864"),
        (&["minus.jsonl"], "minus.jsonl:1:22"),
        (&["zone.jsonl"], "zone.jsonl:3:1"),
        (&["zone.jsonl"], "buddyinfo line 3, column "),
        (&["twice.jsonl"], "twice.jsonl:76:1"),
        (&["twice.jsonl"], "this line comes after the 74 records that the header tells of"),
        (&["still.jsonl"], "the recording has no steps, so there is nothing to judge"),
        (&["null.jsonl"], "no frame from 1053373 on changes its permissions"),
        (&["bent.jsonl.zst"], "the compressed file is damaged"),
        (&["empty"], "no recording in `empty`"),
        (&["missing.jsonl"], "cannot open `missing.jsonl`: no such file or directory"),
        (&["debian/7.3.4/E6-4069M"], "did you mean `debian/7.3.4/E6-4096M`?"),
        (&["debian/7.3.4/E6-4096M", "--step", "99"], "there is no step 99: the recording has steps 1 to 26"),
        (&["debian/7.3.4/E6-4096M", "--step", "0"], "there is no step 0: the recording has steps 1 to 26"),
        (&["debian/7.3.4", "--step", "99999"], "there is no step 99999: the recording has steps 1 to 3"),
        (&["--step", "2"], "required arguments were not provided"),
    ] {
        let ended = place.run(&[&["validate"][..], arguments].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(message), "{}", ended.stderr);
    }
}

#[test]
fn conversion_refuses_what_it_cannot_name() {
    let place = Place::new();
    let good = plain(&place);
    std::fs::create_dir(place.path().join("twice")).unwrap();
    place.write("twice/a.jsonl", &good);
    place.write("twice/b.jsonl", &good);
    place.write("away.jsonl", good.replacen("\"name\":\"E10-4096M\"", "\"name\":\"../../E10\"", 1));
    for (input, message) in [("twice", "would become the same file"), ("away.jsonl", "cannot be a file name")] {
        let ended = place.run(&["recording", "convert", input, "-o", "new"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{input}");
        assert!(ended.stderr.contains(message), "{}", ended.stderr);
        assert!(!place.path().join("new").exists());
    }
}
