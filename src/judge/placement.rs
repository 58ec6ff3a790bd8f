//! Placement: where images stand in the module range, compared with the addresses that the kernel tells.

use rustc_hash::FxHashMap;

use super::areas;
use super::places::{Place, Places};
use super::programs::Key;
use super::subject::{Subject, SubjectError};
use super::verdict::{Disagreement, Score};
use crate::kernel::BOOT_PROGRAM;
use crate::recording::{AreaChange, Image, Operation, Record, Recording};
use crate::text_alloc::{AreaId, CHUNK_BYTES, ImageBytes, Slot, TextAllocator};
use crate::units::PAGE_BYTES;

/// Start of the module range without address randomization.
const MODULES_START: u64 = 0xffff_ffff_c000_0000;
/// Bytes before the code: the header of an image.
const HEADER_BYTES: u64 = 8;

/// What one recording says of the places of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The recorded kernel.
    pub kernel: String,
    /// The recording's name: experiment, variant, memory.
    pub name: String,
    /// Images whose address lies in the chunks or pages that the model gave them.
    pub images: Score,
    /// The same of a model that puts every image behind the one before.
    pub null: Score,
    /// Areas (packs, and images with pages of their own) at the model's address and of its size.
    pub areas: Score,
    /// Where kernel and model differ first.
    pub first: Option<Disagreement>,
}

impl Placement {
    /// Whether every image and every area is where the model puts it.
    pub const fn agrees(&self) -> bool {
        self.images.is_full() && self.areas.is_full()
    }
}

/// An image or area under the judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceView {
    /// The step.
    pub step: u32,
    /// Whether it is where the model has it.
    pub agrees: bool,
    /// Where the kernel has it.
    pub kernel: String,
    /// Where the model has it.
    pub model: String,
}

/// Judges the places of images by a recording.
///
/// # Errors
/// There is no model of the recorded kernel.
pub fn place(recording: &Recording) -> Result<Placement, SubjectError> {
    Ok(place_with(recording, &Subject::of(&recording.header)?))
}

/// The same with a model of the caller's choice.
pub fn place_with(recording: &Recording, subject: &Subject) -> Placement {
    let mut judge = Judge::new(recording, subject);
    recording.steps().for_each(|(step, record)| judge.step(step, record));
    judge.verdict
}

/// The images and areas whose places are judged in one step.
pub fn places_in(recording: &Recording, subject: &Subject, step: u32) -> Vec<PlaceView> {
    let mut judge = Judge::new(recording, subject);
    judge.shown = Some(step);
    recording.steps().take_while(|(at, _)| *at <= step).for_each(|(at, record)| judge.step(at, record));
    judge.views
}

/// Room for an image: addresses from the first to behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    start: u64,
    end: u64,
}

impl Room {
    const fn holds(self, address: u64, bytes: u64) -> bool {
        self.start + HEADER_BYTES <= address && address + bytes <= self.end
    }
}

/// An image that has a place.
#[derive(Clone, Copy, Debug)]
struct Placed {
    room: Room,
    in_pack: bool,
}

struct Judge {
    places: Places,
    text: Box<dyn TextAllocator>,
    /// Address of the range; with address randomization the first image tells.
    base: Option<u64>,
    /// Whether the kernel puts areas at the lowest place that fits; if not, its choice among free places is taken over.
    lowest_fit: bool,
    alive: FxHashMap<Key, Vec<Slot>>,
    /// The area behind each pack's number.
    packs: FxHashMap<u32, AreaId>,
    last: Option<Placed>,
    /// The step whose places are told one by one.
    shown: Option<u32>,
    views: Vec<PlaceView>,
    verdict: Placement,
}

/// The address of the code of each function, and its length. Recordings tell only the sum: a function that another one
/// follows closely ends there.
fn functions(image: &Image) -> Vec<(u64, u64)> {
    let mut left = u64::from(image.jited_bytes);
    let count = image.addresses.len();
    let mut functions = Vec::with_capacity(count);
    for (index, address) in image.addresses.iter().enumerate() {
        let others = (count - index - 1) as u64;
        let next = image.addresses.get(index + 1).map(|next| next.0.wrapping_sub(address.0));
        let bytes = match next {
            None => left,
            // Header, padding and the random start of the next image lie between.
            Some(gap) if gap <= left => gap.saturating_sub(CHUNK_BYTES).clamp(1, left.saturating_sub(others).max(1)),
            Some(_) => left / (others + 1),
        };
        left = left.saturating_sub(bytes);
        functions.push((address.0, bytes));
    }
    functions
}

