//! The events a replay consumes: small, without names.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Order, PfnRange, SimTime};

/// Largest image a trace may name, 2 GiB; the kernel's module area ends long before.
pub const MAX_IMAGE_BYTES: u32 = 1 << 31;

/// Something that happens at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happens.
    pub time: SimTime,
    /// What happens.
    pub kind: EventKind,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A BPF program passes the verifier and gets its images (`BPF_PROG_LOAD`).
    Load(Load),
    /// The last reference to a program goes away.
    Unload {
        /// The program.
        id: ProgId,
    },
    /// A kernel module is loaded.
    ModuleLoad(Box<ModuleLoad>),
    /// A kernel module is unloaded.
    ModuleUnload {
        /// The module.
        id: u64,
    },
    /// A function gets its first BPF trampoline.
    TrampolineAttach {
        /// The trampoline.
        id: u64,
        /// Length of its image in bytes.
        image_bytes: u32,
    },
    /// The programs of a trampoline change: a new image is made, the old one freed after a grace period.
    TrampolineUpdate {
        /// The trampoline.
        id: u64,
        /// Length of its new image in bytes.
        image_bytes: u32,
    },
    /// The last program leaves a trampoline.
    TrampolineDetach {
        /// The trampoline.
        id: u64,
    },
    /// Another user of memory takes pages.
    MemoryTake(MemoryTake),
    /// Another user of memory gives pages back.
    MemoryGive(MemoryGive),
    /// Page frames of the direct map change their permissions.
    SetMemory(SetMemory),
}

/// A program's identity; unique among the programs alive, and reusable after an unload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ProgId(u64);

impl ProgId {
    /// The program with this number.
    #[inline]
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ProgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}", self.0)
    }
}

/// A program that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The program.
    pub id: ProgId,
    /// Its images.
    pub images: Images,
    /// Instructions after verification; 0 if not known.
    pub insns: u32,
    /// Whether it is compiled. If not, the pages of the program itself become read-only instead
    /// (`filter.h:bpf_prog_lock_ro`, in every release without `BPF_JIT_ALWAYS_ON`).
    pub jited: bool,
}

/// Lengths in bytes of a program's images, main function first.
///
/// A program with bpf-to-bpf calls has one image per function (`verifier.c:jit_subprogs`). Each length is what
/// `jited_len` and `PERF_RECORD_KSYMBOL` report, without header and padding; there is at least one, none is 0
/// or above [`MAX_IMAGE_BYTES`].
#[derive(Clone, PartialEq, Eq)]
pub struct Images(Lengths);

/// One length inline, because most programs have one; more behind a pointer.
#[derive(Clone, PartialEq, Eq)]
enum Lengths {
    One(u32),
    Many(Box<[u32]>),
}

/// Why a list of lengths is no list of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No image at all.
    #[error("a program has at least one image")]
    NoImage,
    /// A length of 0, with its index.
    #[error("image {0} has size 0")]
    Zero(usize),
    /// A length above [`MAX_IMAGE_BYTES`], with its index.
    #[error("image {0} is larger than 2 GiB")]
    TooLarge(usize),
}

impl Images {
    /// The images with these lengths.
    pub fn new(lengths: &[u32]) -> Result<Self, SizeError> {
        if let Some(index) = lengths.iter().position(|&length| length == 0) {
            return Err(SizeError::Zero(index));
        }
        if let Some(index) = lengths.iter().position(|&length| length > MAX_IMAGE_BYTES) {
            return Err(SizeError::TooLarge(index));
        }
        match lengths {
            [] => Err(SizeError::NoImage),
            [one] => Ok(Self(Lengths::One(*one))),
            many => Ok(Self(Lengths::Many(many.into()))),
        }
    }

    /// A single image.
    #[inline]
    pub fn one(length: u32) -> Result<Self, SizeError> {
        match length {
            0 => Err(SizeError::Zero(0)),
            1..=MAX_IMAGE_BYTES => Ok(Self(Lengths::One(length))),
            _ => Err(SizeError::TooLarge(0)),
        }
    }

