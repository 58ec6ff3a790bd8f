//! What a CPU document must keep beyond the types of its fields.

use std::collections::BTreeSet;

use super::contract::{CpuDoc, Inclusion, Index, Kind, Level, Origin, Replacement, SCHEMA_VERSION, Structure, Ways};
use crate::json::{Complaint, JsonPath, choices_of};
use crate::units::PageSize;

/// Most structures of a core.
pub const MAX_STRUCTURES: usize = 32;
/// Most entries of a structure.
pub const MAX_ENTRIES: u32 = 1 << 20;
/// Most ways of a set under tree-PLRU: its bits are kept in one word.
pub const MAX_TREE_WAYS: u32 = 64;
/// Ways of a set under (MRU+1)%3 PLRU4.
pub const MRU3_WAYS: u32 = 12;
/// Most fields that an index combines.
pub const MAX_INDEX_FIELDS: usize = 8;
/// Most 4K pages that share an entry.
pub const MAX_COALESCED: u32 = 512;

/// One thing that is wrong, and where.
pub type Problem = (JsonPath, Complaint);

/// Everything that is wrong with a CPU whose types are right.
pub fn check(cpu: &CpuDoc) -> Vec<Problem> {
    let mut problems = Vec::new();
    let root = JsonPath::root();
    if cpu.schema_version != SCHEMA_VERSION {
        let message = format!("version {} of the CPU format is not known", cpu.schema_version);
        let help = format!("this fragsim reads version {SCHEMA_VERSION}");
        problems.push((root.clone().key("schema_version"), Complaint::new(message).help(help)));
    }
    if cpu.name.trim().is_empty() {
        problems.push((root.clone().key("name"), Complaint::new("the name is empty")));
    }
    let path = root.clone().key("structures");
    if cpu.structures.is_empty() || cpu.structures.len() > MAX_STRUCTURES {
        problems.push((path, Complaint::new(format!("a core has from 1 to {MAX_STRUCTURES} structures"))));
        return problems;
    }
    let mut names = BTreeSet::new();
    for (index, structure) in cpu.structures.iter().enumerate() {
        let path = path.clone().index(index);
        if !names.insert(structure.name.as_str()) {
            let message = format!("two structures are called `{}`", structure.name);
            problems.push((path.clone().key("name"), Complaint::new(message).help("give each a name of its own")));
        }
        check_structure(structure, &path, &mut problems);
        check_origins(cpu, &structure.from, &path.key("from"), &mut problems);
    }
    check_sizes(cpu, &path, &mut problems);
    check_links(cpu, &root.clone().key("links"), &mut problems);
    let walk = root.key("walk");
    if cpu.walk.walkers == 0 || cpu.walk.walkers > 64 {
        problems.push((walk.clone().key("walkers"), Complaint::new("a core has from 1 to 64 page walkers")));
    }
    check_origins(cpu, &cpu.walk.from, &walk.key("from"), &mut problems);
    problems
}

fn check_structure(structure: &Structure, path: &JsonPath, problems: &mut Vec<Problem>) {
    let mut complain = |key: &str, complaint: Complaint| problems.push((path.clone().key(key), complaint));
    if structure.name.trim().is_empty() {
        complain("name", Complaint::new("the name is empty"));
    }
    if structure.serves.is_empty() {
        let help = "name some of \"load\", \"store\" and \"fetch\"";
        complain("serves", Complaint::new("the structure serves no accesses").help(help));
    }
    for kind in Kind::ALL {
        if structure.serves.iter().filter(|served| **served == kind).count() > 1 {
            complain("serves", Complaint::new(format!("\"{}\" is named twice", kind.name())));
        }
    }
    if structure.pages.is_empty() {
        let help = "name some of \"4K\", \"2M\" and \"1G\"";
        complain("pages", Complaint::new("the structure holds no pages").help(help));
    }
    for size in PageSize::ALL {
        if structure.pages.iter().filter(|held| held.page() == size).count() > 1 {
            let complaint = Complaint::new(format!("pages of {size} are named twice"));
            complain("pages", complaint.help("a structure holds a page size in one way only"));
        }
    }
    let coalesced = structure.coalesced_4k_pages;
    if !coalesced.is_power_of_two() || coalesced > MAX_COALESCED {
        let complaint = Complaint::new(format!("{coalesced} pages cannot share an entry"));
        complain("coalesced_4k_pages", complaint.help(format!("write a power of two from 1 to {MAX_COALESCED}")));
    }
    if structure.entries == 0 || structure.entries > MAX_ENTRIES {
        let help = format!("write from 1 to {MAX_ENTRIES}, or leave the structure out");
        complain("entries", Complaint::new(format!("a TLB cannot have {} entries", structure.entries)).help(help));
        return;
    }
    match sets(structure) {
        Err(complaint) => complain("ways", complaint),
        Ok((sets, ways)) => {
            check_index(&structure.index, sets).unwrap_or_else(|complaint| complain("index", complaint));
            check_ways(structure.replacement, ways).unwrap_or_else(|complaint| complain("replacement", complaint));
        }
    }
}

