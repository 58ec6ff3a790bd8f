//! Which page size each address is mapped with.
//!
//! Three tables like those of the hardware, whatever the map looks like, and beside them one for the first 4 TiB that are
//! mapped, in which a look-up is one load.

use std::ops::RangeInclusive;

use super::access::{ADDRESS_BITS, Access};
use crate::units::PageSize;

/// Entries of one table.
const ENTRIES: usize = 512;
/// Address bits below an entry of the last table: 2 MiB.
const LOW_SHIFT: u32 = 21;
/// Address bits below an entry of the middle table: 1 GiB.
const MIDDLE_SHIFT: u32 = 30;
/// Address bits below an entry of the first table: 512 GiB.
const TOP_SHIFT: u32 = 39;
/// Entries of the first table.
const TOP_ENTRIES: usize = 1 << (ADDRESS_BITS - TOP_SHIFT);
/// What a last table holds where nothing is mapped.
const UNMAPPED: u8 = 3;
/// Values of [`LeafMap::code_at`].
pub(super) const CODES: usize = 4;
/// Most GiB whose blocks of 2 MiB are found by one load.
const MOST_FLAT: u64 = 4096;
/// The tables that are the same all over, one for each size and one for nothing, stand first.
const UNIFORM: usize = 4;

/// Page sizes by address. Addresses are 57 bits wide, so that user, kernel and physical addresses all fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafMap {
    top: Box<[u32; TOP_ENTRIES]>,
    middle: Vec<[u32; ENTRIES]>,
    low: Vec<[u8; ENTRIES]>,
    /// The codes of the first blocks that are mapped, so that one look-up there is one load.
    flat: Vec<u8>,
    /// The first of these blocks, which begins a GiB.
    flat_start: u64,
    /// The code that all addresses have, if the map is made so.
    uniform: Option<u8>,
}

/// A part of the map that is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The first address that is mapped already.
    pub address: u64,
}

impl LeafMap {
    /// A map of nothing but pages of this size.
    pub fn uniform(size: PageSize) -> Self {
        Self { uniform: Some(code(size)), ..Self::filled(code(size)) }
    }

    fn filled(code: u8) -> Self {
        let low = (0..UNIFORM as u8).map(|code| [code; ENTRIES]).collect();
        let middle = (0..UNIFORM as u32).map(|code| [code; ENTRIES]).collect();
        let top = vec![u32::from(code); TOP_ENTRIES].into_boxed_slice().try_into().expect("it has so many entries");
        Self { top, middle, low, flat: Vec::new(), flat_start: 0, uniform: None }
    }

    /// The size of the page at an address; `None` if nothing is mapped there.
    pub fn size_at(&self, access: Access) -> Option<PageSize> {
        PageSize::ALL.get(usize::from(self.code_at(access))).copied()
    }

    /// 0, 1 or 2 for pages of 4K, 2M and 1G, 3 where nothing is mapped.
    #[inline(always)]
    pub(super) fn code_at(&self, access: Access) -> u8 {
        let address = access.address();
        let block = (address >> LOW_SHIFT).wrapping_sub(self.flat_start);
        self.flat.get(block as usize).copied().unwrap_or_else(|| self.walk(address))
    }

    /// The code that all addresses have, if the map is made so.
    #[inline(always)]
    pub(super) const fn uniform_code(&self) -> Option<u8> {
        self.uniform
    }

    #[inline]
    fn walk(&self, address: u64) -> u8 {
        self.low_table(address)[(address >> LOW_SHIFT) as usize % ENTRIES]
    }

    /// The codes of the blocks of an address's GiB.
    #[inline(always)]
    fn low_table(&self, address: u64) -> &[u8; ENTRIES] {
        let middle = self.top[(address >> TOP_SHIFT) as usize % TOP_ENTRIES];
        &self.low[self.middle[middle as usize][(address >> MIDDLE_SHIFT) as usize % ENTRIES] as usize]
    }
}

/// The number of a size in the tables.
const fn code(size: PageSize) -> u8 {
    size as u8
}

/// Puts a [`LeafMap`] together.
#[derive(Clone, Debug)]
pub struct LeafMapBuilder {
    map: LeafMap,
    /// The blocks of 2 MiB from the first to the last one that is mapped.
    mapped: Option<RangeInclusive<u64>>,
}

impl Default for LeafMapBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl LeafMapBuilder {
    /// A map of nothing.
    pub fn new() -> Self {
        Self { map: LeafMap::filled(UNMAPPED), mapped: None }
    }

    /// Maps `bytes` from `start` on with pages of this size. Pages of 4K that do not fill 2 MiB stand for the whole
    /// 2 MiB, because what else lies there can only be 4K as well.
    ///
    /// # Errors
    /// A part is mapped already, with pages of another size.
    ///
    /// # Panics
    /// If `start` is not aligned to `size`, or the end lies above the address space.
    pub fn map(&mut self, start: u64, bytes: u64, size: PageSize) -> Result<(), Overlap> {
        let start = Access::load(start).address();
        assert!(start.is_multiple_of(size.bytes().get()), "{start:#x} is not aligned to {size}");
        let end = start + bytes;
        assert!(end <= 1 << ADDRESS_BITS, "the range ends above the address space");
        if bytes > 0 {
            let (first, last) = (start >> LOW_SHIFT, (end - 1) >> LOW_SHIFT);
            let mapped = self.mapped.take().unwrap_or(first..=last);
            self.mapped = Some(first.min(*mapped.start())..=last.max(*mapped.end()));
        }
        let block = 1 << LOW_SHIFT;
        let mut at = start - start % block;
        while at < end {
            at += self.map_at(at, end - at, size)?;
        }
        Ok(())
    }

