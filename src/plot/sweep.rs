//! A metric against a value of the scenario: a line for each allocator, with the interval of each point.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Value;
use thiserror::Error;

use super::axis::{Frame, Quantity, Scale, TICK_SIZE, spread};
use super::page::{LABEL_SIZE, LEFT, Page, RIGHT, WIDTH, end_label};
use super::palette::{AXIS, Look, TEXT};
use super::scene::{Anchor, Mark, Point, Scene, Stroke, Text, Weight};
use super::subject::{Contender, Subject, one_line};
use super::table::{Table, cell};
use super::{Chart, Kind, font};
use crate::compare::{LEAST_PAIRS, Summary};
use crate::result::Run;
use crate::result::counters::{DIRECT_MAP_4K, LEVEL2_SPLITS};
use crate::units::{Bytes, SimDuration};

const HEIGHT: f64 = 240.0;
const LABEL_GAP: f64 = 16.0;
const LEADER: f64 = 22.0;
/// What may differ between the results of a sweep besides the value of the sweep.
const MAY_DIFFER: [&str; 5] = ["$schema", "comment", "name", "schema_version", "seed"];

/// Why results are no sweep.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SweepError {
    /// Fewer than two.
    #[error("a sweep takes results of at least two scenarios")]
    TooFew,
    /// A scenario has no such value.
    #[error("the scenario `{scenario}` has no single value `{key}`")]
    Missing {
        /// The scenario's name.
        scenario: String,
        /// The path of the value.
        key: String,
    },
    /// Two scenarios have the same value.
    #[error("two results have the same `{key}`, {value}, but differ elsewhere")]
    Same {
        /// The path of the value.
        key: String,
        /// The value.
        value: String,
    },
    /// Something else differs too.
    #[error("the results differ not only in `{key}` but also in `{other}`")]
    Other {
        /// The path of the value.
        key: String,
        /// The path of another value that differs.
        other: String,
    },
}

/// What a frame shows.
struct Metric {
    heading: &'static str,
    name: &'static str,
    quantity: Quantity,
    value: fn(&Run) -> Option<f64>,
}

const METRICS: [Metric; 2] = [
    Metric {
        heading: "2 MiB pages split (level 2)",
        name: LEVEL2_SPLITS,
        quantity: Quantity::Count,
        value: |run| run.growth(LEVEL2_SPLITS).map(|splits| splits as f64),
    },
    Metric {
        heading: "Memory in 4 KiB pages at the end",
        name: "direct_map_4k_bytes",
        quantity: Quantity::Bytes,
        value: |run| run.counters.get(DIRECT_MAP_4K).map(|kb| kb as f64 * 1024.0),
    },
];

impl Metric {
    /// The heading with the unit of the axis.
    fn heading_for(&self, highest: f64) -> String {
        match self.quantity.unit(highest).name {
            "" => self.heading.to_owned(),
            unit => format!("{}, {unit}", self.heading),
        }
    }
}

/// One scenario of a sweep.
struct Step<'a> {
    subject: &'a Subject<'a>,
    /// The value as the scenario says it.
    text: String,
    /// The value as a number, if it is one, a size or a duration.
    size: Option<f64>,
}

/// Draws metrics against the value that the scenarios have at `key`, such as `machine.memory`.
///
/// # Errors
/// [`SweepError`] if the scenarios do not differ in that value alone.
pub fn sweep(subjects: &[Subject<'_>], key: &str) -> Result<Chart, SweepError> {
    let mut steps = subjects.iter().map(|subject| step(subject, key)).collect::<Result<Vec<_>, _>>()?;
    let [first, rest @ ..] = steps.as_slice() else { return Err(SweepError::TooFew) };
    if rest.is_empty() {
        return Err(SweepError::TooFew);
    }
    for other in rest {
        let swept = Swept { key, one: &first.text, other: &other.text };
        if let Some(path) = difference(&first.subject.stamp.resolved, &other.subject.stamp.resolved, "", &swept) {
            return Err(SweepError::Other { key: key.to_owned(), other: path });
        }
    }
    steps.sort_by(|one, other| match (one.size, other.size) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => Ordering::Equal,
    });
    match steps.windows(2).find(|pair| pair[0].text == pair[1].text) {
        Some(pair) => Err(SweepError::Same { key: key.to_owned(), value: pair[0].text.clone() }),
        None => Ok(draw(&steps, key)),
    }
}

