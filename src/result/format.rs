//! How a result looks as text: one metric a line, one sample a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use super::document::ResultDoc;

/// Objects and arrays nested deeper than this stand on one line: the samples of a series, and the ends of a scenario.
const DEEPEST_INDENTED: usize = 4;

/// Indents by two spaces, down to a depth.
#[derive(Default)]
struct OneMetricALine {
    depth: usize,
    /// Whether the object or array that was closed last held anything.
    has_value: bool,
}

impl OneMetricALine {
    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"  "))
    }

    fn open<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn separate<W: ?Sized + Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        if self.depth > DEEPEST_INDENTED {
            return if first { Ok(()) } else { writer.write_all(b", ") };
        }
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn close<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        let indented = self.depth <= DEEPEST_INDENTED;
        self.depth -= 1;
        if indented && self.has_value {
            self.new_line(writer)?;
        }
        self.has_value = true;
        writer.write_all(bracket)
    }
}

impl Formatter for OneMetricALine {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(writer)?;
        writer.write_all(b" ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

impl ResultDoc {
    /// Writes the document as JSON text with a newline at its end.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let mut serializer = serde_json::Serializer::with_formatter(&mut writer, OneMetricALine::default());
        self.serialize(&mut serializer)?;
        writer.write_all(b"\n")
    }

    /// The document as JSON text, the same bytes each time.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.write(&mut text).expect("memory takes what is written, and every field has a form in JSON");
        text
    }
}

#[cfg(test)]
mod tests {
    use crate::result::testing::two_runs;

    #[test]
    fn each_metric_and_each_sample_has_a_line() {
        let text = String::from_utf8(two_runs().to_json()).unwrap();
        assert!(text.ends_with("}\n"));
        for line in [
            "{\n  \"schema_version\": 1,\n  \"fragsim\": \"0.1.0\",\n",
            "\n      \"machine\": {\n        \"memory\": \"64GiB\"\n      },\n",
            "\n      \"outcome\": {\n        \"completed\": {}\n      },\n",
            "\n        \"direct_map_level2_splits\": 12,\n",
            "\n        {\"time_ns\": 0, \"DirectMap4k\": 0, ",
        ] {
            assert!(text.contains(line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn the_text_means_what_serde_says() {
        let result = two_runs();
        let read: serde_json::Value = serde_json::from_slice(&result.to_json()).unwrap();
        assert_eq!(read, serde_json::to_value(&result).unwrap());
    }
}
