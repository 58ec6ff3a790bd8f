//! The programs of a host: those that are loaded, by id, and those that wait for their free.
//!
//! A program stays where it was put until it is freed; only its number goes round. That keeps the map small and the
//! queue of what is due short.

use rustc_hash::FxHashMap;

use super::program::Program;
use crate::trace::ProgId;

/// A program that is no longer loaded and waits for its free.
#[derive(Debug, PartialEq, Eq)]
pub struct Unloaded(u32);

/// All programs.
#[derive(Debug)]
pub(super) struct Programs<P = Program> {
    /// Those that are loaded.
    numbers: FxHashMap<ProgId, u32>,
    programs: Vec<Option<P>>,
    /// Numbers without a program.
    spare: Vec<u32>,
}

impl<P> Default for Programs<P> {
    fn default() -> Self {
        Self { numbers: FxHashMap::default(), programs: Vec::new(), spare: Vec::new() }
    }
}

impl<P> Programs<P> {
    /// How many are loaded.
    #[inline]
    pub(super) fn loaded(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// Those that are loaded, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ProgId, &P)> {
        let program = |(id, number): (&ProgId, &u32)| Some((*id, self.programs[*number as usize].as_ref()?));
        self.numbers.iter().filter_map(program)
    }

    /// Adds a program; the one that had its id before is unloaded.
    #[inline]
    pub(super) fn load(&mut self, id: ProgId, program: P) -> Option<Unloaded> {
        let number = match self.spare.pop() {
            Some(number) => {
                self.programs[number as usize] = Some(program);
                number
            }
            None => {
                self.programs.push(Some(program));
                self.programs.len() as u32 - 1
            }
        };
        self.numbers.insert(id, number).map(Unloaded)
    }

    /// Unloads the program with this id, if there is one.
    #[inline]
    pub(super) fn unload(&mut self, id: ProgId) -> Option<Unloaded> {
        self.numbers.remove(&id).map(Unloaded)
    }

    /// Hands an unloaded program over to be freed.
    #[inline]
    pub(super) fn take(&mut self, Unloaded(number): Unloaded) -> P {
        self.spare.push(number);
        self.programs[number as usize].take().expect("an unloaded program is freed once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_come_again_while_its_program_waits() {
        let mut programs = Programs::default();
        let id = ProgId::new(7);
        assert_eq!(programs.load(id, 'a'), None);
        let first = programs.unload(id).expect("it is loaded");
        assert_eq!((programs.unload(id), programs.loaded()), (None, 0));
        assert_eq!(programs.load(id, 'b'), None);
        let second = programs.load(id, 'c').expect("the id is taken");
        assert_eq!(programs.loaded(), 1);
        assert_eq!(programs.iter().collect::<Vec<_>>(), [(id, &'c')]);
        assert_eq!((programs.take(first), programs.take(second)), ('a', 'b'));
        assert_eq!(programs.load(ProgId::new(8), 'd'), None);
        assert_eq!(programs.programs.len(), 3, "numbers come again");
    }
}
