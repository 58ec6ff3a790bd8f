//! Which page frames are RAM, and to which node each belongs.

use crate::units::{Bytes, PAGE_BYTES, Pfn, PfnRange};

/// First frame of the NORMAL zone: 4 GiB.
pub(super) const FOUR_GIB: u64 = 1 << 20;
/// First frame of the DMA32 zone: 16 MiB.
pub(super) const SIXTEEN_MIB: u64 = 1 << 12;
/// Frames of the largest machine: 64 TiB, what the direct map of 4-level page tables holds.
const MAX_FRAMES: u64 = 1 << 34;
/// Least memory of a machine, and of each of its nodes: one section of the sparse memory model. With less, the kernel
/// image (34 MiB from 16 MiB up), what boot allocates (25 MB) and the reservations at the top of a node get into each
/// other's way, so that less memory could hold more programs.
pub const MIN_MEMORY: Bytes = Bytes::new(128 << 20);
/// The same in frames.
const MIN_FRAMES: u64 = MIN_MEMORY.get() / PAGE_BYTES;
/// First frame of the legacy hole: RAM ends at 0x9fc00, in the middle of frame 159.
const LEGACY_HOLE_START: u64 = 159;
/// First frame after the legacy hole, 1 MiB.
const LEGACY_HOLE_END: u64 = 256;
/// q35 puts all RAM below 4 GiB if it is less than this (2.75 GiB) ...
const Q35_LOW_ALL: u64 = 0xb000_0000 / PAGE_BYTES;
/// ... and otherwise this much (2 GiB).
const LOW_RAM: u64 = 0x8000_0000 / PAGE_BYTES;
/// Frames that the firmware keeps for ACPI tables at the top of low RAM (0x7ffdf000 of 0x80000000).
const ACPI_FRAMES: u64 = 33;

/// A range of RAM and the node that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRange {
    /// The NUMA node, from 0.
    pub node: u32,
    /// The frames.
    pub range: PfnRange,
}

/// The RAM of a machine: ascending ranges that do not overlap, as the e820 map leaves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLayout {
    ranges: Vec<NodeRange>,
}

/// Why a list of ranges is no memory layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// There is no range at all.
    #[error("a machine needs at least one range of RAM")]
    NoRam,
    /// A range holds no frame.
    #[error("RAM range {index} ({start:#x}..{end:#x}) is empty")]
    Empty {
        /// Position in the list, from 0.
        index: usize,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
    },
    /// A range starts below the end of the one before it.
    #[error(
        "RAM range {index} starts at {start:#x}, but the range before it ends at {before:#x}: \
         they overlap or are not in ascending order"
    )]
    Overlap {
        /// Position in the list, from 0.
        index: usize,
        /// First byte of the range.
        start: u64,
        /// One past the last byte of the range before.
        before: u64,
    },
    /// RAM reaches past what the direct map of 4-level page tables can hold.
    #[error("RAM range {index} ends at {end:#x}, past the 64 TiB that the direct map can hold")]
    TooLarge {
        /// Position in the list, from 0.
        index: usize,
        /// One past the last byte.
        end: u64,
    },
    /// The machine has too little memory for a kernel.
    #[error("{bytes} bytes of RAM are not enough for a kernel: at least 128 MiB are needed")]
    TooSmall {
        /// Bytes asked for.
        bytes: u64,
    },
    /// The machine has more memory than the direct map holds.
    #[error("{bytes} bytes of RAM are more than the 64 TiB that the direct map can hold")]
    MemoryTooLarge {
        /// Bytes asked for.
        bytes: u64,
    },
    /// The node count cannot be used.
    #[error(
        "{nodes} nodes cannot share {pages} pages of RAM: each node needs at least 128 MiB, and at most 1024 nodes exist"
    )]
    Nodes {
        /// Nodes asked for.
        nodes: u32,
        /// Pages of RAM.
        pages: u64,
    },
    /// Node numbers have a gap.
    #[error("node {node} has no RAM, but a node with a higher number has")]
    NodeGap {
        /// The missing node.
        node: u32,
    },
}

