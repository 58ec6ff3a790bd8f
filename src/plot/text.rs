//! What executable memory is used for, over time.

use super::layers::{self, Layer, Words};
use super::palette::TEXT_USES;
use super::subject::Subject;
use super::{Chart, Kind};

const LAYERS: [Layer; 3] = [
    Layer { name: "used", column: "image_bytes", colour: TEXT_USES[0], bytes: |sample| sample.image_bytes as f64 },
    Layer {
        name: "padding",
        column: "padding_bytes",
        colour: TEXT_USES[1],
        bytes: |sample| sample.padding_bytes as f64,
    },
    Layer { name: "unused", column: "unused_bytes", colour: TEXT_USES[2], bytes: |sample| sample.unused_bytes as f64 },
];

pub(super) fn draw(subject: &Subject<'_>) -> Chart {
    let words = Words {
        kind: Kind::Text,
        title: format!("What executable memory holds under {}", subject.allocators()),
        key: &["used: programs", "padding: headers and rounding", "unused: executable without a program"],
    };
    layers::draw(subject, &LAYERS, words)
}
