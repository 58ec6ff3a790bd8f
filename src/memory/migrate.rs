//! Migrate types: what the pages of a pageblock are used for, and who may borrow from whom.

use std::fmt;

/// What a page is used for, as far as the page allocator cares (`enum migratetype`, the types with per-CPU lists).
///
/// The other types of the kernel (high-order atomic reserve, CMA, isolated) play no part in executable memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MigrateType {
    /// Kernel memory that stays where it is: slab, page tables, executable memory.
    Unmovable = 0,
    /// Pages of processes and of the page cache.
    Movable = 1,
    /// Kernel memory that can be dropped: inode and dentry caches.
    Reclaimable = 2,
}

impl MigrateType {
    /// All types, in the kernel's order.
    pub const ALL: [Self; 3] = [Self::Unmovable, Self::Movable, Self::Reclaimable];
    /// How many types there are (`MIGRATE_PCPTYPES`).
    pub const COUNT: usize = Self::ALL.len();

    /// The type as an index into an array of [`MigrateType::COUNT`] entries.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The type with this index; the inverse of [`MigrateType::index`].
    #[inline]
    pub(super) const fn from_index(index: usize) -> Self {
        match index {
            0 => Self::Unmovable,
            1 => Self::Movable,
            _ => Self::Reclaimable,
        }
    }

    /// The types a request turns to when its own lists are empty, in order (`page_alloc.c:fallbacks@6.1`).
    #[inline]
    pub const fn fallbacks(self) -> [Self; 2] {
        match self {
            Self::Unmovable => [Self::Reclaimable, Self::Movable],
            Self::Movable => [Self::Reclaimable, Self::Unmovable],
            Self::Reclaimable => [Self::Unmovable, Self::Movable],
        }
    }

    /// The name in `/proc/pagetypeinfo`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmovable => "Unmovable",
            Self::Movable => "Movable",
            Self::Reclaimable => "Reclaimable",
        }
    }
}

impl fmt::Display for MigrateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_falls_back_to_itself() {
        for kind in MigrateType::ALL {
            assert!(!kind.fallbacks().contains(&kind));
            assert_eq!(MigrateType::from_index(kind.index()), kind);
        }
    }
}
