//! Axes: where the ticks lie, and what they say.

use super::palette::{AXIS, GRID};
use super::scene::{Anchor, Point, Scene, Text};

/// Size of the letters at ticks.
pub(super) const TICK_SIZE: f64 = 11.0;

/// What a number on an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// Things: only whole numbers.
    Count,
    /// Numbers with a fraction.
    Real,
    /// Bytes, in powers of 1024.
    Bytes,
    /// Nanoseconds.
    Nanos,
}

/// The unit that an axis shows its numbers in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unit {
    /// How many of the quantity one is.
    pub size: f64,
    /// Its name; empty for plain numbers.
    pub name: &'static str,
    /// Distances between ticks that are easy to read, from 1 on in this unit; more follow by tenfold.
    steps: &'static [f64],
}

const DECIMAL: &[f64] = &[1.0, 2.0, 5.0];
const BINARY: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
const BYTES: [Unit; 5] = [
    Unit { size: 1.0, name: "bytes", steps: BINARY },
    Unit { size: 1024.0, name: "KiB", steps: BINARY },
    Unit { size: 1_048_576.0, name: "MiB", steps: BINARY },
    Unit { size: 1_073_741_824.0, name: "GiB", steps: BINARY },
    Unit { size: 1_099_511_627_776.0, name: "TiB", steps: BINARY },
];
const NANOS: [Unit; 7] = [
    Unit { size: 1.0, name: "ns", steps: DECIMAL },
    Unit { size: 1e3, name: "µs", steps: DECIMAL },
    Unit { size: 1e6, name: "ms", steps: DECIMAL },
    Unit { size: 1e9, name: "seconds", steps: &[1.0, 2.0, 5.0, 15.0, 30.0] },
    Unit { size: 60e9, name: "minutes", steps: &[1.0, 2.0, 5.0, 15.0, 30.0] },
    Unit { size: 3600e9, name: "hours", steps: &[1.0, 2.0, 6.0, 12.0, 24.0] },
    Unit { size: 86_400e9, name: "days", steps: DECIMAL },
];

impl Quantity {
    /// The largest unit of which the quantity is at least one, or one and a half for time.
    pub(super) fn unit(self, largest: f64) -> Unit {
        let of = |units: &[Unit], least: f64| {
            *units.iter().rev().find(|unit| largest >= least * unit.size).unwrap_or(&units[0])
        };
        match self {
            Self::Count | Self::Real => Unit { size: 1.0, name: "", steps: DECIMAL },
            Self::Bytes => of(&BYTES, 1.0),
            Self::Nanos => of(&NANOS, 1.5),
        }
    }

    /// The value with its unit: `975`, `1.95 GiB`, `12.5 days`.
    pub(super) fn text(self, value: f64) -> String {
        let unit = self.unit(value);
        let number = grouped(value / unit.size);
        if unit.name.is_empty() { number } else { format!("{number} {}", unit.name) }
    }
}

/// A number with three digits or all before the point, and commas between thousands. One that is too small for that is
/// said to be so, rather than 0.
pub(super) fn grouped(value: f64) -> String {
    if value > 0.0 && value < SMALLEST {
        return "<0.01".to_owned();
    }
    with_digits(value, digits(value))
}

/// The same with zeros at the end, for numbers of different size beside each other.
pub(super) fn fixed(value: f64) -> String {
    match digits(value) {
        0 => grouped(value),
        _ if value == 0.0 || value.abs() < SMALLEST => grouped(value),
        digits => format!("{value:.digits$}"),
    }
}

/// What is at least shown as 0.01.
const SMALLEST: f64 = 0.005;

/// Digits behind the point that are worth showing.
fn digits(value: f64) -> usize {
    match value.abs() {
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => 0,
    }
}

/// A number with at most so many digits behind the point, and commas between thousands.
fn with_digits(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) && digit != '-' && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    fraction.map_or(grouped.clone(), |fraction| format!("{grouped}.{fraction}"))
}

/// From values to pixels, with ticks.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    /// The value at the end; the start is 0.
    pub largest: f64,
    /// The unit that ticks are counted in.
    pub unit: Unit,
    /// Values with a tick, ascending from 0.
    pub ticks: Vec<f64>,
    from: f64,
    to: f64,
}

impl Scale {
    /// A scale from 0 to `largest` on pixels `from` to `to`, with at most about so many ticks.
    pub(super) fn new(quantity: Quantity, largest: f64, from: f64, to: f64, ticks: usize) -> Self {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let unit = quantity.unit(largest);
        let step = step(quantity, largest / unit.size, unit, ticks.max(1) as f64) * unit.size;
        let count = (largest / step + 1e-9).floor() as usize;
        Self { largest, unit, ticks: (0..=count).map(|number| number as f64 * step).collect(), from, to }
    }

