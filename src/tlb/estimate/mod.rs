//! The estimate: miss rates out of page sizes and popularity, without a single access.
//!
//! Each structure keeps a page for a characteristic time (Che, Tung and Wang, 2002): until as many others of its set
//! were used as the set has ways. Here that time is not one number but a chance by time, because sets are small; memory
//! is spread over sets evenly, and what is used lies anywhere in it. Pages of 1G are few and looked at one by one. The
//! second level sees what misses in the first: a page comes there again no sooner than the first level
//! has lost it (compare Martina, Garetto and Leonardi, 2014). Tree-PLRU and (MRU+1)%3 PLRU4 are taken for mixtures of
//! LRU and random replacement, levels that are linked otherwise than Intel's for independent ones.

mod counted;
mod decay;
mod demand;
mod doubt;
mod few;
mod flow;
mod levels;
mod pages;
mod policy;
mod survival;

pub use demand::{Demand, Gib, PageGroup, RankClass, Region, Sweep, rank_classes};

pub use doubt::Doubt;

use super::access::Host;
use super::cpu::{Cpu, Kind, Level};
use crate::units::PageSize;
use levels::Estimator;

/// Rates by kind and page size.
type Table = [[f64; 3]; 3];

/// Miss rates, each per access of the whole demand.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    accesses: Table,
    first_misses: Table,
    walks: Table,
    doubt: Doubt,
}

impl Estimate {
    /// Accesses of a kind to pages of a size, of one access of the demand.
    pub const fn accesses(&self, kind: Kind, size: PageSize) -> f64 {
        self.accesses[kind.index()][size as usize]
    }

    /// First-level misses.
    pub const fn first_level_misses(&self, kind: Kind, size: PageSize) -> f64 {
        self.first_misses[kind.index()][size as usize]
    }

    /// Page walks.
    pub const fn walks(&self, kind: Kind, size: PageSize) -> f64 {
        self.walks[kind.index()][size as usize]
    }

    /// Why it may be further off than it is meant to be.
    pub const fn doubt(&self) -> Doubt {
        self.doubt
    }

    /// First-level misses of every kind and size.
    pub fn total_first_level_misses(&self) -> f64 {
        self.first_misses.iter().flatten().sum()
    }

    /// Page walks of every kind and size.
    pub fn total_walks(&self) -> f64 {
        self.walks.iter().flatten().sum()
    }
}

/// Estimates the miss rates of a demand on a core.
pub fn estimate(cpu: &Cpu, host: Host, demand: &Demand) -> Estimate {
    let mut estimator = Estimator::new(cpu, host, demand);
    estimator.first_level();
    for (at, structure) in cpu.doc().structures.iter().enumerate() {
        if structure.level == Level::Second {
            estimator.second_level(at, structure);
        }
    }
    estimator.without_second_level();
    let doubt = Doubt::of(cpu, demand, &estimator.result, &estimator.bounds);
    Estimate { doubt, ..estimator.result }
}
