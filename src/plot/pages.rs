//! What the direct map consists of, over time.

use super::layers::{self, Layer, Words};
use super::palette::PAGE_SIZES;
use super::subject::Subject;
use super::{Chart, Kind};

const KIB: f64 = 1024.0;

const LAYERS: [Layer; 3] = [
    Layer {
        name: "4K",
        column: "direct_map_4k_bytes",
        colour: PAGE_SIZES[2],
        bytes: |sample| sample.direct_map_4k_kb as f64 * KIB,
    },
    Layer {
        name: "2M",
        column: "direct_map_2m_bytes",
        colour: PAGE_SIZES[1],
        bytes: |sample| sample.direct_map_2m_kb as f64 * KIB,
    },
    Layer {
        name: "1G",
        column: "direct_map_1g_bytes",
        colour: PAGE_SIZES[0],
        bytes: |sample| sample.direct_map_1g_kb as f64 * KIB,
    },
];

pub(super) fn draw(subject: &Subject<'_>) -> Chart {
    let words = Words {
        kind: Kind::Pages,
        title: format!("What the direct map consists of under {}", subject.allocators()),
        key: &["4 KiB pages", "2 MiB pages", "1 GiB pages"],
    };
    layers::draw(subject, &LAYERS, words)
}
