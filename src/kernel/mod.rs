//! A kernel release: memory, direct map and one text allocator put together.
//!
//! [`Kernel::boot`] brings a host up, [`Kernel::apply`] lets one event of a trace happen to it, and
//! [`Kernel::finish`] completes what the kernel defers, such as the free of a program after a grace period.
//! [`GivenKernel`] is the same without a page allocator: it is told which frames every area gets.

mod boot;
mod companions;
mod given;
mod kmem;
mod layout;
mod machine;
mod memory_map;
mod modules;
mod program;
mod programs;
mod release;
mod rox_cache;
mod scratch;
mod trampolines;
mod users;
mod verifier;
mod virtual_range;

pub(crate) use boot::BOOT_PROGRAM;
pub use boot::HostSetup;
pub use given::{ForeignArea, GivenArea, GivenKernel, MapCall, MapChanges, PermMove};
pub use layout::{Layout, TextLayout};
pub use memory_map::{CellRun, CellState, MemoryMap};
pub use programs::Unloaded;
pub use release::{
    CacheEra, FlowPasses, Frees, Modules, PageEra, Release, Trampolines, VerifierSizes, Vmalloc, release_names,
};
pub(crate) use verifier::INSN_BYTES;

use crate::direct_map::{CallEnd, CounterView, DirectMapCounters, Flushes, Leaf, PermChange, Walk};
use crate::memory::{MemoryError, OutOfMemory};
use crate::rng::{Component, Stream};
use crate::text_alloc::{ImageBytes, NoText, TextAllocator, TextUsage};
use crate::trace::{EventKind, Load, Permission, ProgId, SetMemory};
use crate::units::PAGE_BYTES;
use companions::Companions;
use machine::Machine;
use modules::ModuleTable;
use program::Program;
use programs::Programs;
use trampolines::{TrampolineImage, TrampolineTable};

/// Work that the kernel does later.
#[derive(Debug)]
pub enum Deferred {
    /// The free of a program, after an RCU grace period (`bpf_prog_put` -> `bpf_prog_free_deferred`).
    Program(Unloaded),
    /// The free of a trampoline's image, after an RCU-tasks grace period (`bpf_tramp_image_put`).
    Trampoline(OldTrampoline),
}

/// A trampoline's image that is no longer used.
#[derive(Clone, Debug)]
pub struct OldTrampoline {
    image: TrampolineImage,
    /// The CPU on which it went out of use.
    cpu: u32,
}

/// Everything that can be read off a host at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Entries of the direct map and splits.
    pub map: DirectMapCounters,
    /// TLB flushes since the trace started.
    pub flushes: Flushes,
    /// Page-table pages that splits have taken.
    pub table_pages: u64,
    /// Free pages (`MemFree`).
    pub free_pages: u64,
    /// Executable memory of programs and trampolines.
    pub text: TextUsage,
    /// Programs that are loaded; those waiting for their free do not count.
    pub programs_alive: u64,
    /// Pages that programs hold apart from their images.
    pub companion_pages: u64,
    /// Pages that other users of memory hold.
    pub user_pages: u64,
}

/// A running host.
#[derive(Debug)]
pub struct Kernel {
    machine: Machine,
    text: Box<dyn TextAllocator>,
    companions: Companions,
    programs: Programs,
    images: u64,
    modules: ModuleTable,
    trampolines: TrampolineTable,
    cpus: u32,
    /// The CPU of the latest load; events that are no loads happen there too.
    cpu: u32,
}

impl Kernel {
    /// Boots a host with this text allocator.
    ///
    /// # Errors
    /// [`MemoryError`] if the start state does not fit the machine.
    pub fn boot(setup: &HostSetup<'_>, mut text: Box<dyn TextAllocator>) -> Result<Self, MemoryError> {
        let mut machine = boot::boot(setup, text.as_mut())?;
        machine.map.start_running();
        machine.flushes = Flushes::default();
        machine.table_pages = 0;
        Ok(Self {
            machine,
            text,
            companions: match setup.booted() {
                Some(_) => {
                    let mut stream = Stream::new(setup.seed, Component::Companions, setup.run);
                    Companions::after_boot(setup.release, &mut stream)
                }
                None => Companions::new(setup.release),
            },
            programs: Programs::default(),
            images: 0,
            modules: ModuleTable::default(),
            trampolines: TrampolineTable::default(),
            cpus: setup.cpus.max(1),
            // So that the first load is on CPU 0.
            cpu: setup.cpus.max(1) - 1,
        })
    }

    /// Lets an event happen; returns work that is due after a grace period.
    ///
    /// Unloading what is not loaded does nothing: traces are checked where they are read.
    ///
    /// # Errors
    /// [`NoText`] if the host runs out of memory; what the event had taken by then stays taken.
    #[inline]
    pub fn apply(&mut self, event: &EventKind) -> Result<Option<Deferred>, NoText> {
        match event {
            EventKind::Load(load) => self.load(load).map(|()| None),
            EventKind::Unload { id } => Ok(self.unload(*id)),
            other => self.apply_rare(other),
        }
    }

