//! Reads a scenario file, with the changes of the command line.

use std::path::{Path, PathBuf};

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::allocators::AllocatorRun;
use super::check::{check, name_from};
use super::contract::{SCHEMA_VERSION, Scenario};
use super::machine::StartState;
use super::overrides::{Change, Overrides};
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, Text, find_file, read_text};
use crate::json::{Complaint, Document, JsonPath, typed};
use crate::memory;
use crate::memory::start::SnapshotText;
use crate::units::{Bytes, Seeds};

/// Largest scenario file.
const MAX_SCENARIO: Bytes = Bytes::new(4 << 20);
/// Largest /proc/buddyinfo or /proc/pagetypeinfo.
const MAX_SNAPSHOT: Bytes = Bytes::new(16 << 20);

/// A scenario that can be replayed.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedScenario {
    /// The scenario with every default written down; what results show.
    pub scenario: Scenario,
    /// What results call it.
    pub name: String,
    /// The seeds to replay it with; that of the scenario is the first.
    pub seeds: Seeds,
    /// The directory that relative paths of the scenario start from.
    pub directory: PathBuf,
    /// The free memory of a real host, if that is where the host starts.
    pub snapshot: Option<memory::Snapshot>,
    /// The XXH3-128 hash of all that can change a result, apart from the trace's contents and the seed, which a result
    /// names by themselves: 32 hexadecimal digits. Name, comment, checks and layout of the file are not in it.
    pub hash: String,
}

/// The texts of a snapshot.
struct SnapshotTexts {
    buddyinfo: Text,
    pagetypeinfo: Option<Text>,
}

impl LoadedScenario {
    /// Reads a scenario from a file, or from standard input for `-`, and changes it as the command line says.
    ///
    /// # Errors
    /// Everything that is wrong with it; never an empty list.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, Vec<Diagnostic>> {
        let text = read_text(path, "a scenario", MAX_SCENARIO).map_err(|error| vec![error])?;
        Self::from_file_text(text, path, overrides)
    }

    /// A scenario from the text of the file at this path.
    ///
    /// # Errors
    /// As [`LoadedScenario::load`].
    pub fn from_file_text(text: Text, path: &Path, overrides: &Overrides) -> Result<Self, Vec<Diagnostic>> {
        let is_stdin = text.name == STDIN;
        let directory = if is_stdin { None } else { path.parent().map(Path::to_owned) };
        let stem = path.file_stem().filter(|_| !is_stdin);
        let name = stem.map_or_else(|| "scenario".to_owned(), |stem| name_from(&stem.to_string_lossy()));
        Self::from_text(text, &name, directory.unwrap_or_default(), overrides)
    }

    /// A scenario from its text. `name` is used if the scenario has none; relative paths start from `directory`.
    ///
    /// # Errors
    /// As [`LoadedScenario::load`].
    pub fn from_text(
        text: Text,
        name: &str,
        directory: PathBuf,
        overrides: &Overrides,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut source = Source { document: Document::new(text.name, text.text), changes: Vec::new() };
        let scenario = source.read(overrides).map_err(|error| vec![error])?;
        let problems = check(&scenario);
        if !problems.is_empty() {
            let complain = |(path, complaint): (JsonPath, Complaint)| source.complain(&path, complaint);
            let mut diagnostics: Vec<Diagnostic> = problems.into_iter().map(complain).collect();
            diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
            return Err(diagnostics);
        }
        source.find_trace(&scenario, &directory).map_err(|error| vec![error])?;
        let texts = source.read_snapshot(&scenario, &directory).map_err(|error| vec![error])?;
        let snapshot = texts.as_ref().map(parse_snapshot).transpose().map_err(|error| vec![error])?;
        let name = scenario.name.clone().unwrap_or_else(|| name.to_owned());
        let mut scenario = scenario.resolved();
        scenario.name = Some(name.clone());
        let hash = hash(&scenario, texts.as_ref());
        let seeds = overrides.seeds.clone().unwrap_or(Seeds::one(scenario.seed));
        Ok(Self { scenario, name, seeds, directory, snapshot, hash })
    }

    /// The allocators to replay.
    pub fn allocators(&self) -> Vec<AllocatorRun> {
        self.scenario.allocator_runs()
    }

    /// The trace file, if the trace is one; from the current directory or the root, or `-` for standard input.
    pub fn trace_path(&self) -> Option<PathBuf> {
        let file = self.scenario.trace.file.as_ref()?;
        Some(if file == STDIN { PathBuf::from(STDIN) } else { self.directory.join(file) })
    }

    /// The files that the scenario names, with what each is: the trace, and the texts of a snapshot.
    pub fn inputs(&self) -> Vec<(&'static str, PathBuf)> {
        let mut inputs: Vec<_> = self.trace_path().map(|path| ("trace", path)).into_iter().collect();
        if let StartState::Snapshot(snapshot) = &self.scenario.machine.start {
            let texts = std::iter::once(&snapshot.buddyinfo).chain(&snapshot.pagetypeinfo);
            inputs.extend(texts.map(|file| ("snapshot", self.directory.join(file))));
        }
        inputs
    }
}

