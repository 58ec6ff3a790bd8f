//! The replay as a library: deferred frees, hosts that end early, releases side by side.

use fragsim::direct_map::CounterView;
use fragsim::kernel::{HostSetup, Kernel, Release};
use fragsim::memory::{MemoryLayout, StartState};
use fragsim::replay::{Contender, End, Observing, Outcome, Sampling, replay};
use fragsim::text_alloc::{Policy, PolicyOptions};
use fragsim::trace::{
    Event, EventKind, EventSource, Images, InMemory, Load, Permission, ProgId, SetMemory, TraceError,
};
use fragsim::units::{Bytes, PageSize, Pfn, PfnRange, SimTime};

fn load(id: u64, bytes: u32) -> EventKind {
    let images = Images::one(bytes).unwrap();
    EventKind::Load(Load { id: ProgId::new(id), images, insns: 0, jited: true })
}

fn unload(id: u64) -> EventKind {
    EventKind::Unload { id: ProgId::new(id) }
}

/// Events with their times in milliseconds.
fn trace(events: Vec<(u64, EventKind)>) -> Vec<Event> {
    events.into_iter().map(|(millis, kind)| Event { time: SimTime::from_nanos(millis * 1_000_000), kind }).collect()
}

fn run(layout: &MemoryLayout, hosts: &[(&str, Policy)], events: Vec<(u64, EventKind)>) -> Vec<Outcome> {
    replay_of(layout, hosts, &mut InMemory::new(trace(events)))
}

fn replay_of(layout: &MemoryLayout, hosts: &[(&str, Policy)], source: &mut (dyn EventSource + Send)) -> Vec<Outcome> {
    let contender = |&(release, policy): &(&str, Policy)| Contender {
        host: HostSetup {
            release: Release::named(release).unwrap(),
            layout,
            start: &StartState::Fresh,
            cpus: 1,
            largest_page: PageSize::Size1G,
            boot_program: false,
            seed: 1,
            run: 0,
        },
        text: policy.build(PolicyOptions::default()),
    };
    let observing = Observing { sampling: Sampling::Points(100), layouts: 8, view: CounterView::Mapped };
    let contenders = hosts.iter().map(contender).collect();
    replay(contenders, source, observing, &|_| {}).unwrap()
}

fn q35(gib: u64) -> MemoryLayout {
    MemoryLayout::q35(Bytes::new(gib << 30)).unwrap()
}

#[test]
fn memory_of_a_program_comes_back_after_a_grace_period() {
    let peak = |second_load| {
        let events = vec![(0, load(1, 100)), (1, unload(1)), (second_load, load(2, 100))];
        run(&q35(4), &[("5.10", Policy::PerProg)], events)[0].peaks.executable_pages
    };
    // Grace periods end every 20 ms; an unload waits for the end of the next whole one.
    assert_eq!(peak(39), 2);
    assert_eq!(peak(40), 1);
}

#[test]
fn all_deferred_work_is_done_in_the_end() {
    let outcome = &run(&q35(4), &[("5.10", Policy::PerProg)], vec![(0, load(1, 100)), (1, unload(1))])[0];
    assert_eq!((outcome.finish.text.executable_pages, outcome.finish.programs_alive), (0, 0));
    assert_eq!((outcome.programs_loaded, outcome.programs_unloaded), (1, 1));
    assert_eq!(outcome.samples.first().unwrap().seen, outcome.start);
    assert_eq!(outcome.samples.last().unwrap().seen, outcome.finish);
}

#[test]
fn a_host_without_memory_stops_and_the_others_go_on() {
    let layout = MemoryLayout::q35(Bytes::new(128 << 20)).unwrap();
    let events = (0..20_000).map(|id| (id, load(id, 100))).collect();
    let outcomes = run(&layout, &[("5.10", Policy::PerProg), ("6.1", Policy::Pack4k)], events);
    let ends: Vec<u64> = outcomes
        .iter()
        .map(|outcome| match outcome.end {
            End::OutOfMemory { event, .. } => event,
            End::Completed => u64::MAX,
        })
        .collect();
    assert!(ends[0] < ends[1], "pages of its own for each program end first: {ends:?}");
    assert_eq!(outcomes[0].programs_loaded, ends[0] - 1);
    assert_eq!(outcomes[0].finish.programs_alive, ends[0] - 1);
}

