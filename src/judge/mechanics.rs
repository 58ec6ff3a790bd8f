//! Mechanics: frames given, everything that happens to the direct map compared.

use rustc_hash::FxHashMap;

use super::areas::{self, NewArea, NewModule};
use super::boot::judge_boot;
use super::movement::{CounterMove, Movement};
use super::programs::{Key, Programs};
use super::rivals::Truth;
use super::subject::{Subject, SubjectError};
use super::verdict::{Disagreement, Scores, StepKind, Verdict};
use crate::direct_map::{CounterView, DirectMap, DirectMapCounters, Leaf};
use crate::kernel::{GivenKernel, MapCall};
use crate::recording::{Counters, Image, LayoutRange, LayoutTime, Operation, Record, Recording, Seen, Walk};
use crate::units::{PageSize, PfnRange};

/// One step under the judge.
#[derive(Clone, Debug)]
pub struct StepView<'a> {
    /// Its number.
    pub step: u32,
    /// What was done and seen.
    pub record: &'a Record,
    /// What the kernel did.
    pub kernel: Movement,
    /// What the model did.
    pub model: Movement,
    /// What the model of one line did.
    pub one_line: Movement,
    /// Whether the null model and the model of one line agree with the kernel.
    pub rivals_agree: (bool, bool),
    /// The model's calls that changed the direct map, or tried to.
    pub calls: Vec<MapCall>,
    /// What else is worth telling, a sentence each.
    pub notes: Vec<String>,
    /// Whether the model was told where pages stood that no walk has seen, because something broke there.
    pub is_inferred: bool,
}

impl StepView<'_> {
    /// Whether kernel and model did the same.
    pub fn agrees(&self) -> bool {
        self.kernel == self.model
    }

    /// What the two did, whichever did more.
    pub fn kind(&self) -> StepKind {
        if self.kernel.splits() || self.model.splits() {
            StepKind::Splitting
        } else if !self.kernel.is_still() || !self.model.is_still() {
            StepKind::Changing
        } else {
            StepKind::Still
        }
    }
}

/// Judges the mechanics of the model by a recording.
///
/// # Errors
/// There is no model of the recorded kernel.
pub fn mechanics(recording: &Recording) -> Result<Verdict, SubjectError> {
    let subject = Subject::of(&recording.header)?;
    Ok(mechanics_with(recording, &subject, |_| {}))
}

/// The same with a model of the caller's choice, showing the caller every step.
pub fn mechanics_with(recording: &Recording, subject: &Subject, mut show: impl FnMut(&StepView<'_>)) -> Verdict {
    let mut verdict = Verdict {
        kernel: recording.header.kernel.clone(),
        experiment: recording.header.experiment.clone(),
        name: recording.header.name.clone(),
        boot: judge_boot(recording),
        model: Scores::default(),
        inferred: 0,
        null: Scores::default(),
        one_line: Scores::default(),
        first: None,
    };
    let mut bench = Bench::new(recording, subject);
    for (step, record) in recording.steps() {
        let view = bench.step(step, record);
        let kind = view.kind();
        verdict.model.count(view.agrees(), kind);
        verdict.inferred += u64::from(view.is_inferred);
        verdict.null.count(view.rivals_agree.0, kind);
        verdict.one_line.count(view.rivals_agree.1, kind);
        if !view.agrees() && verdict.first.is_none() {
            verdict.first = Some(Disagreement {
                step,
                operation: record.operation.describe(),
                kernel: view.kernel.to_string(),
                model: view.model.to_string(),
            });
        }
        show(&view);
    }
    verdict.first = verdict.first.or_else(|| bench.compare_end(recording));
    verdict
}

/// A model beside a recording.
struct Bench<'a> {
    kernel: GivenKernel,
    programs: Programs,
    truth: Truth,
    counters: Counters,
    modelled: DirectMapCounters,
    module_sizes: FxHashMap<&'a str, u64>,
    modules: Vec<&'a str>,
    unused: Vec<u64>,
    notes: Vec<String>,
    is_inferred: bool,
}

