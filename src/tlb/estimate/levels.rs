//! The two levels: what comes to each structure, how long it stays, what misses.

use super::Estimate;
use super::demand::{Demand, Gib};
use super::doubt::Bounds;
use super::few::{Few, Page};
use super::flow::{Flow, Item, SWEPT};
use super::pages::{Group, Homes, Seen, SweptPages, piece};
use super::policy::{Mixture, stay};
use super::survival::Survival;
use crate::tlb::access::Host;
use crate::tlb::cpu::{Cpu, Kind, Level, Replacement, Structure};
use crate::tlb::engine::SetIndex;
use crate::units::PageSize;

/// Rates below this are none: no one would see one such access in a year.
const NEGLIGIBLE_RATE: f64 = 1e-18;

/// How often a page comes to the second level, and how long it stays away after it did.
#[derive(Clone, Copy, Debug, Default)]
struct Arrival {
    rate: f64,
    dead: f64,
}

/// A core, what is accessed, and what is known so far.
pub(super) struct Estimator<'a> {
    cpu: &'a Cpu,
    demand: &'a Demand,
    seen: Seen,
    homes: Homes,
    /// Of each group and kind.
    arrivals: Vec<[Arrival; 3]>,
    /// Of each sweep and kind: accesses that miss in the first level.
    sweep_misses: Vec<[f64; 3]>,
    pub result: Estimate,
    pub bounds: Bounds,
}

/// What comes to a structure of the second level, by group, and the pages of 1G one by one.
struct SecondFlow {
    flow: Flow,
    own: Vec<Own>,
    pages: Vec<Page>,
}

/// What a group sends to a structure of the second level.
struct Own {
    group_at: usize,
    /// Which part of its pages belong there.
    share: f64,
    /// How many come, of all these pages.
    all: f64,
    item: Item,
}

/// How long pages stay in a structure.
struct Stays {
    /// By region times three plus page size.
    own: Vec<Option<Survival>>,
    /// For a page of a sweep.
    any: Survival,
    /// One by one, where they are few.
    few: Option<Few>,
    /// Where the policy is not LRU.
    mixture: Option<Mixture>,
}

impl Stays {
    fn new(structure: &Structure, flow: &Flow, seen: &Seen, pages: &[Page]) -> Self {
        let sets_and_ways = structure.sets_and_ways();
        let mut own = vec![None; seen.regions * 3];
        if structure.replacement == Replacement::Random {
            let survival = Survival::Exponential(stay(flow, f64::from(structure.entries)));
            flow.items.iter().for_each(|item| own[item.slot()] = Some(survival.clone()));
            return Self { own, any: survival, few: None, mixture: None };
        }
        let mixture = Mixture::of(structure, flow);
        if let Some(few) = Few::of(structure, flow, pages, seen.groups.len()) {
            let any = Survival::least_recent(flow, &[SWEPT], sets_and_ways).swap_remove(0);
            return Self { own, any, few: Some(few), mixture };
        }
        let slots = flow.items.chunk_by(|one, other| one.slot() == other.slot()).map(|items| items[0].slot());
        let mut slots: Vec<usize> = slots.collect();
        slots.extend(flow.is_swept().then_some(SWEPT));
        let survivals = Survival::least_recent(flow, &slots, sets_and_ways);
        let mut any = Survival::never();
        for (slot, survival) in slots.into_iter().zip(survivals) {
            if slot == SWEPT { any = survival } else { own[slot] = Some(survival) }
        }
        Self { own, any, few: None, mixture }
    }

    /// How long the pages of a group stay, all alike or one by one.
    fn of(&self, structure: &Structure, at: usize, group: &Group) -> &[Survival] {
        match &self.few {
            Some(few) => few.group(at),
            None => {
                piece(structure, group.size).map_or(&[], |piece| self.own[group.region * 3 + piece as usize].as_slice())
            }
        }
    }

    /// Chance that a page hits that comes at this rate, if each stays so long.
    fn hit(&self, survivals: &[Survival], rate: f64, (hazard, dead): (f64, f64)) -> f64 {
        let lost = self.mixture.map_or(0.0, |mixture| mixture.lost(rate));
        (mean(survivals, |survival| survival.hit_chance(hazard, dead)) - lost).clamp(0.0, 1.0)
    }
}

