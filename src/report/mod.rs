//! Results, comparisons and checks for readers: table, JSON, CSV, Markdown and more. Nothing here knows how a result
//! came about.

mod checks;
mod comparison;
mod csv;
mod grid;
mod json;
mod listing;
mod markdown;
pub(crate) mod number;
mod rows;
mod sheet;
mod table;
mod tlb;
mod verdict;

pub use checks::{CheckReport, CheckedInput, Ending};
pub use comparison::ComparisonView;
pub(crate) use csv::line as csv_line;
pub use listing::Listing;
pub use sheet::Sheet;
pub use tlb::{basis as tlb_basis, beside_estimate, doubt as tlb_doubt};
pub use verdict::verdict;

use std::io::{self, Write};

use crate::result::ResultDoc;

/// Width of a table, in characters, where no terminal says another.
pub const DEFAULT_WIDTH: usize = 120;

/// A way to show a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table with a row for each allocator, for terminals.
    #[default]
    Table,
    /// The result document itself.
    Json,
    /// A line for each allocator and seed with every number, for spreadsheets.
    Csv,
    /// A table for pull requests and web pages.
    Markdown,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Table, Self::Json, Self::Csv, Self::Markdown];

    /// The format's name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "md",
        }
    }

    /// Writes a result in this format; tables are at most `width` characters wide if that is possible.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(self, result: &ResultDoc, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let exporter: &dyn Exporter = match self {
            Self::Table => &table::Table { width },
            Self::Json => &json::Json,
            Self::Csv => &csv::Csv,
            Self::Markdown => &markdown::Markdown,
        };
        exporter.export(result, out)
    }
}

/// Shows a result.
trait Exporter {
    fn export(&self, result: &ResultDoc, out: &mut dyn Write) -> io::Result<()>;
}
