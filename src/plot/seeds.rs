//! How the seeds of each allocator differ: a dot for each seed over a box of the middle half.

use super::axis::{Frame, Quantity, Scale};
use super::bars::whisker;
use super::page::{LABEL_SIZE, Page, RIGHT, WIDTH};
use super::palette::{GRID, Look, TEXT};
use super::scene::{Anchor, Colour, Mark, Scene, Symbol, Text, Weight};
use super::subject::{Subject, quantile};
use super::table::Table;
use super::{Chart, Kind, font};
use crate::result::Run;
use crate::result::counters::{DIRECT_MAP_4K, LEVEL2_SPLITS, LEVEL3_SPLITS};

const ROW: f64 = 34.0;
const BOX: f64 = 16.0;
const DOT: f64 = 4.0;
/// How far from the middle of a row a dot may stand.
const FARTHEST: f64 = 12.0;
const BOX_COLOUR: Colour = Colour::new(0xdc_dc_dc);

/// What a frame shows.
struct Metric {
    heading: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&Run) -> Option<f64>,
}

const METRICS: [Metric; 3] = [
    Metric {
        heading: "2 MiB pages split (level 2)",
        name: LEVEL2_SPLITS,
        quantity: Quantity::Count,
        value: |run| run.growth(LEVEL2_SPLITS).map(|splits| splits as f64),
    },
    Metric {
        heading: "1 GiB pages split (level 3)",
        name: LEVEL3_SPLITS,
        quantity: Quantity::Count,
        value: |run| run.growth(LEVEL3_SPLITS).map(|splits| splits as f64),
    },
    Metric {
        heading: "Memory in 4 KiB pages at the end",
        name: "direct_map_4k_bytes",
        quantity: Quantity::Bytes,
        value: |run| run.counters.get(DIRECT_MAP_4K).map(|kb| kb as f64 * 1024.0),
    },
];

pub(super) fn draw(subject: &Subject<'_>) -> Chart {
    let title = format!("How much {} differ from seed to seed", subject.allocators());
    let notes = "A dot is a seed, the box the middle half of them, the line in it the median.";
    let mut page = Page::new(&title, &format!("{}. {notes}{}", subject.setting(), subject.out_of_memory_note()));
    let names = subject.contenders.iter().map(|contender| short_name(&contender.label));
    let names = names.map(|name| font::width(&name, LABEL_SIZE, Weight::Regular)).fold(0.0, f64::max);
    let mut table = Table::new(&["metric", "allocator", "seed", "value"]);
    for metric in &METRICS {
        let values: Vec<Vec<(u64, f64)>> = subject
            .contenders
            .iter()
            .map(|contender| contender.runs.iter().filter_map(|run| Some((run.seed, (metric.value)(run)?))).collect())
            .collect();
        for (contender, values) in subject.contenders.iter().zip(&values) {
            for (seed, value) in values {
                table.push([metric.name.to_owned(), contender.label.clone(), seed.to_string(), value.to_string()]);
            }
        }
        let highest = values.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
        if highest == 0.0 {
            page.bottom += 4.0;
            page.note(&format!("{}: none with any seed.", metric.heading));
            continue;
        }
        page.heading(metric.heading);
        let left = RIGHT + names + 14.0;
        let height = ROW * subject.contenders.len() as f64;
        let frame = Frame { left, top: page.bottom + 8.0, width: WIDTH - RIGHT - 30.0 - left, height };
        draw_metric(&mut page.scene, frame, subject, metric, &values, highest);
        page.bottom = frame.bottom() + 36.0;
    }
    Chart { kind: Kind::Seeds, scene: page.finish(&[subject]), table, hovers: vec![], maps: vec![] }
}

fn short_name(label: &str) -> String {
    font::shorten(label, LABEL_SIZE, Weight::Regular, 150.0)
}

fn draw_metric(
    scene: &mut Scene,
    frame: Frame,
    subject: &Subject<'_>,
    metric: &Metric,
    values: &[Vec<(u64, f64)>],
    highest: f64,
) {
    let scale = Scale::roomy(metric.quantity, highest, frame.left, frame.right(), 7);
    for &tick in &scale.ticks {
        scene.line(vec![(scale.at(tick), frame.top), (scale.at(tick), frame.bottom())], GRID, 1.0);
    }
    frame.columns(scene, &scale, scale.unit.name);
    for (row, (contender, values)) in subject.contenders.iter().zip(values).enumerate() {
        let middle = frame.top + ROW * (row as f64 + 0.5);
        let name = Text::new((frame.left - 10.0, middle + 4.0), LABEL_SIZE, short_name(&contender.label));
        scene.text(name.anchored(Anchor::End));
        draw_row(scene, &scale, middle, values, (Look::of(row), &contender.label, metric.quantity));
    }
}

