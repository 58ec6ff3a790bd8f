//! Watermarks, protection of the low zones and the size of the per-CPU lists, from the zones' sizes.

use super::rules::{HugePages, PageAllocRules, PcpTuning};
use crate::units::PAGES_PER_2M;

/// The marks of one zone, in free pages (`zone->_watermark`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub min: u64,
    pub low: u64,
    pub high: u64,
    /// Pages kept back from requests that would rather have a higher zone (`lowmem_reserve[ZONE_NORMAL]`).
    pub reserve: u64,
}

/// Sizes of the per-CPU lists of one zone, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PcpLimits {
    pub batch: u32,
    pub high_min: u32,
    pub high_max: u32,
}

/// What the sizes are computed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZoneSize {
    /// Pages that the allocator manages (`zone_managed_pages`).
    pub managed: u64,
    /// Pages managed by the higher zones of the node.
    pub above: u64,
}

/// `sysctl_lowmem_reserve_ratio` of DMA and DMA32.
const LOWMEM_RESERVE_RATIO: u64 = 256;
/// `watermark_scale_factor`, of 10,000.
const SCALE_FACTOR: u64 = 10;
/// `MIN_PERCPU_PAGELIST_HIGH_FRACTION`: the tuned limit reaches at most this part of a zone.
const HIGH_FRACTION: u64 = 8;

/// `min_free_kbytes` in pages: the kernel's default, raised by khugepaged if huge pages are on
/// (`calculate_min_free_kbytes@6.1`, `khugepaged.c:set_recommended_min_free_kbytes@6.1`).
fn min_free_pages(zones: &[ZoneSize], huge_pages: HugePages) -> u64 {
    let managed: u64 = zones.iter().map(|zone| zone.managed).sum();
    let default_kb = (managed * 4 * 16).isqrt().clamp(128, 262_144);
    let recommended = match huge_pages {
        HugePages::Off => 0,
        HugePages::On => {
            let populated = zones.iter().filter(|zone| zone.managed > 0).count() as u64;
            // Two pageblocks of each zone, and one for each pair of types that could mix.
            (PAGES_PER_2M * populated * (2 + 3 * 3)).min(managed / 20)
        }
    };
    (default_kb / 4).max(recommended)
}

/// The marks of all zones (`__setup_per_zone_wmarks@6.1`, `setup_per_zone_lowmem_reserve@6.1`).
///
/// The boost after a fallback (`boost_watermark`) is left out: kswapd takes it back within moments.
pub(super) fn marks(zones: &[ZoneSize], rules: &PageAllocRules) -> Vec<Marks> {
    let total: u64 = zones.iter().map(|zone| zone.managed).sum::<u64>().max(1);
    let min_free = min_free_pages(zones, rules.huge_pages);
    let of = |zone: &ZoneSize| {
        let min = (u128::from(min_free) * u128::from(zone.managed) / u128::from(total)) as u64;
        let step = (min >> 2).max(zone.managed * SCALE_FACTOR / 10_000);
        Marks { min, low: min + step, high: min + 2 * step, reserve: zone.above / LOWMEM_RESERVE_RATIO }
    };
    zones.iter().map(of).collect()
}

/// Pages that one refill takes (`zone_batchsize@6.1`): 63 for zones from 1 GiB on.
pub(super) fn batch(managed: u64) -> u32 {
    let quarter = (managed / 1024).min(256) / 4;
    let batch = quarter.max(1);
    let around = batch + batch / 2;
    ((1u64 << around.ilog2()) - 1) as u32
}

/// The sizes of a zone's per-CPU lists (`zone_highsize@6.1`, `pageset_set_batch@5.10`).
pub(super) fn pcp_limits(managed: u64, marks: &Marks, cpus_of_node: u64, rules: &PageAllocRules) -> PcpLimits {
    // A zone under 8 MiB gets batch 0 by the formula, which `zone_set_pageset_high_and_batch` makes 1.
    let batch = batch(managed).max(1);
    let share = |pages: u64| ((pages / cpus_of_node.max(1)) as u32).max(batch << 2);
    match rules.tuning {
        PcpTuning::Fixed => PcpLimits { batch, high_min: 6 * batch, high_max: 6 * batch },
        PcpTuning::FreeFactor => PcpLimits { batch, high_min: share(marks.low), high_max: share(marks.low) },
        PcpTuning::Auto => PcpLimits { batch, high_min: share(marks.low), high_max: share(managed / HIGH_FRACTION) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_is_63_from_one_gibibyte_on() {
        assert_eq!(batch(1 << 18), 63);
        assert_eq!(batch(1 << 30), 63);
        assert_eq!(batch(3975), 0, "the DMA zone");
        assert_eq!(batch(1 << 16), 15);
    }

    #[test]
    fn low_mark_is_a_quarter_or_a_thousandth_above_min() {
        let zones = [ZoneSize { managed: 3977, above: 1_000_000 }, ZoneSize { managed: 1_000_000, above: 0 }];
        let all = marks(&zones, &PageAllocRules { huge_pages: HugePages::Off, ..PageAllocRules::v6_1() });
        // int_sqrt(4015908 * 16) kB = 8015 kB = 2003 pages.
        assert_eq!(all[1].min, 2003 * 1_000_000 / 1_003_977);
        assert_eq!(all[1].low - all[1].min, 1000);
        assert_eq!(all[1].high, 2 * all[1].low - all[1].min);
        assert_eq!((all[0].reserve, all[1].reserve), (3906, 0));
    }

    #[test]
    fn huge_pages_raise_the_marks() {
        // Three populated zones: 512 * 3 * 11 pages, the 67584 kB that 4 GiB hosts show in /proc/sys/vm.
        let zone = ZoneSize { managed: 340_000, above: 0 };
        assert_eq!(min_free_pages(&[zone; 3], HugePages::On), 67_584 / 4);
        let old = pcp_limits(1 << 20, &Marks::default(), 1, &PageAllocRules::v5_10());
        assert_eq!((old.batch, old.high_min), (63, 378));
        let marks = Marks { low: 10_560, ..Marks::default() };
        assert_eq!(pcp_limits(1 << 20, &marks, 2, &PageAllocRules::v6_1()).high_min, 5280);
    }
}