impl Judge {
    fn new(recording: &Recording, subject: &Subject) -> Self {
        let header = &recording.header;
        let mut judge = Self {
            places: Places::default(),
            text: subject.text_allocator(),
            base: header.has_option("nokaslr").then_some(MODULES_START),
            lowest_fit: subject.release.lowest_fit,
            alive: FxHashMap::default(),
            packs: FxHashMap::default(),
            last: None,
            shown: None,
            views: Vec::new(),
            verdict: Placement {
                kernel: header.kernel.clone(),
                name: header.name.clone(),
                images: Score::default(),
                null: Score::default(),
                areas: Score::default(),
                first: None,
            },
        };
        if subject.boot_program
            && let Ok(slot) = judge.text.load(&mut judge.places, BOOT_PROGRAM)
        {
            let opened = judge.places.take_opened();
            judge.note_pack(slot, &opened);
        }
        judge
    }

    fn note_pack(&mut self, slot: Slot, opened: &[AreaId]) {
        if let (Some((pack, _)), Some(area)) = (slot.chunk(), opened.last()) {
            self.packs.insert(pack, *area);
        }
    }

    fn step(&mut self, step: u32, record: &Record) {
        let changes = record.walk.as_ref().map_or(&[][..], |walk| &walk.areas);
        match &record.operation {
            Operation::Load(load) => {
                if let Some(image) = &load.image {
                    self.load(step, record, Key::Number(load.id), image);
                }
            }
            Operation::TracedLoad(load) => {
                if let Some(image) = &load.image {
                    self.load(step, record, Key::File(load.file), image);
                }
            }
            Operation::Unload { id } => self.unload(Key::Number(*id)),
            Operation::TracedClose { file } => self.unload(Key::File(*file)),
            Operation::UnloadAll { .. } => self.unload_all(|key| matches!(key, Key::Number(_))),
            Operation::TracedEnd => self.unload_all(|key| matches!(key, Key::File(_))),
            _ => {}
        }
        self.note_others(changes);
    }

    /// Areas that neither the model nor a program of the recording has opened, such as those of modules.
    fn note_others(&mut self, changes: &[AreaChange]) {
        let Some(base) = self.base else { return };
        let page = |address: u64| address.checked_sub(base).map(|offset| offset / PAGE_BYTES);
        for (start, end) in areas::gone(changes) {
            if let (Some(start), Some(end)) = (page(start), page(end)) {
                self.places.release(start, end);
            }
        }
        for area in areas::mapped(changes) {
            if let Some(start) = page(area.given.name) {
                self.places.occupy(Place { start, pages: area.given.pages });
            }
        }
    }

    fn load(&mut self, step: u32, record: &Record, key: Key, image: &Image) {
        self.unload(key);
        for (address, bytes) in functions(image) {
            let length = ImageBytes::new(u32::try_from(bytes).unwrap_or(u32::MAX));
            let Ok(slot) = self.text.load(&mut self.places, length) else { continue };
            let opened = self.places.take_opened();
            self.note_pack(slot, &opened);
            self.alive.entry(key).or_default().push(slot);
            self.compare(step, record, slot, opened.last().copied(), (address, bytes));
            self.compare_areas(step, record, &opened);
        }
    }

    fn compare(&mut self, step: u32, record: &Record, slot: Slot, opened: Option<AreaId>, code: (u64, u64)) {
        let (address, bytes) = code;
        if let (false, None, Some(area), Some(base)) = (self.lowest_fit, slot.chunk(), opened, self.base) {
            // An image begins in the first page of its area.
            self.places.move_to(area, address.saturating_sub(base) / PAGE_BYTES);
        }
        let Some(placed) = self.placed(slot, opened, address) else { return };
        let behind = self.last.map(|last| {
            let start = last.room.end + if last.in_pack { 0 } else { PAGE_BYTES };
            Room { start, end: start + (placed.room.end - placed.room.start) }
        });
        self.verdict.null.count(behind.is_some_and(|room| room.holds(address, bytes)));
        self.last = Some(placed);
        let holds = placed.room.holds(address, bytes);
        self.verdict.images.count(holds);
        let Room { start, end } = placed.room;
        self.tell(step, record, holds, || {
            (format!("{bytes} bytes of code at {address:#x}"), format!("room from {start:#x} to {end:#x}"))
        });
    }

