//! Both forms of recording, and everything that can be wrong with them.

use std::io::{Cursor, Write};
use std::path::Path;

use super::*;

const HELLO: &str = r#"{"op":"hello","release":"6.1.0","version":"b","DirectMap4k":8,"DirectMap2M":2048,"DirectMap1G":0,"MemFree":9,"direct_map_level2_splits":0,"direct_map_level3_splits":0,"step":0,"ram_mib":64,"smp":1,"kernel":"6.1.0","exp":"E3","variant":"","cmdline":"nokaslr","page_offset_base":"0xffff888000000000","walk":{"sum":{"w4k":8,"w2m":2048,"w1g":0,"n2m":1,"n1g":0,"ro4k":0,"rol":0,"np":0}}}"#;
const BOOT: &str = r#"{"op":"layout","when":"boot","ranges":[[0,2,"4K","rw"],[2,510,"-","none"],[512,512,"2M","rw"]]}"#;
const LOAD: &str = r#"{"op":"load","id":1,"ninsn":2,"kind":"s","jited_len":16,"xlated_len":16,"nfunc":1,"ksym":"0xffffffffc0000648","DirectMap4k":2056,"DirectMap2M":0,"DirectMap1G":0,"MemFree":9,"direct_map_level2_splits":1,"direct_map_level3_splits":0,"step":1,"pfns":[[700,1]],"walk":{"split2m":[[1,1]],"perm":[[700,1,"rw","ro"]],"mod":[{"va":"0xffffffffc0000000","n":1,"was":"-","now":"rox","pfns":[[700,1]]}],"sum":{"w4k":2056,"w2m":0,"w1g":0,"n2m":0,"n1g":0,"ro4k":1,"rol":0,"np":0}}}"#;
const SYNC: &str = r#"{"op":"sync","DirectMap4k":2056,"DirectMap2M":0,"DirectMap1G":0,"MemFree":9,"direct_map_level2_splits":1,"direct_map_level3_splits":0,"step":2,"mark":10}"#;
const END: &str = r#"{"op":"layout","when":"end","ranges":[[0,2,"4K","rw"],[512,188,"4K","rw"],[700,1,"4K","ro"],[701,323,"4K","rw"]]}"#;

fn log(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn read(text: impl Into<Vec<u8>>) -> Result<Recording, String> {
    let reader = RecordingReader::from_reader("folder/E3-64M-tag.jsonl.gz", Cursor::new(text.into()));
    reader.and_then(RecordingReader::read_all).map_err(|diagnostic| diagnostic.to_string())
}

fn whole() -> Recording {
    read(log(&[HELLO, BOOT, LOAD, SYNC, END])).unwrap()
}

#[test]
fn a_log_says_what_happened() {
    let recording = whole();
    let header = &recording.header;
    assert_eq!((header.kernel.as_str(), header.name.as_str(), header.ram_mib), ("6.1.0", "E3-64M-tag", 64));
    assert_eq!(recording.layout(LayoutTime::Boot).unwrap().len(), 2, "holes are left out");
    let steps: Vec<_> = recording.steps().collect();
    assert_eq!(steps[0].1.operation.describe(), "load 1");
    assert_eq!(steps[0].1.counters.unwrap().level2_splits, Some(1));
    assert_eq!((steps[1].1.label.mark.as_str(), &steps[1].1.walk), ("10", &None));
}

#[test]
fn a_log_of_an_aborted_run_may_end_early() {
    assert!(read(log(&[HELLO, BOOT, LOAD, "{\"op\":\"aborted\",\"why\":\"timeout\"}"])).is_ok());
}

/// The log as it is, and what `write` makes of it.
#[test]
fn both_forms_read_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/E10-4096M.jsonl.gz");
    let real = RecordingReader::open(&path).unwrap().read_all().unwrap();
    for recording in [whole(), real] {
        let bytes = write(&recording, Vec::new()).unwrap();
        assert_eq!(bytes, write(&recording, Vec::new()).unwrap());
        assert_eq!(read(bytes.clone()).unwrap(), recording);
        // Plain text is read too.
        let plain = zstd::decode_all(bytes.as_slice()).unwrap();
        assert_eq!(read(plain).unwrap(), recording);
    }
}

