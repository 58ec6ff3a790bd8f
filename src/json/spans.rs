//! Finds the place of a value in the text of a JSON document.

use super::path::{JsonPath, Segment};

/// A piece of a text: line and column counted from 1, the column and the width in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The first byte in the line.
    pub column: u32,
    /// How many bytes of this line are meant.
    pub width: u32,
}

/// A text that is known to be JSON, walked once for each question.
///
/// On a text that is not JSON nothing is found, or something else; nothing worse.
#[derive(Clone, Copy, Debug)]
pub struct Spans<'a> {
    text: &'a str,
}

/// What of a value is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Value,
    Key,
}

impl<'a> Spans<'a> {
    /// The places of this text.
    pub const fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Where the value at this path stands: a scalar whole, of an object or array the first line.
    pub fn value(self, path: &JsonPath) -> Option<Place> {
        self.find(path, Part::Value)
    }

    /// Where the key of the member at this path stands, with its quotation marks.
    pub fn key(self, path: &JsonPath) -> Option<Place> {
        self.find(path, Part::Key)
    }

    /// The first key that its object holds twice: its path, and the place of the second one.
    pub fn duplicate_key(self) -> Option<(JsonPath, Place)> {
        let mut walk = Walk::new(self.text);
        let (path, start) = walk.duplicate(&JsonPath::root())?;
        let end = walk.after_string(start);
        Some((path, self.place(start, end)))
    }

    /// The line with this number, without its end.
    pub fn line(self, number: u32) -> &'a str {
        let index = number.saturating_sub(1) as usize;
        self.text.split('\n').nth(index).unwrap_or("").trim_end_matches('\r')
    }

    fn find(self, path: &JsonPath, part: Part) -> Option<Place> {
        let mut walk = Walk::new(self.text);
        let mut key_at = None;
        walk.skip_space();
        for segment in path.segments() {
            key_at = walk.enter(segment)?;
        }
        let start = if part == Part::Key { key_at? } else { walk.at };
        walk.at = start;
        walk.skip_value();
        Some(self.place(start, walk.at))
    }

    fn place(self, start: usize, end: usize) -> Place {
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = self.text[start..end].find('\n').map_or(end, |newline| start + newline);
        let width = self.text[start..line_end].trim_end().len();
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place {
            line: number(before.matches('\n').count() + 1),
            column: number(start - line_start + 1),
            width: number(width.max(1)),
        }
    }
}

