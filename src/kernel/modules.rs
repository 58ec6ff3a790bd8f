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
    /// Loads a module; its init part is freed again at once.
    pub(super) fn load(&mut self, machine: &mut Machine, load: &ModuleLoad) -> Result<(), NoText> {
        let mut module = Module::default();
        let text = [(load.text_bytes, true)];
        let constants = [(load.rodata_bytes, true), (load.ro_after_init_bytes, true), (load.data_bytes, false)];
        let init_text = [(load.init_text_bytes, true)];
        let init_rest = [(load.init_rodata_bytes, true), (load.init_data_bytes, false)];
        let init = match machine.release.modules {
            Modules::CoreAndInit => {
                let together = |text: &[(u32, bool)], rest: &[(u32, bool)]| sections(&[text, rest].concat());
                module.areas.extend(open_together(machine, &together(&text, &constants))?);
                let init = open_together(machine, &together(&init_text, &init_rest))?;
                Module { areas: init.into_iter().collect(), cached_text: None }
            }
            Modules::PerType => {
                module.areas = open_each(machine, &sections(&[&text[..], &constants].concat()))?;
                let init = open_each(machine, &sections(&[&init_text[..], &init_rest].concat()))?;
                Module { areas: init, cached_text: None }
            }
            Modules::TextInCache => {
                module.cached_text = open_cached(machine, &sections(&text))?;
                module.areas = open_each(machine, &sections(&constants))?;
                let cached_text = open_cached(machine, &sections(&init_text))?;
                Module { areas: open_each(machine, &sections(&init_rest))?, cached_text }
            }
        };
        free(machine, init);
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
        RoxCache::give(machine, text, machine.release.trap_fill);
    }
}

fn open(machine: &mut Machine, pages: u64) -> Result<AreaId, NoText> {
    machine.open(AreaRequest { pages, backing: Backing::Vmalloc, reset_on_free: true })
}

/// All sections in one area, each starting on a page of its own (`layout_sections@5.10`).
fn open_together(machine: &mut Machine, sections: &[Section]) -> Result<Option<AreaId>, NoText> {
    let pages = sections.iter().map(|section| section.pages).sum();
    if pages == 0 {
        return Ok(None);
    }
    let area = open(machine, pages)?;
    let mut first = 0;
    for section in sections {
        if section.read_only {
            machine.protect_part(area, first, section.pages, TextPerms::Rox);
        }
        first += section.pages;
    }
    Ok(Some(area))
}

/// An area for each section (`module_memory_alloc@6.4`).
fn open_each(machine: &mut Machine, sections: &[Section]) -> Result<Vec<AreaId>, NoText> {
    let mut areas = Vec::new();
    for section in sections {
        let area = open(machine, section.pages)?;
        if section.read_only {
            machine.protect(area, section.pages, TextPerms::Rox);
        }
        areas.push(area);
    }
    Ok(areas)
}

/// Text in the read-only executable cache, writable while the module is prepared (`execmem_alloc_rw@6.15`).
fn open_cached(machine: &mut Machine, sections: &[Section]) -> Result<Option<PieceId>, NoText> {
    let [text] = sections else { return Ok(None) };
    let piece = machine.open_rox(text.pages)?;
    RoxCache::make_writable(machine, piece);
    RoxCache::restore(machine, piece);
    Ok(Some(piece))
}