/// The mean of a figure of several.
fn mean(survivals: &[Survival], figure: impl Fn(&Survival) -> f64) -> f64 {
    survivals.iter().map(figure).sum::<f64>() / survivals.len() as f64
}

impl<'a> Estimator<'a> {
    pub fn new(cpu: &'a Cpu, host: Host, demand: &'a Demand) -> Self {
        let (seen, homes) = (Seen::new(host, demand), Homes::of(cpu));
        let mut result = Estimate::default();
        let groups = seen.groups.iter().filter(|group| !group.inside);
        for (group, kind) in groups.flat_map(|group| Kind::ALL.map(|kind| (group, kind.index()))) {
            result.accesses[kind][group.size as usize] += group.rates[kind] * group.pages;
        }
        for (sweep, kind) in seen.sweeps.iter().flat_map(|sweep| Kind::ALL.map(|kind| (sweep, kind.index()))) {
            result.accesses[kind][sweep.size as usize] += sweep.shares[kind];
        }
        Self {
            cpu,
            demand,
            seen,
            homes,
            arrivals: Vec::new(),
            sweep_misses: Vec::new(),
            result,
            bounds: Bounds::default(),
        }
    }

    /// A flow of nothing, with the places for a structure's pieces.
    fn empty_flow(&self, structure: &Structure) -> Flow {
        let mut flow = Flow::new(self.demand);
        flow.coalesce(f64::from(structure.coalesced_4k_pages));
        flow
    }

    fn per_entry(&self, structure: &Structure, group: &Group) -> Option<f64> {
        group.per_entry(structure, self.seen.has_inside)
    }

    /// What comes to a structure of the first level.
    fn first_flow(&self, at: usize, structure: &Structure) -> (Flow, Vec<Page>) {
        let mut flow = self.empty_flow(structure);
        let mut items = Vec::new();
        let share = |kind: Kind, size| self.homes.share(at, Level::First, kind, size);
        for (group_at, group) in self.seen.groups.iter().enumerate() {
            let Some(entry) = self.per_entry(structure, group) else { continue };
            let shares = Kind::ALL.map(|kind| share(kind, group.size));
            let rate: f64 = (0..3).filter(|kind| shares[*kind] > 0.0).map(|kind| group.rates[kind]).sum();
            let part = shares.iter().copied().fold(0.0, f64::max);
            let class = piece(structure, group.size).unwrap_or(group.size) as usize;
            flow.add(Item::new(group, class, (group.pages * part / entry, rate * entry), 0.0), part < 1.0);
            items.push((group_at, Arrival { rate, dead: 0.0 }));
        }
        for sweep in &self.seen.sweeps {
            let Some(accesses) = sweep.accesses_per_entry(structure) else { continue };
            let part = structure.serves.iter().map(|kind| share(*kind, sweep.size)).fold(0.0, f64::max);
            let served = sweep.served(structure);
            // A page of 1G that a sweep is at has other uses too, if there are such pages; it stays there for long.
            let shared = sweep.size == PageSize::Size1G && flow.has_gibs();
            flow.swept += if shared { 0.0 } else { served * part / accesses };
            // One page after the other: the first of them is there already.
            flow.add_current(sweep.chance * part * (1.0 - 1.0 / accesses), served / sweep.chance, shared);
        }
        let pages = self.pages(structure, &items);
        (flow, pages)
    }

    /// The pages of 1G that come to a structure, if it holds nothing else and where they lie is known.
    fn pages(&self, structure: &Structure, items: &[(usize, Arrival)]) -> Vec<Page> {
        let index = SetIndex::of(structure);
        let whole = |at: usize| self.seen.groups[at].size == PageSize::Size1G && !self.seen.groups[at].inside;
        if self.seen.gibs.is_empty() || !items.iter().all(|(at, _)| whole(*at)) {
            return Vec::new();
        }
        let mut arrivals = vec![None; self.seen.groups.len()];
        items.iter().for_each(|(at, arrival)| arrivals[*at] = Some(*arrival));
        let page = |gib: &Gib| {
            let Arrival { rate, dead } = arrivals[gib.group]?;
            (rate > NEGLIGIBLE_RATE).then(|| Page { set: index.set(gib.number), group: gib.group, rate, dead })
        };
        self.seen.gibs.iter().filter_map(page).collect()
    }