/// A position in the text that moves over whole tokens.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Skips white space and this byte; whether it was there.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// One past the string that starts at `start`.
    fn after_string(&self, start: usize) -> usize {
        let mut at = start + 1;
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.bytes.len()
    }

    /// Moves past the value that starts here, without recursion.
    fn skip_value(&mut self) {
        let mut depth = 0usize;
        loop {
            self.skip_space();
            match self.peek() {
                None => return,
                Some(b'"') => self.at = self.after_string(self.at),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(b',' | b':') => self.at += 1,
                Some(_) => self.skip_word(),
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_word(&mut self) {
        while self.peek().is_some_and(|byte| !byte.is_ascii_whitespace() && !b",:]}".contains(&byte)) {
            self.at += 1;
        }
    }

    /// Moves to the value of a member or element; returns where its key starts, if it has one.
    fn enter(&mut self, segment: &Segment) -> Option<Option<usize>> {
        match segment {
            Segment::Key(wanted) => {
                let mut found = None;
                self.members(|walk, key_at, key| {
                    // Of a key that is given twice, JSON readers take the last.
                    if key == *wanted {
                        found = Some((key_at, walk.at));
                    }
                })?;
                let (key_at, value_at) = found?;
                self.at = value_at;
                Some(Some(key_at))
            }
            Segment::Index(wanted) => {
                let mut index = 0;
                let mut found = None;
                self.elements(|walk| {
                    if index == *wanted {
                        found = Some(walk.at);
                    }
                    index += 1;
                })?;
                self.at = found?;
                Some(None)
            }
        }
    }

    /// Calls `seen` at each member's value with the key and its place; `None` if this is no object.
    fn members(&mut self, mut seen: impl FnMut(&mut Self, usize, String)) -> Option<()> {
        if !self.take(b'{') {
            return None;
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Some(());
            }
            let key_at = self.at;
            self.at = self.after_string(key_at);
            let key = serde_json::from_slice(&self.bytes[key_at..self.at]).ok()?;
            self.take(b':');
            self.skip_space();
            let value_at = self.at;
            seen(self, key_at, key);
            self.at = value_at;
            self.skip_value();
            if !self.take(b',') {
                return Some(());
            }
        }
    }

    /// Calls `seen` at each element; `None` if this is no array.
    fn elements(&mut self, mut seen: impl FnMut(&mut Self)) -> Option<()> {
        if !self.take(b'[') {
            return None;
        }
        loop {
            self.skip_space();
            if matches!(self.peek(), None | Some(b']')) {
                return Some(());
            }
            let value_at = self.at;
            seen(self);
            self.at = value_at;
            self.skip_value();
            if !self.take(b',') {
                return Some(());
            }
        }
    }

    /// The first duplicate key in the value that starts here. The depth of recursion is that of the
    /// document, which serde_json limits to 128.
    fn duplicate(&mut self, path: &JsonPath) -> Option<(JsonPath, usize)> {
        self.skip_space();
        let mut found = None;
        if self.peek() == Some(b'{') {
            let mut keys: Vec<String> = Vec::new();
            self.members(|walk, key_at, key| {
                let here = path.clone().key(key.clone());
                if found.is_none() {
                    found = if keys.contains(&key) { Some((here, key_at)) } else { walk.duplicate(&here) };
                }
                keys.push(key);
            });
        } else if self.peek() == Some(b'[') {
            let mut index = 0;
            self.elements(|walk| {
                if found.is_none() {
                    found = walk.duplicate(&path.clone().index(index));
                }
                index += 1;
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const TEXT: &str =
        "{\n  \"a\": { \"b]\": [1, \"x,}\\\"\", {\"c\": true}] },\n\t\"ä\" :\"ö\",\"d\": {\n\"e\": -1.5e3\n}}\n";

    fn path_of(text: &str) -> JsonPath {
        JsonPath::parse(text).unwrap()
    }

    fn piece(place: Place) -> &'static str {
        let line = Spans::new(TEXT).line(place.line);
        let start = place.column as usize - 1;
        &line[start..start + place.width as usize]
    }

    #[test]
    fn values_and_keys_are_found() {
        let spans = Spans::new(TEXT);
        let in_b = path_of("a").key("b]");
        for (path, value) in [
            (path_of("a"), "{ \"b]\": [1, \"x,}\\\"\", {\"c\": true}] }"),
            (in_b.clone(), "[1, \"x,}\\\"\", {\"c\": true}]"),
            (in_b.clone().index(0), "1"),
            (in_b.clone().index(1), "\"x,}\\\"\""),
            (in_b.clone().index(2).key("c"), "true"),
            (path_of("ä"), "\"ö\""),
            (path_of("d"), "{"),
            (path_of("d.e"), "-1.5e3"),
            (JsonPath::root(), "{"),
        ] {
            assert_eq!(spans.value(&path).map(piece), Some(value), "{path}");
        }
        assert_eq!(spans.key(&path_of("d.e")), Some(Place { line: 4, column: 1, width: 3 }));
        assert_eq!(spans.key(&path_of("ä")).map(piece), Some("\"ä\""));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let spans = Spans::new(TEXT);
        for missing in ["b", "a.c", "a[0]", "d.e.f", "d.e[0]"] {
            assert_eq!(spans.value(&path_of(missing)), None, "{missing}");
        }
        assert_eq!(spans.value(&path_of("a").key("b]").index(3)), None);
        assert_eq!(spans.key(&path_of("a").key("b]").index(0)), None);
    }

    #[test]
    fn a_key_given_twice_is_found_and_the_last_value_counts() {
        let text = r#"{"a": {"x": 1}, "b": [{"k": 1, "j": 0, "\u006b": 2}]}"#;
        let spans = Spans::new(text);
        let (path, place) = spans.duplicate_key().unwrap();
        assert_eq!((path.to_string().as_str(), place), ("b[0].k", Place { line: 1, column: 40, width: 8 }));
        assert_eq!(spans.value(&path), Some(Place { line: 1, column: 50, width: 1 }));
        assert_eq!(Spans::new(TEXT).duplicate_key(), None);
        // Equal keys in different objects are fine.
        assert_eq!(Spans::new(r#"[{"a": 1}, {"a": {"a": 1}}]"#).duplicate_key(), None);
    }

    #[test]
    fn text_that_is_no_json_does_no_harm() {
        for text in ["", "{", "{\"a", "{\"a\"", "{\"a\":", "[[[", "]", "{\"a\":1,}", "\"\\", "{\"\\x\":1}"] {
            let spans = Spans::new(text);
            spans.value(&path_of("a.b[1]"));
            spans.value(&path_of("[0][0][0][0]"));
            spans.value(&JsonPath::root());
            spans.key(&path_of("a"));
            spans.duplicate_key();
        }
    }

    /// Any JSON value, not very large.
    fn values() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Every value in a value with its path.
    fn parts(value: &Value, path: JsonPath, into: &mut Vec<(JsonPath, Value)>) {
        into.push((path.clone(), value.clone()));
        match value {
            Value::Array(array) => {
                array.iter().enumerate().for_each(|(index, part)| parts(part, path.clone().index(index), into));
            }
            Value::Object(object) => object.iter().for_each(|(key, part)| parts(part, path.clone().key(key), into)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn every_part_of_every_document_is_found(value in values()) {
            // On one line, a place is the whole value.
            let text = serde_json::to_string(&value).unwrap();
            let mut all = Vec::new();
            parts(&value, JsonPath::root(), &mut all);
            for (path, part) in all {
                let place = Spans::new(&text).value(&path).unwrap();
                prop_assert_eq!(place.line, 1);
                let start = place.column as usize - 1;
                let piece = &text[start..start + place.width as usize];
                prop_assert_eq!(serde_json::from_str::<Value>(piece).unwrap(), part);
            }
            prop_assert_eq!(Spans::new(&text).duplicate_key(), None);
        }

        #[test]
        fn no_text_does_harm(text in "[\\[\\]{}:,\"a\\\\ \n1é]{0,40}") {
            let spans = Spans::new(&text);
            for path in ["a", "a.a", "[0]", "[0].a[1]", "[1][1]"] {
                spans.value(&path_of(path));
                spans.key(&path_of(path));
            }
            spans.duplicate_key();
        }
    }
}