    /// Maps as much as one entry of one table covers; returns how much.
    fn map_at(&mut self, at: u64, bytes: u64, size: PageSize) -> Result<u64, Overlap> {
        let wanted = u32::from(code(size));
        let (top, middle, low) =
            ((at >> TOP_SHIFT) as usize, (at >> MIDDLE_SHIFT) as usize % ENTRIES, (at >> LOW_SHIFT) as usize % ENTRIES);
        let (free, overlap) = (u32::from(UNMAPPED), Overlap { address: at });
        if bytes >= 1 << TOP_SHIFT && at.is_multiple_of(1 << TOP_SHIFT) && self.map.top[top] == free {
            self.map.top[top] = wanted;
            return Ok(1 << TOP_SHIFT);
        }
        let table = own(&mut self.map.top[top], &mut self.map.middle);
        let entry = &mut self.map.middle[table][middle];
        if bytes >= 1 << MIDDLE_SHIFT && at.is_multiple_of(1 << MIDDLE_SHIFT) && (*entry == free || *entry == wanted) {
            *entry = wanted;
            return Ok(1 << MIDDLE_SHIFT);
        }
        if size == PageSize::Size1G {
            return Err(overlap);
        }
        let table = own(entry, &mut self.map.low);
        let slot = &mut self.map.low[table][low];
        if *slot != UNMAPPED && *slot != code(size) {
            return Err(overlap);
        }
        *slot = code(size);
        Ok(1 << LOW_SHIFT)
    }

    /// Maps everything that is not mapped yet with pages of this size.
    pub fn map_rest(&mut self, size: PageSize) {
        let replace = |entry: &mut u32| {
            if *entry == u32::from(UNMAPPED) {
                *entry = u32::from(code(size));
            }
        };
        self.map.top.iter_mut().for_each(replace);
        self.map.middle[UNIFORM..].iter_mut().flatten().for_each(replace);
        for slot in self.map.low[UNIFORM..].iter_mut().flatten() {
            if *slot == UNMAPPED {
                *slot = code(size);
            }
        }
    }

    /// The map.
    pub fn build(mut self) -> LeafMap {
        if let Some(mapped) = self.mapped {
            let (first, last) = (*mapped.start() / ENTRIES as u64, *mapped.end() / ENTRIES as u64);
            self.map.flat_start = first * ENTRIES as u64;
            for gib in first..=last.min(first + MOST_FLAT - 1) {
                let table = *self.map.low_table(gib << MIDDLE_SHIFT);
                self.map.flat.extend_from_slice(&table);
            }
        }
        self.map
    }
}

/// The table behind an entry, made the entry's own if it still shares one.
fn own<T: Clone>(entry: &mut u32, tables: &mut Vec<T>) -> usize {
    let table = *entry as usize;
    if table >= UNIFORM {
        return table;
    }
    tables.push(tables[table].clone());
    *entry = u32::try_from(tables.len() - 1).expect("57 address bits have fewer tables");
    tables.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    fn size(map: &LeafMap, address: u64) -> Option<PageSize> {
        map.size_at(Access::load(address))
    }

    #[test]
    fn sizes_are_found_again() {
        let base = 0xffff_8880_0000_0000;
        let mut builder = LeafMapBuilder::new();
        builder.map(base, 4096 * 3, PageSize::Size4K).unwrap();
        builder.map(base + 2 * MIB, GIB - 2 * MIB, PageSize::Size2M).unwrap();
        builder.map(base + GIB, 2048 * GIB, PageSize::Size1G).unwrap();
        assert_eq!(
            builder.map(base + 5 * GIB, MIB, PageSize::Size4K),
            Err(Overlap { address: (base + 5 * GIB) & ((1 << 57) - 1) })
        );
        let mut rest = builder.clone();
        let map = builder.build();
        for (offset, expected) in [
            (5, Some(PageSize::Size4K)),
            (2 * MIB - 1, Some(PageSize::Size4K)),
            (2 * MIB, Some(PageSize::Size2M)),
            (GIB - 1, Some(PageSize::Size2M)),
            (GIB, Some(PageSize::Size1G)),
            (2049 * GIB - 1, Some(PageSize::Size1G)),
            (2049 * GIB, None),
        ] {
            assert_eq!(size(&map, base + offset), expected, "{offset:#x}");
        }
        assert_eq!(size(&map, 0), None);
        assert_eq!(map.code_at(Access::load(0)), UNMAPPED);
        rest.map_rest(PageSize::Size2M);
        let map = rest.build();
        assert_eq!(size(&map, 0), Some(PageSize::Size2M));
        assert_eq!(size(&map, base + 2049 * GIB), Some(PageSize::Size2M));
        assert_eq!(size(&map, base + GIB), Some(PageSize::Size1G));
    }

    #[test]
    fn the_same_size_may_be_given_twice() {
        let mut builder = LeafMapBuilder::new();
        builder.map(0, 4096, PageSize::Size4K).unwrap();
        builder.map(4096, 4096, PageSize::Size4K).unwrap();
        builder.map(2 * MIB, 2 * MIB, PageSize::Size2M).unwrap();
        assert!(builder.map(0, 2 * MIB, PageSize::Size2M).is_err());
        assert!(builder.map(0, GIB, PageSize::Size1G).is_err());
    }

    #[test]
    fn uniform_maps_have_one_size() {
        for wanted in PageSize::ALL {
            let map = LeafMap::uniform(wanted);
            assert_eq!(size(&map, u64::MAX), Some(wanted));
            assert_eq!(size(&map, 12345), Some(wanted));
        }
    }
}
