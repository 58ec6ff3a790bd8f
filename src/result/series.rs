//! One moment of a replay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The counters that move and the use of executable memory at one moment of simulated time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Nanoseconds since the start of the replay.
    pub time_ns: u64,
    /// kB that the direct map covers with 4 KiB pages.
    #[serde(rename = "DirectMap4k")]
    pub direct_map_4k_kb: u64,
    /// kB that the direct map covers with 2 MiB pages.
    #[serde(rename = "DirectMap2M")]
    pub direct_map_2m_kb: u64,
    /// kB that the direct map covers with 1 GiB pages.
    #[serde(rename = "DirectMap1G")]
    pub direct_map_1g_kb: u64,
    /// kB that no one uses.
    #[serde(rename = "MemFree")]
    pub mem_free_kb: u64,
    /// 2 MiB pages split so far.
    pub direct_map_level2_splits: u64,
    /// 1 GiB pages split so far.
    pub direct_map_level3_splits: u64,
    /// Flushes of the whole TLB so far.
    pub flush_tlb_all: u64,
    /// Programs that are loaded.
    pub programs_alive: u64,
    /// Pages of 4 KiB that are executable.
    pub executable_pages: u64,
    /// Bytes that the loaded programs asked for.
    pub image_bytes: u64,
    /// Bytes lost to headers and rounding.
    pub padding_bytes: u64,
    /// Bytes of executable pages that belong to no program.
    pub unused_bytes: u64,
    /// Bytes of freed text that are still executable.
    pub stale_bytes: u64,
}
