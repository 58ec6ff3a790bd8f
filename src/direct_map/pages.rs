//! The permissions of the 512 small entries of one 2 MiB block, kept small.

use super::perms::{PermChange, Perms};

/// Entries in a block.
pub(super) const PAGES: usize = 512;
/// Pages in one word of a plane.
const WORD: usize = 64;
/// Bits of a code, and so planes.
const PLANES: usize = 3;
/// Different permissions that codes can tell apart.
const CODES: usize = 1 << PLANES;

/// The pages of a block that is mapped by 4 KiB entries; [`Perms::HOLE`] where there is none.
///
/// Most blocks hold very few different permissions, so a page has a three-bit code into a palette. All
/// pages alike need no memory of their own; more than eight kinds of page take a byte for each.
#[derive(Clone, Debug)]
pub(super) enum Pages {
    /// All alike.
    Uniform(Perms),
    /// Up to [`CODES`] kinds.
    Coded(Box<Coded>),
    /// Any number of kinds.
    Listed(Box<[Perms; PAGES]>),
}

/// Codes in bit planes: the code of page `i` is made of bit `i % 64` of the planes in `words[i / 64]`.
#[derive(Clone, Debug)]
pub(super) struct Coded {
    /// What a code means; entries whose bit in `known` is clear mean nothing.
    palette: [Perms; CODES],
    /// Bit `c` is set if code `c` has a meaning. Some of these may no longer occur.
    known: u8,
    words: [[u64; PLANES]; PAGES / WORD],
}

impl Pages {
    /// The pages that this function gives, in the smallest form.
    pub(super) fn from_fn(page: impl FnMut(usize) -> Perms) -> Self {
        let list: [Perms; PAGES] = std::array::from_fn(page);
        if list.iter().all(|&perms| perms == list[0]) {
            return Self::Uniform(list[0]);
        }
        let mut coded = Box::new(Coded::uniform(list[0]));
        for (index, &perms) in list.iter().enumerate() {
            match coded.code_for(perms, 0) {
                Some(code) => coded.put(index, code),
                None => return Self::Listed(Box::new(list)),
            }
        }
        Self::Coded(coded)
    }

    /// The permissions of one page.
    pub(super) fn get(&self, index: usize) -> Perms {
        match self {
            Self::Uniform(perms) => *perms,
            Self::Coded(coded) => coded.palette[coded.code(index)],
            Self::Listed(list) => list[index],
        }
    }

    /// Changes `count` pages from `first` on; returns how many became different.
    #[inline]
    pub(super) fn change(&mut self, first: usize, count: usize, change: PermChange) -> u64 {
        match self {
            Self::Coded(coded) if count == 1 => match coded.change_one(first, change) {
                Some(changed) => u64::from(changed),
                None => self.change_listed(first, count, change),
            },
            _ => self.change_many(first, count, change),
        }
    }

    fn change_many(&mut self, first: usize, count: usize, change: PermChange) -> u64 {
        if let Self::Uniform(perms) = *self {
            let new = changed(perms, change);
            if new == perms {
                return 0;
            }
            if count == PAGES {
                *self = Self::Uniform(new);
                return PAGES as u64;
            }
            *self = Self::Coded(Box::new(Coded::uniform(perms)));
        }
        if let Self::Coded(coded) = self
            && let Some(changed) = coded.change_many(first, count, change)
        {
            if let Some(perms) = coded.only().filter(|_| count == PAGES) {
                *self = Self::Uniform(perms);
            }
            return changed;
        }
        self.change_listed(first, count, change)
    }

    /// The way without codes, for blocks with too many kinds of page.
    fn change_listed(&mut self, first: usize, count: usize, change: PermChange) -> u64 {
        if let Self::Listed(list) = self
            && count < PAGES
        {
            return change_slice(&mut list[first..first + count], change);
        }
        let mut list: [Perms; PAGES] = std::array::from_fn(|index| self.get(index));
        let different = change_slice(&mut list[first..first + count], change);
        *self = Self::from_fn(|index| list[index]);
        different
    }

    /// Stretches of equal pages in ascending order: first page, number of pages, permissions. Holes are left out.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, usize, Perms)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            while next < PAGES {
                let first = next;
                let perms = self.get(first);
                next = match self {
                    Self::Uniform(_) => PAGES,
                    _ => (first + 1..PAGES).find(|&index| self.get(index) != perms).unwrap_or(PAGES),
                };
                if perms != Perms::HOLE {
                    return Some((first, next - first, perms));
                }
            }
            None
        })
    }
}

