//! A picture as a list of marks: what both the SVG and the PNG of a chart are made from.
//!
//! Lengths are in pixels of a screen, from the top left corner.

use super::font;

/// A place in a picture: right, down.
pub(super) type Point = (f64, f64);

/// An opaque colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// Red, green and blue.
    pub rgb: [u8; 3],
}

/// Which point of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How heavy letters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// One line of text; `at` is on its base line.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub at: Point,
    pub text: String,
    pub size: f64,
    pub weight: Weight,
    pub colour: Colour,
    pub anchor: Anchor,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    /// Lengths of dashes and gaps in turn; empty for a line without gaps.
    pub dashes: &'static [f64],
}

/// What marks a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Circle,
    Square,
    Up,
    Diamond,
    Down,
    Cross,
    Ring,
}

/// Cells of a grid side by side, in one row or in several whole ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub row: u64,
    pub column: u64,
    pub cells: u64,
    pub rows: u64,
}

/// Cells of one colour in a grid.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The letter of the state that these cells are in.
    pub state: char,
    pub colour: Colour,
    pub stretches: Vec<Stretch>,
}

/// Something that is drawn.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    /// A filled rectangle; `tip` is what a browser shows when the mouse is on it.
    Rect { at: Point, size: Point, fill: Colour, tip: Option<String> },
    /// An open line.
    Line { points: Vec<Point>, stroke: Stroke },
    /// A filled shape, which covers what is below it by so many percent.
    Area { points: Vec<Point>, fill: Colour, cover: u8 },
    /// A symbol of a size across.
    Symbol { at: Point, symbol: Symbol, size: f64, colour: Colour, tip: Option<String> },
    /// A text.
    Text(Text),
    /// A grid of cells of one size.
    Cells { at: Point, cell: Point, layers: Vec<Layer> },
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Scene {
    pub(super) size: Point,
    /// For those who cannot see it: what it is, and what it shows.
    pub(super) title: String,
    pub(super) description: String,
    pub(super) marks: Vec<Mark>,
}

impl Colour {
    /// A colour from `0xRRGGBB`.
    pub(super) const fn new(rgb: u32) -> Self {
        let [_, red, green, blue] = rgb.to_be_bytes();
        Self { rgb: [red, green, blue] }
    }
}

impl Text {
    /// A text in the ordinary letters of a chart.
    pub(super) fn new(at: Point, size: f64, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at, text, size, weight: Weight::Regular, colour: super::palette::TEXT, anchor: Anchor::Start }
    }

    pub(super) const fn bold(mut self) -> Self {
        self.weight = Weight::Bold;
        self
    }

    pub(super) const fn grey(mut self) -> Self {
        self.colour = super::palette::QUIET;
        self
    }

    pub(super) const fn anchored(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }

    /// How wide it is.
    pub(super) fn width(&self) -> f64 {
        font::width(&self.text, self.size, self.weight)
    }

    /// Where its left end is.
    pub(super) fn left(&self) -> f64 {
        match self.anchor {
            Anchor::Start => self.at.0,
            Anchor::Middle => self.at.0 - self.width() / 2.0,
            Anchor::End => self.at.0 - self.width(),
        }
    }
}

impl Symbol {
    /// Corners of the symbol around a place; none for round ones.
    pub(super) fn corners(self, (x, y): Point, size: f64) -> Vec<Point> {
        let half = size / 2.0;
        let at = |corners: &[Point]| corners.iter().map(|(dx, dy)| (x + dx * half, y + dy * half)).collect();
        match self {
            Self::Circle | Self::Ring => Vec::new(),
            Self::Square => at(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Self::Up => at(&[(0.0, -1.15), (1.05, 0.85), (-1.05, 0.85)]),
            Self::Down => at(&[(0.0, 1.15), (1.05, -0.85), (-1.05, -0.85)]),
            Self::Diamond => at(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
            Self::Cross => {
                let (near, far) = (0.35, 1.1);
                at(&[
                    (-near, -far),
                    (near, -far),
                    (near, -near),
                    (far, -near),
                    (far, near),
                    (near, near),
                    (near, far),
                    (-near, far),
                    (-near, near),
                    (-far, near),
                    (-far, -near),
                    (-near, -near),
                ])
            }
        }
    }
}

impl Scene {
    pub(super) fn push(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    pub(super) fn text(&mut self, text: Text) {
        self.marks.push(Mark::Text(text));
    }

    pub(super) fn rect(&mut self, at: Point, size: Point, fill: Colour) {
        self.marks.push(Mark::Rect { at, size, fill, tip: None });
    }

    pub(super) fn line(&mut self, points: Vec<Point>, colour: Colour, width: f64) {
        self.marks.push(Mark::Line { points, stroke: Stroke { colour, width, dashes: &[] } });
    }
}
