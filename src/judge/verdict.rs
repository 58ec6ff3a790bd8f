//! What a judgement comes to.

use super::boot::BootVerdict;

/// Steps that agree, out of all that were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Steps that agree.
    pub agreeing: u64,
    /// Steps.
    pub of: u64,
}

impl Score {
    /// Counts a step.
    pub fn count(&mut self, agrees: bool) {
        self.agreeing += u64::from(agrees);
        self.of += 1;
    }

    /// Whether every step agrees.
    pub const fn is_full(self) -> bool {
        self.agreeing == self.of
    }
}

impl std::ops::AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.agreeing += other.agreeing;
        self.of += other.of;
    }
}

/// Scores of one model on one recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// All steps.
    pub all: Score,
    /// Steps in which the kernel's direct map or the model's changed.
    pub changed: Score,
    /// Steps in which an entry of the kernel's direct map or the model's split.
    pub splitting: Score,
}

/// What kind of step is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepKind {
    /// Nothing changed.
    Still,
    /// Permissions or counters changed.
    Changing,
    /// An entry was split.
    Splitting,
}

impl Scores {
    /// Counts a step.
    pub fn count(&mut self, agrees: bool, kind: StepKind) {
        self.all.count(agrees);
        if kind >= StepKind::Changing {
            self.changed.count(agrees);
        }
        if kind >= StepKind::Splitting {
            self.splitting.count(agrees);
        }
    }
}

impl std::ops::AddAssign for Scores {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.changed += other.changed;
        self.splitting += other.splitting;
    }
}

/// The first step on which kernel and model differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// Number of the step; 0 for what was found at boot.
    pub step: u32,
    /// What was done.
    pub operation: String,
    /// What the kernel did.
    pub kernel: String,
    /// What the model did.
    pub model: String,
}

/// What one recording says of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The recorded kernel.
    pub kernel: String,
    /// The experiment, such as `E3`.
    pub experiment: String,
    /// The recording's name: experiment, variant, memory.
    pub name: String,
    /// The direct map at boot.
    pub boot: BootVerdict,
    /// The model.
    pub model: Scores,
    /// Steps in which the model was told where pages stood that no walk has seen, because something broke there: those of
    /// a module's initialisation, which are freed before the walk.
    pub inferred: u64,
    /// A model that never changes anything.
    pub null: Scores,
    /// A model that is told every change of permissions, and splits the large entries that one covers in part.
    pub one_line: Scores,
    /// Where kernel and model differ first.
    pub first: Option<Disagreement>,
}

impl Verdict {
    /// Whether kernel and model agree everywhere, from the layout at boot to that at the end.
    pub fn agrees(&self) -> bool {
        self.boot.agrees() && self.model.all.is_full() && self.first.is_none()
    }
}
