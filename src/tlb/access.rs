//! One access, and whose page tables translate it.

use super::cpu::Kind;
use crate::units::PageSize;

/// Bits of an address that select a page: five levels of page tables (`LA57`).
pub const ADDRESS_BITS: u32 = 57;
/// The bits below the sign that a canonical address repeats.
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;
/// Where the kind of the access is kept.
const KIND_SHIFT: u32 = 62;

/// One access: an address and what is done there.
///
/// Kept in one word, because lists of them are long: the 57 bits that page tables translate, and the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Access(u64);

impl Access {
    /// An access to this address; `None` if the address is not canonical: its bits from 56 up differ.
    pub const fn new(address: u64, kind: Kind) -> Option<Self> {
        let high = (address as i64) >> (ADDRESS_BITS - 1);
        // Physical addresses of 52 bits and offsets into the direct map are canonical too.
        if high == 0 || high == -1 { Some(Self::at(address, kind)) } else { None }
    }

    /// An access to this address, of which only the 57 bits that page tables translate are kept.
    #[inline]
    pub const fn at(address: u64, kind: Kind) -> Self {
        Self(address & ADDRESS_MASK | (kind as u64) << KIND_SHIFT)
    }

    /// A load from this address.
    #[inline]
    pub const fn load(address: u64) -> Self {
        Self::at(address, Kind::Load)
    }

    /// The bits of the address that page tables translate.
    #[inline]
    pub const fn address(self) -> u64 {
        self.0 & ADDRESS_MASK
    }

    /// The kind as an index.
    #[inline]
    pub const fn kind_index(self) -> usize {
        (self.0 >> KIND_SHIFT) as usize
    }
}

/// What lies between the page tables that are looked at and the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Host {
    /// Nothing: the kernel runs on the hardware.
    #[default]
    Native,
    /// A hypervisor that maps the guest's memory with pages of this size. A TLB entry is the smaller of both pages.
    Pages(PageSize),
}

impl Host {
    /// The size of the entry for a page of the guest.
    pub fn entry_size(self, guest: PageSize) -> PageSize {
        match self {
            Self::Native => guest,
            Self::Pages(host) => guest.min(host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_canonical() {
        for address in [0, 0xff11_0000_0000_0000, 0xffff_8880_0000_1000, u64::MAX, 0x00ff_ffff_ffff_ffff] {
            let access = Access::new(address, Kind::Fetch).unwrap();
            assert_eq!((access.address(), access.kind_index()), (address & ADDRESS_MASK, Kind::Fetch.index()));
        }
        assert_eq!(Access::new(0x0100_0000_0000_0000, Kind::Load), None);
        assert_eq!(Access::new(0x8000_0000_0000_0000, Kind::Load), None);
    }

    #[test]
    fn an_entry_is_the_smaller_page() {
        assert_eq!(Host::Pages(PageSize::Size2M).entry_size(PageSize::Size1G), PageSize::Size2M);
        assert_eq!(Host::Pages(PageSize::Size2M).entry_size(PageSize::Size4K), PageSize::Size4K);
        assert_eq!(Host::Native.entry_size(PageSize::Size1G), PageSize::Size1G);
    }
}
