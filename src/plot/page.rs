//! What every chart has around its values: a title, what is compared on what, and where the numbers come from.

use super::font;
use super::palette::{AXIS, Look, TEXT};
use super::scene::{Mark, Point, Scene, Stroke, Text, Weight};
use super::subject::Subject;

/// Width of every chart: what a column of text and a phone held sideways have.
pub(super) const WIDTH: f64 = 800.0;
/// Room left of a chart's frame for the values of an axis.
pub(super) const LEFT: f64 = 62.0;
/// Room at the right edge.
pub(super) const RIGHT: f64 = 16.0;
/// Size of the letters of labels and notes.
pub(super) const LABEL_SIZE: f64 = 12.0;
const TITLE_SIZE: f64 = 16.0;
const STAMP_SIZE: f64 = 10.0;

/// A picture that grows downwards.
pub(super) struct Page {
    pub scene: Scene,
    /// Where there is room below what was drawn.
    pub bottom: f64,
}

impl Page {
    /// A page with a title and notes below it.
    pub(super) fn new(title: &str, notes: &str) -> Self {
        let room = WIDTH - 2.0 * RIGHT;
        let scene =
            Scene { size: (WIDTH, 0.0), title: title.to_owned(), description: notes.to_owned(), marks: Vec::new() };
        let mut page = Self { scene, bottom: 30.0 };
        let title = font::shorten(title, TITLE_SIZE, Weight::Bold, room);
        page.scene.text(Text::new((RIGHT, page.bottom), TITLE_SIZE, title).bold());
        page.note(notes);
        page.bottom += 10.0;
        page
    }

    /// Lines of small letters.
    pub(super) fn note(&mut self, note: &str) {
        for line in font::wrap(note, LABEL_SIZE, WIDTH - 2.0 * RIGHT) {
            self.bottom += 17.0;
            self.scene.text(Text::new((RIGHT, self.bottom), LABEL_SIZE, line).grey());
        }
    }

    /// The heading of a part of the chart, such as the name of its vertical axis.
    pub(super) fn heading(&mut self, text: &str) {
        self.bottom += 18.0;
        let text = font::shorten(text, LABEL_SIZE, Weight::Bold, WIDTH - 2.0 * RIGHT);
        self.scene.text(Text::new((RIGHT, self.bottom), LABEL_SIZE, text).bold());
    }

    /// A row of coloured squares with what they stand for, in several rows if it must be.
    pub(super) fn key(&mut self, entries: &[(super::scene::Colour, &str)]) {
        let mut x = RIGHT;
        self.bottom += 20.0;
        for (colour, meaning) in entries {
            let width = 18.0 + font::width(meaning, LABEL_SIZE, Weight::Regular) + 16.0;
            if x + width > WIDTH - RIGHT && x > RIGHT {
                x = RIGHT;
                self.bottom += 18.0;
            }
            self.scene.rect((x, self.bottom - 10.0), (12.0, 12.0), AXIS);
            self.scene.rect((x + 0.5, self.bottom - 9.5), (11.0, 11.0), *colour);
            self.scene.text(Text::new((x + 18.0, self.bottom), LABEL_SIZE, *meaning));
            x += width;
        }
        self.bottom += 8.0;
    }

    /// The picture, with where its numbers come from at the bottom.
    pub(super) fn finish(mut self, subjects: &[&Subject<'_>]) -> Scene {
        self.bottom += 22.0;
        let mut stamps: Vec<String> = subjects.iter().map(|subject| stamp(subject)).collect();
        stamps.dedup();
        let text = format!("fragsim {}", stamps.join("; "));
        for line in font::wrap(&text, STAMP_SIZE, WIDTH - 2.0 * RIGHT) {
            self.scene.text(Text::new((RIGHT, self.bottom), STAMP_SIZE, line).grey());
            self.bottom += 14.0;
        }
        self.scene.size.1 = self.bottom;
        self.scene
    }
}

/// Version, and the first digits of the hashes of scenario and trace.
fn stamp(subject: &Subject<'_>) -> String {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let mut text = format!("{}, scenario {}", subject.fragsim, short(&subject.stamp.hash));
    if !subject.stamp.trace_hash.is_empty() {
        text += &format!(", trace {}", short(&subject.stamp.trace_hash));
    }
    text
}

/// The piece of line with its symbol that stands before a label.
pub(super) fn sample_line(scene: &mut Scene, at: Point, look: Look) {
    let (x, y) = at;
    let stroke = Stroke { colour: look.colour, width: 2.0, dashes: look.dashes };
    scene.push(Mark::Line { points: vec![(x, y), (x + 26.0, y)], stroke });
    scene.push(Mark::Symbol { at: (x + 13.0, y), symbol: look.symbol, size: 7.0, colour: look.colour, tip: None });
}

/// Lines to the place of a label, the line's sample and the label.
pub(super) fn end_label(scene: &mut Scene, end: Point, at: Point, look: Look, text: &str) {
    if (end.1 - at.1).abs() > 0.5 || at.0 - end.0 > 14.0 {
        let bend = (end.0 + 3.0, end.1);
        scene.line(vec![end, bend, (at.0 - 3.0, at.1)], look.colour, 0.8);
    }
    sample_line(scene, at, look);
    let mut text = Text::new((at.0 + 32.0, at.1 + 4.0), LABEL_SIZE, text);
    text.colour = TEXT;
    scene.text(text);
}
