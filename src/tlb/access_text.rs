//! Lists of accesses: text, or addresses of 64 bits.

use std::io::{self, BufRead, Read};

use super::access::Access;
use super::cpu::Kind;
use super::leaf_text::parse_address;
use super::leaves::LeafMap;
use crate::diagnostics::Diagnostic;
use crate::files::describe;

/// How a list of accesses is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// A line for each access: an address, decimal or with `0x`, and `r`, `w` or `x` before or after it; no letter
    /// means `r`. A line `flush` drops every translation, `flush ADDRESS` those of a page. `#` begins a comment.
    Text,
    /// Addresses of loads as 64-bit numbers, the lowest byte first.
    Binary,
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch<'a> {
    /// Accesses in their order.
    Accesses(&'a [Access]),
    /// Every translation is dropped.
    Flush,
    /// The translations of the page at this address are dropped.
    FlushPage(Access),
}

/// Most accesses of a part.
const BATCH: usize = 8192;
/// Longest line, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// Reads a list to its end and hands on its parts; `name` is that of its file.
///
/// # Errors
/// The first line that is no access, the first address that is not canonical or that `leaves` do not map, a list
/// that ends in the middle of an address, or a file that cannot be read.
pub fn read_accesses(
    input: &mut dyn BufRead,
    name: &str,
    format: ListFormat,
    leaves: &LeafMap,
    mut sink: impl FnMut(Batch<'_>),
) -> Result<(), Diagnostic> {
    let reader = Reader { name, leaves, accesses: Vec::with_capacity(BATCH) };
    match format {
        ListFormat::Text => reader.read_text(input, &mut sink),
        ListFormat::Binary => reader.read_binary(input, &mut sink),
    }
}

struct Reader<'a> {
    name: &'a str,
    leaves: &'a LeafMap,
    accesses: Vec<Access>,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Nothing,
    Access(Access),
    Flush,
    FlushPage(Access),
}

impl Reader<'_> {
    fn hand_on(&mut self, sink: &mut impl FnMut(Batch<'_>)) {
        if !self.accesses.is_empty() {
            sink(Batch::Accesses(&self.accesses));
            self.accesses.clear();
        }
    }

    fn read_text(mut self, input: &mut dyn BufRead, sink: &mut impl FnMut(Batch<'_>)) -> Result<(), Diagnostic> {
        let mut line = Vec::new();
        for number in 1u32.. {
            line.clear();
            let read = input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line);
            if read.map_err(|error| self.unreadable(&error))? == 0 {
                break;
            }
            let place = |diagnostic: Diagnostic, column: usize, width: usize| {
                let [column, width] = [column, width].map(|value| u32::try_from(value).unwrap_or(u32::MAX));
                diagnostic.in_file(self.name).at(number, column, width).excerpt(line.trim_ascii_end())
            };
            let start = line.len() - line.trim_ascii_start().len() + 1;
            let wrong = |message: String| place(Diagnostic::new(message), start, line.trim_ascii().len());
            if line.len() as u64 == MAX_LINE_BYTES && !line.ends_with(b"\n") {
                return Err(wrong(format!("the line is longer than {MAX_LINE_BYTES} bytes")).help(BINARY_HELP));
            }
            match parse_line(&line).map_err(|message| wrong(message.clone()).help(help_for(&message)))? {
                Line::Nothing => {}
                Line::Access(access) => {
                    if self.leaves.size_at(access).is_none() {
                        return Err(wrong(self.unmapped(access)).help(UNMAPPED_HELP));
                    }
                    self.accesses.push(access);
                }
                Line::Flush => {
                    self.hand_on(sink);
                    sink(Batch::Flush);
                }
                Line::FlushPage(access) => {
                    self.hand_on(sink);
                    sink(Batch::FlushPage(access));
                }
            }
            if self.accesses.len() == BATCH {
                self.hand_on(sink);
            }
        }
        self.hand_on(sink);
        Ok(())
    }

    fn read_binary(mut self, input: &mut dyn BufRead, sink: &mut impl FnMut(Batch<'_>)) -> Result<(), Diagnostic> {
        let mut block = vec![0; BATCH * 8];
        let mut read = 0u64;
        loop {
            let bytes = fill(input, &mut block).map_err(|error| self.unreadable(&error))?;
            for word in block[..bytes].chunks(8) {
                let Ok(word) = <[u8; 8]>::try_from(word) else {
                    let message = format!("the list ends after {} bytes of an address", word.len());
                    return Err(Diagnostic::new(message).in_file(self.name).help("an address takes 8 bytes"));
                };
                let at = |message: String| Diagnostic::new(format!("{message}, at byte {read}")).in_file(self.name);
                let address = u64::from_le_bytes(word);
                let access =
                    Access::new(address, Kind::Load).ok_or_else(|| at(not_canonical(address)).help(TEXT_HELP))?;
                if self.leaves.size_at(access).is_none() {
                    return Err(at(self.unmapped(access)).help(UNMAPPED_HELP));
                }
                self.accesses.push(access);
                read += 8;
            }
            self.hand_on(sink);
            if bytes < block.len() {
                return Ok(());
            }
        }
    }

    fn unmapped(&self, access: Access) -> String {
        format!("nothing is mapped at {:#x}", access.address())
    }

    fn unreadable(&self, error: &io::Error) -> Diagnostic {
        describe("read the list of accesses", error).in_file(self.name)
    }
}

const HELP: &str = "write an address such as `4096`, `0x1000`, `0x1000 w`, or `flush`";
/// What is said of a line that is no text.
const NO_TEXT: &str = "this line is no text";
const BINARY_HELP: &str = "a list of 64-bit numbers is read with --binary";
const TEXT_HELP: &str = "a text is read without --binary; addresses of user and kernel have 57 bits at most";
const UNMAPPED_HELP: &str = "add its range to the leaf sizes, or a line such as `* 4K` for everything else";

/// What to do about a line that cannot be read.
fn help_for(message: &str) -> &'static str {
    if message == NO_TEXT { BINARY_HELP } else { HELP }
}