    /// The lengths in bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u32] {
        match &self.0 {
            Lengths::One(length) => std::slice::from_ref(length),
            Lengths::Many(lengths) => lengths,
        }
    }

    /// Each length in bytes.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.as_slice().iter().copied()
    }

    /// How many images there are; never 0.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "there is always an image")]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The sum of the lengths in bytes.
    #[inline]
    pub fn total(&self) -> u64 {
        self.iter().map(u64::from).sum()
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A kernel module, by the bytes of each kind of section (`module.c:layout_sections`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleLoad {
    /// The module.
    pub id: u64,
    /// Code that stays.
    pub text_bytes: u32,
    /// Constants that stay.
    pub rodata_bytes: u32,
    /// Data that becomes read-only after the initialisation.
    pub ro_after_init_bytes: u32,
    /// Data that stays writable.
    pub data_bytes: u32,
    /// Code of the initialisation, freed after it.
    pub init_text_bytes: u32,
    /// Constants of the initialisation, freed after it.
    pub init_rodata_bytes: u32,
    /// Data of the initialisation, freed after it.
    pub init_data_bytes: u32,
}

/// What other memory is used for; decides which blocks it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryKind {
    /// File pages: movable, given up under pressure.
    PageCache,
    /// Memory of processes: movable.
    Anonymous,
    /// Kernel memory that cannot move: slabs, pipes, stacks.
    Unmovable,
    /// Page tables of processes: unmovable, in single pages.
    PageTables,
    /// Kernel caches that can be shrunk, such as inodes and dentries.
    Reclaimable,
}

/// Pages taken by another user of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryTake {
    /// Index of the user's name in the source's list.
    pub user: u32,
    /// What the memory is for.
    pub kind: MemoryKind,
    /// Base pages taken in all; a multiple of the block's.
    pub pages: u64,
    /// Order of each block; movable memory takes smaller ones where there are none.
    pub order: Order,
}

/// Which of a user's blocks are given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GivePattern {
    /// Those taken first.
    #[default]
    Oldest,
    /// Those taken last.
    Newest,
    /// Any, each as likely, in random order: the free lists end up shuffled.
    Random,
    /// Any, each as likely, in the order they were taken, as when scattered pieces of a mapping are dropped.
    Scattered,
    /// Every other one in the order they were taken, then the others.
    Alternate,
}

/// Pages given back by another user of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryGive {
    /// Index of the user's name in the source's list.
    pub user: u32,
    /// Base pages given back; `None` for all the user has.
    pub pages: Option<u64>,
    /// Which of them.
    pub pattern: GivePattern,
}

/// What a permission change does to page frames of the direct map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// Read-only (`set_memory_ro`).
    #[serde(rename = "ro")]
    ReadOnly,
    /// Writable (`set_memory_rw`).
    #[serde(rename = "rw")]
    ReadWrite,
    /// Not present (`set_memory_np`, `set_direct_map_invalid_noflush`).
    #[serde(rename = "np")]
    NotPresent,
    /// Present again (`set_memory_p`, `set_direct_map_default_noflush`).
    #[serde(rename = "p")]
    Present,
    /// Split into 4 KiB entries without a change of permission (`set_memory_4k`).
    #[serde(rename = "4k")]
    Split4K,
}

/// A permission change on page frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetMemory {
    /// The frames; never empty.
    pub range: PfnRange,
    /// What changes.
    pub to: Permission,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_stay_small() {
        assert!(size_of::<Event>() <= 40, "{}", size_of::<Event>());
    }

    #[test]
    fn images_are_never_empty_nor_of_size_zero() {
        assert_eq!(Images::new(&[]), Err(SizeError::NoImage));
        assert_eq!(Images::new(&[1, 0]), Err(SizeError::Zero(1)));
        assert_eq!(Images::new(&[1, MAX_IMAGE_BYTES + 1]), Err(SizeError::TooLarge(1)));
        assert_eq!(Images::one(0), Err(SizeError::Zero(0)));
        assert_eq!(Images::one(MAX_IMAGE_BYTES + 1), Err(SizeError::TooLarge(0)));
        let images = Images::new(&[33, 612]).unwrap();
        assert_eq!((images.len(), images.total()), (2, 645));
        assert_eq!(images.iter().collect::<Vec<_>>(), [33, 612]);
        assert_eq!(Images::new(&[7]), Images::one(7));
    }
}
