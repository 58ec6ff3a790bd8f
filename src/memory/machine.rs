//! Puts a machine together: which zones it has, which CPU uses which first, how much each keeps back.

use super::allocator::Stretch;
use super::buddy::Fragment;
use super::layout::MemoryLayout;
use super::rules::PageAllocRules;
use super::watermark::{self, ZoneSize};
use super::zone::{Zone, ZoneClass};
use crate::units::{MAX_PFN, Pfn, PfnRange};

pub(super) fn node_of_cpu(cpu: u32, cpus: u32, nodes: u32) -> u32 {
    (u64::from(cpu) * u64::from(nodes) / u64::from(cpus)).min(u64::from(nodes) - 1) as u32
}

/// The zones of a layout, by node and class, all pages in use.
pub(super) fn zones_of(layout: &MemoryLayout, rules: &PageAllocRules) -> Vec<Zone> {
    let mut zones = Vec::new();
    for node in 0..layout.nodes() {
        for class in ZoneClass::ALL {
            let (start, end) = class.frames();
            let span = PfnRange::new(Pfn::new(start), Pfn::new(end.min(MAX_PFN)));
            let ranges: Vec<PfnRange> = layout
                .ranges()
                .iter()
                .filter(|range| range.node == node)
                .map(|range| range.range.intersection(span))
                .filter(|range| !range.is_empty())
                .collect();
            if !ranges.is_empty() {
                zones.push(Zone::new(node, class, ranges, rules));
            }
        }
    }
    zones
}

pub(super) fn set_limits(zones: &mut [Zone], nodes: u32, cpus: u32, rules: &PageAllocRules) {
    let above = |zone: &Zone| {
        zones
            .iter()
            .filter(|other| other.node == zone.node && other.class > zone.class)
            .map(|other| other.managed)
            .sum()
    };
    let sizes: Vec<ZoneSize> =
        zones.iter().map(|zone| ZoneSize { managed: zone.managed, above: above(zone) }).collect();
    let mut cpus_of_node = vec![0u64; nodes as usize];
    for cpu in 0..cpus {
        cpus_of_node[node_of_cpu(cpu, cpus, nodes) as usize] += 1;
    }
    for (zone, marks) in zones.iter_mut().zip(watermark::marks(&sizes, rules)) {
        // A node without CPUs shares its lists among all of them.
        let cpus = match cpus_of_node[zone.node as usize] {
            0 => u64::from(cpus),
            own => own,
        };
        zone.marks = marks;
        zone.limits = watermark::pcp_limits(zone.managed, &marks, cpus, rules);
    }
}

pub(super) fn stretches_of(zones: &[Zone]) -> Vec<Stretch> {
    let of = |(index, zone): (usize, &Zone)| {
        zone.ranges.iter().map(move |range| (range.start().get(), range.end().get(), index as u32)).collect::<Vec<_>>()
    };
    let mut all: Vec<(u64, u64, u32)> = zones.iter().enumerate().flat_map(of).collect();
    all.sort_unstable();
    let mut stretches: Vec<Stretch> = Vec::new();
    for (start, end, zone) in all {
        match stretches.last_mut() {
            Some(last) if last.zone == zone => last.end = end,
            _ => stretches.push(Stretch { start, end, zone }),
        }
    }
    stretches
}

/// The zones for requests of one node: its own from the highest down, then those of the following nodes
/// (`build_zonelists@6.1` with equal distances).
pub(super) fn zonelist(zones: &[Zone], node: u32, nodes: u32) -> Vec<u32> {
    let mut list: Vec<u32> = (0..zones.len() as u32).collect();
    let distance = |zone: &Zone| (zone.node + nodes - node) % nodes;
    list.sort_by_key(|index| {
        let zone = &zones[*index as usize];
        (distance(zone), std::cmp::Reverse(zone.class))
    });
    list
}

/// Requests that prefer a NORMAL zone first avoid mixing types, if the node has lower zones to turn to
/// (`alloc_flags_nofragment@6.1`).
pub(super) fn first_try(zones: &[Zone], list: &[u32], nodes: u32) -> Fragment {
    let preferred = &zones[list[0] as usize];
    let lower = zones.iter().any(|zone| zone.node == preferred.node && zone.class == ZoneClass::Dma32);
    if preferred.class == ZoneClass::Normal && (nodes == 1 || lower) { Fragment::Avoided } else { Fragment::Allowed }
}
