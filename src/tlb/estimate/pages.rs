//! Pages as the structures take them: a page of 1G whole, or block by block where it is kept in pieces.

use super::demand::{Demand, PageGroup, Sweep};
use crate::tlb::access::Host;
use crate::tlb::cpu::{Cpu, HeldPage, Kind, Level, Structure};
use crate::units::PageSize;

/// Pages, or the blocks inside pages of 1G, that are used alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub region: usize,
    /// The size of the page.
    pub size: PageSize,
    /// Whether these are the blocks inside the pages, which are in other groups too.
    pub inside: bool,
    pub pages: f64,
    pub rates: [f64; 3],
}

impl Group {
    /// How many of these pages an entry of the structure holds; `None` if it takes the other groups of the size.
    pub fn per_entry(&self, structure: &Structure, has_inside: bool) -> Option<f64> {
        let held: HeldPage = *structure.pages.iter().find(|held| held.page() == self.size)?;
        let in_pieces = self.size == PageSize::Size1G && held.piece() != PageSize::Size1G;
        if self.inside != (in_pieces && has_inside) {
            return None;
        }
        let page = if self.inside { PageSize::Size2M } else { self.size };
        Some(coalesced(structure, self.size) * held.piece().pages() as f64 / page.pages() as f64)
    }
}

/// How many pages of a size share an entry.
fn coalesced(structure: &Structure, size: PageSize) -> f64 {
    if size == PageSize::Size4K { f64::from(structure.coalesced_4k_pages) } else { 1.0 }
}

/// How many pages of a size an entry of a structure holds.
pub(super) fn pages_per_entry(structure: &Structure, size: PageSize) -> Option<f64> {
    let held = structure.pages.iter().find(|held| held.page() == size)?;
    Some(coalesced(structure, size) * held.piece().pages() as f64 / size.pages() as f64)
}

/// How many accesses of a sweep one entry serves.
pub(super) fn accesses_per_entry(sweep: &Sweep, per_entry: f64) -> f64 {
    (sweep.accesses_per_4k * sweep.size.pages() as f64 * per_entry).max(1.0)
}

/// A demand as the TLB has it: pages are no larger than the host's.
pub(super) struct Seen {
    pub groups: Vec<Group>,
    pub sweeps: Vec<Sweep>,
    pub regions: usize,
    pub has_inside: bool,
}

impl Seen {
    pub fn new(host: Host, demand: &Demand) -> Self {
        let cut = |group: &PageGroup, inside: bool| {
            let page = if inside { PageSize::Size1G } else { group.size };
            let size = host.entry_size(page);
            // Blocks inside a page of 1G are pages themselves where the host cuts it down.
            let inside = inside && size == PageSize::Size1G;
            let unit = if inside { PageSize::Size2M } else { size };
            let pieces = (group.size.pages() / unit.pages().min(group.size.pages())) as f64;
            let rates = group.rates.map(|rate| rate / pieces);
            Group { region: group.region, size, inside, pages: group.pages * pieces, rates }
        };
        let is_cut = host.entry_size(PageSize::Size1G) != PageSize::Size1G && !demand.inside_1g.is_empty();
        let whole = demand.groups.iter().filter(|group| !(is_cut && group.size == PageSize::Size1G));
        let mut groups: Vec<Group> = whole.map(|group| cut(group, false)).collect();
        groups.extend(demand.inside_1g.iter().map(|group| cut(group, true)));
        groups.sort_by_key(|group| (group.region, group.size, group.inside));
        let has_inside = groups.iter().any(|group| group.inside);
        let mut sweeps = demand.sweeps.clone();
        sweeps.iter_mut().for_each(|sweep| sweep.size = host.entry_size(sweep.size));
        Self { groups, sweeps, regions: demand.regions.len(), has_inside }
    }
}

/// The structures of a level that hold a size for a kind, each with its share of the pages.
pub(super) struct Homes(Vec<Vec<(usize, f64)>>);

impl Homes {
    pub fn of(cpu: &Cpu) -> Self {
        let mut homes = Vec::new();
        for level in [Level::First, Level::Second] {
            for kind in Kind::ALL {
                for size in PageSize::ALL {
                    let holds = |structure: &Structure| structure.pages.iter().any(|held| held.page() == size);
                    let holding = cpu.structures(level, kind).filter(|(_, structure)| holds(structure));
                    let all: Vec<(usize, f64)> = holding.map(|(at, found)| (at, f64::from(found.entries))).collect();
                    let total: f64 = all.iter().map(|(_, entries)| entries).sum();
                    homes.push(all.into_iter().map(|(at, entries)| (at, entries / total)).collect());
                }
            }
        }
        Self(homes)
    }

    pub fn get(&self, level: Level, kind: Kind, size: PageSize) -> &[(usize, f64)] {
        let level = usize::from(level == Level::Second);
        &self.0[(level * 3 + kind.index()) * 3 + size as usize]
    }

    /// Which part of the pages of a size a structure holds for a kind.
    pub fn share(&self, at: usize, level: Level, kind: Kind, size: PageSize) -> f64 {
        self.get(level, kind, size).iter().find(|(home, _)| *home == at).map_or(0.0, |(_, share)| *share)
    }
}
