//! Between a trace file's lines and the events of a replay.

use rustc_hash::FxHashMap;

use super::event::{
    Event, EventKind, Images, Load, MAX_IMAGE_BYTES, MemoryGive, MemoryTake, ModuleLoad, ProgId, SetMemory, SizeError,
};
use super::line::{
    Address, IdLine, LoadLine, MemoryGiveLine, MemoryTakeLine, ModuleLine, SetMemoryLine, TraceLine, TrampolineLine,
};
use crate::units::{Bytes, MAX_PFN, Order, PAGE_BYTES, Pfn, PfnRange, SimTime};

/// An event with what only a human reader or a comparison needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedEvent {
    /// The event.
    pub event: Event,
    /// Name of the program, module or trampoline; empty if there is none.
    pub name: String,
    /// Where each image of a load stood in the recorded kernel; empty if not known.
    pub image_addresses: Vec<u64>,
}

impl From<Event> for NamedEvent {
    fn from(event: Event) -> Self {
        Self { event, name: String::new(), image_addresses: Vec::new() }
    }
}

/// The other users of memory of a trace: names in the order of their first event, and how much each holds.
#[derive(Clone, Debug, Default)]
pub struct MemoryUsers {
    names: Vec<String>,
    held_pages: Vec<u64>,
    index: FxHashMap<String, u32>,
}

impl MemoryUsers {
    /// The index of this name; a new name gets the next one.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(&user) = self.index.get(name) {
            return user;
        }
        let user = u32::try_from(self.names.len()).expect("a name takes at least a line of the trace");
        self.names.push(name.to_owned());
        self.held_pages.push(0);
        self.index.insert(name.to_owned(), user);
        user
    }

    /// Every name, by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Why a well-formed line is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invalid {
    pub message: String,
    pub json_path: &'static str,
    pub help: Option<String>,
}

impl Invalid {
    pub fn new(json_path: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { message: message.into(), json_path, help: None })
    }

    pub fn help(mut self: Box<Self>, help: impl Into<String>) -> Box<Self> {
        self.help = Some(help.into());
        self
    }
}

type Converted<T> = Result<T, Box<Invalid>>;

/// The event of a line.
pub(super) fn to_event(line: TraceLine, users: &mut MemoryUsers) -> Converted<NamedEvent> {
    match line.events()[..] {
        [_] => {}
        [] => {
            let keys = TraceLine::EVENT_KEYS.join("`, `");
            return Err(Invalid::new("", "the line names no event").help(format!("add one of `{keys}`")));
        }
        [first, second, ..] => {
            let message = format!("the line names two events, `{first}` and `{second}`");
            return Err(Invalid::new("", message).help("write one event a line"));
        }
    }
    let mut name = String::new();
    let mut image_addresses = Vec::new();
    let kind = if let Some(load) = line.load {
        let kind = EventKind::Load(load_event(&load)?);
        name = load.name;
        image_addresses = load.image_addresses.into_iter().map(|address| address.0).collect();
        kind
    } else if let Some(module) = line.module_load {
        let kind = EventKind::ModuleLoad(Box::new(module_event(&module)?));
        name = module.name;
        kind
    } else if let Some(attach) = line.trampoline_attach {
        let image_bytes = trampoline_bytes(&attach, "trampoline_attach.image_bytes")?;
        name = attach.name;
        EventKind::TrampolineAttach { id: attach.id, image_bytes }
    } else if let Some(update) = line.trampoline_update {
        let image_bytes = trampoline_bytes(&update, "trampoline_update.image_bytes")?;
        name = update.name;
        EventKind::TrampolineUpdate { id: update.id, image_bytes }
    } else if let Some(take) = line.memory_take {
        EventKind::MemoryTake(take_event(&take, users)?)
    } else if let Some(give) = line.memory_give {
        EventKind::MemoryGive(give_event(&give, users)?)
    } else if let Some(set) = line.set_memory {
        EventKind::SetMemory(set_event(&set)?)
    } else if let Some(IdLine { id }) = line.module_unload {
        EventKind::ModuleUnload { id }
    } else if let Some(IdLine { id }) = line.trampoline_detach {
        EventKind::TrampolineDetach { id }
    } else {
        let IdLine { id } = line.unload.expect("the line names exactly one event");
        EventKind::Unload { id: ProgId::new(id) }
    };
    Ok(NamedEvent { event: Event { time: SimTime::from_nanos(line.time_ns), kind }, name, image_addresses })
}

