//! What is wrong with an input, as plain data: message, place, and what would be right.
//!
//! Nothing here draws a source excerpt; that is left to whoever talks to the user.

use std::fmt;
use std::ops::Range;

/// Longest piece of a source line that a [`Diagnostic`] carries, in bytes.
pub const MAX_EXCERPT_BYTES: usize = 240;

/// One thing that is wrong with an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in one line without a full stop.
    pub message: String,
    /// The input's name as the user gave it (`-` for standard input); `None` if there is no file.
    pub path: Option<String>,
    /// Line of the input, counted from 1; 0 if the whole input is meant.
    pub line: u32,
    /// Byte in the line, counted from 1 as serde_json does; 0 if the whole line is meant.
    pub column: u32,
    /// How many bytes of the line are meant, from `column` on; at least 1 when `column` is set.
    pub width: u32,
    /// Where in the JSON document, such as `load.image_bytes[0]`; empty if that says nothing.
    pub json_path: Box<str>,
    /// The source line, or the piece of a long line that holds `column`; empty if there is none.
    pub excerpt: Box<str>,
    /// Bytes of the source line that were cut off before `excerpt`.
    pub excerpt_skipped: u32,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Names the input.
    #[must_use]
    pub fn in_file(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Points at `width` bytes of a line; line and column count from 1, column 0 means the whole line.
    #[must_use]
    pub fn at(mut self, line: u32, column: u32, width: u32) -> Self {
        (self.line, self.column) = (line, column);
        self.width = if column == 0 { 0 } else { width.max(1) };
        self
    }

    /// Names the place inside the JSON document.
    #[must_use]
    pub fn at_json_path(mut self, json_path: impl Into<String>) -> Self {
        self.json_path = json_path.into().into_boxed_str();
        self
    }

    /// Says what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Keeps the source line, or of a long one the piece around `column`; call it after [`Diagnostic::at`].
    ///
    /// Bytes that are not UTF-8 and control characters are replaced by one `?` each, so that columns stay right.
    #[must_use]
    pub fn excerpt(mut self, source_line: &[u8]) -> Self {
        let caret = (self.column.saturating_sub(1) as usize).min(source_line.len());
        let mut start =
            if source_line.len() <= MAX_EXCERPT_BYTES { 0 } else { caret.saturating_sub(MAX_EXCERPT_BYTES / 3) };
        // A piece that starts inside a character would turn its rest into question marks.
        while start > 0 && source_line.get(start).is_some_and(|byte| byte & 0xc0 == 0x80) {
            start -= 1;
        }
        let mut end = source_line.len().min(start + MAX_EXCERPT_BYTES);
        while end > start && source_line.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        self.excerpt = printable(&source_line[start..end]).into_boxed_str();
        self.excerpt_skipped = u32::try_from(start).unwrap_or(u32::MAX);
        self
    }

    /// The bytes of [`Diagnostic::excerpt`] that are meant; empty at its end if nothing of it is.
    ///
    /// Both ends lie on character boundaries.
    pub fn span_in_excerpt(&self) -> Range<usize> {
        let text = &self.excerpt;
        let mut start = (self.column.saturating_sub(1).saturating_sub(self.excerpt_skipped) as usize).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = start.saturating_add(self.width as usize).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `trace.jsonl:3:14: size is 0 (at load.image_bytes[0]); help: ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}:")?;
        }
        if self.line > 0 {
            write!(f, "{}{}:", if self.path.is_some() { "" } else { "line " }, self.line)?;
            if self.column > 0 {
                write!(f, "{}:", self.column)?;
            }
        }
        if self.path.is_some() || self.line > 0 {
            f.write_str(" ")?;
        }
        f.write_str(&self.message)?;
        if !self.json_path.is_empty() {
            write!(f, " (at {})", self.json_path)?;
        }
        match &self.help {
            Some(help) => write!(f, "; help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// The bytes as text of the same length, with `?` for every byte that cannot be shown.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                text.extend(std::iter::repeat_n('?', character.len_utf8()));
            } else {
                text.push(character);
            }
        }
        text.extend(std::iter::repeat_n('?', chunk.invalid().len()));
    }
    text
}

/// The choice that looks most like the word, if one looks like it at all.
///
/// Up to a third of the word's letters may differ, but not all of them; among equally near choices the first wins.
pub fn did_you_mean<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let length = wanted.chars().count();
    let limit = (length / 3).max(1).min(length.saturating_sub(1));
    let mut best: Option<(usize, &str)> = None;
    for choice in choices {
        let distance = strsim::damerau_levenshtein(&wanted, &choice.to_lowercase());
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, choice));
        }
    }
    best.map(|(_, choice)| choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_with_a_diagnostic_stay_small() {
        assert!(size_of::<Diagnostic>() < 128, "{} bytes are moved with every result", size_of::<Diagnostic>());
    }

    #[test]
    fn one_line_form_names_place_and_help() {
        let bare = Diagnostic::new("empty trace");
        assert_eq!(bare.to_string(), "empty trace");
        let full = bare.clone().in_file("t.jsonl").at(3, 14, 2).at_json_path("load.id").help("write an id");
        assert_eq!(full.to_string(), "t.jsonl:3:14: empty trace (at load.id); help: write an id");
        assert_eq!(bare.at(2, 0, 0).to_string(), "line 2: empty trace");
    }

    #[test]
    fn long_lines_keep_the_piece_around_the_column() {
        let mut line = "é".repeat(4000).into_bytes();
        line[5000] = b'X';
        line[5001] = b'Y';
        let diagnostic = Diagnostic::new("").at(1, 5001, 2).excerpt(&line);
        assert!(diagnostic.excerpt.len() <= MAX_EXCERPT_BYTES);
        assert_eq!(&diagnostic.excerpt[diagnostic.span_in_excerpt()], "XY");
        assert!(!diagnostic.excerpt.contains('?'), "{}", diagnostic.excerpt);
    }

    #[test]
    fn bytes_that_are_not_text_keep_their_column() {
        let diagnostic = Diagnostic::new("").at(1, 4, 1).excerpt(b"\xff\x00\tZ");
        assert_eq!(&*diagnostic.excerpt, "???Z");
        assert_eq!(&diagnostic.excerpt[diagnostic.span_in_excerpt()], "Z");
        let past_the_end = Diagnostic::new("").at(1, 90, 5).excerpt(b"short");
        assert_eq!(past_the_end.span_in_excerpt(), 5..5);
    }

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let choices = ["per-prog", "pack-4k", "pack-2m", "pack-2m-fixed"];
        assert_eq!(did_you_mean("pack-4K", choices), Some("pack-4k"));
        assert_eq!(did_you_mean("pack4k", choices), Some("pack-4k"));
        assert_eq!(did_you_mean("perprog", choices), Some("per-prog"));
        assert_eq!(did_you_mean("slab", choices), None);
        assert_eq!(did_you_mean("-", ["e", "-"]), Some("-"));
        assert_eq!(did_you_mean("-", ["e"]), None);
    }
}
