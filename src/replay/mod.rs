//! Replays one trace on several hosts side by side, one per text allocator.
//!
//! Every allocator gets a host of its own, made from the same start state and the same random streams, so that a
//! difference between two results is a difference between allocators. The trace is read once, in stretches, and each
//! stretch goes to every host; hosts work in parallel and never see each other, so the number of threads
//! changes nothing.

mod map_sampler;
mod queue;
mod sampler;
mod world;

use rayon::prelude::*;

pub use map_sampler::MapSample;
pub use sampler::{Sample, Sampling};
pub use world::{End, Outcome, Peaks};

use crate::direct_map::CounterView;
use crate::kernel::{HostSetup, Kernel};
use crate::memory::MemoryError;
use crate::text_alloc::TextAllocator;
use crate::trace::{EventSource, TraceError};
use world::World;

/// Events handed to every host at a time: small enough for the cache, large enough to hide the hand-over.
const BATCH_EVENTS: usize = 16 * 1024;

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The machine's start state is impossible.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The trace is wrong or cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// One host of a replay.
pub struct Contender<'a> {
    /// Its machine and kernel.
    pub host: HostSetup<'a>,
    /// Its text allocator.
    pub text: Box<dyn TextAllocator>,
}

/// How a replay is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observing {
    /// How often.
    pub sampling: Sampling,
    /// At how many of these moments between start and end at most what TLBs see is kept, which takes more time and room.
    pub layouts: u32,
    /// Which counters of the direct map.
    pub view: CounterView,
}

/// Replays a trace on every host, until none of them can go on; `progress` is told how many events were replayed so far.
///
/// # Errors
/// If a start state is impossible or the trace is wrong. A host that runs out of memory is no error but an
/// [`Outcome`] that says so.
pub fn replay(
    contenders: Vec<Contender<'_>>,
    trace: &mut (dyn EventSource + Send),
    observing: Observing,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Outcome>, ReplayError> {
    let mut worlds = Vec::with_capacity(contenders.len());
    for Contender { host, text } in contenders {
        worlds.push(World::new(Kernel::boot(&host, text)?, observing));
    }
    let (mut current, mut next) = (Vec::new(), Vec::new());
    let mut events = trace.next_batch(&mut current, BATCH_EVENTS)? as u64;
    while !current.is_empty() {
        next.clear();
        let (read, ()) = rayon::join(
            || trace.next_batch(&mut next, BATCH_EVENTS),
            || worlds.par_iter_mut().for_each(|world| world.replay(&current)),
        );
        progress(events);
        if worlds.iter().all(World::has_ended) && !trace.must_be_read_whole() {
            break;
        }
        events += read? as u64;
        std::mem::swap(&mut current, &mut next);
    }
    Ok(worlds.into_par_iter().map(World::finish).collect())
}
