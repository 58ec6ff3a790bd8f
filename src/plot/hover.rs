//! What a reader may ask of a chart over time with a mouse.

use super::axis::{Frame, Quantity};
use super::subject::{COLUMNS, Spread, moment};

/// Values by moment in one frame of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Hover {
    /// Left, top, width and height of the frame in the picture.
    pub frame: [f64; 4],
    /// The moments, evenly over the frame's width, such as `12.5 days`.
    pub moments: Vec<String>,
    /// Lines or layers.
    pub series: Vec<HoverSeries>,
}

/// The values of one line or layer.
#[derive(Clone, Debug, PartialEq)]
pub struct HoverSeries {
    /// What it is called.
    pub label: String,
    /// Its value at each moment, such as `1.95 GiB`; empty where it has none.
    pub values: Vec<String>,
}

impl Hover {
    pub(super) fn new(frame: &Frame, end: f64) -> Self {
        let moments = (0..COLUMNS).map(|column| Quantity::Nanos.text(moment(column, end))).collect();
        Self { frame: [frame.left, frame.top, frame.width, frame.height], moments, series: Vec::new() }
    }

    pub(super) fn add(&mut self, label: &str, quantity: Quantity, values: &[Option<Spread>]) {
        let text = |spread: &Option<Spread>| match spread {
            None => String::new(),
            Some(spread) if spread.is_wide() => format!(
                "{} ({} to {})",
                quantity.text(spread.middle),
                quantity.text(spread.low),
                quantity.text(spread.high)
            ),
            Some(spread) => quantity.text(spread.middle),
        };
        self.series.push(HoverSeries { label: label.to_owned(), values: values.iter().map(text).collect() });
    }
}
