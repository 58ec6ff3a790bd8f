//! Streams a trace file.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::convert::{Invalid, MemoryUsers, NamedEvent, to_event};
use super::input::{Input, line_number};
use super::line::{FORMAT_VERSION, TraceHeader, TraceLine};
use super::rules::Rules;
use super::{Event, EventSource, TraceError, fast};
use crate::diagnostics::Diagnostic;
use crate::json::{Document, JsonPath, Spans, typed};

/// Reads a trace line by line and checks it on the way: syntax, sizes, the order of time, what is loaded when.
///
/// Only the programs alive, a block of the file and a line are in memory at any time. After an error that is not
/// fatal, reading goes on behind the bad line.
pub struct TraceReader {
    input: Input,
    header: TraceHeader,
    users: MemoryUsers,
    rules: Rules,
    events: u64,
}

impl TraceReader {
    /// Opens a trace, plain or zstd by its first bytes; `-` is standard input.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TraceError> {
        Self::from_input(Input::open(path.as_ref())?)
    }

    /// Reads a trace from anything; `name` is what errors call it.
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'static) -> Result<Self, TraceError> {
        Self::from_input(Input::new(name.into(), Box::new(reader), None)?)
    }

    fn from_input(mut input: Input) -> Result<Self, TraceError> {
        let header = read_header(&mut input)?;
        Ok(Self { input, header, users: MemoryUsers::default(), rules: Rules::default(), events: 0 })
    }

    /// The first line.
    pub fn header(&self) -> &TraceHeader {
        &self.header
    }

    /// Names of the other users of memory so far, by the index that events carry.
    pub fn users(&self) -> &[String] {
        self.users.names()
    }

    /// Lines read so far, the header and empty ones among them; after an event, its number.
    pub fn line(&self) -> u64 {
        self.input.line_count()
    }

    /// The 128-bit XXH3 hash (seed 0) of all bytes of the trace, decompressed, header and newlines among them.
    ///
    /// `None` until the end has been read. A trace has the same hash plain and compressed.
    pub fn hash(&self) -> Option<u128> {
        self.input.hash()
    }

    /// The next event with its name; `None` at the end.
    pub fn next_named(&mut self) -> Result<Option<NamedEvent>, TraceError> {
        loop {
            let bytes = self.input.lines()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            if let Some(line) = fast::parse(bytes) {
                let name = String::from_utf8_lossy(line.name).into_owned();
                let image_addresses = fast::decode_addresses(line.addresses);
                let (event, consumed) = (line.event, line.consumed);
                self.accept(&event, consumed)?;
                return Ok(Some(NamedEvent { event, name, image_addresses }));
            }
            if let Some(named) = self.general_line()? {
                return Ok(Some(named));
            }
        }
    }

    /// Checks the event that the next `consumed` bytes spell, and moves on behind it.
    fn accept(&mut self, event: &Event, consumed: usize) -> Result<(), TraceError> {
        let judged = self.rules.check(event);
        let error = judged.err().map(|invalid| self.invalid(&invalid, consumed));
        self.input.consume(consumed, 1);
        self.events += 1;
        error.map_or(Ok(()), Err)
    }

    /// The next line in any spelling; `None` if it is empty.
    #[cold]
    fn general_line(&mut self) -> Result<Option<NamedEvent>, TraceError> {
        let number = line_number(self.input.line_count());
        let (line, consumed, ended) = first_line(self.input.lines()?);
        if line.iter().all(u8::is_ascii_whitespace) {
            self.input.consume(consumed, 1);
            return Ok(None);
        }
        let line = match parse_line(line, number, ended) {
            Ok(line) => line,
            Err(diagnostic) => {
                let diagnostic = diagnostic.in_file(self.input.name());
                self.input.consume(consumed, 1);
                return Err(TraceError::event(diagnostic));
            }
        };
        match to_event(line, &mut self.users) {
            Ok(named) => {
                self.accept(&named.event, consumed)?;
                Ok(Some(named))
            }
            Err(invalid) => {
                let error = self.invalid(&invalid, consumed);
                self.input.consume(consumed, 1);
                Err(error)
            }
        }
    }

    /// The error of a line that is well-formed and wrong; the line is the next `consumed` bytes.
    fn invalid(&mut self, invalid: &Invalid, consumed: usize) -> TraceError {
        let number = line_number(self.input.line_count());
        let name = self.input.name().to_owned();
        let bytes = self.input.lines().unwrap_or_default();
        let (line, ..) = first_line(&bytes[..consumed.min(bytes.len())]);
        let (column, width) = place(line, invalid.json_path);
        let mut diagnostic = Diagnostic::new(&*invalid.message).in_file(name).at(number, column, width).excerpt(line);
        diagnostic.json_path = invalid.json_path.into();
        diagnostic.help.clone_from(&invalid.help);
        TraceError::event(diagnostic)
    }
}

