//! From power-on to the first event of a trace.

use super::machine::Machine;
use super::release::{PageEra, Release};
use super::users::MemoryUsers;
use crate::direct_map::{BootOptions, CallEnd, DirectMap, PermChange, Walk};
use crate::memory::rules::BootPageblocks;
use crate::memory::{
    Memory, MemoryError, MemoryLayout, MemorySetup, MigrateType, PageAllocRules, Snapshot, StartState,
    memblock::boot_reserved,
};
use crate::rng::{Component, Stream};
use crate::text_alloc::{ImageBytes, TextAllocator};
use crate::units::{PAGES_PER_2M, PageSize, Pfn, PfnRange};

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

impl HostSetup<'_> {
    /// The texts of a host that has just booted, if it is to start from such.
    pub(super) fn booted(&self) -> Option<&Snapshot> {
        match self.start {
            StartState::Snapshot(snapshot) if snapshot.has_just_booted() => Some(snapshot),
            _ => None,
        }
    }
}

/// The kernel's own program at boot (`ptp_classifier_init`): recorded on 6.1, 6.12 and 7.3, the first program
/// of a host stands at chunk 25 of the first pack, so the boot program takes 25 chunks (1513 to 1576 bytes).
pub(crate) const BOOT_PROGRAM: ImageBytes = ImageBytes::new(1540);

/// Unmovable and reclaimable pages that the kernel has taken until the first program of a user, where nobody tells
/// (recorded with 4 GiB: pageblocks of these types less what is free in them; from 6.7 on inodes and dentries of a minimal
/// guest are accounted and few, before they are 7 to 9 MB of reclaimable slab).
const fn pages_of_boot(era: PageEra) -> (u64, u64) {
    match era {
        PageEra::V5_10 | PageEra::V5_15 | PageEra::V5_18 | PageEra::V6_1 => (4300, 1900),
        PageEra::V6_12 | PageEra::V6_15 | PageEra::V7_2 => (5300, 240),
    }
}

impl PageEra {
    /// The page allocator's rules of this era.
    pub(super) fn rules(self) -> PageAllocRules {
        match self {
            Self::V5_10 => PageAllocRules::v5_10(),
            Self::V5_15 => PageAllocRules::v5_15(),
            Self::V5_18 => PageAllocRules::v5_18(),
            Self::V6_1 => PageAllocRules::v6_1(),
            Self::V6_12 => PageAllocRules::v6_12(),
            Self::V6_15 | Self::V7_2 => PageAllocRules::v7_2(),
        }
    }
}

/// Brings a host up: direct map, the kernel's own memory and program, then the start state.
///
/// Texts of a host that has just booted are not drawn from: the machine boots, and then takes what the texts say has been
/// taken.
///
/// # Errors
/// If the start state does not fit the machine.
pub(super) fn boot(setup: &HostSetup<'_>, text: &mut dyn TextAllocator) -> Result<Machine, MemoryError> {
    let booted = setup.booted();
    let mut rules = setup.release.pages.rules();
    let mut memory = memory_with(setup, &StartState::Fresh, &[], rules)?;
    if let Some(snapshot) = booted {
        snapshot.fits(&memory)?;
    }
    if booted
        .and_then(|snapshot| snapshot.unmovable_pageblocks(&memory))
        .is_some_and(|blocks| blocks < memory.unset_pageblocks())
    {
        // A kernel without late set-up of struct pages.
        rules.boot_pageblocks = BootPageblocks::Movable;
        memory = memory_with(setup, &StartState::Fresh, &[], rules)?;
    }
    let ram: Vec<PfnRange> = setup.layout.ranges().iter().map(|range| range.range).collect();
    let map = DirectMap::boot(&ram, BootOptions { largest: setup.largest_page, ..BootOptions::default() });
    let users = MemoryUsers::new(Stream::new(setup.seed, Component::MemoryUsers, setup.run));
    let nodes = u64::from(setup.layout.nodes());
    let mut machine = Machine::new(memory, map, setup.release, nodes, users, setup.cpus.max(1));
    take_boot_memory(&mut machine, text, setup, booted);
    mark_image_read_only(&mut machine);
    if *setup.start != StartState::Fresh && booted.is_none() {
        // Whatever happened since, the boot program still lies where it was put when the host was fresh.
        let executable: Vec<PfnRange> = machine.open_frames().collect();
        machine.memory = memory_with(setup, setup.start, &executable, rules)
            .or_else(|_| memory_with(setup, setup.start, &[], rules))?;
    }
    Ok(machine)
}

/// Memory in a start state; frames in use at boot are not handed out again.
fn memory_with(
    setup: &HostSetup<'_>,
    start: &StartState,
    in_use: &[PfnRange],
    rules: PageAllocRules,
) -> Result<Memory, MemoryError> {
    let mut reserved = boot_reserved(setup.layout);
    // Up to the page behind the interrupt table, which stands near the end of the image.
    if let (Some(first), Some(last)) = (setup.release.read_only_image.first(), setup.release.read_only_image.last()) {
        let end = (last.0 + last.1).next_multiple_of(PAGES_PER_2M);
        reserved.push(PfnRange::new(Pfn::new(first.0), Pfn::new(end)));
    }
    reserved.extend_from_slice(in_use);
    Memory::new(&MemorySetup {
        layout: setup.layout,
        reserved: &reserved,
        start,
        rules,
        cpus: setup.cpus,
        seed: setup.seed,
        run: setup.run,
    })
}

