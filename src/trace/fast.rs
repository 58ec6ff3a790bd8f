//! Reads loads and unloads in the canonical spelling straight from the bytes, without a copy.
//!
//! Whatever is spelled otherwise, or is wrong, is left to the general parser: this one never reports an error, and
//! what it accepts the general parser accepts with the same result (a property test compares the two).

use super::event::{Event, EventKind, Images, Load, ProgId};
use crate::units::SimTime;

/// Most images of a program that are read here.
const MAX_IMAGES: usize = 16;

/// One line.
#[derive(Debug)]
pub(super) struct FastLine<'a> {
    pub event: Event,
    /// ASCII, without escapes.
    pub name: &'a [u8],
    /// The inside of the list of addresses: texts of hexadecimal numbers.
    pub addresses: &'a [u8],
    /// Length of the line with its newline.
    pub consumed: usize,
}

/// The load or unload that the bytes begin with, if it ends in a newline and is spelled as [`super::TraceWriter`] does.
#[inline]
pub(super) fn parse(bytes: &[u8]) -> Option<FastLine<'_>> {
    let mut cursor = Cursor { bytes, at: 0 };
    cursor.literal(b"{\"time_ns\":")?;
    let time = SimTime::from_nanos(cursor.number()?);
    if cursor.literal(b",\"unload\":{\"id\":").is_some() {
        let id = ProgId::new(cursor.number()?);
        cursor.literal(b"}}\n")?;
        let event = Event { time, kind: EventKind::Unload { id } };
        return Some(FastLine { event, name: b"", addresses: b"", consumed: cursor.at });
    }
    cursor.literal(b",\"load\":{\"id\":")?;
    let id = ProgId::new(cursor.number()?);
    let name = if cursor.literal(b",\"name\":\"").is_some() { cursor.plain_text()? } else { b"" };
    cursor.literal(b",\"image_bytes\":[")?;
    let images = cursor.images()?;
    let insns = if cursor.literal(b",\"insns\":").is_some() { u32::try_from(cursor.number()?).ok()? } else { 0 };
    let jited = cursor.literal(b",\"jited\":false").is_none();
    let addresses =
        if cursor.literal(b",\"image_addresses\":[").is_some() { cursor.addresses(images.len())? } else { b"" };
    cursor.literal(b"}}\n")?;
    let event = Event { time, kind: EventKind::Load(Load { id, images, insns, jited }) };
    Some(FastLine { event, name, addresses, consumed: cursor.at })
}

