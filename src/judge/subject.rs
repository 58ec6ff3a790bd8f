//! Which of the model's kernels is to be compared with a recording.

use thiserror::Error;

use crate::kernel::Release;
use crate::recording::Header;
use crate::text_alloc::{HugeGiveBack, Policy, PolicyOptions, TextAllocator};

/// The model's counterpart of a recorded kernel.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The release.
    pub release: &'static Release,
    /// Where programs live.
    pub policy: Policy,
    /// How.
    pub options: PolicyOptions,
    /// Whether the kernel has loaded a program of its own at boot.
    pub boot_program: bool,
    /// Nodes that a pack is sized by.
    pub nodes: u64,
}

/// A recorded kernel that the model knows nothing of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the kernel `{kernel}` (release `{release}`) is none that fragsim has a model of")]
pub struct SubjectError {
    kernel: String,
    release: String,
}

/// The patched kernels: the name of the variant, its text allocator, and how packs of huge pages go back.
const VARIANTS: [(&str, Policy, HugeGiveBack); 7] = [
    ("G0", Policy::PerProg, HugeGiveBack::Block),
    ("G1", Policy::Pack2m, HugeGiveBack::Block),
    ("G1split", Policy::Pack2m, HugeGiveBack::Pages),
    ("G1fix", Policy::Pack2mFixed, HugeGiveBack::Pages),
    ("G2", Policy::Pack4k, HugeGiveBack::Block),
    ("G3", Policy::PackVmalloc, HugeGiveBack::Block),
    ("G3-unpatched", Policy::PackVmalloc, HugeGiveBack::Block),
];

/// Major and minor version at the start of a release name.
fn version(name: &str) -> Option<(u32, u32)> {
    let mut parts = name.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether these are the candidates of 5.18 with packs of huge pages, rc1 to rc3.
fn has_huge_packs(name: &str) -> bool {
    let candidate = name.split_once("-rc").map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    version(name) == Some((5, 18)) && matches!(candidate, Some(Some("1" | "2" | "3")))
}

impl Subject {
    /// The counterpart of the kernel that this header describes: the release of its version, or the newest older one.
    ///
    /// # Errors
    /// The kernel's name begins with no version, or with one older than every release known.
    pub fn of(header: &Header) -> Result<Self, SubjectError> {
        let unknown = || SubjectError { kernel: header.kernel.clone(), release: header.release.clone() };
        let wanted = version(&header.release).ok_or_else(unknown)?;
        let known = |release: &&Release| {
            version(release.name).is_some_and(|known| known <= wanted)
                && (release.name != "5.18" || !has_huge_packs(&header.release))
        };
        let release = Release::all().iter().rfind(known).ok_or_else(unknown)?;
        let mut subject = Self {
            release,
            policy: release.policy,
            options: PolicyOptions { invalidate: release.invalidates, ..PolicyOptions::default() },
            boot_program: !header.has_option("gt_noptp"),
            nodes: 1,
        };
        if let Some((_, policy, give_back)) = VARIANTS.into_iter().find(|(name, ..)| *name == header.kernel) {
            subject.policy = policy;
            subject.options = PolicyOptions { invalidate: true, give_back };
        }
        Ok(subject)
    }

    /// Whether the model is that of an older release, because fragsim has none of the recorded one.
    pub fn stands_in(&self, header: &Header) -> bool {
        version(&header.release) != version(self.release.name)
    }

    /// A new text allocator of its kind.
    pub fn text_allocator(&self) -> Box<dyn TextAllocator> {
        self.policy.build(self.options)
    }
}
