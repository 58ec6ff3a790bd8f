//! Kernel releases by name, and what differs between them.

use crate::direct_map::CpaEra;
use crate::text_alloc::Policy;

/// How `vmalloc` gets the pages of an ordinary area (`mm/vmalloc.c:vm_area_alloc_pages`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vmalloc {
    /// Order-0 pages one after another.
    SinglePages,
    /// Large orders first, cut into single pages (about 6.19).
    LargeOrdersFirst,
}

/// How freed pages of an area reach the page allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frees {
    /// Each through the per-CPU list.
    PageByPage,
    /// Contiguous runs at once (`free_pages_bulk@7.2`).
    ContiguousRuns,
}

/// How a release's page allocator keeps its per-CPU lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageEra {
    /// One list per migrate type for order 0 (up to 5.12).
    V5_10,
    /// Lists for orders 0 to 3 and huge pages (5.13 to 5.17).
    V5_15,
    /// The list that overflows is drained first (5.18 to 5.19).
    V5_18,
    /// As before (6.0 to 6.6).
    V6_1,
    /// Lists that grow and shrink by themselves (6.7 to 6.14).
    V6_12,
    /// Single pages are no longer stolen from the largest block; every pageblock is movable at boot (6.15 to 7.1).
    V6_15,
    /// A new batch formula (7.2).
    V7_2,
}

/// Memory of BPF trampolines (`kernel/bpf/trampoline.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trampolines {
    /// A page of its own that stays writable: nothing splits until it is freed (5.10).
    WritablePage,
    /// A page of its own, read-only and executable (6.1; 5b0d1c7bd572, merged after 6.0).
    RoxPage,
    /// A piece of a pack (`arch_alloc_bpf_trampoline`; series of October to December 2023, so from 6.8 by date).
    InPack,
}

/// Memory of modules (`kernel/module`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modules {
    /// One area for the module, one for its init part (up to 6.3).
    CoreAndInit,
    /// One area per type of memory (6.4 to 6.14).
    PerType,
    /// The same, but text comes from the read-only executable cache (6.15).
    TextInCache,
}

/// How the executable cache works (`mm/execmem.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheEra {
    /// Freed pieces are filled with traps by text patching; the cache grows by whole 2 MiB or not at all (6.15).
    V6_15,
    /// They are filled through their own mapping, made writable for it; where whole 2 MiB are not to be had, the cache
    /// grows by what was asked for, and keeps that (7.2).
    V7_2,
}

/// Passes over a program's control flow that take memory (`kernel/bpf/verifier.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlowPasses {
    /// `check_cfg` alone.
    CheckOnly,
    /// A postorder of the instructions, and registers alive at each (6.15).
    LiveRegisters,
    /// Strongly connected components too (6.17).
    Components,
    /// Stack slots written too; they and the postorder are held to the end (6.18).
    StackLiveness,
}

/// Memory of the verifier per instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierSizes {
    /// `sizeof(struct bpf_insn_aux_data)`.
    pub aux_bytes: u64,
    /// One entry of the table of states (`explored_states`): a pointer, a list head since 6.15.
    pub state_bytes: u64,
    /// Passes over the control flow.
    pub passes: FlowPasses,
}

/// A kernel release that a scenario can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name in scenarios, such as `6.12`.
    pub name: &'static str,
    /// What it does about executable memory, in a sentence.
    pub summary: &'static str,
    /// The text allocator that it shipped with.
    pub policy: Policy,
    /// Whether freed chunks of packs are filled with traps (`bpf_arch_text_invalidate`, after 5.18-rc1).
    pub invalidates: bool,
    /// What permission changes do to the alias in the direct map.
    pub cpa: CpaEra,
    /// Per-CPU page lists.
    pub pages: PageEra,
    /// Pages of ordinary areas.
    pub vmalloc: Vmalloc,
    /// Whether an area is put at the lowest addresses where it fits. Before 5.16 the search goes down its tree of holes by a
    /// length that allows for alignment, so a hole that fits exactly is seen only if it lies on the way
    /// (`find_vmap_lowest_match@5.10`; 9f531973dff3).
    pub lowest_fit: bool,
    /// The way back of such pages.
    pub frees: Frees,
    /// Trampolines.
    pub trampolines: Trampolines,
    /// Modules.
    pub modules: Modules,
    /// The executable cache.
    pub cache: CacheEra,
    /// Memory of the verifier.
    pub verifier: VerifierSizes,
    /// Bytes of the large slab objects of one program.
    pub large_slab_bytes: u64,
    /// Entries of the high kernel map that boot splits; they are counted with the direct map.
    pub high_map_splits: u64,
    /// Parts of the kernel image that boot makes read-only, first frame and pages.
    pub read_only_image: &'static [(u64, u64)],
}

