//! Rows of cells under titles, in every format but JSON, which each command shapes itself.

use std::io::{self, Write};

use comfy_table::{CellAlignment, LineStyle, Row, Table, TableStyle};

use super::{csv, markdown};

/// Titles and rows; the first `texts` columns are words, the others numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// The title of each column.
    pub titles: Vec<String>,
    /// How many columns, from the left, are words.
    pub texts: usize,
    /// The cells of each row.
    pub rows: Vec<Vec<String>>,
}

impl Sheet {
    /// Writes the sheet as a table for terminals.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
        table.set_header(Row::from(self.titles.clone()));
        for row in &self.rows {
            table.add_row(Row::from(row.clone()));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding(if index == 0 { (0, 0) } else { (1, 0) });
            column.set_cell_alignment(if index < self.texts { CellAlignment::Left } else { CellAlignment::Right });
        }
        table.to_string().lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
    }

    /// Writes the sheet as comma separated values.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = |cells: &Vec<String>| csv::line(cells.iter().map(String::as_str));
        out.write_all(line(&self.titles).as_bytes())?;
        self.rows.iter().try_for_each(|row| out.write_all(line(row).as_bytes()))
    }

    /// Writes the sheet as a Markdown table.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = |cells: &Vec<String>| {
            format!("| {} |", cells.iter().map(|text| markdown::cell(text)).collect::<Vec<_>>().join(" | "))
        };
        writeln!(out, "{}", line(&self.titles))?;
        let numbers = self.titles.len().saturating_sub(self.texts);
        writeln!(out, "|{}{}", "---|".repeat(self.texts), "--:|".repeat(numbers))?;
        self.rows.iter().try_for_each(|row| writeln!(out, "{}", line(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_every_format() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let grid =
            Sheet { titles: row(["name", "misses"]), texts: 1, rows: vec![row(["a|b", "7"]), row(["c,d", "1234567"])] };
        let written = |write: fn(&Sheet, &mut dyn Write) -> io::Result<()>| {
            let mut out = Vec::new();
            write(&grid, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Sheet::write_table), "name   misses\n─────────────\na|b         7\nc,d   1234567\n");
        assert_eq!(written(Sheet::write_csv), "name,misses\na|b,7\n\"c,d\",1234567\n");
        assert_eq!(written(Sheet::write_markdown), "| name | misses |\n|---|--:|\n| a\\|b | 7 |\n| c,d | 1234567 |\n");
    }
}