fn load_event(load: &LoadLine) -> Converted<Load> {
    let images = Images::new(&load.image_bytes).map_err(|error| {
        let help = match error {
            SizeError::NoImage => "write the length of each image, such as \"image_bytes\":[23]",
            _ => "a length is between 1 and 2147483648 bytes",
        };
        Invalid::new("load.image_bytes", error.to_string()).help(help)
    })?;
    if !load.image_addresses.is_empty() && load.image_addresses.len() != images.len() {
        let message = format!("{} addresses for {} images", load.image_addresses.len(), images.len());
        return Err(Invalid::new("load.image_addresses", message).help("write one address for each image, or none"));
    }
    Ok(Load { id: ProgId::new(load.id), images, insns: load.insns, jited: load.jited })
}

fn module_event(line: &ModuleLine) -> Converted<ModuleLoad> {
    let module = ModuleLoad {
        id: line.id,
        text_bytes: line.text_bytes,
        rodata_bytes: line.rodata_bytes,
        ro_after_init_bytes: line.ro_after_init_bytes,
        data_bytes: line.data_bytes,
        init_text_bytes: line.init_text_bytes,
        init_rodata_bytes: line.init_rodata_bytes,
        init_data_bytes: line.init_data_bytes,
    };
    let sizes = module_sizes(&module);
    if sizes.iter().all(|&bytes| bytes == 0) {
        return Err(
            Invalid::new("module_load", "a module of size 0").help("write its sections, such as \"text_bytes\"")
        );
    }
    if sizes.iter().any(|&bytes| bytes > MAX_IMAGE_BYTES) {
        return Err(Invalid::new("module_load", "a section is larger than 2 GiB"));
    }
    Ok(module)
}

/// The bytes of each kind of section, in the order of [`ModuleLoad`].
pub(super) fn module_sizes(module: &ModuleLoad) -> [u32; 7] {
    [
        module.text_bytes,
        module.rodata_bytes,
        module.ro_after_init_bytes,
        module.data_bytes,
        module.init_text_bytes,
        module.init_rodata_bytes,
        module.init_data_bytes,
    ]
}

fn trampoline_bytes(line: &TrampolineLine, json_path: &'static str) -> Converted<u32> {
    match line.image_bytes {
        0 => Err(Invalid::new(json_path, "a trampoline of size 0")),
        1..=MAX_IMAGE_BYTES => Ok(line.image_bytes),
        _ => Err(Invalid::new(json_path, "the image is larger than 2 GiB")),
    }
}

fn take_event(line: &MemoryTakeLine, users: &mut MemoryUsers) -> Converted<MemoryTake> {
    let order = Order::new(line.order)
        .ok_or_else(|| Invalid::new("memory_take.order", "no such order").help("orders go from 0 to 10"))?;
    if line.bytes.get() == 0 {
        return Err(Invalid::new("memory_take.bytes", "no memory at all"));
    }
    let pages = line.bytes.pages_up().next_multiple_of(order.pages());
    let user = users.intern(&line.user);
    let held = &mut users.held_pages[user as usize];
    *held = held
        .checked_add(pages)
        .filter(|&held| held <= MAX_PFN)
        .ok_or_else(|| Invalid::new("memory_take.bytes", format!("`{}` takes more than x86-64 can have", line.user)))?;
    Ok(MemoryTake { user, kind: line.kind, pages, order })
}