fn not_canonical(address: u64) -> String {
    format!("{address:#x} is no canonical address: bits 56 to 63 differ")
}

/// Fills the block unless the input ends.
fn fill(input: &mut dyn BufRead, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match input.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn parse_line(line: &[u8]) -> Result<Line, String> {
    let text = str::from_utf8(line).map_err(|_| NO_TEXT.to_owned())?;
    let text = text.split('#').next().unwrap_or("");
    let mut words = text.split_ascii_whitespace();
    let parts = (words.next(), words.next(), words.next());
    let (address, kind) = match parts {
        (None, ..) => return Ok(Line::Nothing),
        (Some("flush"), None, _) => return Ok(Line::Flush),
        (Some("flush"), Some(address), None) => {
            return access(address, Kind::Load).map(Line::FlushPage);
        }
        (Some(address), None, _) => (address, Kind::Load),
        (Some(first), Some(second), None) => match (kind(first), kind(second)) {
            (Some(kind), None) => (second, kind),
            (None, Some(kind)) => (first, kind),
            _ => return Err(format!("`{}` is no access", text.trim().escape_debug())),
        },
        _ => return Err(format!("`{}` is no access", text.trim().escape_debug())),
    };
    access(address, kind).map(Line::Access)
}

fn access(address: &str, kind: Kind) -> Result<Access, String> {
    let address = parse_address(address)?;
    Access::new(address, kind).ok_or_else(|| not_canonical(address))
}

fn kind(word: &str) -> Option<Kind> {
    match word {
        "r" | "R" => Some(Kind::Load),
        "w" | "W" => Some(Kind::Store),
        "x" | "X" => Some(Kind::Fetch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::PageSize;

    fn read(bytes: &[u8], format: ListFormat) -> Result<Vec<String>, Diagnostic> {
        let mut parts = Vec::new();
        let leaves = LeafMap::uniform(PageSize::Size4K);
        read_accesses(&mut &bytes[..], "list", format, &leaves, |batch| parts.push(format!("{batch:?}")))?;
        Ok(parts)
    }

    #[test]
    fn text_in_all_its_forms() {
        let text = b"# a list\n4096\n0x2000 w\r\nx 0x3000\n\nflush\nflush 0x1000 # one page\nr 0XfffF888000000000";
        let at = Access::at;
        let expected = [
            format!("{:?}", Batch::Accesses(&[at(4096, Kind::Load), at(0x2000, Kind::Store), at(0x3000, Kind::Fetch)])),
            format!("{:?}", Batch::Flush),
            format!("{:?}", Batch::FlushPage(at(4096, Kind::Load))),
            format!("{:?}", Batch::Accesses(&[at(0xffff_8880_0000_0000, Kind::Load)])),
        ];
        assert_eq!(read(text, ListFormat::Text).unwrap(), expected);
        assert!(read(b"", ListFormat::Text).unwrap().is_empty());
    }

    #[test]
    fn junk_is_told_with_its_line() {
        let good = "0x1000\n".repeat(6);
        for (line, message) in [
            ("junk", "`junk` is no access"),
            ("0x1000 q", "`0x1000 q` is no access"),
            ("r w", "`r w` is no access"),
            ("0x1000 r 5", "`0x1000 r 5` is no access"),
            ("-1", "`-1` is no address"),
            ("99999999999999999999", "does not fit into 64 bits"),
            ("0x0200000000000000", "no canonical address"),
            ("\u{1}\u{ff}", "is no a"),
        ] {
            let error = read(format!("{good}{line}\n").as_bytes(), ListFormat::Text).unwrap_err();
            assert!(error.message.contains(message) || error.message.contains("is no address"), "{line}: {error}");
            assert_eq!((error.line, error.column, error.path.as_deref()), (7, 1, Some("list")), "{error}");
            assert!(error.help.is_some(), "{error}");
        }
        let error = read(&[0xff; 5000], ListFormat::Text).unwrap_err();
        assert!(error.message.contains("longer than 4096 bytes"), "{error}");
        assert_eq!(read(&[0xff, b'\n'], ListFormat::Text).unwrap_err().message, "this line is no text");
        let error = read(&[0xff, b'\n'], ListFormat::Text).unwrap_err();
        assert!(error.help.as_deref().is_some_and(|help| help.contains("--binary")), "{error}");
    }

    #[test]
    fn binary_addresses() {
        let mut bytes: Vec<u8> = [4096u64, 1 << 40].iter().flat_map(|address| address.to_le_bytes()).collect();
        let expected = [format!("{:?}", Batch::Accesses(&[Access::load(4096), Access::load(1 << 40)]))];
        assert_eq!(read(&bytes, ListFormat::Binary).unwrap(), expected);
        bytes.push(1);
        let error = read(&bytes, ListFormat::Binary).unwrap_err();
        assert_eq!(error.message, "the list ends after 1 bytes of an address");
        let error = read(b"0x1000\n0", ListFormat::Binary).unwrap_err();
        assert!(error.message.contains("no canonical address") && error.message.ends_with("at byte 0"), "{error}");
    }

    #[test]
    fn what_is_not_mapped_is_told() {
        let leaves = crate::tlb::read_leaves("map", "0x0-0x1000 4K").unwrap();
        let error = read_accesses(&mut &b"0x0\n0x200000\n"[..], "list", ListFormat::Text, &leaves, |_| {}).unwrap_err();
        assert_eq!((error.message.as_str(), error.line), ("nothing is mapped at 0x200000", 2));
    }
}
