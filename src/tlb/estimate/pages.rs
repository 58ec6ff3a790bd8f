//! Pages as the structures take them: a page of 1G whole, or block by block where it is kept in pieces.

use super::demand::{Demand, Gib, PageGroup, Sweep};
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
    /// Which of the demand's groups this is, of those inside pages of 1G if it lies inside.
    origin: usize,
    from_inside: bool,
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

/// The size of an entry of a structure for a page of a size.
pub(super) fn piece(structure: &Structure, size: PageSize) -> Option<PageSize> {
    structure.pages.iter().find(|held| held.page() == size).map(|held| held.piece())
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

/// The part of a sweep that goes over pages of one size.
#[derive(Clone, Debug)]
pub(super) struct SweptPages {
    stream: usize,
    pub size: PageSize,
    /// Of all accesses, by kind.
    pub shares: [f64; 3],
    /// How many accesses of every kind follow each other in 4 KiB.
    accesses_per_4k: f64,
    /// How much of the time the sweep is at these pages.
    pub chance: f64,
}

impl SweptPages {
    /// The sweeps of a demand, each with all its kinds.
    fn of(host: Host, demand: &Demand) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for Sweep { stream, kind, size, share, accesses_per_4k } in &demand.sweeps {
            let size = host.entry_size(*size);
            let at = all.iter().position(|one| one.stream == *stream && one.size == size).unwrap_or_else(|| {
                all.push(Self { stream: *stream, size, shares: [0.0; 3], accesses_per_4k: 0.0, chance: 1.0 });
                all.len() - 1
            });
            // Pages of several sizes may have become some of one; then they are all used alike.
            if all[at].shares[kind.index()] == 0.0 {
                all[at].accesses_per_4k += accesses_per_4k;
            }
            all[at].shares[kind.index()] += share;
        }
        let total = |stream: usize| -> f64 {
            let of_stream = demand.sweeps.iter().filter(|sweep| sweep.stream == stream);
            of_stream.map(|sweep| sweep.share).sum()
        };
        all.iter_mut().for_each(|pages| pages.chance = pages.all() / total(pages.stream));
        all
    }

    fn all(&self) -> f64 {
        self.shares.iter().sum()
    }

    /// Its share of all accesses in a structure.
    pub fn served(&self, structure: &Structure) -> f64 {
        structure.serves.iter().map(|kind| self.shares[kind.index()]).sum()
    }

    /// How many accesses in a structure one entry serves; `None` if it holds no such pages or none of the kinds.
    pub fn accesses_per_entry(&self, structure: &Structure) -> Option<f64> {
        let entry = pages_per_entry(structure, self.size)?;
        let served = self.served(structure) / self.all();
        let all = self.accesses_per_4k * served * self.size.pages() as f64 * entry;
        (served > 0.0).then_some(all.max(1.0))
    }
}

/// A demand as the TLB has it: pages are no larger than the host's.
pub(super) struct Seen {
    pub groups: Vec<Group>,
    pub sweeps: Vec<SweptPages>,
    pub regions: usize,
    pub has_inside: bool,
    /// The pages of 1G, by the groups of this.
    pub gibs: Vec<Gib>,
}

impl Seen {
    fn gibs(whole: &[usize], inside: &[usize], demand: &Demand) -> Vec<Gib> {
        let of = |gib: &Gib| Gib {
            number: gib.number,
            group: whole[gib.group],
            inside: gib.inside.iter().map(|(group, blocks)| (inside[*group], *blocks)).collect(),
        };
        demand.gibs.iter().map(of).collect()
    }

    pub fn new(host: Host, demand: &Demand) -> Self {
        let cut = |(origin, group): (usize, &PageGroup), inside: bool| {
            let from_inside = inside;
            let page = if inside { PageSize::Size1G } else { group.size };
            let size = host.entry_size(page);
            // Blocks inside a page of 1G are pages themselves where the host cuts it down.
            let inside = inside && size == PageSize::Size1G;
            let unit = if inside { PageSize::Size2M } else { size };
            let pieces = (group.size.pages() / unit.pages().min(group.size.pages())) as f64;
            let rates = group.rates.map(|rate| rate / pieces);
            Group { region: group.region, size, inside, pages: group.pages * pieces, rates, origin, from_inside }
        };
        let is_cut = host.entry_size(PageSize::Size1G) != PageSize::Size1G && !demand.inside_1g.is_empty();
        let whole = demand.groups.iter().enumerate().filter(|(_, group)| !(is_cut && group.size == PageSize::Size1G));
        let mut groups: Vec<Group> = whole.map(|group| cut(group, false)).collect();
        groups.extend(demand.inside_1g.iter().enumerate().map(|group| cut(group, true)));
        groups.sort_by_key(|group| (group.region, group.size, group.inside));
        let has_inside = groups.iter().any(|group| group.inside);
        let sweeps = SweptPages::of(host, demand);
        let (mut whole, mut inside) = (vec![0; demand.groups.len()], vec![0; demand.inside_1g.len()]);
        for (at, group) in groups.iter().enumerate() {
            let found = if group.from_inside { &mut inside } else { &mut whole };
            found[group.origin] = at;
        }
        let gibs = if has_inside { Self::gibs(&whole, &inside, demand) } else { Vec::new() };
        Self { groups, sweeps, gibs, regions: demand.regions.len(), has_inside }
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
