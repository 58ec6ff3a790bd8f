//! What a table shows of a run, cell by cell.

use super::grid::printable;
use crate::result::counters::{
    DIRECT_MAP_1G, DIRECT_MAP_2M, DIRECT_MAP_4K, FLUSH_TLB_ALL, LEVEL2_SPLITS, LEVEL3_SPLITS,
};
use crate::result::{ResultDoc, Run};

/// A column of a table.
pub(super) struct Column {
    /// What stands above it, word by word.
    pub title: &'static [&'static str],
    /// Whether it is about the direct map and not about executable memory.
    pub direct_map: bool,
    pub cell: fn(&Run) -> Cell,
}

/// What a run has in a column.
pub(super) enum Cell {
    /// A number, or nothing if the result does not have it.
    Number(Option<u64>),
    /// A number before and after the replay, or at its peak and after it.
    Change(Option<u64>, Option<u64>),
}

/// The columns after the allocator's name.
pub(super) const COLUMNS: [Column; 11] = [
    Column { title: &["DirectMap", "4k kB"], direct_map: true, cell: |run| change(run, DIRECT_MAP_4K) },
    Column { title: &["DirectMap", "2M kB"], direct_map: true, cell: |run| change(run, DIRECT_MAP_2M) },
    Column { title: &["DirectMap", "1G kB"], direct_map: true, cell: |run| change(run, DIRECT_MAP_1G) },
    Column { title: &["level-2", "splits"], direct_map: true, cell: |run| Cell::Number(run.growth(LEVEL2_SPLITS)) },
    Column { title: &["level-3", "splits"], direct_map: true, cell: |run| Cell::Number(run.growth(LEVEL3_SPLITS)) },
    Column { title: &["global", "flushes"], direct_map: true, cell: |run| Cell::Number(run.growth(FLUSH_TLB_ALL)) },
    Column {
        title: &["text", "pages"],
        direct_map: false,
        cell: |run| Cell::Change(Some(run.text.executable_pages_at_peak), Some(run.text.executable_pages)),
    },
    Column {
        title: &["text", "bytes"],
        direct_map: false,
        cell: |run| Cell::Change(Some(run.text.executable_bytes_at_peak), Some(run.text.executable_bytes)),
    },
    Column {
        title: &["wasted", "bytes"],
        direct_map: false,
        cell: |run| Cell::Change(Some(run.text.wasted_bytes_at_peak), Some(run.text.wasted_bytes)),
    },
    Column { title: &["stale", "bytes"], direct_map: false, cell: |run| Cell::Number(Some(run.text.stale_bytes_peak)) },
    Column {
        title: &["peak", "programs"],
        direct_map: false,
        cell: |run| Cell::Number(Some(run.text.peak_programs_alive)),
    },
];

/// What the columns mean, a line each.
pub(super) const LEGEND: [&str; 4] = [
    "DirectMap4k, 2M, 1G: memory mapped with pages of that size, before the trace → after it, where it changed.",
    "Splits: large pages broken up, of 2 MiB (level 2) and of 1 GiB (level 3). Global flushes: of every CPU's \
     whole TLB.",
    "Text: executable memory; wasted: what of it holds no program (padding, unused). Both when most programs were \
     loaded → at the end, where it differs.",
    "Stale: most bytes of freed programs that were still executable at any one time.",
];

fn change(run: &Run, counter: &str) -> Cell {
    Cell::Change(run.start.get(counter), run.counters.get(counter))
}

impl Cell {
    /// The cell's text; `arrow` stands between before and after, if they differ.
    pub fn text(&self, arrow: &str) -> String {
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        match *self {
            Self::Number(value) => number(value),
            Self::Change(before, after) if before == after => number(after),
            Self::Change(before, after) => format!("{}{arrow}{}", number(before), number(after)),
        }
    }
}

/// What a table calls a run: the allocator, and the seed if there are several.
pub(super) fn run_name(result: &ResultDoc, run: &Run) -> String {
    let name = printable(&run.allocator);
    if result.has_seeds() { format!("{name} (seed {})", run.seed) } else { name }
}
