//! From power-on to the first event of a trace.

use super::machine::Machine;
use super::release::{PageEra, Release};
use super::users::MemoryUsers;
use crate::direct_map::{BootOptions, CallEnd, DirectMap, PermChange, Walk};
use crate::memory::{
    Memory, MemoryError, MemoryLayout, MemorySetup, MigrateType, PageAllocRules, StartState, memblock::boot_reserved,
};
use crate::rng::{Component, Stream};
use crate::text_alloc::{ImageBytes, TextAllocator};
use crate::units::{PageSize, Pfn, PfnRange};

/// What a host is made of before the trace starts.
#[derive(Clone, Debug)]
pub struct HostSetup<'a> {
    /// The kernel.
    pub release: &'static Release,
    /// Its RAM.
    pub layout: &'a MemoryLayout,
    /// How the free memory lies.
    pub start: &'a StartState,
    /// Processors with per-CPU page lists; programs are loaded on each in turn.
    pub cpus: u32,
    /// The largest page of the direct map: 2 MiB with `nogbpages`, 4 KiB with `debug_pagealloc`.
    pub largest_page: PageSize,
    /// Whether the kernel's own classic-BPF program is loaded at boot (`ptp_classifier_init`).
    pub boot_program: bool,
    /// Seed of the random streams.
    pub seed: u64,
    /// Number of the run; runs differ in their streams.
    pub run: u32,
}

/// The kernel's own program at boot (`ptp_classifier_init`): recorded on 6.1, 6.12 and 7.3, the first program
/// of a host stands at chunk 25 of the first pack, so the boot program takes 25 chunks (1513 to 1576 bytes).
const BOOT_PROGRAM: ImageBytes = ImageBytes::new(1540);

/// Parts of the kernel image that boot makes read-only, as recorded on Debian 6.1.192 with `nokaslr`: text with the tail
/// of its last 2 MiB, constants, and the interrupt table.
const READ_ONLY_IMAGE: [(u64, u64); 3] = [(4096, 7682 - 4096), (8192, 10_279 - 8192), (12_980, 1)];

/// Unmovable pages that the kernel has taken until the first program of a user (recorded, 5.10 to 7.3 with 1 to 8 GiB:
/// MemTotal minus MemFree of a minimal guest is about 25 MB, 7 to 9 MB of it reclaimable slab).
const UNMOVABLE: u64 = 4300;
/// Those of them that it takes before its own program (recorded on 6.1.192, 4 GiB: the boot pack begins at the 755th frame
/// of the Normal zone).
const BEFORE_PROGRAM: u64 = 754;
/// Reclaimable pages until then.
const RECLAIMABLE: u64 = 1900;

impl PageEra {
    /// The page allocator's rules of this era.
    pub(super) fn rules(self) -> PageAllocRules {
        match self {
            Self::V5_10 => PageAllocRules::v5_10(),
            Self::V5_15 => PageAllocRules::v5_15(),
            Self::V5_18 => PageAllocRules::v5_18(),
            Self::V6_1 => PageAllocRules::v6_1(),
            Self::V6_12 => PageAllocRules::v6_12(),
            Self::V7_2 => PageAllocRules::v7_2(),
        }
    }
}

/// Brings a host up: direct map, the kernel's own memory and program, then the start state.
///
/// # Errors
/// If the start state does not fit the machine.
pub(super) fn boot(setup: &HostSetup<'_>, text: &mut dyn TextAllocator) -> Result<Machine, MemoryError> {
    let memory = memory_with(setup, &StartState::Fresh, &[])?;
    let ram: Vec<PfnRange> = setup.layout.ranges().iter().map(|range| range.range).collect();
    let map = DirectMap::boot(&ram, BootOptions { largest: setup.largest_page, ..BootOptions::default() });
    let users = MemoryUsers::new(Stream::new(setup.seed, Component::MemoryUsers, setup.run));
    let nodes = u64::from(setup.layout.nodes());
    let mut machine = Machine::new(memory, map, setup.release, nodes, users, setup.cpus.max(1));
    mark_image_read_only(&mut machine);
    take_boot_memory(&mut machine, text, setup.boot_program);
    if *setup.start != StartState::Fresh {
        // Whatever happened since, the boot program still lies where it was put when the host was fresh.
        let executable: Vec<PfnRange> = machine.open_frames().collect();
        machine.memory =
            memory_with(setup, setup.start, &executable).or_else(|_| memory_with(setup, setup.start, &[]))?;
    }
    Ok(machine)
}

/// Memory in a start state; frames in use at boot are not handed out again.
fn memory_with(setup: &HostSetup<'_>, start: &StartState, in_use: &[PfnRange]) -> Result<Memory, MemoryError> {
    let mut reserved = boot_reserved(setup.layout);
    reserved.extend_from_slice(in_use);
    Memory::new(&MemorySetup {
        layout: setup.layout,
        reserved: &reserved,
        start,
        rules: setup.release.pages.rules(),
        cpus: setup.cpus,
        seed: setup.seed,
        run: setup.run,
    })
}

/// What the kernel takes for itself. A machine too small for it is too small for any trace; it shows with the first load.
fn take_boot_memory(machine: &mut Machine, text: &mut dyn TextAllocator, program: bool) {
    let mut runs = Vec::new();
    let mut take = |machine: &mut Machine, pages, kind| machine.memory.alloc_bulk(pages, kind, &mut runs).is_ok();
    // Up to 5.17 the program's page is the first unmovable page of the zone (recorded on 5.10.262, 4 GiB: frame 1555534,
    // in the incomplete pageblock below the struct pages).
    let early = machine.release.pages <= PageEra::V5_15;
    let before = if early { 0 } else { BEFORE_PROGRAM };
    if !take(machine, before, MigrateType::Unmovable) {
        return;
    }
    if program {
        // Without room for it the kernel logs an error and goes on.
        text.load(machine, BOOT_PROGRAM).ok();
    }
    let _ = take(machine, UNMOVABLE - before, MigrateType::Unmovable)
        && take(machine, RECLAIMABLE, MigrateType::Reclaimable);
}

/// `mark_rodata_ro` and its companions: the image's alias in the direct map becomes read-only.
fn mark_image_read_only(machine: &mut Machine) {
    let change = PermChange::read_only(machine.release.cpa);
    for (start, pages) in READ_ONLY_IMAGE {
        let done = machine.change(PfnRange::with_len(Pfn::new(start), pages), change, Walk::Range);
        machine.flushes.account(done, CallEnd::Alias);
    }
    machine.map.split_kernel_image_entry(machine.release.high_map_splits);
}
