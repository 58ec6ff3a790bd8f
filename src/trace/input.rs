//! Whole lines out of a file, plain or zstd, with a hash of what was read.

use std::io::{self, Chain, Cursor, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::Xxh3;

use super::TraceError;
use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, describe, open_file};

/// How much is read at once.
const BLOCK_BYTES: usize = 256 * 1024;
/// Longest line that is read, 4 MiB: whatever is longer is no trace.
const MAX_LINE_BYTES: usize = 4 << 20;
/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// First bytes of a gzip file, and of a perf.data file: both are likely mistakes.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const PERF_DATA_MAGIC: [u8; 7] = *b"PERFILE";

/// The lines of an input.
pub(super) struct Input {
    name: String,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The next line begins here.
    start: usize,
    /// Whole lines end here.
    whole: usize,
    /// What was read ends here.
    filled: usize,
    at_end: bool,
    /// Lines handed out.
    lines: u64,
    hash: Xxh3,
    progress: Progress,
}

/// How far a file has been read, before it is decompressed.
#[derive(Clone, Default)]
struct Progress {
    read_bytes: Arc<AtomicU64>,
    file_bytes: Option<u64>,
}

/// Counts the bytes that come out of a file.
struct Counting<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        if name == STDIN {
            return Self::new(name, Box::new(io::stdin()), None);
        }
        let (file, length) = open_file(path, "a trace").map_err(TraceError::fatal)?;
        Self::new(name, Box::new(file), length)
    }

    /// Reads from anything; `name` is what errors call it.
    pub fn new(name: String, reader: Box<dyn Read + Send>, file_bytes: Option<u64>) -> Result<Self, TraceError> {
        let progress = Progress { file_bytes, ..Progress::default() };
        let mut counting = Counting { inner: reader, bytes: Arc::clone(&progress.read_bytes) };
        let mut first = Vec::with_capacity(PERF_DATA_MAGIC.len());
        let look = counting.by_ref().take(PERF_DATA_MAGIC.len() as u64).read_to_end(&mut first);
        look.map_err(|error| cannot("read", &name, &error))?;
        reject_other_formats(&first, &name)?;
        let compressed = first.starts_with(&ZSTD_MAGIC);
        let whole: Chain<_, _> = Cursor::new(first).chain(counting);
        let reader: Box<dyn Read + Send> = if compressed {
            Box::new(zstd::Decoder::new(whole).map_err(|error| cannot("decompress", &name, &error))?)
        } else {
            Box::new(whole)
        };
        let buffer = vec![0; BLOCK_BYTES];
        let (hash, at_end) = (Xxh3::new(), false);
        Ok(Self { name, reader, buffer, start: 0, whole: 0, filled: 0, at_end, lines: 0, hash, progress })
    }

    /// What errors call the input.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whole lines that have been read and not consumed; empty only at the end of the input.
    ///
    /// Each ends in a newline, except that the last of the input may not.
    pub fn lines(&mut self) -> Result<&[u8], TraceError> {
        while self.start == self.whole && !(self.at_end && self.start == self.filled) {
            self.fill()?;
        }
        Ok(&self.buffer[self.start..self.whole])
    }

    /// Moves on by this many bytes, which are this many lines.
    #[inline]
    pub fn consume(&mut self, bytes: usize, lines: u64) {
        debug_assert!(bytes <= self.whole - self.start);
        self.start += bytes;
        self.lines += lines;
    }

    /// Lines consumed so far.
    pub fn line_count(&self) -> u64 {
        self.lines
    }

    /// The 128-bit XXH3 hash of every byte of the input, decompressed; `None` before its end.
    pub fn hash(&self) -> Option<u128> {
        (self.at_end && self.start == self.filled).then(|| self.hash.digest128())
    }

    /// How many things there will be in all if there were `so_far` until here; `None` if that cannot be known.
    pub fn extrapolate(&self, so_far: u64) -> Option<u64> {
        let total = self.progress.file_bytes?;
        let read = self.progress.read_bytes.load(Ordering::Relaxed);
        let estimate = u128::from(so_far) * u128::from(total) / u128::from(read.max(1));
        (so_far > 0).then(|| u64::try_from(estimate).unwrap_or(u64::MAX).max(so_far))
    }

    /// Bytes of memory for lines.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Reads the next block behind what is left of the last one.
    fn fill(&mut self) -> Result<(), TraceError> {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.whole -= self.start;
        self.start = 0;
        if self.filled >= MAX_LINE_BYTES {
            let diagnostic = Diagnostic::new("the line is longer than 4 MiB").at(line_number(self.lines), 0, 0);
            return Err(TraceError::fatal(
                diagnostic.in_file(&self.name).help("a trace is JSON Lines: one event a line"),
            ));
        }
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let count = match self.reader.read(&mut self.buffer[self.filled..]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => {
                let mut failure = Diagnostic::from(cannot("read", &self.name, &error));
                failure.line = line_number(self.lines);
                return Err(TraceError::fatal(failure));
            }
        };
        let fresh = self.filled..self.filled + count;
        self.filled += count;
        self.hash.update(&self.buffer[fresh.clone()]);
        if count == 0 {
            self.at_end = true;
            self.whole = self.filled;
        } else if let Some(newline) = self.buffer[fresh.clone()].iter().rposition(|&byte| byte == b'\n') {
            self.whole = fresh.start + newline + 1;
        }
        Ok(())
    }
}

/// The number of the line after this many, for a diagnostic.
pub(super) fn line_number(lines: u64) -> u32 {
    u32::try_from(lines + 1).unwrap_or(u32::MAX)
}

fn cannot(what: &str, name: &str, error: &io::Error) -> TraceError {
    let diagnostic = describe(&format!("{what} the trace"), error).in_file(name);
    TraceError::fatal(match error.kind() {
        ErrorKind::UnexpectedEof => diagnostic.help("the compressed file is cut off"),
        _ => diagnostic,
    })
}

/// Files that users may well take for a trace.
fn reject_other_formats(first: &[u8], name: &str) -> Result<(), TraceError> {
    let (what, help) = if first.starts_with(&GZIP_MAGIC) {
        ("this is a gzip file", "decompress it first; fragsim reads plain text and zstd")
    } else if first.starts_with(&PERF_DATA_MAGIC) {
        let help = "print it with `perf script --show-bpf-events`, then `fragsim trace import --from perf-script`";
        ("this is a perf.data file", help)
    } else {
        return Ok(());
    };
    Err(TraceError::fatal(Diagnostic::new(format!("{what}, not a trace")).in_file(name).help(help)))
}
