//! What a trace holds, in numbers.

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::convert::module_sizes;
use super::event::{Event, EventKind, Load, MemoryGive, MemoryTake};
use super::{EventSource, TraceError};
use crate::units::PAGE_BYTES;

/// Events read at once.
const BATCH: usize = 4096;

/// What a trace holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TraceStat {
    /// Time of the last event, in nanoseconds.
    pub duration_ns: u64,
    /// How many events of each kind there are.
    pub events: EventCounts,
    /// The BPF programs.
    pub programs: ProgramStat,
    /// The kernel modules.
    pub modules: ModuleStat,
    /// Other users of memory.
    pub memory: MemoryStat,
}

/// How many events of each kind there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventCounts {
    /// All events.
    pub total: u64,
    /// Programs loaded.
    pub load: u64,
    /// Programs unloaded.
    pub unload: u64,
    /// Modules loaded.
    pub module_load: u64,
    /// Modules unloaded.
    pub module_unload: u64,
    /// Trampolines made.
    pub trampoline_attach: u64,
    /// Trampolines changed.
    pub trampoline_update: u64,
    /// Trampolines gone.
    pub trampoline_detach: u64,
    /// Pages taken by others.
    pub memory_take: u64,
    /// Pages given back by others.
    pub memory_give: u64,
    /// Raw permission changes.
    pub set_memory: u64,
}

/// The BPF programs of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ProgramStat {
    /// Programs with more than one image.
    pub with_several_images: u64,
    /// Programs that are interpreted.
    pub interpreted: u64,
    /// Images of all programs.
    pub images: u64,
    /// Most programs alive at a time.
    pub peak_alive: u64,
    /// Most image bytes alive at a time, without headers and padding.
    pub peak_alive_bytes: u64,
    /// Programs that are still loaded at the end.
    pub alive_at_end: u64,
    /// Lengths of the images, in bytes.
    pub image_bytes: Option<SizeQuantiles>,
    /// Lengths of the programs, all images together, in bytes.
    pub program_bytes: Option<SizeQuantiles>,
    /// How long those programs lived that were unloaded, in nanoseconds; up to 0.1 % too long.
    pub lifetime_ns: Option<LifeQuantiles>,
}

/// Quantiles of lengths; exact up to 128 KiB, above that up to 0.002 % too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SizeQuantiles {
    /// The least.
    pub min: u64,
    /// Half are at most this.
    pub p50: u64,
    /// Three quarters are at most this.
    pub p75: u64,
    /// 90 % are at most this.
    pub p90: u64,
    /// 99 % are at most this.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

/// Quantiles of life times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LifeQuantiles {
    /// The least.
    pub min: u64,
    /// Half are at most this.
    pub p50: u64,
    /// 90 % are at most this.
    pub p90: u64,
    /// The largest.
    pub max: u64,
}

/// The kernel modules of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModuleStat {
    /// Most modules loaded at a time.
    pub peak_loaded: u64,
    /// Modules that are still loaded at the end.
    pub loaded_at_end: u64,
    /// Bytes of all modules ever loaded, initialisation included.
    pub bytes: u64,
}

/// Other users of memory of a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MemoryStat {
    /// How many users there are.
    pub users: u64,
    /// All bytes ever taken.
    pub taken_bytes: u64,
    /// Most bytes held at a time.
    pub peak_held_bytes: u64,
    /// Bytes held at the end.
    pub held_at_end_bytes: u64,
}

impl TraceStat {
    /// Reads a whole source.
    pub fn of(source: &mut dyn EventSource) -> Result<Self, TraceError> {
        let mut collector = Collector::default();
        let mut batch = Vec::with_capacity(BATCH);
        while source.next_batch(&mut batch, BATCH)? > 0 {
            batch.iter().for_each(|event| collector.add(event));
            batch.clear();
        }
        Ok(collector.finish())
    }
}

/// What is counted on the way. Memory follows what is alive, never the length of the trace.
#[derive(Debug, Default)]
struct Collector {
    stat: TraceStat,
    /// When each program alive was loaded, and its bytes.
    alive: FxHashMap<u64, (u64, u64)>,
    alive_bytes: u64,
    image_bytes: Histogram<16>,
    program_bytes: Histogram<16>,
    lifetimes: Histogram<10>,
    modules: u64,
    /// Pages of each user.
    held: FxHashMap<u32, u64>,
    held_pages: u64,
}

