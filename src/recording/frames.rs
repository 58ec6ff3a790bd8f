//! Lists of page frames, as short as their order allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::{MAX_PFN, Pfn, PfnRange};

/// Neighbouring frames, up or down: `[20, 3]` is 20, 21, 22 and `[20, -3]` is 20, 19, 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "(u64, i64)", into = "(u64, i64)")]
#[schemars(with = "(u64, i64)")]
pub struct FrameRun {
    first: u64,
    count: i64,
}

/// Numbers that are no run of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("[{first}, {count}] is no run of page frames")]
pub struct NoFrameRun {
    first: u64,
    count: i64,
}

impl TryFrom<(u64, i64)> for FrameRun {
    type Error = NoFrameRun;

    fn try_from((first, count): (u64, i64)) -> Result<Self, NoFrameRun> {
        let far = count.unsigned_abs();
        let fits = match count {
            0 => false,
            1.. => first.checked_add(far).is_some_and(|end| end <= MAX_PFN + 1),
            _ => first <= MAX_PFN && far <= first + 1,
        };
        if fits { Ok(Self { first, count }) } else { Err(NoFrameRun { first, count }) }
    }
}

impl From<FrameRun> for (u64, i64) {
    fn from(run: FrameRun) -> Self {
        (run.first, run.count)
    }
}

impl FrameRun {
    /// How many frames.
    pub const fn pages(self) -> u64 {
        self.count.unsigned_abs()
    }

    /// The frames, whatever their order.
    pub const fn range(self) -> PfnRange {
        let first = if self.count < 0 { self.first + 1 - self.pages() } else { self.first };
        PfnRange::with_len(Pfn::new(first), self.pages())
    }

    /// Every frame in its order.
    pub fn iter(self) -> impl Iterator<Item = Pfn> {
        let down = self.count < 0;
        (0..self.pages()).map(move |at| Pfn::new(if down { self.first - at } else { self.first + at }))
    }

    /// Both runs as one, if the next one goes on where this one ends, in the same direction.
    fn joined(self, next: Self) -> Option<Self> {
        let (up, down) = (self.count > 0 && next.count > 0, self.count <= 1 && next.count <= 1);
        let pages = i64::try_from(self.pages() + next.pages()).ok()?;
        if up && self.first + self.pages() == next.first {
            return Some(Self { first: self.first, count: pages });
        }
        (down && self.first.checked_sub(self.pages()) == Some(next.first))
            .then_some(Self { first: self.first, count: -pages })
    }
}

/// Page frames in a given order, such as that of the addresses that map them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<FrameRun>")]
#[schemars(with = "Vec<FrameRun>")]
pub struct FrameList(Vec<FrameRun>);

impl From<Vec<FrameRun>> for FrameList {
    fn from(runs: Vec<FrameRun>) -> Self {
        let mut list = Self::default();
        runs.into_iter().for_each(|run| list.push(run));
        list
    }
}

impl FrameList {
    /// Appends frames.
    pub fn push(&mut self, run: FrameRun) {
        if let Some(last) = self.0.last_mut()
            && let Some(joined) = last.joined(run)
        {
            *last = joined;
        } else {
            self.0.push(run);
        }
    }

    /// Appends the frames of another list.
    pub fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|run| self.push(*run));
    }

    /// The runs, in order.
    pub fn runs(&self) -> &[FrameRun] {
        &self.0
    }

    /// How many frames.
    pub fn pages(&self) -> u64 {
        self.0.iter().map(|run| run.pages()).sum()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every frame in its order.
    pub fn iter(&self) -> impl Iterator<Item = Pfn> + '_ {
        self.0.iter().flat_map(|run| run.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(runs: &str) -> Result<FrameList, serde_json::Error> {
        serde_json::from_str(runs)
    }

    #[test]
    fn runs_go_up_and_down() {
        let frames = list("[[7,2],[20,-3],[5,1]]").unwrap();
        assert_eq!(frames.iter().map(Pfn::get).collect::<Vec<_>>(), [7, 8, 20, 19, 18, 5]);
        assert_eq!(frames.pages(), 6);
        assert_eq!(frames.runs()[1].range(), PfnRange::new(Pfn::new(18), Pfn::new(21)));
    }

    #[test]
    fn neighbours_are_joined() {
        let joined = |runs| serde_json::to_string(&list(runs).unwrap()).unwrap();
        assert_eq!(joined("[[9,1],[8,1],[7,1],[6,-2]]"), "[[9,-5]]");
        assert_eq!(joined("[[1,1],[2,4],[6,1]]"), "[[1,6]]");
        assert_eq!(joined("[[1,2],[2,-2],[0,1]]"), "[[1,2],[2,-3]]");
    }

    #[test]
    fn impossible_runs_are_refused() {
        for runs in ["[[1,0]]", "[[1,-3]]", "[[1099511627775,2]]", "[[18446744073709551615,9]]", "[[5]]", "[5]"] {
            assert!(list(runs).is_err(), "{runs}");
        }
        assert!(list("[[1,-2],[1099511627775,1]]").is_ok());
    }

    proptest! {
        #[test]
        fn joining_keeps_the_frames(runs in prop::collection::vec((8_u64..16, -4_i64..5), 0..12)) {
            let runs: Vec<FrameRun> = runs.into_iter().filter_map(|run| FrameRun::try_from(run).ok()).collect();
            let plain: Vec<Pfn> = runs.iter().flat_map(|run| run.iter()).collect();
            let joined = FrameList::from(runs);
            prop_assert_eq!(joined.iter().collect::<Vec<_>>(), plain);
            let again: FrameList = serde_json::from_str(&serde_json::to_string(&joined).unwrap()).unwrap();
            prop_assert_eq!(again, joined);
        }
    }
}
