//! The list of policies: adding one here makes it known to scenarios, help and results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TextAllocator;
use super::areas::GiveBack;
use super::execmem_rox::ExecmemRox;
use super::pack_2m::Pack2m;
use super::pack_2m_fixed::Pack2mFixed;
use super::pack_4k::Pack4k;
use super::pack_contig::PackContig;
use super::pack_vmalloc::PackVmalloc;
use super::packs::Packs;
use super::per_prog::PerProg;

/// How a policy with huge packs hands an empty pack back to the page allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "GiveBack")]
pub enum HugeGiveBack {
    /// As one block of 2 MiB, as 5.18-rc1 did.
    #[default]
    Block,
    /// Page by page, as vmalloc has done since; the block may never come together again.
    Pages,
}

impl From<HugeGiveBack> for GiveBack {
    fn from(choice: HugeGiveBack) -> Self {
        match choice {
            HugeGiveBack::Block => Self::Blocks,
            HugeGiveBack::Pages => Self::Pages,
        }
    }
}

/// What a scenario can change about a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyOptions {
    /// Whether freed chunks of a pack are filled with trapping instructions.
    pub invalidate: bool,
    /// How a freed huge pack returns to the page allocator; matters to `pack-2m` and `pack-2m-fixed` only.
    pub give_back: HugeGiveBack,
}

impl Default for PolicyOptions {
    fn default() -> Self {
        Self { invalidate: true, give_back: HugeGiveBack::Block }
    }
}

/// A text allocator policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Whole pages of its own for every image, as up to 5.17.
    PerProg,
    /// Packs of one 4 KiB page, as in 5.18 and 5.19.
    Pack4k,
    /// Packs of one 2 MiB huge page, as in 5.18-rc1 to -rc3.
    Pack2m,
    /// The same with the repair proposed on the list in April 2022.
    Pack2mFixed,
    /// Packs of 2 MiB made of single pages, as in 6.0 to 6.18.
    PackVmalloc,
    /// Packs of single mappings over one 2 MiB block, as in about 6.19 to 7.2.
    PackContig,
    /// Packs inside the cache of read-only executable huge pages, as in 7.3.
    ExecmemRox,
}

impl Policy {
    /// Every policy, oldest first; the order in which results list them.
    pub const ALL: [Self; 7] = [
        Self::PerProg,
        Self::Pack4k,
        Self::Pack2m,
        Self::Pack2mFixed,
        Self::PackVmalloc,
        Self::PackContig,
        Self::ExecmemRox,
    ];

    /// The policy's name in scenarios and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerProg => "per-prog",
            Self::Pack4k => "pack-4k",
            Self::Pack2m => "pack-2m",
            Self::Pack2mFixed => "pack-2m-fixed",
            Self::PackVmalloc => "pack-vmalloc",
            Self::PackContig => "pack-contig",
            Self::ExecmemRox => "execmem-rox",
        }
    }

    /// The policy of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// A new allocator of this policy.
    pub fn build(self, options: PolicyOptions) -> Box<dyn TextAllocator> {
        let PolicyOptions { invalidate, give_back } = options;
        match self {
            Self::PerProg => Box::new(PerProg::default()),
            Self::Pack4k => Box::new(Packs::new(Pack4k, invalidate)),
            Self::Pack2m => Box::new(Packs::new(Pack2m { give_back }, invalidate)),
            Self::Pack2mFixed => Box::new(Packs::new(Pack2mFixed { give_back }, invalidate)),
            Self::PackVmalloc => Box::new(Packs::new(PackVmalloc, invalidate)),
            Self::PackContig => Box::new(Packs::new(PackContig, invalidate)),
            Self::ExecmemRox => Box::new(Packs::new(ExecmemRox, invalidate)),
        }
    }

    /// What the policy does, in a sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::PerProg => "every image gets whole pages of its own (kernels up to 5.17)",
            Self::Pack4k => "images share packs of one 4 KiB page (5.18 and 5.19)",
            Self::Pack2m => {
                "images share packs of one 2 MiB page; freeing a pack breaks its direct-map entry (5.18-rc1 to -rc3)"
            }
            Self::Pack2mFixed => "as pack-2m, but a freed pack leaves its entry whole (repair proposed in April 2022)",
            Self::PackVmalloc => "images share packs of 2 MiB made of 512 single pages (6.0 to 6.18)",
            Self::PackContig => "as pack-vmalloc, but the pages are one contiguous 2 MiB block (about 6.19 to 7.2)",
            Self::ExecmemRox => "packs are pieces of the cache of read-only executable 2 MiB pages (7.3)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_policy() {
        for policy in Policy::ALL {
            assert_eq!(Policy::from_name(policy.name()), Some(policy));
        }
        assert_eq!(Policy::from_name("pack"), None);
    }
}
