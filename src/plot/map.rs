//! Where in physical memory the large pages broke: a map for each allocator.

use super::axis::{Quantity, grouped};
use super::page::{LEFT, Page, RIGHT, WIDTH};
use super::scene::{Anchor, Layer, Mark, Scene, Stretch, Text, Weight};
use super::subject::{Contender, Subject};
use super::table::Table;
use super::{Chart, Kind, font, palette};
use crate::result::{CellState, Cells, MapMoment, MemoryMap};

/// Cells in a row of a large host.
const COLUMNS: u64 = 512;
/// Cells in a row of the smallest host.
const FEWEST_COLUMNS: u64 = 64;
/// Rows at most.
const MOST_ROWS: u64 = 128;
/// Height of a map of many rows, and of one row at most.
const HEIGHT: f64 = 160.0;
const ROW_HEIGHT: f64 = 8.0;

/// A map in a picture, by which it can be drawn for another moment.
#[derive(Clone, Debug, PartialEq)]
pub struct MapPanel {
    /// The allocator.
    pub label: String,
    /// Cells in a row.
    pub columns: u64,
    /// Cells of the result that one cell of the picture stands for.
    pub group: u64,
    /// The map at its moments: the time, such as `12.5 days`, and the cells as the result has them.
    pub moments: Vec<(String, String)>,
}

/// How cells lie in a picture.
struct Grid {
    columns: u64,
    rows: u64,
    /// Cells of the result in a cell of the picture.
    group: u64,
}

impl Grid {
    fn of(map: &MemoryMap) -> Self {
        let cells = map.moments.iter().map(|moment| moment.cells.len()).max().unwrap_or(0).max(1);
        let columns = cells.next_power_of_two().clamp(FEWEST_COLUMNS, COLUMNS);
        let mut group = 1;
        while cells.div_ceil(group).div_ceil(columns) > MOST_ROWS {
            group *= 2;
        }
        Self { columns, rows: cells.div_ceil(group).div_ceil(columns), group }
    }

    /// Bytes in a cell and in a row.
    fn bytes(&self, map: &MemoryMap) -> (f64, f64) {
        let cell = map.cell_bytes as f64 * self.group as f64;
        (cell, cell * self.columns as f64)
    }
}

/// What a state means, in words.
pub(super) const fn meaning(state: CellState) -> &'static str {
    match state {
        CellState::Hole => "no RAM",
        CellState::Whole1G => "1 GiB pages",
        CellState::Whole2M => "2 MiB pages",
        CellState::LargeProtected => "large, read-only",
        CellState::LargeText => "large, with executable memory",
        CellState::Small => "4 KiB pages",
        CellState::SmallProtected => "4 KiB, read-only",
        CellState::SmallText => "4 KiB, with executable memory",
    }
}

/// The map of an allocator: that of the seed that is shown, or else of the lowest seed that has one.
pub(super) fn map_of<'a>(subject: &Subject<'a>, contender: &Contender<'a>) -> Option<(u64, &'a MemoryMap)> {
    std::iter::once(&subject.shown_run(contender)).chain(&contender.runs).find_map(|run| {
        let map = run.memory_map.as_ref()?;
        (map.cell_bytes > 0 && !map.moments.is_empty()).then_some((run.seed, map))
    })
}

pub(super) fn has_maps(subject: &Subject<'_>) -> bool {
    subject.contenders.iter().any(|contender| map_of(subject, contender).is_some())
}

