//! Where in a JSON text an error lies, and which word was meant.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{Diagnostic, did_you_mean};

/// Reads a JSON text; an error names message, JSON path, line, column, width and the nearest known word.
///
/// The input's name and the excerpt are left to the caller, who knows where the text comes from.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Box<Diagnostic>> {
    // The path costs time, so it is only followed when there is something to report.
    serde_json::from_slice(text).or_else(|_| {
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            // A path that ends before a key was read has a question mark in its place.
            let known = path.trim_end_matches('?').trim_end_matches('.');
            describe(known, error.inner(), text)
        })?;
        deserializer.end().map_err(|error| describe("", &error, text))?;
        Ok(value)
    })
}

/// The diagnostic of one error of serde_json in this text.
fn describe(path: &str, error: &serde_json::Error, text: &[u8]) -> Box<Diagnostic> {
    let full = error.to_string();
    let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
    let reported = offset_of(text, error.line(), error.column());
    let span = match error.classify() {
        Category::Data if message.starts_with("unknown field") => token_before(text, reported),
        Category::Data if !message.starts_with("missing field") => {
            locate(text, path).unwrap_or_else(|| token_before(text, reported))
        }
        _ => reported.saturating_sub(1)..reported.max(1),
    };
    let (line, column) = line_and_column(text, span.start);
    let width = u32::try_from(span.len()).unwrap_or(u32::MAX);
    let mut diagnostic = Diagnostic::new(message).at(line, column, width).at_json_path(path);
    diagnostic.help = nearest_word(message);
    Box::new(diagnostic)
}

/// "did you mean" out of a message of serde that lists the words it knows.
fn nearest_word(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let word = quoted.next()?;
    did_you_mean(word, quoted).map(|choice| format!("did you mean `{choice}`?"))
}

/// The byte offset of a line and column as serde_json counts them: both from 1, the column in bytes.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive(|&byte| byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (start + column).min(text.len())
}

