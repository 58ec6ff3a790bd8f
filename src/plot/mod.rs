//! Charts of results, as SVG and PNG, each with a table of its numbers.
//!
//! A chart is drawn once, as a list of marks ([`Scene`]); both formats are made of these. Nothing of the machine enters:
//! letters come from a built-in font, and every step is arithmetic that IEEE 754 defines. So a chart has the same bytes
//! everywhere.
//!
//! - [`Subject`]: the runs of one scenario, by allocator and seed, gathered from results;
//! - one file for each [`Kind`] of chart;
//! - `page`, `axis`, `palette`: what charts have in common; `scene`, `svg`, `png`, `font`: how they become files;
//! - [`terminal`]: two of the charts in text.

mod axis;
mod bars;
mod font;
mod hover;
mod layers;
mod map;
mod page;
mod pages;
mod palette;
mod png;
mod scene;
mod seeds;
mod splits;
mod subject;
mod svg;
mod sweep;
mod table;
pub mod terminal;
mod text;

pub use hover::{Hover, HoverSeries};
pub use map::MapPanel;
pub use scene::{Colour, Scene};
pub use subject::{Contender, Subject, SubjectError};
pub use sweep::{SweepError, sweep};
pub use table::Table;

use crate::result::CellState;

/// What a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Large pages split, over time.
    Splits,
    /// What the direct map consists of, over time.
    Pages,
    /// Splits and what they cost, by allocator.
    Bars,
    /// Where in physical memory the large pages broke.
    Map,
    /// What executable memory is used for, over time.
    Text,
    /// How the seeds of an allocator differ.
    Seeds,
    /// Splits and 4 KiB pages against a value of the scenario.
    Sweep,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows.
    pub kind: Kind,
    /// The picture.
    pub scene: Scene,
    /// Its numbers.
    pub table: Table,
    /// What a reader may ask of it with a mouse: values by moment.
    pub hovers: Vec<Hover>,
    /// The maps in it, by which they can be drawn for other moments.
    pub maps: Vec<MapPanel>,
}

/// Why there is no chart of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{}` chart: {reason}", .kind.name())]
pub struct NotDrawn {
    /// The kind.
    pub kind: Kind,
    /// What the result lacks.
    pub reason: &'static str,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] = [Self::Splits, Self::Pages, Self::Bars, Self::Map, Self::Text, Self::Seeds, Self::Sweep];

    /// The name on the command line and in file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Splits => "splits",
            Self::Pages => "pages",
            Self::Bars => "bars",
            Self::Map => "map",
            Self::Text => "text",
            Self::Seeds => "seeds",
            Self::Sweep => "sweep",
        }
    }

    /// What it shows, in a line.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Splits => "Large pages split, over time",
            Self::Pages => "What the direct map consists of, over time",
            Self::Bars => "Splits and what they cost, by allocator",
            Self::Map => "Where in physical memory the large pages broke",
            Self::Text => "What executable memory is used for, over time",
            Self::Seeds => "How the seeds of each allocator differ",
            Self::Sweep => "Splits and 4 KiB pages against a value of the scenario",
        }
    }

    /// The chart of this kind; [`sweep`] draws the one of several scenarios.
    ///
    /// # Errors
    /// [`NotDrawn`] if the results do not have what it shows.
    pub fn draw(self, subject: &Subject<'_>) -> Result<Chart, NotDrawn> {
        let fail = |reason| Err(NotDrawn { kind: self, reason });
        if subject.contenders.is_empty() {
            return fail("nothing was replayed");
        }
        match self {
            Self::Splits | Self::Pages | Self::Text if !subject.has_series() => {
                fail("the result holds no values over time (a baseline keeps none); run the scenario again")
            }
            Self::Splits => Ok(splits::draw(subject)),
            Self::Pages => Ok(pages::draw(subject)),
            Self::Bars => Ok(bars::draw(subject)),
            Self::Text => Ok(text::draw(subject)),
            Self::Map if map::has_maps(subject) => Ok(map::draw(subject)),
            Self::Map => fail("the result holds no map of physical memory; run the scenario again"),
            Self::Seeds if subject.seeds() > 1 => Ok(seeds::draw(subject)),
            Self::Seeds => fail("it takes several seeds"),
            Self::Sweep => fail("it takes several results and the value that differs"),
        }
    }
}