#[test]
fn addresses_for_text_run_out_before_memory_does() {
    // 257 pages and a guard page each: 1000 such images fill 1008 MiB.
    let events = |interpreted: bool| {
        let program = |id| match load(id, 1 << 20) {
            EventKind::Load(load) => EventKind::Load(Load { jited: !interpreted, insns: 131_000, ..load }),
            other => other,
        };
        (0..1010).map(|id| (id, program(id))).collect::<Vec<_>>()
    };
    let hosts = [("5.10", Policy::PerProg), ("7.3", Policy::ExecmemRox)];
    let end = |outcome: &Outcome| match &outcome.end {
        End::Completed => None,
        End::OutOfMemory { event, cause, .. } => Some((*event, cause.to_string())),
    };
    let ends: Vec<_> = run(&q35(8), &hosts, events(false)).iter().map(end).collect();
    let (event, cause) = ends[0].as_ref().expect("per-prog fills the range");
    assert_eq!(*event, 1008 * 256 / 258 + 1);
    assert!(cause.starts_with("no room for 257 more page(s) in the 1008MiB of addresses"), "{cause}");
    // Packs of 2 MiB entries are 4 MiB apart, and of two such images only one fits.
    assert_eq!(ends[1].as_ref().map(|(event, _)| *event), Some(252 + 1));
    // Interpreted programs lie elsewhere.
    assert!(run(&q35(8), &hosts[..1], events(true)).iter().all(|outcome| outcome.end == End::Completed));
}

#[test]
fn packs_have_a_2m_block_for_each_node() {
    let layout = MemoryLayout::server(Bytes::new(16 << 30), 4).unwrap();
    let hosts = [("6.1", Policy::Pack2m), ("7.2", Policy::PackContig), ("7.3", Policy::ExecmemRox)];
    let outcomes = run(&layout, &hosts, vec![(0, load(1, 100)), (1000, unload(1))]);
    let split: Vec<u64> = outcomes.iter().map(|outcome| outcome.finish.map.level2_splits).collect();
    assert!(outcomes.iter().all(|outcome| outcome.peaks.executable_pages == 4 * 512));
    // The huge pack breaks at its free, the contiguous one when it is opened, the cache never.
    assert_eq!(split, [4, 4, 0]);
}

#[test]
fn trampolines_follow_the_release() {
    let attach = |id| EventKind::TrampolineAttach { id, image_bytes: 200 };
    let events = || (0..600).map(|id| (id, attach(id))).collect::<Vec<_>>();
    let hosts = [("5.10", Policy::PerProg), ("6.1", Policy::PackVmalloc), ("6.12", Policy::PackVmalloc)];
    let before = run(&q35(4), &hosts, events());
    let splits = |outcomes: &[Outcome]| -> Vec<u64> { outcomes.iter().map(|o| o.finish.map.level2_splits).collect() };
    let attached = splits(&before);
    assert_eq!(attached[0], 0, "5.10 leaves the page writable");
    let text: Vec<_> = before.iter().map(|o| (o.finish.text.executable_pages, o.finish.text.image_bytes)).collect();
    assert_eq!(text, [(600, 120_000), (600, 120_000), (512, 120_000)], "pages of their own count as text too");
    assert!(attached[1] >= 2, "6.1 makes a page of its own read-only each time: {attached:?}");
    let detach = (0..600).map(|id| (1000 + id, EventKind::TrampolineDetach { id }));
    let after = splits(&run(&q35(4), &hosts, events().into_iter().chain(detach).collect()));
    assert!(after[0] >= 2, "the reset at the free splits on 5.10: {after:?}");
    assert_eq!(after[1..], attached[1..]);
}