fn give_event(line: &MemoryGiveLine, users: &mut MemoryUsers) -> Converted<MemoryGive> {
    let user = users.index.get(&line.user).copied().filter(|&user| users.held_pages[user as usize] > 0);
    let Some(user) = user else {
        let message = format!("`{}` holds no memory", line.user);
        return Err(Invalid::new("memory_give.user", message).help("a `memory_take` of the same user comes first"));
    };
    let held = &mut users.held_pages[user as usize];
    let pages = match (line.share_permille, line.bytes) {
        (Some(_), Some(_)) => {
            let help = "write `share_permille` or `bytes`, or neither to give all";
            return Err(Invalid::new("memory_give", "two amounts").help(help));
        }
        (None, None) => None,
        (Some(share @ 1..=1000), None) => {
            // Below 2^40 pages, so this fits.
            Some((*held * u64::from(share) / 1000).max(1))
        }
        (Some(_), None) => {
            return Err(Invalid::new("memory_give.share_permille", "a share is between 1 and 1000 thousandths"));
        }
        (None, Some(bytes)) => {
            if bytes.get() == 0 {
                return Err(Invalid::new("memory_give.bytes", "no memory at all").help("leave `bytes` out to give all"));
            }
            Some(bytes.pages_up())
        }
    };
    let given = pages.unwrap_or(*held);
    let Some(left) = held.checked_sub(given) else {
        let (held, given) = (Bytes::new(*held * PAGE_BYTES), Bytes::new(given * PAGE_BYTES));
        return Err(Invalid::new("memory_give.bytes", format!("`{}` holds {held}, not {given}", line.user)));
    };
    *held = left;
    Ok(MemoryGive { user, pages, pattern: line.pattern })
}

fn set_event(line: &SetMemoryLine) -> Converted<SetMemory> {
    let past_the_end = || Invalid::new("set_memory", "the frames end beyond the 52 address bits of x86-64");
    if line.pages == 0 {
        return Err(Invalid::new("set_memory.pages", "no frame at all"));
    }
    if line.first_pfn > MAX_PFN {
        return Err(past_the_end());
    }
    let first = Pfn::new(line.first_pfn);
    let end = first.checked_add(line.pages).ok_or_else(past_the_end)?;
    Ok(SetMemory { range: PfnRange::new(first, end), to: line.to })
}

/// The line of an event; `users` holds the names that the event's users index.
pub(super) fn to_line(named: &NamedEvent, users: &[String]) -> TraceLine {
    let user = |index: u32| users.get(index as usize).cloned().unwrap_or_else(|| format!("user {index}"));
    let name = named.name.clone();
    let mut line = TraceLine { time_ns: named.event.time.nanos(), ..TraceLine::default() };
    match &named.event.kind {
        EventKind::Load(load) => {
            line.load = Some(LoadLine {
                id: load.id.get(),
                name,
                image_bytes: load.images.as_slice().to_vec(),
                insns: load.insns,
                jited: load.jited,
                image_addresses: named.image_addresses.iter().copied().map(Address).collect(),
            });
        }
        EventKind::Unload { id } => line.unload = Some(IdLine { id: id.get() }),
        EventKind::ModuleLoad(module) => line.module_load = Some(module_line(module, name)),
        EventKind::ModuleUnload { id } => line.module_unload = Some(IdLine { id: *id }),
        &EventKind::TrampolineAttach { id, image_bytes } => {
            line.trampoline_attach = Some(TrampolineLine { id, name, image_bytes });
        }
        &EventKind::TrampolineUpdate { id, image_bytes } => {
            line.trampoline_update = Some(TrampolineLine { id, name, image_bytes });
        }
        EventKind::TrampolineDetach { id } => line.trampoline_detach = Some(IdLine { id: *id }),
        EventKind::MemoryTake(take) => {
            let bytes = Bytes::new(take.pages * PAGE_BYTES);
            let (user, kind, order) = (user(take.user), take.kind, take.order.get());
            line.memory_take = Some(MemoryTakeLine { user, kind, bytes, order });
        }
        EventKind::MemoryGive(give) => {
            let bytes = give.pages.map(|pages| Bytes::new(pages * PAGE_BYTES));
            let (user, pattern) = (user(give.user), give.pattern);
            line.memory_give = Some(MemoryGiveLine { user, share_permille: None, bytes, pattern });
        }
        EventKind::SetMemory(set) => {
            let (first_pfn, pages) = (set.range.start().get(), set.range.pages());
            line.set_memory = Some(SetMemoryLine { first_pfn, pages, to: set.to });
        }
    }
    line
}

fn module_line(module: &ModuleLoad, name: String) -> ModuleLine {
    ModuleLine {
        id: module.id,
        name,
        text_bytes: module.text_bytes,
        rodata_bytes: module.rodata_bytes,
        ro_after_init_bytes: module.ro_after_init_bytes,
        data_bytes: module.data_bytes,
        init_text_bytes: module.init_text_bytes,
        init_rodata_bytes: module.init_rodata_bytes,
        init_data_bytes: module.init_data_bytes,
    }
}
