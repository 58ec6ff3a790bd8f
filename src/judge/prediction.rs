//! Prediction: only what a user would know, and the splits over time compared.
//!
//! The model is told the release, the memory, the guest's `/proc/buddyinfo` and `/proc/pagetypeinfo` when init started,
//! and what was done to the guest. It boots, takes its page frames from its own page allocator, and must come close to
//! the splits that the kernel counted.

mod forecast;
mod loader;
mod operations;

use std::fmt;

use super::subject::{Subject, SubjectError};
use super::verdict::Disagreement;
use crate::direct_map::CounterView;
use crate::kernel::{HostSetup, Kernel};
use crate::memory::{MemoryLayout, Snapshot, StartState};
use crate::recording::{BUDDYINFO, PAGETYPEINFO, Recording};
use crate::rng::{Component, Stream};
use crate::units::{Bytes, PageSize};
pub use forecast::{Forecast, Spread};
use loader::ProgramArray;
use operations::Guest;

/// Runs of the model, which differ in what is left to chance: how full the per-CPU lists are when init starts, how far
/// slabs are used, and which pages are given back. Of 194 recordings six hang on the seed with 11 runs, in up to a
/// quarter of the cases; with 21 three of them do.
pub const RUNS: u32 = 21;
/// Places at which the splits so far are compared, at equal distances over the steps; the last one is the end.
pub const SAMPLES: usize = 10;
/// At so many of them kernel and model have to be close.
const CLOSE_SAMPLES: usize = 9;

/// Splits of the direct map since init started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Splits {
    /// 2 MiB entries.
    pub level2: u64,
    /// 1 GiB entries.
    pub level3: u64,
}

/// Splits at every sample.
pub type Curve = [Splits; SAMPLES];

/// Splits at the start, and then after every step.
pub type Course = Vec<Splits>;

/// How close the model is to a kernel that it was not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The recorded kernel.
    pub kernel: String,
    /// The recording's name: experiment, variant, memory.
    pub name: String,
    /// The kernel's splits at every sample.
    pub recorded: Curve,
    /// The model's, run by run.
    pub runs: Vec<Curve>,
    /// Whether the recording tells what was free when init started; if not, the model starts with what boot leaves.
    pub start_is_told: bool,
    /// Why the model could not run to the end, if it could not.
    pub failure: Option<String>,
    /// If the prediction is not good: the first step after which it is not close.
    pub first: Option<Disagreement>,
}

/// Whether a prediction lies within a tenth of what happened, or is off by one.
pub const fn is_close(recorded: u64, predicted: u64) -> bool {
    let apart = recorded.abs_diff(predicted);
    apart <= 1 || 10 * apart <= recorded
}

impl Prediction {
    /// The runs at a sample.
    fn spread(&self, sample: usize) -> Spread {
        Spread::of(self.runs.iter().map(|run| run[sample]))
    }

    /// The median of all runs at a sample.
    pub fn median(&self, sample: usize) -> Splits {
        self.spread(sample).median
    }

    /// The fewest and the most 2 MiB entries that a run has split at the end.
    pub fn range(&self) -> (u64, u64) {
        let Spread { least, most, .. } = self.spread(SAMPLES - 1);
        (least.level2, most.level2)
    }

    /// Samples at which the median is close to the kernel.
    pub fn close_samples(&self) -> usize {
        (0..SAMPLES).filter(|&at| is_close(self.recorded[at].level2, self.median(at).level2)).count()
    }

    /// Whether the median is close to the kernel at the end.
    pub fn is_close_at_end(&self) -> bool {
        is_close(self.recorded[SAMPLES - 1].level2, self.median(SAMPLES - 1).level2)
    }

    /// Whether a model that never splits anything would do as well.
    pub fn is_trivial(&self) -> bool {
        self.recorded.iter().all(|splits| is_close(splits.level2, 0) && splits.level3 == 0)
    }

    /// Whether the prediction is good: the end, the way there, and the 1 GiB entries exactly.
    pub fn agrees(&self) -> bool {
        self.failure.is_none()
            && self.is_close_at_end()
            && self.close_samples() >= CLOSE_SAMPLES
            && self.median(SAMPLES - 1).level3 == self.recorded[SAMPLES - 1].level3
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (recorded, predicted) = (self.recorded[SAMPLES - 1], self.median(SAMPLES - 1));
        let (least, most) = self.range();
        write!(
            f,
            "level 2: {} recorded, {} predicted ({least} to {most}); level 3: {} recorded, {} predicted; \
             close at {} of {SAMPLES} samples",
            recorded.level2,
            predicted.level2,
            recorded.level3,
            predicted.level3,
            self.close_samples(),
        )?;
        match &self.failure {
            Some(why) => write!(f, "; broken off: {why}"),
            None => Ok(()),
        }
    }
}

/// Judges the model's predictions by a recording; another seed draws anew what is left to chance.
///
/// # Errors
/// There is no model of the recorded kernel.
pub fn predict(recording: &Recording, seed: u64) -> Result<Prediction, SubjectError> {
    Ok(predict_with(recording, &Subject::of(&recording.header)?, seed, RUNS))
}

