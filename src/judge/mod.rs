//! Real kernels judge the model: recordings replayed, step by step, and what came out compared.
//!
//! [`mechanics`] is the first level of judgement: the recording says which frames every image, pack and module got, and the
//! model must do to the direct map exactly what the kernel did: the same splits, the same permissions, the same
//! movement of the counters, at the same step.
//! - second level: [`place`] compares the addresses of images with the places that the text allocator gave them.
//! - third level: [`predict`] is blind: release, memory, `/proc/buddyinfo` and `/proc/pagetypeinfo` when init started, and what was
//!   done; the splits over time must come close.

mod areas;
mod boot;
mod explain;
mod mechanics;
mod movement;
mod placement;
mod places;
mod prediction;
mod programs;
mod rivals;
mod subject;
#[cfg(test)]
mod tests;
mod traced;
mod verdict;

pub use boot::{BootVerdict, judge_boot};
pub use explain::explain;
pub use mechanics::{StepView, mechanics, mechanics_with};
pub use movement::{CounterMove, Movement};
pub use placement::{PlaceView, Placement, place, place_with, places_in};
pub use prediction::{
    Course, Curve, Forecast, Prediction, RUNS, SAMPLES, Splits, Spread, is_close, predict, predict_with,
};
pub use subject::{Subject, SubjectError};
pub use traced::{TracedPlaces, traced_places};
pub use verdict::{Disagreement, Score, Scores, StepKind, Verdict};

#[cfg(test)]
mod testing {
    //! Recordings for tests.

    use std::path::{Path, PathBuf};

    use crate::recording::{Recording, RecordingReader, collect};

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
    }

    /// The shipped recording of this name.
    pub(super) fn recording(name: &str) -> Recording {
        read(&folder().join(format!("{name}.jsonl.zst")))
    }

    /// All of them.
    pub(super) fn every_recording() -> impl Iterator<Item = Recording> {
        collect(&[folder()]).unwrap().into_iter().map(|path| read(&path))
    }

    fn read(path: &Path) -> Recording {
        RecordingReader::open(path).unwrap().read_all().unwrap()
    }
}
