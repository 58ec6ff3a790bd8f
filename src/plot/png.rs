//! A picture as PNG: the same marks as in the SVG, two pixels for one, painted without a system font.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, StrokeDash, Transform,
};

use super::font::{self, Pen};
use super::scene::{Colour, Layer, Mark, Point, Scene, Stretch, Symbol, Text};

/// Pixels of the file for one of the picture: sharp on screens with small pixels, and when it is made smaller.
const SCALE: f64 = 2.0;
/// Pixels of a file at most; a chart of hundreds of allocators has fewer pixels for one of the picture.
const MOST_PIXELS: f64 = 4e7;

struct Canvas {
    pixels: Pixmap,
    transform: Transform,
}

impl Pen for PathBuilder {
    fn move_to(&mut self, x: f64, y: f64) {
        Self::move_to(self, x as f32, y as f32);
    }

    fn line_to(&mut self, x: f64, y: f64) {
        Self::line_to(self, x as f32, y as f32);
    }

    fn quad_to(&mut self, x1: f64, y1: f64, x: f64, y: f64) {
        Self::quad_to(self, x1 as f32, y1 as f32, x as f32, y as f32);
    }

    fn curve_to(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, x: f64, y: f64) {
        self.cubic_to(x1 as f32, y1 as f32, x2 as f32, y2 as f32, x as f32, y as f32);
    }

    fn close(&mut self) {
        Self::close(self);
    }
}

fn path(points: &[Point], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut points = points.iter();
    let &(x, y) = points.next()?;
    builder.move_to(x as f32, y as f32);
    for &(x, y) in points {
        builder.line_to(x as f32, y as f32);
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

fn paint(colour: Colour, cover: u8, smooth: bool) -> Paint<'static> {
    let [red, green, blue] = colour.rgb;
    let mut paint = Paint { anti_alias: smooth, ..Paint::default() };
    paint.set_color(Color::from_rgba8(red, green, blue, (u32::from(cover) * 255 / 100) as u8));
    paint
}

impl Canvas {
    fn fill(&mut self, path: Option<Path>, colour: Colour, cover: u8) {
        // A path without extent has nothing to paint.
        if let Some(path) = path {
            self.pixels.fill_path(&path, &paint(colour, cover, true), FillRule::Winding, self.transform, None);
        }
    }

    fn stroke(&mut self, path: Option<Path>, colour: Colour, width: f64, dashes: &[f64]) {
        let Some(path) = path else { return };
        let dash = StrokeDash::new(dashes.iter().map(|&length| length as f32).collect(), 0.0);
        let stroke = Stroke {
            width: width as f32,
            line_cap: LineCap::Butt,
            line_join: LineJoin::Miter,
            dash,
            ..Stroke::default()
        };
        self.pixels.stroke_path(&path, &paint(colour, 100, true), &stroke, self.transform, None);
    }

    /// A rectangle; `smooth` for edges between two pixels.
    fn rect(&mut self, at: Point, size: Point, colour: Colour, smooth: bool) {
        if let Some(rect) = Rect::from_xywh(at.0 as f32, at.1 as f32, size.0 as f32, size.1 as f32) {
            self.pixels.fill_rect(rect, &paint(colour, 100, smooth), self.transform, None);
        }
    }

    fn symbol(&mut self, at: Point, symbol: Symbol, size: f64, colour: Colour) {
        let circle = PathBuilder::from_circle(at.0 as f32, at.1 as f32, (size / 2.0) as f32);
        match symbol {
            Symbol::Circle => self.fill(circle, colour, 100),
            Symbol::Ring => {
                self.fill(circle.clone(), super::palette::PAPER, 100);
                self.stroke(circle, colour, 1.5, &[]);
            }
            _ => self.fill(path(&symbol.corners(at, size), true), colour, 100),
        }
    }

    fn text(&mut self, text: &Text) {
        let mut builder = PathBuilder::new();
        font::outline(&text.text, text.size, text.weight, (text.left(), text.at.1), &mut builder);
        self.fill(builder.finish(), text.colour, 100);
    }

    fn cells(&mut self, at: Point, cell: Point, layers: &[Layer]) {
        for layer in layers {
            for Stretch { row, column, cells, rows } in &layer.stretches {
                let from = (at.0 + *column as f64 * cell.0, at.1 + *row as f64 * cell.1);
                self.rect(from, (*cells as f64 * cell.0, *rows as f64 * cell.1), layer.colour, false);
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Rect { at, size, fill, .. } => self.rect(*at, *size, *fill, true),
            Mark::Line { points, stroke } => {
                self.stroke(path(points, false), stroke.colour, stroke.width, stroke.dashes);
            }
            Mark::Area { points, fill, cover } => self.fill(path(points, true), *fill, *cover),
            Mark::Symbol { at, symbol, size, colour, .. } => self.symbol(*at, *symbol, *size, *colour),
            Mark::Text(text) => self.text(text),
            Mark::Cells { at, cell, layers } => self.cells(*at, *cell, layers),
        }
    }
}

impl Scene {
    /// The picture as a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let mut scale = SCALE;
        while self.size.0 * self.size.1 * scale * scale > MOST_PIXELS {
            scale /= 2.0;
        }
        let (width, height) = ((self.size.0 * scale).ceil() as u32, (self.size.1 * scale).ceil() as u32);
        let mut pixels = Pixmap::new(width.max(1), height.max(1)).expect("it has at most so many pixels");
        pixels.fill(Color::WHITE);
        let mut canvas = Canvas { pixels, transform: Transform::from_scale(scale as f32, scale as f32) };
        self.marks.iter().for_each(|mark| canvas.mark(mark));
        canvas.pixels.encode_png().expect("memory takes what is written")
    }
}
