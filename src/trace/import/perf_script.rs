//! The text of `perf script --show-bpf-events`: `PERF_RECORD_KSYMBOL` and `PERF_RECORD_BPF_EVENT` lines.
//!
//! The kernel reports a program's symbols, one for each image, right before the event that names the program
//! (`kernel/events/core.c:perf_event_bpf_event`), in the context that loads or frees it. Lines of different contexts
//! may alternate, so symbols wait until the event of their context comes. Trampolines and dispatchers have a symbol
//! and no event (`kernel/bpf/trampoline.c:bpf_image_ksym_add`); an update registers the new image before the old one
//! goes away.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use rustc_hash::{FxHashMap, FxHashSet};

use super::perf_line::{Context, PerfLine, Record, parse};
use super::{AliveBefore, EarlyProgram, ImportReport, nothing_found};
use crate::diagnostics::Diagnostic;
use crate::files::describe;
use crate::trace::input::line_number;
use crate::trace::{Event, EventKind, Images, Load, NamedEvent, ProgId, TraceError};
use crate::units::SimTime;

/// Programs' symbols begin with this (`kernel/bpf/core.c:bpf_prog_ksym_set_name`).
const PROGRAM_PREFIX: &str = "bpf_prog_";
/// What changes the text of a trampoline or dispatcher.
const TRAMPOLINE_PREFIXES: [&str; 2] = ["bpf_trampoline_", "bpf_dispatcher_"];

/// Longest line that is read, 1 MiB: whatever is longer is not from perf.
const MAX_LINE_BYTES: usize = 1 << 20;
/// First bytes of a perf.data file, which users may well take for its text.
const PERF_DATA_MAGIC: &[u8] = b"PERFILE2";

/// How traces of fragsim begin, which users may well import again.
const TRACE_START: &[u8] = b"{\"fragsim_trace\"";

/// Reads the text; `name` is what errors call it. Times count from the first event.
pub fn from_perf_script(
    name: &str,
    mut text: impl BufRead,
    alive_before: AliveBefore,
) -> Result<(Vec<NamedEvent>, ImportReport), TraceError> {
    let mut import = Import::new(alive_before);
    let mut line = Vec::new();
    while next_line(&mut text, &mut line).map_err(|diagnostic| {
        let place = line_number(import.report.lines);
        TraceError::fatal(diagnostic.in_file(name).at(place, 0, 0))
    })? {
        // Names of commands may be in any encoding; the records themselves are ASCII.
        let shown = String::from_utf8_lossy(&line);
        let record = parse(shown.trim_end()).map_err(|mut diagnostic| {
            diagnostic.line = line_number(import.report.lines);
            TraceError::fatal(diagnostic.in_file(name))
        })?;
        import.report.lines += 1;
        if let Some(record) = record {
            import.take(&record);
        }
    }
    import.finish(name)
}

/// Reads the next line; false at the end.
fn next_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Box<Diagnostic>> {
    line.clear();
    let read = text.by_ref().take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line);
    let wrong = |message: String, help: &str| Err(Box::new(Diagnostic::new(message).help(help)));
    match read {
        Err(error) => Err(Box::new(describe("read the text", &error))),
        Ok(_) if line.starts_with(PERF_DATA_MAGIC) => {
            wrong("this is a perf.data file, not its text".to_owned(), "print it: perf script --show-bpf-events")
        }
        Ok(_) if line.starts_with(TRACE_START) => {
            wrong("this is a trace already".to_owned(), "use it as it is, or look at it with `fragsim trace stat`")
        }
        Ok(_) if line.len() > MAX_LINE_BYTES => {
            wrong("the line is longer than 1 MiB".to_owned(), "print the recording: perf script --show-bpf-events")
        }
        Ok(count) => Ok(count > 0),
    }
}

/// A symbol that waits for its event.
struct Symbol {
    context: Context,
    gone: bool,
    address: u64,
    length: u32,
    name: String,
}

/// A trampoline or dispatcher, by name.
struct Trampoline {
    id: u64,
    /// Where its images stand; the last one is in use.
    images: Vec<u64>,
}