/// The line and the byte in it of an offset, both counted from 1.
pub fn line_and_column(text: &[u8], offset: usize) -> (u32, u32) {
    let before = &text[..offset.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// The token that ends at or just before this offset.
fn token_before(text: &[u8], offset: usize) -> Range<usize> {
    let part_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.');
    let mut end = offset.min(text.len());
    while end > 1 && !part_of_word(&text[end - 1]) && text[end - 1] != b'"' {
        end -= 1;
    }
    let body = &text[..end.saturating_sub(1)];
    let start = match text.get(end.saturating_sub(1)) {
        Some(b'"') => body.iter().rposition(|&byte| byte == b'"').unwrap_or(0),
        _ => body.iter().rposition(|byte| !part_of_word(byte)).map_or(0, |at| at + 1),
    };
    start..end.max(start + 1)
}

/// The bytes of the value at a JSON path such as `load.image_bytes[0]`, in a text that is well-formed up to there.
///
/// The empty path is the whole document. `None` if there is no such value.
pub fn locate(text: &[u8], path: &str) -> Option<Range<usize>> {
    let mut at = skip_space(text, 0);
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        at = match step.strip_suffix(']') {
            Some(index) => element(text, at, index.parse().ok()?)?,
            None => member(text, at, step)?,
        };
    }
    let end = skip_value(text, at)?;
    (end > at).then_some(at..end)
}

/// Where the value of an object's member begins.
fn member(text: &[u8], object: usize, key: &str) -> Option<usize> {
    let mut at = skip_space(text, expect(text, object, b'{')?);
    loop {
        let after_key = skip_value(text, at)?;
        let value = skip_space(text, expect(text, skip_space(text, after_key), b':')?);
        if text.get(at + 1..after_key - 1)? == key.as_bytes() {
            return Some(value);
        }
        at = skip_space(text, expect(text, skip_space(text, skip_value(text, value)?), b',')?);
    }
}

/// Where an array's element begins.
fn element(text: &[u8], array: usize, index: usize) -> Option<usize> {
    let mut at = skip_space(text, expect(text, array, b'[')?);
    for _ in 0..index {
        at = skip_space(text, expect(text, skip_space(text, skip_value(text, at)?), b',')?);
    }
    Some(at)
}

fn expect(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then_some(at + 1)
}

fn skip_space(text: &[u8], at: usize) -> usize {
    at + text[at.min(text.len())..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The end of the value that begins here, counting brackets outside of strings.
fn skip_value(text: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = start;
    loop {
        match text.get(at)? {
            b'"' => at = skip_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b'}' | b']' | b',' if depth == 0 => return Some(at),
            b',' | b':' => at += 1,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let word = |byte: &&u8| !byte.is_ascii_whitespace() && !b",:]}[{\"".contains(*byte);
                at += text[at..].iter().take_while(word).count().max(1);
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

fn skip_string(text: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote + 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    struct Outer {
        inner: Inner,
        #[serde(default)]
        list: Vec<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read from JSON")]
    struct Inner {
        size_bytes: u32,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        PerProg,
        PackVmalloc,
    }

    /// The error of a text: message, path, help, and the words the span covers.
    fn error(text: &str) -> (Box<Diagnostic>, String) {
        let diagnostic = from_slice::<Outer>(text.as_bytes()).unwrap_err();
        let line = text.split('\n').nth(diagnostic.line as usize - 1).unwrap();
        let start = diagnostic.column as usize - 1;
        let covered = line.get(start..start + diagnostic.width as usize).unwrap_or_default().to_owned();
        (diagnostic, covered)
    }

    #[test]
    fn wrong_types_and_values_are_underlined() {
        for (text, path, covered) in [
            (r#"{"inner":{"size_bytes":"x y"}}"#, "inner.size_bytes", r#""x y""#),
            (r#"{"inner":{"size_bytes": -12 }}"#, "inner.size_bytes", "-12"),
            ("{\"inner\":\n {\"size_bytes\":[1,2]}}", "inner.size_bytes", "[1,2]"),
            (r#"{"inner":{"size_bytes":1},"list":[1,"}",3]}"#, "list[1]", r#""}""#),
            (r#"{"inner":{"size_bytes":4294967296}}"#, "inner.size_bytes", "4294967296"),
        ] {
            let (diagnostic, found) = error(text);
            assert_eq!((diagnostic.json_path.as_str(), found.as_str()), (path, covered), "{diagnostic}");
        }
    }

    #[test]
    fn unknown_words_get_the_nearest_known_one() {
        let (diagnostic, covered) = error(r#"{"inner":{"size_byte":1}}"#);
        assert_eq!(covered, r#""size_byte""#);
        assert_eq!(diagnostic.help.as_deref(), Some("did you mean `size_bytes`?"));
        let (diagnostic, covered) = error(r#"{"inner":{"size_bytes":1,"kind":"pack-vmaloc"}}"#);
        assert_eq!(covered, r#""pack-vmaloc""#);
        assert_eq!(diagnostic.help.as_deref(), Some("did you mean `pack-vmalloc`?"));
    }

    #[test]
    fn broken_texts_have_a_place() {
        let (diagnostic, covered) = error("{\"inner\":{\"size_bytes\":1}\n,}");
        assert_eq!((diagnostic.line, covered.as_str()), (2, "}"), "{diagnostic}");
        let (diagnostic, _) = error(r#"{"inner":{}}"#);
        assert_eq!((diagnostic.message.as_str(), diagnostic.column), ("missing field `size_bytes`", 11));
        let (diagnostic, _) = error(r#"{"inner":{"size_bytes":1}} x"#);
        assert_eq!((diagnostic.message.as_str(), diagnostic.column), ("trailing characters", 28));
        let (diagnostic, _) = error("");
        assert_eq!((diagnostic.line, diagnostic.width), (1, 1), "{diagnostic}");
    }

    #[test]
    fn values_are_located_by_path() {
        let text = br#" {"a":{"b\"":0,"c":[ {"d":1} , [2,"]"] ]},"e":true}"#;
        let found = |path: &str| locate(text, path).map(|span| str::from_utf8(&text[span]).unwrap());
        assert_eq!(found("a.c[0].d"), Some("1"));
        assert_eq!(found("a.c[1]"), Some(r#"[2,"]"]"#));
        assert_eq!(found("a.c[1][1]"), Some(r#""]""#));
        assert_eq!(found("e"), Some("true"));
        assert_eq!(found("a.x"), None);
        assert_eq!(found("a.c[2]"), None);
        assert_eq!(locate(b"{\"a\":", "a"), None);
    }
}
