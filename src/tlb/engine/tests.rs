use proptest::prelude::*;
use serde_json::{Value, json};

use super::reference::Reference;
use super::*;
use crate::tlb::cpu::{Kind, preset_names};
use crate::tlb::leaves::LeafMapBuilder;

/// The first GiB whole, the second in pages of 2M but for every third, which is split, the rest 4K.
fn mixed() -> LeafMap {
    let mut builder = LeafMapBuilder::new();
    builder.map(0, 4 << 30, PageSize::Size1G).unwrap();
    for block in 0..1024u64 {
        let size = if block % 3 == 0 { PageSize::Size4K } else { PageSize::Size2M };
        builder.map((4 << 30) + (block << 21), 2 << 20, size).unwrap();
    }
    builder.map_rest(PageSize::Size4K);
    builder.build()
}

#[derive(Clone, Debug)]
enum Event {
    Access(Access),
    Flush,
    FlushPage(u64),
}

/// Addresses that meet again often enough to hit, in every kind of page.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0u64..12).prop_map(|gib| gib << 29),
        (0u64..48, 0u64..40).prop_map(|(block, page)| (4 << 30) + (block << 21) + (page << 12)),
        (0u64..3000).prop_map(|page| (4 << 30) + (page << 12)),
        (0u64..1000).prop_map(|page| (7 << 30) + (page << 13)),
        any::<u64>(),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let access = (address(), 0usize..3).prop_map(|(address, kind)| Event::Access(Access::at(address, Kind::ALL[kind])));
    prop_oneof![
        400 => access,
        1 => Just(Event::Flush),
        4 => (0u64..3000).prop_map(|page| Event::FlushPage((4 << 30) + (page << 12))),
    ]
}

/// Both engines count the same on the same events.
fn agree(cpu: &Cpu, host: Host, events: &[Event]) {
    let leaves = mixed();
    let mut fast = Simulator::new(cpu, host, 7);
    let mut slow = Reference::new(cpu, host, 7);
    let mut pending = Vec::new();
    for event in events {
        match event {
            Event::Access(access) => {
                pending.push(*access);
                slow.access(&leaves, *access);
                continue;
            }
            Event::Flush => slow.flush(),
            Event::FlushPage(address) => slow.flush_page(&leaves, Access::load(*address)),
        }
        fast.run(&leaves, &pending);
        pending.clear();
        match event {
            Event::FlushPage(address) => fast.flush_page(&leaves, Access::load(*address)),
            _ => fast.flush(),
        }
    }
    fast.run(&leaves, &pending);
    let counts = fast.counts();
    for ((hits, misses), structure) in slow.lookups().iter().zip(&counts.structures) {
        let by_size = structure.by_size;
        assert_eq!(*hits, by_size.map(|tally| tally.hits), "{} {}", cpu.doc().name, structure.name);
        assert_eq!(*misses, by_size.map(|tally| tally.misses), "{} {}", cpu.doc().name, structure.name);
    }
    assert_eq!(counts.total_accesses(), slow.accesses);
    assert_eq!(counts.total_first_level_misses(), slow.first_misses);
    let walks = PageSize::ALL.map(|size| Kind::ALL.iter().map(|kind| counts.walks(*kind, size)).sum::<u64>());
    assert_eq!(walks, slow.walks);
}

/// A core with small structures, so that short lists fill them.
fn small(first: &Value, second: &Value, links: &Value) -> Option<Cpu> {
    let structure = |name: &str, level: u8, pages: Value, shape: &Value| {
        let mut structure = shape.clone();
        structure["name"] = json!(name);
        structure["level"] = json!(level);
        structure["pages"] = pages;
        structure
    };
    let all = json!(["4K", "2M", "1G"]);
    let doc = json!({
        "name": "small",
        "structures": [structure("first", 1, all.clone(), first), structure("second", 2, all, second)],
        "links": links
    });
    Cpu::from_value(&doc).ok()
}