    /// Counts the first level's misses and finds what comes to the second.
    pub fn first_level(&mut self) {
        let structures = &self.cpu.doc().structures;
        let stays = |(at, structure): (usize, &Structure)| {
            (structure.level == Level::First).then(|| {
                let (flow, pages) = self.first_flow(at, structure);
                Stays::new(structure, &flow, &self.seen, &pages)
            })
        };
        let stays: Vec<Option<Stays>> = structures.iter().enumerate().map(stays).collect();
        let ratios = self.ratios(&stays);
        self.bounds.first_random = self.first_random(&stays);
        let arrivals = |(at, group)| Kind::ALL.map(|kind| self.arrival((at, group), kind, &stays, &ratios));
        let arrivals: Vec<[Arrival; 3]> = self.seen.groups.iter().enumerate().map(arrivals).collect();
        for (group, arrivals) in self.seen.groups.iter().zip(&arrivals).filter(|(group, _)| !group.inside) {
            for (kind, arrival) in arrivals.iter().enumerate() {
                self.result.first_misses[kind][group.size as usize] += arrival.rate * group.pages;
            }
        }
        self.arrivals = arrivals;
        let sweep_misses = |sweep| Kind::ALL.map(|kind| self.sweep_misses(sweep, kind, &stays));
        let sweep_misses: Vec<[f64; 3]> = self.seen.sweeps.iter().map(sweep_misses).collect();
        for (sweep, misses) in self.seen.sweeps.iter().zip(&sweep_misses) {
            for kind in Kind::ALL {
                self.result.first_misses[kind.index()][sweep.size as usize] += misses[kind.index()];
            }
        }
        self.sweep_misses = sweep_misses;
    }

    /// How much each structure misses of groups that it does not take as they are, by structure, kind and group: of a
    /// page of 1G that it keeps in pieces, what it misses of the blocks inside; of such blocks, if it keeps whole pages,
    /// what it misses of the pages.
    fn ratios(&self, stays: &[Option<Stays>]) -> Vec<[Vec<f64>; 3]> {
        let groups = &self.seen.groups;
        let of_structure = |at: usize| {
            Kind::ALL.map(|kind| {
                if self.seen.gibs.is_empty() || self.homes.share(at, Level::First, kind, PageSize::Size1G) == 0.0 {
                    return Vec::new();
                }
                let ratio = |(group_at, group): (usize, &Group)| {
                    let rate = group.rates[kind.index()];
                    if group.size != PageSize::Size1G || rate == 0.0 {
                        return 0.0;
                    }
                    let misses = self.first_misses(at, stays[at].as_ref(), (group_at, group), kind);
                    misses.map_or(0.0, |(misses, _)| misses / rate)
                };
                let taken: Vec<f64> = groups.iter().enumerate().map(ratio).collect();
                let (mut missed, mut all) = (vec![0.0; groups.len()], vec![0.0; groups.len()]);
                for gib in &self.seen.gibs {
                    for (inside, blocks) in &gib.inside {
                        let rate = blocks * groups[*inside].rates[kind.index()];
                        for (one, other) in [(gib.group, *inside), (*inside, gib.group)] {
                            missed[one] += rate * taken[other];
                            all[one] += rate;
                        }
                    }
                }
                missed.iter().zip(&all).map(|(missed, all)| if *all > 0.0 { missed / all } else { 1.0 }).collect()
            })
        };
        (0..stays.len()).map(of_structure).collect()
    }

    /// Misses of one page in a structure, and how long it stays there; `None` if the structure takes other groups.
    fn first_misses(
        &self,
        at: usize,
        stays: Option<&Stays>,
        (group_at, group): (usize, &Group),
        kind: Kind,
    ) -> Option<(f64, f64)> {
        let structure = &self.cpu.doc().structures[at];
        let entry = self.per_entry(structure, group)?;
        let rate = group.rates[kind.index()];
        let Some(stays) = stays else { return Some((rate, 0.0)) };
        let survivals = stays.of(structure, group_at, group);
        if survivals.is_empty() {
            return Some((rate, 0.0));
        }
        // All kinds that the structure serves keep its entry in use.
        let used: f64 = structure.serves.iter().map(|kind| group.rates[kind.index()]).sum();
        let hit = stays.hit(survivals, used * entry, (used * entry, 0.0));
        Some((rate * (1.0 - hit), mean(survivals, Survival::mean)))
    }

