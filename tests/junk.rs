//! Every reader of the library is given bytes that nobody meant for it: it may refuse them, but it does not panic.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fragsim::files::Text;
use fragsim::json::Document;
use fragsim::memory::Snapshot;
use fragsim::recording::RecordingReader;
use fragsim::result::ResultDoc;
use fragsim::scenario::{LoadedScenario, Overrides};
use fragsim::tlb::{Cpu, LeafMapBuilder, ListFormat, Workload, preset_names, preset_text};
use fragsim::tlb::{read_accesses, read_leaves};
use fragsim::trace::TraceReader;
use fragsim::trace::import::{AliveBefore, from_perf_script};
use proptest::prelude::*;

const BUDDYINFO: &str =
    "Node 0, zone   Normal      1      2      3      4      5      6      7      8      9     10     11\n";

/// Good inputs that the mutations start from, one or more of each kind and small enough to be quick.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "scenarios/runqslower.json",
        "scenarios/traces/runqslower.jsonl",
        "tests/data/runqslower.perf-script.txt",
        "tests/data/small-result.json",
    ];
    let mut seeds: Vec<Vec<u8>> = files.map(|file| fs::read(root.join(file)).expect("the file is there")).into();
    let cpu = preset_names().next().and_then(preset_text).expect("there is a preset");
    seeds.extend([cpu.as_bytes().to_vec(), BUDDYINFO.as_bytes().to_vec()]);
    seeds.push(b"0x1000 r\nw 4096\nflush\nflush 0x1000\n# comment\n".to_vec());
    seeds
});

/// Gives the bytes to every reader.
fn offer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let named = || Text { name: "junk".to_owned(), text: text.clone() };
    let _ = LoadedScenario::from_text(named(), "junk", PathBuf::new(), &Overrides::default());
    let _ = ResultDoc::from_text(&named());
    let document = Document::new("junk", text.as_str());
    let _ = Cpu::from_document(&document);
    let _ = Workload::from_document(&document);
    let _ = Snapshot::parse(&text, None);
    let _ = Snapshot::parse(BUDDYINFO, Some(&text));
    let _ = read_leaves("junk", &text);
    let _ = from_perf_script("junk", bytes, AliveBefore::default());
    if let Ok(mut trace) = TraceReader::from_reader("junk", Cursor::new(bytes.to_vec())) {
        while let Ok(Some(_)) = trace.next_named() {}
    }
    if let Ok(recording) = RecordingReader::from_reader("junk", Cursor::new(bytes.to_vec())) {
        let _ = recording.read_all();
    }
    let leaves = LeafMapBuilder::new().build();
    for format in [ListFormat::Text, ListFormat::Binary] {
        let _ = read_accesses(&mut Cursor::new(bytes), "junk", format, &leaves, |_| {});
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn random_bytes_are_refused_quietly(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        offer(&bytes);
    }

    #[test]
    fn damaged_files_are_refused_quietly(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = seed.get(&SEEDS).clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        offer(&bytes);
    }
}
