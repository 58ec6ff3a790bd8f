//! What a set of few ways does, as a table: its states numbered, which way each fills or gives up next, and which state
//! follows the use of each way.

use rustc_hash::FxHashMap;

use super::policy::OneWord;

/// Most ways of a set.
pub(super) const WAYS: usize = 8;
/// States of all policies of a table; a power of two, so that no state needs a check.
const STATES: usize = 2048;
const VICTIM_SHIFT: u32 = STATES.trailing_zeros();

/// A state's number and, above it, the way that it fills or gives up next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u16);

impl State {
    /// Where a way below the next one to be filled was emptied, the table does not hold.
    const HOLE: u16 = 1 << 15;
    /// Of a row that no structure has.
    pub const NONE: Self = Self(0);

    #[inline(always)]
    const fn index(self) -> usize {
        self.0 as usize % STATES
    }

    /// The way that is filled or given up next.
    #[inline(always)]
    pub const fn victim(self) -> usize {
        (self.0 >> VICTIM_SHIFT) as usize % WAYS
    }

    #[inline(always)]
    pub const fn has_hole(self) -> bool {
        self.0 & Self::HOLE != 0
    }

    #[must_use]
    pub const fn with_hole(self, hole: bool) -> Self {
        Self(if hole { self.0 | Self::HOLE } else { self.0 & !Self::HOLE })
    }
}

/// The states of several policies.
pub(super) struct States {
    /// By state, the state after the use of each way.
    next: Box<[[State; WAYS]; STATES]>,
    /// By state, how many ways were filled so far.
    filled: Vec<u8>,
    /// By policy and ways, the state of an empty set.
    starts: Vec<((Order, usize), State)>,
}

/// A policy, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Lru,
    TreePlru,
}

impl States {
    pub fn new() -> Self {
        let next = vec![[State::NONE; WAYS]; STATES].into_boxed_slice();
        Self { next: next.try_into().expect("it has so many states"), filled: Vec::new(), starts: Vec::new() }
    }

    /// The state after the use of a way.
    #[inline(always)]
    pub const fn after(&self, state: State, way: usize) -> State {
        self.next[state.index()][way % WAYS]
    }

    /// How many ways of a set in this state were filled so far: those from here on are empty.
    pub fn filled(&self, state: State) -> usize {
        self.filled[state.index()].into()
    }

    /// The state of an empty set, whose policy is numbered if it is not yet; `None` if it has too many states.
    pub fn start(&mut self, order: Order, ways: usize, policy: &mut impl OneWord) -> Option<State> {
        if let Some((_, start)) = self.starts.iter().find(|(known, _)| *known == (order, ways)) {
            return Some(*start);
        }
        let start = self.number(ways, policy)?;
        self.starts.push(((order, ways), start));
        Some(start)
    }

    /// Numbers every state that a set of this policy reaches: how many ways hold something, and the policy's word.
    fn number(&mut self, ways: usize, policy: &mut impl OneWord) -> Option<State> {
        let first = self.filled.len();
        let room = STATES - first;
        let mut found = vec![(0, policy.word())];
        let mut numbers = FxHashMap::from_iter([(found[0], 0)]);
        let mut next = Vec::new();
        while let Some(&(filled, word)) = found.get(next.len()) {
            let mut after = [0; WAYS];
            // A way is used that holds something, or the next one is filled.
            for (way, after) in after.iter_mut().enumerate().take(ways.min(filled + 1)) {
                policy.set_word(word);
                policy.touch(0, way);
                let state = (filled.max(way + 1), policy.word());
                *after = *numbers.entry(state).or_insert_with(|| {
                    found.push(state);
                    found.len() - 1
                });
            }
            next.push(after);
            if found.len() > room {
                return None;
            }
        }
        let words: Vec<State> = found
            .iter()
            .enumerate()
            .map(|(at, &(filled, word))| {
                policy.set_word(word);
                let victim = if filled < ways { filled } else { policy.victim(0) };
                State((first + at) as u16 | (victim << VICTIM_SHIFT) as u16)
            })
            .collect();
        for (row, after) in self.next[first..].iter_mut().zip(next) {
            *row = after.map(|at| words[at]);
        }
        self.filled.extend(found.iter().map(|(filled, _)| *filled as u8));
        Some(words[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlb::engine::policy::{NibbleLru, TreePlru};

    #[test]
    fn an_empty_set_is_filled_from_its_first_way_on() {
        let mut states = States::new();
        let mut state = states.start(Order::Lru, 4, &mut NibbleLru::new(1, 4)).unwrap();
        for way in [0, 1, 2, 3, 0, 1, 2, 3] {
            assert_eq!(state.victim(), way);
            state = states.after(state, way);
        }
        state = states.after(state, 0);
        assert_eq!(state.victim(), 1);
    }

    #[test]
    fn policies_share_a_table_until_it_is_full() {
        let mut states = States::new();
        let tree = states.start(Order::TreePlru, 8, &mut TreePlru::new(1, 8));
        let used = states.filled.len();
        assert_eq!(states.start(Order::TreePlru, 8, &mut TreePlru::new(1, 8)), tree);
        assert_eq!(states.filled.len(), used);
        // Six ways have 720 orders when they are full, eight 40320.
        assert!(states.start(Order::Lru, 6, &mut NibbleLru::new(1, 6)).is_some());
        assert_eq!(states.start(Order::Lru, 8, &mut NibbleLru::new(1, 8)), None);
        assert_eq!(states.start(Order::Lru, 6, &mut NibbleLru::new(1, 6)).map(State::victim), Some(0));
    }
}
