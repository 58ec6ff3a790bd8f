//! Whole hosts on random events: nothing is lost, nothing is in two places, and splits add up.

use proptest::prelude::*;

use super::{HostSetup, Kernel, Release};
use crate::direct_map::CounterView;
use crate::memory::{MemoryLayout, StartState};
use crate::text_alloc::{Policy, PolicyOptions};
use crate::trace::{EventKind, GivePattern, Images, Load, MemoryGive, MemoryKind, MemoryTake, ModuleLoad, ProgId};
use crate::units::{Bytes, Order, PAGES_PER_2M, PageSize, PfnRange};

const PROGRAMS: u64 = 12;
const OTHERS: u64 = 3;

fn boot(release: &'static Release, policy: Policy, cpus: u32) -> Kernel {
    let layout = MemoryLayout::q35(Bytes::new(2 << 30)).unwrap();
    let start = StartState::Fresh;
    let setup = HostSetup {
        release,
        layout: &layout,
        start: &start,
        cpus,
        largest_page: PageSize::Size1G,
        boot_program: true,
        seed: 1,
        run: 0,
    };
    Kernel::boot(&setup, policy.build(PolicyOptions::default())).unwrap()
}

fn module(id: u64, pages: u32) -> EventKind {
    EventKind::ModuleLoad(Box::new(ModuleLoad {
        id,
        text_bytes: pages * 4096,
        rodata_bytes: 5000,
        ro_after_init_bytes: 100,
        data_bytes: 6000,
        init_text_bytes: 3000,
        init_rodata_bytes: 0,
        init_data_bytes: 200,
    }))
}

/// An event that makes sense on its own: loads of what is loaded replace it, the rest does nothing if there is nothing.
fn event() -> impl Strategy<Value = EventKind> {
    let bytes = prop_oneof![8 => 1u32..9000, 1 => 1_000_000u32..5_000_000];
    let load = (0..PROGRAMS, prop::collection::vec(bytes, 1..4), 0u32..20_000, any::<bool>()).prop_map(
        |(id, images, insns, jited)| {
            let images = Images::new(if jited { &images } else { &images[..1] }).unwrap();
            EventKind::Load(Load { id: ProgId::new(id), images, insns, jited })
        },
    );
    let unload = (0..PROGRAMS).prop_map(|id| EventKind::Unload { id: ProgId::new(id) });
    let kind = prop_oneof![Just(MemoryKind::Unmovable), Just(MemoryKind::PageTables), Just(MemoryKind::Anonymous)];
    let take = (0..OTHERS as u32, kind, 1u64..600)
        .prop_map(|(user, kind, pages)| EventKind::MemoryTake(MemoryTake { user, kind, pages, order: Order::ZERO }));
    let pattern = prop_oneof![Just(GivePattern::Oldest), Just(GivePattern::Random), Just(GivePattern::Alternate)];
    let give = (0..OTHERS as u32, 1u64..400, pattern)
        .prop_map(|(user, pages, pattern)| EventKind::MemoryGive(MemoryGive { user, pages: Some(pages), pattern }));
    let trampoline =
        (0..OTHERS, 50u32..4000).prop_map(|(id, image_bytes)| EventKind::TrampolineAttach { id, image_bytes });
    prop_oneof![
        6 => load,
        5 => unload,
        2 => take,
        2 => give,
        1 => trampoline,
        1 => (0..OTHERS).prop_map(|id| EventKind::TrampolineDetach { id }),
        1 => (0..OTHERS, 1u32..700).prop_map(|(id, pages)| module(id, pages)),
        1 => (0..OTHERS).prop_map(|id| EventKind::ModuleUnload { id }),
    ]
}

fn apply(kernel: &mut Kernel, event: &EventKind) {
    if let Some(work) = kernel.apply(event).expect("2 GiB are enough") {
        kernel.finish(work);
    }
}

/// Gives back all that events can have taken.
fn clear(kernel: &mut Kernel) {
    (0..PROGRAMS).for_each(|id| apply(kernel, &EventKind::Unload { id: ProgId::new(id) }));
    for id in 0..OTHERS {
        apply(kernel, &EventKind::TrampolineDetach { id });
        apply(kernel, &EventKind::ModuleUnload { id });
        let give = MemoryGive { user: id as u32, pages: None, pattern: GivePattern::Oldest };
        apply(kernel, &EventKind::MemoryGive(give));
    }
}

/// What must hold at any moment, from the entries and lists themselves.
fn check(kernel: &Kernel) {
    let memory = &kernel.machine.memory;
    memory.check().unwrap();
    let mut frames: Vec<PfnRange> = kernel.machine.open_frames().collect();
    frames.sort_unstable_by_key(|run| run.start());
    for pair in frames.windows(2) {
        assert!(pair[0].end() <= pair[1].start(), "two areas share frames: {pair:?}");
    }
    let text: u64 = frames.iter().map(|run| run.pages()).sum();
    assert!(kernel.text_usage().executable_pages <= text, "more is executable than there are pages for");
    assert!(text + memory.unused_pages() <= memory.managed_pages(), "pages of areas are free as well");
}

/// Free pages, and those that stay when nothing is loaded: page tables of splits and of virtual ranges, slabs, and the table
/// of the kernel's types.
fn accounted(kernel: &Kernel) -> u64 {
    let machine = &kernel.machine;
    machine.memory.unused_pages()
        + machine.table_pages
        + machine.range_tables()
        + kernel.companions.pages()
        + machine.type_pages.unwrap_or(0)
}

/// The splits that took the map from one state to another, and that nothing else changed.
fn check_splits(before: &super::Observation, after: &super::Observation) {
    let (old, new) = (&before.map, &after.map);
    let (level2, level3) = (new.level2_splits - old.level2_splits, new.level3_splits - old.level3_splits);
    assert_eq!(new.direct_map_4k - old.direct_map_4k, PAGES_PER_2M * level2);
    assert_eq!(new.direct_map_2m + level2, old.direct_map_2m + PAGES_PER_2M * level3);
    assert_eq!(new.direct_map_1g + level3, old.direct_map_1g);
    assert_eq!(after.table_pages - before.table_pages, level2 + level3, "each split takes a page for its table");
    assert!(after.flushes.full - before.flushes.full >= level2 + level3, "each split flushes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hosts_keep_the_laws_and_lose_no_page(
        release in (0..Release::all().len()).prop_map(|index| &Release::all()[index]),
        policy in prop::sample::select(&Policy::ALL[..]),
        cpus in 1u32..3,
        events in prop::collection::vec(event(), 1..50),
    ) {
        let mut kernel = boot(release, policy, cpus);
        let all = accounted(&kernel);
        for _ in 0..2 {
            for event in &events {
                let before = kernel.observe(CounterView::Mapped);
                apply(&mut kernel, event);
                check_splits(&before, &kernel.observe(CounterView::Mapped));
                check(&kernel);
            }
            clear(&mut kernel);
            check(&kernel);
            prop_assert_eq!(accounted(&kernel), all, "pages are lost, or counted twice");
        }
        let usage = kernel.text_usage();
        prop_assert!(usage.live_packs() <= 1, "only the pack of the boot program stays");
    }
}
