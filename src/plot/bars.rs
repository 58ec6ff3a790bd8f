//! Splits and what they cost: a row for each allocator, a column of bars for each metric.

use super::axis::{Quantity, fixed, grouped};
use super::page::{LABEL_SIZE, Page, RIGHT, WIDTH};
use super::palette::{GRID, Look, TEXT};
use super::scene::{Anchor, Mark, Scene, Text, Weight};
use super::subject::{Contender, Spread, Subject};
use super::table::{Table, cell};
use super::{Chart, Kind, font};
use crate::result::counters::{DIRECT_MAP_4K, FLUSH_TLB_ALL, LEVEL2_SPLITS, LEVEL3_SPLITS};
use crate::result::{Run, TlbFigures};

/// From one row to the next.
const ROW: f64 = 26.0;
const BAR: f64 = 14.0;
/// Columns side by side.
const ACROSS: usize = 2;
const GAP: f64 = 24.0;

/// What a column shows.
struct Column {
    heading: &'static str,
    /// The metric's name in the table.
    name: &'static str,
    quantity: Quantity,
    /// The metric with the ends of its own range, all equal if it is a count. `None` if the run does not have it.
    value: fn(&Run) -> Option<Spread>,
}

const COLUMNS: [Column; 6] = [
    Column {
        heading: "2 MiB pages split (level 2)",
        name: LEVEL2_SPLITS,
        quantity: Quantity::Count,
        value: |run| exact(run.growth(LEVEL2_SPLITS)),
    },
    Column {
        heading: "1 GiB pages split (level 3)",
        name: LEVEL3_SPLITS,
        quantity: Quantity::Count,
        value: |run| exact(run.growth(LEVEL3_SPLITS)),
    },
    Column {
        heading: "Memory in 4 KiB pages at the end",
        name: "direct_map_4k_bytes",
        quantity: Quantity::Bytes,
        value: |run| exact(run.counters.get(DIRECT_MAP_4K).map(|kb| kb.saturating_mul(1024))),
    },
    Column {
        heading: "Flushes of every CPU's whole TLB",
        name: FLUSH_TLB_ALL,
        quantity: Quantity::Count,
        value: |run| exact(run.growth(FLUSH_TLB_ALL)),
    },
    Column {
        heading: "Page walks per 1000 accesses",
        name: "walks_per_1000",
        quantity: Quantity::Real,
        value: |run| Spread::of(run.tlb.map(|tlb| tlb.walks_per_1000)),
    },
    Column {
        heading: "Cycles lost to page walks, %",
        name: "lost_percent",
        quantity: Quantity::Real,
        value: |run| {
            let spread = |tlb: &TlbFigures| Spread {
                low: tlb.lost_percent_least,
                middle: tlb.lost_percent,
                high: tlb.lost_percent_most,
            };
            run.tlb.as_ref().map(spread)
        },
    },
];

fn exact(count: Option<u64>) -> Option<Spread> {
    Spread::of(count.map(|count| count as f64))
}

/// Over the seeds: the median of the values, and the ends of what they and their ranges reach.
fn over_seeds(contender: &Contender<'_>, column: &Column) -> Option<Spread> {
    let values: Vec<Spread> = contender.runs.iter().filter_map(|run| (column.value)(run)).collect();
    let middle = Spread::of(values.iter().map(|spread| spread.middle))?.middle;
    let low = values.iter().map(|spread| spread.low).fold(f64::INFINITY, f64::min);
    let high = values.iter().map(|spread| spread.high).fold(f64::NEG_INFINITY, f64::max);
    Some(Spread { low, middle, high })
}

pub(super) fn draw(subject: &Subject<'_>) -> Chart {
    let shown: Vec<(&Column, Vec<Option<Spread>>)> = COLUMNS
        .iter()
        .map(|column| (column, subject.contenders.iter().map(|contender| over_seeds(contender, column)).collect()))
        .filter(|(_, values): &(_, Vec<Option<Spread>>)| values.iter().any(Option::is_some))
        .collect();
    let title = format!("Large pages split by {}, and what that costs", subject.allocators());
    let seeds = match subject.seeds() {
        0 | 1 => "",
        _ => " Bar: median of the seeds; whisker and numbers in brackets: lowest to highest.",
    };
    let memory = subject.out_of_memory_note();
    let mut page = Page::new(&title, &format!("{}. Shorter bars are better.{seeds}{memory}", subject.setting()));
    let names = subject.contenders.iter().map(|contender| name_width(&contender.label)).fold(0.0, f64::max);
    let rows = subject.contenders.len() as f64;
    for columns in shown.chunks(ACROSS) {
        let top = page.bottom + 24.0;
        let left = RIGHT + names + 12.0;
        let width = (WIDTH - RIGHT - left - GAP * (ACROSS - 1) as f64) / ACROSS as f64;
        draw_names(&mut page.scene, subject, left - 10.0, top);
        for (place, (column, values)) in columns.iter().enumerate() {
            let left = left + place as f64 * (width + GAP);
            draw_column(&mut page.scene, (left, top), width, column, values, subject);
        }
        page.bottom = top + rows * ROW + 10.0;
    }
    Chart {
        kind: Kind::Bars,
        scene: page.finish(&[subject]),
        table: table(subject, &shown),
        hovers: vec![],
        maps: vec![],
    }
}

