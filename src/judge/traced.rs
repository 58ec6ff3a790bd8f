//! Places of images in recordings of live systems, which tell the address of every image and not what was there before.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::text_alloc::{CHUNK_BYTES, ImageBytes};
use crate::trace::{EventKind, NamedEvent};

/// Bytes before the code: the header of an image.
const HEADER_BYTES: u64 = 8;
/// When the chunks of an unloaded program are free again: one RCU grace period on an idle host.
const GRACE_NANOS: u64 = 20_000_000;
/// Chunks of a pack, and as many below the first image.
const CHUNKS: usize = 1 << 15;

/// How images stand in the pack of a live system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TracedPlaces {
    /// Images whose address is known.
    pub images: u64,
    /// Where first fit puts them.
    pub agreeing: u64,
    /// Behind a gap that first fit would have taken: something stands there since before the trace.
    pub telling: u64,
    /// Anything else: chunks that were free sooner or later than a grace period after the unload.
    pub others: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Free,
    /// An image of the trace.
    Known,
    /// Something from before the trace.
    Unknown,
}

/// First fit over chunks whose first content is not known.
struct Bench {
    /// Number of the first chunk.
    base: u64,
    chunks: Vec<Chunk>,
    /// Chunks to be freed: when, first and count.
    waiting: VecDeque<(u64, usize, usize)>,
    alive: FxHashMap<u64, Vec<(usize, usize)>>,
    places: TracedPlaces,
}

/// Compares the places of images with first fit over chunks of 64 bytes. What is free at the beginning is not known: all
/// of it is taken to be, until an image stands behind a gap that it would fit into.
pub fn traced_places(events: &[NamedEvent]) -> TracedPlaces {
    let Some(lowest) = events.iter().flat_map(|event| &event.image_addresses).min() else {
        return TracedPlaces::default();
    };
    let mut bench = Bench {
        base: (lowest.saturating_sub(HEADER_BYTES) / CHUNK_BYTES).saturating_sub(1),
        chunks: vec![Chunk::Free; CHUNKS],
        waiting: VecDeque::new(),
        alive: FxHashMap::default(),
        places: TracedPlaces::default(),
    };
    for named in events {
        let now = named.event.time.nanos();
        bench.free_until(now);
        match &named.event.kind {
            EventKind::Load(load) => {
                for (address, bytes) in named.image_addresses.iter().zip(load.images.iter()) {
                    bench.load(load.id.get(), *address, bytes);
                }
            }
            EventKind::Unload { id } => bench.unload(id.get(), now),
            _ => {}
        }
    }
    bench.places
}

impl Bench {
    /// Whether an image at `address` may begin with this chunk.
    fn holds(&self, first: usize, count: usize, address: u64, bytes: u32) -> bool {
        let start = (self.base + first as u64) * CHUNK_BYTES;
        let end = start + count as u64 * CHUNK_BYTES;
        start + HEADER_BYTES <= address && address + u64::from(bytes) <= end
    }

    /// The first run of free chunks.
    fn first_fit(&self, count: usize) -> Option<usize> {
        let mut at = 0;
        while at + count <= self.chunks.len() {
            match self.chunks[at..at + count].iter().rposition(|chunk| *chunk != Chunk::Free) {
                None => return Some(at),
                Some(taken) => at += taken + 1,
            }
        }
        None
    }

    fn load(&mut self, id: u64, address: u64, bytes: u32) {
        let count = ImageBytes::new(bytes).chunks() as usize;
        let last = (address.saturating_sub(HEADER_BYTES) / CHUNK_BYTES).saturating_sub(self.base) as usize;
        // The code begins at random behind the header, which can make it begin in the second chunk.
        let real = if self.holds(last, count, address, bytes) { last } else { last.saturating_sub(1) };
        if real + count > self.chunks.len() {
            return;
        }
        self.places.images += 1;
        let guess = self.first_fit(count);
        let first = match guess {
            Some(guess) if self.holds(guess, count, address, bytes) => {
                self.places.agreeing += 1;
                guess
            }
            Some(guess) if guess < real && !self.chunks[real..real + count].contains(&Chunk::Known) => {
                self.places.telling += 1;
                self.learn(real, count);
                real
            }
            _ => {
                self.places.others += 1;
                real
            }
        };
        self.chunks[first..first + count].fill(Chunk::Known);
        self.alive.entry(id).or_default().push((first, count));
    }

    /// Something stands in every gap below `real` that has room for `count` chunks.
    fn learn(&mut self, real: usize, count: usize) {
        for gap in self.chunks[..real].chunk_by_mut(|left, right| left == right) {
            if gap[0] == Chunk::Free && gap.len() >= count {
                gap.fill(Chunk::Unknown);
            }
        }
    }

    fn unload(&mut self, id: u64, now: u64) {
        for (first, count) in self.alive.remove(&id).unwrap_or_default() {
            self.waiting.push_back((now + GRACE_NANOS, first, count));
        }
    }

    fn free_until(&mut self, now: u64) {
        while let Some(&(due, first, count)) = self.waiting.front()
            && due <= now
        {
            self.chunks[first..first + count].fill(Chunk::Free);
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceReader;

    fn places(name: &str) -> TracedPlaces {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/traces").join(name);
        let mut reader = TraceReader::open(path).unwrap();
        let events: Vec<NamedEvent> = std::iter::from_fn(|| reader.next_named().unwrap()).collect();
        traced_places(&events)
    }

    #[test]
    fn live_systems_place_images_by_first_fit() {
        let places = places("libbpf-tools.jsonl");
        assert_eq!(places.images, 551);
        assert_eq!((places.agreeing, places.telling, places.others), (524, 8, 19), "{places:?}");
        assert_eq!(places.agreeing + places.telling + places.others, places.images);
    }

    #[test]
    fn what_stood_there_before_shows_by_the_gaps() {
        let few = places("runqslower.jsonl");
        assert_eq!((few.images, few.agreeing, few.telling), (11, 9, 2), "{few:?}");
    }
}
