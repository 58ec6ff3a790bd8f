//! Writes a trace file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::convert::{NamedEvent, to_line};
use super::line::TraceHeader;
use crate::diagnostics::Diagnostic;
use crate::files::{AtomicFile, describe};

/// How hard zstd tries; 3 is its own default.
const ZSTD_LEVEL: i32 = 3;
/// How much is gathered before it is written.
const BLOCK_BYTES: usize = 256 * 1024;

/// Writes a trace in the canonical spelling, one line an event.
pub struct TraceWriter<W: Write> {
    out: W,
    /// The line being written, so that `out` sees whole lines.
    line: Vec<u8>,
}

impl<W: Write> TraceWriter<W> {
    /// Writes the header at once.
    pub fn new(out: W, header: &TraceHeader) -> io::Result<Self> {
        let mut writer = Self { out, line: Vec::with_capacity(256) };
        writer.write_line(header)?;
        Ok(writer)
    }

    /// Writes an event; `users` holds the names that events on other users of memory index.
    pub fn write(&mut self, event: &NamedEvent, users: &[String]) -> io::Result<()> {
        self.write_line(&to_line(event, users))
    }

    fn write_line(&mut self, line: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    /// The writer underneath, after everything was handed to it.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A trace file that appears under its name only when it is complete; compressed if the name ends in `.zst`.
pub struct TraceFile {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<AtomicFile>),
    Zstd(Box<zstd::Encoder<'static, AtomicFile>>),
}

impl TraceFile {
    /// A file that takes what is written until [`TraceFile::finish`].
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, Diagnostic> {
        let path = path.into();
        let file = AtomicFile::create(&path)?;
        let sink = if path.extension().is_some_and(|extension| extension == "zst") {
            let encoder = zstd::Encoder::new(file, ZSTD_LEVEL).map_err(|error| cannot_write(&path, &error))?;
            Sink::Zstd(Box::new(encoder))
        } else {
            Sink::Plain(BufWriter::with_capacity(BLOCK_BYTES, file))
        };
        Ok(Self { path, sink })
    }

    /// Completes the file and gives it its name, over an older file of that name.
    pub fn finish(self) -> Result<(), Diagnostic> {
        let written = match self.sink {
            Sink::Plain(buffered) => buffered.into_inner().map_err(io::IntoInnerError::into_error),
            Sink::Zstd(encoder) => encoder.finish(),
        };
        written.map_err(|error| cannot_write(&self.path, &error))?.commit()
    }
}

impl Write for TraceFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Plain(buffered) => buffered.write(bytes),
            Sink::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(buffered) => buffered.flush(),
            Sink::Zstd(encoder) => encoder.flush(),
        }
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Diagnostic {
    describe("write the trace", error).in_file(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{EventSource, TraceReader};

    const TEXT: &str = concat!(
        "{\"fragsim_trace\":1,\"comment\":\"every event\"}\n",
        "{\"time_ns\":0,\"load\":{\"id\":1,\"name\":\"bpf_prog_\u{e9}\\n\",\"image_bytes\":[23]}}\n",
        "{\"time_ns\":0,\"load\":{\"id\":2,\"image_bytes\":[33,612],\"insns\":9,\"image_addresses\":[\"0x1f\",\"0x0\"]}}\n",
        "{\"time_ns\":0,\"load\":{\"id\":3,\"image_bytes\":[4096],\"jited\":false}}\n",
        "{\"time_ns\":5,\"unload\":{\"id\":1}}\n",
        "{\"time_ns\":5,\"module_load\":{\"id\":1,\"name\":\"dummy\",\"text_bytes\":4096,\"init_data_bytes\":1}}\n",
        "{\"time_ns\":6,\"module_unload\":{\"id\":1}}\n",
        "{\"time_ns\":6,\"trampoline_attach\":{\"id\":1,\"name\":\"t\",\"image_bytes\":4096}}\n",
        "{\"time_ns\":6,\"trampoline_update\":{\"id\":1,\"image_bytes\":200}}\n",
        "{\"time_ns\":6,\"trampoline_detach\":{\"id\":1}}\n",
        "{\"time_ns\":7,\"memory_take\":{\"user\":\"files\",\"kind\":\"page-cache\",\"bytes\":\"1GiB\",\"order\":9}}\n",
        "{\"time_ns\":7,\"memory_give\":{\"user\":\"files\",\"bytes\":\"4KiB\",\"pattern\":\"random\"}}\n",
        "{\"time_ns\":7,\"memory_give\":{\"user\":\"files\",\"pattern\":\"oldest\"}}\n",
        "{\"time_ns\":18446744073709551615,\"set_memory\":{\"first_pfn\":512,\"pages\":1,\"to\":\"4k\"}}\n",
    );

    /// Reads a trace and writes it into `out`.
    fn copy<W: Write>(mut reader: TraceReader, out: W) -> W {
        let mut writer = TraceWriter::new(out, reader.header()).unwrap();
        while let Some(event) = reader.next_named().unwrap() {
            writer.write(&event, reader.users()).unwrap();
        }
        writer.into_inner().unwrap()
    }

    #[test]
    fn every_event_survives_the_round_trip() {
        let reader = TraceReader::from_reader("test", TEXT.as_bytes()).unwrap();
        let written = String::from_utf8(copy(reader, Vec::new())).unwrap();
        assert_eq!(written, TEXT);
    }

    #[test]
    fn files_appear_when_finished_and_hash_the_same_compressed() {
        let directory = tempfile::tempdir().unwrap();
        let mut hashes = Vec::new();
        for name in ["trace.jsonl", "trace.jsonl.zst"] {
            let path = directory.path().join(name);
            let reader = TraceReader::from_reader("test", TEXT.as_bytes()).unwrap();
            let file = copy(reader, TraceFile::create(&path).unwrap());
            assert!(!path.exists());
            file.finish().unwrap();
            let mut reader = TraceReader::open(&path).unwrap();
            assert_eq!(reader.hash(), None);
            let mut events = Vec::new();
            while reader.next_batch(&mut events, 3).unwrap() > 0 {}
            assert_eq!(events.len(), TEXT.lines().count() - 1);
            hashes.push(reader.hash().unwrap());
        }
        assert_eq!(hashes, [xxhash_rust::xxh3::xxh3_128(TEXT.as_bytes()); 2]);
        let plain = std::fs::metadata(directory.path().join("trace.jsonl")).unwrap().len();
        assert_eq!(plain, TEXT.len() as u64);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
