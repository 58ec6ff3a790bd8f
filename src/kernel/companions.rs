//! Kernel memory that comes along with every load.
//!
//! A load takes more than its image: pages for the program itself, scratch for the verifier that goes back before
//! the image is allocated (`verifier`), and slab objects. All of it is unmovable and comes from the same lists as the image, so it
//! moves the place where the next image lands; without it every allocator would look better than it is.
//!
//! The shape is read off recordings of Debian's 5.10.262 (a thousand programs of two instructions, each frame logged):
//! consecutive images stand two frames apart (the program's own page between them, the scratch page reused by the
//! image), every 32nd load takes eight more (an order-3 slab of 1 KiB objects, `struct bpf_prog_aux`; every 16th in recordings
//! of 6.1, which has grown), and about every
//! seventh one more page (small objects). After all programs are gone the slabs stay with their caches.

use super::machine::Machine;
use super::release::Release;
use crate::memory::MigrateType;
use crate::rng::Stream;
use crate::text_alloc::NoText;
use crate::units::{Order, PAGE_BYTES, Pfn, PfnRange};

/// Bytes of a BPF instruction (`struct bpf_insn`).
const INSN_BYTES: u64 = 8;
/// `offsetof(struct bpf_prog, insns)`, the header before the instructions (`include/linux/bpf.h@6.1`).
const PROG_HEADER_BYTES: u64 = 72;
/// Most instructions that the verifier looks at (`BPF_COMPLEXITY_LIMIT_INSNS`), and so about the longest program.
const MAX_INSNS: u64 = 1_000_000;
/// x86 bytes per BPF instruction where a trace does not tell the instructions (2 instructions take 20 to 23 bytes,
/// straight-line code 4.26 per instruction: recorded, 5.10 to 7.3).
const JITED_BYTES_PER_INSN: u64 = 5;

/// Small unmovable objects of one program: `struct file` (256 bytes with its padding), `vm_struct` and `vmap_area` (64
/// each) for the program and for its image, and 64 for the tables of page pointers and security blobs. The dentry is
/// reclaimable memory and not counted. In recordings of 5.10 to 7.3 `MemFree` falls by 0.15 to 0.23 pages per load more
/// than images, program pages and `bpf_prog_aux` account for, 0.05 of which are the dentry.
const SMALL_BYTES: u64 = 576;

/// A slab cache as the page allocator sees it: it grows, and keeps what it has (`min_partial` and per-CPU partial
/// lists; recorded: unloading a thousand programs returns their pages but not the slabs).
#[derive(Clone, Copy, Debug)]
struct Slab {
    order: Order,
    objects_per_slab: u64,
    in_use: u64,
    capacity: u64,
    pages: u64,
}

impl Slab {
    const fn new(order: Order, object_bytes: u64) -> Self {
        Self { order, objects_per_slab: (PAGE_BYTES << order.get()) / object_bytes, in_use: 0, capacity: 0, pages: 0 }
    }

    /// The same with its last slab in use in part, as boot leaves it.
    fn in_use_in_part(mut self, stream: &mut Stream) -> Self {
        self.capacity = stream.below(self.objects_per_slab);
        self
    }

    #[inline]
    fn take(&mut self, machine: &mut Machine) -> Result<(), NoText> {
        if self.in_use == self.capacity {
            machine.slab(self.order)?;
            self.capacity += self.objects_per_slab;
            self.pages += self.order.pages();
        }
        self.in_use += 1;
        Ok(())
    }

    #[inline]
    fn give(&mut self) {
        self.in_use -= 1;
    }
}

/// Slab caches that programs live in, and the scratch rule of the release.
#[derive(Clone, Debug)]
pub(super) struct Companions {
    /// `struct bpf_prog_aux`, from kmalloc-1k or kmalloc-2k.
    aux: Slab,
    /// Everything small and unmovable.
    small: Slab,
    program_pages: u64,
}

/// Pages of a program itself, held while it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProgramPages {
    /// One page, the rule.
    One(Pfn),
    /// Several, in virtual order.
    Many(Box<[PfnRange]>),
}

/// Instructions of a program; guessed from its images where the trace does not tell.
pub(super) fn insns_of(told: u32, image_bytes: u64) -> u64 {
    let insns = if told > 0 { u64::from(told) } else { image_bytes.div_ceil(JITED_BYTES_PER_INSN) };
    insns.min(MAX_INSNS)
}

/// Pages of `struct bpf_prog` with its instructions (`bpf_prog_alloc`: whole pages of vmalloc memory).
pub(super) const fn program_pages(insns: u64) -> u64 {
    (PROG_HEADER_BYTES + insns * INSN_BYTES).div_ceil(PAGE_BYTES)
}

impl Companions {
    pub(super) const fn new(release: &Release) -> Self {
        Self {
            aux: Slab::new(Order::SLAB, release.large_slab_bytes),
            small: Slab::new(Order::ZERO, SMALL_BYTES),
            program_pages: 0,
        }
    }

    /// The same on a host that has booted: other users of the slab caches have left objects free.
    pub(super) fn after_boot(release: &Release, stream: &mut Stream) -> Self {
        let new = Self::new(release);
        Self { aux: new.aux.in_use_in_part(stream), small: new.small.in_use_in_part(stream), ..new }
    }

    /// Slab objects and pages for a program of this many instructions.
    #[inline]
    pub(super) fn take_program(&mut self, machine: &mut Machine, insns: u64) -> Result<ProgramPages, NoText> {
        self.take_objects(machine)?;
        let pages = program_pages(insns);
        if pages == 1 {
            self.program_pages += 1;
            return machine.vmalloc_page().map(ProgramPages::One);
        }
        let mut runs = Vec::new();
        machine.vmalloc(pages, &mut runs)?;
        self.program_pages += runs.iter().map(|run| run.pages()).sum::<u64>();
        Ok(ProgramPages::Many(runs.into()))
    }

    /// Slab objects alone, for a program whose pages are an area (interpreted programs).
    pub(super) fn take_objects(&mut self, machine: &mut Machine) -> Result<(), NoText> {
        self.aux.take(machine)?;
        self.small.take(machine)
    }

    /// Gives slab objects back.
    #[inline]
    pub(super) fn give_objects(&mut self) {
        self.aux.give();
        self.small.give();
    }

    /// Gives a program's pages and slab objects back.
    #[inline]
    pub(super) fn give_program(&mut self, machine: &mut Machine, pages: ProgramPages) {
        self.give_objects();
        match pages {
            ProgramPages::One(pfn) => {
                self.program_pages -= 1;
                machine.vfree([PfnRange::with_len(pfn, 1)]);
            }
            ProgramPages::Many(runs) => {
                self.program_pages -= runs.iter().map(|run| run.pages()).sum::<u64>();
                machine.vfree(runs);
            }
        }
    }

    /// Pages held for programs apart from their images.
    pub(super) fn pages(&self) -> u64 {
        self.program_pages + self.aux.pages + self.small.pages
    }
}

impl Machine {
    /// A new slab (`allocate_slab`): unmovable, single pages if the large order fails.
    fn slab(&mut self, order: Order) -> Result<(), NoText> {
        if order > Order::ZERO && self.memory.alloc_block(order, MigrateType::Unmovable).is_ok() {
            return Ok(());
        }
        for _ in 0..order.pages() {
            self.page()?;
        }
        Ok(())
    }
}
