//! Loading and unloading kernel modules (`kernel/module/main.c`, `strict_rwx.c`).

use rustc_hash::FxHashMap;

use super::machine::Machine;
use super::release::Modules;
use super::rox_cache::RoxCache;
use crate::text_alloc::{AreaId, AreaRequest, Areas, Backing, GiveBack, NoText, PieceId, TextPerms};
use crate::trace::ModuleLoad;
use crate::units::Bytes;

/// A module's memory.
#[derive(Clone, Debug, Default)]
struct Module {
    areas: Vec<AreaId>,
    /// Text inside the read-only executable cache.
    cached_text: Option<PieceId>,
}

/// Modules that are loaded, by their number in the trace.
#[derive(Debug, Default)]
pub(super) struct ModuleTable(FxHashMap<u64, Module>);

/// One section type of a module: pages, and whether it ends read-only.
#[derive(Clone, Copy)]
struct Section {
    pages: u64,
    read_only: bool,
}

fn sections(parts: &[(u32, bool)]) -> Vec<Section> {
    let section = |&(bytes, read_only): &(u32, bool)| Section { pages: Bytes::new(bytes.into()).pages_up(), read_only };
    parts.iter().map(section).filter(|section| section.pages > 0).collect()
}

impl ModuleTable {
    /// Loads a module; its init part is freed again at once. Its file is read first (`kernel_read_file`): at least as
    /// many pages as its sections have.
    pub(super) fn load(&mut self, machine: &mut Machine, load: &ModuleLoad) -> Result<(), NoText> {
        let mut file = Vec::new();
        machine.vmalloc(pages_of_file(load), &mut file)?;
        let (module, init) = match machine.release.modules {
            Modules::CoreAndInit => open_core_and_init(machine, load)?,
            Modules::PerType | Modules::TextInCache => open_types(machine, load)?,
        };
        free(machine, init);
        machine.vfree(file);
        if let Some(old) = self.0.insert(load.id, module) {
            free(machine, old);
        }
        Ok(())
    }

    /// Unloads a module; one that is not loaded is left alone.
    pub(super) fn unload(&mut self, machine: &mut Machine, id: u64) {
        if let Some(module) = self.0.remove(&id) {
            free(machine, module);
        }
    }
}

fn free(machine: &mut Machine, module: Module) {
    for area in module.areas {
        machine.close(area, GiveBack::Release);
    }
    if let Some(text) = module.cached_text {
        RoxCache::give(machine, text, machine.release.cache);
    }
}

fn pages_of_file(load: &ModuleLoad) -> u64 {
    let core = [load.text_bytes, load.data_bytes, load.rodata_bytes, load.ro_after_init_bytes];
    let init = [load.init_text_bytes, load.init_data_bytes, load.init_rodata_bytes];
    let bytes = core.into_iter().chain(init).map(u64::from).sum();
    Bytes::new(bytes).pages_up().max(1)
}

fn open(machine: &mut Machine, pages: u64) -> Result<AreaId, NoText> {
    machine.open(AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: true })
}

/// One area for what stays and one for what does not, each section on pages of its own (`layout_sections@5.10`).
fn open_core_and_init(machine: &mut Machine, load: &ModuleLoad) -> Result<(Module, Module), NoText> {
    let core = [
        (load.text_bytes, true),
        (load.rodata_bytes, true),
        (load.ro_after_init_bytes, true),
        (load.data_bytes, false),
    ];
    let init = [(load.init_text_bytes, true), (load.init_rodata_bytes, true), (load.init_data_bytes, false)];
    let mut opened = [Module::default(), Module::default()];
    let parts = [sections(&core), sections(&init)];
    for (module, parts) in opened.iter_mut().zip(&parts) {
        let pages = parts.iter().map(|section| section.pages).sum();
        if pages > 0 {
            module.areas.push(open(machine, pages)?);
        }
    }
    for (module, parts) in opened.iter().zip(&parts) {
        let Some(area) = module.areas.first() else { continue };
        let mut first = 0;
        for section in parts {
            if section.read_only {
                machine.protect_part(*area, first, section.pages, TextPerms::Rox);
            }
            first += section.pages;
        }
    }
    Ok(opened.into())
}

/// An area for each type of memory, all of them opened before the first becomes read-only: text, data, constants, constants
/// after the initialisation, and the same of the initialisation (`move_module@6.4`, `enum mod_mem_type`). Since 6.15
/// text is a piece of the read-only executable cache.
fn open_types(machine: &mut Machine, load: &ModuleLoad) -> Result<(Module, Module), NoText> {
    let core = [(load.data_bytes, false), (load.rodata_bytes, true), (load.ro_after_init_bytes, true)];
    let init = [(load.init_data_bytes, false), (load.init_rodata_bytes, true)];
    let mut opened = [Module::default(), Module::default()];
    let mut read_only = Vec::new();
    for (module, (text, rest)) in
        opened.iter_mut().zip([(load.text_bytes, &core[..]), (load.init_text_bytes, &init[..])])
    {
        for section in sections(&[(text, true)]) {
            if machine.release.modules == Modules::TextInCache {
                module.cached_text = Some(open_cached(machine, section.pages)?);
            } else {
                let area = open(machine, section.pages)?;
                module.areas.push(area);
                read_only.push((area, section.pages));
            }
        }
        for section in sections(rest) {
            let area = open(machine, section.pages)?;
            module.areas.push(area);
            if section.read_only {
                read_only.push((area, section.pages));
            }
        }
    }
    for (area, pages) in read_only {
        machine.protect(area, pages, TextPerms::Rox);
    }
    for text in opened.iter().filter_map(|module| module.cached_text) {
        RoxCache::restore(machine, text);
    }
    Ok(opened.into())
}

/// A piece of the read-only executable cache, writable while the module is prepared (`execmem_alloc_rw@6.15`).
fn open_cached(machine: &mut Machine, pages: u64) -> Result<PieceId, NoText> {
    let piece = RoxCache::take(machine, pages, machine.release.cache)?;
    RoxCache::make_writable(machine, piece);
    Ok(piece)
}