/// Largest number of nodes (`1 << CONFIG_NODES_SHIFT` of distribution kernels).
const MAX_NODES: u32 = 1024;

impl MemoryLayout {
    /// A QEMU q35 guest with this much memory: all of it below 4 GiB if it is less than 2.75 GiB, else 2 GiB below
    /// and the rest from 4 GiB up; the legacy hole below 1 MiB; ACPI tables at the top of low RAM.
    ///
    /// # Errors
    /// If the memory is less than [`MIN_MEMORY`] or more than the direct map holds.
    pub fn q35(memory: Bytes) -> Result<Self, LayoutError> {
        let pages = checked_pages(memory)?;
        let low = if pages < Q35_LOW_ALL { pages } else { LOW_RAM };
        Self::from_ranges(pc_ranges(low - ACPI_FRAMES, pages - low).collect())
    }

    /// A plain server: a hole below 4 GiB (2 GiB of RAM below it, the rest above) and `nodes` nodes of equal size,
    /// each contiguous but for the hole.
    ///
    /// # Errors
    /// If the memory is too small or too large, or cannot be shared by so many nodes.
    pub fn server(memory: Bytes, nodes: u32) -> Result<Self, LayoutError> {
        let pages = checked_pages(memory)?;
        if nodes == 0 || nodes > MAX_NODES || pages / u64::from(nodes) < MIN_FRAMES {
            return Err(LayoutError::Nodes { nodes, pages });
        }
        let low = pages.min(LOW_RAM);
        // Nodes end at whole pageblocks, as firmware tables have them.
        let share = (pages / u64::from(nodes)) / 512 * 512;
        let mut ranges = Vec::new();
        let mut node = 0;
        let mut room = share;
        for piece in pc_ranges(low, pages - low) {
            let mut start = piece.range.start();
            while start < piece.range.end() {
                let rest = piece.range.end().get() - start.get();
                let take = if node + 1 == nodes { rest } else { rest.min(room) };
                ranges.push(NodeRange { node, range: PfnRange::with_len(start, take) });
                start = start.offset(take);
                room = room.saturating_sub(take);
                if room == 0 && node + 1 < nodes {
                    (node, room) = (node + 1, share);
                }
            }
        }
        Self::from_ranges(ranges)
    }

    /// Exactly these ranges.
    ///
    /// # Errors
    /// If a range is empty, overlaps the one before, is out of order, or lies past 64 TiB; if node numbers have gaps.
    pub fn from_ranges(ranges: Vec<NodeRange>) -> Result<Self, LayoutError> {
        let mut before = 0;
        for (index, NodeRange { range, .. }) in ranges.iter().enumerate() {
            let (start, end) = (range.start().address().get(), range.end().address().get());
            if range.is_empty() {
                return Err(LayoutError::Empty { index, start, end });
            }
            if start < before {
                return Err(LayoutError::Overlap { index, start, before });
            }
            if range.end().get() > MAX_FRAMES {
                return Err(LayoutError::TooLarge { index, end });
            }
            before = end;
        }
        let Some(last) = ranges.iter().map(|range| range.node).max() else { return Err(LayoutError::NoRam) };
        if last >= MAX_NODES {
            return Err(LayoutError::Nodes { nodes: last.saturating_add(1), pages: before / PAGE_BYTES });
        }
        match (0..last).find(|node| ranges.iter().all(|range| range.node != *node)) {
            Some(node) => Err(LayoutError::NodeGap { node }),
            None => Ok(Self { ranges }),
        }
    }

    /// The ranges, in ascending order.
    pub fn ranges(&self) -> &[NodeRange] {
        &self.ranges
    }

