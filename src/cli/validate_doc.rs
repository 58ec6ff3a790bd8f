//! Verdicts as JSON.

use serde::Serialize;

use crate::judge::{BootVerdict, Disagreement, Score, Scores, Verdict};

/// The version of the format.
const SCHEMA_VERSION: u32 = 1;

/// What `validate --format json` prints.
#[derive(Debug, Serialize)]
pub(super) struct ValidationDoc {
    schema_version: u32,
    fragsim: &'static str,
    recordings: Vec<RecordingDoc>,
    mechanics: TotalDoc,
}

#[derive(Debug, Serialize)]
struct RecordingDoc {
    recording: String,
    kernel: String,
    experiment: String,
    name: String,
    agrees: bool,
    boot: BootDoc,
    mechanics: ScoresDoc,
    inferred_steps: u64,
    first_disagreement: Option<DisagreementDoc>,
}

#[derive(Debug, Serialize)]
struct BootDoc {
    agrees: bool,
    level2_splits: u64,
    level3_splits: u64,
    kernel_image_splits: u64,
    differences: Vec<String>,
}

/// All recordings together.
#[derive(Debug, Serialize)]
struct TotalDoc {
    recordings: u64,
    agreeing_recordings: u64,
    #[serde(flatten)]
    scores: ScoresDoc,
    inferred_steps: u64,
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

impl ValidationDoc {
    pub(super) fn new(verdicts: &[(String, Verdict)]) -> Self {
        let recording = |(source, verdict): &(String, Verdict)| RecordingDoc {
            recording: source.clone(),
            kernel: verdict.kernel.clone(),
            experiment: verdict.experiment.clone(),
            name: verdict.name.clone(),
            agrees: verdict.agrees(),
            boot: (&verdict.boot).into(),
            mechanics: ScoresDoc::new(verdict.model, verdict.null, verdict.one_line),
            inferred_steps: verdict.inferred,
            first_disagreement: verdict.first.as_ref().map(Into::into),
        };
        let sum = |of: fn(&Verdict) -> Scores| {
            verdicts.iter().fold(Scores::default(), |mut sum, (_, verdict)| {
                sum += of(verdict);
                sum
            })
        };
        Self {
            schema_version: SCHEMA_VERSION,
            fragsim: env!("CARGO_PKG_VERSION"),
            recordings: verdicts.iter().map(recording).collect(),
            mechanics: TotalDoc {
                recordings: verdicts.len() as u64,
                agreeing_recordings: verdicts.iter().filter(|(_, verdict)| verdict.agrees()).count() as u64,
                scores: ScoresDoc::new(
                    sum(|verdict| verdict.model),
                    sum(|verdict| verdict.null),
                    sum(|verdict| verdict.one_line),
                ),
                inferred_steps: verdicts.iter().map(|(_, verdict)| verdict.inferred).sum(),
            },
        }
    }
}