fn step<'a>(subject: &'a Subject<'a>, key: &str) -> Result<Step<'a>, SweepError> {
    let pointer: String =
        key.split('.').map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
    let missing = || SweepError::Missing { scenario: subject.name(), key: key.to_owned() };
    let (text, size) = match subject.stamp.resolved.pointer(&pointer).ok_or_else(missing)? {
        Value::String(text) if key == "kernel" || key.ends_with(".kernel") => (text.clone(), release(text)),
        Value::String(text) => (text.clone(), size_of(text)),
        Value::Number(number) => (number.to_string(), number.as_f64()),
        Value::Bool(flag) => (flag.to_string(), None),
        _ => return Err(missing()),
    };
    Ok(Step { subject, text: one_line(&text), size })
}

/// What a size or a duration amounts to.
fn size_of(text: &str) -> Option<f64> {
    let bytes = text.parse::<Bytes>().ok().map(|bytes| bytes.get() as f64);
    bytes.or_else(|| text.parse::<SimDuration>().ok().map(|duration| duration.nanos() as f64))
}

/// A number that orders kernel releases: 5.9 comes before 5.17.
fn release(text: &str) -> Option<f64> {
    let (major, minor) = text.split_once('.')?;
    let [major, minor] = [major, minor].map(|part| part.parse::<u16>().ok().map(f64::from));
    Some(major? * 65_536.0 + minor?)
}

/// The value of a sweep in two of its scenarios.
struct Swept<'a> {
    key: &'a str,
    one: &'a str,
    other: &'a str,
}

impl Swept<'_> {
    /// Whether a value at this path is that of the sweep, or one that takes after it, as each allocator's `kernel` takes
    /// after the scenario's.
    fn explains(&self, one: &Value, other: &Value, path: &str) -> bool {
        let follows = path.strip_suffix(self.key).is_some_and(|before| before.ends_with("]."));
        path == self.key || (follows && one.as_str() == Some(self.one) && other.as_str() == Some(self.other))
    }
}

/// The path of the first value in which two scenarios differ, besides that of the sweep and those that may.
fn difference(one: &Value, other: &Value, path: &str, swept: &Swept<'_>) -> Option<String> {
    if one == other || MAY_DIFFER.contains(&path) || swept.explains(one, other, path) {
        return None;
    }
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names.into_iter().find_map(|name| {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let [left, right] = [left, right].map(|object| object.get(name).unwrap_or(&Value::Null));
                difference(left, right, &below, swept)
            })
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => left
            .iter()
            .zip(right)
            .enumerate()
            .find_map(|(index, (left, right))| difference(left, right, &format!("{path}[{index}]"), swept)),
        _ => Some(path.to_owned()),
    }
}

/// The labels of the allocators, in the order in which they first come.
fn labels(steps: &[Step<'_>]) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for contender in steps.iter().flat_map(|step| &step.subject.contenders) {
        if !labels.contains(&contender.label) {
            labels.push(contender.label.clone());
        }
    }
    labels
}

/// The points of an allocator: the number of the step, and the summary of its seeds.
type Points = Vec<(usize, Summary)>;

/// The points of the allocator with this label.
fn points(steps: &[Step<'_>], label: &str, metric: &Metric) -> Points {
    let of = |contender: &Contender<'_>| -> Option<Summary> {
        let values: Vec<f64> = contender.runs.iter().filter_map(|run| (metric.value)(run)).collect();
        Summary::of(&values)
    };
    let find = |step: &Step<'_>| step.subject.contenders.iter().find(|contender| contender.label == label).and_then(of);
    steps.iter().enumerate().filter_map(|(number, step)| Some((number, find(step)?))).collect()
}

/// What a bar spans: the interval of the median, or all seeds where there are too few for one.
fn span(summary: &Summary) -> (f64, f64) {
    summary.interval.unwrap_or((summary.least, summary.most))
}

