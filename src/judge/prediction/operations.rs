//! What a recording says was done, done to the model.

use rustc_hash::FxHashMap;

use super::loader::{ArrayMove, ProgramArray};
use crate::direct_map::{CounterView, DirectMapCounters};
use crate::judge::areas::{self, NewModule};
use crate::kernel::{INSN_BYTES, Kernel};
use crate::recording::{Image, Load, Operation, Record, Recording};
use crate::text_alloc::NoText;
use crate::trace::{EventKind, GivePattern, Images, MemoryGive, MemoryKind, MemoryTake, ProgId};
use crate::units::{Order, PAGES_PER_2M};

/// Numbers of a traced tool's programs begin here, those of the lab's lie below.
const TRACED: u64 = 1 << 40;
/// Page tables of a slot are a user of their own.
const TABLES_OF: &str = "page tables of ";
/// So is the array that programs are written into, on the heap or with a mapping of its own.
const HEAP: &str = "heap";
const MAPPING: &str = "mapping";

/// A model of the recorded guest.
pub(super) struct Guest<'a> {
    kernel: Kernel,
    /// Programs that are alive.
    programs: Vec<u64>,
    users: FxHashMap<String, u32>,
    /// Files in the order of their creation, and how many of these were passed over by removals.
    files: Vec<&'a str>,
    passed: usize,
    modules: FxHashMap<&'a str, u64>,
    module_sizes: FxHashMap<&'a str, u64>,
    shuffled: bool,
    array: ProgramArray,
}

/// Lengths of a program's images: recordings tell only their sum, functions are taken to be alike.
fn images(image: &Image) -> Option<Images> {
    let functions = image.addresses.len().max(1) as u32;
    Images::new(&vec![image.jited_bytes.div_ceil(functions); functions as usize]).ok()
}

impl<'a> Guest<'a> {
    pub(super) fn new(kernel: Kernel, recording: &'a Recording, array: ProgramArray) -> Self {
        Self {
            kernel,
            programs: Vec::new(),
            users: FxHashMap::default(),
            files: Vec::new(),
            passed: 0,
            modules: FxHashMap::default(),
            module_sizes: areas::module_sizes(recording),
            // P2 frees in shuffled order in every variant.
            shuffled: recording.header.experiment == "P2" || recording.header.variant.contains("shuffle"),
            array,
        }
    }

    pub(super) fn observe(&self, view: CounterView) -> DirectMapCounters {
        self.kernel.map_counters(view)
    }

    /// Lets the operation of a record happen.
    pub(super) fn apply(&mut self, record: &'a Record) -> Result<(), NoText> {
        match &record.operation {
            Operation::Load(Load { id, insns, image: Some(image), .. }) => {
                self.write_program(*insns)?;
                self.load(*id, *insns, image)
            }
            Operation::TracedLoad(load) => match &load.image {
                Some(image) => self.load(TRACED + load.file.unsigned_abs(), load.insns, image),
                None => Ok(()),
            },
            Operation::Unload { id } => self.unload(*id),
            Operation::TracedClose { file } => self.unload(TRACED + file.unsigned_abs()),
            Operation::UnloadAll { .. } => self.unload_all(|id| id < TRACED),
            Operation::TracedEnd => self.unload_all(|id| id >= TRACED),
            Operation::ModuleLoad { name, errno: None } => self.load_module(name, record),
            Operation::ModuleUnload { name, errno: None } => match self.modules.get(name.as_str()) {
                Some(id) => self.event(EventKind::ModuleUnload { id: *id }),
                None => Ok(()),
            },
            operation => self.memory(operation),
        }
    }

    fn event(&mut self, event: EventKind) -> Result<(), NoText> {
        if let Some(work) = self.kernel.apply(&event)? {
            self.kernel.finish(work);
        }
        Ok(())
    }

    fn load(&mut self, id: u64, insns: u32, image: &Image) -> Result<(), NoText> {
        let Some(images) = images(image) else { return Ok(()) };
        self.programs.push(id);
        self.event(EventKind::Load(crate::trace::Load { id: ProgId::new(id), images, insns, jited: true }))
    }