impl EventSource for TraceReader {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        let before = into.len();
        let goal = before.saturating_add(max);
        while into.len() < goal {
            let bytes = self.input.lines()?;
            if bytes.is_empty() {
                break;
            }
            let (mut at, mut broken) = (0, None);
            let first = into.len();
            while into.len() < goal
                && let Some(line) = fast::parse(&bytes[at..])
            {
                if let Err(invalid) = self.rules.check(&line.event) {
                    broken = Some((invalid, line.consumed));
                    break;
                }
                at += line.consumed;
                into.push(line.event);
            }
            let count = (into.len() - first) as u64;
            self.input.consume(at, count);
            self.events += count;
            if let Some((invalid, consumed)) = broken {
                let error = self.invalid(&invalid, consumed);
                self.input.consume(consumed, 1);
                return Err(error);
            }
            // The fast path stops at a full batch, at the end of the block or at a line it does not know.
            if count == 0
                && let Some(named) = self.general_line()?
            {
                into.push(named.event);
            }
        }
        Ok(into.len() - before)
    }

    fn must_be_read_whole(&self) -> bool {
        true
    }

    fn total_hint(&self) -> Option<u64> {
        self.input.extrapolate(self.events)
    }
}

/// The first line of these bytes without its newline, its length with it, and whether it has one.
fn first_line(bytes: &[u8]) -> (&[u8], usize, bool) {
    match bytes.iter().position(|&byte| byte == b'\n') {
        Some(length) => (&bytes[..length], length + 1, true),
        None => (bytes, bytes.len(), false),
    }
}

/// Column and width of a value in a line that is JSON; zeros if it is not there.
fn place(line: &[u8], json_path: &str) -> (u32, u32) {
    let path = JsonPath::parse(json_path).unwrap_or_default();
    let found = str::from_utf8(line).ok().and_then(|line| Spans::new(line).value(&path));
    found.map_or((0, 0), |place| (place.column, place.width))
}

/// A line as this type; `ended` says whether it has a newline. The name of the file is left to the caller.
fn parse_line<T: DeserializeOwned>(line: &[u8], number: u32, ended: bool) -> Result<T, Box<Diagnostic>> {
    let error = match serde_json::from_slice(line) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let wrong = |diagnostic: Diagnostic| Err(Box::new(diagnostic.excerpt(line)));
    if error.is_eof() && !ended {
        let diagnostic = Diagnostic::new("the trace ends in the middle of a line").at(number, line.len() as u32, 1);
        return wrong(diagnostic.help("was the file copied while it was being written?"));
    }
    let text = match str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            let column = u32::try_from(error.valid_up_to() + 1).unwrap_or(u32::MAX);
            return wrong(Diagnostic::new("the line is not UTF-8 text").at(number, column, 1));
        }
    };
    let document = Document::new("", text);
    let mut diagnostic = match document.value().map(|value| typed::<T>(&value)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err((path, complaint))) => document.complain(&path, complaint),
        Err(diagnostic) => diagnostic,
    };
    (diagnostic.line, diagnostic.path) = (number, None);
    Err(Box::new(diagnostic))
}

/// Only the version of a header, whatever else a newer version has.
#[derive(Deserialize)]
struct AnyHeader {
    fragsim_trace: u32,
}

