//! A picture as SVG.

use std::fmt::Write;

use super::font;
use super::scene::{Anchor, Colour, Mark, Point, Scene, Stretch, Stroke, Symbol, Text, Weight};

/// Fonts that are as wide as the built-in one, then any. `textLength` keeps each text as wide as it was measured.
const FAMILY: &str = "DejaVu Sans, Bitstream Vera Sans, Verdana, sans-serif";

/// A text inside of an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A length with at most two digits behind the point.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn hex(colour: Colour) -> String {
    let [red, green, blue] = colour.rgb;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// The commands of a path through these points; steps along an axis are written short.
fn path(points: &[Point]) -> String {
    let mut text = String::new();
    let mut before: Option<(String, String)> = None;
    for &(x, y) in points {
        let (x, y) = (number(x), number(y));
        match &before {
            None => text += &format!("M{x} {y}"),
            Some((last_x, last_y)) if *last_y == y && *last_x == x => {}
            Some((_, last_y)) if *last_y == y => text += &format!("H{x}"),
            Some((last_x, _)) if *last_x == x => text += &format!("V{y}"),
            Some(_) => text += &format!("L{x} {y}"),
        }
        before = Some((x, y));
    }
    text
}

/// An element with what a browser shows when the mouse is on it.
fn with_tip(element: &str, tip: Option<&str>) -> String {
    match tip {
        None => format!("{element}/>\n"),
        Some(tip) => {
            let name: String = element.chars().skip(1).take_while(char::is_ascii_alphanumeric).collect();
            format!("{element}><title>{}</title></{name}>\n", escape(tip))
        }
    }
}

fn text_element(text: &Text) -> String {
    let anchor = match text.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = if text.weight == Weight::Bold { " font-weight=\"bold\"" } else { "" };
    let length = font::width(&text.text, text.size, text.weight);
    format!(
        "<text x=\"{}\" y=\"{}\" font-size=\"{}\"{weight}{anchor} fill=\"{}\" textLength=\"{}\" \
         lengthAdjust=\"spacingAndGlyphs\">{}</text>\n",
        number(text.at.0),
        number(text.at.1),
        number(text.size),
        hex(text.colour),
        number(length),
        escape(&text.text)
    )
}

fn line_element(points: &[Point], stroke: &Stroke) -> String {
    let dashes = match stroke.dashes {
        [] => String::new(),
        dashes => {
            let dashes: Vec<String> = dashes.iter().map(|&length| number(length)).collect();
            format!(" stroke-dasharray=\"{}\"", dashes.join(" "))
        }
    };
    format!(
        "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{dashes}/>\n",
        path(points),
        hex(stroke.colour),
        number(stroke.width)
    )
}

fn symbol_element(at: Point, symbol: Symbol, size: f64, colour: Colour, tip: Option<&str>) -> String {
    let (x, y, radius) = (number(at.0), number(at.1), number(size / 2.0));
    let element = match symbol {
        Symbol::Circle => format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{}\"", hex(colour)),
        Symbol::Ring => format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"#ffffff\" stroke=\"{}\" stroke-width=\"1.5\"",
            hex(colour)
        ),
        _ => format!("<path d=\"{}Z\" fill=\"{}\"", path(&symbol.corners(at, size)), hex(colour)),
    };
    with_tip(&element, tip)
}

fn mark(mark: &Mark) -> String {
    match mark {
        Mark::Rect { at, size, fill, tip } => {
            let element = format!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"",
                number(at.0),
                number(at.1),
                number(size.0),
                number(size.1),
                hex(*fill)
            );
            with_tip(&element, tip.as_deref())
        }
        Mark::Line { points, stroke } => line_element(points, stroke),
        Mark::Area { points, fill, cover } => {
            let opacity = if *cover < 100 {
                format!(" fill-opacity=\"{}\"", number(f64::from(*cover) / 100.0))
            } else {
                String::new()
            };
            format!("<path d=\"{}Z\" fill=\"{}\"{opacity}/>\n", path(points), hex(*fill))
        }
        Mark::Symbol { at, symbol, size, colour, tip } => symbol_element(*at, *symbol, *size, *colour, tip.as_deref()),
        Mark::Text(text) => text_element(text),
        Mark::Cells { at, cell, layers } => {
            let mut text = format!(
                "<g class=\"cells\" transform=\"translate({} {}) scale({:.5} {:.5})\" shape-rendering=\"crispEdges\">\n",
                number(at.0),
                number(at.1),
                cell.0,
                cell.1
            );
            for layer in layers {
                write!(text, "<path data-state=\"{}\" fill=\"{}\" d=\"", layer.state, hex(layer.colour))
                    .expect("a String takes everything");
                for Stretch { row, column, cells, rows } in &layer.stretches {
                    write!(text, "M{column} {row}h{cells}v{rows}h-{cells}z").expect("a String takes everything");
                }
                text += "\"/>\n";
            }
            text + "</g>\n"
        }
    }
}

impl Scene {
    /// The picture as an SVG document.
    pub fn svg(&self) -> String {
        let (width, height) = (number(self.size.0), number(self.size.1));
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FAMILY}\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
            escape(&self.title),
            escape(&self.description)
        );
        text.extend(self.marks.iter().map(mark));
        text + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 1.5, 0.333_333, -0.001, 100.0].map(number), ["1", "1.5", "0.33", "0", "100"]);
        assert_eq!(path(&[(0.0, 0.0), (5.0, 0.0), (5.0, 2.0), (5.0, 2.001), (6.0, 3.0)]), "M0 0H5V2L6 3");
    }

    #[test]
    fn texts_cannot_break_out() {
        let text = text_element(&Text::new((1.0, 2.0), 12.0, "<b> & \"c\""));
        assert!(text.contains(">&lt;b&gt; &amp; &quot;c&quot;</text>"), "{text}");
        assert_eq!(with_tip("<rect x=\"1\"", Some("a<b")), "<rect x=\"1\"><title>a&lt;b</title></rect>\n");
    }
}
