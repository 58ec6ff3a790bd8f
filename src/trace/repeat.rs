//! A trace that happens again and again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::event::{Event, EventKind, ProgId};
use super::{EventSource, TraceError, TraceReader};
use crate::diagnostics::Diagnostic;
use crate::units::{SimDuration, SimTime};

/// Traces of at most this many events are kept in memory (40 bytes each); longer ones are read anew each time.
const KEPT_EVENTS: usize = 1 << 16;
/// At most this many repetitions of a trace that is read anew may overlap: each has the file open.
const MAX_OPEN: u64 = 64;
/// Events read ahead in each repetition of a trace that is read anew.
const READ_AHEAD: usize = 1024;

/// A trace repeated with a period.
///
/// Repetition `n` begins at `n * period`. If the period is shorter than the trace, repetitions overlap; events of the
/// same time come in the order of the repetitions. Numbers of programs, modules and trampolines are made unique for
/// each repetition, names of memory users are not: they are the same users. What is still loaded at the end of a
/// repetition stays loaded.
pub struct Repeated {
    tape: Tape,
    shape: Shape,
    times: u64,
    period_ns: u64,
    /// Repetitions begun so far.
    begun: u64,
    cursors: Vec<Cursor>,
    /// Cursors that are free for the next repetition.
    free: Vec<usize>,
    /// The next event of each repetition under way: time, repetition, cursor.
    next: BinaryHeap<Reverse<(u64, u64, usize)>>,
}

/// Where the events come from.
enum Tape {
    Kept(Arc<[Event]>),
    File(PathBuf),
}

/// What a trace is like as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    events: u64,
    end_ns: u64,
    max_program: u64,
    max_module: u64,
    max_trampoline: u64,
    hash: Option<u128>,
}

impl Shape {
    fn add(&mut self, event: &Event) {
        self.events += 1;
        self.end_ns = event.time.nanos();
        let (max, id) = match &event.kind {
            EventKind::Load(load) => (&mut self.max_program, load.id.get()),
            EventKind::ModuleLoad(module) => (&mut self.max_module, module.id),
            EventKind::TrampolineAttach { id, .. } => (&mut self.max_trampoline, *id),
            _ => return,
        };
        *max = (*max).max(id);
    }

    /// The largest number of a kind in the last of `times` repetitions.
    fn fits(&self, times: u64, period_ns: u64) -> Option<()> {
        let last = times.checked_sub(1)?;
        last.checked_mul(period_ns)?.checked_add(self.end_ns)?;
        for max in [self.max_program, self.max_module, self.max_trampoline] {
            last.checked_mul(max.checked_add(1)?)?.checked_add(max)?;
        }
        self.events.checked_mul(times).map(|_| ())
    }
}

/// A repetition under way.
struct Cursor {
    repetition: u64,
    /// The file, if events are read anew.
    reader: Option<Box<TraceReader>>,
    /// Events read ahead; empty if they are kept.
    ahead: Vec<Event>,
    /// The next event in `ahead`, or in the kept events.
    at: usize,
}

impl Repeated {
    /// A trace file that happens `times` times; without a period, each repetition follows right behind the last.
    ///
    /// The file is read once to see how long it is and whether it is right.
    pub fn of_file(path: impl AsRef<Path>, times: u64, period: Option<SimDuration>) -> Result<Self, TraceError> {
        let path = path.as_ref();
        let mut reader = TraceReader::open(path)?;
        let (mut shape, mut kept, mut batch) = (Shape::default(), Vec::new(), Vec::new());
        while reader.next_batch(&mut batch, READ_AHEAD)? > 0 {
            batch.iter().for_each(|event| shape.add(event));
            if kept.len() <= KEPT_EVENTS {
                kept.append(&mut batch);
            }
            batch.clear();
        }
        shape.hash = reader.hash();
        let tape = if kept.len() <= KEPT_EVENTS { Tape::Kept(kept.into()) } else { Tape::File(path.to_owned()) };
        Self::new(tape, shape, times, period).map_err(|diagnostic| {
            let name = path.display().to_string();
            TraceError::fatal(diagnostic.in_file(name))
        })
    }

