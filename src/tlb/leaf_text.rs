//! The map of page sizes as text: a line for each range, `0x100000000-0x140000000 1G`, and `* 4K` for the rest.

use super::access::{ADDRESS_BITS, Access};
use super::cpu::Kind;
use super::leaves::{LeafMap, LeafMapBuilder};
use crate::diagnostics::Diagnostic;
use crate::units::PageSize;

/// What a line looks like.
const HELP: &str = "write for example `0x100000000-0x140000000 1G`, or `* 4K` for everything else";

/// The map that a text describes; `name` is that of its file. Empty lines and what follows a `#` are skipped.
///
/// # Errors
/// The first line that is no range, whose range does not fit its page size, or that maps what is mapped already.
pub fn read_leaves(name: &str, text: &str) -> Result<LeafMap, Diagnostic> {
    let mut builder = LeafMapBuilder::new();
    let mut rest = None;
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
        let wrong = |message: String, help: &str| {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let column = line.len() - line.trim_start().len() + 1;
            let width = u32::try_from(line.trim().len()).unwrap_or(u32::MAX);
            let column = u32::try_from(column).unwrap_or(u32::MAX);
            Diagnostic::new(message).in_file(name).at(number, column, width).excerpt(line.as_bytes()).help(help)
        };
        let (range, size) = match *words {
            [] => continue,
            [range, size] => (range, size),
            _ => return Err(wrong("this line is no range and page size".to_owned(), HELP)),
        };
        let Some(size) = page_size(size) else {
            return Err(wrong(format!("`{size}` is no page size"), "a page size is 4K, 2M or 1G"));
        };
        if range == "*" {
            if rest.replace(size).is_some() {
                return Err(wrong("`*` is given twice".to_owned(), "keep one of the two"));
            }
            continue;
        }
        let (start, bytes) = parse_range(range).map_err(|message| wrong(message, HELP))?;
        fits(start, bytes, size).map_err(|message| wrong(message, "split the range, or use a smaller page size"))?;
        builder.map(start, bytes, size).map_err(|overlap| {
            let message = format!("a part of this range, at {:#x}, is mapped with another page size", overlap.address);
            wrong(message, "2 MiB and 1 GiB that hold a smaller page hold no larger one; give each range once")
        })?;
    }
    if let Some(size) = rest {
        builder.map_rest(size);
    }
    Ok(builder.build())
}

/// `4K`, `2M` or `1G`.
fn page_size(text: &str) -> Option<PageSize> {
    PageSize::ALL.into_iter().find(|size| size.to_string() == text)
}

/// First address and length of `START-END`.
fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let Some((start, end)) = text.split_once('-') else { return Err(format!("`{text}` is no range of addresses")) };
    let start = parse_address(start)?;
    // The end of the address space is one past the last address.
    let end = if end == "0x10000000000000000" { 1u128 << 64 } else { u128::from(parse_address(end)?) };
    if end <= u128::from(start) {
        return Err(format!("`{text}` ends before it begins"));
    }
    let bytes = end - u128::from(start);
    if Access::new(start, Kind::Load).is_none() || bytes > 1 << (ADDRESS_BITS - 1) {
        return Err(format!("`{text}` lies outside of the address space of 57 bits"));
    }
    Ok((start, bytes as u64))
}

/// An address in decimal, or in hexadecimal after `0x`.
pub(super) fn parse_address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) if !hex.starts_with('+') => u64::from_str_radix(hex, 16),
        None if !text.starts_with('+') => text.parse(),
        _ => return Err(format!("`{text}` is no address")),
    };
    parsed.map_err(|error| match error.kind() {
        std::num::IntErrorKind::PosOverflow => format!("`{text}` does not fit into 64 bits"),
        _ => format!("`{}` is no address", text.escape_debug()),
    })
}

fn fits(start: u64, bytes: u64, size: PageSize) -> Result<(), String> {
    let page = size.bytes().get();
    if !start.is_multiple_of(page) || !bytes.is_multiple_of(page) {
        return Err(format!("the range does not begin and end at a multiple of {size}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_the_rest() {
        let text = "# a guest\n0x0-0x200000 4K\n0x200000-0x40000000 2M # first GiB\n\n0x40000000-0x80000000 1G\n* 2M\n";
        let map = read_leaves("map", text).unwrap();
        for (address, size) in [(0, PageSize::Size4K), (0x200000, PageSize::Size2M), (0x4000_0000, PageSize::Size1G)] {
            assert_eq!(map.size_at(Access::load(address)), Some(size));
        }
        assert_eq!(map.size_at(Access::load(1 << 40)), Some(PageSize::Size2M));
        let high = read_leaves("map", "0xffff888000000000-0x10000000000000000 1G").unwrap();
        assert_eq!(high.size_at(Access::load(u64::MAX)), Some(PageSize::Size1G));
    }

    #[test]
    fn wrong_lines_are_told_with_their_place() {
        for (line, message) in [
            ("0x0-0x1000", "this line is no range and page size"),
            ("0x0-0x1000 16K", "`16K` is no page size"),
            ("0x0 4K", "`0x0` is no range of addresses"),
            ("0x2000-0x1000 4K", "`0x2000-0x1000` ends before it begins"),
            ("0x0-0x1000 2M", "the range does not begin and end at a multiple of 2M"),
            ("0xzz-0x1000 4K", "`0xzz` is no address"),
            ("+5-4096 4K", "`+5` is no address"),
            ("0x200000000000000-0x200000000001000 4K", "outside of the address space"),
            ("0x0-0x40000000 1G", "at 0x0, is mapped with another page size"),
            ("* 2M", "`*` is given twice"),
        ] {
            let text = format!("0x0-0x200000 2M\n* 4K\n  {line}\n");
            let diagnostic = read_leaves("map", &text).unwrap_err();
            assert!(diagnostic.message.contains(message), "{line}: {diagnostic}");
            assert_eq!((diagnostic.line, diagnostic.column), (3, 3), "{diagnostic}");
            assert!(diagnostic.help.is_some());
        }
    }
}
