//! Writes the compact form.

use std::io::{self, Write};

use serde::Serialize;

use super::line::{Before, HeaderLine};
use super::record::Recording;

/// How hard zstd tries: recordings are written once and read often.
const ZSTD_LEVEL: i32 = 19;

/// Writes a recording in the compact form, compressed with zstd. The same recording gives the same bytes.
///
/// # Errors
/// Those of the writer.
pub fn write<W: Write>(recording: &Recording, out: W) -> io::Result<W> {
    let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    write_lines(recording, &mut encoder)?;
    encoder.finish()
}

/// Writes the lines of the compact form as they are.
fn write_lines(recording: &Recording, out: &mut impl Write) -> io::Result<()> {
    write_line(&HeaderLine::of(&recording.header, recording.records.len() as u64), out)?;
    let mut before = Before::first(&recording.header);
    recording.records.iter().try_for_each(|record| write_line(&before.line_of(record), out))
}

fn write_line(line: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}