pub(super) fn draw(subject: &Subject<'_>) -> Chart {
    let title = format!("Where the direct map broke under {}", subject.allocators());
    let maps: Vec<_> =
        subject.contenders.iter().filter_map(|contender| Some((contender, map_of(subject, contender)?))).collect();
    let mut page = Page::new(&title, &notes(subject, &maps));
    let key: Vec<_> = CellState::ALL.into_iter().map(|state| (palette::cell(state), meaning(state))).collect();
    page.bottom -= 8.0;
    page.key(&key);
    let mut panels = Vec::new();
    let mut table = Table::new(&["allocator", "seed", "time_ns", "first_byte", "bytes", "state"]);
    for (contender, (seed, map)) in &maps {
        let grid = Grid::of(map);
        let last = map.moments.last().expect("maps without a moment are left out");
        heading(&mut page, &format!("{}{}", contender.label, subject.seed_mark(*seed)), map, last);
        let cell = ((WIDTH - LEFT - RIGHT) / grid.columns as f64, (HEIGHT / grid.rows as f64).min(ROW_HEIGHT));
        let at = (LEFT, page.bottom + 8.0);
        axis(&mut page.scene, at, cell, &grid, map);
        page.scene.push(Mark::Cells { at, cell, layers: layers(&last.cells, &grid) });
        page.bottom = at.1 + cell.1 * grid.rows as f64 + 6.0;
        let moments = map.moments.iter();
        let moments = moments.map(|moment| (Quantity::Nanos.text(moment.time_ns as f64), moment.cells.to_string()));
        let (label, columns, group) = (contender.label.clone(), grid.columns, grid.group);
        panels.push(MapPanel { label, columns, group, moments: moments.collect() });
        list(&mut table, &contender.label, *seed, map);
    }
    Chart { kind: Kind::Map, scene: page.finish(&[subject]), table, hovers: vec![], maps: panels }
}

/// What is seen, at which moment, and what cells and rows are.
fn notes(subject: &Subject<'_>, maps: &[(&Contender<'_>, (u64, &MemoryMap))]) -> String {
    let mut text = subject.setting();
    if !subject.seed_note().is_empty() {
        text += &format!("; {}", subject.seed_note());
    }
    if let Some((_, (_, map))) = maps.first() {
        let (cell, row) = Grid::of(map).bytes(map);
        let [cell, row] = [cell, row].map(|bytes| Quantity::Bytes.text(bytes).replace(' ', "\u{a0}"));
        text +=
            &format!(". At the end of the trace; each cell is {cell} of physical memory, each\u{a0}row\u{a0}{row}.");
        text += &subject.out_of_memory_note();
        text += " A cell shows the worst in it, the later in this list the worse:";
    }
    text
}

fn heading(page: &mut Page, label: &str, map: &MemoryMap, last: &MapMoment) {
    let count = |wanted: fn(CellState) -> bool| -> f64 {
        last.cells.runs().filter(|(_, state)| wanted(*state)).map(|(cells, _)| f64::from(cells)).sum()
    };
    let (small, all) = (count(CellState::is_small), count(|state| state != CellState::Hole));
    let unit = Quantity::Bytes.text(map.cell_bytes as f64);
    let text = format!("{} of {} stretches of {unit} hold 4 KiB pages at the end", grouped(small), grouped(all));
    page.bottom += 22.0;
    let name = font::shorten(label, 12.0, Weight::Bold, 300.0);
    let width = font::width(&name, 12.0, Weight::Bold);
    page.scene.text(Text::new((LEFT, page.bottom), 12.0, name).bold());
    page.scene.text(Text::new((LEFT + width + 10.0, page.bottom), 11.0, text).grey());
}

/// Addresses at the left, and the edge of the map.
fn axis(scene: &mut Scene, at: (f64, f64), cell: (f64, f64), grid: &Grid, map: &MemoryMap) {
    let (_, row_bytes) = grid.bytes(map);
    let (width, height) = (cell.0 * grid.columns as f64, cell.1 * grid.rows as f64);
    let (x, y) = at;
    let edge = vec![
        (x - 0.5, y - 0.5),
        (x + width + 0.5, y - 0.5),
        (x + width + 0.5, y + height + 0.5),
        (x - 0.5, y + height + 0.5),
        (x - 0.5, y - 1.0),
    ];
    scene.line(edge, palette::AXIS, 1.0);
    // As many addresses as there is room for.
    let mut step = 1_u64;
    while (step as f64) * cell.1 < 30.0 {
        step *= 2;
    }
    for row in (0..grid.rows).step_by(step as usize) {
        let y = y + row as f64 * cell.1;
        scene.line(vec![(x - 5.0, y), (x, y)], palette::AXIS, 1.0);
        let text = if row == 0 { "0".to_owned() } else { Quantity::Bytes.text(row as f64 * row_bytes) };
        scene.text(Text::new((x - 8.0, y + 7.0), 10.0, text).grey().anchored(Anchor::End));
    }
}

