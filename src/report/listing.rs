//! Names with a sentence each, in every format.

use std::io::{self, Write};

use super::{Format, csv, markdown};

/// Names and what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries: name and meaning.
    pub entries: Vec<(String, String)>,
}

impl Listing {
    /// Writes the list in this format; text is at most `width` characters wide if that is possible.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, format: Format, width: usize, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Table => self.write_text(width, out),
            Format::Json => {
                let object = |(name, summary): &(String, String)| serde_json::json!({"name": name, "summary": summary});
                let list: Vec<_> = self.entries.iter().map(object).collect();
                serde_json::to_writer_pretty(&mut *out, &list)?;
                writeln!(out)
            }
            Format::Csv => {
                out.write_all(csv::line(["name", "summary"]).as_bytes())?;
                self.entries
                    .iter()
                    .try_for_each(|(name, text)| out.write_all(csv::line([name.as_str(), text]).as_bytes()))
            }
            Format::Markdown => {
                writeln!(out, "| name | summary |\n|---|---|")?;
                let mut row = |(name, text): &(String, String)| {
                    writeln!(out, "| `{}` | {} |", markdown::cell(name), markdown::cell(text))
                };
                self.entries.iter().try_for_each(&mut row)
            }
        }
    }

    fn write_text(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let indent = self.entries.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
        for (name, summary) in &self.entries {
            let mut line = format!("{name:<indent$}");
            let mut used = indent;
            for word in summary.split(' ') {
                let length = word.chars().count();
                if used > indent && used + length > width {
                    writeln!(out, "{}", line.trim_end())?;
                    line = " ".repeat(indent);
                    used = indent;
                }
                line += word;
                line += " ";
                used += length + 1;
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_in_every_format() {
        let entry = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let list = Listing { entries: vec![entry("fresh", "just booted, all free"), entry("a|b", "x")] };
        for (format, expected) in [
            (Format::Table, "fresh  just booted,\n       all free\na|b    x\n"),
            (Format::Csv, "name,summary\nfresh,\"just booted, all free\"\na|b,x\n"),
            (Format::Markdown, "| name | summary |\n|---|---|\n| `fresh` | just booted, all free |\n| `a\\|b` | x |\n"),
        ] {
            let mut out = Vec::new();
            list.write(format, 20, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        list.write(Format::Json, 20, &mut out).unwrap();
        let read: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(read[1]["name"], "a|b");
    }
}
