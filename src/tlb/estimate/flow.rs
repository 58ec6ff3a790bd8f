//! What reaches one structure: pieces of pages, how often and how regularly each does.

use super::demand::{Demand, Region};
use crate::units::PageSize;

/// Pieces that reach a structure alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// The region that they lie in.
    pub region: usize,
    /// Which size the page has.
    pub class: usize,
    /// How many they are.
    pub pieces: f64,
    /// How often each of them comes, per access of the demand.
    pub rate: f64,
    /// For so long after it came none comes again, and then after an exponential time.
    pub dead: f64,
}

impl Item {
    /// Pieces of a region's pages: how many, and how often each comes.
    pub const fn new(region: usize, size: PageSize, (pieces, rate): (f64, f64), dead: f64) -> Self {
        Self { region, class: size as usize, pieces, rate, dead }
    }

    /// Region and page size as one number.
    pub const fn slot(&self) -> usize {
        self.region * 3 + self.class
    }

    /// The rate at which the exponential time ends.
    pub fn hazard(&self) -> f64 {
        let mean = 1.0 / self.rate - self.dead;
        if mean > 0.0 { 1.0 / mean } else { f64::INFINITY }
    }

    /// Chance that a piece comes in a window of this length.
    fn seen(&self, window: f64) -> f64 {
        if self.dead == 0.0 {
            return -libm::expm1(-self.rate * window);
        }
        let hazard = self.hazard();
        let after = (window - self.dead).max(0.0);
        let waiting = if hazard.is_finite() { -libm::expm1(-hazard * after) / hazard } else { 0.0 };
        (self.rate * (window.min(self.dead) + waiting)).min(1.0)
    }
}

/// Everything that reaches a structure.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub items: Vec<Item>,
    /// New pages of sweeps per access of the demand.
    pub swept: f64,
    /// Places for the pieces, by region and page size.
    slots: Vec<[f64; 3]>,
}

impl Flow {
    pub fn new(demand: &Demand) -> Self {
        Self { items: Vec::new(), swept: 0.0, slots: demand.regions.iter().map(|Region { slots }| *slots).collect() }
    }

    /// Multiplies the places for pieces of a size; pages in pieces have more, coalesced ones fewer.
    pub fn scale_slots(&mut self, class: usize, factor: f64) {
        for slots in &mut self.slots {
            slots[class] = (slots[class] * factor).max(1.0);
        }
    }

    /// Adds pieces: how many, and how often each comes. `scattered` if only some of a region's are among them, so
    /// that they are not spread evenly.
    pub fn add(&mut self, region: usize, size: PageSize, count_and_rate: (f64, f64), dead: f64, scattered: bool) {
        let (pieces, rate) = count_and_rate;
        if pieces > 0.0 && rate > 0.0 {
            self.items.push(Item::new(region, size, count_and_rate, dead));
            if scattered {
                self.slots[region][size as usize] = f64::INFINITY;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.swept == 0.0
    }

    /// Whether one set of so many ways has room for all of it.
    pub fn fits(&self, ways: u32) -> bool {
        self.swept == 0.0 && self.items.iter().map(|item| item.pieces).sum::<f64>() <= f64::from(ways)
    }

    /// A time after which everything that comes at all has come.
    pub fn settled(&self) -> f64 {
        let slowest = |item: &Item| item.dead + 30.0 / item.rate.min(item.hazard());
        let items = self.items.iter().map(slowest).fold(1.0, f64::max);
        // A sweep brings new pages for ever: long enough to fill any structure.
        if self.swept > 0.0 { items.max(1e8 / self.swept) } else { items }
    }

    /// How many pieces reach a set in a window of this length.
    pub fn window(&self, length: f64, sets: f64) -> Window {
        let mut window = Window { mean: self.swept * length / sets, variance: 0.0, parts: Vec::new() };
        // Items of a region and size stand together.
        for items in self.items.chunk_by(|one, other| one.slot() == other.slot()) {
            let (mut seen, mut pieces, mut spread) = (0.0, 0.0, 0.0);
            for item in items {
                let chance = item.seen(length);
                seen += item.pieces * chance;
                pieces += item.pieces;
                spread += item.pieces * chance * (1.0 - chance);
            }
            // In one set lie all pieces; of many sets each has an even share of the places, taken or not.
            let Item { region, class, .. } = items[0];
            let share = if sets > 1.0 { seen / self.slots[region][class].max(pieces) } else { seen / pieces };
            let (mean, variance) = if sets > 1.0 { (seen / sets, seen / sets * (1.0 - share)) } else { (seen, spread) };
            window.mean += mean;
            window.variance += variance;
            window.parts.push(Part { slot: items[0].slot(), share, mean, variance });
        }
        window
    }
}

/// How many pieces reach a set in a window of time.
pub(super) struct Window {
    mean: f64,
    variance: f64,
    /// What the pieces of each region and size have in this.
    parts: Vec<Part>,
}

struct Part {
    slot: usize,
    /// Chance that a place has a piece that comes.
    share: f64,
    mean: f64,
    variance: f64,
}

impl Window {
    /// Mean and variance of how many pieces other than one of a region and size, or than none, reach the set.
    pub fn others(&self, own: Option<usize>) -> (f64, f64) {
        let (mut mean, mut variance) = (self.mean, self.variance);
        if let Some(part) = self.parts.iter().find(|part| Some(part.slot) == own) {
            mean -= part.share.min(part.mean);
            variance -= (part.share * (1.0 - part.share)).min(part.variance);
        }
        (mean.max(0.0), variance.max(0.0))
    }
}
