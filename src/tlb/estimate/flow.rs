//! What reaches one structure: pieces of pages, how often and how regularly each does.

use super::decay::gone;
use super::demand::{Demand, Region};
use super::pages::Group;
use crate::units::PageSize;

/// Pieces that reach a structure alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// The region that they lie in.
    pub region: usize,
    /// Which size the piece has.
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
    pub const fn new(group: &Group, class: usize, (pieces, rate): (f64, f64), dead: f64) -> Self {
        Self { region: group.region, class, pieces, rate, dead }
    }

    /// Region and size as one number.
    pub const fn slot(&self) -> usize {
        self.region * 3 + self.class
    }

    /// The rate at which the exponential time ends.
    pub fn hazard(&self) -> f64 {
        hazard(self.rate, self.dead)
    }

    /// Chance that a piece comes in a window of this length.
    pub fn seen(&self, window: f64) -> f64 {
        seen(self.rate, self.dead, window)
    }
}

/// The rate at which the exponential time ends that follows a time in which nothing comes.
fn hazard(rate: f64, dead: f64) -> f64 {
    let mean = 1.0 / rate - dead;
    if mean > 0.0 { 1.0 / mean } else { f64::INFINITY }
}

/// Chance that what comes at this rate, but not for so long after it came, comes in a window of this length.
pub(super) fn seen(rate: f64, dead: f64, window: f64) -> f64 {
    if dead == 0.0 {
        return gone(rate * window);
    }
    let hazard = hazard(rate, dead);
    let after = (window - dead).max(0.0);
    let waiting = if hazard.is_finite() { gone(hazard * after) / hazard } else { 0.0 };
    (rate * (window.min(dead) + waiting)).min(1.0)
}

/// The page that a sweep is at: chance that it is one of the flow's, and how often it is used.
#[derive(Clone, Copy, Debug)]
struct Current {
    chance: f64,
    rate: f64,
    /// Whether it is one of the pages of 1G that are used in random order too.
    shared: bool,
}

/// Everything that reaches a structure.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    pub items: Vec<Item>,
    /// New pages of sweeps per access of the demand.
    pub swept: f64,
    /// The pages that sweeps are at.
    current: Vec<Current>,
    /// Places for the pieces, by region and size.
    slots: Vec<[f64; 3]>,
}

/// The slot of the page that a sweep is at.
pub(super) const SWEPT: usize = usize::MAX;
/// Pieces that are seen in a smaller share of their places are spread about as by chance.
const EVEN_SHARE: f64 = 0.05;
/// So many pieces for each entry overfill every set.
const MOST_PER_ENTRY: f64 = 4.0;
/// Into so many pages that may come the new pages of sweeps are taken apart.
const SWEPT_PARTS: usize = 16;

impl Flow {
    pub fn new(demand: &Demand) -> Self {
        let slots = demand.regions.iter().map(|Region { slots }| *slots).collect();
        Self { slots, ..Self::default() }
    }

    /// Whether it is chance how many of the pieces lie in a set of a structure with so many entries, and matters: many
    /// more than that overfill every set.
    pub fn is_by_chance(&self, entries: f64) -> bool {
        let mut of_slots = self.items.chunk_by(|one, other| one.slot() == other.slot());
        of_slots.any(|items| {
            let pieces: f64 = items.iter().map(|item| item.pieces).sum();
            pieces < MOST_PER_ENTRY * entries && pieces < self.slots[items[0].region][items[0].class]
        })
    }

    /// As if every set had as many of the pieces as every other.
    pub fn spread(&mut self) {
        self.slots.iter_mut().for_each(|slots| *slots = [0.0; 3]);
    }

    /// Leaves one place for so many pages of 4K that share an entry.
    pub fn coalesce(&mut self, pages: f64) {
        self.slots.iter_mut().for_each(|slots| slots[0] /= pages);
    }

    /// Adds pieces. `scattered` if only some of a region's are among them, so that they are not spread evenly.
    pub fn add(&mut self, item: Item, scattered: bool) {
        if item.pieces > 0.0 && item.rate > 0.0 {
            self.items.push(item);
            if scattered {
                self.slots[item.region][item.class] = f64::INFINITY;
            }
        }
    }

    /// Adds the page that a sweep is at.
    pub fn add_current(&mut self, chance: f64, rate: f64, shared: bool) {
        self.current.push(Current { chance, rate, shared });
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.swept == 0.0
    }

    /// Whether sweeps are part of it.
    pub fn is_swept(&self) -> bool {
        self.swept > 0.0 || !self.current.is_empty()
    }

    /// Whether there are pages of 1G in it.
    pub fn has_gibs(&self) -> bool {
        self.items.iter().any(|item| item.class == PageSize::Size1G as usize)
    }

    /// Whether sweeps bring pages that do not come otherwise.
    fn has_new(&self) -> bool {
        self.swept > 0.0 || self.current.iter().any(|current| !current.shared)
    }

    /// Whether one set of so many ways has room for all of it.
    pub fn fits(&self, ways: u32) -> bool {
        let pieces: f64 = self.items.iter().map(|item| item.pieces).sum();
        !self.has_new() && pieces <= f64::from(ways)
    }

    /// A time after which everything that comes at all has come.
    pub fn settled(&self) -> f64 {
        let slowest = |item: &Item| item.dead + 30.0 / item.rate.min(item.hazard());
        let items = self.items.iter().map(slowest).fold(1.0, f64::max);
        // A sweep brings new pages for ever: long enough to fill any structure.
        if self.swept > 0.0 { items.max(1e8 / self.swept) } else { items }
    }

