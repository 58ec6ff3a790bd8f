//! The two levels: what comes to each structure, how long it stays, what misses.

use super::Estimate;
use super::demand::{Demand, Sweep};
use super::flow::{Flow, Item};
use super::pages::{Group, Homes, Seen, accesses_per_entry, pages_per_entry};
use super::survival::Survival;
use crate::tlb::access::Host;
use crate::tlb::cpu::{Cpu, Kind, Level, Replacement, Structure};
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
    /// Of each sweep: accesses that miss in the first level.
    sweep_misses: Vec<f64>,
    pub result: Estimate,
}

/// How long pages stay in a structure.
struct Stays {
    /// By region times three plus page size.
    own: Vec<Option<Survival>>,
    /// For a page of a sweep.
    any: Survival,
}

impl Stays {
    fn new(structure: &Structure, flow: &Flow, regions: usize) -> Self {
        let (sets, ways) = structure.sets_and_ways();
        let mut own = vec![None; regions * 3];
        if structure.replacement == Replacement::Random {
            let survival = random(flow, f64::from(structure.entries));
            flow.items.iter().for_each(|item| own[item.slot()] = Some(survival.clone()));
            return Self { own, any: survival };
        }
        let slots = flow.items.chunk_by(|one, other| one.slot() == other.slot()).map(|items| Some(items[0].slot()));
        let mut owns: Vec<Option<usize>> = slots.collect();
        let swept = flow.swept > 0.0;
        if swept {
            owns.push(None);
        }
        let mut survivals = Survival::least_recent(flow, &owns, f64::from(sets), ways, structure.replacement);
        let any = if swept { survivals.pop() } else { None }.unwrap_or_else(Survival::never);
        for (slot, survival) in owns.into_iter().flatten().zip(survivals) {
            own[slot] = Some(survival);
        }
        Self { own, any }
    }

    fn of(&self, group: &Group) -> Option<&Survival> {
        self.own[group.region * 3 + group.size as usize].as_ref()
    }
}

/// Random replacement: the mean stay times the misses is the number of entries.
fn random(flow: &Flow, entries: f64) -> Survival {
    let held = |stay: f64| {
        let item = |item: &Item| item.pieces * item.rate * stay / (1.0 + item.rate * stay);
        flow.items.iter().map(item).sum::<f64>() + flow.swept * stay
    };
    let (mut low, mut high) = (0.0, flow.settled() * 1e6);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if held(middle) < entries { low = middle } else { high = middle }
    }
    Survival::Exponential(high)
}

impl<'a> Estimator<'a> {
    pub fn new(cpu: &'a Cpu, host: Host, demand: &'a Demand) -> Self {
        let (seen, homes) = (Seen::new(host, demand), Homes::of(cpu));
        let mut result = Estimate::default();
        let groups = seen.groups.iter().filter(|group| !group.inside);
        for (group, kind) in groups.flat_map(|group| Kind::ALL.map(|kind| (group, kind.index()))) {
            result.accesses[kind][group.size as usize] += group.rates[kind] * group.pages;
        }
        for sweep in &seen.sweeps {
            result.accesses[sweep.kind.index()][sweep.size as usize] += sweep.share;
        }
        Self { cpu, demand, seen, homes, arrivals: Vec::new(), sweep_misses: Vec::new(), result }
    }

    /// A flow of nothing, with the places for a structure's pieces.
    fn empty_flow(&self, structure: &Structure) -> Flow {
        let mut flow = Flow::new(self.demand);
        for size in PageSize::ALL {
            if let Some(entry) = pages_per_entry(structure, size) {
                flow.scale_slots(size as usize, 1.0 / entry);
            }
        }
        flow
    }

    fn per_entry(&self, structure: &Structure, group: &Group) -> Option<f64> {
        group.per_entry(structure, self.seen.has_inside)
    }

    /// What comes to a structure of the first level.
    fn first_flow(&self, at: usize, structure: &Structure) -> Flow {
        let mut flow = self.empty_flow(structure);
        let share = |kind: Kind, size| self.homes.share(at, Level::First, kind, size);
        for group in &self.seen.groups {
            let Some(entry) = self.per_entry(structure, group) else { continue };
            let shares = Kind::ALL.map(|kind| share(kind, group.size));
            let rate: f64 = (0..3).filter(|kind| shares[*kind] > 0.0).map(|kind| group.rates[kind]).sum();
            let part = shares.iter().copied().fold(0.0, f64::max);
            flow.add(group.region, group.size, (group.pages * part / entry, rate * entry), 0.0, part < 1.0);
        }
        for sweep in &self.seen.sweeps {
            if let Some(entry) = pages_per_entry(structure, sweep.size) {
                flow.swept += sweep.share * share(sweep.kind, sweep.size) / accesses_per_entry(sweep, entry);
            }
        }
        flow
    }

