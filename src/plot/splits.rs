//! Large pages split over time: a line for each allocator, a band over its seeds.

use super::axis::{Frame, Quantity, Scale, spread, steps};
use super::hover::Hover;
use super::page::{LABEL_SIZE, LEFT, Page, RIGHT, WIDTH, end_label};
use super::palette::Look;
use super::scene::{Mark, Point, Scene, Stroke, Weight};
use super::subject::{COLUMNS, Contender, Spread, Subject, moment};
use super::table::{Table, cell};
use super::{Chart, Kind, font};
use crate::result::Sample;

const HEIGHT: f64 = 220.0;
/// From one label to the next.
const LABEL_GAP: f64 = 16.0;
/// Between the end of the lines and the labels.
const LEADER: f64 = 22.0;

/// One of the two frames.
struct Level {
    heading: &'static str,
    none: &'static str,
    value: fn(&Sample) -> f64,
}

const LEVELS: [Level; 2] = [
    Level {
        heading: "2 MiB pages split since the start (level 2)",
        none: "2 MiB pages (level 2): none was split by any allocator.",
        value: |sample| sample.direct_map_level2_splits as f64,
    },
    Level {
        heading: "1 GiB pages split since the start (level 3)",
        none: "1 GiB pages (level 3): none was split by any allocator.",
        value: |sample| sample.direct_map_level3_splits as f64,
    },
];

/// The values of one allocator.
struct Line<'a> {
    contender: &'a Contender<'a>,
    look: Look,
    values: Vec<Option<Spread>>,
    /// The median of what its runs ended with, whenever that was.
    last: f64,
}

pub(super) fn draw(subject: &Subject<'_>) -> Chart {
    let title = format!("Large pages of the direct map split by {}", subject.allocators());
    let mut page = Page::new(&title, &format!("{}.{}", subject.setting(), subject.band_note()));
    let mut hovers = Vec::new();
    let by_level: Vec<Vec<Line<'_>>> = LEVELS.iter().map(|level| lines(subject, level)).collect();
    let labels = label_room(&by_level);
    for (level, lines) in LEVELS.iter().zip(&by_level) {
        let highest = lines.iter().flat_map(|line| line.values.iter().flatten()).map(|spread| spread.high);
        let highest = highest.fold(0.0, f64::max);
        if highest == 0.0 {
            page.bottom += 4.0;
            page.note(level.none);
            continue;
        }
        page.heading(level.heading);
        let height = HEIGHT.max(lines.len() as f64 * LABEL_GAP);
        let frame = Frame { left: LEFT, top: page.bottom + 12.0, width: WIDTH - LEFT - RIGHT - labels, height };
        hovers.push(draw_level(&mut page.scene, frame, lines, highest, subject.end()));
        page.bottom = frame.bottom() + 40.0;
    }
    Chart { kind: Kind::Splits, scene: page.finish(&[subject]), table: table(subject, &by_level), hovers, maps: vec![] }
}

fn lines<'a>(subject: &'a Subject<'a>, level: &Level) -> Vec<Line<'a>> {
    let line = |(number, contender): (usize, &'a Contender<'a>)| Line {
        contender,
        look: Look::of(number),
        values: contender.over_time(subject.end(), level.value),
        last: Spread::of(contender.runs.iter().filter_map(|run| run.series.last()).map(level.value))
            .map_or(0.0, |spread| spread.middle),
    };
    subject.contenders.iter().enumerate().map(line).collect()
}

/// What stands at the end of a line.
fn label(line: &Line<'_>) -> String {
    let mut text = format!(
        "{} {}",
        font::shorten(&line.contender.label, LABEL_SIZE, Weight::Regular, 150.0),
        Quantity::Count.text(line.last)
    );
    if line.contender.out_of_memory() > 0 {
        text += " (out of memory)";
    }
    text
}

