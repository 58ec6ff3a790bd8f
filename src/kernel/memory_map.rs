//! Where in physical memory the direct map's entries are large, and where executable memory lies.

use super::Kernel;
use crate::direct_map::{Leaf, Perms};
use crate::units::{PAGES_PER_2M, PageSize, Pfn, PfnRange};

/// What stands for a stretch of physical memory: the last of these that is true for any page of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellState {
    /// The direct map has no entry: no RAM.
    #[default]
    Hole,
    /// Mapped by 1 GiB entries.
    Whole1G,
    /// Mapped by 2 MiB entries.
    Whole2M,
    /// A large entry that is read-only or not present as a whole.
    LargeProtected,
    /// A large entry with executable memory.
    LargeText,
    /// 4 KiB entries, all of them writable.
    Small,
    /// 4 KiB entries, some of them read-only or not present.
    SmallProtected,
    /// 4 KiB entries with executable memory.
    SmallText,
}

impl CellState {
    /// The state of a cell that is mapped by such an entry.
    fn of(leaf: &Leaf) -> Self {
        let writable = leaf.perms.contains(Perms::PRESENT | Perms::WRITE);
        match (leaf.size, writable) {
            (PageSize::Size4K, true) => Self::Small,
            (PageSize::Size4K, false) => Self::SmallProtected,
            (_, false) => Self::LargeProtected,
            (PageSize::Size2M, true) => Self::Whole2M,
            (PageSize::Size1G, true) => Self::Whole1G,
        }
    }

    /// The state once executable memory is known to lie there.
    fn with_text(self) -> Self {
        match self {
            Self::Hole => Self::Hole,
            Self::Small | Self::SmallProtected | Self::SmallText => Self::SmallText,
            _ => Self::LargeText,
        }
    }
}

/// Neighbouring cells in the same state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellRun {
    /// How many cells.
    pub cells: u64,
    /// Their state.
    pub state: CellState,
}

/// A map of physical memory from frame 0 on, cell by cell, neighbours in the same state merged.
///
/// Its size follows what was touched, not the size of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryMap {
    /// Base pages in a cell: those of a 2 MiB entry, doubled as often as it took to stay below the limit.
    pub cell_pages: u64,
    /// The cells.
    pub runs: Vec<CellRun>,
}

impl Kernel {
    /// The map of physical memory with at most `most_cells` cells (at least 1).
    pub fn memory_map(&self, most_cells: u64) -> MemoryMap {
        draw(&self.machine.map.leaves().collect::<Vec<_>>(), self.machine.open_frames(), most_cells)
    }
}

/// The map of these leaves, which are in ascending order, with text in these frames.
fn draw(leaves: &[Leaf], text: impl Iterator<Item = PfnRange>, most_cells: u64) -> MemoryMap {
    let end = leaves.last().map_or(0, |leaf| leaf.range.end().get());
    let mut cell_pages = PAGES_PER_2M;
    while end.div_ceil(cell_pages) > most_cells.max(1) {
        cell_pages *= 2;
    }
    let cell = |pfn: Pfn| pfn.get() / cell_pages;
    let mut runs = Runs::default();
    for leaf in leaves {
        runs.cover(cell(leaf.range.start()), leaf.range.end().get().div_ceil(cell_pages), CellState::of(leaf));
    }
    let mut marked: Vec<u64> = text
        .filter(|frames| !frames.is_empty())
        .flat_map(|frames| cell(frames.start())..frames.end().get().div_ceil(cell_pages))
        .collect();
    marked.sort_unstable();
    marked.dedup();
    MemoryMap { cell_pages, runs: mark(&runs.runs, &marked) }
}

/// Runs from cell 0 on that grow at their end.
#[derive(Default)]
struct Runs {
    runs: Vec<CellRun>,
    end: u64,
}

impl Runs {
    fn push(&mut self, cells: u64, state: CellState) {
        self.end += cells;
        match self.runs.last_mut() {
            _ if cells == 0 => {}
            Some(last) if last.state == state => last.cells += cells,
            _ => self.runs.push(CellRun { cells, state }),
        }
    }

    /// Lets `state` hold in cells `from..to`, of which at most the first one is there already.
    fn cover(&mut self, from: u64, to: u64, state: CellState) {
        if from < self.end {
            let last = self.runs.last_mut().expect("a map with cells has a last run");
            let both = last.state.max(state);
            last.cells -= 1;
            self.end -= 1;
            if last.cells == 0 {
                self.runs.pop();
            }
            self.push(1, both);
        }
        self.push(from.saturating_sub(self.end), CellState::Hole);
        self.push(to.saturating_sub(self.end), state);
    }
}

