//! The list of policies: adding one here makes it known to scenarios, help and results.

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