    /// The same, with room above the largest value: up to the next tick if that is near.
    pub(super) fn roomy(quantity: Quantity, largest: f64, from: f64, to: f64, ticks: usize) -> Self {
        let plain = Self::new(quantity, largest, from, to, ticks);
        let step = plain.ticks.get(1).copied().unwrap_or(plain.largest);
        let next = (plain.largest / step - 1e-9).ceil() * step;
        let near = next <= plain.largest * 1.12;
        let mut roomy = Self { largest: if near { next } else { plain.largest * 1.04 }, ..plain };
        if near && roomy.ticks.last().is_some_and(|last| *last < next - step / 2.0) {
            roomy.ticks.push(next);
        }
        roomy
    }

    /// Where a value lies.
    pub(super) fn at(&self, value: f64) -> f64 {
        self.from + (self.to - self.from) * (value / self.largest)
    }

    /// What stands at a tick: with as many digits as neighbours differ in.
    pub(super) fn label(&self, value: f64) -> String {
        let step = self.ticks.get(1).copied().unwrap_or(self.largest) / self.unit.size;
        let (mut needed, mut rest) = (digits(value / self.unit.size), step * 100.0);
        while step > 0.0 && rest < 1.0 - 1e-9 {
            (needed, rest) = (needed + 1, rest * 10.0);
        }
        with_digits(value / self.unit.size, needed)
    }
}

/// The smallest easy step that gives at most so many ticks.
fn step(quantity: Quantity, largest: f64, unit: Unit, ticks: f64) -> f64 {
    let least = largest / ticks;
    // Steps of days and of plain numbers go on by tenfold; those of minutes end at the next unit.
    let mut factor = if quantity == Quantity::Count { 1.0 } else { 1e-6 };
    loop {
        let steps = if factor < 1.0 { DECIMAL } else { unit.steps };
        if let Some(step) = steps.iter().map(|step| step * factor).find(|step| *step >= least * (1.0 - 1e-9)) {
            return step;
        }
        factor *= 10.0;
    }
}

/// The place of a chart's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// Horizontal lines of a grid with the values of the vertical axis.
    pub(super) fn rows(&self, scene: &mut Scene, scale: &Scale) {
        for &tick in &scale.ticks {
            let y = scale.at(tick);
            let colour = if tick == 0.0 { AXIS } else { GRID };
            scene.line(vec![(self.left, y), (self.right(), y)], colour, 1.0);
            let text = Text::new((self.left - 6.0, y + 4.0), TICK_SIZE, scale.label(tick));
            scene.text(text.grey().anchored(Anchor::End));
        }
    }

    /// Ticks below with the values of the horizontal axis, and its title below them at the right end.
    pub(super) fn columns(&self, scene: &mut Scene, scale: &Scale, title: &str) {
        for &tick in &scale.ticks {
            let x = scale.at(tick);
            scene.line(vec![(x, self.bottom()), (x, self.bottom() + 4.0)], AXIS, 1.0);
            let text = Text::new((x, self.bottom() + 16.0), TICK_SIZE, scale.label(tick));
            scene.text(text.grey().anchored(Anchor::Middle));
        }
        if !title.is_empty() {
            let text = Text::new((self.right(), self.bottom() + 31.0), TICK_SIZE, title);
            scene.text(text.grey().anchored(Anchor::End));
        }
    }
}

/// The corners of a line that keeps each value until the next one; a part without values interrupts it.
pub(super) fn steps(points: impl Iterator<Item = Option<Point>>) -> Vec<Vec<Point>> {
    let mut lines: Vec<Vec<Point>> = vec![Vec::new()];
    for point in points {
        let line = lines.last_mut().expect("there is always a line");
        match (point, line.last().copied()) {
            (None, None) => {}
            (None, Some(_)) => lines.push(Vec::new()),
            (Some(point), None) => line.push(point),
            (Some((x, y)), Some((_, last_y))) => {
                // Of several points on a level line the ends are enough.
                if line.len() > 1 && line[line.len() - 2].1 == last_y {
                    line.pop();
                }
                line.push((x, last_y));
                if y != last_y {
                    line.push((x, y));
                }
            }
        }
    }
    lines.retain(|line| line.len() > 1);
    lines
}

