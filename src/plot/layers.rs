//! Values that add up, over time: one small frame for each allocator, with layers on top of each other.

use super::axis::{Frame, Quantity, Scale, spread};
use super::hover::Hover;
use super::page::{LEFT, Page, RIGHT, WIDTH};
use super::scene::{Anchor, Colour, Mark, Point, Scene, Text, Weight};
use super::subject::{COLUMNS, Spread, Subject, moment, resample};
use super::table::{Table, cell};
use super::{Chart, Kind, font};
use crate::result::{Run, Sample};

/// Frames side by side.
const ACROSS: usize = 2;
const HEIGHT: f64 = 110.0;
/// From a frame to the values at its right.
const GAP: f64 = 9.0;
const SMALL: f64 = 11.0;

/// One layer; the first one lies at the bottom.
pub(super) struct Layer {
    pub name: &'static str,
    /// Its name in the table.
    pub column: &'static str,
    pub colour: Colour,
    /// Its size in bytes.
    pub bytes: fn(&Sample) -> f64,
}

/// What a chart of layers says besides its values.
pub(super) struct Words<'a> {
    pub kind: Kind,
    pub title: String,
    /// The meaning of each colour.
    pub key: &'a [&'a str],
}

pub(super) fn draw(subject: &Subject<'_>, layers: &[Layer; 3], words: Words<'_>) -> Chart {
    let mut page = Page::new(&words.title, &notes(subject));
    let key: Vec<(Colour, &str)> = layers.iter().zip(words.key).map(|(layer, text)| (layer.colour, *text)).collect();
    page.bottom -= 8.0;
    page.key(&key);
    let end = subject.end();
    let stacks: Vec<Stack> =
        subject.contenders.iter().map(|contender| Stack::new(subject.shown_run(contender), layers, end)).collect();
    let highest = stacks.iter().map(Stack::highest).fold(0.0, f64::max);
    let pitch = (WIDTH - RIGHT) / ACROSS as f64;
    let values = stacks.iter().flat_map(|stack| stack.values(layers)).map(|(_, text)| text);
    let values = values.map(|text| font::width(&text, SMALL, Weight::Regular)).fold(0.0, f64::max);
    let mut hovers = Vec::new();
    for (row, contenders) in subject.contenders.chunks(ACROSS).enumerate() {
        let top = page.bottom + 32.0;
        for (place, contender) in contenders.iter().enumerate() {
            let left = LEFT + place as f64 * pitch;
            let frame = Frame { left, top, width: pitch - LEFT - GAP - values, height: HEIGHT };
            let stack = &stacks[row * ACROSS + place];
            let name = format!("{}{}", contender.label, subject.seed_mark(stack.seed));
            hovers.push(draw_stack(&mut page.scene, frame, &name, stack, layers, (highest, end)));
        }
        page.bottom = top + HEIGHT + 34.0;
    }
    let table = table(subject, layers, &stacks);
    Chart { kind: words.kind, scene: page.finish(&[subject]), table, hovers, maps: vec![] }
}

fn notes(subject: &Subject<'_>) -> String {
    let seed = match subject.seed_note() {
        none if none.is_empty() => String::new(),
        note => format!("; {note}"),
    };
    let memory = subject.out_of_memory_note();
    format!("{}{seed}. Numbers at the right: at the end.{memory}", subject.setting())
}

/// The layers of one run by column.
struct Stack {
    seed: u64,
    layers: [Vec<Option<f64>>; 3],
}

impl Stack {
    fn new(run: &Run, layers: &[Layer; 3], end: f64) -> Self {
        Self { seed: run.seed, layers: layers.each_ref().map(|layer| resample(run, end, layer.bytes)) }
    }

    /// The heights of the layers' upper edges at a column.
    fn edges(&self, column: usize) -> Option<[f64; 3]> {
        let mut below = 0.0;
        let mut edges = [0.0; 3];
        for (edge, layer) in edges.iter_mut().zip(&self.layers) {
            below += layer[column]?;
            *edge = below;
        }
        Some(edges)
    }

    /// Where the middle of each layer that is there at the end lies, and its size, from the top.
    fn values(&self, layers: &[Layer; 3]) -> Vec<(f64, String)> {
        let Some(edges) = (0..COLUMNS).rev().find_map(|column| self.edges(column)) else { return Vec::new() };
        let value = |number: usize| {
            let below = if number == 0 { 0.0 } else { edges[number - 1] };
            let size = edges[number] - below;
            let text = format!("{} {}", layers[number].name, Quantity::Bytes.text(size));
            (size > 0.0).then_some(((edges[number] + below) / 2.0, text))
        };
        (0..layers.len()).rev().filter_map(value).collect()
    }

