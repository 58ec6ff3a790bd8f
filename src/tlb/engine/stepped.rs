//! Few ways under a policy with few states: a table says which way an access takes and what the state is then.

use std::hint::select_unpredictable;

use super::bank::{Bank, CLASS_BITS, EMPTY};
use super::index::{KeySets, SetIndex};
use super::policy::OneWord;

/// Sets of no more ways are written as a whole, so that where an access writes is known as soon as its set is: the next
/// access, which may be to the same set, need not wait. There are few sets of few ways; among many it hardly matters.
const FEW_WAYS: usize = 4;
/// Most states of a policy.
const STATES: usize = 256;

/// Sets of up to eight ways.
///
/// Whether a key is there, and where, cannot be foreseen. So an access has no branch that depends on it.
pub(super) struct Stepped<const W: usize> {
    sets: Sets<W>,
    index: SetIndex,
}

struct Sets<const W: usize> {
    keys: Vec<[u64; W]>,
    /// The state of each set's policy.
    states: Vec<u8>,
    steps: Steps,
    /// Ways of each set that hold nothing.
    free: Vec<u8>,
}

/// What a policy does, by state.
struct Steps {
    victims: Box<[u8; STATES]>,
    /// The state after the use of each way, eight bits each.
    next: Box<[u64; STATES]>,
}

impl<const W: usize> Stepped<W> {
    /// Sets that replace as this policy does, which has no set but one of `W` ways.
    pub fn new(policy: &mut impl OneWord, sets: usize, index: SetIndex) -> Self {
        let sets = Sets {
            keys: vec![[EMPTY; W]; sets],
            states: vec![0; sets],
            steps: Steps::of::<W>(policy),
            free: vec![W as u8; sets],
        };
        Self { sets, index }
    }

    fn set(&self, key: u64) -> usize {
        self.index.set(key >> CLASS_BITS)
    }
}

impl Steps {
    /// Every state that the policy reaches from its first one, in the order in which they are found.
    fn of<const W: usize>(policy: &mut impl OneWord) -> Self {
        let mut steps = Self { victims: Box::new([0; STATES]), next: Box::new([0; STATES]) };
        let mut words = vec![policy.word()];
        let mut state = 0;
        while let Some(&word) = words.get(state) {
            policy.set_word(word);
            steps.victims[state] = policy.victim(0) as u8;
            for way in 0..W {
                policy.set_word(word);
                policy.touch(0, way);
                let next = policy.word();
                let at = words.iter().position(|known| *known == next).unwrap_or_else(|| {
                    words.push(next);
                    words.len() - 1
                });
                steps.next[state] |= (at as u64) << (8 * way);
            }
            state += 1;
        }
        steps
    }

    #[inline(always)]
    fn next(&self, state: u8, way: usize) -> u8 {
        (self.next[usize::from(state)] >> (8 * (way & 7))) as u8
    }

    /// Accesses a full set; whether the key was there. The set is written as a whole, or only the key.
    #[inline(always)]
    fn access<const W: usize, const WHOLE: bool>(&self, held: &mut [u64; W], state: &mut u8, key: u64) -> bool {
        let mask = mask_of(held, key);
        let hit = mask != 0;
        let victim = usize::from(self.victims[usize::from(*state)]);
        let way = select_unpredictable(hit, mask.trailing_zeros() as usize, victim);
        *state = self.next(*state, way);
        if !WHOLE {
            held[way % W] = key;
            return hit;
        }
        for (at, slot) in held.iter_mut().enumerate() {
            *slot = select_unpredictable(at == way, key, *slot);
        }
        hit
    }
}

/// One bit for each way that holds a key.
#[inline(always)]
fn mask_of<const W: usize>(held: &[u64; W], key: u64) -> u32 {
    held.iter().enumerate().fold(0, |mask, (way, held)| mask | u32::from(*held == key) << way)
}

impl<const W: usize> Sets<W> {
    fn find(&self, set: usize, key: u64) -> Option<usize> {
        self.keys[set].iter().position(|held| *held == key)
    }

    fn touch(&mut self, set: usize, way: usize) {
        self.states[set] = self.steps.next(self.states[set], way);
    }

    /// Takes the first empty way for a key that is not there.
    #[cold]
    fn fill(&mut self, set: usize, key: u64) {
        let empty = self.find(set, EMPTY).expect("`free` counts the empty ways");
        self.free[set] -= 1;
        self.touch(set, empty);
        self.keys[set][empty] = key;
    }

    /// Accesses a set with empty ways. Apart from the others, so that whether the key is there decides no branch of
    /// theirs.
    #[inline(never)]
    fn access_filling(&mut self, set: usize, key: u64) -> bool {
        let mask = mask_of(&self.keys[set], key);
        if mask == 0 {
            self.fill(set, key);
        } else {
            self.touch(set, mask.trailing_zeros() as usize);
        }
        mask != 0
    }

    /// All accesses to the only set, while it is full: nothing of it passes through memory in between.
    fn access_only(&mut self, keys: &[u64], missed: &mut [u8]) {
        let (mut held, mut state) = (self.keys[0], self.states[0]);
        for (key, missed) in keys.iter().zip(missed) {
            *missed = u8::from(!self.steps.access::<W, true>(&mut held, &mut state, *key));
        }
        (self.keys[0], self.states[0]) = (held, state);
    }
}

impl<const W: usize> KeySets for Sets<W> {
    #[inline(always)]
    fn access(&mut self, set: usize, key: u64) -> bool {
        if self.free[set] > 0 {
            return self.access_filling(set, key);
        }
        let (held, state) = (&mut self.keys[set], &mut self.states[set]);
        if W <= FEW_WAYS {
            self.steps.access::<W, true>(held, state, key)
        } else {
            self.steps.access::<W, false>(held, state, key)
        }
    }
}

impl<const W: usize> Bank for Stepped<W> {
    fn access(&mut self, key: u64) -> bool {
        self.sets.access(self.set(key), key)
    }

    fn access_all(&mut self, keys: &[u64], missed: &mut [u8]) {
        if self.sets.free == [0] {
            self.sets.access_only(keys, missed);
        } else {
            self.index.for_all(keys, missed, &mut self.sets);
        }
    }

    fn touch(&mut self, key: u64) -> bool {
        let set = self.set(key);
        let way = self.sets.find(set, key);
        way.inspect(|way| self.sets.touch(set, *way)).is_some()
    }

    fn insert(&mut self, key: u64) -> Option<u64> {
        let set = self.set(key);
        if self.sets.free[set] > 0 {
            self.sets.fill(set, key);
            return None;
        }
        let way = usize::from(self.sets.steps.victims[usize::from(self.sets.states[set])]);
        self.sets.touch(set, way);
        Some(std::mem::replace(&mut self.sets.keys[set][way], key))
    }

    fn remove(&mut self, key: u64) -> bool {
        let set = self.set(key);
        let Some(way) = self.sets.find(set, key) else { return false };
        self.sets.keys[set][way] = EMPTY;
        self.sets.free[set] += 1;
        true
    }

    fn flush(&mut self) {
        let Sets { keys, states, free, .. } = &mut self.sets;
        keys.fill([EMPTY; W]);
        states.fill(0);
        free.fill(W as u8);
    }
}