struct Import {
    alive_before: AliveBefore,
    report: ImportReport,
    /// What was there before the recording, then what happened.
    early: Vec<NamedEvent>,
    events: Vec<NamedEvent>,
    /// The time of the first event that has one.
    base_ns: Option<u64>,
    now: SimTime,
    waiting: Vec<Symbol>,
    /// Addresses of the images of each program alive; none for one that was left out.
    alive: FxHashMap<u64, Vec<u64>>,
    /// Every program that was named so far.
    seen: FxHashSet<u64>,
    trampolines: BTreeMap<String, Trampoline>,
}

impl Import {
    fn new(alive_before: AliveBefore) -> Self {
        Self {
            alive_before,
            report: ImportReport::default(),
            early: Vec::new(),
            events: Vec::new(),
            base_ns: None,
            now: SimTime::ZERO,
            waiting: Vec::new(),
            alive: FxHashMap::default(),
            seen: FxHashSet::default(),
            trampolines: BTreeMap::new(),
        }
    }

    fn take(&mut self, line: &PerfLine<'_>) {
        match line.record {
            Record::Lost { count } => self.report.lost_records += count,
            Record::Symbol { address, length, is_bpf, gone, name } => {
                if is_bpf && name.starts_with(PROGRAM_PREFIX) {
                    let name = name.to_owned();
                    self.waiting.push(Symbol { context: line.context, gone, address, length, name });
                } else if is_bpf && TRAMPOLINE_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                    self.set_time(line.time_ns);
                    self.trampoline(name, address, length, gone);
                } else {
                    self.report.other_symbols += 1;
                }
            }
            Record::Load { id } => {
                self.set_time(line.time_ns);
                let symbols = self.symbols_of(line.context, false);
                self.load(id, symbols);
            }
            Record::Unload { id } => {
                self.set_time(line.time_ns);
                let symbols = self.symbols_of(line.context, true);
                self.unload(id, symbols);
            }
        }
    }

    /// Moves the clock; perf gives time 0 to what it found when it started.
    fn set_time(&mut self, time_ns: u64) {
        if time_ns == 0 {
            return;
        }
        let base_ns = *self.base_ns.get_or_insert(time_ns);
        match time_ns.checked_sub(base_ns).map(SimTime::from_nanos) {
            Some(time) if time >= self.now => self.now = time,
            _ => self.report.late_records += 1,
        }
    }

    /// The symbols that wait in this context; if there are none, those of the same thread on another CPU, because
    /// a thread may move between its records. Thread 0 is a different one on each CPU.
    fn symbols_of(&mut self, context: Context, gone: bool) -> Vec<Symbol> {
        let same = |symbol: &Symbol| symbol.gone == gone && symbol.context == context;
        let moved = |symbol: &Symbol| symbol.gone == gone && symbol.context.pid == context.pid && context.pid != 0;
        if self.waiting.iter().any(same) {
            self.waiting.extract_if(.., |symbol| same(symbol)).collect()
        } else {
            self.waiting.extract_if(.., |symbol| moved(symbol)).collect()
        }
    }

    fn push(&mut self, kind: EventKind, name: &str, image_addresses: Vec<u64>) {
        let event = Event { time: self.now, kind };
        self.events.push(NamedEvent { event, name: name.to_owned(), image_addresses });
    }

    fn load(&mut self, id: u64, symbols: Vec<Symbol>) {
        let addresses: Vec<u64> = symbols.iter().map(|symbol| symbol.address).collect();
        match self.alive.get(&id) {
            Some(old) if *old == addresses => {
                self.report.repeated_loads += 1;
                return;
            }
            Some(old) if !old.is_empty() => {
                self.report.inferred_unloads += 1;
                self.report.unloads += 1;
                self.push(EventKind::Unload { id: ProgId::new(id) }, "", Vec::new());
            }
            _ => {}
        }
        match load_of(id, &symbols) {
            Some(load) => {
                self.count_load(&symbols);
                self.push(EventKind::Load(load), &symbols[0].name, addresses.clone());
            }
            None => self.report.loads_without_images += 1,
        }
        self.alive.insert(id, addresses);
        self.seen.insert(id);
    }

    fn count_load(&mut self, symbols: &[Symbol]) {
        self.report.loads += 1;
        self.report.multi_image_loads += u64::from(symbols.len() > 1);
    }

    fn unload(&mut self, id: u64, symbols: Vec<Symbol>) {
        let addresses: Vec<u64> = symbols.iter().map(|symbol| symbol.address).collect();
        match self.alive.remove(&id) {
            // Its load was left out, so this is too.
            Some(loaded) if loaded.is_empty() => return,
            Some(loaded) => self.report.differing_unloads += u64::from(loaded != addresses),
            None => {
                // A program with an id that was in use before cannot have been there from the start.
                let early = load_of(id, &symbols).filter(|_| self.seen.insert(id));
                let Some(load) = early else {
                    self.report.unknown_unloads += 1;
                    return;
                };
                let (name, image_bytes) = (symbols[0].name.clone(), load.images.as_slice().to_vec());
                self.report.early_programs.push(EarlyProgram { id, name: name.clone(), image_bytes });
                if self.alive_before == AliveBefore::Skip {
                    return;
                }
                self.count_load(&symbols);
                let event = Event { time: SimTime::ZERO, kind: EventKind::Load(load) };
                self.early.push(NamedEvent { event, name, image_addresses: addresses });
            }
        }
        self.report.unloads += 1;
        self.push(EventKind::Unload { id: ProgId::new(id) }, "", Vec::new());
    }

    fn trampoline(&mut self, name: &str, address: u64, image_bytes: u32, gone: bool) {
        let next_id = self.trampolines.len() as u64 + 1;
        let known = self.trampolines.entry(name.to_owned()).or_insert(Trampoline { id: next_id, images: Vec::new() });
        let id = known.id;
        let kind = if !gone {
            known.images.push(address);
            if known.images.len() == 1 {
                EventKind::TrampolineAttach { id, image_bytes }
            } else {
                EventKind::TrampolineUpdate { id, image_bytes }
            }
        } else {
            let before = known.images.len();
            known.images.retain(|&image| image != address);
            match (before, known.images.len()) {
                (1, 0) => EventKind::TrampolineDetach { id },
                (0, _) if self.alive_before == AliveBefore::LoadAtStart && next_id == id => {
                    let kind = EventKind::TrampolineAttach { id, image_bytes };
                    let event = Event { time: SimTime::ZERO, kind };
                    self.early.push(NamedEvent { name: name.to_owned(), ..event.into() });
                    self.report.trampoline_events += 1;
                    EventKind::TrampolineDetach { id }
                }
                // The old image of an update, or one whose beginning was not recorded.
                _ => return,
            }
        };
        self.report.trampoline_events += 1;
        let shown = if matches!(kind, EventKind::TrampolineDetach { .. }) { "" } else { name };
        self.push(kind, shown, Vec::new());
    }

    fn finish(mut self, name: &str) -> Result<(Vec<NamedEvent>, ImportReport), TraceError> {
        self.report.unclaimed_symbols = self.waiting.len() as u64;
        let mut events = self.early;
        events.append(&mut self.events);
        if events.is_empty() { Err(nothing_found(name)) } else { Ok((events, self.report)) }
    }
}