impl Coded {
    /// All pages with code 0, which means `perms`.
    fn uniform(perms: Perms) -> Self {
        Self { palette: [perms; CODES], known: 1, words: [[0; PLANES]; PAGES / WORD] }
    }

    #[inline]
    fn code(&self, index: usize) -> usize {
        let bit = index % WORD;
        let [low, middle, high] = self.words[index / WORD];
        ((low >> bit & 1) | (middle >> bit & 1) << 1 | (high >> bit & 1) << 2) as usize
    }

    #[inline]
    fn put(&mut self, index: usize, code: usize) {
        put_lanes(&mut self.words[index / WORD], 1 << (index % WORD), code);
    }

    /// The pages of a word that have this code.
    fn lanes(word: &[u64; PLANES], code: usize) -> u64 {
        word.iter()
            .enumerate()
            .fold(u64::MAX, |lanes, (plane, &bits)| lanes & if code >> plane & 1 == 1 { bits } else { !bits })
    }

    /// The code that means `perms`, made if there is room. Codes in `keep` (a bit set) stay even if no page has them.
    #[inline]
    fn code_for(&mut self, perms: Perms, keep: u8) -> Option<usize> {
        let known = |code: &usize| self.known >> code & 1 == 1;
        if let Some(code) = (0..CODES).filter(known).find(|&code| self.palette[code] == perms) {
            return Some(code);
        }
        if self.known == u8::MAX {
            self.known = keep | self.occurring();
        }
        let code = self.known.trailing_ones() as usize;
        if code >= CODES {
            return None;
        }
        self.known |= 1 << code;
        self.palette[code] = perms;
        Some(code)
    }

    /// The codes that some page has, as a bit set.
    fn occurring(&self) -> u8 {
        let occurs = |code: &usize| self.words.iter().any(|word| Self::lanes(word, *code) != 0);
        (0..CODES).filter(occurs).fold(0, |set, code| set | 1 << code)
    }

    /// The permissions of all pages, if they are alike.
    fn only(&self) -> Option<Perms> {
        let code = self.code(0);
        let alike = self.words.iter().all(|word| Self::lanes(word, code) == u64::MAX);
        alike.then_some(self.palette[code])
    }

    /// Changes one page; `None`, and nothing done, if there is no code left.
    #[inline]
    fn change_one(&mut self, index: usize, change: PermChange) -> Option<bool> {
        let old = self.palette[self.code(index)];
        let new = changed(old, change);
        if new == old {
            return Some(false);
        }
        let code = self.code_for(new, 0)?;
        self.put(index, code);
        Some(true)
    }

    /// Changes a stretch of pages; `None`, and no page changed, if there is no code left.
    fn change_many(&mut self, first: usize, count: usize, change: PermChange) -> Option<u64> {
        let mut target: [usize; CODES] = std::array::from_fn(|code| code);
        let mut keep = 0;
        let known = self.known;
        for code in (0..CODES).filter(|code| known >> code & 1 == 1) {
            let occurs = stretch(first, count).any(|(word, mask)| Self::lanes(&self.words[word], code) & mask != 0);
            let new = changed(self.palette[code], change);
            if occurs && new != self.palette[code] {
                target[code] = self.code_for(new, keep)?;
                keep |= 1 << target[code];
            }
        }
        let mut different = 0;
        for (word, mask) in stretch(first, count) {
            // In any order: a page that has been changed is not changed by the same change again.
            for (code, &new) in target.iter().enumerate().filter(|(code, new)| code != *new) {
                let lanes = Self::lanes(&self.words[word], code) & mask;
                different += u64::from(lanes.count_ones());
                put_lanes(&mut self.words[word], lanes, new);
            }
        }
        Some(different)
    }
}

/// Gives these pages of a word a code.
#[inline]
fn put_lanes(word: &mut [u64; PLANES], lanes: u64, code: usize) {
    for (plane, bits) in word.iter_mut().enumerate() {
        *bits = if code >> plane & 1 == 1 { *bits | lanes } else { *bits & !lanes };
    }
}

