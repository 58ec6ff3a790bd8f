//! What a text allocator sees of the kernel.

use crate::units::{Bytes, Order, PAGE_BYTES};

/// An open area of executable memory: a virtual range of its own with its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaId(pub u32);

/// A piece of the read-only executable cache that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId(pub u32);

/// How the pages behind an area are obtained and mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// What `vmalloc` of the kernel at hand does for an ordinary area.
    Vmalloc,
    /// Order-0 pages one after another, mapped singly (`vm_area_alloc_pages@6.1`).
    SinglePages,
    /// Large orders first, cut into single pages and mapped singly (`vm_area_alloc_pages@7.2`).
    LargeOrdersFirst,
    /// Order-9 blocks mapped as 2 MiB pages; single pages if there is none (`VM_ALLOW_HUGE_VMAP`).
    /// The request must be whole 2 MiB pages.
    Huge,
}

/// Which area a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AreaRequest {
    /// Size in base pages.
    pub pages: u64,
    /// Where the pages come from.
    pub backing: Backing,
    /// Whether the direct map is reset page by page when the area is freed (`VM_FLUSH_RESET_PERMS`).
    pub reset_on_free: bool,
}

/// How an area's pages return to the page allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// As the kernel at hand does: page by page, or in contiguous runs (`free_pages_bulk@7.2`).
    Release,
    /// Each page by itself through the per-CPU list (`vfree` since 5.18-rc4).
    Pages,
    /// Each 2 MiB block whole (`vfree@5.18-rc1`, compound pages).
    Blocks,
}

/// Permissions of executable memory in its own mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPerms {
    /// Read-only and executable: `set_memory_ro` + `set_memory_x`, one `set_memory_rox` since 6.2.
    Rox,
    /// Read-only, not executable: `set_memory_ro` alone.
    ReadOnly,
    /// Writable, not executable: `set_memory_nx` + `set_memory_rw`.
    Rw,
}

/// No memory for text, or for what comes along with it: the kernel's `-ENOMEM`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// No page frames.
    #[error(
        "no {pages} page(s) of 4 KiB{} to be had above the watermarks that the kernel keeps back: {free_pages} are free, \
         and no page cache is left to drop",
        in_blocks(*order)
    )]
    Frames {
        /// Base pages that were asked for.
        pages: u64,
        /// Order of the blocks that they were to come in.
        order: Order,
        /// Base pages that were free.
        free_pages: u64,
    },
    /// No addresses: the range that executable memory is mapped into is full.
    #[error(
        "no room for {pages} more page(s) in the {} of addresses where the kernel maps executable memory: {} are taken, \
         guard pages and alignment included",
        Bytes::new(range_pages * PAGE_BYTES),
        Bytes::new(taken_pages * PAGE_BYTES)
    )]
    Addresses {
        /// Base pages that were asked for.
        pages: u64,
        /// Base pages that are taken.
        taken_pages: u64,
        /// Base pages that the range has.
        range_pages: u64,
    },
}

/// What an error says about blocks that single pages cannot stand for.
fn in_blocks(order: Order) -> String {
    match order {
        Order::ZERO => String::new(),
        order => format!(" in blocks of {} (order {})", Bytes::new(order.pages() * PAGE_BYTES), order.get()),
    }
}

/// The kernel's executable areas, as a text allocator uses them.
pub trait Areas {
    /// Opens an area: writable, not executable.
    ///
    /// # Errors
    /// [`NoText`] if there are not enough free pages or addresses.
    fn open(&mut self, request: AreaRequest) -> Result<AreaId, NoText>;

    /// Changes the permissions of the area's first `pages` pages; their alias in the direct map follows.
    fn protect(&mut self, area: AreaId, pages: u64, perms: TextPerms);

    /// Frees the area.
    fn close(&mut self, area: AreaId, give_back: GiveBack);

    /// Takes a piece of the read-only executable cache (`execmem_alloc@7.3`): it is executable at once.
    ///
    /// # Errors
    /// [`NoText`] if the cache cannot grow.
    fn open_rox(&mut self, pages: u64) -> Result<PieceId, NoText>;

    /// Gives a piece of the cache back (`execmem_free@7.3`).
    fn close_rox(&mut self, piece: PieceId);

    /// The nodes that packs are sized by (`num_possible_nodes`).
    fn possible_nodes(&self) -> u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_named_where_it_matters() {
        let message = |order| NoText::Frames { pages: 1024, order, free_pages: 90 }.to_string();
        assert!(message(Order::ZERO).starts_with("no 1024 page(s) of 4 KiB to be had"));
        assert!(
            message(Order::PAGEBLOCK).starts_with("no 1024 page(s) of 4 KiB in blocks of 2MiB (order 9) to be had")
        );
    }
}
