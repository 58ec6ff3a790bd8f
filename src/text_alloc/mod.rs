//! Text allocators: one policy each for the memory behind BPF images.
//!
//! A policy sees the kernel through [`Areas`] only: it opens an area of pages,
//! changes its permissions, and closes it. Which page frames that takes, and
//! which direct-map entries break, is the kernel's business.
//!
//! To try a design of your own, implement [`TextAllocator`], or [`PackDesign`]
//! if it hands out pieces of packs; `examples/own_policy.rs` shows it.

mod areas;
mod chunk_map;
mod execmem_rox;
mod first_fit;
mod image;
mod list;
mod pack_2m;
mod pack_2m_fixed;
mod pack_4k;
mod pack_contig;
mod pack_vmalloc;
mod packs;
mod per_prog;

pub use areas::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, PieceId, TextPerms};
pub use chunk_map::ChunkMap;
pub use image::{CHUNK_BYTES, ImageBytes};
pub use list::{HugeGiveBack, Policy, PolicyOptions};
pub use packs::{PackDesign, Packs};

use crate::units::PAGE_BYTES;
use std::ops::Range;

/// A place that a policy handed out for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The pack (the policy's number for it) or the memory of its own.
    home: Home,
    /// First chunk inside the pack; 0 in memory of its own.
    start: u32,
    /// What the image asked for.
    image: ImageBytes,
}

/// Where an image lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// In the pack with this number.
    Pack(u32),
    /// In memory of its own.
    Own(OwnMemory),
}

/// Memory that one image has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnMemory {
    /// An area.
    Area(AreaId),
    /// A piece of the read-only executable cache.
    Piece(PieceId),
}

impl From<AreaId> for OwnMemory {
    fn from(area: AreaId) -> Self {
        Self::Area(area)
    }
}

impl From<PieceId> for OwnMemory {
    fn from(piece: PieceId) -> Self {
        Self::Piece(piece)
    }
}

impl TryFrom<OwnMemory> for AreaId {
    type Error = OwnMemory;

    fn try_from(memory: OwnMemory) -> Result<Self, OwnMemory> {
        match memory {
            OwnMemory::Area(area) => Ok(area),
            OwnMemory::Piece(_) => Err(memory),
        }
    }
}

impl TryFrom<OwnMemory> for PieceId {
    type Error = OwnMemory;

    fn try_from(memory: OwnMemory) -> Result<Self, OwnMemory> {
        match memory {
            OwnMemory::Piece(piece) => Ok(piece),
            OwnMemory::Area(_) => Err(memory),
        }
    }
}

impl Slot {
    /// A slot in memory that only this image uses.
    pub fn own(memory: impl Into<OwnMemory>, image: ImageBytes) -> Self {
        Self { home: Home::Own(memory.into()), start: 0, image }
    }

    /// The area, if only this image uses it.
    pub const fn own_area(self) -> Option<AreaId> {
        match self.home {
            Home::Own(OwnMemory::Area(area)) => Some(area),
            Home::Own(OwnMemory::Piece(_)) | Home::Pack(_) => None,
        }
    }

    /// The pack's number (packs are numbered as they are opened, numbers of closed ones come again)
    /// and the first chunk, if the image lives in a pack.
    pub const fn chunk(self) -> Option<(u32, u32)> {
        match self.home {
            Home::Pack(pack) => Some((pack, self.start)),
            Home::Own(_) => None,
        }
    }

    /// The image that lives here.
    pub const fn image(self) -> ImageBytes {
        self.image
    }

    /// The memory, if only this image uses it.
    pub const fn own_memory(self) -> Option<OwnMemory> {
        match self.home {
            Home::Own(memory) => Some(memory),
            Home::Pack(_) => None,
        }
    }

    /// The pages that hold the image, counted from the start of its memory.
    pub const fn pages(self) -> Range<u64> {
        let start = self.start as u64 * CHUNK_BYTES;
        start / PAGE_BYTES..(start + self.image.with_header()).div_ceil(PAGE_BYTES)
    }
}

/// What a policy holds at one moment. Bytes unless the name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextUsage {
    /// What the live images asked for.
    pub image_bytes: u64,
    /// What was set aside for them: whole chunks or whole pages.
    pub reserved_bytes: u64,
    /// Pages that are executable because of this policy.
    pub executable_pages: u64,
    /// Text of freed images that can still be executed, in whole chunks.
    pub stale_bytes: u64,
    /// Packs opened since the start.
    pub packs_created: u64,
    /// Packs closed since the start.
    pub packs_freed: u64,
    /// Bytes written through the kernel's text patching (`text_poke`) since the start.
    pub text_poke_bytes: u64,
}

impl TextUsage {
    /// Packs that are open.
    pub const fn live_packs(&self) -> u64 {
        self.packs_created - self.packs_freed
    }
}

/// A policy for the memory behind JITed images.
pub trait TextAllocator: Send {
    /// Finds room for an image and makes it executable.
    ///
    /// # Errors
    /// [`NoText`] if the machine has no memory for it; nothing has changed then.
    fn load(&mut self, areas: &mut dyn Areas, image: ImageBytes) -> Result<Slot, NoText>;

    /// Gives the room of an image back.
    fn unload(&mut self, areas: &mut dyn Areas, slot: Slot);

    /// What the policy holds now.
    fn usage(&self) -> TextUsage;

    /// The memory that an image lies in; a policy that shares it among images knows which it is.
    fn memory_of(&self, slot: Slot) -> Option<OwnMemory> {
        slot.own_memory()
    }
}

impl std::fmt::Debug for dyn TextAllocator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextAllocator").field("usage", &self.usage()).finish()
    }
}
