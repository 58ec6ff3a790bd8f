//! Rows and columns for terminals.

use std::io::{self, Write};

use comfy_table::{CellAlignment, LineStyle, Row, Table, TableStyle};

/// Spaces between two columns.
const GAP: u16 = 2;

/// A table with a line under its header; the first columns are text and stand left, the others are numbers.
pub(super) struct Grid {
    table: Table,
    text_columns: usize,
}

impl Grid {
    /// A table without rows.
    pub fn new(header: Vec<String>, text_columns: usize) -> Self {
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
        table.set_header(Row::from(header));
        Self { table, text_columns }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.table.add_row(Row::from(cells));
    }

    /// How many characters a line has.
    pub fn width(&self) -> usize {
        let widths = self.table.column_max_content_widths();
        let total: usize = widths.iter().map(|&width| usize::from(width) + usize::from(GAP)).sum();
        total - usize::from(GAP)
    }

    /// Writes the table.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        for (index, column) in self.table.column_iter_mut().enumerate() {
            // Between two columns comfy-table leaves one space of its own.
            column.set_padding(if index == 0 { (0, 0) } else { (GAP - 1, 0) });
            let side = if index < self.text_columns { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(side);
        }
        self.table.to_string().lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
    }
}

/// Writes a line, broken at spaces so that it is at most `width` characters wide.
pub(super) fn write_wrapped(out: &mut dyn Write, line: &str, width: usize) -> io::Result<()> {
    let mut used = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            writeln!(out)?;
            used = 0;
        }
        if used > 0 {
            write!(out, " ")?;
            used += 1;
        }
        write!(out, "{word}")?;
        used += length;
    }
    writeln!(out)
}

/// A text from a file on one line, so that nothing in it moves the terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