fn read_header(input: &mut Input) -> Result<TraceHeader, TraceError> {
    let name = input.name().to_owned();
    let bytes = input.lines()?;
    if bytes.is_empty() {
        let help = "the first line of a trace is its header, {\"fragsim_trace\":1}";
        return Err(TraceError::fatal(Diagnostic::new("the trace is empty").in_file(name).help(help)));
    }
    let (line, consumed, ended) = first_line(bytes);
    let header = parse_header(line, ended).map_err(|diagnostic| TraceError::fatal(diagnostic.in_file(name)))?;
    input.consume(consumed, 1);
    Ok(header)
}

fn parse_header(line: &[u8], ended: bool) -> Result<TraceHeader, Box<Diagnostic>> {
    let version = match serde_json::from_slice::<AnyHeader>(line) {
        Ok(header) => header.fragsim_trace,
        Err(_) if serde_json::from_slice::<TraceLine>(line).is_ok() => {
            let diagnostic = Diagnostic::new("the trace has no header: its first line is an event").at(1, 1, 1);
            return Err(Box::new(diagnostic.excerpt(line).help("put {\"fragsim_trace\":1} on a line before it")));
        }
        Err(_) => FORMAT_VERSION,
    };
    if !(1..=FORMAT_VERSION).contains(&version) {
        let message = format!("trace format version {version} is not known");
        let (column, width) = place(line, "fragsim_trace");
        let diagnostic = Diagnostic::new(message).at(1, column, width).at_json_path("fragsim_trace");
        let help = format!("this fragsim reads version {FORMAT_VERSION}; a newer fragsim may read it");
        return Err(Box::new(diagnostic.excerpt(line).help(help)));
    }
    parse_line(line, 1, ended).map_err(|mut diagnostic| {
        diagnostic.message = format!("this is not a trace: its first line is no header ({})", diagnostic.message);
        let help = "the first line of a trace is {\"fragsim_trace\":1}; \
                    text of `perf script` becomes a trace with `fragsim trace import`";
        diagnostic.help.get_or_insert_with(|| help.to_owned());
        diagnostic
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::EventKind;

    const HEADER: &str = "{\"fragsim_trace\":1}\n";

    fn read(text: impl Into<Vec<u8>>) -> Result<Vec<Event>, TraceError> {
        let text: Vec<u8> = text.into();
        let mut reader = TraceReader::from_reader("t.jsonl", std::io::Cursor::new(text))?;
        let mut events = Vec::new();
        while reader.next_batch(&mut events, 2)? > 0 {}
        Ok(events)
    }

    /// The diagnostic of a trace whose only event is this.
    fn event_error(line: &str) -> Diagnostic {
        read(format!("{HEADER}{line}\n")).unwrap_err().into()
    }

    /// What the caret of a diagnostic points at.
    fn pointed(diagnostic: &Diagnostic) -> &str {
        &diagnostic.excerpt[diagnostic.span_in_excerpt()]
    }

    const LOAD: &str = r#"{"time_ns":10,"load":{"id":1,"name":"p","image_bytes":[23]}}"#;

    #[test]
    fn spellings_do_not_matter() {
        let canonical = read(format!("{HEADER}{LOAD}\n")).unwrap();
        let other =
            "\r\n { \"load\" : {\"image_bytes\":[ 23 ], \"name\":\"\\u0070\", \"id\":1}, \"time_ns\":10 }\r\n\n";
        assert_eq!(read(format!("{HEADER}{other}")).unwrap(), canonical);
        assert_eq!(read(format!("{HEADER}{LOAD}")).unwrap(), canonical, "the last newline may be missing");
        assert_eq!(read(HEADER).unwrap(), []);
    }

    #[test]
    fn wrong_headers_are_explained() {
        for (text, message, help) in [
            ("", "the trace is empty", "fragsim_trace"),
            (LOAD, "no header", "on a line before it"),
            ("{\"fragsim_trace\":2,\"zone\":[]}\n", "version 2 is not known", "reads version 1"),
            ("{\"fragsim_trace\":0}\n", "version 0 is not known", "reads version 1"),
            ("{\"fragsim_trace\":1,\"coment\":\"\"}\n", "unknown key `coment`", "did you mean `comment`?"),
            ("{\"fragsim_trace\":1", "ends in the middle of a line", "being written"),
            ("runqslower 3809 [001] 3055.7: PERF_RECORD_KSYMBOL\n", "not a trace", "trace import"),
            ("\u{1}\u{2}\u{3}\n", "not a trace", "first line"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.is_fatal());
            let shown = error.to_string();
            assert!(shown.contains(message) && shown.contains(help), "{shown}");
        }
    }

    #[test]
    fn other_formats_are_recognised() {
        for (bytes, message) in [
            (&b"\x1f\x8b\x08\x00"[..], "gzip"),
            (b"PERFILE2\x68\x00", "perf.data"),
            (b"\xff\xfe\x00\x01\n", "not UTF-8"),
            (&[0x28, 0xb5, 0x2f, 0xfd, 0xff], "cannot read the trace"),
        ] {
            let shown = read(bytes).unwrap_err().to_string();
            assert!(shown.contains(message), "{shown}");
        }
        let directory = TraceReader::open(std::env::temp_dir()).err().unwrap().to_string();
        assert!(directory.contains("directory"), "{directory}");
        let missing = TraceReader::open("no/such/trace.jsonl").err().unwrap().to_string();
        assert!(missing.starts_with("cannot open `no/such/trace.jsonl`: no such file"), "{missing}");
    }

    /// A line, what its error says, the JSON path, and what is underlined.
    const WRONG_LINES: [(&str, &str, &str, &str); 19] = [
        (r#"{"time_ns":1,"laod":{"id":1}}"#, "unknown key `laod`", "laod", r#""laod""#),
        (r#"{"time_ns":1,"load":{"id":1,"image_bytes":["a"]}}"#, "expected a whole", "load.image_bytes[0]", r#""a""#),
        (r#"{"time_ns":-1,"unload":{"id":1}}"#, "expected a whole number", "time_ns", "-1"),
        (r#"{"time_ns":1,"load":{"id":1,"image_bytes":[0]}}"#, "size 0", "load.image_bytes", "[0]"),
        (r#"{"time_ns":1,"load":{"id":1,"image_bytes":[]}}"#, "at least one image", "load.image_bytes", "[]"),
        (r#"{"time_ns":1,"load":{"id":1,"image_bytes":[2147483649]}}"#, "2 GiB", "load.image_bytes", "[2147483649]"),
        (
            r#"{"time_ns":1,"load":{"id":1,"image_bytes":[9223372036854775808]}}"#,
            "whole number",
            "load.image_bytes[0]",
            "9223372036854775808",
        ),
        (
            r#"{"time_ns":1,"load":{"id":1,"image_bytes":[5],"image_addresses":["0x1","0x2"]}}"#,
            "2 addresses for 1 images",
            "load.image_addresses",
            r#"["0x1","0x2"]"#,
        ),
        (r#"{"time_ns":1,"unload":{"id":7}}"#, "program 7 goes away", "unload.id", "7"),
        (r#"{"time_ns":1}"#, "names no event", "", r#"{"time_ns":1}"#),
        (
            r#"{"time_ns":1,"unload":{"id":1},"set_memory":{"first_pfn":1,"pages":1,"to":"ro"}}"#,
            "two events, `unload` and `set_memory`",
            "",
            r#"{"time_ns":1,"unload":{"id":1},"set_memory":{"first_pfn":1,"pages":1,"to":"ro"}}"#,
        ),
        (r#"{"time_ns":1,"module_load":{"id":1}}"#, "module of size 0", "module_load", r#"{"id":1}"#),
        (
            r#"{"time_ns":1,"trampoline_update":{"id":1,"image_bytes":5}}"#,
            "trampoline 1 goes away or changes",
            "trampoline_update.id",
            "1",
        ),
        (
            r#"{"time_ns":1,"trampoline_attach":{"id":1,"image_bytes":0}}"#,
            "size 0",
            "trampoline_attach.image_bytes",
            "0",
        ),
        (
            r#"{"time_ns":1,"memory_take":{"user":"a","kind":"page-cach","bytes":"4KiB"}}"#,
            "unknown name",
            "memory_take.kind",
            r#""page-cach""#,
        ),
        (
            r#"{"time_ns":1,"memory_take":{"user":"a","kind":"page-cache","bytes":"4KiB","order":11}}"#,
            "no such order",
            "memory_take.order",
            "11",
        ),
        (
            r#"{"time_ns":1,"memory_take":{"user":"a","kind":"page-cache","bytes":"4KB"}}"#,
            "unknown unit",
            "memory_take.bytes",
            r#""4KB""#,
        ),
        (r#"{"time_ns":1,"memory_give":{"user":"a"}}"#, "`a` holds no memory", "memory_give.user", r#""a""#),
        (
            r#"{"time_ns":1,"set_memory":{"first_pfn":1099511627775,"pages":2,"to":"ro"}}"#,
            "52 address bits",
            "set_memory",
            r#"{"first_pfn":1099511627775,"pages":2,"to":"ro"}"#,
        ),
    ];

    #[test]
    fn wrong_lines_are_underlined() {
        for (line, message, path, covered) in WRONG_LINES {
            let diagnostic = event_error(line);
            assert!(diagnostic.message.contains(message), "{diagnostic}");
            assert_eq!((diagnostic.line, diagnostic.path.as_deref()), (2, Some("t.jsonl")));
            assert_eq!((&*diagnostic.json_path, pointed(&diagnostic)), (path, covered), "{diagnostic}");
        }
    }

    #[test]
    fn half_a_last_line_is_named() {
        let text = format!("{HEADER}{LOAD}\n{}", &LOAD[..30]);
        let diagnostic = Diagnostic::from(read(text).unwrap_err());
        assert_eq!((diagnostic.line, &*diagnostic.message), (3, "the trace ends in the middle of a line"));
    }

    #[test]
    fn bytes_that_are_not_text_are_named() {
        let mut text = format!("{HEADER}{LOAD}\n").into_bytes();
        let name = text.iter().rposition(|&byte| byte == b'p').unwrap();
        text[name] = 0xff;
        let diagnostic = Diagnostic::from(read(text).unwrap_err());
        assert_eq!((diagnostic.line, &*diagnostic.message), (2, "the line is not UTF-8 text"));
        assert_eq!(diagnostic.column as usize, name + 1 - HEADER.len());
    }

    #[test]
    fn reading_goes_on_behind_a_bad_line() {
        let again = LOAD.replace("10", "9");
        let text = format!("{HEADER}{LOAD}\n{again}\nrubbish\n{{\"time_ns\":9,\"unload\":{{\"id\":1}}}}\n");
        let mut reader = TraceReader::from_reader("t", std::io::Cursor::new(text)).unwrap();
        let mut events = Vec::new();
        let back = reader.next_batch(&mut events, 10).unwrap_err();
        assert_eq!((events.len(), back.is_fatal(), back.diagnostic().line), (1, false, 3));
        assert_eq!(back.diagnostic().message, "time goes back from 10 ns to 9 ns");
        assert_eq!(reader.next_batch(&mut events, 10).unwrap_err().diagnostic().line, 4);
        assert_eq!(reader.next_batch(&mut events, 10).unwrap(), 1);
        assert_eq!((events.len(), reader.line()), (2, 5));
    }

    #[test]
    fn loading_twice_is_an_error_and_loading_again_is_not() {
        let unload = r#"{"time_ns":10,"unload":{"id":1}}"#;
        let error = read(format!("{HEADER}{LOAD}\n{LOAD}\n")).unwrap_err();
        assert_eq!((error.diagnostic().line, pointed(error.diagnostic())), (3, "1"));
        assert!(error.to_string().contains("program 1 is loaded although it already is"));
        assert_eq!(read(format!("{HEADER}{LOAD}\n{unload}\n{LOAD}\n")).unwrap().len(), 3);
    }

    #[test]
    fn lines_without_end_stop_the_reader() {
        let error = read(format!("{HEADER}{}", "x".repeat(5 << 20))).unwrap_err();
        assert!(error.is_fatal() && error.to_string().contains("t.jsonl:2: the line is longer than 4 MiB"), "{error}");
    }

    #[test]
    fn shares_are_of_what_is_held() {
        let line = |event: &str| format!("{{\"time_ns\":0,{event}}}\n");
        let text = [
            HEADER.to_owned(),
            line(r#""memory_take":{"user":"a","kind":"anonymous","bytes":"8MiB"}"#),
            line(r#""memory_give":{"user":"a","share_permille":250}"#),
            line(r#""memory_give":{"user":"a","share_permille":500,"pattern":"newest"}"#),
        ];
        let pages: Vec<_> = read(text.concat()).unwrap()[1..].iter().map(|event| event.kind.clone()).collect();
        let [EventKind::MemoryGive(first), EventKind::MemoryGive(second)] = &pages[..] else { panic!("{pages:?}") };
        assert_eq!((first.pages, second.pages), (Some(512), Some(768)));
        let too_much = line(r#""memory_give":{"user":"a","bytes":"4MiB"}"#);
        let error = read(text.concat() + &too_much).unwrap_err().to_string();
        assert!(error.contains("`a` holds 3MiB, not 4MiB"), "{error}");
    }

    /// Loads and unloads without end, 100 programs alive, up to a number of events.
    struct Endless {
        events: u64,
        made: u64,
        left: std::io::Cursor<Vec<u8>>,
    }

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.left.position() == self.left.get_ref().len() as u64 {
                let mut text = if self.made == 0 { HEADER.to_owned() } else { String::new() };
                for event in self.made..self.events.min(self.made + 1000) {
                    // Each program is unloaded when 100 others have been loaded since.
                    let id = event / 2;
                    text += &match (event % 2, id.checked_sub(100)) {
                        (1, Some(old)) => format!("{{\"time_ns\":{event},\"unload\":{{\"id\":{old}}}}}\n"),
                        (side, _) => {
                            let id = id + side * self.events;
                            format!("{{\"time_ns\":{event},\"load\":{{\"id\":{id},\"image_bytes\":[7]}}}}\n")
                        }
                    };
                }
                self.made = self.events.min(self.made + 1000);
                self.left = std::io::Cursor::new(text.into_bytes());
            }
            self.left.read(buffer)
        }
    }

    #[test]
    fn memory_does_not_follow_the_length_of_the_trace() {
        let memory_after = |events| {
            let input = Endless { events, made: 0, left: std::io::Cursor::new(Vec::new()) };
            let mut reader = TraceReader::from_reader("endless", input).unwrap();
            let (mut batch, mut count) = (Vec::with_capacity(512), 0);
            while reader.next_batch(&mut batch, 512).unwrap() > 0 {
                count += batch.len() as u64;
                batch.clear();
            }
            assert_eq!(count, events);
            (reader.input.capacity(), reader.rules.capacity())
        };
        assert_eq!(memory_after(1_000_000), memory_after(10_000));
    }

    #[test]
    fn blocks_may_cut_lines_anywhere() {
        /// Hands out one byte at a time.
        struct Drip(std::io::Cursor<Vec<u8>>);
        impl Read for Drip {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let one = buffer.len().min(1);
                self.0.read(&mut buffer[..one])
            }
        }
        let text = format!("{HEADER}{LOAD}\n{{\"time_ns\":10,\"unload\":{{\"id\":1}}}}\n");
        let mut reader = TraceReader::from_reader("t", Drip(std::io::Cursor::new(text.clone().into()))).unwrap();
        let mut events = Vec::new();
        while reader.next_batch(&mut events, 1).unwrap() > 0 {}
        assert_eq!(events, read(text.clone()).unwrap());
        assert_eq!(reader.hash(), Some(xxhash_rust::xxh3::xxh3_128(text.as_bytes())));
    }
}