    fn arrival(
        &self,
        (group_at, group): (usize, &Group),
        kind: Kind,
        stays: &[Option<Stays>],
        ratios: &[[Vec<f64>; 3]],
    ) -> Arrival {
        let rate = group.rates[kind.index()];
        let homes = self.homes.get(Level::First, kind, group.size);
        if rate <= NEGLIGIBLE_RATE || homes.is_empty() {
            return Arrival { rate, dead: 0.0 };
        }
        let mut arrival = Arrival::default();
        for (at, share) in homes {
            let own = self.first_misses(*at, stays[*at].as_ref(), (group_at, group), kind);
            let (misses, dead) = own.unwrap_or_else(|| {
                let ratio = ratios[*at][kind.index()].get(group_at).copied();
                (rate * ratio.unwrap_or(1.0), 0.0)
            });
            arrival.rate += share * misses;
            arrival.dead += share * dead;
        }
        arrival
    }

    /// How many more first-level misses there were if what is taken for nearly LRU were random replacement.
    fn first_random(&self, stays: &[Option<Stays>]) -> f64 {
        let mut more = 0.0;
        for group in self.seen.groups.iter().filter(|group| !group.inside) {
            for kind in Kind::ALL {
                for (at, share) in self.homes.get(Level::First, kind, group.size) {
                    let Some(mixture) = stays[*at].as_ref().and_then(|stays| stays.mixture) else { continue };
                    let serves = &self.cpu.doc().structures[*at].serves;
                    let used: f64 = serves.iter().map(|kind| group.rates[kind.index()]).sum();
                    more += mixture.gap(used) * share * group.rates[kind.index()] * group.pages;
                }
            }
        }
        more
    }

    fn sweep_misses(&self, sweep: &SweptPages, kind: Kind, stays: &[Option<Stays>]) -> f64 {
        let homes = self.homes.get(Level::First, kind, sweep.size);
        let all = sweep.shares[kind.index()];
        if homes.is_empty() || all == 0.0 {
            return all;
        }
        let of_home = |(at, share): &(usize, f64)| {
            let structure = &self.cpu.doc().structures[*at];
            let new = sweep.accesses_per_entry(structure).map_or(1.0, |accesses| 1.0 / accesses);
            let rate = sweep.served(structure) / sweep.chance;
            let lost = stays[*at].as_ref().map_or(1.0, |stays| 1.0 - stays.any.hit_chance(rate, 0.0));
            share * all * (new + (1.0 - new) * lost)
        };
        homes.iter().map(of_home).sum()
    }

    /// Everything that a group sends to a structure of the second level, as one flow.
    fn joined(structure: &Structure, arrivals: &[Arrival; 3]) -> Arrival {
        let of_kinds = structure.serves.iter().map(|kind| arrivals[kind.index()]).filter(|arrival| arrival.rate > 0.0);
        let rate: f64 = of_kinds.clone().map(|arrival| arrival.rate).sum();
        let dead = of_kinds.map(|arrival| arrival.rate / rate * arrival.dead).sum::<f64>();
        Arrival { rate, dead: if dead.is_nan() { 0.0 } else { dead } }
    }

    /// Which part of a size's pages a structure of the second level holds.
    fn second_share(&self, at: usize, structure: &Structure, size: PageSize) -> f64 {
        let share = |kind: &Kind| self.homes.share(at, Level::Second, *kind, size);
        structure.serves.iter().map(share).fold(0.0, f64::max)
    }