/// The load of a program with these symbols; `None` without a symbol.
fn load_of(id: u64, symbols: &[Symbol]) -> Option<Load> {
    let lengths: Vec<u32> = symbols.iter().map(|symbol| symbol.length).collect();
    let images = Images::new(&lengths).ok()?;
    Some(Load { id: ProgId::new(id), images, insns: 0, jited: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{TraceHeader, TraceReader, TraceWriter};

    const RUNQSLOWER: &[u8] = include_bytes!("../../../tests/data/runqslower.perf-script.txt");
    const LIBBPF_TOOLS: &[u8] = include_bytes!("../../../tests/data/libbpf-tools.perf-script.txt.zst");

    fn import(text: &[u8]) -> (Vec<NamedEvent>, ImportReport) {
        let (events, report) = from_perf_script("text", text, AliveBefore::LoadAtStart).unwrap();
        // Whatever comes out is a trace without a fault.
        let mut writer = TraceWriter::new(Vec::new(), &TraceHeader::new("", "")).unwrap();
        for event in &events {
            writer.write(event, &[]).unwrap();
        }
        let written = writer.into_inner().unwrap();
        let mut reader = TraceReader::from_reader("trace", std::io::Cursor::new(written)).unwrap();
        for event in &events {
            assert_eq!(reader.next_named().unwrap().as_ref(), Some(event));
        }
        (events, report)
    }

    /// Lines of one context, a record each, a microsecond apart.
    fn lines(records: &[&str]) -> String {
        let line = |(index, record): (usize, &&str)| format!("x 1 [000] 1.{index:06}: PERF_RECORD_{record}\n");
        records.iter().enumerate().map(line).collect()
    }

    fn symbol(address: &str, length: u32, gone: u32, name: &str) -> String {
        format!("KSYMBOL addr {address} len {length} type 1 flags 0x{gone} name {name}")
    }

    #[test]
    fn runqslower_loads_seven_probes_and_three_programs() {
        let (events, report) = import(RUNQSLOWER);
        let expected =
            ImportReport { lines: 42, loads: 10, multi_image_loads: 1, unloads: 10, ..ImportReport::default() };
        assert_eq!(report, expected);
        assert_eq!(events[0].event.time, SimTime::ZERO);
        assert_eq!(events[1].event.time, SimTime::from_nanos(84_000));
        let [.., a, b, c, d] = &events[..] else { panic!() };
        assert_eq!(a.name, "bpf_prog_78292fa3b69eae98_sched_switch");
        assert_eq!(a.image_addresses, [0xffff_ffff_c002_5e18, 0xffff_ffff_c002_5e54]);
        let EventKind::Load(load) = &a.event.kind else { panic!("{a:?}") };
        assert_eq!((load.id.get(), load.images.as_slice()), (121, &[33, 612][..]));
        let ids: Vec<_> = [b, c, d].iter().map(|event| event.event.kind.clone()).collect();
        assert_eq!(ids, [118, 120, 121].map(|id| EventKind::Unload { id: ProgId::new(id) }));
    }

    #[test]
    fn overlapping_tools_are_imported_whole() {
        let text = zstd::decode_all(LIBBPF_TOOLS).unwrap();
        let (_, report) = import(&text);
        let (lines, loads, multi_image_loads, unloads) = (2088, 495, 56, 493);
        assert_eq!(report, ImportReport { lines, loads, multi_image_loads, unloads, ..ImportReport::default() });
    }

    #[test]
    fn contexts_may_alternate_and_threads_may_move() {
        let text = "\
            a 1 [000] 1.000001: PERF_RECORD_KSYMBOL addr a0 len 10 type 1 flags 0x0 name bpf_prog_a\n\
            b 2 [001] 1.000002: PERF_RECORD_KSYMBOL addr b0 len 20 type 1 flags 0x0 name bpf_prog_b\n\
            a 1 [000] 1.000003: PERF_RECORD_KSYMBOL addr a1 len 11 type 1 flags 0x0 name bpf_prog_a_sub\n\
            b 2 [003] 1.000004: PERF_RECORD_BPF_EVENT type 1, flags 0, id 7\n\
            a 1 [000] 1.000005: PERF_RECORD_BPF_EVENT type 1, flags 0, id 8\n";
        let (events, report) = import(text.as_bytes());
        assert_eq!(report.unclaimed_symbols, 0);
        let images: Vec<_> = events.iter().map(|event| (event.name.as_str(), event.image_addresses.len())).collect();
        assert_eq!(images, [("bpf_prog_b", 1), ("bpf_prog_a", 2)]);
        assert_eq!(events[1].event.time.nanos(), 1000);
    }

    #[test]
    fn programs_alive_before_are_loaded_at_the_start() {
        let text = lines(&[
            &symbol("f0", 20, 0, "bpf_prog_new"),
            "BPF_EVENT type 1, flags 0, id 5",
            &symbol("a0", 33, 1, "bpf_prog_old"),
            &symbol("b0", 44, 1, "bpf_prog_old_sub"),
            "BPF_EVENT type 2, flags 0, id 3",
            "BPF_EVENT type 2, flags 0, id 4",
        ]);
        let (events, report) = import(text.as_bytes());
        let program = EarlyProgram { id: 3, name: "bpf_prog_old".to_owned(), image_bytes: vec![33, 44] };
        assert_eq!(report.early_programs, [program]);
        assert_eq!((report.loads, report.unloads, report.unknown_unloads), (2, 1, 1));
        assert_eq!(events[0].name, "bpf_prog_old");
        let shown = report.to_string();
        assert!(
            shown.contains("note: 1 programs were alive before") && shown.contains("program 3 bpf_prog_old [33, 44]")
        );
        let (events, report) = from_perf_script("text", text.as_bytes(), AliveBefore::Skip).unwrap();
        assert_eq!((events.len(), report.loads, report.early_programs.len()), (1, 1, 1));
    }

    #[test]
    fn records_found_at_the_start_come_at_time_zero() {
        let text = "\
            perf -1 [000] 0.000000: PERF_RECORD_KSYMBOL addr a0 len 10 type 1 flags 0x0 name bpf_prog_a\n\
            perf -1 [000] 0.000000: PERF_RECORD_BPF_EVENT type 1, flags 0, id 1\n\
            x 9 [000] 50.000000: PERF_RECORD_KSYMBOL addr a0 len 10 type 1 flags 0x1 name bpf_prog_a\n\
            x 9 [000] 50.000001: PERF_RECORD_BPF_EVENT type 2, flags 0, id 1\n";
        let (events, _) = import(text.as_bytes());
        assert_eq!(events.iter().map(|event| event.event.time.nanos()).collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn lost_records_are_inferred_and_reported() {
        let text = lines(&[
            &symbol("a0", 10, 0, "bpf_prog_a"),
            "BPF_EVENT type 1, flags 0, id 1",
            "LOST lost 12",
            &symbol("b0", 10, 0, "bpf_prog_b"),
            "BPF_EVENT type 1, flags 0, id 1",
            "BPF_EVENT type 1, flags 0, id 2",
            "BPF_EVENT type 2, flags 0, id 2",
            "BPF_EVENT type 2, flags 0, id 1",
            &symbol("c0", 10, 1, "bpf_prog_c"),
            "BPF_EVENT type 2, flags 0, id 1",
            &symbol("c0", 10, 1, "bpf_prog_c"),
            &symbol("d0", 10, 0, "kprobe_insn_page"),
        ]);
        let (events, report) = import(text.as_bytes());
        let expected = ImportReport {
            lines: 12,
            loads: 2,
            unloads: 2,
            loads_without_images: 1,
            unknown_unloads: 1,
            inferred_unloads: 1,
            differing_unloads: 1,
            unclaimed_symbols: 1,
            other_symbols: 1,
            lost_records: 12,
            ..ImportReport::default()
        };
        assert_eq!((events.len(), report), (4, expected));
    }

    #[test]
    fn trampolines_attach_update_and_detach() {
        let name = "bpf_trampoline_6442485949";
        let text = lines(&[
            &symbol("a0", 4096, 0, name),
            &symbol("b0", 300, 0, name),
            &symbol("a0", 4096, 1, name),
            &symbol("b0", 300, 1, name),
            &symbol("c0", 4096, 1, "bpf_dispatcher_xdp"),
            &symbol("d0", 4096, 0, name),
        ]);
        let (events, report) = import(text.as_bytes());
        let kinds: Vec<_> = events.into_iter().map(|event| event.event.kind).collect();
        let expected = [
            EventKind::TrampolineAttach { id: 2, image_bytes: 4096 },
            EventKind::TrampolineAttach { id: 1, image_bytes: 4096 },
            EventKind::TrampolineUpdate { id: 1, image_bytes: 300 },
            EventKind::TrampolineDetach { id: 1 },
            EventKind::TrampolineDetach { id: 2 },
            EventKind::TrampolineAttach { id: 1, image_bytes: 4096 },
        ];
        assert_eq!((kinds, report.trampoline_events), (expected.to_vec(), 6));
    }

    #[test]
    fn texts_without_events_are_explained() {
        let error = from_perf_script("text", &b"# nothing\n"[..], AliveBefore::Skip).unwrap_err().to_string();
        assert!(error.contains("perf script --show-bpf-events"), "{error}");
        let cut = "x 1 [000] 1.0: PERF_RECORD_BPF_EVENT type 1, fl";
        let error = from_perf_script("text", cut.as_bytes(), AliveBefore::Skip).unwrap_err().to_string();
        assert!(error.starts_with("text:1:38: the record has no `id`"), "{error}");
        let error = |text: &[u8]| from_perf_script("text", text, AliveBefore::Skip).unwrap_err().to_string();
        assert!(error(b"PERFILE2\x01\x02").contains("perf.data file"));
        assert!(error(&[0; (1 << 20) + 9]).contains("text:1: the line is longer than 1 MiB"));
    }
}
