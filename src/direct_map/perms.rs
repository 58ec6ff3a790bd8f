//! Permissions of an entry, and the masks with which the kernel's helpers change them.

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

use thiserror::Error;

/// The attributes of one direct-map entry that the kernel compares and changes, as a set of bits.
///
/// Accessed, cache and encryption bits are left out: they never differ between entries here.
/// Executable is a bit of its own, so the empty set means "not present, not writable, NX".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Perms(u8);

impl Perms {
    /// No bit: not present, not writable, not executable.
    pub const NONE: Self = Self(0);
    /// `_PAGE_PRESENT`: the processor may use the entry.
    pub const PRESENT: Self = Self(1);
    /// `_PAGE_RW`: writable.
    pub const WRITE: Self = Self(1 << 1);
    /// `_PAGE_NX` is clear. The direct map has NX everywhere but on a few boot-time pages.
    pub const EXEC: Self = Self(1 << 2);
    /// `_PAGE_DIRTY`: set at boot on every entry; gone for good once a helper clears it.
    ///
    /// A processor would set it again at the next write. That is left out, for no rule depends on it: a
    /// request either clears the bit together with [`Perms::WRITE`] or does not mention it.
    pub const DIRTY: Self = Self(1 << 3);
    /// `_PAGE_GLOBAL`: the translation survives a switch of the address space.
    pub const GLOBAL: Self = Self(1 << 4);
    /// `_PAGE_KERNEL_4K` (6.15 and later): was made a 4 KiB entry on purpose, must never be merged again.
    pub const KERNEL_4K: Self = Self(1 << 5);
    /// What boot gives to every entry (`PAGE_KERNEL`) on a host without page table isolation.
    pub const BOOT: Self = Self(Self::PRESENT.0 | Self::WRITE.0 | Self::DIRTY.0 | Self::GLOBAL.0);

    /// Stands for "no entry" among the pages of a 2 MiB block; never handed out.
    pub(super) const HOLE: Self = Self(1 << 7);

    /// Whether every bit of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of either.
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits of `self` that are not in `other`.
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Perms {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

/// Writes what kernel recordings write: `np`, `ro` or `rw`, and an `x` behind it if executable.
impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.contains(Self::PRESENT), self.contains(Self::WRITE), self.contains(Self::EXEC)) {
            (false, ..) => "np",
            (true, false, false) => "ro",
            (true, false, true) => "rox",
            (true, true, false) => "rw",
            (true, true, true) => "rwx",
        })
    }
}

/// A word that is not one of `np`, `ro`, `rox`, `rw`, `rwx`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no permission; expected one of np, ro, rox, rw, rwx")]
pub struct ParsePermsError(String);

/// Reads what [`Display`](fmt::Display) writes. Recordings do not tell the bits that are not shown, so
/// a writable entry is taken as boot left it, a read-only one as global and clean.
impl FromStr for Perms {
    type Err = ParsePermsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read_only = Self::BOOT.without(Self::WRITE | Self::DIRTY);
        match text {
            "np" => Ok(Self::NONE),
            "ro" => Ok(read_only),
            "rox" => Ok(read_only | Self::EXEC),
            "rw" => Ok(Self::BOOT),
            "rwx" => Ok(Self::BOOT | Self::EXEC),
            other => Err(ParsePermsError(other.to_owned())),
        }
    }
}

/// Releases between which the masks of the helpers differ (`arch/x86/mm/pat/set_memory.c`).
///
/// The differences never decide whether an entry is split: they are kept so that permissions are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CpaEra {
    /// Up to 6.1: helpers clear WRITE and leave DIRTY alone.
    UpTo6_1,
    /// 6.2 to 6.5: masks of the direct map as before; NX no longer reaches an alias, `set_memory_rox` exists.
    From6_2,
    /// 6.6 to 6.14, as maintained (6.6.88, 6.12.24 and later): DIRTY is cleared wherever WRITE is
    /// (`set_memory_ro` since commit f788b71768ff, `__set_pages_np` since commit c1fcf41cf37f).
    From6_6,
    /// 6.15 and later: also `set_memory_4k` marks its pages with KERNEL_4K.
    From6_15,
}

impl CpaEra {
    /// The era of an upstream release, for example `(6, 12)`.
    pub const fn of_release(major: u32, minor: u32) -> Self {
        match (major, minor) {
            (..=5, _) | (6, ..=1) => Self::UpTo6_1,
            (6, ..=5) => Self::From6_2,
            (6, ..=14) => Self::From6_6,
            _ => Self::From6_15,
        }
    }

    /// What a helper clears that takes the right to write away.
    const fn writable(self) -> Perms {
        match self {
            Self::UpTo6_1 | Self::From6_2 => Perms::WRITE,
            Self::From6_6 | Self::From6_15 => Perms::WRITE.union(Perms::DIRTY),
        }
    }
}

/// A change of permissions: bits to clear, then bits to set. The default changes nothing.
///
/// The constructors are the kernel's helpers as the direct map sees them. `set_memory_x` and `set_memory_nx`
/// have none: up to 6.1 a pure NX request skips the alias, later NX is taken out of the alias's masks
/// (`cpa_process_alias`), so neither touches the direct map; and `set_memory_rox` is [`PermChange::read_only`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermChange {
    /// Bits to set, after the clearing.
    pub set: Perms,
    /// Bits to clear.
    pub clear: Perms,
}

