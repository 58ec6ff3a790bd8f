//! Where a replay gets its events from.

use std::fmt;

use super::Event;
use crate::diagnostics::Diagnostic;

/// Why a trace cannot be read on, or not understood.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceError {
    diagnostic: Box<Diagnostic>,
    /// Whether nothing can come after this.
    fatal: bool,
}

impl TraceError {
    /// One bad event; the next call goes on behind it.
    pub(super) fn event(diagnostic: Diagnostic) -> Self {
        Self { diagnostic: Box::new(diagnostic), fatal: false }
    }

    /// The source ends here.
    pub(super) fn fatal(diagnostic: Diagnostic) -> Self {
        Self { diagnostic: Box::new(diagnostic), fatal: true }
    }

    /// What is wrong, and where.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.diagnostic
    }

    /// Whether the source ends here; otherwise the next call goes on behind the bad event.
    pub fn is_fatal(&self) -> bool {
        self.fatal
    }
}

impl fmt::Debug for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceError({self})")
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl std::error::Error for TraceError {}

impl From<TraceError> for Diagnostic {
    fn from(error: TraceError) -> Self {
        *error.diagnostic
    }
}

/// A stream of events in the order of time.
pub trait EventSource {
    /// Appends up to `max` events and returns how many; 0 only at the end.
    ///
    /// On an error, the events before the bad one have been appended.
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError>;

    /// Whether the rest has to be read even if nobody needs its events, because a file is checked and hashed on the way.
    fn must_be_read_whole(&self) -> bool {
        false
    }

    /// About how many events there are in all, for a progress bar; may change while reading.
    fn total_hint(&self) -> Option<u64>;
}

impl<S: EventSource + ?Sized> EventSource for Box<S> {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        (**self).next_batch(into, max)
    }

    fn must_be_read_whole(&self) -> bool {
        (**self).must_be_read_whole()
    }

    fn total_hint(&self) -> Option<u64> {
        (**self).total_hint()
    }
}

/// Events that are already in memory.
#[derive(Clone, Debug)]
pub struct InMemory {
    events: std::vec::IntoIter<Event>,
    total: u64,
}

impl InMemory {
    /// A source of these events, which are in the order of time.
    pub fn new(events: Vec<Event>) -> Self {
        debug_assert!(events.is_sorted_by_key(|event| event.time));
        Self { total: events.len() as u64, events: events.into_iter() }
    }
}

impl EventSource for InMemory {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        let before = into.len();
        into.extend(self.events.by_ref().take(max));
        Ok(into.len() - before)
    }

    fn total_hint(&self) -> Option<u64> {
        Some(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{EventKind, Generated, Repeated, TraceReader};
    use crate::units::SimTime;

    /// Each allocator is replayed on a thread of its own.
    #[test]
    fn sources_can_be_sent_to_other_threads() {
        fn sendable<S: EventSource + Send>() {}
        sendable::<InMemory>();
        sendable::<Generated>();
        sendable::<Repeated>();
        sendable::<TraceReader>();
    }

    #[test]
    fn batches_keep_what_is_there() {
        let events = TraceReader::from_reader("t", &b"{\"fragsim_trace\":1}\n"[..]);
        let mut into = Vec::new();
        assert_eq!(events.unwrap().next_batch(&mut into, 5), Ok(0));
        let event = Event { time: SimTime::ZERO, kind: EventKind::ModuleUnload { id: 1 } };
        let mut source = InMemory::new(vec![event.clone(); 3]);
        into.push(event);
        assert_eq!((source.next_batch(&mut into, 2), into.len()), (Ok(2), 3));
        assert_eq!((source.next_batch(&mut into, 2), into.len()), (Ok(1), 4));
        assert_eq!((source.next_batch(&mut into, 2), source.total_hint()), (Ok(0), Some(3)));
    }
}