/// A scenario's text and what was changed in its value.
struct Source {
    document: Document,
    changes: Vec<Change>,
}

impl Source {
    fn read(&mut self, overrides: &Overrides) -> Result<Scenario, Diagnostic> {
        if let Some(diagnostic) = self.other_kind() {
            return Err(diagnostic);
        }
        let mut value = self.document.value()?;
        if !value.is_object() {
            let complaint = Complaint::new("a scenario is an object");
            return Err(self.complain(
                &JsonPath::root(),
                complaint.help("write for example {\"trace\": {\"file\": \"t.jsonl\"}}"),
            ));
        }
        self.changes = overrides.apply(&mut value)?;
        self.check_version(&value)?;
        loop {
            let (path, complaint) = match typed(&value) {
                Ok(scenario) => return Ok(scenario),
                Err(error) => error,
            };
            // `--set kernel=6.12` is a number in JSON, but a name was meant.
            let change = self.changes.iter_mut().rev().find(|change| change.covers(&path));
            let before = value.clone();
            if !change.is_some_and(|change| change.retry_as_text(&mut value)) {
                return Err(self.complain(&path, complaint));
            }
            if typed::<Scenario>(&value).is_err_and(|(again, _)| again == path) {
                // Neither reading fits; the first one is what the user wrote.
                value = before;
            }
        }
    }

    /// A word about the other files of fragsim, if the text is one of them.
    fn other_kind(&self) -> Option<Diagnostic> {
        let (name, text) = (self.document.name(), self.document.text());
        let has = |text: &str, key: &str| {
            serde_json::from_str::<Value>(text).is_ok_and(|value| value.get(key).is_some_and(|value| !value.is_null()))
        };
        let (kind, help) = if text.lines().next().is_some_and(|line| has(line, "fragsim_trace")) {
            ("a trace", format!("a scenario names it: {{\"trace\": {{\"file\": {}}}}}", Value::from(name)))
        } else if has(text, "runs") {
            ("a result", "the scenario that it came from is in it, as `scenario.resolved`".to_owned())
        } else {
            return None;
        };
        Some(Diagnostic::new(format!("this is {kind}, not a scenario")).in_file(name).help(help))
    }

    /// A newer format gets a clear word before any of its keys is called unknown.
    fn check_version(&self, value: &Value) -> Result<(), Diagnostic> {
        match value.get("schema_version") {
            Some(Value::Number(number)) if number.as_u64() != Some(u64::from(SCHEMA_VERSION)) => {
                let message =
                    format!("this is a scenario of format {number}; this fragsim reads format {SCHEMA_VERSION}");
                Err(self.complain(&JsonPath::root().key("schema_version"), Complaint::new(message)))
            }
            _ => Ok(()),
        }
    }

    /// A complaint that points into the file, or names the flag that put the value there.
    fn complain(&self, path: &JsonPath, complaint: Complaint) -> Diagnostic {
        match self.changes.iter().rev().find(|change| change.covers(path)) {
            Some(change) => change.complain(path, complaint),
            None => self.document.complain(path, complaint),
        }
    }

