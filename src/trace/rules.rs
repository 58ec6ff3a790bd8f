//! What must hold between the events of a trace: time, and what is loaded when.

use rustc_hash::FxHashSet;

use super::convert::Invalid;
use super::event::{Event, EventKind};
use crate::units::SimTime;

/// What is loaded at a point of a trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    last: SimTime,
    programs: FxHashSet<u64>,
    modules: FxHashSet<u64>,
    trampolines: FxHashSet<u64>,
}

impl Rules {
    /// Places for programs that are loaded.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.programs.capacity()
    }

    /// Takes the next event in, or says which rule it breaks; the events after it are judged as if it were right.
    #[inline]
    pub fn check(&mut self, event: &Event) -> Result<(), Box<Invalid>> {
        let last = std::mem::replace(&mut self.last, event.time);
        let known = match &event.kind {
            EventKind::Load(load) => self.programs.insert(load.id.get()),
            EventKind::Unload { id } => self.programs.remove(&id.get()),
            EventKind::ModuleLoad(module) => self.modules.insert(module.id),
            EventKind::ModuleUnload { id } => self.modules.remove(id),
            EventKind::TrampolineAttach { id, .. } => self.trampolines.insert(*id),
            EventKind::TrampolineUpdate { id, .. } => self.trampolines.contains(id),
            EventKind::TrampolineDetach { id } => self.trampolines.remove(id),
            EventKind::MemoryTake(_) | EventKind::MemoryGive(_) | EventKind::SetMemory(_) => true,
        };
        if known && event.time >= last { Ok(()) } else { Err(broken_rule(event, last)) }
    }
}

/// The description of a broken rule; time first, because it explains the others.
#[cold]
fn broken_rule(event: &Event, last: SimTime) -> Box<Invalid> {
    if event.time < last {
        let message = format!("time goes back from {} ns to {} ns", last.nanos(), event.time.nanos());
        return Invalid::new("time_ns", message).help("events come in the order of time");
    }
    let taken = |path, what: &str, id| {
        let help = "numbers can be used again only after the unload";
        Invalid::new(path, format!("{what} {id} is loaded although it already is")).help(help)
    };
    let missing = |path, what: &str, id| {
        let help = "at the start of a trace nothing is loaded; load at time 0 what was there before";
        Invalid::new(path, format!("{what} {id} goes away or changes, but it is not loaded")).help(help)
    };
    match &event.kind {
        EventKind::Load(load) => taken("load.id", "program", load.id.get()),
        EventKind::Unload { id } => missing("unload.id", "program", id.get()),
        EventKind::ModuleLoad(module) => taken("module_load.id", "module", module.id),
        EventKind::ModuleUnload { id } => missing("module_unload.id", "module", *id),
        EventKind::TrampolineAttach { id, .. } => taken("trampoline_attach.id", "trampoline", *id),
        EventKind::TrampolineUpdate { id, .. } => missing("trampoline_update.id", "trampoline", *id),
        EventKind::TrampolineDetach { id } => missing("trampoline_detach.id", "trampoline", *id),
        EventKind::MemoryTake(_) | EventKind::MemoryGive(_) | EventKind::SetMemory(_) => {
            unreachable!("only time can be wrong here")
        }
    }
}