fn draw(steps: &[Step<'_>], key: &str) -> Chart {
    let labels = labels(steps);
    let names: BTreeSet<String> = steps.iter().map(|step| step.subject.name()).collect();
    let title = format!("Large pages split under {} text allocators against {}", labels.len(), one_line(key));
    let seeds = steps.iter().map(|step| step.subject.seeds()).max().unwrap_or(0);
    let bars = match seeds {
        0 | 1 => "one seed",
        few if few < LEAST_PAIRS => "point: median of the seeds; bar: lowest to highest",
        _ => "point: median of the seeds; bar: its 95 % interval",
    };
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let mut page = Page::new(
        &title,
        &format!("Scenario {names}, {seeds} seeds; {bars}.{}", out_of_memory_note(steps))
            .replace("1 seeds; one seed", "one seed"),
    );
    let mut table = Table::new(&[
        "metric",
        key,
        "allocator",
        "seeds",
        "median",
        "interval_low",
        "interval_high",
        "lowest",
        "highest",
    ]);
    let width =
        labels.iter().map(|label| font::width(&short_name(label), LABEL_SIZE, Weight::Regular)).fold(0.0, f64::max);
    for metric in &METRICS {
        let lines: Vec<Points> = labels.iter().map(|label| points(steps, label, metric)).collect();
        let highest = lines.iter().flatten().map(|(_, summary)| span(summary).1).fold(0.0, f64::max);
        page.heading(&metric.heading_for(highest));
        let frame = Frame {
            left: LEFT,
            top: page.bottom + 14.0,
            width: WIDTH - LEFT - RIGHT - LEADER - 34.0 - width,
            height: HEIGHT.max(labels.len() as f64 * LABEL_GAP),
        };
        draw_metric(&mut page.scene, frame, steps, (metric.quantity, highest), &labels, &lines);
        let title = Text::new((frame.right(), frame.bottom() + 31.0), TICK_SIZE, one_line(key));
        page.scene.text(title.grey().anchored(Anchor::End));
        page.bottom = frame.bottom() + 40.0;
        for (label, line) in labels.iter().zip(&lines) {
            list(&mut table, metric, steps, label, line);
        }
    }
    let subjects: Vec<&Subject<'_>> = steps.iter().map(|step| step.subject).collect();
    Chart { kind: Kind::Sweep, scene: page.finish(&subjects), table, hovers: vec![], maps: vec![] }
}

/// Where runs ended because memory ran out, as a sentence; nothing if none did.
fn out_of_memory_note(steps: &[Step<'_>]) -> String {
    let ended = |step: &&Step<'_>| step.subject.contenders.iter().any(|contender| contender.out_of_memory() > 0);
    match steps.iter().filter(ended).map(|step| step.text.as_str()).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        values => format!(" Some ran out of memory and stopped there: at {}.", values.join(", ")),
    }
}

/// The points of an allocator as rows.
fn list(table: &mut Table, metric: &Metric, steps: &[Step<'_>], label: &str, line: &Points) {
    for (number, summary) in line {
        table.push([
            metric.name.to_owned(),
            steps[*number].text.clone(),
            label.to_owned(),
            summary.count.to_string(),
            summary.median.to_string(),
            cell(summary.interval.map(|interval| interval.0)),
            cell(summary.interval.map(|interval| interval.1)),
            summary.least.to_string(),
            summary.most.to_string(),
        ]);
    }
}

fn short_name(label: &str) -> String {
    font::shorten(label, LABEL_SIZE, Weight::Regular, 150.0)
}

fn draw_metric(
    scene: &mut Scene,
    frame: Frame,
    steps: &[Step<'_>],
    (quantity, highest): (Quantity, f64),
    labels: &[String],
    lines: &[Points],
) {
    let scale = Scale::roomy(quantity, highest, frame.bottom(), frame.top, 5);
    frame.rows(scene, &scale);
    // Steps stand at equal distances: memory and rates are mostly doubled from one to the next.
    let pitch = frame.width / steps.len() as f64;
    let x = |number: usize| frame.left + pitch * (number as f64 + 0.5);
    for (number, step) in steps.iter().enumerate() {
        let at = (x(number), frame.bottom() + 16.0);
        scene.line(vec![(at.0, frame.bottom()), (at.0, frame.bottom() + 4.0)], AXIS, 1.0);
        let text = font::shorten(&step.text, TICK_SIZE, Weight::Regular, pitch - 4.0);
        scene.text(Text::new(at, TICK_SIZE, text).grey().anchored(Anchor::Middle));
    }
    let mut ends: Vec<(Point, usize)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let look = Look::of(number);
        // Bars of different allocators stand beside each other.
        let shift = (number as f64 - (lines.len() - 1) as f64 / 2.0) * (pitch * 0.5 / lines.len() as f64).min(9.0);
        let at = |(step, summary): &(usize, Summary)| (x(*step) + shift, scale.at(summary.median));
        let stroke = Stroke { colour: look.colour, width: 1.6, dashes: look.dashes };
        scene.push(Mark::Line { points: line.iter().map(at).collect(), stroke });
        for point in line {
            let (low, high) = span(&point.1);
            bar(scene, at(point).0, scale.at(low), scale.at(high));
            let tip = Some(format!("{}, {}: {}", labels[number], steps[point.0].text, quantity.text(point.1.median)));
            scene.push(Mark::Symbol { at: at(point), symbol: look.symbol, size: 8.0, colour: look.colour, tip });
        }
        ends.extend(line.last().map(|point| (at(point), number)));
    }
    ends.sort_by(|one, other| one.0.1.total_cmp(&other.0.1));
    let wanted: Vec<f64> = ends.iter().map(|(end, _)| end.1).collect();
    for ((end, number), y) in ends.iter().zip(spread(&wanted, LABEL_GAP, frame.top, frame.bottom())) {
        end_label(scene, *end, (frame.right() + LEADER, y), Look::of(*number), &short_name(&labels[*number]));
    }
}

/// An upright bar with short ends; nothing if it has no length.
fn bar(scene: &mut Scene, x: f64, low: f64, high: f64) {
    if (low - high).abs() < 0.5 {
        return;
    }
    scene.line(vec![(x, low), (x, high)], TEXT, 1.0);
    for y in [low, high] {
        scene.line(vec![(x - 3.0, y), (x + 3.0, y)], TEXT, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::ResultDoc;
    use crate::result::testing::two_runs;

    fn with(memory: &str, hash: u8, cpus: u64) -> ResultDoc {
        let mut result = two_runs();
        result.scenario.hash = hash.to_string();
        result.scenario.name = format!("host-{hash}");
        result.scenario.resolved = serde_json::json!({"machine": {"memory": memory, "cpus": cpus}, "seed": hash});
        result
    }

    #[test]
    fn scenarios_are_ordered_by_the_value() {
        let results = [with("256GiB", 1, 1), with("64GiB", 2, 1), with("1TiB", 3, 1)];
        let chart = sweep(&Subject::gather(&results).unwrap(), "machine.memory").unwrap();
        let csv = chart.table.csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "metric,machine.memory,allocator,seeds,median,interval_low,interval_high,lowest,highest");
        let order: Vec<&str> = lines[1..4].iter().map(|line| line.split(',').nth(1).unwrap()).collect();
        assert_eq!(order, ["64GiB", "256GiB", "1TiB"]);
        assert_eq!(lines[1], "direct_map_level2_splits,64GiB,per-prog,1,12,,,12,12");
    }

    #[test]
    fn only_one_value_may_differ() {
        let error =
            |results: &[ResultDoc], key| sweep(&Subject::gather(results).unwrap(), key).unwrap_err().to_string();
        let (one, two) = (with("64GiB", 1, 1), with("128GiB", 2, 2));
        let both = [one.clone(), two];
        assert_eq!(
            error(&both, "machine.memory"),
            "the results differ not only in `machine.memory` but also in `machine.cpus`"
        );
        assert_eq!(error(&both, "machine"), "the scenario `host-1` has no single value `machine`");
        assert_eq!(error(&both, "no.such"), "the scenario `host-1` has no single value `no.such`");
        assert_eq!(error(&both[..1], "machine.memory"), "a sweep takes results of at least two scenarios");
        let same = [one, with("64GiB", 3, 1)];
        assert_eq!(
            error(&same, "machine.memory"),
            "two results have the same `machine.memory`, 64GiB, but differ elsewhere"
        );
    }

    #[test]
    fn what_takes_after_the_value_may_differ_too() {
        let with = |hash: u8, kernel: &str, first: &str| {
            let mut result = with("64GiB", hash, 1);
            let allocators = serde_json::json!([{"kernel": first, "label": "a"}, {"kernel": kernel, "label": "b"}]);
            result.scenario.resolved = serde_json::json!({"kernel": kernel, "allocators": allocators});
            result
        };
        let results = [with(1, "6.1", "6.1"), with(2, "5.17", "5.17"), with(3, "5.9", "5.9")];
        let chart = sweep(&Subject::gather(&results).unwrap(), "kernel").unwrap();
        let csv = chart.table.csv();
        let order: Vec<&str> = csv.lines().skip(1).take(3).map(|line| line.split(',').nth(1).unwrap()).collect();
        assert_eq!(order, ["5.9", "5.17", "6.1"]);
        let results = [with(1, "6.1", "6.1"), with(2, "5.17", "6.18")];
        let error = sweep(&Subject::gather(&results).unwrap(), "kernel").unwrap_err();
        assert_eq!(error.to_string(), "the results differ not only in `kernel` but also in `allocators[0].kernel`");
    }
}