    /// Events that happen `times` times.
    pub fn of_events(events: Vec<Event>, times: u64, period: Option<SimDuration>) -> Result<Self, TraceError> {
        let mut shape = Shape::default();
        events.iter().for_each(|event| shape.add(event));
        Self::new(Tape::Kept(events.into()), shape, times, period).map_err(|diagnostic| TraceError::fatal(*diagnostic))
    }

    fn new(tape: Tape, shape: Shape, times: u64, period: Option<SimDuration>) -> Result<Self, Box<Diagnostic>> {
        let wrong = |message: String, help: &str| Err(Box::new(Diagnostic::new(message).help(help)));
        let period_ns = period.map_or(shape.end_ns.saturating_add(1), SimDuration::nanos);
        if times == 0 || period_ns == 0 {
            let what = if times == 0 { "times" } else { "with a period" };
            return wrong(
                format!("the trace is repeated 0 {what}"),
                "repeat it at least once, every nanosecond or slower",
            );
        }
        if shape.fits(times, period_ns).is_none() {
            let message = format!("{times} repetitions go beyond the end of time or of the numbers of programs");
            return wrong(message, "time and numbers end at 2^64; repeat less often");
        }
        if matches!(tape, Tape::File(_)) {
            if tape_is_stdin(&tape) {
                return wrong("standard input can be read only once".to_owned(), "save the trace to a file");
            }
            let overlap = (shape.end_ns / period_ns + 1).min(times);
            if overlap > MAX_OPEN {
                let message = format!("{overlap} repetitions of a long trace overlap, but at most {MAX_OPEN} can");
                return wrong(message, "choose a longer period");
            }
        }
        let (cursors, free, next) = (Vec::new(), Vec::new(), BinaryHeap::new());
        Ok(Self { tape, shape, times, period_ns, begun: 0, cursors, free, next })
    }

    /// The hash of the trace file as [`TraceReader::hash`] gives it; `None` for events from memory.
    pub fn hash(&self) -> Option<u128> {
        self.shape.hash
    }

    /// When the next repetition begins; `None` if all have begun.
    fn next_start(&self) -> Option<u64> {
        (self.begun < self.times).then(|| self.begun * self.period_ns)
    }

    /// Begins the next repetition.
    fn begin(&mut self) -> Result<(), TraceError> {
        let repetition = self.begun;
        self.begun += 1;
        let reader = match &self.tape {
            Tape::Kept(_) => None,
            Tape::File(path) => Some(Box::new(TraceReader::open(path)?)),
        };
        let cursor = Cursor { repetition, reader, ahead: Vec::new(), at: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.cursors[slot] = cursor;
                slot
            }
            None => {
                self.cursors.push(cursor);
                self.cursors.len() - 1
            }
        };
        self.queue(slot)
    }

    /// Puts a repetition's next event in the queue, or ends the repetition.
    fn queue(&mut self, slot: usize) -> Result<(), TraceError> {
        let cursor = &mut self.cursors[slot];
        if let Some(event) = cursor.peek(&self.tape)? {
            let time = event.time.nanos() + cursor.repetition * self.period_ns;
            self.next.push(Reverse((time, cursor.repetition, slot)));
        } else {
            cursor.reader = None;
            self.free.push(slot);
        }
        Ok(())
    }

    /// Takes events of one repetition while no other has an earlier one.
    fn run(&mut self, slot: usize, into: &mut Vec<Event>, goal: usize) -> Result<(), TraceError> {
        let start = self.next_start().unwrap_or(u64::MAX);
        let all_begun = self.next_start().is_none();
        let rival =
            self.next.peek().map_or((u64::MAX, u64::MAX), |Reverse((time, repetition, _))| (*time, *repetition));
        let cursor = &mut self.cursors[slot];
        let repetition = cursor.repetition;
        let shift = repetition * self.period_ns;
        while into.len() < goal
            && let Some(event) = cursor.peek(&self.tape)?
        {
            let time = event.time.nanos() + shift;
            if (time, repetition) > rival || (time >= start && !all_begun) {
                break;
            }
            let kind = renumbered(&event.kind, repetition, &self.shape);
            into.push(Event { time: SimTime::from_nanos(time), kind });
            cursor.at += 1;
        }
        self.queue(slot)
    }
}