impl<'a> Bench<'a> {
    fn new(recording: &'a Recording, subject: &Subject) -> Self {
        let leaves = leaves_of(recording.layout(LayoutTime::Boot).unwrap_or_default());
        let mut map = DirectMap::from_leaves(&leaves).expect("a recording's layout is checked where it is read");
        map.start_running();
        let truth = Truth::new(map.clone());
        let text = subject.text_allocator();
        let mut kernel = GivenKernel::new(subject.release, text, map, subject.nodes, subject.boot_program);
        let _ = (kernel.take_opened(), kernel.take_changes(), kernel.take_calls());
        let modelled = kernel.map().counters(CounterView::Kernel);
        Self {
            kernel,
            programs: Programs::default(),
            truth,
            counters: recording.header.counters,
            modelled,
            module_sizes: areas::module_sizes(recording),
            modules: Vec::new(),
            unused: Vec::new(),
            notes: Vec::new(),
            is_inferred: false,
        }
    }

    /// Lets a step happen to the model, and compares.
    fn step(&mut self, step: u32, record: &'a Record) -> StepView<'a> {
        let changes = record.walk.as_ref().map_or(&[][..], |walk| &walk.areas);
        let gone = areas::gone(changes);
        self.programs.settle(&mut self.kernel, &gone);
        match (&record.operation, &record.walk) {
            (Operation::ModuleLoad { name, errno: None }, Some(walk)) => self.load_module(name, walk),
            (operation, _) => self.operate(operation, areas::mapped(changes)),
        }
        self.programs.settle(&mut self.kernel, &gone);
        let now = record.counters.unwrap_or(self.counters);
        let counted = CounterMove::recorded(&self.counters, &now);
        self.counters = now;
        let events = now.level2_splits.is_some();
        let before = std::mem::replace(&mut self.modelled, self.kernel.map().counters(CounterView::Kernel));
        let moved = CounterMove::modelled(&before, &self.modelled, events);
        let walk = record.walk.as_ref();
        let mut kernel = Movement::recorded(walk, counted);
        let (mut model, one_line) = match walk {
            Some(walk) => {
                let one_line = self.truth.one_line(walk, events);
                self.truth.follow(walk);
                (Movement::modelled(self.kernel.take_changes(), moved), one_line)
            }
            None => (Movement { counters: moved, ..Movement::default() }, Movement::default()),
        };
        let rivals_agree = (kernel.is_still(), kernel == one_line);
        kernel.areas = std::mem::take(&mut self.unused);
        model.areas = self.kernel.take_refused().iter().map(|request| request.pages).collect();
        let view = StepView {
            step,
            record,
            kernel,
            model,
            one_line,
            rivals_agree,
            calls: self.kernel.take_calls(),
            notes: std::mem::take(&mut self.notes),
            is_inferred: std::mem::take(&mut self.is_inferred),
        };
        if !view.agrees() && walk.is_some() {
            // Later steps are judged by themselves, from where the kernel is.
            self.kernel.replace_map(self.truth.map().clone());
            self.modelled = self.kernel.map().counters(CounterView::Kernel);
        }
        view
    }

    fn operate(&mut self, operation: &'a Operation, new: Vec<NewArea>) {
        let adopt = areas::is_unannounced(operation);
        let (foreign, own): (Vec<NewArea>, Vec<NewArea>) =
            new.into_iter().partition(|area| adopt && area.is_executable());
        self.kernel.give(own.into_iter().map(|area| area.given));
        match operation {
            Operation::Load(load) => self.load(Key::Number(load.id), load.image.as_ref()),
            Operation::TracedLoad(load) => self.load(Key::File(load.file), load.image.as_ref()),
            Operation::Unload { id } => self.programs.drop_one(Key::Number(*id)),
            Operation::UnloadAll { .. } => self.programs.drop_all(true),
            Operation::TracedClose { file } => self.programs.drop_one(Key::File(*file)),
            Operation::TracedEnd => self.programs.drop_all(false),
            Operation::ModuleUnload { name, errno: None } => self.unload_module(name),
            _ => {}
        }
        for area in foreign {
            let read_only = area.is_read_only();
            self.programs.adopt(&mut self.kernel, area.given, read_only);
        }
        if adopt {
            // Whatever cannot be executed is nobody's business here.
            let _ = self.kernel.take_unused();
        }
        self.collect_unused();
    }

    fn load(&mut self, key: Key, image: Option<&Image>) {
        if let Some(image) = image {
            self.programs.load(&mut self.kernel, key, image);
        }
    }

    fn load_module(&mut self, name: &'a str, walk: &Walk) {
        let id = self.modules.iter().position(|known| *known == name).unwrap_or(self.modules.len());
        if id == self.modules.len() {
            self.modules.push(name);
        }
        let total = self.module_sizes.get(name).copied();
        let mut module = NewModule::new(id as u64, areas::mapped(&walk.areas), total);
        let hidden = areas::unexplained(&walk.split_2m, &walk.areas);
        if !hidden.is_empty() {
            self.is_inferred = true;
            self.notes.push(format!(
                "no area stands on the split blocks {hidden:?}: taken for pages of the module's initialisation, which are \
                 freed before the walk"
            ));
        }
        module.add_init_pages(&hidden);
        self.kernel.give(module.given);
        // An area that is missing shows among those that only the model has opened.
        self.kernel.load_module(&module.load).ok();
        let _ = self.kernel.take_opened();
        self.collect_unused();
    }

    fn unload_module(&mut self, name: &str) {
        if let Some(id) = self.modules.iter().position(|known| *known == name) {
            self.kernel.unload_module(id as u64);
        }
    }

    /// Areas that the kernel has opened and the model has not.
    fn collect_unused(&mut self) {
        self.unused.extend(self.kernel.take_unused().iter().map(|area| area.pages));
    }

    /// Compares the whole direct map with the recorded one, and looks for images that were never freed.
    fn compare_end(&self, recording: &Recording) -> Option<Disagreement> {
        let recorded = recording.layout(LayoutTime::End)?;
        let step = recording.steps().last().map_or(0, |(step, _)| step);
        let found = |kernel: String, model: String| {
            Some(Disagreement { step, operation: "layout at the end".to_owned(), kernel, model })
        };
        let (kernel, model) = (visible(leaves_of(recorded).into_iter()), visible(self.kernel.map().leaves()));
        if let Some(at) = (0..kernel.len().max(model.len())).find(|&at| kernel.get(at) != model.get(at)) {
            let show = |leaves: &[(PfnRange, PageSize, Seen)]| match leaves.get(at) {
                Some((range, size, seen)) => {
                    format!("{} frames from {} in {size} entries, {seen}", range.pages(), range.start().get())
                }
                None => "nothing".to_owned(),
            };
            return found(show(&kernel), show(&model));
        }
        let waiting = self.programs.waiting();
        (waiting > 0).then(|| found("all images freed".to_owned(), format!("{waiting} images not freed yet")))?
    }
}

/// The entries of a recorded layout; those that cannot be are left out.
pub(super) fn leaves_of(ranges: &[LayoutRange]) -> Vec<Leaf> {
    ranges.iter().filter_map(|range| range.leaf()).collect()
}

/// What a walk sees of entries in ascending order: neighbours that look alike are one.
pub(super) fn visible(leaves: impl Iterator<Item = Leaf>) -> Vec<(PfnRange, PageSize, Seen)> {
    let mut seen: Vec<(PfnRange, PageSize, Seen)> = Vec::new();
    for leaf in leaves {
        let looks = Seen::of(leaf.perms);
        match seen.last_mut() {
            Some((range, size, last)) if range.end() == leaf.range.start() && (*size, *last) == (leaf.size, looks) => {
                *range = PfnRange::new(range.start(), leaf.range.end());
            }
            _ => seen.push((leaf.range, leaf.size, looks)),
        }
    }
    seen
}