impl Collector {
    fn add(&mut self, event: &Event) {
        let now = event.time.nanos();
        self.stat.duration_ns = now;
        let counts = &mut self.stat.events;
        counts.total += 1;
        let count = match &event.kind {
            EventKind::Load(_) => &mut counts.load,
            EventKind::Unload { .. } => &mut counts.unload,
            EventKind::ModuleLoad(_) => &mut counts.module_load,
            EventKind::ModuleUnload { .. } => &mut counts.module_unload,
            EventKind::TrampolineAttach { .. } => &mut counts.trampoline_attach,
            EventKind::TrampolineUpdate { .. } => &mut counts.trampoline_update,
            EventKind::TrampolineDetach { .. } => &mut counts.trampoline_detach,
            EventKind::MemoryTake(_) => &mut counts.memory_take,
            EventKind::MemoryGive(_) => &mut counts.memory_give,
            EventKind::SetMemory(_) => &mut counts.set_memory,
        };
        *count += 1;
        match &event.kind {
            EventKind::Load(load) => self.load(now, load),
            EventKind::Unload { id } => {
                if let Some((loaded, bytes)) = self.alive.remove(&id.get()) {
                    self.lifetimes.add(now - loaded);
                    self.alive_bytes -= bytes;
                }
            }
            EventKind::ModuleLoad(module) => {
                self.modules += 1;
                let modules = &mut self.stat.modules;
                modules.peak_loaded = modules.peak_loaded.max(self.modules);
                modules.bytes += module_sizes(module).into_iter().map(u64::from).sum::<u64>();
            }
            EventKind::ModuleUnload { .. } => self.modules -= 1,
            EventKind::MemoryTake(take) => self.take(take),
            EventKind::MemoryGive(give) => self.give(give),
            _ => {}
        }
    }

    fn load(&mut self, now: u64, load: &Load) {
        let bytes = load.images.total();
        let programs = &mut self.stat.programs;
        programs.images += load.images.len() as u64;
        programs.with_several_images += u64::from(load.images.len() > 1);
        programs.interpreted += u64::from(!load.jited);
        self.alive.insert(load.id.get(), (now, bytes));
        self.alive_bytes += bytes;
        programs.peak_alive = programs.peak_alive.max(self.alive.len() as u64);
        programs.peak_alive_bytes = programs.peak_alive_bytes.max(self.alive_bytes);
        self.program_bytes.add(bytes);
        load.images.iter().for_each(|length| self.image_bytes.add(length.into()));
    }

    fn take(&mut self, take: &MemoryTake) {
        let memory = &mut self.stat.memory;
        memory.taken_bytes = memory.taken_bytes.saturating_add(take.pages * PAGE_BYTES);
        *self.held.entry(take.user).or_default() += take.pages;
        self.held_pages += take.pages;
        memory.peak_held_bytes = memory.peak_held_bytes.max(self.held_pages * PAGE_BYTES);
    }

    fn give(&mut self, give: &MemoryGive) {
        let held = self.held.entry(give.user).or_default();
        let given = give.pages.unwrap_or(*held).min(*held);
        *held -= given;
        self.held_pages -= given;
    }

    fn finish(self) -> TraceStat {
        let mut stat = self.stat;
        stat.programs.alive_at_end = self.alive.len() as u64;
        stat.programs.image_bytes = self.image_bytes.sizes();
        stat.programs.program_bytes = self.program_bytes.sizes();
        let [p50, _, p90, _] = self.lifetimes.quantiles([500, 750, 900, 990]);
        let (min, max) = (self.lifetimes.min, self.lifetimes.max);
        stat.programs.lifetime_ns = (self.lifetimes.total > 0).then_some(LifeQuantiles { min, p50, p90, max });
        stat.modules.loaded_at_end = self.modules;
        stat.memory.users = self.held.len() as u64;
        stat.memory.held_at_end_bytes = self.held_pages * PAGE_BYTES;
        stat
    }
}

/// Counts of values in buckets: one for each value below `2^(BITS + 1)`, and above that `2^BITS` for each power of two,
/// so that a bucket's largest value is less than `1 / 2^BITS` above its smallest. Memory follows the largest value.
#[derive(Debug, Default)]
struct Histogram<const BITS: u32> {
    counts: Vec<u64>,
    total: u64,
    min: u64,
    max: u64,
}

impl<const BITS: u32> Histogram<BITS> {
    fn add(&mut self, value: u64) {
        let bucket = Self::bucket(value);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.min = if self.total == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.total += 1;
    }

    fn bucket(value: u64) -> usize {
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
        ((u64::from(shift) << BITS) + (value >> shift)) as usize
    }

