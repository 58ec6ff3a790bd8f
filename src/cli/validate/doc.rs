//! Verdicts as JSON.

use serde::Serialize;

use super::Judged;
use crate::judge::{BootVerdict, Disagreement, Placement, Prediction, SAMPLES, Score, Scores, Splits, Verdict};

/// The version of the format.
const SCHEMA_VERSION: u32 = 1;

/// What `validate --format json` prints.
#[derive(Debug, Serialize)]
pub(super) struct ValidationDoc {
    schema_version: u32,
    fragsim: &'static str,
    agrees: bool,
    recordings: Vec<RecordingDoc>,
}

/// One recording; a level that was not asked for is left out.
#[derive(Debug, Serialize)]
struct RecordingDoc {
    recording: String,
    kernel: String,
    experiment: String,
    name: String,
    agrees: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mechanics: Option<MechanicsDoc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<PlacementDoc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<PredictionDoc>,
}

#[derive(Debug, Serialize)]
struct MechanicsDoc {
    agrees: bool,
    boot: BootDoc,
    #[serde(flatten)]
    scores: ScoresDoc,
    inferred_steps: u64,
    first_disagreement: Option<DisagreementDoc>,
}

#[derive(Debug, Serialize)]
struct PlacementDoc {
    agrees: bool,
    images: PlacesDoc,
    areas: PlacesDoc,
    first_disagreement: Option<DisagreementDoc>,
}

#[derive(Debug, Serialize)]
struct PlacesDoc {
    checked: u64,
    agreeing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    null_model: Option<u64>,
}

/// Splits since the start, after each tenth of the steps.
#[derive(Debug, Serialize)]
struct PredictionDoc {
    agrees: bool,
    close_samples: usize,
    recorded: CurveDoc,
    runs: Vec<CurveDoc>,
    start_is_told: bool,
    failure: Option<String>,
    first_disagreement: Option<DisagreementDoc>,
}

#[derive(Debug, Serialize)]
struct CurveDoc {
    level2_splits: [u64; SAMPLES],
    level3_splits: [u64; SAMPLES],
}

#[derive(Debug, Serialize)]
struct BootDoc {
    agrees: bool,
    level2_splits: u64,
    level3_splits: u64,
    kernel_image_splits: u64,
    differences: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ScoresDoc {
    steps: ScoreDoc,
    changed_steps: ScoreDoc,
    splitting_steps: ScoreDoc,
}

#[derive(Debug, Serialize)]
struct ScoreDoc {
    checked: u64,
    agreeing: u64,
    null_model: u64,
    one_line_model: u64,
}

#[derive(Debug, Serialize)]
struct DisagreementDoc {
    step: u32,
    operation: String,
    kernel: String,
    model: String,
}

impl ScoresDoc {
    fn new(model: Scores, null: Scores, one_line: Scores) -> Self {
        let score = |of: fn(Scores) -> Score| ScoreDoc {
            checked: of(model).of,
            agreeing: of(model).agreeing,
            null_model: of(null).agreeing,
            one_line_model: of(one_line).agreeing,
        };
        Self {
            steps: score(|scores| scores.all),
            changed_steps: score(|scores| scores.changed),
            splitting_steps: score(|scores| scores.splitting),
        }
    }
}

impl From<&BootVerdict> for BootDoc {
    fn from(boot: &BootVerdict) -> Self {
        Self {
            agrees: boot.agrees(),
            level2_splits: boot.level2,
            level3_splits: boot.level3,
            kernel_image_splits: boot.image,
            differences: boot.differences.clone(),
        }
    }
}

impl From<&Disagreement> for DisagreementDoc {
    fn from(first: &Disagreement) -> Self {
        let Disagreement { step, operation, kernel, model } = first.clone();
        Self { step, operation, kernel, model }
    }
}

impl From<&Verdict> for MechanicsDoc {
    fn from(verdict: &Verdict) -> Self {
        Self {
            agrees: verdict.agrees(),
            boot: (&verdict.boot).into(),
            scores: ScoresDoc::new(verdict.model, verdict.null, verdict.one_line),
            inferred_steps: verdict.inferred,
            first_disagreement: verdict.first.as_ref().map(Into::into),
        }
    }
}

impl From<&Placement> for PlacementDoc {
    fn from(verdict: &Placement) -> Self {
        let places = |score: Score, null_model| PlacesDoc { checked: score.of, agreeing: score.agreeing, null_model };
        Self {
            agrees: verdict.agrees(),
            images: places(verdict.images, Some(verdict.null.agreeing)),
            areas: places(verdict.areas, None),
            first_disagreement: verdict.first.as_ref().map(Into::into),
        }
    }
}

impl From<&Prediction> for PredictionDoc {
    fn from(verdict: &Prediction) -> Self {
        let curve = |curve: &[Splits; SAMPLES]| CurveDoc {
            level2_splits: curve.map(|splits| splits.level2),
            level3_splits: curve.map(|splits| splits.level3),
        };
        Self {
            agrees: verdict.agrees(),
            close_samples: verdict.close_samples(),
            recorded: curve(&verdict.recorded),
            runs: verdict.runs.iter().map(curve).collect(),
            start_is_told: verdict.start_is_told,
            failure: verdict.failure.clone(),
            first_disagreement: verdict.first.as_ref().map(Into::into),
        }
    }
}

impl ValidationDoc {
    pub(super) fn new(judged: &[Judged]) -> Self {
        let recording = |it: &Judged| RecordingDoc {
            recording: it.named.source.clone(),
            kernel: it.named.kernel.clone(),
            experiment: it.named.experiment.clone(),
            name: it.named.name.clone(),
            agrees: it.agrees(),
            mechanics: it.mechanics.as_ref().map(Into::into),
            placement: it.placement.as_ref().map(Into::into),
            prediction: it.prediction.as_ref().map(Into::into),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            fragsim: env!("CARGO_PKG_VERSION"),
            agrees: judged.iter().all(Judged::agrees),
            recordings: judged.iter().map(recording).collect(),
        }
    }
}