fn short_name(label: &str) -> String {
    font::shorten(label, LABEL_SIZE, Weight::Regular, 150.0)
}

fn name_width(label: &str) -> f64 {
    font::width(&short_name(label), LABEL_SIZE, Weight::Regular)
}

fn draw_names(scene: &mut Scene, subject: &Subject<'_>, right: f64, top: f64) {
    for (row, contender) in subject.contenders.iter().enumerate() {
        let y = top + row as f64 * ROW + ROW / 2.0 + 4.0;
        scene.text(Text::new((right, y), LABEL_SIZE, short_name(&contender.label)).anchored(Anchor::End));
    }
}

/// What stands behind a bar.
fn value_text(spread: &Spread, quantity: Quantity) -> String {
    if !spread.is_wide() {
        return quantity.text(spread.middle);
    }
    let unit = quantity.unit(spread.high);
    let values = [spread.low, spread.middle, spread.high].map(|value| value / unit.size);
    let [low, middle, high] = match quantity {
        Quantity::Count => values.map(grouped),
        Quantity::Real | Quantity::Bytes | Quantity::Nanos => values.map(fixed),
    };
    if low == high {
        return quantity.text(spread.middle);
    }
    let space = if unit.name.is_empty() { "" } else { " " };
    format!("{middle}{space}{} ({low}–{high})", unit.name)
}

fn draw_column(
    scene: &mut Scene,
    (left, top): (f64, f64),
    width: f64,
    column: &Column,
    values: &[Option<Spread>],
    subject: &Subject<'_>,
) {
    scene.text(Text::new((left, top - 4.0), LABEL_SIZE, column.heading).bold());
    let texts: Vec<String> = values
        .iter()
        .map(|value| value.map_or_else(|| "not measured".to_owned(), |value| value_text(&value, column.quantity)))
        .collect();
    let text_room = texts.iter().map(|text| font::width(text, 11.0, Weight::Regular)).fold(0.0, f64::max);
    let longest = (width - text_room - 12.0).max(20.0);
    let highest = values.iter().flatten().map(|spread| spread.high).fold(0.0, f64::max);
    let length = |value: f64| if highest > 0.0 { longest * value / highest } else { 0.0 };
    scene.line(vec![(left, top + 2.0), (left, top + values.len() as f64 * ROW)], super::palette::AXIS, 1.0);
    for (row, (value, text)) in values.iter().zip(&texts).enumerate() {
        let middle = top + row as f64 * ROW + ROW / 2.0;
        if row > 0 {
            scene.line(vec![(left, middle - ROW / 2.0), (left + width, middle - ROW / 2.0)], GRID, 1.0);
        }
        let mut end = left;
        if let Some(spread) = value {
            let at = (left, middle - BAR / 2.0);
            let tip = Some(format!("{}: {text}", subject.contenders[row].label));
            scene.push(Mark::Rect { at, size: (length(spread.middle), BAR), fill: Look::of(row).colour, tip });
            end += length(spread.middle);
            if spread.is_wide() {
                let (low, high) = (left + length(spread.low), left + length(spread.high));
                whisker(scene, low, high, middle);
                end = end.max(high);
            }
        }
        scene.text(Text::new((end + 6.0, middle + 4.0), 11.0, text.as_str()));
    }
}

/// A line from the lowest to the highest value, with a white rim so that it shows on any bar.
pub(super) fn whisker(scene: &mut Scene, low: f64, high: f64, y: f64) {
    for (colour, width) in [(super::palette::PAPER, 4.0), (TEXT, 1.4)] {
        scene.line(vec![(low, y), (high, y)], colour, width);
        for x in [low, high] {
            scene.line(vec![(x, y - 4.0), (x, y + 4.0)], colour, width);
        }
    }
}

fn table(subject: &Subject<'_>, shown: &[(&Column, Vec<Option<Spread>>)]) -> Table {
    let mut table = Table::new(&["metric", "allocator", "seeds", "middle", "lowest", "highest"]);
    for (column, values) in shown {
        for (contender, value) in subject.contenders.iter().zip(values) {
            table.push([
                column.name.to_owned(),
                contender.label.clone(),
                contender.runs.len().to_string(),
                cell(value.map(|spread| spread.middle)),
                cell(value.map(|spread| spread.low)),
                cell(value.map(|spread| spread.high)),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_is_not_said_to_be_nothing() {
        let text = |low, middle, high, quantity| value_text(&Spread { low, middle, high }, quantity);
        assert_eq!(text(0.0, 0.002, 0.04, Quantity::Real), "<0.01 (0–0.04)");
        assert_eq!(text(1e-9, 1e-6, 1e-3, Quantity::Real), "<0.01");
        assert_eq!(text(0.003, 0.003, 0.003, Quantity::Real), "<0.01");
        assert_eq!(text(0.0, 0.0, 0.0, Quantity::Real), "0");
        assert_eq!(text(973.0, 982.0, 1998.0, Quantity::Count), "982 (973–1,998)");
        let gib = |tenths: f64| tenths * 107_374_182.4;
        assert_eq!(text(gib(14.0), gib(14.3), gib(14.7), Quantity::Bytes), "1.43 GiB (1.40–1.47)");
        assert_eq!(text(1024.0, gib(1.0), gib(20.0), Quantity::Bytes), "0.10 GiB (<0.01–2.00)");
    }
}