    /// Chances of pages of sweeps that come to one of so many sets in a window of this length; `shared` is the chance
    /// that a page of 1G comes anyway.
    pub fn swept_in_set(&self, window: f64, sets: f64, shared: f64) -> impl Iterator<Item = f64> {
        let new = -libm::expm1(-self.swept * window / sets / SWEPT_PARTS as f64);
        let parts = if self.swept > 0.0 { SWEPT_PARTS } else { 0 };
        self.current_in_set(window, sets, shared).chain(std::iter::repeat_n(new, parts))
    }

    fn current_in_set(&self, window: f64, sets: f64, shared: f64) -> impl Iterator<Item = f64> {
        self.current.iter().map(move |current| {
            let new = if current.shared { 1.0 - shared } else { 1.0 };
            current.chance * new * seen(current.rate, 0.0, window) / sets
        })
    }

    /// The mean chance that a page of 1G comes if items come with these.
    fn of_gib(&self, chances: &[f64]) -> f64 {
        let gibs = || self.items.iter().zip(chances).filter(|(item, _)| item.class == PageSize::Size1G as usize);
        let pages: f64 = gibs().map(|(item, _)| item.pieces).sum();
        if pages > 0.0 { gibs().map(|(item, chance)| item.pieces * chance).sum::<f64>() / pages } else { 0.0 }
    }

    /// The time in which as many pieces come to a set as it has ways, on average, or in which all come.
    pub fn filling(&self, sets: f64, ways: f64) -> f64 {
        let (mut low, mut high) = (0.0, libm::log(self.settled()));
        while high - low > 0.002 {
            let middle = (low + high) / 2.0;
            let time = libm::exp(middle);
            let all: f64 = self.items.iter().map(|item| item.pieces * item.seen(time)).sum();
            if all + self.swept * time < ways * sets { low = middle } else { high = middle }
        }
        libm::exp(high)
    }

    /// How many pieces reach a set in a window of this length.
    pub fn window(&self, length: f64, sets: f64) -> Window {
        let new = self.swept * length / sets;
        let mut window =
            Window { even: None, other: Count { mean: new, variance: new }, most: f64::INFINITY, parts: Vec::new() };
        let chances: Vec<f64> = self.items.iter().map(|item| item.seen(length)).collect();
        for chance in self.current_in_set(length, sets, self.of_gib(&chances)) {
            window.add(Part { slot: SWEPT, share: chance, places: 1.0, count: Count::of(1.0, chance) }, sets);
        }
        let (mut at, mut all) = (0, 0.0);
        // Items of a region and size stand together.
        for items in self.items.chunk_by(|one, other| one.slot() == other.slot()) {
            let (mut seen, mut pieces, mut spread) = (0.0, 0.0, 0.0);
            for (item, chance) in items.iter().zip(&chances[at..]) {
                seen += item.pieces * chance;
                pieces += item.pieces;
                spread += item.pieces * chance * (1.0 - chance);
            }
            at += items.len();
            all += pieces;
            let Item { region, class, .. } = items[0];
            // In one set lie all pieces; of many sets each has an even share of the places, taken or not.
            let slots = if sets > 1.0 { self.slots[region][class].max(pieces) } else { pieces };
            let share = seen / slots;
            let count = if sets > 1.0 {
                Count { mean: seen / sets, variance: seen / sets * (1.0 - share) }
            } else {
                Count { mean: seen, variance: spread }
            };
            window.add(Part { slot: items[0].slot(), share, places: slots / sets, count }, sets);
        }
        if sets == 1.0 && !self.has_new() {
            window.most = all;
        }
        window
    }
}

/// Mean and variance of how many pieces come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub mean: f64,
    pub variance: f64,
}

impl Count {
    /// Of so many of which each comes with this chance.
    pub const fn of(places: f64, chance: f64) -> Self {
        Self { mean: places * chance, variance: places * chance * (1.0 - chance) }
    }

    const fn add(&mut self, other: Self) {
        self.mean += other.mean;
        self.variance += other.variance;
    }

    /// Without one place of a part.
    fn without(self, part: &Part) -> Self {
        let Part { share, count, .. } = part;
        let (mean, variance) = (share.min(count.mean), (share * (1.0 - share)).min(count.variance));
        Self { mean: (self.mean - mean).max(0.0), variance: (self.variance - variance).max(0.0) }
    }
}

/// How many pieces reach a set in a window of time.
pub(super) struct Window {
    /// Which of the parts has so few places in a set that most of them may come.
    even: Option<usize>,
    /// All but those.
    other: Count,
    /// How many there are of all at most.
    most: f64,
    parts: Vec<Part>,
}

/// What the pieces of a region and size have in a window.
struct Part {
    slot: usize,
    /// Chance that a place has a piece that comes.
    share: f64,
    /// Places in a set.
    places: f64,
    count: Count,
}

/// How many come besides one's own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    /// Of so many places each has one with this chance.
    pub even: Option<(f64, f64)>,
    pub other: Count,
    /// How many there are of both at most.
    pub most: f64,
}

impl Window {
    fn add(&mut self, part: Part, sets: f64) {
        let is_even = sets > 1.0 && part.share > EVEN_SHARE && self.even.is_none();
        if is_even {
            self.even = Some(self.parts.len());
        } else {
            self.other.add(part.count);
        }
        self.parts.push(part);
    }

    /// How many pieces other than one of a region and size, or than none, reach the set.
    pub fn others(&self, own: Option<usize>) -> Others {
        let found = self.parts.iter().position(|part| Some(part.slot) == own);
        let even = self.even.map(|at| {
            let Part { places, share, .. } = self.parts[at];
            (if found == self.even { (places - 1.0).max(0.0) } else { places }, share)
        });
        let other = match found.filter(|_| found != self.even) {
            Some(at) => self.other.without(&self.parts[at]),
            None => self.other,
        };
        Others { even, other, most: if found.is_some() { self.most - 1.0 } else { self.most } }
    }
}
