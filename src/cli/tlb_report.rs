//! What `fragsim tlb` prints.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::report::{Format, Sheet};
use crate::tlb::{Counts, Cpu, Host, Kind, Tally};
use crate::units::PageSize;

/// Everything that was counted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TlbReport {
    /// The core's name.
    cpu: String,
    /// The size of the host's pages; none if there is no host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_pages: Option<String>,
    accesses: u64,
    first_level_misses: u64,
    page_walks: u64,
    flushes: u64,
    page_flushes: u64,
    /// Accesses, first-level misses and walks by kind and page size; what does not occur is left out.
    by_kind: Vec<KindRow>,
    structures: Vec<StructureRow>,
}

#[derive(Clone, Debug, Serialize)]
struct KindRow {
    kind: &'static str,
    page_size: String,
    accesses: u64,
    first_level_misses: u64,
    page_walks: u64,
}

#[derive(Clone, Debug, Serialize)]
struct StructureRow {
    name: String,
    level: u8,
    hits: u64,
    misses: u64,
    page_sizes: BTreeMap<String, HitsAndMisses>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct HitsAndMisses {
    hits: u64,
    misses: u64,
}

impl From<Tally> for HitsAndMisses {
    fn from(tally: Tally) -> Self {
        Self { hits: tally.hits, misses: tally.misses }
    }
}

impl TlbReport {
    /// The counts of a core.
    pub fn new(cpu: &Cpu, host: Host, counts: &Counts) -> Self {
        let row = |kind: Kind, size: PageSize| KindRow {
            kind: kind.name(),
            page_size: size.to_string(),
            accesses: counts.accesses(kind, size),
            first_level_misses: counts.first_level_misses(kind, size),
            page_walks: counts.walks(kind, size),
        };
        let rows = Kind::ALL.into_iter().flat_map(|kind| PageSize::ALL.map(|size| row(kind, size)));
        let structure = |structure: &crate::tlb::StructureCounts| {
            let held = |size: PageSize| structure.holds[size as usize];
            let of_size = |size: PageSize| (size.to_string(), structure.by_size[size as usize].into());
            StructureRow {
                name: structure.name.clone(),
                level: structure.level.number(),
                hits: structure.by_size.iter().map(|tally| tally.hits).sum(),
                misses: structure.by_size.iter().map(|tally| tally.misses).sum(),
                page_sizes: PageSize::ALL.into_iter().filter(|size| held(*size)).map(of_size).collect(),
            }
        };
        Self {
            cpu: cpu.doc().name.clone(),
            host_pages: match host {
                Host::Native => None,
                Host::Pages(size) => Some(size.to_string()),
            },
            accesses: counts.total_accesses(),
            first_level_misses: counts.total_first_level_misses(),
            page_walks: counts.total_walks(),
            flushes: counts.flushes,
            page_flushes: counts.page_flushes,
            by_kind: rows.filter(|row| row.accesses > 0).collect(),
            structures: counts.structures.iter().map(structure).collect(),
        }
    }

    /// Writes the counts in a format.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)
            }
            Format::Csv => self.grid().write_csv(out),
            Format::Markdown => self.grid().write_markdown(out),
            Format::Table => {
                let host = self.host_pages.as_ref().map_or(String::new(), |size| format!(", host pages of {size}"));
                writeln!(out, "CPU {}{host}\n", self.cpu)?;
                self.grid().write_table(out)?;
                writeln!(
                    out,
                    "\n{} accesses, {} first-level misses ({}), {} page walks ({}), {} flushes, {} of single pages.",
                    self.accesses,
                    self.first_level_misses,
                    percent(self.first_level_misses, self.accesses),
                    self.page_walks,
                    percent(self.page_walks, self.accesses),
                    self.flushes,
                    self.page_flushes,
                )
            }
        }
    }

    /// A row for each structure and page size, and one for each kind of access and page size.
    fn grid(&self) -> Sheet {
        let titles = ["what", "level", "pages", "hits", "misses", "miss ratio"].map(str::to_owned).to_vec();
        let row = |what: &str, level: &str, size: &str, hits: u64, misses: u64| {
            let ratio = percent(misses, hits + misses);
            vec![what.to_owned(), level.to_owned(), size.to_owned(), hits.to_string(), misses.to_string(), ratio]
        };
        let mut rows = Vec::new();
        for structure in &self.structures {
            let level = structure.level.to_string();
            for size in PageSize::ALL.map(|size| size.to_string()) {
                if let Some(counts) = structure.page_sizes.get(&size) {
                    rows.push(row(&structure.name, &level, &size, counts.hits, counts.misses));
                }
            }
        }
        for kind in &self.by_kind {
            let hits = kind.accesses - kind.page_walks;
            rows.push(row(&format!("every {}", kind.kind), "all", &kind.page_size, hits, kind.page_walks));
        }
        Sheet { titles, texts: 3, rows }
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.2}%", part as f64 * 100.0 / whole as f64) }
}