fn shape() -> impl Strategy<Value = Value> {
    let ways = prop_oneof![1u32..=20, Just(12), Just(16), Just(32), Just(64), Just(100)];
    let policy = prop::sample::select(vec!["lru", "lru", "tree_plru", "mru3_plru4", "random"]);
    (ways, 1u32..=9, policy, any::<bool>()).prop_map(|(ways, sets, policy, xor)| {
        let ways = match policy {
            "tree_plru" => ways.next_power_of_two().min(64),
            "mru3_plru4" => 12,
            _ => ways,
        };
        let bits = sets.trailing_zeros();
        let index =
            if xor && sets.is_power_of_two() && sets > 1 { json!({"xor": [bits, bits, 1]}) } else { json!("linear") };
        json!({"entries": ways * sets, "ways": ways, "replacement": policy, "index": index})
    })
}

fn links() -> impl Strategy<Value = Value> {
    let inclusion = prop::sample::select(vec!["independent", "inclusive", "exclusive"]);
    let second = prop::sample::select(vec!["refills_first", "leaves_first"]);
    let first = prop::sample::select(vec!["leaves_second", "touches_second"]);
    (inclusion, second, first).prop_map(|(inclusion, second, first)| {
        json!({"inclusion": inclusion, "second_level_hit": second, "first_level_hit": first})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn small_structures_of_every_policy_agree_with_lists(
        first in shape(), second in shape(), events in prop::collection::vec(event(), 1..1500)
    ) {
        let cpu = small(&first, &second, &json!({})).unwrap();
        agree(&cpu, Host::Native, &events);
    }

    #[test]
    fn linked_levels_agree_with_lists(
        first in shape(), second in shape(), links in links(), events in prop::collection::vec(event(), 1..1000)
    ) {
        let cpu = small(&first, &second, &links).unwrap();
        agree(&cpu, Host::Native, &events);
    }

    #[test]
    fn presets_agree_with_lists(
        at in 0..preset_names().count(),
        host in prop::sample::select(vec![Host::Native, Host::Pages(PageSize::Size2M), Host::Pages(PageSize::Size4K)]),
        events in prop::collection::vec(event(), 1..3000)
    ) {
        let cpu = Cpu::named(preset_names().nth(at).unwrap()).unwrap();
        agree(&cpu, host, &events);
    }
}

/// Many accesses of every kind, to pages of which some are used more often.
fn skewed_events() -> Vec<Event> {
    let stream = &mut Stream::new(3, Component::Accesses, 0);
    let mut event = || {
        let page = stream.below(80) * stream.below(100);
        let address = (4 << 30) + (page << 12) + (stream.below(3) << 31);
        Event::Access(Access::at(address, Kind::ALL[stream.below(3) as usize]))
    };
    (0..20_000).map(|_| event()).collect()
}

#[test]
fn every_preset_agrees_with_lists_beyond_its_reach() {
    let events = skewed_events();
    for name in preset_names() {
        agree(&Cpu::named(name).unwrap(), Host::Native, &events);
    }
}

#[test]
fn pages_that_stand_in_one_of_several_structures_agree_with_lists() {
    let events = skewed_events();
    let banks = |level: u32, (count, ways): (u32, u32)| {
        (0..count).map(move |at| {
            let pages = if at == 0 { json!(["4K", "2M", "1G"]) } else { json!(["4K", "1G"]) };
            json!({"name": format!("{level}, bank {at}"), "level": level, "entries": (8 * level * ways) << at,
                   "ways": ways, "pages": pages, "coalesced_4k_pages": 1 << (at % 2 * 2)})
        })
    };
    // Four ways are rows of one table, twelve are not; more than two banks are not looked up without lists.
    for (first, second) in
        [((1, 4), (1, 4)), ((1, 12), (2, 4)), ((1, 4), (3, 4)), ((2, 4), (2, 4)), ((2, 4), (2, 12)), ((2, 12), (4, 4))]
    {
        let structures: Vec<Value> = banks(1, first).chain(banks(2, second)).collect();
        let cpu = Cpu::from_value(&json!({"name": "banks", "structures": structures})).unwrap();
        agree(&cpu, Host::Native, &events);
    }
}

#[test]
fn more_entries_never_miss_more_under_full_lru() {
    let stream = &mut Stream::new(5, Component::Accesses, 0);
    let leaves = mixed();
    let accesses: Vec<Access> =
        (0..30_000).map(|_| Access::load((4 << 30) + ((stream.below(60) * stream.below(60)) << 12))).collect();
    let mut last = u64::MAX;
    for entries in [1, 2, 5, 8, 9, 16, 17, 40, 64, 65, 300, 2000] {
        let shape = json!({"entries": entries, "ways": "full"});
        let mut simulator = Simulator::new(&small(&shape, &shape, &json!({})).unwrap(), Host::Native, 1);
        simulator.run(&leaves, &accesses);
        let misses = simulator.counts().total_first_level_misses();
        assert!(misses <= last, "{entries} entries miss {misses} times, fewer entries {last} times");
        last = misses;
    }
}

#[test]
fn larger_pages_never_miss_more_where_sizes_share_entries() {
    let stream = &mut Stream::new(6, Component::Accesses, 0);
    let accesses: Vec<Access> =
        (0..30_000).map(|_| Access::load((stream.below(40) * stream.below(1 << 20)) << 12)).collect();
    let mut last = 0;
    for size in PageSize::ALL.into_iter().rev() {
        let shape = json!({"entries": 64, "ways": "full"});
        let mut simulator = Simulator::new(&small(&shape, &shape, &json!({})).unwrap(), Host::Native, 1);
        simulator.run(&LeafMap::uniform(size), &accesses);
        let misses = simulator.counts().total_first_level_misses();
        assert!(misses >= last, "{size}: {misses}");
        last = misses;
    }
}

#[test]
fn a_flush_makes_everything_miss_again() {
    let mut simulator = Simulator::new(&Cpu::named("zen4").unwrap(), Host::Native, 1);
    let leaves = LeafMap::uniform(PageSize::Size2M);
    let accesses = [Access::load(0), Access::load(2 << 20), Access::load(0)];
    simulator.run(&leaves, &accesses);
    assert_eq!(simulator.counts().total_walks(), 2);
    simulator.flush();
    simulator.run(&leaves, &accesses);
    simulator.flush_page(&leaves, Access::load(5));
    simulator.run(&leaves, &accesses);
    let counts = simulator.counts();
    assert_eq!((counts.total_walks(), counts.flushes, counts.page_flushes), (5, 1, 1));
}

/// The list on which the independent simulators were run: products of two linear congruential numbers.
fn oracle_pages(count: usize, pages: u64) -> Vec<Access> {
    let mut state = 1u64;
    let mut next = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        (state >> 8) % pages
    };
    (0..count).map(|_| next() * next() / pages).map(|page| Access::load(page << 12)).collect()
}

/// Counts of pycachesim 0.3.1 with lines of 4096 bytes; `scripts/tlb-oracles.py` runs it and others again.
#[test]
fn two_levels_count_as_pycachesim_does() {
    for (first, second, pages, counts) in [
        ((64, 4), (1536, 12), 6000, [(441, 19_559), (8_114, 11_445)]),
        ((16, 16), (1024, 8), 3000, [(227, 19_773), (10_700, 9_073)]),
        ((96, 6), (2048, 16), 8000, [(476, 19_524), (7_978, 11_546)]),
    ] {
        let shape = |(entries, ways): (u32, u32)| json!({"entries": entries, "ways": ways});
        let cpu = small(&shape(first), &shape(second), &json!({})).unwrap();
        let mut simulator = Simulator::new(&cpu, Host::Native, 1);
        simulator.run(&LeafMap::uniform(PageSize::Size4K), &oracle_pages(20_000, pages));
        let found = |at: usize| {
            let tally = simulator.counts().structures[at].by_size[0];
            (tally.hits, tally.misses)
        };
        assert_eq!([found(0), found(1)], counts, "{first:?} and {second:?}");
    }
}

/// Misses of libcachesim 0.3.5, fully associative LRU.
#[test]
fn one_set_counts_as_libcachesim_does() {
    for (entries, pages, misses) in [(64, 500, 15_099), (100, 900, 15_834)] {
        let shape = json!({"entries": entries, "ways": "full"});
        let mut simulator = Simulator::new(&small(&shape, &shape, &json!({})).unwrap(), Host::Native, 1);
        simulator.run(&LeafMap::uniform(PageSize::Size4K), &oracle_pages(20_000, pages));
        assert_eq!(simulator.counts().total_first_level_misses(), misses);
    }
}