#[test]
fn what_cannot_be_a_recording_is_named() {
    let newer = HELLO.replace("{\"op\":\"hello\",", "{\"fragsim_recording\":2,\"zone\":[],");
    let no_memory = HELLO.replace("\"ram_mib\":64", "\"ram_mib\":\"64\"");
    for (text, message) in [
        (String::new(), "the recording is empty"),
        ("{\"fragsim_trace\":1}\n".to_owned(), ":1:1: this is a trace, not a recording"),
        ("hello\n".to_owned(), ":1:1: this is not a recording"),
        (newer, ":1:22: recording format version 2 is not known (at fragsim_recording); help: this fragsim reads"),
        (HELLO.replace("\"exp\":\"E3\",", ""), ":1:1: `exp` is missing here"),
        (no_memory, "found the text \"64\" (at ram_mib)"),
        (HELLO[..100].to_owned(), ":1:100: the recording ends in the middle of a line"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
}

/// A log with one text replaced by another, and what is said about it.
const DAMAGED: [(&str, &str, &str); 13] = [
    ("\"step\":2", "\"step\":3", ":4:1: step 3 follows step 1"),
    ("\"when\":\"boot\"", "\"when\":\"end\"", ":3:1: the first step comes before the layout at boot"),
    (
        "[512,512,\"2M\",\"rw\"]",
        "[512,511,\"2M\",\"rw\"]",
        ":2:1: the layout cannot be: frames 512 to 1023 are no whole 2M",
    ),
    ("[512,512,\"2M\",\"rw\"]", "[0,512,\"2M\",\"rw\"]", ":2:1: the layout cannot be: frame 0 is mapped twice"),
    ("[512,512,\"2M\",\"rw\"]", "[512,1099511627264,\"2M\",\"rw\"]", "holds frames that the guest does not have"),
    ("\"perm\":[[700,1,", "\"perm\":[[700,0,", ":3:1: no frame from 700 on changes its permissions"),
    ("\"perm\":[[700,1,", "\"perm\":[[9999999,1,", ":3:1: frame 9999999 is beyond the guest's memory"),
    ("\"split2m\":[[1,1]]", "\"split2m\":[[1,0]]", "[1, 0] is no run of page frames (at walk.split2m[0])"),
    ("\"split2m\":[[1,1]]", "\"split2m\":[[9999999,1]]", ":3:1: 2 MiB block 9999999 is beyond the guest's memory"),
    ("\"n\":1,", "\"n\":2,", ":3:1: 1 frames are told for 2 pages at 0xffffffffc0000000"),
    ("\"now\":\"rox\"", "\"now\":\"rx\"", "expected `-`, `ro`"),
    ("\"sync\",\"DirectMap4k\":2056,", "\"sync\",", ":4:1: `DirectMap4k` is missing here"),
    ("\"mark\":10}", "\"mark\":10", ":4:"),
];

#[test]
fn damaged_lines_are_named() {
    let good = log(&[HELLO, BOOT, LOAD, SYNC, END]);
    for (from, to, message) in DAMAGED {
        assert!(good.contains(from), "{from}");
        let error = read(good.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(message), "{to}: {error}");
        assert!(error.starts_with("folder/E3-64M-tag.jsonl.gz:"), "{error}");
    }
}

#[test]
fn what_is_cut_off_is_named() {
    let text = log(&[HELLO, BOOT, LOAD, SYNC]);
    let error = read(text.clone()).unwrap_err();
    assert!(error.contains(":5: the recording ends after step 2 without the layout at its end"), "{error}");
    let error = read(&text[..text.len() - 9]).unwrap_err();
    assert!(error.contains(":4:") && error.contains("in the middle of a line"), "{error}");

    let plain = zstd::decode_all(write(&whole(), Vec::new()).unwrap().as_slice()).unwrap();
    let lines = plain.iter().filter(|byte| **byte == b'\n').count();
    let end = plain[..plain.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    let error = read(&plain[..=end]).unwrap_err();
    assert!(error.contains(&format!("the recording ends after {} of {} records", lines - 2, lines - 1)), "{error}");

    let compact = write(&whole(), Vec::new()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(log(&[HELLO, BOOT, LOAD, SYNC, END]).as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert!(read(gzip.clone()).is_ok());
    for bytes in [compact, gzip] {
        let error = read(&bytes[..bytes.len() - 12]).unwrap_err();
        assert!(error.contains("the compressed file is cut off"), "{error}");
        let mut bytes = bytes;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        assert!(read(bytes).is_err());
    }
}

#[test]
fn unknown_keys_are_passed_over_in_logs_only() {
    let text = log(&[HELLO, BOOT, LOAD, SYNC, END]);
    assert_eq!(read(text.replace("\"kind\":\"s\"", "\"colour\":\"red\"")).unwrap(), whole());
    let plain = zstd::decode_all(write(&whole(), Vec::new()).unwrap().as_slice()).unwrap();
    let plain = String::from_utf8(plain).unwrap();
    let error = read(plain.replace("\"insns\":2", "\"inns\":2")).unwrap_err();
    assert!(error.contains(":3:") && error.contains("unknown key `inns`"), "{error}");
}

#[test]
fn any_bytes_are_read_without_panic() {
    let text = log(&[HELLO, BOOT, LOAD, SYNC, END]);
    for at in (0..text.len()).step_by(3) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = b'9';
        drop(read(bytes.clone()));
        bytes.truncate(at);
        assert!(read(bytes).is_err());
    }
}