/// Text with the tail of its last 2 MiB, constants, and the interrupt table, as recorded on Debian's cloud kernels with
/// `nokaslr`. In 6.12 text and constants are one piece.
const IMAGE_V5_10: &[(u64, u64)] = &[(4096, 3075), (7680, 1759), (11_884, 1)];
const IMAGE_V6_1: &[(u64, u64)] = &[(4096, 3586), (8192, 2087), (12_980, 1)];
const IMAGE_V6_12: &[(u64, u64)] = &[(4096, 6824), (14_041, 1)];
const IMAGE_V6_18: &[(u64, u64)] = &[(4096, 4240), (8704, 3133), (15_449, 1)];
const IMAGE_V7_3: &[(u64, u64)] = &[(4096, 4464), (8704, 3432), (15_616, 1)];

/// The eldest release described; each later one says only what it changed.
///
/// Where a release was not read, the nearest older one that was stands for it, apart from what is known to have come in
/// between: BPF's memory itself, the rules of `set_memory_*`, per-CPU lists, memory of modules and of trampolines.
const V5_10: Release = Release {
    name: "5.10",
    summary: "whole pages per image; /proc/vmstat has no split counters yet",
    policy: Policy::PerProg,
    invalidates: true,
    cpa: CpaEra::UpTo6_1,
    pages: PageEra::V5_10,
    vmalloc: Vmalloc::SinglePages,
    lowest_fit: false,
    frees: Frees::PageByPage,
    trampolines: Trampolines::WritablePage,
    modules: Modules::CoreAndInit,
    cache: CacheEra::V6_15,
    verifier: VerifierSizes { aux_bytes: 40, state_bytes: 8, passes: FlowPasses::CheckOnly },
    large_slab_bytes: 1024,
    high_map_splits: 5,
    read_only_image: IMAGE_V5_10,
};
const V5_11: Release = Release { name: "5.11", ..V5_10 };
const V5_12: Release = Release { name: "5.12", ..V5_10 };
const V5_13: Release = Release {
    name: "5.13",
    summary: "whole pages per image",
    pages: PageEra::V5_15,
    verifier: VerifierSizes { aux_bytes: 48, state_bytes: 8, passes: FlowPasses::CheckOnly },
    ..V5_10
};
const V5_14: Release = Release { name: "5.14", ..V5_13 };
const V5_15: Release = Release { name: "5.15", ..V5_13 };
const V5_16: Release = Release { name: "5.16", lowest_fit: true, ..V5_15 };
const V5_17: Release = Release { name: "5.17", ..V5_16 };
const V5_18_RC1: Release = Release {
    name: "5.18-rc1",
    summary: "packs of one 2 MiB huge page, freed as one block",
    policy: Policy::Pack2m,
    invalidates: false,
    ..V5_17
};
const V5_18: Release = Release {
    name: "5.18",
    summary: "packs of one 4 KiB page",
    policy: Policy::Pack4k,
    pages: PageEra::V5_18,
    ..V5_17
};
const V5_19: Release = Release { name: "5.19", ..V5_18 };
const V6_0: Release = Release {
    name: "6.0",
    summary: "packs of 2 MiB made of single pages",
    policy: Policy::PackVmalloc,
    pages: PageEra::V6_1,
    read_only_image: IMAGE_V6_1,
    verifier: VerifierSizes { aux_bytes: 56, state_bytes: 8, passes: FlowPasses::CheckOnly },
    large_slab_bytes: 2048,
    ..V5_19
};
const V6_1: Release = Release {
    name: "6.1",
    summary: "packs of 2 MiB made of single pages; trampolines on read-only pages",
    trampolines: Trampolines::RoxPage,
    ..V6_0
};
const V6_2: Release = Release { name: "6.2", cpa: CpaEra::From6_2, ..V6_1 };
const V6_3: Release = Release { name: "6.3", ..V6_2 };
const V6_4: Release = Release {
    name: "6.4",
    summary: "packs of 2 MiB made of single pages; modules in one area per type of memory",
    modules: Modules::PerType,
    ..V6_3
};
const V6_5: Release = Release { name: "6.5", ..V6_4 };
const V6_6: Release = Release { name: "6.6", cpa: CpaEra::From6_6, ..V6_5 };
const V6_7: Release = Release {
    name: "6.7",
    summary: "packs of 2 MiB made of single pages; per-CPU page lists that grow and shrink",
    pages: PageEra::V6_12,
    ..V6_6
};
const V6_8: Release = Release {
    name: "6.8",
    summary: "packs of 2 MiB made of single pages; trampolines inside packs",
    trampolines: Trampolines::InPack,
    ..V6_7
};
const V6_9: Release = Release { name: "6.9", ..V6_8 };
const V6_10: Release = Release { name: "6.10", ..V6_8 };
const V6_11: Release = Release { name: "6.11", ..V6_8 };
const V6_12: Release = Release {
    name: "6.12",
    read_only_image: IMAGE_V6_12,
    verifier: VerifierSizes { aux_bytes: 80, state_bytes: 8, passes: FlowPasses::CheckOnly },
    high_map_splits: 4,
    ..V6_11
};
const V6_13: Release = Release { name: "6.13", ..V6_12 };
const V6_14: Release = Release { name: "6.14", ..V6_12 };
const V6_15: Release = Release {
    name: "6.15",
    summary: "as 6.12, but module text comes from the read-only executable cache",
    cpa: CpaEra::From6_15,
    modules: Modules::TextInCache,
    pages: PageEra::V6_15,
    read_only_image: IMAGE_V6_18,
    verifier: VerifierSizes { aux_bytes: 80, state_bytes: 16, passes: FlowPasses::LiveRegisters },
    ..V6_14
};
const V6_16: Release = Release { name: "6.16", ..V6_15 };
const V6_17: Release = Release {
    name: "6.17",
    verifier: VerifierSizes { aux_bytes: 80, state_bytes: 16, passes: FlowPasses::Components },
    ..V6_15
};
const V6_18: Release = Release {
    name: "6.18",
    verifier: VerifierSizes { aux_bytes: 88, state_bytes: 16, passes: FlowPasses::StackLiveness },
    ..V6_17
};
const V6_19: Release = Release {
    name: "6.19",
    summary: "packs of single mappings over one 2 MiB block",
    policy: Policy::PackContig,
    vmalloc: Vmalloc::LargeOrdersFirst,
    ..V6_18
};
const V7_0: Release = Release { name: "7.0", ..V6_19 };
const V7_1: Release = Release { name: "7.1", ..V7_0 };
const V7_2: Release = Release {
    name: "7.2",
    summary: "packs of single mappings over one 2 MiB block, freed in contiguous runs",
    pages: PageEra::V7_2,
    frees: Frees::ContiguousRuns,
    cache: CacheEra::V7_2,
    high_map_splits: 5,
    ..V7_1
};
const V7_3: Release = Release {
    name: "7.3",
    summary: "packs are pieces of the read-only executable cache of 2 MiB pages",
    policy: Policy::ExecmemRox,
    read_only_image: IMAGE_V7_3,
    ..V7_2
};