fn draw_row(
    scene: &mut Scene,
    scale: &Scale,
    y: f64,
    values: &[(u64, f64)],
    (look, label, quantity): (Look, &str, Quantity),
) {
    let mut ascending: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    ascending.sort_by(f64::total_cmp);
    let [Some(lowest), Some(highest)] = [ascending.first(), ascending.last()] else { return };
    if highest > lowest {
        whisker(scene, scale.at(*lowest), scale.at(*highest), y);
    }
    let [low, half, high] = [0.25, 0.5, 0.75].map(|share| scale.at(quantile(&ascending, share)));
    scene.rect((low, y - BOX / 2.0), (high - low, BOX), BOX_COLOUR);
    // Behind the dots: of equal seeds they would be hidden by it.
    scene.line(vec![(half, y - BOX / 2.0 - 4.0), (half, y + BOX / 2.0 + 4.0)], TEXT, 2.0);
    let mut by_value = values.to_vec();
    by_value.sort_by(|one, other| one.1.total_cmp(&other.1).then(one.0.cmp(&other.0)));
    let places: Vec<f64> = by_value.iter().map(|(_, value)| scale.at(*value)).collect();
    for (((seed, value), x), offset) in by_value.iter().zip(&places).zip(offsets(&places)) {
        let tip = Some(format!("{label}, seed {seed}: {}", quantity.text(*value)));
        let at = (*x, y + offset);
        scene.push(Mark::Symbol { at, symbol: Symbol::Circle, size: DOT, colour: look.colour, tip });
    }
    let mut text = quantity.text(quantile(&ascending, 0.5));
    if highest == lowest && values.len() > 1 {
        text += &format!(" with all {} seeds", values.len());
    }
    let right = scale.at(*highest) + 8.0;
    let text = Text::new((right, y + 4.0), 10.0, text);
    // At the right edge the number stands left of the dots.
    let text = if right + text.width() > WIDTH - 4.0 {
        Text { at: (scale.at(*lowest) - 8.0, y + 4.0), ..text }.anchored(Anchor::End)
    } else {
        text
    };
    scene.text(text);
}

/// How far above or below the middle of the row each of these ascending dots stands, so that none is hidden by another:
/// they keep apart by their width if there is room for that, or else by a half of it, a quarter and so on.
fn offsets(ascending: &[f64]) -> Vec<f64> {
    let apart = [1.0, 2.0, 4.0, 8.0, 16.0].map(|part| DOT / part);
    apart.iter().find_map(|pitch| with_pitch(ascending, *pitch)).unwrap_or_else(|| vec![0.0; ascending.len()])
}

fn with_pitch(ascending: &[f64], pitch: f64) -> Option<Vec<f64>> {
    let most = (FARTHEST / pitch).floor() as usize * 2 + 1;
    let mut placed: Vec<f64> = Vec::with_capacity(ascending.len());
    for (at, x) in ascending.iter().enumerate() {
        let near = (0..at).rev().take_while(|other| x - ascending[*other] < DOT);
        let taken: Vec<f64> = near.map(|other| placed[other]).collect();
        // 0, one up, one down, two up, and so on.
        let offset = |step: usize| step.div_ceil(2) as f64 * pitch * if step % 2 == 1 { -1.0 } else { 1.0 };
        let free = |offset: &f64| !taken.iter().any(|other| (other - offset).abs() < pitch - 1e-9);
        placed.push((0..most).map(offset).find(free)?);
    }
    Some(placed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_dot_hides_another() {
        assert_eq!(offsets(&[10.0, 10.0, 12.0, 30.0]), [0.0, -4.0, 4.0, 0.0]);
        for seeds in [7, 8, 13, 14, 25, 30, 97] {
            let mut places = offsets(&vec![10.0; seeds]);
            assert!(places.iter().all(|offset| offset.abs() <= FARTHEST), "{places:?}");
            places.sort_by(f64::total_cmp);
            places.dedup();
            assert_eq!(places.len(), seeds);
        }
        assert_eq!(offsets(&[10.0; 98]), [0.0; 98], "more are too many");
    }
}