    /// Pages of RAM (`spanned - holes`, what the kernel calls present pages).
    pub fn pages(&self) -> u64 {
        self.ranges.iter().map(|range| range.range.pages()).sum()
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> u32 {
        self.ranges.iter().map(|range| range.node + 1).max().unwrap_or(0)
    }
}

fn checked_pages(memory: Bytes) -> Result<u64, LayoutError> {
    let pages = memory.get() / PAGE_BYTES;
    // What does not fit below the hole moves up, so the top is a little higher than the amount.
    match pages {
        0..MIN_FRAMES => Err(LayoutError::TooSmall { bytes: memory.get() }),
        _ if pages > MAX_FRAMES - FOUR_GIB => Err(LayoutError::MemoryTooLarge { bytes: memory.get() }),
        _ => Ok(pages),
    }
}

/// RAM of a PC on node 0: below the legacy hole, up to frame `low_end`, and `high` frames from 4 GiB up.
fn pc_ranges(low_end: u64, high: u64) -> impl Iterator<Item = NodeRange> {
    [(0, LEGACY_HOLE_START), (LEGACY_HOLE_END, low_end), (FOUR_GIB, FOUR_GIB + high)]
        .into_iter()
        .map(|(start, end)| NodeRange { node: 0, range: PfnRange::new(Pfn::new(start), Pfn::new(end)) })
        .filter(|range| !range.range.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn spans(layout: &MemoryLayout) -> Vec<(u32, u64, u64)> {
        layout.ranges().iter().map(|r| (r.node, r.range.start().get(), r.range.end().get())).collect()
    }

    #[test]
    fn q35_guests_have_the_recorded_shapes() {
        let layout = |gib| MemoryLayout::q35(Bytes::new(gib * GIB)).unwrap();
        assert_eq!(spans(&layout(1)), [(0, 0, 159), (0, 256, 262_111)]);
        assert_eq!(spans(&layout(4)), [(0, 0, 159), (0, 256, 0x7ffdf), (0, 1 << 20, 1_572_864)]);
        assert_eq!(spans(&layout(8))[2], (0, 1 << 20, 2_621_440));
        assert_eq!(layout(2).nodes(), 1);
    }

    #[test]
    fn a_server_shares_its_memory_among_the_nodes() {
        let layout = MemoryLayout::server(Bytes::new(64 * GIB), 4).unwrap();
        assert_eq!(layout.nodes(), 4);
        let of = |node| layout.ranges().iter().filter(|r| r.node == node).map(|r| r.range.pages()).sum::<u64>();
        for node in 0..4 {
            assert!((4_190_000..4_200_000).contains(&of(node)), "{node}: {}", of(node));
        }
        // Node 0 lies on both sides of the hole.
        assert!(layout.ranges().iter().filter(|r| r.node == 0).count() >= 3);
        assert_eq!(layout.pages(), 64 * GIB / 4096 - 97);
    }

    #[test]
    fn errors_say_which_range_is_wrong() {
        let range = |node, start, end| NodeRange { node, range: PfnRange::new(Pfn::new(start), Pfn::new(end)) };
        let error = |ranges: Vec<NodeRange>| MemoryLayout::from_ranges(ranges).unwrap_err();
        assert_eq!(error(vec![]), LayoutError::NoRam);
        assert!(matches!(error(vec![range(0, 5, 5)]), LayoutError::Empty { index: 0, .. }));
        assert!(matches!(error(vec![range(0, 0, 9), range(0, 8, 12)]), LayoutError::Overlap { index: 1, .. }));
        assert!(matches!(error(vec![range(0, 0, (1 << 34) + 1)]), LayoutError::TooLarge { index: 0, .. }));
        assert_eq!(error(vec![range(1, 0, 9)]), LayoutError::NodeGap { node: 0 });
        assert!(matches!(MemoryLayout::q35(Bytes::new((128 << 20) - 4096)), Err(LayoutError::TooSmall { .. })));
        assert!(matches!(MemoryLayout::q35(Bytes::new(1 << 63)), Err(LayoutError::MemoryTooLarge { .. })));
        assert!(matches!(MemoryLayout::server(Bytes::new(GIB), 0), Err(LayoutError::Nodes { .. })));
        assert!(MemoryLayout::q35(MIN_MEMORY).is_ok() && MemoryLayout::server(Bytes::new(GIB), 8).is_ok());
        assert!(matches!(MemoryLayout::server(Bytes::new(GIB), 9), Err(LayoutError::Nodes { .. })));
    }
}