/// The words that a stretch of pages touches, each with the mask of its pages.
fn stretch(first: usize, count: usize) -> impl Iterator<Item = (usize, u64)> {
    let end = first + count;
    (first / WORD..end.div_ceil(WORD)).map(move |word| {
        let from = first.saturating_sub(word * WORD);
        let to = (end - word * WORD).min(WORD);
        (word, u64::MAX >> (WORD - (to - from)) << from)
    })
}

/// Changes every page of the slice; returns how many became different.
fn change_slice(pages: &mut [Perms], change: PermChange) -> u64 {
    let mut different = 0;
    for perms in pages {
        let new = changed(*perms, change);
        different += u64::from(new != *perms);
        *perms = new;
    }
    different
}

/// A page after the change; a hole stays one.
#[inline]
fn changed(perms: Perms, change: PermChange) -> Perms {
    if perms == Perms::HOLE { perms } else { change.apply(perms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(set: u8) -> Perms {
        [Perms::PRESENT, Perms::WRITE, Perms::EXEC, Perms::DIRTY, Perms::GLOBAL, Perms::KERNEL_4K]
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| set >> bit & 1 == 1)
            .fold(Perms::NONE, |all, (_, perms)| all | perms)
    }

    #[test]
    fn a_block_of_equal_pages_has_no_memory_of_its_own() {
        let mut pages = Pages::Uniform(Perms::BOOT);
        let change = PermChange { set: Perms::NONE, clear: Perms::WRITE };
        assert_eq!(pages.change(0, PAGES, change), 512);
        assert!(matches!(pages, Pages::Uniform(_)));
        assert_eq!(pages.change(0, PAGES, change), 0);
        assert_eq!(size_of::<Pages>(), 16);
        assert_eq!(size_of::<Coded>(), 208);
    }

    #[test]
    fn pages_that_become_alike_again_give_their_memory_back() {
        let mut pages = Pages::Uniform(Perms::BOOT);
        assert_eq!(pages.change(7, 100, PermChange { set: Perms::NONE, clear: Perms::WRITE }), 100);
        assert!(matches!(pages, Pages::Coded(_)));
        assert_eq!(
            pages.runs().map(|(first, count, _)| (first, count)).collect::<Vec<_>>(),
            [(0, 7), (7, 100), (107, 405)]
        );
        assert_eq!(pages.change(0, PAGES, PermChange { set: Perms::NONE, clear: Perms::WRITE }), 412);
        assert!(matches!(pages, Pages::Uniform(_)));
    }

    #[test]
    fn codes_that_no_page_has_any_more_are_used_again() {
        let mut pages = Pages::Uniform(Perms::BOOT);
        for step in 0..64 {
            pages.change(3, 1, PermChange { set: bits(step), clear: bits(!step) });
            assert_eq!(pages.get(3), PermChange::default().apply(bits(step)));
        }
        assert!(matches!(pages, Pages::Coded(_)));
    }

    fn step() -> impl Strategy<Value = (usize, usize, PermChange)> {
        let length = prop_oneof![Just(1), 1..PAGES, Just(PAGES)];
        // Few bits make few kinds of page, all bits make more than there are codes.
        let mask = prop_oneof![0..4_u8, 0..64_u8];
        (0..PAGES, length, mask.clone(), mask).prop_map(|(first, length, set, clear)| {
            let first = if length == PAGES { 0 } else { first };
            (first, length.min(PAGES - first), PermChange { set: bits(set), clear: bits(clear) })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn pages_behave_like_a_list(hole in 0..PAGES, steps in prop::collection::vec(step(), 1..60)) {
            let mut list = [Perms::BOOT; PAGES];
            list[..hole].fill(Perms::HOLE);
            let mut pages = Pages::from_fn(|index| list[index]);
            for (first, count, change) in steps {
                let mut different = 0;
                for perms in list[first..first + count].iter_mut().filter(|perms| **perms != Perms::HOLE) {
                    different += u64::from(change.apply(*perms) != *perms);
                    *perms = change.apply(*perms);
                }
                prop_assert_eq!(pages.change(first, count, change), different);
                prop_assert!((0..PAGES).all(|index| pages.get(index) == list[index]));
                let mapped: usize = pages.runs().map(|(_, count, _)| count).sum();
                prop_assert_eq!(mapped, PAGES - hole);
            }
        }
    }
}