/// The runs with text in the cells of an ascending list.
fn mark(runs: &[CellRun], cells: &[u64]) -> Vec<CellRun> {
    let mut marked = Runs::default();
    let mut rest = cells;
    for run in runs {
        let end = marked.end + run.cells;
        while let Some((&cell, behind)) = rest.split_first()
            && cell < end
        {
            marked.push(cell - marked.end, run.state);
            marked.push(1, run.state.with_text());
            rest = behind;
        }
        marked.push(end - marked.end, run.state);
    }
    marked.runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOOT: Perms = Perms::BOOT;
    const READ_ONLY: Perms = Perms::PRESENT;

    fn leaf(start: u64, pages: u64, size: PageSize, perms: Perms) -> Leaf {
        Leaf { range: PfnRange::with_len(Pfn::new(start), pages), size, perms }
    }

    /// One letter for each cell.
    fn letters(map: &MemoryMap) -> String {
        let letter = |state| match state {
            CellState::Hole => '.',
            CellState::Whole1G => 'G',
            CellState::Whole2M => 'M',
            CellState::LargeProtected => 'R',
            CellState::LargeText => 'X',
            CellState::Small => 's',
            CellState::SmallProtected => 'r',
            CellState::SmallText => 'x',
        };
        map.runs.iter().flat_map(|run| std::iter::repeat_n(letter(run.state), run.cells as usize)).collect()
    }

    fn frames(start: u64, pages: u64) -> PfnRange {
        PfnRange::with_len(Pfn::new(start), pages)
    }

    #[test]
    fn each_cell_shows_the_worst_in_it() {
        let leaves = [
            leaf(0, 160, PageSize::Size4K, BOOT),
            leaf(512, 512, PageSize::Size2M, BOOT),
            leaf(1024, 1024, PageSize::Size2M, READ_ONLY),
            leaf(2048, 100, PageSize::Size4K, BOOT),
            leaf(2148, 1, PageSize::Size4K, READ_ONLY),
            leaf(2149, 411, PageSize::Size4K, BOOT),
            leaf(2560, 512, PageSize::Size4K, BOOT),
            leaf(4096, 512, PageSize::Size2M, BOOT),
        ];
        let text = [frames(1536, 512), frames(2600, 3), frames(2610, 1), frames(3600, 1)];
        let map = draw(&leaves, text.into_iter(), 100);
        assert_eq!((letters(&map).as_str(), map.cell_pages), ("sMRXrx..M", 512));
        let map = draw(&leaves, text.into_iter(), 5);
        assert_eq!((letters(&map).as_str(), map.cell_pages), ("sXx.M", 1024));
        let map = draw(&leaves, text.into_iter(), 0);
        assert_eq!((letters(&map).as_str(), map.cell_pages), ("x", 8192));
    }

    #[test]
    fn a_large_host_takes_no_more_room_than_a_small_one() {
        let map = draw(&[leaf(0, 1 << 32, PageSize::Size1G, BOOT)], std::iter::once(frames(1 << 31, 1)), 1 << 17);
        assert_eq!(map.cell_pages, 1 << 15);
        assert_eq!(map.runs.len(), 3);
        assert_eq!(map.runs.iter().map(|run| run.cells).sum::<u64>(), 1 << 17);
        assert_eq!(draw(&[], std::iter::empty(), 9).runs, []);
    }

    /// A leaf of up to 600 pages after a gap, and whether text lies in its first page.
    fn pieces() -> impl Strategy<Value = Vec<(u64, u64, bool, bool)>> {
        prop::collection::vec((0_u64..700, 1_u64..600, any::<bool>(), any::<bool>()), 0..40)
    }

    proptest! {
        #[test]
        fn the_map_is_what_looking_at_every_page_gives(pieces in pieces(), most_cells in 1_u64..40) {
            let (mut leaves, mut text, mut pages) = (Vec::new(), Vec::new(), Vec::new());
            for (gap, length, writable, with_text) in pieces {
                pages.resize(pages.len() + gap as usize, (CellState::Hole, false));
                let start = pages.len() as u64;
                let leaf = leaf(start, length, PageSize::Size4K, if writable { BOOT } else { READ_ONLY });
                pages.resize(pages.len() + length as usize, (CellState::of(&leaf), false));
                if with_text {
                    pages[start as usize].1 = true;
                    text.push(frames(start, 1));
                }
                leaves.push(leaf);
            }
            let map = draw(&leaves, text.into_iter(), most_cells);
            let mut end = pages.len();
            while end > 0 && pages[end - 1].0 == CellState::Hole {
                end -= 1;
            }
            let slow: Vec<CellState> = pages[..end].chunks(map.cell_pages as usize).map(|cell| {
                let worst = cell.iter().map(|page| page.0).max().unwrap();
                if cell.iter().any(|page| page.1) { worst.with_text() } else { worst }
            }).collect();
            let fast: Vec<CellState> =
                map.runs.iter().flat_map(|run| std::iter::repeat_n(run.state, run.cells as usize)).collect();
            prop_assert_eq!(fast, slow);
            prop_assert!(map.runs.windows(2).all(|pair| pair[0].state != pair[1].state));
        }
    }
}
