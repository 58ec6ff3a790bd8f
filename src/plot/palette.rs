//! Colours, dashes and symbols that can be told apart by colour-blind readers and in grey.

use super::scene::{Colour, Symbol};
use crate::result::CellState;

/// Letters.
pub(super) const TEXT: Colour = Colour::new(0x22_22_22);
/// Letters that step back.
pub(super) const QUIET: Colour = Colour::new(0x5a_5a_5a);
/// Lines of the grid.
pub(super) const GRID: Colour = Colour::new(0xe4_e4_e4);
/// The line that values start from.
pub(super) const AXIS: Colour = Colour::new(0x77_77_77);
/// The background.
pub(super) const PAPER: Colour = Colour::new(0xff_ff_ff);

/// How one allocator is drawn in every chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub colour: Colour,
    pub dashes: &'static [f64],
    pub symbol: Symbol,
}

/// Okabe and Ito's colours without the yellow, which is hard to see on white
/// (<https://jfly.uni-koeln.de/color/>); neighbours differ in lightness too.
const COLOURS: [u32; 7] = [0xd5_5e_00, 0x00_72_b2, 0xe6_9f_00, 0x00_00_00, 0x56_b4_e9, 0x00_9e_73, 0xcc_79_a7];
const DASHES: [&[f64]; 5] = [&[], &[7.0, 3.0], &[2.0, 2.0], &[9.0, 3.0, 2.0, 3.0], &[4.0, 2.0]];
const SYMBOLS: [Symbol; 7] =
    [Symbol::Circle, Symbol::Square, Symbol::Up, Symbol::Diamond, Symbol::Ring, Symbol::Down, Symbol::Cross];

impl Look {
    /// The look of the allocator with this number. The first 35 differ in colour or dashes.
    pub(super) const fn of(number: usize) -> Self {
        Self {
            colour: Colour::new(COLOURS[number % COLOURS.len()]),
            dashes: DASHES[number % DASHES.len()],
            symbol: SYMBOLS[number % SYMBOLS.len()],
        }
    }
}

/// Memory that is mapped with pages of 1 GiB, 2 MiB and 4 KiB: as in a map.
pub(super) const PAGE_SIZES: [Colour; 3] = [cell(CellState::Whole1G), cell(CellState::Whole2M), cell(CellState::Small)];
/// Executable memory that holds programs, that is padding, and that is unused.
pub(super) const TEXT_USES: [Colour; 3] = [Colour::new(0x00_72_b2), Colour::new(0xe6_9f_00), Colour::new(0xe0_e0_e0)];

/// The colour of a cell of a map: the worse, the darker, in even steps. Large pages are cool, small ones warm or nearly
/// black.
pub(super) const fn cell(state: CellState) -> Colour {
    Colour::new(match state {
        CellState::Hole => 0xff_ff_ff,
        CellState::Whole1G => 0xc8_e1_fa,
        CellState::Whole2M => 0xa5_b2_ec,
        CellState::LargeProtected => 0x82_9e_7a,
        CellState::LargeText => 0x1a_9b_a4,
        CellState::Small => 0xc8_32_1a,
        CellState::SmallProtected => 0x4d_23_7a,
        CellState::SmallText => 0x00_00_00,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lightness as a black-and-white print shows it, from 0 to 255.
    fn grey(colour: Colour) -> f64 {
        let [red, green, blue] = colour.rgb.map(f64::from);
        0.299 * red + 0.587 * green + 0.114 * blue
    }

    #[test]
    fn the_worse_a_cell_the_darker_it_is() {
        let cells = CellState::ALL.map(|state| grey(cell(state)));
        assert!(cells.windows(2).all(|pair| pair[0] - pair[1] > 24.0), "{cells:?}");
        let uses = TEXT_USES.map(grey);
        assert!(uses.windows(2).all(|pair| pair[1] - pair[0] > 24.0), "{uses:?}");
    }

    /// What readers see that lack a kind of cone, and what the others see: linear red, green and blue from the same. From
    /// Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE
    /// TVCG 15 (2009), severity 1.
    const EYES: [(&str, [[f64; 3]; 3]); 4] = [
        ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
        ),
        (
            "tritanopia",
            [
                [1.255_528, -0.076_749, -0.178_779],
                [-0.078_411, 0.930_809, 0.147_602],
                [0.004_733, 0.691_367, 0.303_900],
            ],
        ),
    ];

    fn times(matrix: &[[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(one, other)| one * other).sum())
    }

    /// CIE L*a*b*, in which equal distances look about equally large, of what such eyes see.
    fn seen(colour: Colour, eyes: &[[f64; 3]; 3]) -> [f64; 3] {
        let linear = colour.rgb.map(|byte| {
            let part = f64::from(byte) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        let linear = times(eyes, linear).map(|part| part.clamp(0.0, 1.0));
        let xyz = times(&[[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], linear);
        let root = |part: f64| if part > 0.008_856 { part.cbrt() } else { 7.787 * part + 16.0 / 116.0 };
        let [x, y, z] = [root(xyz[0] / 0.9505), root(xyz[1]), root(xyz[2] / 1.089)];
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    #[test]
    fn areas_and_cells_differ_for_colour_blind_readers() {
        let cells = CellState::ALL.map(cell);
        for (name, eyes) in &EYES {
            for group in [cells.as_slice(), &TEXT_USES] {
                for (at, one) in group.iter().enumerate() {
                    for other in &group[at + 1..] {
                        let [one, other] = [seen(*one, eyes), seen(*other, eyes)];
                        let distance =
                            one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt();
                        // Ten times what is seen at all if the two lie side by side is 23; this is two thirds of it.
                        assert!(distance > 15.0, "{name}: {one:?} {other:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn many_allocators_look_different() {
        let looks: Vec<_> =
            (0..35).map(|number| (Look::of(number).colour.rgb, Look::of(number).dashes.len())).collect();
        assert_eq!(looks.len(), 35);
        for number in 0..35 {
            for other in 0..number {
                let (one, two) = (Look::of(number), Look::of(other));
                assert!(one.colour != two.colour || one.dashes != two.dashes, "{number} {other}");
            }
        }
    }
}