/// The cells of the picture by state: each stands for the worst of its group.
fn layers(cells: &Cells, grid: &Grid) -> Vec<Layer> {
    let mut by_state: Vec<Layer> = CellState::ALL
        .into_iter()
        .filter(|state| *state != CellState::Hole)
        .map(|state| Layer { state: state.letter(), colour: palette::cell(state), stretches: Vec::new() })
        .collect();
    for (start, length, state) in grouped_runs(cells, grid.group) {
        let Some(layer) = by_state.iter_mut().find(|layer| layer.state == state.letter()) else { continue };
        let (mut at, end) = (start, start + length);
        while at < end {
            let (row, column) = (at / grid.columns, at % grid.columns);
            let cells = (end - at).min(grid.columns - column);
            // Whole rows are one rectangle, so that no seam shows between them.
            let rows = if cells == grid.columns { (end - at) / cells } else { 1 };
            layer.stretches.push(Stretch { row, column, cells, rows });
            at += cells * rows;
        }
    }
    by_state
}

/// Runs of cells of the picture: first cell, how many, and their state.
fn grouped_runs(cells: &Cells, group: u64) -> Vec<(u64, u64, CellState)> {
    let mut runs: Vec<(u64, u64, CellState)> = Vec::new();
    let mut at = 0_u64;
    for (length, state) in cells.runs() {
        if length == 0 {
            continue;
        }
        let (mut first, end) = (at / group, (at + u64::from(length)).div_ceil(group));
        at += u64::from(length);
        if let Some(last) = runs.last_mut()
            && last.0 + last.1 > first
        {
            // The first cell is shared with the run before.
            if state > last.2 {
                last.1 -= 1;
                if last.1 == 0 {
                    runs.pop();
                }
            } else {
                first += 1;
            }
        }
        match runs.last_mut() {
            _ if first >= end => {}
            Some(last) if last.2 == state => last.1 += end - first,
            _ => runs.push((first, end - first, state)),
        }
    }
    runs
}

/// Every run of cells at the end.
fn list(table: &mut Table, label: &str, seed: u64, map: &MemoryMap) {
    let Some(last) = map.moments.last() else { return };
    let mut at = 0_u64;
    for (cells, state) in last.cells.runs() {
        let bytes = u64::from(cells).saturating_mul(map.cell_bytes);
        table.push([
            label.to_owned(),
            seed.to_string(),
            last.time_ns.to_string(),
            at.to_string(),
            bytes.to_string(),
            meaning(state).to_owned(),
        ]);
        at = at.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(cell_bytes: u64, cells: &str) -> MemoryMap {
        let cells: Cells = serde_json::from_value(cells.into()).unwrap();
        MemoryMap { cell_bytes, moments: vec![MapMoment { time_ns: 0, cells }] }
    }

    #[test]
    fn any_machine_fits() {
        let grid = |cells: &str| {
            let grid = Grid::of(&map(2 << 20, cells));
            (grid.columns, grid.rows, grid.group)
        };
        assert_eq!(grid("33792G"), (512, 66, 1));
        assert_eq!(grid("131072G"), (512, 128, 2));
        assert_eq!(grid("300G"), (512, 1, 1));
        assert_eq!(grid("7G"), (64, 1, 1));
        assert_eq!(grid(""), (64, 1, 1));
        assert!(grid("4294967295G").1 <= MOST_ROWS);
    }

    proptest! {
        #[test]
        fn a_group_shows_its_worst_cell(runs in prop::collection::vec((0_u32..9, 0_usize..8), 0..30), shift in 0_u32..4) {
            let runs: Vec<_> = runs.into_iter().map(|(cells, state)| (cells, CellState::ALL[state])).collect();
            let cells: Cells = runs.iter().copied().collect();
            let flat: Vec<CellState> =
                runs.iter().flat_map(|(cells, state)| std::iter::repeat_n(*state, *cells as usize)).collect();
            let slow: Vec<CellState> = flat.chunks(1 << shift).map(|group| *group.iter().max().unwrap()).collect();
            let mut fast = Vec::new();
            for (start, length, state) in grouped_runs(&cells, 1 << shift) {
                prop_assert_eq!(start as usize, fast.len());
                fast.extend(std::iter::repeat_n(state, length as usize));
            }
            prop_assert_eq!(fast, slow);
            let runs = grouped_runs(&cells, 1 << shift);
            prop_assert!(runs.windows(2).all(|pair| pair[0].2 != pair[1].2));
        }
    }
}
