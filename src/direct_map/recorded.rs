//! Recorded boots of real kernels against the model's.
//!
//! Debian cloud kernels in QEMU (q35, `nokaslr`), when init started. Every recording holds the kernel's own counters
//! and, independently, a walk of its page tables from outside.

use super::*;

/// Version, RAM in MiB, `DirectMap4k`, `2M`, `1G` in kB, and the walked entries of these sizes.
type Boot = (&'static str, u64, [u64; 3], [u64; 3]);

const BOOTS: [Boot; 23] = [
    ("5.10.262", 1024, [22396, 1026048, 0], [3039, 506, 0]),
    ("5.10.262", 2048, [22396, 2074624, 0], [3039, 1018, 0]),
    ("5.10.262", 4096, [22396, 3123200, 3145728], [3039, 1530, 1]),
    ("5.10.262", 8192, [22396, 3123200, 7340032], [3039, 1530, 5]),
    ("6.1.192", 1024, [26492, 1021952, 0], [4063, 504, 0]),
    ("6.1.192", 2048, [26492, 2070528, 0], [4063, 1016, 0]),
    ("6.1.192", 4096, [24444, 4169728, 2097152], [3551, 2041, 0]),
    ("6.1.192", 8192, [24444, 4169728, 6291456], [3551, 2041, 4]),
    ("6.12.117", 1024, [22396, 1026048, 0], [3551, 505, 0]),
    ("6.12.117", 2048, [22396, 2074624, 0], [3551, 1017, 0]),
    ("6.12.117", 4096, [20348, 4173824, 2097152], [3039, 2042, 0]),
    ("6.12.117", 8192, [20348, 4173824, 6291456], [3039, 2042, 4]),
    ("6.16.12", 4096, [22396, 3123200, 3145728], [3551, 1529, 1]),
    ("6.18.15", 1024, [24444, 1024000, 0], [3551, 505, 0]),
    ("6.18.15", 2048, [24444, 2072576, 0], [3551, 1017, 0]),
    ("6.18.15", 4096, [24444, 3121152, 3145728], [3551, 1529, 1]),
    ("6.18.15", 8192, [24444, 3121152, 7340032], [3551, 1529, 5]),
    ("6.19.14", 4096, [22396, 3123200, 3145728], [3039, 1530, 1]),
    ("7.0.13", 4096, [22396, 3123200, 3145728], [3039, 1530, 1]),
    ("7.3.4", 1024, [20348, 1028096, 0], [2527, 507, 0]),
    ("7.3.4", 2048, [20348, 2076672, 0], [2527, 1019, 0]),
    ("7.3.4", 4096, [20348, 3125248, 3145728], [2527, 1531, 1]),
    ("7.3.4", 8192, [20348, 3125248, 7340032], [2527, 1531, 5]),
];

/// The walked direct map of Debian 5.10.262, q35, 4 GiB: frame, frames, size, permissions.
const LAYOUT_5_10: &str = "
    0 153 4K rw; 153 1 4K ro; 154 1 4K rox; 155 357 4K rw; 512 3584 2M rw; 4096 3072 2M ro; 7168 3 4K ro;
    7171 509 4K rw; 7680 1536 2M ro; 9216 223 4K ro; 9439 289 4K rw; 9728 2048 2M rw; 11776 108 4K rw;
    11884 1 4K ro; 11885 403 4K rw; 12288 511488 2M rw; 523776 479 4K rw; 1048576 262144 1G rw;
    1310720 244736 2M rw; 1555456 78 4K rw; 1555534 1 4K ro; 1555535 433 4K rw; 1555968 16896 2M rw";

/// The walked direct map of Debian 7.3.4, q35, 4 GiB. Its first BPF pack is a read-only 2 MiB entry.
const LAYOUT_7_3: &str = "
    0 152 4K rw; 152 1 4K ro; 153 2 4K rox; 155 357 4K rw; 512 3584 2M rw; 4096 4096 2M ro; 8192 368 4K ro;
    8560 144 4K rw; 8704 3072 2M ro; 11776 360 4K ro; 12136 152 4K rw; 12288 3072 2M rw; 15360 256 4K rw;
    15616 1 4K ro; 15617 255 4K rw; 15872 507904 2M rw; 523776 479 4K rw; 1048576 2560 2M rw;
    1051136 512 2M ro; 1051648 259072 2M rw; 1310720 262144 1G rw";

/// A q35 guest: RAM up to 2 GiB below the hole, the rest from 4 GiB on; ACPI tables at the end of low memory.
fn guest(mib: u64) -> DirectMap {
    let range = |start, end| PfnRange::new(Pfn::new(start), Pfn::new(end));
    let low_end = mib.min(2048) * 256 - 33;
    let high = mib.saturating_sub(2048) * 256;
    let ram = [range(0, 159), range(256, low_end), range(1 << 20, (1 << 20) + high)];
    DirectMap::boot(&ram, BootOptions::default())
}

fn sizes(counters: DirectMapCounters) -> [u64; 3] {
    [counters.direct_map_4k, counters.direct_map_2m, counters.direct_map_1g]
}

fn kilobytes(counters: DirectMapCounters) -> [u64; 3] {
    [counters.direct_map_4k_kb(), counters.direct_map_2m_kb(), counters.direct_map_1g_kb()]
}

fn parse(layout: &str) -> Vec<Leaf> {
    let leaf = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [start, pages, size, perms] = fields[..] else { panic!("{line}") };
        Leaf {
            range: PfnRange::with_len(Pfn::new(start.parse().unwrap()), pages.parse().unwrap()),
            size: PageSize::ALL.into_iter().find(|known| known.to_string() == size).unwrap(),
            perms: perms.parse().unwrap(),
        }
    };
    layout.split(';').map(leaf).collect()
}

