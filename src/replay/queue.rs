//! Work that is due later, ordered by (time, sequence).

use std::collections::VecDeque;

use crate::units::SimTime;

/// A queue ordered by time; work for the same time comes out in the order it went in.
///
/// Nearly all work is due after a fixed delay, so it goes in at the end: that costs no search, and a heap would.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: VecDeque<(SimTime, T)>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    /// Adds work for a time, behind all that is due by then.
    #[inline]
    pub(super) fn push(&mut self, time: SimTime, item: T) {
        match self.items.back() {
            Some((last, _)) if *last > time => {
                let place = self.items.partition_point(|(due, _)| *due <= time);
                self.items.insert(place, (time, item));
            }
            _ => self.items.push_back((time, item)),
        }
    }

    /// The first work that is due at `now` or earlier.
    #[inline]
    pub(super) fn pop_due(&mut self, now: SimTime) -> Option<(SimTime, T)> {
        match self.items.front() {
            Some((due, _)) if *due <= now => self.items.pop_front(),
            _ => None,
        }
    }

    /// The first work, whenever it is due.
    pub(super) fn pop(&mut self) -> Option<(SimTime, T)> {
        self.items.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_out_by_time_then_by_sequence(times in prop::collection::vec(0_u64..20, 1..100)) {
            let mut queue = Queue::default();
            for (sequence, time) in times.iter().enumerate() {
                queue.push(SimTime::from_nanos(*time), sequence);
            }
            let mut expected: Vec<(u64, usize)> = times.iter().copied().zip(0..).collect();
            expected.sort_unstable();
            let mut got = Vec::new();
            while let Some((time, sequence)) = queue.pop() {
                got.push((time.nanos(), sequence));
            }
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn nothing_comes_out_early() {
        let mut queue = Queue::default();
        queue.push(SimTime::from_nanos(5), 'a');
        assert!(queue.pop_due(SimTime::from_nanos(4)).is_none());
        assert_eq!(queue.pop_due(SimTime::from_nanos(5)), Some((SimTime::from_nanos(5), 'a')));
    }
}