/// Every release, oldest first.
static RELEASES: [Release; 35] = [
    V5_10, V5_11, V5_12, V5_13, V5_14, V5_15, V5_16, V5_17, V5_18_RC1, V5_18, V5_19, V6_0, V6_1, V6_2, V6_3, V6_4,
    V6_5, V6_6, V6_7, V6_8, V6_9, V6_10, V6_11, V6_12, V6_13, V6_14, V6_15, V6_16, V6_17, V6_18, V6_19, V7_0, V7_1,
    V7_2, V7_3,
];
impl Release {
    /// The release whose details every run uses unless the scenario names another.
    pub const DEFAULT: &'static str = "6.1";

    /// The release of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RELEASES.iter().find(|release| release.name == name)
    }

    /// Every release, oldest first.
    pub fn all() -> &'static [Self] {
        &RELEASES
    }
}

/// The names of all releases, oldest first.
pub fn release_names() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().map(|release| release.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_default_exists() {
        let mut names: Vec<_> = Release::all().iter().map(|release| release.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Release::all().len());
        assert!(Release::named(Release::DEFAULT).is_some());
        assert_eq!(Release::named("6"), None);
    }

    /// What `uname -r` of any release of these years begins with can be named.
    #[test]
    fn no_release_is_left_out() {
        let minors = [(5, 10..=19), (6, 0..=19), (7, 0..=3)];
        let wanted = minors.into_iter().flat_map(|(major, range)| range.map(move |minor| format!("{major}.{minor}")));
        let names: Vec<&str> = release_names().filter(|name| *name != "5.18-rc1").collect();
        assert_eq!(names, wanted.collect::<Vec<_>>());
        for release in Release::all() {
            let mut parts = release.name.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
            let (major, minor) = (parts.next().unwrap(), parts.next().unwrap());
            assert_eq!(release.cpa, CpaEra::of_release(major, minor), "{}", release.name);
        }
    }

    #[test]
    fn every_shipped_policy_belongs_to_a_release() {
        for policy in Policy::ALL {
            let shipped = Release::all().iter().any(|release| release.policy == policy);
            assert_eq!(shipped, policy != Policy::Pack2mFixed, "{policy:?}");
        }
    }
}