    /// Counts the first level's misses and finds what comes to the second.
    pub fn first_level(&mut self) {
        let structures = &self.cpu.doc().structures;
        let stays = |(at, structure): (usize, &Structure)| {
            (structure.level == Level::First)
                .then(|| Stays::new(structure, &self.first_flow(at, structure), self.seen.regions))
        };
        let stays: Vec<Option<Stays>> = structures.iter().enumerate().map(stays).collect();
        // How much of its pages of 1G each structure misses, for groups that it does not take as they are.
        let mut ratios = vec![[(0.0, 0.0); 3]; structures.len()];
        for group in self.seen.groups.iter().filter(|group| group.size == PageSize::Size1G) {
            for kind in Kind::ALL {
                for (at, _) in self.homes.get(Level::First, kind, group.size) {
                    if let Some((misses, _)) = self.first_misses(*at, stays[*at].as_ref(), group, kind) {
                        let (missed, all) = &mut ratios[*at][kind.index()];
                        *missed += misses * group.pages;
                        *all += group.rates[kind.index()] * group.pages;
                    }
                }
            }
        }
        let arrivals = |group: &Group| Kind::ALL.map(|kind| self.arrival(group, kind, &stays, &ratios));
        let arrivals: Vec<[Arrival; 3]> = self.seen.groups.iter().map(arrivals).collect();
        for (group, arrivals) in self.seen.groups.iter().zip(&arrivals).filter(|(group, _)| !group.inside) {
            for (kind, arrival) in arrivals.iter().enumerate() {
                self.result.first_misses[kind][group.size as usize] += arrival.rate * group.pages;
            }
        }
        self.arrivals = arrivals;
        let sweep_misses: Vec<f64> = self.seen.sweeps.iter().map(|sweep| self.sweep_misses(sweep, &stays)).collect();
        for (sweep, misses) in self.seen.sweeps.iter().zip(&sweep_misses) {
            self.result.first_misses[sweep.kind.index()][sweep.size as usize] += misses;
        }
        self.sweep_misses = sweep_misses;
    }

    /// Misses of one page in a structure, and how long it stays there; `None` if the structure takes other groups.
    fn first_misses(&self, at: usize, stays: Option<&Stays>, group: &Group, kind: Kind) -> Option<(f64, f64)> {
        let structure = &self.cpu.doc().structures[at];
        let entry = self.per_entry(structure, group)?;
        let rate = group.rates[kind.index()];
        let Some(survival) = stays.and_then(|stays| stays.of(group)) else { return Some((rate, 0.0)) };
        // All kinds that the structure serves keep its entry in use.
        let used: f64 = structure.serves.iter().map(|kind| group.rates[kind.index()]).sum();
        Some((rate * (1.0 - survival.hit_chance(used * entry, 0.0)), survival.mean()))
    }

    fn arrival(&self, group: &Group, kind: Kind, stays: &[Option<Stays>], ratios: &[[(f64, f64); 3]]) -> Arrival {
        let rate = group.rates[kind.index()];
        let homes = self.homes.get(Level::First, kind, group.size);
        if rate <= NEGLIGIBLE_RATE || homes.is_empty() {
            return Arrival { rate, dead: 0.0 };
        }
        let mut arrival = Arrival::default();
        for (at, share) in homes {
            let (misses, dead) = self.first_misses(*at, stays[*at].as_ref(), group, kind).unwrap_or_else(|| {
                let (missed, all) = ratios[*at][kind.index()];
                (if all > 0.0 { rate * missed / all } else { rate }, 0.0)
            });
            arrival.rate += share * misses;
            arrival.dead += share * dead;
        }
        arrival
    }

    fn sweep_misses(&self, sweep: &Sweep, stays: &[Option<Stays>]) -> f64 {
        let homes = self.homes.get(Level::First, sweep.kind, sweep.size);
        if homes.is_empty() {
            return sweep.share;
        }
        let of_home = |(at, share): &(usize, f64)| {
            let entry = pages_per_entry(&self.cpu.doc().structures[*at], sweep.size);
            let new = entry.map_or(1.0, |entry| 1.0 / accesses_per_entry(sweep, entry));
            let lost = stays[*at].as_ref().map_or(1.0, |stays| 1.0 - stays.any.hit_chance(sweep.share, 0.0));
            share * sweep.share * (new + (1.0 - new) * lost)
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

    /// Counts the walks of the pages that belong to a structure of the second level.
    pub fn second_level(&mut self, at: usize, structure: &Structure) {
        let mut flow = self.empty_flow(structure);
        let mut own = Vec::new();
        for (group, arrivals) in self.seen.groups.iter().zip(&self.arrivals) {
            let Some(entry) = self.per_entry(structure, group) else { continue };
            let Arrival { rate, dead } = Self::joined(structure, arrivals);
            let share = self.second_share(at, structure, group.size);
            if rate <= NEGLIGIBLE_RATE {
                continue;
            }
            let rate = rate * entry;
            let dead = dead.min(1.0 / rate);
            flow.add(group.region, group.size, (group.pages * share / entry, rate), dead, share < 1.0);
            own.push((group, arrivals, share, Item::new(group.region, group.size, (1.0, rate), dead)));
        }
        for sweep in self.seen.sweeps.iter().filter(|sweep| structure.serves.contains(&sweep.kind)) {
            if let Some(entry) = pages_per_entry(structure, sweep.size) {
                let share = self.second_share(at, structure, sweep.size);
                let new = sweep.share * share / accesses_per_entry(sweep, entry);
                flow.swept += new;
                // The page that a sweep is at is used so often that the second level hardly ever loses it.
                self.result.walks[sweep.kind.index()][sweep.size as usize] += new;
            }
        }
        let stays = Stays::new(structure, &flow, self.seen.regions);
        for (group, arrivals, share, item) in own {
            let Some(survival) = stays.of(group) else { continue };
            let missed = 1.0 - survival.hit_chance(item.hazard().min(1e300), item.dead);
            for kind in &structure.serves {
                let walks = arrivals[kind.index()].rate * missed * share * group.pages;
                self.result.walks[kind.index()][group.size as usize] += walks;
            }
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
                if sweep.kind == kind && !held(kind, sweep.size) {
                    self.result.walks[kind.index()][sweep.size as usize] += misses;
                }
            }
        }
    }
}