impl Cursor {
    /// The next event of this repetition, as the trace has it.
    fn peek<'a>(&'a mut self, tape: &'a Tape) -> Result<Option<&'a Event>, TraceError> {
        match (tape, &mut self.reader) {
            (Tape::Kept(events), _) => Ok(events.get(self.at)),
            (Tape::File(_), None) => Ok(None),
            (Tape::File(_), Some(reader)) => {
                if self.at == self.ahead.len() {
                    self.ahead.clear();
                    self.at = 0;
                    reader.next_batch(&mut self.ahead, READ_AHEAD)?;
                }
                Ok(self.ahead.get(self.at))
            }
        }
    }
}

impl EventSource for Repeated {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        let before = into.len();
        let goal = before.saturating_add(max);
        while into.len() < goal {
            let first = self.next.peek().map(|Reverse((time, ..))| *time);
            if let Some(start) = self.next_start()
                && first.is_none_or(|first| start <= first)
                && self.shape.events > 0
            {
                self.begin()?;
            } else if let Some(Reverse((_, _, slot))) = self.next.pop() {
                self.run(slot, into, goal)?;
            } else {
                break;
            }
        }
        Ok(into.len() - before)
    }

    fn total_hint(&self) -> Option<u64> {
        Some(self.shape.events * self.times)
    }
}

fn tape_is_stdin(tape: &Tape) -> bool {
    matches!(tape, Tape::File(path) if path.as_os_str() == "-")
}