/// The states of a map's cells: letter, colour as `#rrggbb`, and meaning.
pub fn cell_states() -> impl Iterator<Item = (char, String, &'static str)> {
    CellState::ALL.into_iter().map(|state| {
        let [red, green, blue] = palette::cell(state).rgb;
        (state.letter(), format!("#{red:02x}{green:02x}{blue:02x}"), map::meaning(state))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing::{result, run, two_runs};
    use crate::result::{Cells, Counters, MapMoment, MemoryMap, Outcome, ResultDoc, TextReport};

    /// Draws whatever can be drawn of a result, in every format.
    fn draw_all(result: ResultDoc) -> usize {
        let results = [result];
        let subject = &Subject::gather(&results).unwrap()[0];
        let charts: Vec<Chart> = Kind::ALL.iter().filter_map(|kind| kind.draw(subject).ok()).collect();
        for chart in &charts {
            assert!(chart.scene.svg().ends_with("</svg>\n") && !chart.table.csv().is_empty());
            assert!(!chart.scene.svg().contains("NaN") && !chart.scene.svg().contains("inf"), "{:?}", chart.kind);
            assert!(chart.scene.png().len() > 100);
        }
        let style = terminal::Style { width: 80, colour: true };
        terminal::splits(subject, style, &mut std::io::sink()).unwrap();
        terminal::map(subject, style, &mut std::io::sink()).unwrap();
        charts.len()
    }

    #[test]
    fn any_result_can_be_drawn() {
        assert_eq!(draw_all(result(Vec::new())), 0);
        assert_eq!(draw_all(two_runs()), 4);
        let mut odd = two_runs();
        odd.runs[0].series.clear();
        odd.runs[0].counters = Counters::default();
        odd.runs[0].allocator = "a\u{1b}very\nlong <name> \u{4e00}".repeat(20);
        let last = odd.runs[1].series.last_mut().unwrap();
        (last.time_ns, last.direct_map_4k_kb, last.direct_map_level2_splits) = (u64::MAX, u64::MAX, u64::MAX);
        odd.runs[1].outcome = Outcome::OutOfMemory { time_ns: 5, event: 1, message: String::new() };
        for (bytes, cells) in [(0, "9G"), (1, ""), (u64::MAX, "4294967295s"), (1 << 40, "0G7M4294967280x"), (3, "9s5G")]
        {
            let cells: Cells = serde_json::from_value(cells.into()).unwrap();
            let moment = MapMoment { time_ns: 0, cells };
            odd.runs[1].memory_map = Some(MemoryMap { cell_bytes: bytes, moments: vec![moment] });
            assert_eq!(draw_all(odd.clone()), if bytes == 0 { 4 } else { 5 });
        }
    }

    #[test]
    fn many_allocators_fit() {
        let runs = (0..40).map(|number| run(&format!("allocator-{number}"), number, 1, TextReport::default()));
        assert_eq!(draw_all(result(runs.collect())), 4);
        let marks = Vec::new();
        let (title, description) = (String::new(), String::new());
        let png = Scene { size: (800.0, 100_000.0), title, description, marks }.png();
        assert_eq!(png[16..24], [0, 0, 1, 144, 0, 0, 195, 80], "400 by 50,000 pixels");
    }

    #[test]
    fn what_is_missing_is_named() {
        let results = [two_runs()];
        let subject = &Subject::gather(&results).unwrap()[0];
        let reason = |kind: Kind| kind.draw(subject).unwrap_err().to_string();
        assert_eq!(
            reason(Kind::Map),
            "there is no `map` chart: the result holds no map of physical memory; run the scenario again"
        );
        assert_eq!(reason(Kind::Seeds), "there is no `seeds` chart: it takes several seeds");
    }

    #[test]
    fn a_baseline_is_not_said_to_have_no_splits() {
        let results = [two_runs().into_baseline()];
        let subject = &Subject::gather(&results).unwrap()[0];
        for kind in [Kind::Splits, Kind::Pages, Kind::Text] {
            let reason = kind.draw(subject).unwrap_err().reason;
            assert!(reason.contains("no values over time"), "{kind:?}: {reason}");
        }
        assert!(Kind::Bars.draw(subject).is_ok(), "the counters at the end are there");
        let mut text = Vec::new();
        terminal::splits(subject, terminal::Style { width: 80, colour: false }, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("no values over time") && !text.contains("none"), "{text}");
    }
}
