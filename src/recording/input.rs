//! Lines out of a file: plain, gzip or zstd by its first bytes.

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::diagnostics::Diagnostic;
use crate::files::{STDIN, describe, open_file};

/// First bytes of a zstd frame (RFC 8878, 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// First bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A byte order mark, which editors on Windows put first; it says nothing in UTF-8.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
/// Longest line that is read, 64 MiB: that of a pack whose every page stands alone has some ten kilobytes.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The lines of an input.
pub(super) struct Input {
    /// What errors call it.
    name: String,
    reader: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    /// Lines read.
    number: u32,
}

impl Input {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, Diagnostic> {
        let name = path.display().to_string();
        if name == STDIN {
            return Self::new(name, io::stdin());
        }
        let (file, _) = open_file(path, "a recording")?;
        Self::new(name, file)
    }

    /// Reads from anything; `name` is what errors call it.
    pub(super) fn new(name: String, mut reader: impl Read + Send + 'static) -> Result<Self, Diagnostic> {
        let mut first = Vec::with_capacity(ZSTD_MAGIC.len());
        let look = reader.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first);
        look.map_err(|error| cannot_read(&name, 0, &error))?;
        let (gzip, zstd) = (first.starts_with(&GZIP_MAGIC), first.starts_with(&ZSTD_MAGIC));
        if first.starts_with(&BYTE_ORDER_MARK) {
            first.drain(..BYTE_ORDER_MARK.len());
        }
        let whole = Cursor::new(first).chain(reader);
        let reader: Box<dyn BufRead + Send> = if gzip {
            Box::new(BufReader::new(MultiGzDecoder::new(whole)))
        } else if zstd {
            let decoder = zstd::Decoder::new(whole).map_err(|error| cannot_read(&name, 0, &error))?;
            Box::new(BufReader::new(decoder))
        } else {
            Box::new(BufReader::new(whole))
        };
        Ok(Self { name, reader, line: Vec::new(), number: 0 })
    }

    /// What errors call the input.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number of the line that was read last, from 1 on.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// The line that was read last, without its newline.
    pub(super) fn line(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }

    /// Whether the line that was read last ends in a newline.
    pub(super) fn line_is_whole(&self) -> bool {
        self.line.ends_with(b"\n")
    }

    /// Reads the next line that is not empty; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool, Diagnostic> {
        loop {
            self.line.clear();
            self.number = self.number.saturating_add(1);
            let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line);
            let count = read.map_err(|error| cannot_read(&self.name, self.number, &error))?;
            if count == 0 {
                return Ok(false);
            }
            if count as u64 == MAX_LINE_BYTES && !self.line_is_whole() {
                let diagnostic = Diagnostic::new("the line is longer than 64 MiB").at(self.number, 0, 0);
                return Err(diagnostic.in_file(&self.name).help("a recording is JSON Lines: one step a line"));
            }
            if !self.line().iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }
}

fn cannot_read(name: &str, line: u32, error: &io::Error) -> Diagnostic {
    let mut diagnostic = describe("read the recording", error).in_file(name);
    diagnostic.line = line;
    match error.kind() {
        ErrorKind::UnexpectedEof => diagnostic.help("the compressed file is cut off"),
        // The zstd library's errors have no kind.
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
            diagnostic.help("the compressed file is damaged")
        }
        _ => diagnostic,
    }
}