    /// The room of an image, which is all of the opened area unless it stands in a pack; an image at `address` tells where the range starts, if nothing else does.
    fn placed(&mut self, slot: Slot, opened: Option<AreaId>, address: u64) -> Option<Placed> {
        let (area, first, bytes) = match slot.chunk() {
            Some((pack, chunk)) => {
                (*self.packs.get(&pack)?, u64::from(chunk) * CHUNK_BYTES, slot.image().chunks() * CHUNK_BYTES)
            }
            None => (opened?, 0, 0),
        };
        let place = self.places.place(area)?;
        let bytes = if bytes == 0 { place.pages * PAGE_BYTES } else { bytes };
        let offset = place.start * PAGE_BYTES + first;
        let base = *self.base.get_or_insert_with(|| {
            let start = address.saturating_sub(offset + HEADER_BYTES);
            start - start % PAGE_BYTES
        });
        let start = base + offset;
        Some(Placed { room: Room { start, end: start + bytes }, in_pack: slot.chunk().is_some() })
    }

    /// Areas that the model has opened in this step, and those that the walk has seen.
    fn compare_areas(&mut self, step: u32, record: &Record, opened: &[AreaId]) {
        let (Some(base), Some(walk)) = (self.base, &record.walk) else { return };
        let seen = areas::mapped(&walk.areas);
        for place in opened.iter().filter_map(|area| self.places.place(*area)).collect::<Vec<_>>() {
            let address = base + place.start * PAGE_BYTES;
            let agrees = seen.iter().any(|area| area.given.name == address && area.given.pages == place.pages);
            self.verdict.areas.count(agrees);
            self.tell(step, record, agrees, || {
                let show = |pages: u64, address: u64| format!("an area of {pages} pages at {address:#x}");
                let list: Vec<String> = seen.iter().map(|area| show(area.given.pages, area.given.name)).collect();
                let kernel = if list.is_empty() { "no new area".to_owned() } else { list.join(", ") };
                (kernel, show(place.pages, address))
            });
        }
    }

    /// Notes where kernel and model have something, if that is worth telling.
    fn tell(&mut self, step: u32, record: &Record, agrees: bool, places: impl FnOnce() -> (String, String)) {
        let is_first = !agrees && self.verdict.first.is_none();
        if !is_first && self.shown != Some(step) {
            return;
        }
        let (kernel, model) = places();
        if is_first {
            let operation = record.operation.describe();
            self.verdict.first = Some(Disagreement { step, operation, kernel: kernel.clone(), model: model.clone() });
        }
        if self.shown == Some(step) {
            self.views.push(PlaceView { step, agrees, kernel, model });
        }
    }

    fn unload(&mut self, key: Key) {
        for slot in self.alive.remove(&key).unwrap_or_default() {
            self.text.unload(&mut self.places, slot);
        }
    }

    fn unload_all(&mut self, whose: impl Fn(&Key) -> bool) {
        let mut keys: Vec<Key> = self.alive.keys().copied().filter(whose).collect();
        keys.sort_unstable();
        keys.into_iter().for_each(|key| self.unload(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::{every_recording, recording};
    use crate::text_alloc::Policy;

    #[test]
    fn every_image_of_every_recording_is_where_the_model_puts_it() {
        let mut images = Score::default();
        for recording in every_recording() {
            let verdict = place(&recording).unwrap();
            assert!(verdict.agrees(), "{verdict:?}");
            images += verdict.images;
        }
        assert!(images.of > 40_000, "{images:?}");
    }

    #[test]
    fn another_design_does_not_fit() {
        let recording = recording("debian/6.1.192/E3-n3000-4096M");
        let subject = Subject::of(&recording.header).unwrap();
        for policy in [Policy::PerProg, Policy::Pack4k, Policy::ExecmemRox] {
            let verdict = place_with(&recording, &Subject { policy, ..subject });
            assert!(!verdict.agrees() && verdict.first.is_some(), "{policy:?}");
        }
        // Putting images one behind the other is right until a pack is full.
        let verdict = place(&recording).unwrap();
        assert!(!verdict.null.is_full() && verdict.areas.of == 4, "{verdict:?}");
    }

    #[test]
    fn functions_end_where_the_next_one_begins() {
        let image = |jited_bytes, addresses: &[u64]| Image {
            jited_bytes,
            xlated_bytes: 0,
            addresses: addresses.iter().map(|at| crate::trace::line::Address(*at)).collect(),
            frames: Default::default(),
        };
        assert_eq!(functions(&image(100, &[64])), [(64, 100)]);
        assert_eq!(functions(&image(400, &[0, 256])), [(0, 192), (256, 208)]);
        assert_eq!(functions(&image(400, &[9000, 0])), [(9000, 200), (0, 200)], "not in order");
    }
}
