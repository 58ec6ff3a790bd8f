//! Programs of a recording: what is loaded, what waits to be freed, and where.

use rustc_hash::FxHashMap;

use crate::kernel::{ForeignArea, GivenArea, GivenKernel};
use crate::recording::Image;
use crate::text_alloc::{ImageBytes, Slot};

/// Who loaded a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// The lab, under this number.
    Number(u64),
    /// A traced tool, which has this descriptor for it.
    File(i64),
}

/// An image and the area that was opened for it alone.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: Slot,
    area: Option<u64>,
}

/// An open pack: how many images, and its area if a recording tells.
#[derive(Clone, Copy, Debug, Default)]
struct Pack {
    images: u64,
    area: Option<u64>,
}

/// Programs by who loaded them, and images that wait for their grace period.
///
/// The kernel frees an image some time after its program went away. When, a recording shows for whatever has pages of
/// its own: they are gone. So an image whose free would close an area waits until the recorded area is gone.
#[derive(Debug, Default)]
pub(super) struct Programs {
    alive: FxHashMap<Key, Vec<Held>>,
    waiting: Vec<Held>,
    packs: FxHashMap<u32, Pack>,
    foreign: Vec<(u64, ForeignArea)>,
}

/// The parts of the module area that a step left without their old pages: start and end addresses.
pub(super) type Gone = [(u64, u64)];

fn is_gone(area: u64, gone: &Gone) -> bool {
    gone.iter().any(|(start, end)| (*start..*end).contains(&area))
}

/// The lengths of a program's images. Recordings tell only their sum: functions are taken to be alike.
fn lengths(image: &Image) -> impl Iterator<Item = ImageBytes> {
    let functions = image.addresses.len().max(1) as u32;
    let each = image.jited_bytes.div_ceil(functions);
    (0..functions).map(move |_| ImageBytes::new(each))
}

impl Programs {
    /// Loads a program; false if the model had no place for it.
    pub(super) fn load(&mut self, kernel: &mut GivenKernel, key: Key, image: &Image) -> bool {
        self.drop_one(key);
        let mut whole = true;
        for length in lengths(image) {
            let Ok(slot) = kernel.load(length) else {
                whole = false;
                continue;
            };
            let area = kernel.take_opened().first().copied();
            if let Some((pack, _)) = slot.chunk() {
                let pack = self.packs.entry(pack).or_default();
                pack.images += 1;
                pack.area = area.or(pack.area);
            }
            self.alive.entry(key).or_default().push(Held { slot, area });
        }
        whole
    }

    /// A program goes away.
    pub(super) fn drop_one(&mut self, key: Key) {
        self.waiting.extend(self.alive.remove(&key).unwrap_or_default());
    }

    /// The programs of the lab, or those of the traced tool, go away, lowest number first.
    pub(super) fn drop_all(&mut self, of_lab: bool) {
        let mut keys: Vec<Key> = self.alive.keys().copied().collect();
        keys.retain(|key| matches!(key, Key::Number(_)) == of_lab);
        keys.sort_unstable();
        keys.into_iter().for_each(|key| self.drop_one(key));
    }

    /// Frees the images whose time has come.
    pub(super) fn settle(&mut self, kernel: &mut GivenKernel, gone: &Gone) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|held| !self.free(kernel, *held, gone));
        self.waiting = waiting;
        let (dropped, kept) = std::mem::take(&mut self.foreign).into_iter().partition(|(area, _)| is_gone(*area, gone));
        self.foreign = kept;
        let dropped: Vec<(u64, ForeignArea)> = dropped;
        dropped.into_iter().for_each(|(_, area)| kernel.drop_foreign(area));
    }

    /// Frees an image if its time has come.
    fn free(&mut self, kernel: &mut GivenKernel, held: Held, gone: &Gone) -> bool {
        let closes = match held.slot.chunk() {
            None => held.area,
            Some((pack, _)) => self.packs.get(&pack).filter(|pack| pack.images == 1).and_then(|pack| pack.area),
        };
        if closes.is_some_and(|area| !is_gone(area, gone)) {
            return false;
        }
        if let Some((number, _)) = held.slot.chunk()
            && let Some(pack) = self.packs.get_mut(&number)
        {
            pack.images -= 1;
            // The boot program's pack never empties, but others do, and their number comes again.
            if pack.images == 0 && pack.area.is_some() {
                self.packs.remove(&number);
            }
        }
        kernel.unload(held.slot);
        true
    }

    /// Takes over an area that nobody asked for.
    pub(super) fn adopt(&mut self, kernel: &mut GivenKernel, area: GivenArea, read_only: bool) {
        let name = area.name;
        if let Ok(foreign) = kernel.adopt(area, read_only) {
            let _ = kernel.take_opened();
            self.foreign.push((name, foreign));
        }
    }

    /// Images that still wait for their grace period.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
