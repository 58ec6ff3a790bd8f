use serde_json::json;

use super::*;
use crate::units::PageSize;

#[test]
fn every_preset_is_right_and_says_where_its_figures_are_from() {
    assert_eq!(preset_names().count(), 21);
    for name in preset_names() {
        let cpu = Cpu::named(name).unwrap();
        assert_eq!(cpu.doc().name, name);
        assert!(!cpu.doc().title.is_empty());
        for structure in &cpu.doc().structures {
            let figures: Vec<&str> = structure.from.iter().map(|origin| origin.figure.as_str()).collect();
            assert!(figures.contains(&"entries") && figures.contains(&"replacement"), "{name}: {}", structure.name);
        }
        let sources: Vec<&String> = cpu.doc().sources.keys().collect();
        let used = |source: &str| {
            let structures = cpu.doc().structures.iter().flat_map(|structure| &structure.from);
            structures.chain(&cpu.doc().walk.from).any(|origin| origin.source == source)
        };
        assert!(sources.iter().all(|source| used(source)), "{name} has a source that nothing is from");
    }
}

#[test]
fn geometry_of_known_cores() {
    let find = |cpu: &str, structure: &str| {
        let cpu = Cpu::named(cpu).unwrap();
        cpu.doc().structures.iter().find(|found| found.name == structure).unwrap().clone()
    };
    let stlb = find("skylake-sp", "L2 4K+2M");
    assert_eq!((stlb.entries, stlb.sets_and_ways()), (1536, (128, 12)));
    assert_eq!((stlb.index, stlb.replacement), (Index::Xor(vec![7, 7]), Replacement::Mru3Plru4));
    assert_eq!(find("zen4", "L2D").sets_and_ways(), (128, 24));
    assert_eq!(find("zen4", "L1D").coalesced_4k_pages, 4);
    assert_eq!(find("neoverse-n1", "L2").sets_and_ways(), (256, 5));
    assert!(find("zen2", "L2D").pages.contains(&HeldPage::Pieces1G2M));
}

#[test]
fn an_unknown_name_gets_a_suggestion() {
    let complaint = Cpu::named("icelake-ps").unwrap_err();
    assert_eq!(complaint.message, "there is no CPU `icelake-ps`");
    assert_eq!(complaint.help.as_deref(), Some("did you mean `icelake-sp`?"));
}

/// A core with one structure.
fn small() -> Value {
    json!({
        "name": "small",
        "structures": [{ "name": "T", "level": 1, "pages": ["4K", "2M", "1G"], "entries": 12, "ways": 4 }]
    })
}

#[test]
fn a_short_description_is_enough() {
    let cpu = Cpu::from_value(&small()).unwrap();
    let structure = &cpu.doc().structures[0];
    assert_eq!((structure.sets_and_ways(), structure.serves.len()), ((3, 4), 3));
    assert_eq!((cpu.doc().walk.walkers, cpu.doc().walk.second_level_hit_cycles), (1, 7));
    let written = serde_json::to_value(cpu.doc()).unwrap();
    assert_eq!(Cpu::from_value(&written).unwrap(), cpu);
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    for (pointer, value, place, message) in [
        ("/structures/0/ways", json!(5), "structures[0].ways", "5 ways do not divide 12 entries"),
        ("/structures/0/ways", json!(0), "structures[0].ways", "a set has at least 1 way"),
        (
            "/structures/0/ways",
            json!("all"),
            "structures[0].ways",
            "expected a number of ways or \"full\", found the text",
        ),
        ("/structures/0/entries", json!(0), "structures[0].entries", "a TLB cannot have 0 entries"),
        ("/structures/0/level", json!(3), "structures[0].level", "there is no level 3"),
        ("/structures/0/pages", json!(["4K", "2M"]), "structures", "no structure holds pages of 1G for a load"),
        (
            "/structures/0/pages",
            json!(["4K", "1G-as-2M", "1G", "2M"]),
            "structures[0].pages",
            "pages of 1G are named twice",
        ),
        ("/structures/0/pages", json!(["16K"]), "structures[0].pages[0]", "unknown name `16K`"),
        ("/structures/0/replacement", json!("mru3_plru4"), "structures[0].replacement", "orders 12 ways, not 4"),
        ("/structures/0/index", json!({"xor": [2]}), "structures[0].index", "3 sets cannot be selected"),
        ("/structures/0/serves", json!(["load", "load"]), "structures[0].serves", "\"load\" is named twice"),
        ("/structures/0/coalesced_4k_pages", json!(3), "structures[0].coalesced_4k_pages", "3 pages cannot share"),
        (
            "/structures/0/from",
            json!([{"figure": "entries", "source": "x", "confidence": "low"}]),
            "structures[0].from[0].source",
            "`sources` has no `x`",
        ),
        ("/structures", json!([]), "structures", "a core has from 1 to"),
        ("/walk", json!({"walkers": 0}), "walk.walkers", "from 1 to 64 page walkers"),
        ("/schema_version", json!(2), "schema_version", "version 2 of the CPU format"),
    ] {
        let mut value_of = small();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        value_of.pointer_mut(parent).unwrap()[key] = value;
        let problems = Cpu::from_value(&value_of).unwrap_err();
        let told =
            problems.iter().any(|(path, complaint)| path.to_string() == place && complaint.message.contains(message));
        assert!(told, "{pointer}: {problems:?}");
    }
}

#[test]
fn indices_and_trees_fit_their_sets() {
    let mut value = small();
    value["structures"][0]["entries"] = json!(16);
    for (key, wanted, right) in [
        ("index", json!({"xor": [2, 2]}), true),
        ("index", json!({"xor": [2, 1, 2]}), true),
        ("index", json!({"xor": [1, 2]}), false),
        ("index", json!({"xor": [2, 3]}), false),
        ("index", json!({"xor": []}), false),
        ("replacement", json!("tree_plru"), true),
    ] {
        let mut value = value.clone();
        value["structures"][0][key] = wanted.clone();
        assert_eq!(Cpu::from_value(&value).is_ok(), right, "{wanted}");
    }
}

#[test]
fn linked_levels_need_the_same_pieces() {
    let structure = |level: u8, pages: Value| json!({"name": level.to_string(), "level": level, "pages": pages, "entries": 4, "ways": "full"});
    let mut value = json!({
        "name": "linked",
        "structures": [structure(1, json!(["4K", "2M", "1G-as-2M"])), structure(2, json!(["4K", "2M", "1G"]))],
        "links": {"inclusion": "exclusive"}
    });
    let problems = Cpu::from_value(&value).unwrap_err();
    assert_eq!(problems[0].0.to_string(), "links.inclusion");
    value["structures"][1]["pages"][2] = json!("1G-as-2M");
    assert_eq!(Cpu::from_value(&value).unwrap().doc().links.inclusion, Inclusion::Exclusive);
}

#[test]
fn a_held_page_is_no_smaller_than_its_pieces() {
    for name in preset_names() {
        for structure in &Cpu::named(name).unwrap().doc().structures {
            assert!(structure.pages.iter().all(|held| held.piece() <= held.page()));
            assert!(structure.pages.iter().all(|held| PageSize::ALL.contains(&held.page())));
        }
    }
}