/// The event with the numbers of its repetition; [`Shape::fits`] has made sure that they do not overflow.
fn renumbered(kind: &EventKind, repetition: u64, shape: &Shape) -> EventKind {
    if repetition == 0 {
        return kind.clone();
    }
    let program = |id: ProgId| ProgId::new(id.get() + repetition * (shape.max_program + 1));
    let module = |id: u64| id + repetition * (shape.max_module + 1);
    let trampoline = |id: u64| id + repetition * (shape.max_trampoline + 1);
    let mut kind = kind.clone();
    match &mut kind {
        EventKind::Load(load) => load.id = program(load.id),
        EventKind::Unload { id } => *id = program(*id),
        EventKind::ModuleLoad(load) => load.id = module(load.id),
        EventKind::ModuleUnload { id } => *id = module(*id),
        EventKind::TrampolineAttach { id, .. }
        | EventKind::TrampolineUpdate { id, .. }
        | EventKind::TrampolineDetach { id } => *id = trampoline(*id),
        EventKind::MemoryTake(_) | EventKind::MemoryGive(_) | EventKind::SetMemory(_) => {}
    }
    kind
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::rules::Rules;
    use crate::trace::{Images, Load, NamedEvent, TraceFile, TraceHeader, TraceWriter};

    fn load(time: u64, id: u64) -> Event {
        let images = Images::one(64).unwrap();
        let kind = EventKind::Load(Load { id: ProgId::new(id), images, insns: 0, jited: true });
        Event { time: SimTime::from_nanos(time), kind }
    }

    fn unload(time: u64, id: u64) -> Event {
        Event { time: SimTime::from_nanos(time), kind: EventKind::Unload { id: ProgId::new(id) } }
    }

    fn drain(mut source: impl EventSource, batch: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while source.next_batch(&mut events, batch).unwrap() > 0 {}
        events
    }

    fn period(nanos: u64) -> Option<SimDuration> {
        Some(SimDuration::from_nanos(nanos))
    }

    #[test]
    fn repetitions_follow_or_overlap() {
        let trace = vec![load(0, 1), load(5, 2), unload(10, 1)];
        let behind = drain(Repeated::of_events(trace.clone(), 2, None).unwrap(), 2);
        let expected = [load(0, 1), load(5, 2), unload(10, 1), load(11, 4), load(16, 5), unload(21, 4)];
        assert_eq!(behind, expected);
        let overlap = drain(Repeated::of_events(trace.clone(), 3, period(5)).unwrap(), 4);
        let expected = [
            load(0, 1),
            load(5, 2),
            load(5, 4),
            unload(10, 1),
            load(10, 5),
            load(10, 7),
            unload(15, 4),
            load(15, 8),
            unload(20, 7),
        ];
        assert_eq!(overlap, expected);
        let apart = drain(Repeated::of_events(trace, 2, period(1000)).unwrap(), 100);
        assert_eq!(apart[3..], [load(1000, 4), load(1005, 5), unload(1010, 4)]);
    }

    #[test]
    fn what_cannot_be_repeated_is_refused() {
        let trace = || vec![load(0, u64::MAX - 1), unload(u64::MAX - 5, u64::MAX - 1)];
        let refuse = |times, period| Repeated::of_events(trace(), times, period).err().unwrap().to_string();
        assert!(refuse(0, None).contains("repeated 0 times"));
        assert!(refuse(1, period(0)).contains("0 with a period"));
        assert!(refuse(2, period(5)).contains("end of time or of the numbers"));
        assert!(refuse(u64::MAX, period(1 << 40)).contains("end of time"));
        assert_eq!(drain(Repeated::of_events(trace(), 1, None).unwrap(), 10), trace());
        assert_eq!(drain(Repeated::of_events(Vec::new(), 1 << 60, None).unwrap(), 10), []);
    }

    #[test]
    fn long_files_are_read_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.jsonl.zst");
        let mut writer = TraceWriter::new(TraceFile::create(&path).unwrap(), &TraceHeader::new("", "")).unwrap();
        let mut events = Vec::new();
        for id in 0..40_000 {
            events.extend([load(id * 10, id), unload(id * 10 + 7, id)]);
        }
        for event in &events {
            writer.write(&NamedEvent::from(event.clone()), &[]).unwrap();
        }
        writer.into_inner().unwrap().finish().unwrap();
        let file = Repeated::of_file(&path, 3, period(150_001)).unwrap();
        assert!(matches!(file.tape, Tape::File(_)) && file.hash().is_some());
        assert_eq!(file.total_hint(), Some(240_000));
        let expected = drain(Repeated::of_events(events, 3, period(150_001)).unwrap(), 5000);
        assert!(drain(file, 999) == expected);
        let refused = Repeated::of_file(&path, 100, period(1)).err().unwrap().to_string();
        assert!(refused.contains("100 repetitions of a long trace overlap"), "{refused}");
    }

    proptest! {
        /// Against all repetitions made at once and sorted.
        #[test]
        fn merging_equals_sorting(
            gaps in prop::collection::vec((0..20u64, any::<bool>()), 0..12),
            times in 1..9u64,
            every in 1..60u64,
            batch in 1..7usize,
        ) {
            let (mut trace, mut alive, mut time) = (Vec::new(), Vec::new(), 0);
            for (id, (gap, loads)) in gaps.into_iter().enumerate() {
                time += gap;
                match alive.pop() {
                    Some(old) if !loads => trace.push(unload(time, old)),
                    kept => {
                        alive.extend(kept);
                        alive.push(id as u64);
                        trace.push(load(time, id as u64));
                    }
                }
            }
            let mut shape = Shape::default();
            trace.iter().for_each(|event| shape.add(event));
            let mut expected = Vec::new();
            for repetition in 0..times {
                for event in &trace {
                    let time = SimTime::from_nanos(event.time.nanos() + repetition * every);
                    expected.push(Event { time, kind: renumbered(&event.kind, repetition, &shape) });
                }
            }
            expected.sort_by_key(|event| event.time);
            let found = drain(Repeated::of_events(trace, times, period(every)).unwrap(), batch);
            let mut rules = Rules::default();
            for event in &found {
                prop_assert!(rules.check(event).is_ok());
            }
            prop_assert_eq!(found, expected);
        }
    }
}
