//! The letters of charts: a part of DejaVu Sans that is built in, so that a picture is the same on every machine.
//!
//! `font/README.md` says where the files come from.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

use super::scene::Weight;

static REGULAR: LazyLock<Face<'static>> = LazyLock::new(|| face(include_bytes!("font/DejaVuSans.ttf")));
static BOLD: LazyLock<Face<'static>> = LazyLock::new(|| face(include_bytes!("font/DejaVuSans-Bold.ttf")));

fn face(bytes: &'static [u8]) -> Face<'static> {
    Face::parse(bytes, 0).expect("the built-in font is a font")
}

fn of_weight(weight: Weight) -> &'static Face<'static> {
    match weight {
        Weight::Regular => &REGULAR,
        Weight::Bold => &BOLD,
    }
}

/// A letter without a picture is drawn as the font's empty box.
fn glyph(face: &Face<'_>, letter: char) -> GlyphId {
    face.glyph_index(letter).unwrap_or_default()
}

/// How far a glyph advances, in units of the font.
fn advance(face: &Face<'_>, glyph: GlyphId) -> f64 {
    f64::from(face.glyph_hor_advance(glyph).unwrap_or(0))
}

/// How wide a line of text is at a size, both in pixels.
pub(super) fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let face = of_weight(weight);
    let units: f64 = text.chars().map(|letter| advance(face, glyph(face, letter))).sum();
    units * size / f64::from(face.units_per_em())
}

/// The text, shortened with an ellipsis so that it is at most so wide.
pub(super) fn shorten(text: &str, size: f64, weight: Weight, room: f64) -> String {
    if width(text, size, weight) <= room {
        return text.to_owned();
    }
    let mut letters: Vec<char> = text.chars().collect();
    while letters.pop().is_some() {
        let shorter: String = letters.iter().chain(&['…']).collect();
        if width(&shorter, size, weight) <= room {
            return shorter;
        }
    }
    "…".to_owned()
}

/// The text in lines that are at most so wide, broken at spaces; a word that is wider is shortened.
pub(super) fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (lines.last_mut(), longer) {
            (Some(line), Some(longer)) if width(&longer, size, Weight::Regular) <= room => *line = longer,
            _ => lines.push(shorten(word, size, Weight::Regular, room)),
        }
    }
    lines
}

/// Takes the outline of a glyph.
pub(super) trait Pen {
    fn move_to(&mut self, x: f64, y: f64);
    fn line_to(&mut self, x: f64, y: f64);
    fn quad_to(&mut self, x1: f64, y1: f64, x: f64, y: f64);
    fn curve_to(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, x: f64, y: f64);
    fn close(&mut self);
}

/// Puts glyphs to their place, upside down as pictures count lines from the top.
struct Placed<'a> {
    pen: &'a mut dyn Pen,
    x: f64,
    y: f64,
    scale: f64,
}

impl Placed<'_> {
    fn at(&self, x: f32, y: f32) -> (f64, f64) {
        (self.x + f64::from(x) * self.scale, self.y - f64::from(y) * self.scale)
    }
}

impl OutlineBuilder for Placed<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.pen.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.pen.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.pen.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.pen.close();
    }
}

/// Draws a line of text whose base line starts at `(x, y)`.
pub(super) fn outline(text: &str, size: f64, weight: Weight, (mut x, y): (f64, f64), pen: &mut dyn Pen) {
    let face = of_weight(weight);
    let scale = size / f64::from(face.units_per_em());
    for letter in text.chars() {
        let glyph = glyph(face, letter);
        // A space has no outline.
        face.outline_glyph(glyph, &mut Placed { pen, x, y, scale });
        x += advance(face, glyph) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_every_letter_that_charts_write() {
        for (face, letters) in [(&*REGULAR, "azAZ09 %–—…×·≤≥≈→µéűŁ"), (&*BOLD, "azAZ09 %–…×·éűŁ")]
        {
            for letter in letters.chars() {
                assert!(face.glyph_index(letter).is_some(), "{letter}");
            }
        }
    }

    /// Whether anything was drawn.
    struct Ink(bool);

    impl Pen for Ink {
        fn move_to(&mut self, _: f64, _: f64) {}
        fn line_to(&mut self, _: f64, _: f64) {
            self.0 = true;
        }
        fn quad_to(&mut self, _: f64, _: f64, _: f64, _: f64) {}
        fn curve_to(&mut self, _: f64, _: f64, _: f64, _: f64, _: f64, _: f64) {}
        fn close(&mut self) {}
    }

    #[test]
    fn what_the_font_lacks_is_seen_to_be_missing() {
        for weight in [Weight::Regular, Weight::Bold] {
            let mut ink = Ink(false);
            outline("\u{65e5}", 12.0, weight, (0.0, 0.0), &mut ink);
            assert!(ink.0 && width("\u{65e5}", 12.0, weight) > 0.0);
        }
    }

    #[test]
    fn texts_are_measured_and_cut() {
        // DejaVu Sans: 2048 units per em, and a zero is 1303 wide.
        assert!((width("000", 2048.0, Weight::Regular) - 3909.0).abs() < 1e-9);
        assert!(width("000", 12.0, Weight::Bold) > width("000", 12.0, Weight::Regular));
        assert_eq!(shorten("pack-vmalloc", 12.0, Weight::Regular, 500.0), "pack-vmalloc");
        let short = shorten("pack-vmalloc", 12.0, Weight::Regular, 50.0);
        assert!(short.ends_with('…') && width(&short, 12.0, Weight::Regular) <= 50.0, "{short}");
        assert_eq!(shorten("pack", 12.0, Weight::Regular, 1.0), "…");
        assert_eq!(wrap("one two three", 10.0, 45.0), ["one two", "three"]);
    }
}
