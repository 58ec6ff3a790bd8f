//! Kernel releases by name, and what differs between them.

use crate::text_alloc::Policy;

/// A kernel release that a scenario can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name in scenarios, such as `6.12`.
    pub name: &'static str,
    /// What it does about executable memory, in a sentence.
    pub summary: &'static str,
    /// The text allocator that it shipped with.
    pub policy: Policy,
}

/// Every release, oldest first.
const RELEASES: [Release; 6] = [
    Release { name: "5.10", summary: "whole pages per image; no split counters in vmstat", policy: Policy::PerProg },
    Release { name: "5.17", summary: "whole pages per image", policy: Policy::PerProg },
    Release { name: "5.18", summary: "packs of 4 KiB", policy: Policy::Pack4k },
    Release { name: "6.1", summary: "packs of 2 MiB made of single pages", policy: Policy::PackVmalloc },
    Release { name: "6.12", summary: "packs of 2 MiB made of single pages", policy: Policy::PackVmalloc },
    Release { name: "7.3", summary: "packs inside the read-only executable cache", policy: Policy::ExecmemRox },
];

impl Release {
    /// The release whose details every run uses unless the scenario names another.
    pub const DEFAULT: &'static str = "6.1";

    /// The release of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RELEASES.iter().find(|release| release.name == name)
    }

    /// Every release, oldest first.
    pub fn all() -> &'static [Self] {
        &RELEASES
    }
}

/// The names of all releases, oldest first.
pub fn release_names() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().map(|release| release.name)
}