/// Heights for labels that want these heights, ascending, at least `gap` apart and inside `from..=to` if they fit.
pub(super) fn spread(wanted: &[f64], gap: f64, from: f64, to: f64) -> Vec<f64> {
    // Neighbours that are too close form a group around the mean of what they want.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    let half = |members: usize| (members - 1) as f64 * gap / 2.0;
    let fit = |centre: f64, members: usize| centre.min(to - half(members)).max(from + half(members));
    for &want in wanted {
        groups.push((fit(want, 1), 1));
        while let [.., (upper, many), (lower, more)] = groups[..]
            && upper + half(many) + gap > lower - half(more) + 1e-9
        {
            let members = many + more;
            let centre = (upper * many as f64 + lower * more as f64) / members as f64;
            groups.truncate(groups.len() - 2);
            groups.push((fit(centre, members), members));
        }
    }
    let place = |&(centre, members): &(f64, usize)| {
        (0..members).map(move |member| centre - half(members) + member as f64 * gap).collect::<Vec<_>>()
    };
    groups.iter().flat_map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(quantity: Quantity, largest: f64, ticks: usize) -> (Vec<String>, &'static str) {
        let scale = Scale::new(quantity, largest, 0.0, 100.0, ticks);
        (scale.ticks.iter().map(|tick| scale.label(*tick)).collect(), scale.unit.name)
    }

    #[test]
    fn ticks_are_easy_numbers_in_a_fitting_unit() {
        let is = |got: (Vec<String>, &str), ticks: &[&str], unit: &str| {
            assert_eq!(got.0, ticks);
            assert_eq!(got.1, unit);
        };
        is(labels(Quantity::Count, 3.0, 5), &["0", "1", "2", "3"], "");
        is(labels(Quantity::Count, 975.0, 5), &["0", "200", "400", "600", "800"], "");
        is(labels(Quantity::Count, 0.0, 5), &["0", "1"], "");
        is(labels(Quantity::Count, 123_456.0, 3), &["0", "50,000", "100,000"], "");
        is(labels(Quantity::Nanos, 30.0 * 86_400e9, 6), &["0", "5", "10", "15", "20", "25", "30"], "days");
        is(labels(Quantity::Nanos, 90e9, 5), &["0", "0.5", "1", "1.5"], "minutes");
        is(labels(Quantity::Nanos, 5400e9, 4), &["0", "0.5", "1", "1.5"], "hours");
        is(labels(Quantity::Bytes, 64.0 * 1024.0 * 1_048_576.0, 4), &["0", "16", "32", "48", "64"], "GiB");
        is(labels(Quantity::Real, 0.004, 5), &["0", "0.001", "0.002", "0.003", "0.004"], "");
        is(labels(Quantity::Real, 101.5, 2), &["0", "100"], "");
    }

    #[test]
    fn a_roomy_scale_ends_at_a_tick_that_is_near() {
        let scale = |largest| Scale::roomy(Quantity::Count, largest, 0.0, 100.0, 5);
        assert_eq!((scale(975.0).largest, scale(975.0).ticks.len()), (1000.0, 6));
        assert_eq!(scale(500.0).at(250.0), 50.0);
        assert_eq!((scale(1000.0).largest, scale(1000.0).ticks.len()), (1000.0, 6));
        assert_eq!((scale(1050.0).largest, scale(1050.0).ticks.len()), (1092.0, 3));
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        let text: Vec<_> = [0.0, 0.25, 9.999, 12.34, 975.4, 1234.0, 1e7, -1234.0, -123.0].map(grouped).into();
        assert_eq!(text, ["0", "0.25", "10", "12.3", "975", "1,234", "10,000,000", "-1,234", "-123"]);
        assert_eq!([0.004_99, 0.005_01, 1e-12].map(grouped), ["<0.01", "0.01", "<0.01"]);
        assert_eq!(Quantity::Bytes.text(2_095_000_000.0), "1.95 GiB");
        assert_eq!(Quantity::Nanos.text(30.0 * 86_400e9), "30 days");
        assert_eq!(Quantity::Count.text(12345.0), "12,345");
    }

    #[test]
    fn steps_keep_a_value_until_the_next() {
        let points = [Some((0.0, 5.0)), Some((1.0, 5.0)), Some((2.0, 5.0)), Some((3.0, 7.0)), None, None];
        assert_eq!(steps(points.into_iter()), [[(0.0, 5.0), (3.0, 5.0), (3.0, 7.0)]]);
    }

    proptest! {
        #[test]
        fn labels_keep_their_distance_and_order(mut wanted in prop::collection::vec(0.0..100.0_f64, 1..8)) {
            wanted.sort_by(f64::total_cmp);
            let places = spread(&wanted, 12.0, 0.0, 100.0);
            prop_assert_eq!(places.len(), wanted.len());
            prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 12.0 - 1e-6), "{:?}", places);
            prop_assert!(places[0] >= -1e-6 && places[places.len() - 1] <= 100.0 + 1e-6, "{:?}", places);
        }
    }
}
