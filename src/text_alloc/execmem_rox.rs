//! `execmem-rox`: packs are pieces of the read-only executable cache (7.3).
//!
//! `bpf_jit_mem_is_rox@7.3`: the cache hands out memory that is executable already, so pack code changes no permissions;
//! images are copied in through text patching.

use super::areas::{Areas, NoText, PieceId};
use super::packs::PackDesign;
use crate::units::PAGES_PER_2M;

/// Packs inside the cache of huge pages.
#[derive(Debug)]
pub(super) struct ExecmemRox;

impl PackDesign for ExecmemRox {
    type Memory = PieceId;

    fn pack_pages(&self, areas: &dyn Areas) -> u64 {
        PAGES_PER_2M * areas.possible_nodes()
    }

    fn open(&mut self, areas: &mut dyn Areas, pages: u64) -> Result<PieceId, NoText> {
        areas.open_rox(pages)
    }

    fn close(&mut self, areas: &mut dyn Areas, piece: PieceId, _: u64) {
        areas.close_rox(piece);
    }

    /// The cache grows by whole 2 MiB pages, all of which are executable.
    fn executable_pages(&self, pages: u64) -> u64 {
        pages.next_multiple_of(PAGES_PER_2M)
    }
}