    fn highest(&self) -> f64 {
        (0..COLUMNS).filter_map(|column| self.edges(column)).map(|edges| edges[2]).fold(0.0, f64::max)
    }
}

fn draw_stack(
    scene: &mut Scene,
    frame: Frame,
    label: &str,
    stack: &Stack,
    layers: &[Layer; 3],
    (highest, end): (f64, f64),
) -> Hover {
    let time = Scale::new(Quantity::Nanos, end, frame.left, frame.right(), 5);
    let scale = Scale::roomy(Quantity::Bytes, highest, frame.bottom(), frame.top, 3);
    let name = font::shorten(label, 12.0, Weight::Bold, frame.width + 40.0);
    scene.text(Text::new((frame.left, frame.top - 10.0), 12.0, name).bold());
    frame.rows(scene, &scale);
    let x = |column: usize| time.at(moment(column, end));
    let columns: Vec<(f64, [f64; 3])> =
        (0..COLUMNS).filter_map(|column| Some((x(column), stack.edges(column)?))).collect();
    for (number, layer) in layers.iter().enumerate().rev() {
        if columns.iter().all(|(_, edges)| edges[number] == 0.0) {
            continue;
        }
        let mut points: Vec<Point> = Vec::new();
        for (x, edges) in &columns {
            let y = scale.at(edges[number]);
            if let Some(&(_, before)) = points.last()
                && before != y
            {
                points.push((*x, before));
            }
            points.push((*x, y));
        }
        let (first, last) =
            (columns.first().map_or(0.0, |column| column.0), columns.last().map_or(0.0, |column| column.0));
        points.extend([(last, frame.bottom()), (first, frame.bottom())]);
        scene.push(Mark::Area { points: without_middles(points), fill: layer.colour, cover: 100 });
    }
    frame.columns(scene, &time, "");
    units(scene, frame, &scale, &time);
    values(scene, frame, &scale, &stack.values(layers));
    hover(&frame, label, stack, layers, end)
}

/// Leaves out points on a level line between two others.
fn without_middles(points: Vec<Point>) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        if let [.., before, last] = kept[..]
            && before.1 == last.1
            && last.1 == point.1
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}

/// The units of both axes, in the corners.
fn units(scene: &mut Scene, frame: Frame, scale: &Scale, time: &Scale) {
    let up = Text::new((frame.left - 6.0, frame.top - 10.0), SMALL, scale.unit.name);
    scene.text(up.grey().anchored(Anchor::End));
    let along = Text::new((frame.right() + 10.0, frame.bottom() + 16.0), SMALL, time.unit.name);
    scene.text(along.grey());
}

/// The size of each layer at the end, at the right of it.
fn values(scene: &mut Scene, frame: Frame, scale: &Scale, values: &[(f64, String)]) {
    let wanted: Vec<f64> = values.iter().map(|(middle, _)| scale.at(*middle)).collect();
    let places = spread(&wanted, 14.0, frame.top + 4.0, frame.bottom() - 3.0);
    for ((wanted, (_, text)), y) in wanted.iter().zip(values).zip(places) {
        scene.line(vec![(frame.right() + 1.0, *wanted), (frame.right() + 6.0, y)], super::palette::AXIS, 0.8);
        scene.text(Text::new((frame.right() + GAP, y + 4.0), SMALL, text.as_str()));
    }
}

fn hover(frame: &Frame, label: &str, stack: &Stack, layers: &[Layer; 3], end: f64) -> Hover {
    let mut hover = Hover::new(frame, end);
    for (layer, values) in layers.iter().zip(&stack.layers).rev() {
        let spreads: Vec<Option<Spread>> = values.iter().map(|value| Spread::of(*value)).collect();
        hover.add(&format!("{label}: {}", layer.name), Quantity::Bytes, &spreads);
    }
    hover
}

fn table(subject: &Subject<'_>, layers: &[Layer; 3], stacks: &[Stack]) -> Table {
    let [one, two, three] = layers.each_ref().map(|layer| layer.column);
    let mut table = Table::new(&["time_ns", "allocator", "seed", one, two, three]);
    for (contender, stack) in subject.contenders.iter().zip(stacks) {
        for column in 0..COLUMNS {
            let of = |layer: usize| cell(stack.layers[layer][column]);
            table.push([
                moment(column, subject.end()).round().to_string(),
                contender.label.clone(),
                stack.seed.to_string(),
                of(0),
                of(1),
                of(2),
            ]);
        }
    }
    table
}
