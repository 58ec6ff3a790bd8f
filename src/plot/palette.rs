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

/// Memory that is mapped with pages of 1 GiB, 2 MiB and 4 KiB.
pub(super) const PAGE_SIZES: [Colour; 3] = [Colour::new(0xe3_ed_f7), Colour::new(0x8d_b9_da), Colour::new(0xd5_5e_00)];
/// Executable memory that holds programs, that is padding, and that is unused.
pub(super) const TEXT_USES: [Colour; 3] = [Colour::new(0x00_72_b2), Colour::new(0xe6_9f_00), Colour::new(0xe0_e0_e0)];

/// The colour of a cell of a map: the worse, the darker.
pub(super) const fn cell(state: CellState) -> Colour {
    Colour::new(match state {
        CellState::Hole => 0xff_ff_ff,
        CellState::Whole1G => 0xe3_ed_f7,
        CellState::Whole2M => 0xb5_d3_e8,
        CellState::LargeProtected => 0x86_b3_9f,
        CellState::Small => 0xe0_7b_28,
        CellState::LargeText => 0x1b_7f_5c,
        CellState::SmallProtected => 0x5b_1a_70,
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
    fn areas_and_cells_differ_in_grey() {
        let mut cells: Vec<f64> = CellState::ALL.iter().map(|&state| grey(cell(state))).collect();
        cells.sort_by(f64::total_cmp);
        for group in [cells.as_slice(), &PAGE_SIZES.map(grey), &TEXT_USES.map(grey)] {
            for (at, one) in group.iter().enumerate() {
                for other in &group[at + 1..] {
                    assert!((one - other).abs() > 15.0, "{group:?}");
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