/// The numbers of [`FastLine::addresses`].
pub(super) fn decode_addresses(list: &[u8]) -> Vec<u64> {
    let text = str::from_utf8(list).unwrap_or_default();
    let digits = text.split(',').filter_map(|item| item.trim_matches('"').strip_prefix("0x"));
    digits.filter_map(|digits| u64::from_str_radix(digits, 16).ok()).collect()
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn literal<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        let found = self.bytes.get(self.at..self.at + N)?;
        if found != text {
            return None;
        }
        self.at += N;
        Some(())
    }

    /// A whole number below 10^19, without a leading zero.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit) = self.bytes.get(self.at).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10)
        {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        match self.at - start {
            1 => Some(value),
            2..=19 if self.bytes[start] != b'0' => Some(value),
            _ => None,
        }
    }

    /// The text up to the closing quote, if every byte of it stands for itself.
    #[inline]
    fn plain_text(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || !(b' '..0x7f).contains(&byte))?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    /// The lengths up to the closing bracket.
    #[inline]
    fn images(&mut self) -> Option<Images> {
        let first = u32::try_from(self.number()?).ok()?;
        if self.literal(b"]").is_some() {
            return Images::one(first).ok();
        }
        let mut lengths = [first; MAX_IMAGES];
        let mut count = 1;
        while self.literal(b",").is_some() {
            *lengths.get_mut(count)? = u32::try_from(self.number()?).ok()?;
            count += 1;
        }
        self.literal(b"]")?;
        Images::new(&lengths[..count]).ok()
    }

    /// The list of that many addresses up to the closing bracket, each `0x` and at most 16 small hexadecimal digits.
    fn addresses(&mut self, count: usize) -> Option<&'a [u8]> {
        let start = self.at;
        for index in 0..count {
            if index > 0 {
                self.literal(b",")?;
            }
            self.literal(b"\"0x")?;
            let rest = &self.bytes[self.at..];
            let digits = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
            if !(1..=16).contains(&digits) {
                return None;
            }
            self.at += digits;
            self.literal(b"\"")?;
        }
        let end = self.at;
        self.literal(b"]")?;
        Some(&self.bytes[start..end])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::convert::{MemoryUsers, NamedEvent, to_event, to_line};
    use crate::trace::line::TraceLine;

    /// What the general parser makes of a line.
    fn general(line: &str) -> Option<NamedEvent> {
        let line = serde_json::from_str::<TraceLine>(line.strip_suffix('\n')?).ok()?;
        to_event(line, &mut MemoryUsers::default()).ok()
    }

    fn fast(line: &str) -> Option<NamedEvent> {
        let line = parse(line.as_bytes())?;
        let name = String::from_utf8(line.name.to_vec()).unwrap();
        Some(NamedEvent { event: line.event, name, image_addresses: decode_addresses(line.addresses) })
    }

    fn numbers() -> impl Strategy<Value = u64> {
        prop_oneof![0..1000u64, any::<u64>(), Just(9_999_999_999_999_999_999), Just(u64::MAX)]
    }

    fn events() -> impl Strategy<Value = NamedEvent> {
        let length = prop_oneof![1..5000u32, 1..=(1u32 << 31)];
        let images = prop::collection::vec((length, any::<u64>()), 1..20);
        let load = (numbers(), numbers(), "[ -~]{0,20}|.{0,8}", images, 0..3u32, any::<bool>(), any::<bool>());
        let load = load.prop_map(|(time, id, name, images, insns, jited, placed)| {
            let (lengths, mut image_addresses): (Vec<_>, Vec<_>) = images.into_iter().unzip();
            if !placed {
                image_addresses.clear();
            }
            let images = Images::new(&lengths).unwrap();
            let kind = EventKind::Load(Load { id: ProgId::new(id), images, insns, jited });
            NamedEvent { event: Event { time: SimTime::from_nanos(time), kind }, name, image_addresses }
        });
        let unload = (numbers(), numbers()).prop_map(|(time, id)| {
            Event { time: SimTime::from_nanos(time), kind: EventKind::Unload { id: ProgId::new(id) } }.into()
        });
        prop_oneof![load, unload]
    }

    fn canonical(event: &NamedEvent) -> String {
        serde_json::to_string(&to_line(event, &[])).unwrap() + "\n"
    }

    /// Pieces whose insertion makes a line likely to be almost right.
    const PIECES: [&str; 16] = [
        "0",
        "-",
        ".5",
        "e3",
        " ",
        "\"",
        "\\",
        ",",
        "[",
        "]",
        "}",
        "\n",
        "4294967296",
        "\u{e9}",
        "\u{1}",
        ",\"insns\":7",
    ];

    #[test]
    fn no_single_change_is_read_otherwise() {
        for line in [
            r#"{"time_ns":9999999999999999999,"unload":{"id":10}}"#,
            r#"{"time_ns":0,"load":{"id":18446744073709551615,"name":"p","image_bytes":[23,4294967295],"insns":4,"jited":false}}"#,
            r#"{"time_ns":7,"load":{"id":1,"image_bytes":[2147483648],"insns":4294967295,"image_addresses":["0xffffffffc0022120"]}}"#,
        ] {
            let line = line.to_owned() + "\n";
            for at in 0..line.len() {
                for removed in 0..2 {
                    for piece in PIECES.into_iter().chain(["", "9"]) {
                        let changed = format!("{}{piece}{}", &line[..at], &line[at + removed..]);
                        let first = changed.split_inclusive('\n').next().unwrap_or_default();
                        if let Some(read) = fast(&changed) {
                            assert_eq!(Some(read), general(first), "{changed}");
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn canonical_lines_are_read_as_the_general_parser_reads_them(event in events()) {
            let line = canonical(&event);
            prop_assert_eq!(general(&line), Some(event.clone()));
            if let Some(read) = fast(&line) {
                prop_assert_eq!(read, event);
            } else {
                // What is left to the general parser: long numbers, other characters, many images.
                let EventKind::Load(load) = &event.event.kind else {
                    prop_assert!(line.bytes().filter(u8::is_ascii_digit).count() > 19);
                    return Ok(());
                };
                let plain = event.name.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\');
                let short = load.id.get() < 10u64.pow(19) && event.event.time.nanos() < 10u64.pow(19);
                prop_assert!(!plain || !short || load.images.len() > MAX_IMAGES, "{}", line);
            }
        }

        #[test]
        fn damaged_lines_are_never_read_otherwise(
            event in events(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, 0..PIECES.len()), 1..4),
        ) {
            let mut line: Vec<char> = canonical(&event).chars().collect();
            for (position, removed, piece) in damage {
                let at = position.index(line.len());
                let end = line.len().min(at + removed);
                line.splice(at..end, PIECES[piece].chars());
                if line.is_empty() {
                    line.push('\n');
                }
            }
            let line: String = line.into_iter().collect();
            // The fast path reads the first line only.
            let first = line.split_inclusive('\n').next().unwrap_or_default();
            if let Some(read) = fast(&line) {
                prop_assert_eq!(Some(read), general(first), "{}", line);
            }
        }
    }
}