/// The room that the labels need at the right.
fn label_room(by_level: &[Vec<Line<'_>>]) -> f64 {
    let width = |line: &Line<'_>| font::width(&label(line), LABEL_SIZE, Weight::Regular);
    LEADER + 34.0 + by_level.iter().flatten().map(width).fold(0.0, f64::max)
}

fn draw_level(scene: &mut Scene, frame: Frame, lines: &[Line<'_>], highest: f64, end: f64) -> Hover {
    let time = Scale::new(Quantity::Nanos, end, frame.left, frame.right(), 8);
    let scale = Scale::roomy(Quantity::Count, highest, frame.bottom(), frame.top, 5);
    frame.rows(scene, &scale);
    frame.columns(scene, &time, &format!("{} since the start", time.unit.name));
    let x = |column: usize| time.at(moment(column, end));
    for line in lines {
        band(scene, line, &x, &scale);
    }
    let mut hover = Hover::new(&frame, end);
    let mut ends: Vec<(Point, usize)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let points = || {
            line.values.iter().enumerate().map(|(column, spread)| Some((x(column), scale.at(spread.as_ref()?.middle))))
        };
        for points in steps(points()) {
            let stroke = Stroke { colour: line.look.colour, width: 2.0, dashes: line.look.dashes };
            scene.push(Mark::Line { points, stroke });
        }
        // Symbols of different lines stand at different moments, so that lines at the same height show all of them.
        let first = COLUMNS / 12 + number * 40 / lines.len().max(1);
        for at in points().skip(first).step_by(40).flatten() {
            let (symbol, colour) = (line.look.symbol, line.look.colour);
            scene.push(Mark::Symbol { at, symbol, size: 7.0, colour, tip: None });
        }
        ends.extend(points().flatten().last().map(|end| (end, number)));
        hover.add(&line.contender.label, Quantity::Count, &line.values);
    }
    ends.sort_by(|one, other| one.0.1.total_cmp(&other.0.1));
    let wanted: Vec<f64> = ends.iter().map(|(end, _)| end.1).collect();
    for ((end, number), y) in ends.iter().zip(spread(&wanted, LABEL_GAP, frame.top, frame.bottom())) {
        end_label(scene, *end, (frame.right() + LEADER, y), lines[*number].look, &label(&lines[*number]));
    }
    hover
}

/// The area between the lowest and the highest seed.
fn band(scene: &mut Scene, line: &Line<'_>, x: &dyn Fn(usize) -> f64, scale: &Scale) {
    if !line.values.iter().flatten().any(Spread::is_wide) {
        return;
    }
    let edge = |value: fn(&Spread) -> f64| -> Vec<Point> {
        let points = line.values.iter().enumerate();
        let points = points.map(|(column, spread)| Some((x(column), scale.at(value(spread.as_ref()?)))));
        steps(points).into_iter().next().unwrap_or_default()
    };
    let mut points = edge(|spread| spread.high);
    points.extend(edge(|spread| spread.low).into_iter().rev());
    scene.push(Mark::Area { points, fill: line.look.colour, cover: 18 });
}

fn table(subject: &Subject<'_>, by_level: &[Vec<Line<'_>>]) -> Table {
    let mut table = Table::new(&[
        "time_ns",
        "allocator",
        "seeds",
        "level2_splits",
        "level2_splits_lowest",
        "level2_splits_highest",
        "level3_splits",
        "level3_splits_lowest",
        "level3_splits_highest",
    ]);
    for (number, contender) in subject.contenders.iter().enumerate() {
        for column in 0..COLUMNS {
            let [level2, low2, high2] = cells(by_level[0][number].values[column]);
            let [level3, low3, high3] = cells(by_level[1][number].values[column]);
            let time = moment(column, subject.end()).round().to_string();
            let seeds = contender.runs.len().to_string();
            table.push([time, contender.label.clone(), seeds, level2, low2, high2, level3, low3, high3]);
        }
    }
    table
}

/// Median, lowest and highest.
fn cells(spread: Option<Spread>) -> [String; 3] {
    let of = |value: fn(Spread) -> f64| cell(spread.map(value));
    [of(|spread| spread.middle), of(|spread| spread.low), of(|spread| spread.high)]
}
