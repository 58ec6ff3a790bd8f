//! How many bytes an image takes, by the kernel's own formulas.

use crate::units::PAGE_BYTES;

/// Bytes of a chunk (`BPF_PROG_CHUNK_SIZE`, `kernel/bpf/core.c@5.18`).
pub const CHUNK_BYTES: u64 = 64;

/// `sizeof(struct bpf_binary_header)`: a 32-bit size padded to 8 bytes (`include/linux/filter.h`).
const HEADER_BYTES: u64 = 8;
/// Room for a random start inside pages of its own (`bpf_jit_binary_alloc`, 128 bytes of traps at least).
const PAGES_SLACK_BYTES: u64 = 128;
/// Room for a random start inside a pack (`bpf_jit_binary_pack_alloc`, 16 bytes at least).
const PACK_SLACK_BYTES: u64 = 16;

/// The length of an image in bytes, as `jited_len` and perf's KSYMBOL records give it: without header and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageBytes(u32);

impl ImageBytes {
    /// An image of this length.
    pub const fn new(bytes: u32) -> Self {
        Self(bytes)
    }

    /// The length in bytes.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0 as u64
    }

    /// The length with the header that stands before it.
    #[inline]
    pub const fn with_header(self) -> u64 {
        HEADER_BYTES + self.get()
    }

    /// Pages when the image has pages of its own (`bpf_jit_binary_alloc`).
    #[inline]
    pub const fn own_pages(self) -> u64 {
        (self.get().next_multiple_of(4) + HEADER_BYTES + PAGES_SLACK_BYTES).div_ceil(PAGE_BYTES)
    }

    /// Chunks when the image lives in a pack (`bpf_jit_binary_pack_alloc`).
    #[inline]
    pub const fn chunks(self) -> u64 {
        (self.get().next_multiple_of(4) + HEADER_BYTES + PACK_SLACK_BYTES).div_ceil(CHUNK_BYTES)
    }

    /// Pages when the image is too large for a pack (`bpf_prog_pack_alloc`).
    #[inline]
    pub const fn oversize_pages(self) -> u64 {
        (self.chunks() * CHUNK_BYTES).div_ceil(PAGE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_the_kernel() {
        // From the sources: up to 3960 bytes one page, up to 40 bytes one chunk.
        assert_eq!(ImageBytes::new(3960).own_pages(), 1);
        assert_eq!(ImageBytes::new(3961).own_pages(), 2);
        assert_eq!(ImageBytes::new(40).chunks(), 1);
        assert_eq!(ImageBytes::new(41).chunks(), 2);
        // Recorded on Debian 5.10.262: 12255 bytes took 4 pages, 6825 took 2.
        assert_eq!(ImageBytes::new(12_255).own_pages(), 4);
        assert_eq!(ImageBytes::new(6_825).own_pages(), 2);
        assert_eq!(ImageBytes::new(u32::MAX).own_pages(), (1 << 20) + 1);
    }
}