#[test]
fn flushes_are_counted_as_the_kernel_makes_them() {
    let outcome = &run(&q35(4), &[("5.10", Policy::PerProg)], vec![(0, load(1, 100))])[0];
    // A purge (the verifier's scratch was freed lazily), two splits, the alias of `set_memory_ro`; `set_memory_x` flushes
    // its one page only.
    assert_eq!((outcome.finish.flushes.full, outcome.finish.flushes.ranged), (4, 1));
    assert_eq!(outcome.finish.table_pages, 2);
}

#[test]
fn lazily_freed_areas_are_flushed_when_32_mib_of_them_wait() {
    // In a pack that has room a load changes no permission, so only the purge flushes: at least 3 pages of the program
    // and the verifier, and a guard page each, are freed with every load.
    let events = (0..4000).flat_map(|id| [(id, load(id, 100)), (id, unload(id))]);
    let events = std::iter::once((0, load(9999, 100))).chain(events).collect();
    let outcome = &run(&q35(4), &[("6.1", Policy::PackVmalloc)], events)[0];
    let full = outcome.finish.flushes.full - outcome.finish.map.level2_splits - outcome.finish.map.level3_splits;
    assert!((2..=10).contains(&full), "{full}");
}

#[test]
fn a_change_of_permissions_purges_what_waits_first() {
    let change = |pfn: u64| {
        let range = PfnRange::with_len(Pfn::new(pfn), 1);
        EventKind::SetMemory(SetMemory { range, to: Permission::ReadOnly })
    };
    let hosts = [("6.1", Policy::PackVmalloc)];
    let full = |events| run(&q35(4), &hosts, events)[0].finish.flushes.full;
    let (first, second) = (change(2_000_000), change(2_000_001));
    let unloaded = vec![(0, load(1, 100)), (0, unload(1)), (1000, first.clone()), (1000, second.clone())];
    let only = vec![(1000, first), (1000, second)];
    assert_eq!(full(unloaded) - full(vec![(0, load(1, 100)), (0, unload(1))]), full(only) + 1);
}

/// A trace without an end whose events no file has.
struct Endless(u64);

impl EventSource for Endless {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        assert!(self.0 < 1_000_000, "the host is long out of memory");
        for _ in 0..max {
            self.0 += 1;
            into.push(Event { time: SimTime::from_nanos(self.0), kind: load(self.0, 100_000) });
        }
        Ok(max)
    }

    fn total_hint(&self) -> Option<u64> {
        None
    }
}

#[test]
fn a_replay_ends_when_no_host_can_go_on() {
    let layout = MemoryLayout::q35(Bytes::new(128 << 20)).unwrap();
    let outcomes = replay_of(&layout, &[("5.10", Policy::PerProg), ("6.1", Policy::Pack4k)], &mut Endless(0));
    assert!(outcomes.iter().all(|outcome| outcome.end != End::Completed));
}

#[test]
fn a_program_is_freed_on_the_cpu_that_loaded_it() {
    let layout = q35(4);
    let setup = HostSetup {
        release: Release::named("5.10").unwrap(),
        layout: &layout,
        start: &StartState::Fresh,
        cpus: 2,
        largest_page: PageSize::Size1G,
        boot_program: false,
        seed: 1,
        run: 0,
    };
    let mut kernel = Kernel::boot(&setup, Policy::PerProg.build(PolicyOptions::default())).unwrap();
    let read_only = |kernel: &Kernel| -> Vec<PfnRange> {
        kernel.leaves().filter(|leaf| leaf.perms.to_string() == "ro").map(|leaf| leaf.range).collect()
    };
    kernel.apply(&load(0, 100)).unwrap();
    kernel.apply(&load(1, 100)).unwrap();
    let both = read_only(&kernel);
    let work = kernel.apply(&unload(0)).unwrap().expect("a free is due");
    kernel.finish(work);
    assert_ne!(read_only(&kernel), both);
    // The lists of CPU 0 have the page that was freed last on top.
    kernel.apply(&load(2, 100)).unwrap();
    assert_eq!(read_only(&kernel), both);
}
