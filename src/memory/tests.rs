//! Behaviours of the whole, by name.

use std::collections::BTreeSet;

use super::rules::all_eras;
use super::start::{Problem, SnapshotText};
use super::*;
use crate::units::{Bytes, Order, Pfn, PfnRange};

const M: MigrateType = MigrateType::Movable;
const U: MigrateType = MigrateType::Unmovable;
const HUGE: Order = Order::PAGEBLOCK;
/// A kernel recording: 5.10, 4 GiB, one CPU, right after boot.
const BUDDYINFO: &str = include_str!("testdata/buddyinfo-5.10-4G.txt");
const PAGETYPEINFO: &str = include_str!("testdata/pagetypeinfo-5.10-4G.txt");

fn memory_of(layout: &MemoryLayout, start: &StartState, rules: PageAllocRules, cpus: u32, seed: u64) -> Memory {
    let reserved = memblock::boot_reserved(layout);
    Memory::new(&MemorySetup { layout, reserved: &reserved, start, rules, cpus, seed, run: 0 }).unwrap()
}

fn guest(gib: u64, rules: PageAllocRules) -> Memory {
    memory_of(&MemoryLayout::q35(Bytes::new(gib << 30)).unwrap(), &StartState::Fresh, rules, 1, 1)
}

fn server(gib: u64, start: StartState) -> Memory {
    memory_of(&MemoryLayout::server(Bytes::new(gib << 30), 1).unwrap(), &start, PageAllocRules::v6_1(), 4, 1)
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn fresh_pages_ascend_and_the_last_freed_is_used_first() {
    for rules in all_eras() {
        let mut memory = guest(4, rules);
        let pages: Vec<u64> = (0..40).map(|_| memory.alloc_page(M).unwrap().get()).collect();
        assert!(pages.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{rules:?}: {pages:?}");
        for pfn in [10, 20, 30] {
            memory.free_page(Pfn::new(pages[pfn]));
        }
        let again: Vec<u64> = (0..4).map(|_| memory.alloc_page(M).unwrap().get()).collect();
        assert_eq!(again, [pages[30], pages[20], pages[10], pages[39] + 1]);
    }
}

#[test]
fn a_refill_takes_63_pages_off_the_free_count() {
    let mut memory = guest(4, PageAllocRules::v5_10());
    let before = memory.free_pages();
    memory.alloc_page(U).unwrap();
    assert_eq!((before - memory.free_pages(), before - memory.unused_pages()), (63, 1));
    for _ in 0..62 {
        memory.alloc_page(U).unwrap();
    }
    assert_eq!(before - memory.free_pages(), 63);
    memory.drain_pcp();
    assert_eq!(memory.free_pages(), memory.unused_pages());
}

#[test]
fn unmovable_pages_come_first_from_the_pageblock_whose_type_was_never_set() {
    // As recorded: the first BPF frames of 5.10 and 6.1 lie in the pageblock below the struct pages.
    let mut memory = guest(4, PageAllocRules::v5_10());
    let mut early = memory.clone();
    assert_eq!(early.alloc_page(U).unwrap().get(), 1 << 20, "it is handed over late");
    memory.hand_over_late();
    let first = memory.alloc_page(U).unwrap().get();
    assert_eq!(first / 512 * 512, 1_555_456);
    assert_eq!(memory.migrate_type_of(Pfn::new(first)), U);
    // Kernels from 6.16 on take a whole block from movable.
    let mut memory = guest(4, PageAllocRules::v7_2());
    assert_eq!(memory.alloc_page(U).unwrap().get(), 1 << 20);
}

#[test]
fn unmovable_pages_claim_both_pageblocks_of_a_block() {
    let mut memory = guest(4, PageAllocRules::v7_2());
    let pfn = memory.alloc_page(U).unwrap();
    assert_eq!([0, 512, 1024].map(|more| memory.migrate_type_of(pfn.offset(more))), [U, U, M]);
    assert_eq!(memory.alloc_block(Order::MAX, M).unwrap().get(), pfn.get() + 1024);
    let text = memory.pagetypeinfo();
    let normal = text.lines().rfind(|line| line.contains("Normal")).unwrap().to_owned();
    assert_eq!(numbers(&normal)[..2], [2, 1022]);
}

#[test]
fn bulk_equals_page_by_page() {
    for rules in all_eras() {
        for kind in MigrateType::ALL {
            let mut bulk = guest(4, rules);
            bulk.alloc_page(kind).unwrap();
            let mut single = bulk.clone();
            let mut runs = Vec::new();
            bulk.alloc_bulk(70_000, kind, &mut runs).unwrap();
            let frames: Vec<Pfn> = (0..70_000).map(|_| single.alloc_page(kind).unwrap()).collect();
            assert!(runs.iter().flat_map(|run| run.iter()).eq(frames.iter().copied()), "{kind} {rules:?}");
            // What follows is the same too.
            assert_eq!(bulk.buddyinfo(), single.buddyinfo());
            for _ in 0..200 {
                assert_eq!(bulk.alloc_page(kind), single.alloc_page(kind));
            }
            assert_eq!(bulk.pagetypeinfo(), single.pagetypeinfo());
            bulk.check().unwrap();
        }
    }
}

#[test]
fn turned_pages_leave_what_taking_and_giving_them_leaves() {
    for rules in all_eras() {
        for start in [StartState::Fresh, StartState::Aged(Aged::month())] {
            let layout = MemoryLayout::server(Bytes::new(16 << 30), 1).unwrap();
            let mut memory = memory_of(&layout, &start, rules, 1, 1);
            let mut held = Vec::new();
            for pages in [1, 2, 7, 30, 1, 64, 3, 200, 11, 5] {
                held.push(memory.alloc_page(U).unwrap());
                let mut by_hand = memory.clone();
                let mut runs = Vec::new();
                by_hand.alloc_bulk(pages, U, &mut runs).unwrap();
                runs.iter().flat_map(|run| run.iter()).for_each(|pfn| by_hand.free_page(pfn));
                if !memory.turn_pages(pages, U) {
                    memory = by_hand.clone();
                }
                memory.check().unwrap();
                let next = |memory: &Memory| -> Vec<Pfn> {
                    let mut copy = memory.clone();
                    (0..300).map(|_| copy.alloc_page(U).unwrap()).collect()
                };
                assert_eq!(next(&memory), next(&by_hand), "{pages} pages, {rules:?}");
                if pages > 10 {
                    held.drain(..2).for_each(|pfn| memory.free_page(pfn));
                }
            }
        }
    }
}

#[test]
fn an_array_is_a_bulk_while_whole_pageblocks_are_left() {
    for rules in all_eras() {
        let (mut bulk, mut array) = (guest(4, rules), guest(4, rules));
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        for pages in [512, 1, 101, 2, 700] {
            bulk.alloc_bulk(pages, U, &mut expected).unwrap();
            array.alloc_array(pages, U, &mut got).unwrap();
        }
        assert_eq!(expected, got, "{rules:?}");
        let before = array.unused_pages();
        assert!(array.alloc_array(1 << 30, U, &mut got).is_err());
        assert_eq!((got.len(), array.unused_pages()), (expected.len(), before));
    }
}

#[test]
fn order_9_fails_when_every_block_has_a_hole() {
    let mut memory = guest(1, PageAllocRules::v6_1());
    let mut runs = Vec::new();
    let pages = memory.unused_pages() - 16_000;
    memory.alloc_bulk(pages, U, &mut runs).unwrap();
    // All but one page of each 2 MiB is free again.
    for pfn in runs.iter().flat_map(|run| run.iter()).filter(|pfn| pfn.get() % 512 != 77) {
        memory.free_page(pfn);
    }
    memory.drain_pcp();
    let mut taken = 0;
    let error = loop {
        match memory.alloc_block(HUGE, U) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(taken < 40, "{taken} blocks that were not part of the bulk");
    assert_eq!((error.order, error.kind), (HUGE, U));
    assert!(error.free_pages > 200_000);
    assert!(memory.alloc_page(U).is_ok());
    memory.check().unwrap();
}

#[test]
fn a_run_freed_as_one_is_a_block_again_but_page_by_page_leaves_pages_behind() {
    for rules in [PageAllocRules::v5_10(), PageAllocRules::v6_12(), PageAllocRules::v7_2()] {
        let mut memory = guest(4, rules);
        let block = memory.alloc_block(HUGE, U).unwrap();
        let run = PfnRange::with_len(block, 512);
        memory.free_run(run);
        assert_eq!(memory.alloc_block(HUGE, U).unwrap(), block, "{rules:?}");
        run.iter().for_each(|pfn| memory.free_page(pfn));
        assert_ne!(memory.alloc_block(HUGE, U).unwrap(), block, "{rules:?}");
    }
}

#[test]
fn a_bulk_that_fails_gives_everything_back() {
    let mut memory = guest(1, PageAllocRules::v6_1());
    let before = memory.unused_pages();
    let mut runs = vec![PfnRange::with_len(Pfn::new(1), 1)];
    let error = memory.alloc_bulk(1 << 20, M, &mut runs).unwrap_err();
    assert_eq!((runs.len(), memory.unused_pages()), (1, before));
    assert!(error.to_string().contains("Movable block of order 0"), "{error}");
    memory.check().unwrap();
}

#[test]
fn watermarks_keep_pages_back() {
    let mut memory = guest(4, PageAllocRules::v6_1());
    let mut runs = Vec::new();
    while memory.alloc_bulk(1000, M, &mut runs).is_ok() {}
    while memory.alloc_page(M).is_ok() {}
    for zone in &memory.zones {
        let free = zone.buddy.free_pages();
        assert!(free <= zone.marks.min + zone.marks.reserve && free + 63 > zone.marks.min, "{}", zone.class.name());
    }
    // The DMA zone has hardly been touched: it is kept for those who need it.
    assert!(memory.zones[0].buddy.free_pages() > 3500);
    memory.check().unwrap();
}

#[test]
fn a_small_request_goes_to_a_lower_zone_before_it_mixes_types() {
    // NORMAL has movable pages only, none of its pageblocks whole; DMA32 still has whole blocks.
    let mut memory = guest(4, PageAllocRules::v6_1());
    let mut held = Vec::new();
    while let Ok(pfn) = memory.alloc_block(HUGE, M) {
        if pfn.get() < 1 << 20 {
            memory.free_block(pfn, HUGE);
            break;
        }
        held.push(pfn);
    }
    memory.drain_pcp();
    // Two pages less than a whole pageblock of each come back, more than the watermarks ask for.
    for pfn in held {
        (1..511).for_each(|page| memory.free_page(pfn.offset(page)));
    }
    memory.drain_pcp();
    let (mut runs, mut array, mut other) = (Vec::new(), Vec::new(), memory.clone());
    memory.alloc_bulk(16_000, U, &mut runs).unwrap();
    assert!(runs.last().unwrap().start().get() < 1 << 20, "{runs:?}");
    // The bulk allocator does not care.
    other.alloc_array(16_000, U, &mut array).unwrap();
    assert!(array.last().unwrap().start().get() > 1 << 20);
    other.check().unwrap();
}

#[test]
fn requests_prefer_the_local_node() {
    let layout = MemoryLayout::server(Bytes::new(16 << 30), 4).unwrap();
    let mut memory = memory_of(&layout, &StartState::Fresh, PageAllocRules::v6_1(), 8, 1);
    let node_of = |pfn: Pfn| layout.ranges().iter().find(|range| range.range.contains(pfn)).unwrap().node;
    for cpu in 0..8 {
        memory.set_cpu(cpu);
        assert_eq!(node_of(memory.alloc_page(U).unwrap()), cpu / 2);
    }
    // When the local node is used up, the next one serves.
    let mut runs = Vec::new();
    memory.alloc_bulk((4 << 30 >> 12) + 1000, M, &mut runs).unwrap();
    let nodes: BTreeSet<u32> = runs.iter().map(|run| node_of(run.start())).collect();
    assert_eq!(nodes.into_iter().collect::<Vec<_>>(), [0, 3]);
    memory.check().unwrap();
}

#[test]
fn each_cpu_has_its_own_list() {
    let mut memory = server(8, StartState::Fresh);
    let first = memory.alloc_page(U).unwrap();
    memory.free_page(first);
    memory.set_cpu(1);
    let other = memory.alloc_page(U).unwrap();
    assert!(other.get() >= first.get() + 63, "{first} {other}");
    memory.set_cpu(0);
    assert_eq!(memory.alloc_page(U).unwrap(), first);
}

#[test]
fn sixteen_tebibytes_cost_what_is_touched() {
    for start in [StartState::Fresh, StartState::Aged(Aged::month())] {
        let layout = MemoryLayout::server(Bytes::new(16 << 40), 1).unwrap();
        let mut memory = memory_of(&layout, &start, PageAllocRules::v6_1(), 64, 1);
        assert!(memory.heap_bytes() < 768 << 10, "{} bytes", memory.heap_bytes());
        let mut held = Vec::new();
        for _ in 0..1000 {
            held.push(memory.alloc_page(U).unwrap());
        }
        for pfn in held {
            memory.free_page(pfn);
        }
        assert!(memory.heap_bytes() < 4 << 20, "{start:?}: {} bytes", memory.heap_bytes());
    }
    let mut memory = server(16 << 10, StartState::Fresh);
    let mut runs = Vec::new();
    memory.alloc_bulk(1 << 30, M, &mut runs).unwrap();
    assert!(memory.heap_bytes() < 1 << 20, "4 TiB of page cache: {} bytes", memory.heap_bytes());
}

fn recorded() -> StartState {
    StartState::Snapshot(Snapshot::parse(BUDDYINFO, Some(PAGETYPEINFO)).unwrap())
}

#[test]
fn a_snapshot_shows_the_numbers_of_the_host_in_the_kernels_words() {
    let layout = MemoryLayout::q35(Bytes::new(4 << 30)).unwrap();
    let memory = memory_of(&layout, &recorded(), PageAllocRules::v5_10(), 1, 1);
    assert_eq!(memory.buddyinfo(), BUDDYINFO);
    assert_eq!(memory.pagetypeinfo().trim_end(), PAGETYPEINFO.trim_end());
    memory.check().unwrap();
}

#[test]
fn a_snapshot_of_a_fresh_host_hands_out_large_blocks_in_ascending_order() {
    let layout = MemoryLayout::q35(Bytes::new(4 << 30)).unwrap();
    let mut memory = memory_of(&layout, &recorded(), PageAllocRules::v5_10(), 1, 1);
    let blocks: Vec<u64> = (0..100).map(|_| memory.alloc_block(Order::MAX, M).unwrap().get()).collect();
    assert!(blocks.windows(2).all(|pair| pair[0] + 1024 == pair[1]), "{blocks:?}");
}

/// Takes every page, smallest blocks first, and sees that no frame comes twice and none is lost.
fn exhaust(mut memory: Memory) -> Vec<u64> {
    let all = memory.unused_pages();
    let mut frames = Vec::new();
    for zone in &mut memory.zones {
        (zone.marks.min, zone.marks.low, zone.marks.high, zone.marks.reserve) = (0, 0, 0, 0);
    }
    let kinds = [U, M, M, MigrateType::Reclaimable, M];
    for turn in 0.. {
        match memory.alloc_page(kinds[turn % kinds.len()]) {
            Ok(pfn) => frames.push(pfn.get()),
            Err(_) if memory.unused_pages() < 100 => break,
            Err(_) => memory.drain_pcp(),
        }
    }
    memory.check().unwrap();
    let distinct: BTreeSet<u64> = frames.iter().copied().collect();
    assert_eq!(distinct.len(), frames.len());
    assert!(all - frames.len() as u64 <= 100, "{all} {}", frames.len());
    frames
}

#[test]
fn aged_hosts_give_every_free_page_once() {
    for rules in [PageAllocRules::v5_10(), PageAllocRules::v6_12(), PageAllocRules::v7_2()] {
        let layout = MemoryLayout::server(Bytes::new(1 << 30), 1).unwrap();
        for aged in [
            Aged::month(),
            Aged { used: 300, scatter: 950, ..Aged::month() },
            Aged { used: 10, scatter: 0, ..Aged::month() },
        ] {
            let memory = memory_of(&layout, &StartState::Aged(aged), rules, 1, 3);
            memory.check().unwrap();
            exhaust(memory);
        }
    }
    let layout = MemoryLayout::q35(Bytes::new(4 << 30)).unwrap();
    exhaust(memory_of(&layout, &recorded(), PageAllocRules::v5_10(), 1, 1));
}

#[test]
fn aged_hosts_scatter_unmovable_pages() {
    let spread = |scatter| {
        let mut memory = server(64, StartState::Aged(Aged { scatter, ..Aged::month() }));
        let blocks: BTreeSet<u64> = (0..2000).map(|_| memory.alloc_page(U).unwrap().get() / 512).collect();
        memory.check().unwrap();
        blocks.len()
    };
    let (tidy, month, wild) = (spread(100), spread(600), spread(950));
    assert!(tidy < 50 && month > 200 && wild > month, "{tidy} {month} {wild}");
}

#[test]
fn a_month_looks_as_documented() {
    let memory = server(64, StartState::Aged(Aged::month()));
    let text = memory.buddyinfo();
    let normal = numbers(text.lines().last().unwrap());
    assert!((520_000..560_000).contains(&normal[0]), "{text}");
    assert!((15..35).contains(&normal[9]) && (4..12).contains(&normal[10]), "{text}");
}

#[test]
fn places_depend_on_seed_and_run_only() {
    let first = |seed| {
        let layout = MemoryLayout::server(Bytes::new(64 << 30), 1).unwrap();
        let mut memory = memory_of(&layout, &StartState::Aged(Aged::month()), PageAllocRules::v6_1(), 1, seed);
        let mut twin = memory.clone();
        let frames: Vec<Pfn> = (0..500).map(|_| memory.alloc_page(U).unwrap()).collect();
        assert!(frames.iter().all(|pfn| twin.alloc_page(U).unwrap() == *pfn));
        frames
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn stealing_on_an_aged_host_moves_its_share_of_free_blocks() {
    // No unmovable page is free, so each request takes from movable pageblocks.
    let aged = Aged { used: 800, unmovable: 0, reclaimable: 0, scatter: 700 };
    for rules in all_eras() {
        let layout = MemoryLayout::server(Bytes::new(8 << 30), 1).unwrap();
        let mut memory = memory_of(&layout, &StartState::Aged(aged), rules, 1, 1);
        for _ in 0..20_000 {
            memory.alloc_page(U).unwrap();
        }
        memory.check().unwrap();
    }
}

#[test]
fn counts_that_the_kernel_cuts_off_follow_from_the_rest() {
    let buddyinfo = "Node 0, zone   Normal 300000 10 0 0 0 0 0 0 0 0 0\n";
    let types = "Node    0, zone   Normal, type    Unmovable  20000 4 0 0 0 0 0 0 0 0 0\n\
                 Node    0, zone   Normal, type      Movable >100000 5 0 0 0 0 0 0 0 0 0\n\
                 Node    0, zone   Normal, type  Reclaimable  30000 1 0 0 0 0 0 0 0 0 0\n\
                 \nNumber of blocks type     Unmovable      Movable  Reclaimable\n\
                 Node 0, zone   Normal 900 6000 100\n";
    let start = StartState::Snapshot(Snapshot::parse(buddyinfo, Some(types)).unwrap());
    let layout = MemoryLayout::server(Bytes::new(16 << 30), 1).unwrap();
    let memory = memory_of(&layout, &start, PageAllocRules::v6_1(), 1, 1);
    let text = memory.pagetypeinfo();
    assert!(text.contains("type      Movable >100000      5 "), "{text}");
    assert_eq!(memory.free_pages(), 300_020);
}

#[test]
fn snapshot_errors_name_line_and_column() {
    let error = |buddyinfo: &str, types: Option<&str>| Snapshot::parse(buddyinfo, types).unwrap_err();
    assert_eq!(error("", None).problem, Problem::NoZones);
    let bad = error("Node 0, zone DMA 1 2 3 4 5 6 7 8 9 10 11\nNode 0, zone DMA32 1 2 x 4 5 6 7 8 9 10 11\n", None);
    assert_eq!((bad.text, bad.line, bad.column), (SnapshotText::Buddyinfo, 2, 24));
    assert!(bad.to_string().contains("found `x`"), "{bad}");
    assert_eq!(error("Node 0, zone Normal 1 2 3", None).problem, Problem::Orders { found: 3 });
    assert!(matches!(error("Node 0, zone Mobile 1", None).problem, Problem::Unexpected { .. }));
    let many = error("Node 0, zone Normal 1 2 18446744073709551615 0 0 0 0 0 0 0 9223372036854775808", None);
    assert_eq!((many.line, many.column), (1, 25));
    assert_eq!(many.problem, Problem::TooMany { found: u64::MAX });
    assert!(matches!(error("Node 0,", None).problem, Problem::EndOfLine { .. }));
    let types = error(BUDDYINFO, Some("Node 1, zone Normal, type Movable 1 2 3 4 5 6 7 8 9 10 11"));
    assert_eq!((types.text, types.problem), (SnapshotText::Pagetypeinfo, Problem::NotInBuddyinfo));
    let twice = error(BUDDYINFO, Some(BUDDYINFO));
    assert_eq!((twice.text, twice.problem), (SnapshotText::Pagetypeinfo, Problem::NoTypes));
    let line = "Node 0, zone DMA 1 2 3 4 5 6 7 8 9 10 11\n";
    assert_eq!(error(&line.repeat(2), None).problem, Problem::Twice);
}

#[test]
fn zones_without_memory_of_the_kernel_are_passed_over() {
    let line = |zone: &str| format!("Node 0, zone {zone} 1 2 3 4 5 6 7 8 9 10 11\n");
    let types = "Node 0, zone Normal, type Movable 1 2 3 4 5 6 7 8 9 10 11\n\
                 Node 0, zone Movable, type Movable 1 2 3 4 5 6 7 8 9 10 11\n\
                 Node 0, zone Device, type Movable 0 0 0 0 0 0 0 0 0 0 0\n";
    let with = Snapshot::parse(&(line("Normal") + &line("Movable")), Some(types)).unwrap();
    let without = Snapshot::parse(&line("Normal"), Some(types.lines().next().unwrap())).unwrap();
    assert_eq!(with, without);
    assert!(Snapshot::parse(&line("Movable"), None).is_err(), "nothing is left");
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let layout = MemoryLayout::q35(Bytes::new(1 << 30)).unwrap();
    let try_new = |start: &StartState, reserved: &[PfnRange]| {
        let rules = PageAllocRules::v6_1();
        Memory::new(&MemorySetup { layout: &layout, reserved, start, rules, cpus: 1, seed: 0, run: 0 }).map(|_| ())
    };
    assert!(matches!(try_new(&recorded(), &[]), Err(MemoryError::NoSuchZone { zone: "Normal", .. })));
    let huge = Snapshot::parse("Node 0, zone DMA32 0 0 0 0 0 0 0 0 0 0 999\n", None).unwrap();
    assert!(matches!(try_new(&StartState::Snapshot(huge), &[]), Err(MemoryError::NoRoom { .. })));
    let blocks = |count: u64| {
        let types = format!(
            "Node 0, zone DMA32, type Movable 1 0 0 0 0 0 0 0 0 0 0\nNumber of blocks type Unmovable Movable\n\
             Node 0, zone DMA32 {count} 100\n"
        );
        Snapshot::parse("Node 0, zone DMA32 1 0 0 0 0 0 0 0 0 0 0\n", Some(&types)).unwrap()
    };
    let told = |count| try_new(&StartState::Snapshot(blocks(count)), &[]);
    assert!(matches!(told(4_000_000_000), Err(MemoryError::TooManyPageblocks { told: 4_000_000_100, .. })));
    assert_eq!(told(450), Ok(()), "holes count as well in the kernel");
    let aged = Aged { used: 1001, ..Aged::month() };
    assert!(matches!(try_new(&StartState::Aged(aged), &[]), Err(MemoryError::Permille { what: "used", .. })));
    let all = [PfnRange::new(Pfn::new(0), Pfn::new(1 << 20))];
    assert!(matches!(try_new(&StartState::Fresh, &all), Err(MemoryError::NothingLeft { node: 0, .. })));
}

#[test]
fn a_fresh_guest_is_near_the_recorded_ones() {
    // Free pages by zone of 6.1 recordings; they have booted further, so they have less.
    let recorded: [(u64, &[u64]); 4] = [
        (1, &[3808, 235_276]),
        (2, &[3776, 492_779]),
        (4, &[3712, 493_169, 497_903]),
        (8, &[3584, 493_039, 1_528_370]),
    ];
    for (gib, zones) in recorded {
        let memory = guest(gib, PageAllocRules::v6_1());
        for (zone, recorded) in memory.zones.iter().zip(zones) {
            let free = zone.buddy.free_pages();
            let more = free as i64 - *recorded as i64;
            assert!((0..12_000).contains(&more), "{gib} GiB {}: {free}, recorded {recorded}", zone.class.name());
        }
    }
}
