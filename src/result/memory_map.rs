//! Where in physical memory the direct map's entries are large, and where executable memory lies.

use std::fmt::{self, Write as _};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Maps of physical memory at some moments of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryMap {
    /// Bytes of physical address space in a cell: 2 MiB on hosts up to 256 GiB, a larger power of two on larger ones.
    pub cell_bytes: u64,
    /// The map at some moments in ascending order: the first is the start, the last the end.
    pub moments: Vec<MapMoment>,
}

/// Physical memory at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MapMoment {
    /// Nanoseconds since the start of the replay.
    pub time_ns: u64,
    /// The cells from address 0 on.
    pub cells: Cells,
}

/// Cells from address 0 on, neighbours in the same state merged.
///
/// In JSON a text: for each run of cells how many they are (left out for one) and the letter of their state, such as
/// `s511M60G3.`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells(Vec<(u32, CellState)>);

/// What stands for a cell: the last of these that is true for any page of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellState {
    /// `.`: no RAM.
    Hole,
    /// `G`: 1 GiB pages.
    Whole1G,
    /// `M`: 2 MiB pages.
    Whole2M,
    /// `R`: a large page that is read-only or not present as a whole.
    LargeProtected,
    /// `X`: a large page with executable memory.
    LargeText,
    /// `s`: 4 KiB pages, all of them writable.
    Small,
    /// `r`: 4 KiB pages, some of them read-only or not present.
    SmallProtected,
    /// `x`: 4 KiB pages with executable memory.
    SmallText,
}

impl CellState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Hole,
        Self::Whole1G,
        Self::Whole2M,
        Self::LargeProtected,
        Self::LargeText,
        Self::Small,
        Self::SmallProtected,
        Self::SmallText,
    ];

    /// The letter that stands for the state in JSON.
    pub const fn letter(self) -> char {
        match self {
            Self::Hole => '.',
            Self::Whole1G => 'G',
            Self::Whole2M => 'M',
            Self::LargeProtected => 'R',
            Self::LargeText => 'X',
            Self::Small => 's',
            Self::SmallProtected => 'r',
            Self::SmallText => 'x',
        }
    }

    /// Whether the direct map covers the cell with 4 KiB pages.
    pub const fn is_small(self) -> bool {
        matches!(self, Self::Small | Self::SmallProtected | Self::SmallText)
    }
}

impl Cells {
    /// Each run: how many cells, and their state.
    pub fn runs(&self) -> impl Iterator<Item = (u32, CellState)> + '_ {
        self.0.iter().copied()
    }

    /// How many cells there are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(cells, _)| u64::from(*cells)).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(u32, CellState)> for Cells {
    fn from_iter<I: IntoIterator<Item = (u32, CellState)>>(runs: I) -> Self {
        Self(runs.into_iter().collect())
    }
}

impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &(cells, state) in &self.0 {
            if cells != 1 {
                write!(f, "{cells}")?;
            }
            f.write_char(state.letter())?;
        }
        Ok(())
    }
}

impl Serialize for Cells {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The cells that a text stands for; `None` if it stands for none.
fn parse(text: &str) -> Option<Cells> {
    let (mut runs, mut count, mut total) = (Vec::new(), None, 0_u32);
    for character in text.chars() {
        if let Some(digit) = character.to_digit(10) {
            count = Some(count.unwrap_or(0_u32).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let state = CellState::ALL.into_iter().find(|state| state.letter() == character)?;
        let cells = count.take().unwrap_or(1);
        // What does not fit 32 bits was written by nobody, and would be too much for a picture.
        total = total.checked_add(cells)?;
        runs.push((cells, state));
    }
    count.is_none().then_some(Cells(runs))
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Cells;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("cells as text, such as \"s511M60G3.\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cells, E> {
                parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Cells {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cells".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]*[.GMRXsrx])*$",
            "description": "Cells from address 0 on: for each run of cells how many they are (left out for one) and the letter \
        of their state, which is the last of these that is true for any page of the cell: `.` no RAM; `G` 1 GiB pages; `M` 2 MiB \
        pages; `R` a large page that is read-only or not present as a whole; `X` a large page with executable memory; `s` 4 KiB \
        pages, all of them writable; `r` 4 KiB pages, some of them read-only or not present; `x` 4 KiB pages with executable memory"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_written_and_read_without_loss() {
        for text in ["", "s511M60G3.", ".GMRXsrx", "131072G"] {
            let cells: Cells = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(&cells).unwrap(), text);
        }
        let cells: Cells = serde_json::from_str("\"s511M60G3.\"").unwrap();
        assert_eq!((cells.len(), cells.runs().count()), (575, 4));
    }

    #[test]
    fn what_is_no_cells_is_refused() {
        for text in ["5", "5Q", "5000000000G", "4294967295G1M", "-1G", "\u{661}G"] {
            let error = serde_json::from_value::<Cells>(text.into()).unwrap_err().to_string();
            assert!(error.contains("expected cells as text, such as"), "{text}: {error}");
        }
    }
}
