//! The numbers of a chart.

use crate::report::csv_line;

/// Rows of values under names: what a chart was drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(names: &[&str]) -> Self {
        Self { names: names.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row with a value for each name.
    pub(super) fn push<const N: usize>(&mut self, row: [String; N]) {
        debug_assert_eq!(row.len(), self.names.len());
        self.rows.push(row.into());
    }

    /// The table as comma separated values (RFC 4180).
    pub fn csv(&self) -> String {
        let line = |values: &Vec<String>| csv_line(values.iter().map(String::as_str));
        std::iter::once(&self.names).chain(&self.rows).map(line).collect()
    }
}

/// A number of a table: nothing if there is none, without a fraction if it is whole.
pub(super) fn cell(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}
