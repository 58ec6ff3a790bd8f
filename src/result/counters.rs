//! Counters under the names that the kernel gives them, so that they can be laid beside a real host.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// kB of memory that the direct map covers with 4 KiB pages (`/proc/meminfo`).
pub const DIRECT_MAP_4K: &str = "DirectMap4k";
/// kB of memory that the direct map covers with 2 MiB pages (`/proc/meminfo`).
pub const DIRECT_MAP_2M: &str = "DirectMap2M";
/// kB of memory that the direct map covers with 1 GiB pages (`/proc/meminfo`).
pub const DIRECT_MAP_1G: &str = "DirectMap1G";
/// kB of memory that no one uses (`/proc/meminfo`).
pub const MEM_FREE: &str = "MemFree";
/// 2 MiB pages that were split into 4 KiB pages (`/proc/vmstat`).
pub const LEVEL2_SPLITS: &str = "direct_map_level2_splits";
/// 1 GiB pages that were split into 2 MiB pages (`/proc/vmstat`).
pub const LEVEL3_SPLITS: &str = "direct_map_level3_splits";
/// 2 MiB pages that were put together again (`/proc/vmstat`, since 6.15).
pub const LEVEL2_COLLAPSES: &str = "direct_map_level2_collapses";
/// 1 GiB pages that were put together again (`/proc/vmstat`, since 6.15).
pub const LEVEL3_COLLAPSES: &str = "direct_map_level3_collapses";
/// Flushes of the whole TLB of every CPU (`flush_tlb_all`).
pub const FLUSH_TLB_ALL: &str = "flush_tlb_all";
/// Flushes of a few pages out of the TLB of every CPU.
pub const FLUSH_TLB_PAGES: &str = "flush_tlb_pages";
/// Page-table pages that splits of the direct map took.
pub const PAGE_TABLE_PAGES: &str = "direct_map_page_table_pages";

/// Every counter: name, unit and meaning.
pub const ALL: [(&str, &str, &str); 11] = [
    (DIRECT_MAP_4K, "kB", "memory that the direct map covers with 4 KiB pages"),
    (DIRECT_MAP_2M, "kB", "memory that the direct map covers with 2 MiB pages"),
    (DIRECT_MAP_1G, "kB", "memory that the direct map covers with 1 GiB pages"),
    (MEM_FREE, "kB", "memory that no one uses"),
    (LEVEL2_SPLITS, "pages", "2 MiB pages that were split into 4 KiB pages"),
    (LEVEL3_SPLITS, "pages", "1 GiB pages that were split into 2 MiB pages"),
    (LEVEL2_COLLAPSES, "pages", "2 MiB pages that were put together again"),
    (LEVEL3_COLLAPSES, "pages", "1 GiB pages that were put together again"),
    (FLUSH_TLB_ALL, "flushes", "flushes of the whole TLB of every CPU"),
    (FLUSH_TLB_PAGES, "flushes", "flushes of a few pages out of the TLB of every CPU"),
    (PAGE_TABLE_PAGES, "pages", "page-table pages that splits of the direct map took"),
];

/// Counters by name, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    /// The counter of this name, if the result has it.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Sets a counter.
    pub fn set(&mut self, name: &str, value: u64) {
        self.0.insert(name.to_owned(), value);
    }

    /// Every counter, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl<const N: usize> From<[(&str, u64); N]> for Counters {
    fn from(counters: [(&str, u64); N]) -> Self {
        Self(counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl<'a> FromIterator<(&'a str, u64)> for Counters {
    fn from_iter<I: IntoIterator<Item = (&'a str, u64)>>(counters: I) -> Self {
        Self(counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
