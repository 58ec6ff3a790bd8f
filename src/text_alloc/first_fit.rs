//! The first of a list of packs that has enough room, without walking the list.

/// Room of each place in a list, with a tree of maxima above it.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstFit {
    /// Implicit tree: node 1 is the root, leaf `i` is at `leaves + i`.
    tree: Vec<u32>,
    leaves: usize,
    len: usize,
}

impl FirstFit {
    /// So many places without room.
    pub(super) fn with_places(len: usize) -> Self {
        let leaves = len.next_power_of_two();
        Self { tree: vec![0; 2 * leaves], leaves, len }
    }

    /// The most room of any place.
    #[inline]
    pub(super) fn most(&self) -> u32 {
        self.tree.get(1).copied().unwrap_or(0)
    }

    /// Appends a place with this much room and returns its position.
    pub(super) fn push(&mut self, room: u32) -> usize {
        if self.len == self.leaves {
            self.grow();
        }
        let position = self.len;
        self.len += 1;
        self.set(position, room);
        position
    }

    /// Changes the room of a place; 0 takes it out of the search.
    #[inline]
    pub(super) fn set(&mut self, position: usize, room: u32) {
        let (mut node, mut most) = (self.leaves + position, room);
        while self.tree[node] != most {
            self.tree[node] = most;
            if node == 1 {
                return;
            }
            most = most.max(self.tree[node ^ 1]);
            node /= 2;
        }
    }

    /// The first place with at least this much room.
    #[inline]
    pub(super) fn first(&self, room: u32) -> Option<usize> {
        if self.len == 0 || self.most() < room {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.tree[node] < room {
                node += 1;
            }
        }
        Some(node - self.leaves)
    }

    /// Forgets every place.
    pub(super) fn clear(&mut self) {
        self.tree.fill(0);
        self.len = 0;
    }

    fn grow(&mut self) {
        let rooms: Vec<u32> = self.tree.get(self.leaves..self.leaves + self.len).unwrap_or_default().to_vec();
        self.leaves = (2 * self.leaves).max(4);
        self.tree = vec![0; 2 * self.leaves];
        self.tree[self.leaves..self.leaves + rooms.len()].copy_from_slice(&rooms);
        for node in (1..self.leaves).rev() {
            self.tree[node] = self.tree[2 * node].max(self.tree[2 * node + 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_walk_finds(steps in prop::collection::vec((0_u32..20, any::<prop::sample::Index>(), any::<bool>()), 1..100)) {
            let mut fast = FirstFit::default();
            let mut slow: Vec<u32> = Vec::new();
            for (room, which, push) in steps {
                if push || slow.is_empty() {
                    prop_assert_eq!(fast.push(room), slow.len());
                    slow.push(room);
                } else {
                    let position = which.index(slow.len());
                    fast.set(position, room);
                    slow[position] = room;
                }
                for wanted in 1..20 {
                    prop_assert_eq!(fast.first(wanted), slow.iter().position(|room| *room >= wanted));
                }
            }
        }
    }
}