    /// The largest value of a bucket.
    fn top(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let shift = (bucket >> BITS).saturating_sub(1);
        let kept = bucket - (shift << BITS);
        ((kept + 1) << shift).wrapping_sub(1)
    }

    /// The least values that these thousandths of all are at most; shares ascend.
    fn quantiles<const N: usize>(&self, permille: [u64; N]) -> [u64; N] {
        let mut found = [self.max; N];
        let mut wanted = 0;
        let mut seen = 0u128;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += u128::from(count);
            while wanted < N && seen * 1000 >= u128::from(permille[wanted]) * u128::from(self.total) && seen > 0 {
                found[wanted] = Self::top(bucket).min(self.max);
                wanted += 1;
            }
        }
        found
    }

    fn sizes(&self) -> Option<SizeQuantiles> {
        let [p50, p75, p90, p99] = self.quantiles([500, 750, 900, 990]);
        (self.total > 0).then_some(SizeQuantiles { min: self.min, p50, p75, p90, p99, max: self.max })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::trace::TraceReader;

    #[test]
    fn numbers_of_a_small_trace() {
        let text = "\
            {\"fragsim_trace\":1}\n\
            {\"time_ns\":0,\"load\":{\"id\":1,\"image_bytes\":[100]}}\n\
            {\"time_ns\":1000,\"load\":{\"id\":2,\"image_bytes\":[33,612]}}\n\
            {\"time_ns\":1500,\"unload\":{\"id\":1}}\n\
            {\"time_ns\":1600,\"load\":{\"id\":1,\"image_bytes\":[50],\"jited\":false}}\n\
            {\"time_ns\":1600,\"unload\":{\"id\":1}}\n\
            {\"time_ns\":1700,\"module_load\":{\"id\":1,\"text_bytes\":4096,\"init_text_bytes\":4}}\n\
            {\"time_ns\":1700,\"memory_take\":{\"user\":\"a\",\"kind\":\"unmovable\",\"bytes\":\"16KiB\"}}\n\
            {\"time_ns\":1700,\"memory_give\":{\"user\":\"a\",\"bytes\":\"4KiB\"}}\n\
            {\"time_ns\":9000,\"memory_take\":{\"user\":\"b\",\"kind\":\"unmovable\",\"bytes\":\"4KiB\"}}\n";
        let stat = TraceStat::of(&mut TraceReader::from_reader("t", text.as_bytes()).unwrap()).unwrap();
        assert_eq!((stat.duration_ns, stat.events.total, stat.events.load, stat.events.unload), (9000, 9, 3, 2));
        let programs = &stat.programs;
        assert_eq!((programs.peak_alive, programs.peak_alive_bytes, programs.alive_at_end), (2, 745, 1));
        assert_eq!((programs.images, programs.with_several_images, programs.interpreted), (4, 1, 1));
        let sizes = SizeQuantiles { min: 33, p50: 50, p75: 100, p90: 612, p99: 612, max: 612 };
        assert_eq!(programs.image_bytes, Some(sizes));
        assert_eq!(programs.lifetime_ns, Some(LifeQuantiles { min: 0, p50: 0, p90: 1500, max: 1500 }));
        assert_eq!(stat.modules, ModuleStat { peak_loaded: 1, loaded_at_end: 1, bytes: 4100 });
        let memory = MemoryStat { users: 2, taken_bytes: 20480, peak_held_bytes: 16384, held_at_end_bytes: 16384 };
        assert_eq!(stat.memory, memory);
    }

    #[test]
    fn an_empty_trace_has_no_quantiles() {
        let stat = TraceStat::of(&mut crate::trace::InMemory::new(Vec::new())).unwrap();
        assert_eq!(stat, TraceStat::default());
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_a_sorted_list(mut values in prop::collection::vec(0..2048u64, 1..200)) {
            let mut histogram = Histogram::<10>::default();
            values.iter().for_each(|&value| histogram.add(value));
            values.sort_unstable();
            let rank = |permille: usize| values[(values.len() * permille).div_ceil(1000) - 1];
            prop_assert_eq!(histogram.quantiles([1, 500, 900, 1000]), [rank(1), rank(500), rank(900), rank(1000)]);
        }

        #[test]
        fn buckets_are_narrow_and_in_order(value in any::<u64>()) {
            let bucket = Histogram::<10>::bucket(value);
            let top = Histogram::<10>::top(bucket);
            prop_assert!(top >= value && top - value <= value >> 10);
            prop_assert_eq!(Histogram::<10>::bucket(top), bucket);
            prop_assert!(top == u64::MAX || Histogram::<10>::bucket(top + 1) == bucket + 1);
        }
    }
}