    /// The guest process writes a program of this length.
    fn write_program(&mut self, insns: u32) -> Result<(), NoText> {
        for moved in self.array.write(u64::from(insns) * INSN_BYTES) {
            match moved {
                ArrayMove::Heap(0) | ArrayMove::Small(0) | ArrayMove::Huge(0) => {}
                ArrayMove::Unmap => self.give(MAPPING.to_owned(), None, GivePattern::Oldest)?,
                ArrayMove::Heap(pages) => self.take(HEAP.to_owned(), MemoryKind::Anonymous, pages)?,
                ArrayMove::Small(pages) => self.take(MAPPING.to_owned(), MemoryKind::Anonymous, pages)?,
                ArrayMove::Huge(pages) => {
                    self.take_blocks(MAPPING.to_owned(), MemoryKind::Anonymous, pages, Order::PAGEBLOCK)?;
                }
            }
        }
        Ok(())
    }

    fn unload(&mut self, id: u64) -> Result<(), NoText> {
        self.programs.retain(|alive| *alive != id);
        self.event(EventKind::Unload { id: ProgId::new(id) })
    }

    fn unload_all(&mut self, whose: impl Fn(u64) -> bool) -> Result<(), NoText> {
        let (mut gone, kept): (Vec<u64>, Vec<u64>) =
            std::mem::take(&mut self.programs).into_iter().partition(|id| whose(*id));
        self.programs = kept;
        gone.sort_unstable();
        gone.into_iter().try_for_each(|id| self.event(EventKind::Unload { id: ProgId::new(id) }))
    }

    /// The sizes of a module's sections are its own; the areas of its first load show them.
    fn load_module(&mut self, name: &'a str, record: &Record) -> Result<(), NoText> {
        let changes = record.walk.as_ref().map_or(&[][..], |walk| &walk.areas);
        let id = self.modules.len() as u64;
        let id = *self.modules.entry(name).or_insert(id);
        let module = NewModule::new(id, areas::mapped(changes), self.module_sizes.get(name).copied());
        self.event(EventKind::ModuleLoad(Box::new(module.load)))
    }

    fn user(&mut self, name: String) -> u32 {
        let next = self.users.len() as u32;
        *self.users.entry(name).or_insert(next)
    }

    fn take(&mut self, name: String, kind: MemoryKind, pages: u64) -> Result<(), NoText> {
        self.take_blocks(name, kind, pages, Order::ZERO)
    }

    fn take_blocks(&mut self, name: String, kind: MemoryKind, pages: u64, order: Order) -> Result<(), NoText> {
        let user = self.user(name);
        self.event(EventKind::MemoryTake(MemoryTake { user, kind, pages, order }))
    }

    fn give(&mut self, name: String, pages: Option<u64>, pattern: GivePattern) -> Result<(), NoText> {
        let user = self.user(name);
        self.event(EventKind::MemoryGive(MemoryGive { user, pages, pattern }))
    }

    /// Other users of memory.
    fn memory(&mut self, operation: &'a Operation) -> Result<(), NoText> {
        match operation {
            Operation::Anonymous { slot, mib } => {
                // A page table for each 2 MiB, when its first page is touched.
                for _ in 0..mib.div_ceil(2) {
                    self.take(format!("{TABLES_OF}{slot}"), MemoryKind::PageTables, 1)?;
                    self.take(slot.to_string(), MemoryKind::Anonymous, PAGES_PER_2M)?;
                }
                Ok(())
            }
            Operation::Punch { slot, pages } => self.give(slot.to_string(), Some(*pages), GivePattern::Scattered),
            Operation::PageTables { slot, tables } => self.take(slot.to_string(), MemoryKind::PageTables, *tables),
            Operation::PunchPageTables { slot, freed, .. } => {
                let pattern = if self.shuffled { GivePattern::Random } else { GivePattern::Scattered };
                self.give(slot.to_string(), Some(*freed), pattern)
            }
            Operation::Free { slot } => {
                self.give(slot.to_string(), None, GivePattern::Oldest)?;
                self.give(format!("{TABLES_OF}{slot}"), None, GivePattern::Oldest)
            }
            Operation::WriteFile { name, kib } => {
                self.give(name.clone(), None, GivePattern::Oldest)?;
                self.files.retain(|file| file != name);
                self.files.push(name);
                self.take(name.clone(), MemoryKind::PageCache, kib.div_ceil(4))
            }
            Operation::RemoveFile => self.remove_file(),
            _ => Ok(()),
        }
    }

    /// Logs do not say which file is removed. Half of them are, in the order of their creation: every second one.
    fn remove_file(&mut self) -> Result<(), NoText> {
        if self.files.is_empty() {
            return Ok(());
        }
        let at = (self.passed + 1).min(self.files.len() - 1);
        self.passed = at;
        let name = self.files.remove(at);
        self.give(name.to_owned(), None, GivePattern::Oldest)
    }
}
