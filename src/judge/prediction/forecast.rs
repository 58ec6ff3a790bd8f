//! A prediction step by step.

use rayon::prelude::*;

use super::{Course, Splits, Subject, is_close, run_once, start_of};
use crate::judge::verdict::Disagreement;
use crate::recording::Recording;

/// What the kernel split, and what every run of the model did, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The kernel.
    pub recorded: Course,
    /// The model, run by run.
    pub runs: Vec<Course>,
    /// Why the model could not run to the end, if it could not.
    pub failure: Option<String>,
}

/// The runs at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The median of each level.
    pub median: Splits,
    /// The fewest.
    pub least: Splits,
    /// The most.
    pub most: Splits,
}

impl Spread {
    /// Of these numbers; zeros if there are none.
    pub fn of(splits: impl Iterator<Item = Splits>) -> Self {
        let (mut level2, mut level3): (Vec<u64>, Vec<u64>) = splits.map(|it| (it.level2, it.level3)).unzip();
        level2.sort_unstable();
        level3.sort_unstable();
        let at = |place: usize| {
            let of = |all: &[u64]| all.get(place).copied().unwrap_or(0);
            Splits { level2: of(&level2), level3: of(&level3) }
        };
        Self { median: at(level2.len() / 2), least: at(0), most: at(level2.len().saturating_sub(1)) }
    }
}

impl Forecast {
    /// Lets so many runs of the model do what the recording says was done.
    pub fn of(recording: &Recording, subject: &Subject, seed: u64, runs: u32) -> Self {
        let mut forecast = Self { recorded: recorded_course(recording), runs: Vec::new(), failure: None };
        let start = match start_of(recording) {
            Ok(start) => start,
            Err(why) => return Self { failure: Some(why), ..forecast },
        };
        let run_once = |run| run_once(recording, subject, &start, seed, run);
        // Side by side, since a few long recordings take most of the time.
        let courses: Vec<_> = (0..runs).into_par_iter().map(run_once).collect();
        for course in courses {
            match course {
                Ok(course) => forecast.runs.push(course),
                Err(why) => forecast.failure = Some(why),
            }
        }
        forecast
    }

    /// The runs after a step; 0 is the start.
    pub fn spread(&self, step: usize) -> Spread {
        Spread::of(self.runs.iter().filter_map(|run| run.get(step).copied()))
    }

    /// The runs in a step by itself.
    pub fn spread_in(&self, step: usize) -> Spread {
        Spread::of(self.runs.iter().filter_map(|run| split_in(run, step)))
    }

    /// What the kernel split in a step.
    pub fn recorded_in(&self, step: usize) -> Option<Splits> {
        split_in(&self.recorded, step)
    }

    /// The first step after which the model is not close; of 1 GiB entries as many as the kernel if these count.
    pub(super) fn first_apart(&self, recording: &Recording, level3: bool) -> Option<Disagreement> {
        let is_apart = |place: usize| {
            let (recorded, median) = (self.recorded[place], self.spread(place).median);
            !is_close(recorded.level2, median.level2) || (level3 && recorded.level3 != median.level3)
        };
        let (place, (step, record)) = (1..).zip(recording.steps()).find(|(place, _)| is_apart(*place))?;
        let (recorded, Spread { median, least, most }) = (self.recorded[place], self.spread(place));
        let show = |level2: u64, level3: u64| format!("{level2} level-2 and {level3} level-3 splits so far");
        Some(Disagreement {
            step,
            operation: record.operation.describe(),
            kernel: show(recorded.level2, recorded.level3),
            model: format!(
                "{}, the median of {} runs (level 2: {} to {})",
                show(median.level2, median.level3),
                self.runs.len(),
                least.level2,
                most.level2
            ),
        })
    }
}

/// What was split in a step alone.
fn split_in(course: &[Splits], step: usize) -> Option<Splits> {
    let (before, after) = (course.get(step.checked_sub(1)?)?, course.get(step)?);
    Some(Splits { level2: after.level2 - before.level2, level3: after.level3 - before.level3 })
}

fn recorded_course(recording: &Recording) -> Course {
    let mut total = Splits::default();
    let steps = recording.steps().map(|(_, record)| {
        if let Some(walk) = &record.walk {
            total.level2 += walk.split_2m.pages();
            total.level3 += walk.split_1g.pages();
        }
        total
    });
    std::iter::once(Splits::default()).chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::recording;
    use crate::text_alloc::Policy;

    #[test]
    fn the_first_step_apart_is_the_one_where_another_design_splits() {
        let recording = recording("patched/G1/P1-4096M");
        let subject = Subject::of(&recording.header).unwrap();
        let is = |policy| {
            let forecast = Forecast::of(&recording, &Subject { policy, ..subject }, 1, 3);
            forecast.first_apart(&recording, false)
        };
        assert_eq!(is(subject.policy), None);
        // A pack of 512 single pages has split several entries when the first one is full.
        let first = is(Policy::PackVmalloc).unwrap();
        assert_eq!((first.step, first.operation.as_str()), (3, "load 2"), "{first:?}");
    }

    #[test]
    fn a_step_by_itself_is_the_difference_of_two() {
        let at = |level2| Splits { level2, level3: 0 };
        let forecast = Forecast {
            recorded: vec![at(0), at(2), at(2)],
            runs: vec![vec![at(0), at(1), at(4)], vec![at(1), at(5), at(5)]],
            failure: None,
        };
        assert_eq!((forecast.recorded_in(0), forecast.recorded_in(1)), (None, Some(at(2))));
        assert_eq!(forecast.recorded_in(3), None);
        let Spread { median, least, most } = forecast.spread_in(2);
        assert_eq!((least, median, most), (at(0), at(3), at(3)));
        assert_eq!(forecast.spread(2).most, at(5));
        assert_eq!(Spread::of(std::iter::empty()), Spread::default());
    }
}