/// What a walk from outside can see.
fn visible(leaves: impl Iterator<Item = Leaf>) -> Vec<(PfnRange, PageSize, String)> {
    let mut seen: Vec<(PfnRange, PageSize, String)> = Vec::new();
    for leaf in leaves {
        let perms = leaf.perms.to_string();
        match seen.last_mut() {
            Some((range, size, last))
                if range.end() == leaf.range.start() && (*size, &*last) == (leaf.size, &perms) =>
            {
                *range = PfnRange::new(range.start(), leaf.range.end());
            }
            _ => seen.push((leaf.range, leaf.size, perms)),
        }
    }
    seen
}

/// Every recorded boot is the model's plus some splits of the direct map, which the walk shows, and some of the
/// kernel image's mapping, which only the counters show.
#[test]
fn recorded_boots_differ_from_the_model_by_boot_time_splits_only() {
    for (version, mib, shown, walked) in BOOTS {
        let mut map = guest(mib);
        let start = sizes(map.counters(CounterView::Mapped));
        let level3 = start[2] - walked[2];
        let level2 = (walked[0] - start[0]) / 512;
        assert!(level3 <= 2 && (3..=6).contains(&level2), "{version}, {mib} MiB: {level3}, {level2}");
        let read_only = PermChange::read_only(CpaEra::From6_15);
        for slot in 0..level3 {
            let block = PfnRange::with_len(Pfn::new((4 + slot) << 18), 512);
            assert_eq!(map.change(block, read_only, Walk::Range).level3_splits, 1);
        }
        for block in 8..8 + level2 {
            let page = PfnRange::with_len(Pfn::new(block << 9), 1);
            assert_eq!(map.change(page, read_only, Walk::Range).level2_splits, 1);
        }
        assert_eq!(sizes(map.counters(CounterView::Mapped)), walked, "{version}, {mib} MiB");

        let image = (shown[0] / 4 - map.counters(CounterView::Kernel).direct_map_4k) / 512;
        assert!((4..=5).contains(&image), "{version}, {mib} MiB: {image} splits of the kernel image");
        map.split_kernel_image_entry(image);
        let kernel = map.counters(CounterView::Kernel);
        assert_eq!(kilobytes(kernel), shown, "{version}, {mib} MiB");
        assert_eq!((kernel.level2_splits, kernel.level3_splits), (0, 0));
    }
}

#[test]
fn recorded_layouts_come_out_of_boot_and_changes() {
    for (layout, level2, level3) in [(LAYOUT_5_10, 4, 1), (LAYOUT_7_3, 3, 1)] {
        let recorded = parse(layout);
        let mut map = guest(4096);
        let mut done = Change::default();
        for &Leaf { range, size, perms } in &recorded {
            let change = PermChange { set: perms, clear: Perms::WRITE | Perms::DIRTY };
            let walk = if size == PageSize::Size4K { Walk::Force4k } else { Walk::Range };
            done += map.change(range, change, walk);
        }
        assert_eq!((done.level2_splits, done.level3_splits), (level2, level3));
        assert_eq!(visible(map.leaves()), visible(recorded.iter().copied()));
        let read = DirectMap::from_leaves(&recorded).unwrap();
        assert_eq!(sizes(read.counters(CounterView::Kernel)), sizes(map.counters(CounterView::Mapped)));
        assert_eq!(visible(read.leaves()), visible(map.leaves()));
    }
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let refused = |layout| DirectMap::from_leaves(&parse(layout)).unwrap_err();
    let range = |start, pages| PfnRange::with_len(Pfn::new(start), pages);
    assert_eq!(refused("0 256 2M rw"), LeafError::Unaligned { range: range(0, 256), size: PageSize::Size2M });
    assert_eq!(
        refused("512 262144 1G rw"),
        LeafError::Unaligned { range: range(512, 262_144), size: PageSize::Size1G }
    );
    assert_eq!(refused("512 512 2M rw; 0 513 4K rw"), LeafError::Overlap { at: Pfn::new(512) });
    assert_eq!(refused("0 512 2M rw; 0 512 2M ro").to_string(), "frame 0 is mapped twice");
    assert_eq!(DirectMap::from_leaves(&[]).unwrap().leaves().count(), 0);
    let mut empty = DirectMap::from_leaves(&[]).unwrap();
    assert_eq!(empty.change(range(0, 5), PermChange::read_write(), Walk::Force4k).changed, 0);
}