/// Unmovable pages that the kernel takes before its own program: until the late parts of memory are handed over, and
/// after that.
///
/// Recorded on 6.1.192 with 4 GiB: the boot pack begins at the 755th frame of the Normal zone. Recorded on 5.10.262: the
/// program's page is the first page of the late parts with 4 GiB, and lies 58 pages further with 8 GiB, in the fifth
/// GiB: each 128 MiB of memory is a device (`memory_dev_init`) and takes 29 pages for 16 of them. The per-CPU list of
/// 5.10 is empty when the late parts come (ten refills of 63).
fn pages_before_program(era: PageEra, ram: u64) -> (u64, u64) {
    if era > PageEra::V5_15 {
        return (754, 0);
    }
    let devices = ram.div_ceil(32_768);
    (630, (devices * 29 / 16).saturating_sub(56))
}

/// What the kernel takes for itself. A machine too small for it is too small for any trace; it shows with the first load.
fn take_boot_memory(
    machine: &mut Machine,
    text: &mut dyn TextAllocator,
    setup: &HostSetup<'_>,
    booted: Option<&Snapshot>,
) {
    let (early, late) = pages_before_program(machine.release.pages, setup.layout.pages());
    if !take(machine, early, MigrateType::Unmovable) {
        return;
    }
    machine.memory.hand_over_late();
    if !take(machine, late, MigrateType::Unmovable) {
        return;
    }
    if setup.boot_program {
        // Without room for it the kernel logs an error and goes on.
        text.load(machine, BOOT_PROGRAM).ok();
    }
    match booted.and_then(|snapshot| snapshot.taken(&machine.memory)) {
        Some(taken) => {
            let mut stream = Stream::new(setup.seed, Component::StartState, setup.run);
            machine.memory.settle_boot(taken, &mut stream);
        }
        None => {
            let (unmovable, reclaimable) = pages_of_boot(machine.release.pages);
            let _ = take(machine, unmovable - early - late, MigrateType::Unmovable)
                && take(machine, reclaimable, MigrateType::Reclaimable);
        }
    }
}

fn take(machine: &mut Machine, pages: u64, kind: MigrateType) -> bool {
    machine.memory.alloc_bulk(pages, kind, &mut Vec::new()).is_ok()
}

/// `mark_rodata_ro` and its companions: the image's alias in the direct map becomes read-only.
fn mark_image_read_only(machine: &mut Machine) {
    let change = PermChange::read_only(machine.release.cpa);
    for &(start, pages) in machine.release.read_only_image {
        let done = machine.change(PfnRange::with_len(Pfn::new(start), pages), change, Walk::Range);
        machine.flushes.account(done, CallEnd::Alias);
    }
    machine.map.split_kernel_image_entry(machine.release.high_map_splits);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_alloc::{Policy, PolicyOptions};
    use crate::units::Bytes;

    /// Read on a guest of 4 GiB with 5.10.262 when init started.
    const BUDDYINFO: &str = "\
Node 0, zone      DMA      1      0      0      1      2      1      1      1      0      1      3
Node 0, zone    DMA32      6      5      6      6      6      5      7      7      3      3    481
Node 0, zone   Normal      0      3      0      2      2      3      2      1      1      2    487
";
    const PAGETYPEINFO: &str = "\
Node    0, zone   Normal, type    Unmovable      0      1      0      0      1      1      0      0      1      1      0
Node    0, zone   Normal, type      Movable      0      1      0      1      0      1      1      0      0      1    487
Node    0, zone   Normal, type  Reclaimable      0      1      0      1      1      1      1      1      0      0      0
Node 0, zone   Normal           44          976            4            0            0
";

    #[test]
    fn a_booted_host_has_taken_what_its_texts_say() {
        let layout = MemoryLayout::q35(Bytes::new(4 << 30)).unwrap();
        let start = StartState::Snapshot(Snapshot::parse(BUDDYINFO, Some(PAGETYPEINFO)).unwrap());
        let mut cached = Vec::new();
        for (release, cpus, seed) in [("5.10", 1, 1), ("5.10", 1, 2), ("6.1", 1, 1), ("6.12", 2, 1), ("7.3", 1, 1)] {
            let setup = HostSetup {
                release: Release::named(release).unwrap(),
                layout: &layout,
                start: &start,
                cpus,
                largest_page: PageSize::Size1G,
                boot_program: true,
                seed,
                run: 0,
            };
            let text = &mut *Policy::PerProg.build(PolicyOptions::default());
            let machine = boot(&setup, text).unwrap();
            machine.memory.check().unwrap();
            // 44 and 4 pageblocks, of which 818 and 250 pages are free.
            let taken = [MigrateType::Unmovable, MigrateType::Reclaimable].map(|kind| machine.memory.taken(kind));
            assert_eq!(taken, [44 * 512 - 818, 4 * 512 - 250], "{release}");
            cached.push(machine.memory.unused_pages() - machine.memory.free_pages());
        }
        assert_ne!(cached[0], cached[1], "how full the lists are is drawn");
        // 5.10 has three lists, each of which one refill fills with 63 pages; 6.1 has more.
        assert!(cached[0] <= 3 * 63 && cached[2] > 63, "{cached:?}");
    }
}