/// The sets and ways of a structure.
pub fn sets(structure: &Structure) -> Result<(u32, u32), Complaint> {
    let entries = structure.entries;
    match structure.ways {
        Ways::Full => Ok((1, entries)),
        Ways::Some(0) => Err(Complaint::new("a set has at least 1 way").help("write \"full\" for a single set")),
        Ways::Some(ways) if !entries.is_multiple_of(ways) => {
            let near =
                (1..=entries).filter(|ways| entries.is_multiple_of(*ways)).min_by_key(|near| near.abs_diff(ways));
            let complaint = Complaint::new(format!("{ways} ways do not divide {entries} entries"));
            Err(complaint.help(format!("the nearest that does is {}", near.unwrap_or(1))))
        }
        Ways::Some(ways) => Ok((entries / ways, ways)),
    }
}

fn check_index(index: &Index, sets: u32) -> Result<(), Complaint> {
    let Index::Xor(widths) = index else { return Ok(()) };
    if !sets.is_power_of_two() || sets == 1 {
        let complaint = Complaint::new(format!("{sets} sets cannot be selected by exclusive or"));
        return Err(complaint.help("only 2, 4, 8, ... sets can; use \"linear\""));
    }
    let bits = sets.trailing_zeros();
    if widths.first() != Some(&bits) {
        let complaint = Complaint::new(format!("the first field selects one of {sets} sets"));
        return Err(complaint.help(format!("write {{\"xor\": [{bits}, {bits}]}}")));
    }
    if widths.len() > MAX_INDEX_FIELDS || widths.iter().any(|&width| width == 0 || width > bits) {
        let message = format!("there are at most {MAX_INDEX_FIELDS} fields, of 1 to {bits} bits each");
        return Err(Complaint::new(message));
    }
    Ok(())
}

fn check_ways(replacement: Replacement, ways: u32) -> Result<(), Complaint> {
    match replacement {
        Replacement::TreePlru if !ways.is_power_of_two() || ways > MAX_TREE_WAYS => {
            let complaint = Complaint::new(format!("tree_plru cannot order {ways} ways"));
            Err(complaint.help(format!("its ways are a power of two up to {MAX_TREE_WAYS}; use \"lru\"")))
        }
        Replacement::Mru3Plru4 if ways != MRU3_WAYS => {
            let complaint = Complaint::new(format!("mru3_plru4 orders {MRU3_WAYS} ways, not {ways}"));
            Err(complaint.help("use \"lru\" or \"tree_plru\""))
        }
        _ => Ok(()),
    }
}

/// Every page size has to be held by some structure, for every kind of access that the core has at all.
fn check_sizes(cpu: &CpuDoc, path: &JsonPath, problems: &mut Vec<Problem>) {
    let serves = |structure: &&Structure, kind: Kind| structure.serves.contains(&kind);
    for kind in Kind::ALL {
        let of_kind: Vec<&Structure> = cpu.structures.iter().filter(|structure| serves(structure, kind)).collect();
        if of_kind.is_empty() {
            continue;
        }
        for size in PageSize::ALL {
            if !of_kind.iter().any(|structure| structure.pages.iter().any(|held| held.page() == size)) {
                let message = format!("no structure holds pages of {size} for a {}", kind.name());
                let piece = if size == PageSize::Size1G { ", or in pieces as \"1G-as-2M\"" } else { "" };
                let help = format!("add \"{size}\" to the `pages` of a structure that serves it{piece}");
                problems.push((path.clone(), Complaint::new(message).help(help)));
            }
        }
    }
}

/// Levels that hand entries to each other must hold pages in the same pieces.
fn check_links(cpu: &CpuDoc, path: &JsonPath, problems: &mut Vec<Problem>) {
    if cpu.links.inclusion == Inclusion::Independent {
        return;
    }
    let at = |level: Level| cpu.structures.iter().filter(move |structure| structure.level == level);
    let piece = |structure: &Structure, size: PageSize| {
        let held = structure.pages.iter().find(|held| held.page() == size)?;
        Some((held.piece(), if size == PageSize::Size4K { structure.coalesced_4k_pages } else { 1 }))
    };
    for size in PageSize::ALL {
        for (first, second) in at(Level::First).flat_map(|first| at(Level::Second).map(move |second| (first, second))) {
            if let (Some(one), Some(other)) = (piece(first, size), piece(second, size))
                && one != other
            {
                let message =
                    format!("`{}` and `{}` hold pages of {size} in different pieces", first.name, second.name);
                let help = "levels that are inclusive or exclusive need the same pieces; use \"independent\"";
                problems.push((path.clone().key("inclusion"), Complaint::new(message).help(help)));
            }
        }
    }
}

fn check_origins(cpu: &CpuDoc, origins: &[Origin], path: &JsonPath, problems: &mut Vec<Problem>) {
    for (index, origin) in origins.iter().enumerate() {
        if !cpu.sources.contains_key(&origin.source) {
            let mut complaint = Complaint::new(format!("`sources` has no `{}`", origin.source));
            complaint.help = choices_of(&origin.source, cpu.sources.keys().map(String::as_str));
            problems.push((path.clone().index(index).key("source"), complaint));
        }
    }
}
