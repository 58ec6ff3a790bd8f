//! The first of a list of places that has enough room, without walking the list.

/// Entries of a node: wide enough for a low tree, few enough to be looked at one by one.
const WIDTH: usize = 8;

/// Room of each place in a list, with a tree of maxima above it.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstFit {
    /// Implicit tree: node 0 is the root, entry `e` of node `n` is the maximum of node `8n + 1 + e`.
    nodes: Vec<[u32; WIDTH]>,
    /// The first of the nodes whose entries are the places themselves.
    bottom: usize,
    /// The maximum of the root.
    most: u32,
    len: usize,
}

impl FirstFit {
    /// So many places without room.
    pub(super) fn with_places(len: usize) -> Self {
        let (mut bottom, mut width) = (0, 1);
        while width * WIDTH < len {
            bottom += width;
            width *= WIDTH;
        }
        Self { nodes: vec![[0; WIDTH]; bottom + width], bottom, most: 0, len }
    }

    /// Appends a place with this much room and returns its position.
    pub(super) fn push(&mut self, room: u32) -> usize {
        let position = self.len;
        if self.bottom + position / WIDTH >= self.nodes.len() {
            self.grow();
        }
        self.len += 1;
        self.set(position, room);
        position
    }

    /// The room of a place.
    #[inline]
    pub(super) fn room(&self, position: usize) -> u32 {
        self.nodes[self.bottom + position / WIDTH][position % WIDTH]
    }

    /// The most room of any place.
    #[inline]
    pub(super) const fn most(&self) -> u32 {
        self.most
    }

    /// Where the maximum of a node is kept.
    #[inline]
    fn above(&mut self, node: usize) -> &mut u32 {
        match node.checked_sub(1) {
            None => &mut self.most,
            Some(below) => &mut self.nodes[below / WIDTH][below % WIDTH],
        }
    }

    /// Changes the room of a place; 0 takes it out of the search.
    #[inline]
    pub(super) fn set(&mut self, position: usize, room: u32) {
        let (mut node, mut entry, mut new) = (self.bottom + position / WIDTH, position % WIDTH, room);
        loop {
            let most = *self.above(node);
            let entries = &mut self.nodes[node];
            let old = entries[entry];
            if old < most && new <= most {
                // The largest entry is another one.
                entries[entry] = new;
                return;
            }
            // Looked at before the entry is written: a wide load just after a narrow store would wait for it.
            let larger = |most: u32, (at, room): (usize, &u32)| most.max(if at == entry { 0 } else { *room });
            let others = entries.iter().enumerate().fold(0, larger);
            entries[entry] = new;
            new = new.max(others);
            if new == most {
                return;
            }
            if node == 0 {
                self.most = new;
                return;
            }
            (node, entry) = ((node - 1) / WIDTH, (node - 1) % WIDTH);
        }
    }

    /// Changes the room of a place to at least this much.
    #[inline]
    pub(super) fn raise(&mut self, position: usize, room: u32) {
        let mut node = self.bottom + position / WIDTH;
        let place = &mut self.nodes[node][position % WIDTH];
        *place = room.max(*place);
        while *self.above(node) < room {
            *self.above(node) = room;
            if node == 0 {
                return;
            }
            node = (node - 1) / WIDTH;
        }
    }

    /// The first place with at least this much room, which is not 0.
    #[inline]
    pub(super) fn first(&self, room: u32) -> Option<usize> {
        if self.most < room {
            return None;
        }
        let mut node = 0;
        loop {
            let entry = self.nodes[node].iter().position(|most| *most >= room)?;
            if node >= self.bottom {
                return Some((node - self.bottom) * WIDTH + entry);
            }
            node = node * WIDTH + 1 + entry;
        }
    }

    /// Forgets every place.
    pub(super) fn clear(&mut self) {
        self.nodes.fill([0; WIDTH]);
        self.most = 0;
        self.len = 0;
    }

    fn grow(&mut self) {
        let mut higher = Self::with_places(WIDTH * self.len.max(1));
        for position in 0..self.len {
            higher.set(position, self.room(position));
        }
        *self = Self { len: self.len, ..higher };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_walk_finds(steps in prop::collection::vec((0_u32..20, any::<prop::sample::Index>(), 0..3u8), 1..300)) {
            let mut fast = FirstFit::default();
            let mut slow: Vec<u32> = Vec::new();
            for (room, which, how) in steps {
                if how == 0 || slow.is_empty() {
                    prop_assert_eq!(fast.push(room), slow.len());
                    slow.push(room);
                } else if how == 1 {
                    let position = which.index(slow.len());
                    fast.raise(position, room);
                    slow[position] = slow[position].max(room);
                    prop_assert_eq!(fast.room(position), slow[position]);
                } else {
                    let position = which.index(slow.len());
                    fast.set(position, room);
                    slow[position] = room;
                }
                prop_assert_eq!(fast.most(), slow.iter().copied().max().unwrap_or(0));
                for wanted in 1..20 {
                    prop_assert_eq!(fast.first(wanted), slow.iter().position(|room| *room >= wanted));
                }
            }
        }
    }
}