    /// A trace that is not there is known before anything runs, with the place that names it.
    fn find_trace(&self, scenario: &Scenario, directory: &Path) -> Result<(), Diagnostic> {
        let Some(file) = &scenario.trace.file else { return Ok(()) };
        let path = JsonPath::root().key("trace").key("file");
        if file == STDIN {
            if self.document.name() != STDIN {
                return Ok(());
            }
            let complaint = Complaint::new("standard input is the scenario already, so it cannot be the trace too");
            return Err(self.complain(&path, complaint.help("save one of the two to a file")));
        }
        find_file(&directory.join(file), "a trace").map_err(|error| {
            let complaint = Complaint { help: error.help, ..Complaint::new(error.message) };
            self.complain(&path, complaint)
        })
    }

    fn read_snapshot(&self, scenario: &Scenario, directory: &Path) -> Result<Option<SnapshotTexts>, Diagnostic> {
        let StartState::Snapshot(snapshot) = &scenario.machine.start else { return Ok(None) };
        let path = JsonPath::root().key("machine").key("start").key("snapshot");
        let read = |key: &str, file: &str| {
            let text = read_text(&directory.join(file), "a snapshot", MAX_SNAPSHOT);
            text.map_err(|error| {
                if error.path.is_some() {
                    return error; // It has a place in the snapshot itself.
                }
                let complaint = Complaint { help: error.help, ..Complaint::new(error.message) };
                self.complain(&path.clone().key(key), complaint)
            })
        };
        let buddyinfo = read("buddyinfo", &snapshot.buddyinfo)?;
        let pagetypeinfo = snapshot.pagetypeinfo.as_deref().map(|file| read("pagetypeinfo", file)).transpose()?;
        Ok(Some(SnapshotTexts { buddyinfo, pagetypeinfo }))
    }
}

fn parse_snapshot(texts: &SnapshotTexts) -> Result<memory::Snapshot, Diagnostic> {
    let pagetypeinfo = texts.pagetypeinfo.as_ref();
    memory::Snapshot::parse(&texts.buddyinfo.text, pagetypeinfo.map(|text| text.text.as_str())).map_err(|error| {
        let text = match error.text {
            SnapshotText::Buddyinfo => &texts.buddyinfo,
            SnapshotText::Pagetypeinfo => pagetypeinfo.unwrap_or(&texts.buddyinfo),
        };
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let line = text.text.lines().nth(error.line.saturating_sub(1)).unwrap_or("");
        Diagnostic::new(error.problem.to_string())
            .in_file(&text.name)
            .at(number(error.line), number(error.column), 1)
            .excerpt(line.as_bytes())
            .help(format!("this is not what the kernel prints in /proc/{}", error.text))
    })
}