/// The same with a model of the caller's choice and so many runs.
pub fn predict_with(recording: &Recording, subject: &Subject, seed: u64, runs: u32) -> Prediction {
    let forecast = Forecast::of(recording, subject, seed, runs);
    let mut prediction = Prediction {
        kernel: recording.header.kernel.clone(),
        name: recording.header.name.clone(),
        recorded: sampled(&forecast.recorded),
        runs: forecast.runs.iter().map(|run| sampled(run)).collect(),
        start_is_told: recording.read_at_boot(BUDDYINFO).is_some(),
        failure: forecast.failure.clone(),
        first: None,
    };
    if !prediction.agrees() && !forecast.runs.is_empty() {
        let level3_is_missed = prediction.median(SAMPLES - 1).level3 != prediction.recorded[SAMPLES - 1].level3;
        prediction.first = forecast.first_apart(recording, level3_is_missed);
    }
    prediction
}

/// After which step each sample is taken, by the steps' place in the recording.
fn sample_steps(steps: usize) -> [usize; SAMPLES] {
    std::array::from_fn(|sample| (steps * (sample + 1)).div_ceil(SAMPLES))
}

/// A course at the samples.
fn sampled(course: &[Splits]) -> Curve {
    sample_steps(course.len().saturating_sub(1)).map(|step| course.get(step).copied().unwrap_or_default())
}

/// What the guest knew of its free memory when init started; a machine that has just booted if it was not read.
fn start_of(recording: &Recording) -> Result<StartState, String> {
    let text = |name| recording.read_at_boot(name);
    let Some(buddyinfo) = text(BUDDYINFO) else { return Ok(StartState::Fresh) };
    let snapshot = Snapshot::parse(buddyinfo, text(PAGETYPEINFO));
    snapshot.map(StartState::Snapshot).map_err(|error| error.to_string())
}

fn run_once(
    recording: &Recording,
    subject: &Subject,
    start: &StartState,
    seed: u64,
    run: u32,
) -> Result<Course, String> {
    let header = &recording.header;
    let memory = Bytes::new(header.ram_mib.saturating_mul(1 << 20));
    let layout = MemoryLayout::q35(memory).map_err(|error| error.to_string())?;
    let setup = HostSetup {
        release: subject.release,
        layout: &layout,
        start,
        cpus: header.cpus,
        largest_page: PageSize::Size1G,
        boot_program: subject.boot_program,
        seed,
        run,
    };
    let kernel = Kernel::boot(&setup, subject.text_allocator()).map_err(|error| error.to_string())?;
    let array = ProgramArray::new(&mut Stream::new(seed, Component::Loader, run));
    let mut guest = Guest::new(kernel, recording, array);
    let splits = |guest: &Guest<'_>| {
        let map = guest.observe(CounterView::Mapped);
        Splits { level2: map.level2_splits, level3: map.level3_splits }
    };
    let mut course = vec![splits(&guest)];
    for record in &recording.records {
        guest.apply(record).map_err(|error| format!("{}: {error}", record.operation.describe()))?;
        if record.step.is_some() {
            course.push(splits(&guest));
        }
    }
    Ok(course)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::recording;
    use crate::text_alloc::Policy;

    #[test]
    fn close_is_a_tenth_or_one() {
        assert!(is_close(0, 1) && !is_close(0, 2) && is_close(5, 6) && !is_close(5, 7));
        assert!(is_close(20, 18) && !is_close(20, 17) && is_close(343, 310) && !is_close(343, 308));
    }

    #[test]
    fn kernels_are_foreseen() {
        for name in [
            "debian/5.10.262/E6-4096M",
            "debian/5.10.262/E11-2048M",
            "debian/6.1.192/E6-4096M",
            "debian/6.12.117/E3-n3000-4096M",
            "debian/7.3.4/E6-4096M",
            "patched/G1split/P1-4096M",
            "patched/G3/E3-4096M-noptp",
        ] {
            let recording = recording(name);
            let prediction = predict_with(&recording, &Subject::of(&recording.header).unwrap(), 1, 3);
            assert!(prediction.agrees(), "{name}: {prediction}");
        }
    }

    #[test]
    fn another_design_does_not_fit() {
        let recording = recording("patched/G3/P1-4096M");
        let subject = Subject::of(&recording.header).unwrap();
        assert!(predict_with(&recording, &subject, 1, 3).agrees());
        for policy in [Policy::Pack2m, Policy::PackContig, Policy::ExecmemRox] {
            let prediction = predict_with(&recording, &Subject { policy, ..subject }, 1, 3);
            assert!(!prediction.agrees(), "{policy:?}: {prediction}");
        }
    }

    #[test]
    fn runs_and_seeds_differ_in_the_start() {
        let recording = recording("patched/G0/P1-4096M");
        let subject = Subject::of(&recording.header).unwrap();
        let curves = |seed| predict_with(&recording, &subject, seed, 4).runs;
        assert_eq!(curves(1), curves(1));
        assert_ne!(curves(1), curves(2));
        assert!(curves(1).iter().any(|curve| *curve != curves(1)[0]), "{:?}", curves(1));
    }

    #[test]
    fn samples_end_with_the_last_step() {
        assert_eq!(sample_steps(100)[..3], [10, 20, 30]);
        assert_eq!(sample_steps(3), [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]);
        assert_eq!(sample_steps(0), [0; SAMPLES]);
    }
}