    fn load(&mut self, load: &Load) -> Result<(), NoText> {
        if self.cpus > 1 {
            self.cpu = (self.cpu + 1) % self.cpus;
            self.machine.memory.set_cpu(self.cpu);
        }
        let program = Program::load(&mut self.machine, &mut self.companions, self.text.as_mut(), load, self.cpu)?;
        self.images += program.images();
        if let Some(old) = self.programs.load(load.id, program) {
            let old = self.programs.take(old);
            old.free(&mut self.machine, &mut self.companions, self.text.as_mut());
        }
        Ok(())
    }

    #[inline]
    fn unload(&mut self, id: ProgId) -> Option<Deferred> {
        self.programs.unload(id).map(Deferred::Program)
    }

    fn apply_rare(&mut self, event: &EventKind) -> Result<Option<Deferred>, NoText> {
        self.run_on(self.cpu);
        let machine = &mut self.machine;
        let old = match event {
            EventKind::Load(_) | EventKind::Unload { .. } => None,
            EventKind::ModuleLoad(module) => {
                self.modules.load(machine, module)?;
                None
            }
            EventKind::ModuleUnload { id } => {
                self.modules.unload(machine, *id);
                None
            }
            EventKind::TrampolineAttach { id, image_bytes } | EventKind::TrampolineUpdate { id, image_bytes } => {
                self.trampolines.set(machine, self.text.as_mut(), *id, ImageBytes::new(*image_bytes))?
            }
            EventKind::TrampolineDetach { id } => self.trampolines.remove(*id),
            EventKind::MemoryTake(take) => {
                let Machine { users, memory, .. } = machine;
                let no_text =
                    |OutOfMemory { order, free_pages, .. }| NoText::Frames { pages: take.pages, order, free_pages };
                users.take(memory, take).map_err(no_text)?;
                None
            }
            EventKind::MemoryGive(given) => {
                let Machine { users, memory, .. } = machine;
                users.give(memory, given);
                None
            }
            EventKind::SetMemory(change) => {
                set_memory(machine, change);
                None
            }
        };
        Ok(old.map(|image| Deferred::Trampoline(OldTrampoline { image, cpu: self.cpu })))
    }

    /// Completes deferred work, on the CPU that asked for it: there run its RCU callback (`call_rcu`) and the work that
    /// this queues (`schedule_work`). A program is taken to be closed by the process that loaded it, on the same CPU.
    pub fn finish(&mut self, work: Deferred) {
        match work {
            Deferred::Program(unloaded) => {
                let program = self.programs.take(unloaded);
                self.run_on(program.cpu());
                program.free(&mut self.machine, &mut self.companions, self.text.as_mut());
            }
            Deferred::Trampoline(OldTrampoline { image, cpu }) => {
                self.run_on(cpu);
                trampolines::free(&mut self.machine, self.text.as_mut(), image);
            }
        }
    }

    /// Lets what follows happen on a CPU.
    #[inline]
    fn run_on(&mut self, cpu: u32) {
        if self.cpus > 1 {
            self.machine.memory.set_cpu(cpu);
        }
    }

    /// Programs that are loaded.
    #[inline]
    pub fn programs_alive(&self) -> u64 {
        self.programs.loaded()
    }

    /// Images made since the trace started.
    pub const fn images_loaded(&self) -> u64 {
        self.images
    }

    /// Pages that programs hold apart from their images.
    #[inline]
    pub fn companion_pages(&self) -> u64 {
        self.companions.pages()
    }

    /// What the text allocator holds now, and trampolines on pages of their own; text of modules is not counted.
    #[inline]
    pub fn text_usage(&self) -> TextUsage {
        let (pages, bytes) = (self.machine.trampoline_pages, self.machine.trampoline_bytes);
        let usage = self.text.usage();
        TextUsage {
            image_bytes: usage.image_bytes + bytes,
            reserved_bytes: usage.reserved_bytes + pages * PAGE_BYTES,
            executable_pages: usage.executable_pages + pages,
            ..usage
        }
    }

    /// Everything that can be read off the host now.
    pub fn observe(&self, view: CounterView) -> Observation {
        Observation {
            map: self.map_counters(view),
            flushes: self.machine.flushes,
            table_pages: self.machine.table_pages,
            free_pages: self.machine.memory.free_pages(),
            text: self.text_usage(),
            programs_alive: self.programs_alive(),
            companion_pages: self.companions.pages(),
            user_pages: self.machine.users.pages(),
        }
    }

    /// The counters of the direct map alone, at once however much there is.
    pub fn map_counters(&self, view: CounterView) -> DirectMapCounters {
        self.machine.map.counters(view)
    }

    /// The direct map's entries in ascending order.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> + '_ {
        self.machine.map.leaves()
    }
}

/// A raw permission change on frames of the direct map.
fn set_memory(machine: &mut Machine, change: &SetMemory) {
    let era = machine.release.cpa;
    let (perms, walk) = match change.to {
        Permission::ReadOnly => (PermChange::read_only(era), Walk::Range),
        Permission::ReadWrite => (PermChange::read_write(), Walk::Range),
        Permission::NotPresent => (PermChange::not_present(era), Walk::Range),
        Permission::Present => (PermChange::present(), Walk::Range),
        Permission::Split4K => (PermChange::keep_4k(era), Walk::Force4k),
    };
    machine.purge_lazy_areas();
    let done = machine.change(change.range, perms, walk);
    machine.flushes.account(done, CallEnd::Direct);
}

#[cfg(test)]
mod tests;