/// The hash of a resolved scenario and the files it starts from.
fn hash(resolved: &Scenario, snapshot: Option<&SnapshotTexts>) -> String {
    let same = Scenario { schema: None, name: None, comment: None, seed: 0, checks: None, ..resolved.clone() };
    let texts = snapshot.map(|texts| (&texts.buddyinfo.text, texts.pagetypeinfo.as_ref().map(|text| &text.text)));
    let canonical = serde_json::to_vec(&(same, texts)).expect("every field has a form in JSON");
    format!("{:032x}", xxh3_128(&canonical))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Machine;

    /// A scenario file beside an empty trace `t.jsonl`.
    fn load_with(contents: &str, overrides: &Overrides) -> Result<LoadedScenario, Vec<String>> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("t.jsonl"), "").unwrap();
        let path = directory.path().join("my scenario.json");
        std::fs::write(&path, contents).unwrap();
        let place = format!("{}/", directory.path().display());
        LoadedScenario::load(&path, overrides)
            .map_err(|errors| errors.iter().map(|error| error.to_string().replace(&place, "")).collect())
    }

    fn load(contents: &str) -> Result<LoadedScenario, Vec<String>> {
        load_with(contents, &Overrides::default())
    }

    fn set(changes: &[&str]) -> Overrides {
        Overrides { set: changes.iter().map(|&change| change.to_owned()).collect(), ..Overrides::default() }
    }

    const SMALL: &str = "{\"trace\": {\"file\": \"t.jsonl\"}}";

    #[test]
    fn a_trace_alone_is_a_whole_scenario() {
        let loaded = load(SMALL).unwrap();
        assert_eq!(loaded.name, "my-scenario");
        assert_eq!(loaded.allocators().len(), 7);
        assert_eq!(loaded.trace_path().unwrap().file_name().unwrap(), "t.jsonl");
        let machine = &loaded.scenario.machine;
        assert_eq!((machine.memory, machine.nodes), (Some(Machine::DEFAULT_MEMORY), Some(1)));
    }

    #[test]
    fn a_resolved_scenario_is_a_scenario_and_means_the_same() {
        let machine = r#"{"memory": "64GiB", "start": {"aged": "month"}}"#;
        let ranges = r#"{"ranges": [{"start": "0B", "size": "1GiB"}]}"#;
        for machine in [machine, ranges] {
            let text = format!(
                r#"{{"trace": {{"file": "t.jsonl"}}, "name": "x", "machine": {machine}, "kernel": "5.18",
                "allocators": ["pack-2m", {{"kernel": "6.12"}}, "per-prog"], "sampling": {{"every": "1h"}}}}"#
            );
            let first = load(&text).unwrap();
            let second = load(&serde_json::to_string_pretty(&first.scenario).unwrap()).unwrap();
            assert_eq!(first.scenario, second.scenario);
            assert_eq!(first.hash, second.hash);
        }
    }

    #[test]
    fn the_hash_follows_what_changes_a_result() {
        let hash = |overrides: &Overrides| load_with(SMALL, overrides).unwrap().hash;
        let base = hash(&Overrides::default());
        assert_eq!(base.len(), 32);
        for same in [
            set(&["comment=other"]),
            set(&["name=y"]),
            set(&["seed=5"]),
            set(&["checks.MemFree={}"]),
            set(&["machine.memory=16384MiB"]),
        ] {
            assert_eq!(hash(&same), base, "{same:?}");
        }
        for other in [set(&["machine.memory=32GiB"]), set(&["kernel=5.18"]), set(&["machine.boot_program=false"])] {
            assert_ne!(hash(&other), base, "{other:?}");
        }
    }

    #[test]
    fn errors_point_into_the_file() {
        for (text, error) in [
            ("", "my scenario.json: the file is empty; help: JSON starts with `{`"),
            (
                "[]",
                "my scenario.json:1:1: a scenario is an object; \
                 help: write for example {\"trace\": {\"file\": \"t.jsonl\"}}",
            ),
            ("{}", "my scenario.json:1:1: `trace` is missing here"),
            (
                "{\"trace\": {\"file\": \"t.json\"}}",
                "my scenario.json:1:20: cannot open `t.json`: no such file or directory (at trace.file); \
                 help: did you mean `t.jsonl`?",
            ),
            (
                "{\"trace\": {\"file\": \"t.jsonl\"},\n \"machine\": {\"memory\": \"64GB\"}}",
                "my scenario.json:2:24: unknown unit `GB` in `64GB`; use B, KiB, MiB, GiB or TiB (at machine.memory)",
            ),
            (
                "{\"trace\": {\"file\": \"t.jsonl\"},\n \"allocators\": [\"per-prog\", \"pack4k\"]}",
                "my scenario.json:2:29: unknown name `pack4k` (at allocators[1]); help: did you mean `pack-4k`?",
            ),
            (
                "{\"trace\": {\"file\": \"t.jsonl\"},\n \"allocators\": [{\"polcy\": \"pack-4k\"}]}",
                "my scenario.json:2:18: unknown key `polcy` (at allocators[0].polcy); help: did you mean `policy`?",
            ),
            (
                "{\"schema_version\": 2, \"trce\": 1}",
                "my scenario.json:1:20: this is a scenario of format 2; this fragsim reads format 1 \
                 (at schema_version)",
            ),
            (
                "{\"trace\": {\"file\": \"t.jsonl\"}, \"seed\": -1}",
                "my scenario.json:1:40: expected a whole number that is not negative, found the number -1 (at seed)",
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), [error]);
        }
    }

    #[test]
    fn snapshots_are_read_and_their_errors_have_a_place() {
        let directory = tempfile::tempdir().unwrap();
        let buddyinfo = directory.path().join("buddyinfo");
        let text = Text {
            name: "-".to_owned(),
            text: r#"{"trace": {"file": "."}, "machine": {"start": {"snapshot": {"buddyinfo": "buddyinfo"}}}}"#
                .replace("\"file\": \".\"", "\"file\": \"buddyinfo\""),
        };
        let load = || {
            let directory = directory.path().to_owned();
            LoadedScenario::from_text(text.clone(), "x", directory, &Overrides::default())
        };
        assert!(load().unwrap_err()[0].message.contains("no such file"));
        std::fs::write(&buddyinfo, "Node 0, zone   Normal 1 2 3 4 5 6 7 8 9 10 11\n").unwrap();
        let first = load().unwrap();
        assert!(matches!(first.start_state(), memory::StartState::Snapshot(_)));
        std::fs::write(&buddyinfo, "Node 0, zone   Normal 1 2 3 4 5 6 7 8 9 10 12\n").unwrap();
        assert_ne!(load().unwrap().hash, first.hash);
        std::fs::write(&buddyinfo, "Node 0, zone   Normal 1 x\n").unwrap();
        let error = load().unwrap_err().remove(0);
        assert_eq!((error.line, error.column), (1, 25), "{error}");
        assert!(error.path.unwrap().ends_with("buddyinfo"));
    }

    #[test]
    fn all_values_that_do_not_fit_are_named_at_once() {
        let text = "{\"trace\": {\"file\": \"t.jsonl\", \"repeat\": 2}, \"machine\": {\"memory\": \"0B\"}}";
        let errors = load(text).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[1].starts_with("my scenario.json:1:67: the size is 0"), "{errors:?}");
        assert!(errors[0].starts_with("my scenario.json:1:41: `repeat` needs a `period`"), "{errors:?}");
    }

    #[test]
    fn errors_in_a_change_name_its_flag_and_others_keep_their_place() {
        let error = |changes: &[&str]| load_with(SMALL, &set(changes)).unwrap_err().join("\n");
        assert_eq!(
            error(&["machine.memry=1GiB"]),
            "in `--set machine.memry=1GiB`: unknown key `memry` (at machine.memry); help: did you mean `memory`?"
        );
        assert_eq!(
            error(&["machine.memory=1GB"]),
            "in `--set machine.memory=1GB`: unknown unit `GB` in `1GB`; use B, KiB, MiB, GiB or TiB (at machine.memory)"
        );
        assert_eq!(
            error(&["machine.cpus=0"]),
            "in `--set machine.cpus=0`: a host has from 1 to 8192 CPUs (at machine.cpus)"
        );
        let number = error(&["seed=1.5"]);
        assert!(number.ends_with("found the number 1.5 (at seed)"), "{number}");
        let broken = "{\"trace\": {\"fil\": \"t.jsonl\"}}";
        let place = load_with(broken, &set(&["machine.memory=1GiB"])).unwrap_err().join("\n");
        assert!(place.starts_with("my scenario.json:1:12: unknown key `fil`"), "{place}");
    }

    #[test]
    fn kernels_may_look_like_numbers_on_the_command_line() {
        let loaded = load_with(SMALL, &set(&["kernel=6.12"])).unwrap();
        assert_eq!(loaded.scenario.kernel.0.name, "6.12");
        let error = load_with(SMALL, &set(&["kernel=6.99"])).unwrap_err().join("\n");
        assert!(error.contains("a kernel release in quotation marks"), "{error}");
        let kernel = Overrides { kernel: Some("5.1".to_owned()), ..Overrides::default() };
        let error = load_with(SMALL, &kernel).unwrap_err().join("\n");
        assert_eq!(error, "in `--kernel 5.1`: unknown name `5.1` (at kernel); help: did you mean `5.10`?");
    }
}