    /// What comes to a structure of the second level.
    fn second_flow(&self, at: usize, structure: &Structure) -> SecondFlow {
        let mut flow = self.empty_flow(structure);
        let (mut own, mut items) = (Vec::new(), Vec::new());
        for (group_at, (group, arrivals)) in self.seen.groups.iter().zip(&self.arrivals).enumerate() {
            let Some(entry) = self.per_entry(structure, group) else { continue };
            let Arrival { rate, dead } = Self::joined(structure, arrivals);
            let share = self.second_share(at, structure, group.size);
            if rate <= NEGLIGIBLE_RATE {
                continue;
            }
            let all = rate * share * group.pages;
            let rate = rate * entry;
            let dead = dead.min(1.0 / rate);
            let class = piece(structure, group.size).unwrap_or(group.size) as usize;
            let item = Item::new(group, class, (group.pages * share / entry, rate), dead);
            flow.add(item, share < 1.0);
            items.push((group_at, Arrival { rate, dead }));
            own.push(Own { group_at, share, all, item });
        }
        for sweep in &self.seen.sweeps {
            if let Some(accesses) = sweep.accesses_per_entry(structure) {
                let shared = sweep.size == PageSize::Size1G && flow.has_gibs();
                let new = self.second_share(at, structure, sweep.size) / accesses;
                flow.swept += if shared { 0.0 } else { new * sweep.served(structure) };
            }
        }
        let pages = self.pages(structure, &items);
        SecondFlow { flow, own, pages }
    }

    /// Which part of each group's arrivals misses.
    fn missed(&self, structure: &Structure, stays: &Stays, own: &[Own]) -> Vec<f64> {
        let missed = |Own { group_at, item, .. }: &Own| {
            let survivals = stays.of(structure, *group_at, &self.seen.groups[*group_at]);
            let hit = || stays.hit(survivals, item.rate, (item.hazard().min(1e300), item.dead));
            if survivals.is_empty() { 0.0 } else { 1.0 - hit() }
        };
        own.iter().map(missed).collect()
    }

    /// Counts the walks of the pages that belong to a structure of the second level.
    pub fn second_level(&mut self, at: usize, structure: &Structure) {
        let SecondFlow { mut flow, own, pages } = self.second_flow(at, structure);
        let stays = Stays::new(structure, &flow, &self.seen, &pages);
        let missed = self.missed(structure, &stays, &own);
        for (Own { group_at, share, .. }, missed) in own.iter().zip(&missed) {
            let group = &self.seen.groups[*group_at];
            for kind in &structure.serves {
                let walks = self.arrivals[*group_at][kind.index()].rate * missed * share * group.pages;
                self.result.walks[kind.index()][group.size as usize] += walks;
            }
        }
        for sweep in &self.seen.sweeps {
            let Some(accesses) = sweep.accesses_per_entry(structure) else { continue };
            // The page that a sweep is at is used so often that the second level hardly ever loses it.
            let new = self.second_share(at, structure, sweep.size) / accesses;
            for kind in &structure.serves {
                self.result.walks[kind.index()][sweep.size as usize] += new * sweep.shares[kind.index()];
            }
        }
        if let Some(mixture) = stays.mixture {
            self.bounds.second_random += own.iter().map(|own| own.all * mixture.gap(own.item.rate)).sum::<f64>();
        }
        let (sets, _) = structure.sets_and_ways();
        if sets > 1 && stays.few.is_none() && flow.is_by_chance(f64::from(structure.entries)) {
            flow.spread();
            let evenly = self.missed(structure, &Stays::new(structure, &flow, &self.seen, &[]), &own);
            let more =
                own.iter().zip(missed.iter().zip(evenly)).map(|(own, (missed, evenly))| own.all * (missed - evenly));
            self.bounds.add_draw(f64::from(sets), more.sum());
        }
    }

    /// What misses in the first level and has no structure in the second is walked.
    pub fn without_second_level(&mut self) {
        let held = |kind, size| !self.homes.get(Level::Second, kind, size).is_empty();
        for kind in Kind::ALL {
            for (group, arrivals) in self.seen.groups.iter().zip(&self.arrivals) {
                if !group.inside && !held(kind, group.size) {
                    let walks = arrivals[kind.index()].rate * group.pages;
                    self.result.walks[kind.index()][group.size as usize] += walks;
                }
            }
            for (sweep, misses) in self.seen.sweeps.iter().zip(&self.sweep_misses) {
                if !held(kind, sweep.size) {
                    self.result.walks[kind.index()][sweep.size as usize] += misses[kind.index()];
                }
            }
        }
    }
}