impl PermChange {
    /// `set_memory_ro`, and `set_memory_rox` on the alias.
    pub const fn read_only(era: CpaEra) -> Self {
        Self { set: Perms::NONE, clear: era.writable() }
    }

    /// `set_memory_rw`: DIRTY does not come back.
    pub const fn read_write() -> Self {
        Self { set: Perms::WRITE, clear: Perms::NONE }
    }

    /// `set_memory_np`: the same mask in every era.
    pub const fn not_present(_era: CpaEra) -> Self {
        Self { set: Perms::NONE, clear: Perms::PRESENT }
    }

    /// `set_memory_p`: GLOBAL does not come back.
    pub const fn present() -> Self {
        Self { set: Perms::PRESENT, clear: Perms::NONE }
    }

    /// `set_direct_map_invalid_noflush` (`__set_pages_np`).
    pub const fn invalid(era: CpaEra) -> Self {
        Self { set: Perms::NONE, clear: Perms::PRESENT.union(era.writable()) }
    }

    /// `set_direct_map_default_noflush` (`__set_pages_p`): neither DIRTY nor GLOBAL comes back.
    pub const fn default_() -> Self {
        Self { set: Perms::PRESENT.union(Perms::WRITE), clear: Perms::NONE }
    }

    /// `set_direct_map_valid_noflush` (6.13 and later), for any number of pages at once.
    pub const fn valid(valid: bool) -> Self {
        if valid { Self::default_() } else { Self::invalid(CpaEra::From6_15) }
    }

    /// `set_memory_4k`, to be used with [`Walk::Force4k`](super::Walk::Force4k).
    pub const fn keep_4k(era: CpaEra) -> Self {
        match era {
            CpaEra::From6_15 => Self { set: Perms::KERNEL_4K, clear: Perms::NONE },
            _ => Self { set: Perms::NONE, clear: Perms::NONE },
        }
    }

    /// The permissions after the change.
    ///
    /// An entry that is not present loses GLOBAL, since the bit means something else there
    /// (`pgprot_clear_protnone_bits`).
    #[inline]
    pub const fn apply(self, perms: Perms) -> Perms {
        let new = perms.without(self.clear).union(self.set);
        if new.contains(Perms::PRESENT) { new } else { new.without(Perms::GLOBAL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_print_and_parse_as_recordings_write_them() {
        for word in ["np", "ro", "rox", "rw", "rwx"] {
            assert_eq!(word.parse::<Perms>().unwrap().to_string(), word);
        }
        assert_eq!(Perms::default_after_reset().to_string(), "rw");
        assert_eq!(Perms::EXEC.to_string(), "np");
        assert!("none".parse::<Perms>().unwrap_err().to_string().contains("\"none\""));
    }

    impl Perms {
        fn default_after_reset() -> Self {
            PermChange::default_().apply(PermChange::invalid(CpaEra::From6_15).apply(Self::BOOT))
        }
    }

    #[test]
    fn reset_pages_lose_global_and_in_later_eras_dirty() {
        let reset = |era| PermChange::default_().apply(PermChange::invalid(era).apply(Perms::BOOT));
        assert_eq!(reset(CpaEra::UpTo6_1), Perms::PRESENT | Perms::WRITE | Perms::DIRTY);
        assert_eq!(reset(CpaEra::From6_2), Perms::PRESENT | Perms::WRITE | Perms::DIRTY);
        assert_eq!(reset(CpaEra::From6_6), Perms::PRESENT | Perms::WRITE);
        assert_eq!(Perms::default_after_reset(), Perms::PRESENT | Perms::WRITE);
        assert_eq!(PermChange::valid(true).apply(PermChange::valid(false).apply(Perms::BOOT)), reset(CpaEra::From6_15));
    }

    #[test]
    fn read_only_and_back_loses_dirty_but_not_global() {
        let cycle = |era| PermChange::read_write().apply(PermChange::read_only(era).apply(Perms::BOOT));
        assert_eq!(cycle(CpaEra::UpTo6_1), Perms::BOOT);
        assert_eq!(cycle(CpaEra::From6_15), Perms::BOOT.without(Perms::DIRTY));
    }

    #[test]
    fn taking_presence_away_keeps_the_right_to_write() {
        let gone = PermChange::not_present(CpaEra::From6_15).apply(Perms::BOOT);
        assert_eq!(gone, Perms::WRITE | Perms::DIRTY);
        assert_eq!(PermChange::present().apply(gone), Perms::BOOT.without(Perms::GLOBAL));
    }

    #[test]
    fn releases_fall_into_their_eras() {
        let eras = [(4, 19), (5, 10), (6, 1), (6, 2), (6, 5), (6, 6), (6, 14), (6, 15), (6, 19), (7, 0), (7, 3)]
            .map(|(major, minor)| CpaEra::of_release(major, minor));
        use CpaEra::*;
        assert_eq!(
            eras,
            [UpTo6_1, UpTo6_1, UpTo6_1, From6_2, From6_2, From6_6, From6_6, From6_15, From6_15, From6_15, From6_15]
        );
    }

    #[test]
    fn only_new_kernels_mark_deliberate_small_pages() {
        assert_eq!(PermChange::keep_4k(CpaEra::From6_6), PermChange::default());
        assert!(PermChange::keep_4k(CpaEra::From6_15).apply(Perms::BOOT).contains(Perms::KERNEL_4K));
    }
}
