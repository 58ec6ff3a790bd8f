//! The lines of the recording lab's own log.
//!
//! A log says more than is kept here, and newer labs may say more still: keys without a meaning here are passed over.

use serde::Deserialize;
use serde_json::Value;

use super::frames::FrameList;
use super::operation::{Image, LayoutRange, LayoutTime, Load, Operation, ProgramSeen, TracedLoad};
use super::record::{AreaChange, Counters, Header, Label, PermRun, Record, Totals, Walk};
use super::seen::{EntrySize, Seen};
use crate::trace::line::Address;

/// The first line of a log.
#[derive(Debug, Deserialize)]
pub(super) struct HelloLine {
    release: String,
    version: String,
    kernel: String,
    exp: String,
    #[serde(default)]
    variant: String,
    ram_mib: u64,
    smp: u32,
    cmdline: String,
    page_offset_base: Address,
    #[serde(flatten)]
    counters: CounterKeys,
    walk: WalkKeys,
}

/// The counters at the end of every line.
#[derive(Debug, Deserialize)]
struct CounterKeys {
    #[serde(rename = "DirectMap4k")]
    direct_map_4k: u64,
    #[serde(rename = "DirectMap2M")]
    direct_map_2m: u64,
    #[serde(rename = "DirectMap1G")]
    direct_map_1g: u64,
    #[serde(rename = "MemFree")]
    mem_free: u64,
    direct_map_level2_splits: Option<u64>,
    direct_map_level3_splits: Option<u64>,
    direct_map_level2_collapses: Option<u64>,
    direct_map_level3_collapses: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct WalkKeys {
    #[serde(default)]
    split2m: FrameList,
    #[serde(default)]
    split1g: FrameList,
    #[serde(default)]
    coll2m: FrameList,
    #[serde(default)]
    coll1g: FrameList,
    #[serde(default)]
    perm: Vec<PermRun>,
    #[serde(default, rename = "mod")]
    areas: Vec<AreaChange>,
    sum: Totals,
}

/// What the labs of this project do to a guest, or read off it, by the words that their logs have for it.
const WORDS: [&str; 26] = [
    "load",
    "tload",
    "unload",
    "unloadall",
    "tclose",
    "tspawn",
    "insmod",
    "rmmod",
    "layout",
    "cat",
    "progs",
    "bpfsyms",
    "aborted",
    "sync",
    "sleep",
    "sample",
    "write",
    "spawn",
    "stop",
    "anon",
    "punch",
    "ptes",
    "ptepunch",
    "free",
    "tmpfile",
    "rm",
];

/// A line with another word: only what every line may have is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct UnknownLine {
    op: String,
    step: Option<u32>,
    #[serde(rename = "DirectMap4k")]
    direct_map_4k: Option<u64>,
    #[serde(rename = "DirectMap2M")]
    direct_map_2m: Option<u64>,
    #[serde(rename = "DirectMap1G")]
    direct_map_1g: Option<u64>,
    #[serde(rename = "MemFree")]
    mem_free: Option<u64>,
    direct_map_level2_splits: Option<u64>,
    direct_map_level3_splits: Option<u64>,
    direct_map_level2_collapses: Option<u64>,
    direct_map_level3_collapses: Option<u64>,
    walk: Option<WalkKeys>,
}

/// A line of a log; which keys it has follows from `op`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LogLine {
    op: String,
    step: Option<u32>,
    mark: Option<Mark>,
    round: Option<u32>,
    run: Option<u32>,
    cycle: Option<u32>,
    group: Option<u32>,
    #[serde(rename = "DirectMap4k")]
    direct_map_4k: Option<u64>,
    #[serde(rename = "DirectMap2M")]
    direct_map_2m: Option<u64>,
    #[serde(rename = "DirectMap1G")]
    direct_map_1g: Option<u64>,
    #[serde(rename = "MemFree")]
    mem_free: Option<u64>,
    direct_map_level2_splits: Option<u64>,
    direct_map_level3_splits: Option<u64>,
    direct_map_level2_collapses: Option<u64>,
    direct_map_level3_collapses: Option<u64>,
    walk: Option<WalkKeys>,
    id: Option<u64>,
    n: Option<u64>,
    ninsn: Option<u32>,
    #[serde(rename = "type")]
    program_type: Option<u32>,
    req_type: Option<u32>,
    req_name: Option<String>,
    jited_len: Option<u32>,
    xlated_len: Option<u32>,
    ksym: Option<Address>,
    ksyms: Option<Vec<Address>>,
    #[serde(default)]
    pfns: FrameList,
    errno: Option<u32>,
    ret: Option<i64>,
    fd: Option<i64>,
    slot: Option<u32>,
    mib: Option<u64>,
    pages: Option<u64>,
    freed: Option<u64>,
    failed: Option<u64>,
    kib: Option<u64>,
    name: Option<String>,
    path: Option<String>,
    text: Option<String>,
    when: Option<String>,
    ranges: Option<Vec<LogRange>>,
    progs: Option<Vec<ProgramKeys>>,
    syms: Option<Vec<String>>,
    why: Option<String>,
}

/// A mark is text, or a number of rounds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Mark {
    Number(u64),
    Text(String),
}

/// A range of a layout; holes have the size `-`.
#[derive(Debug, Deserialize)]
struct LogRange(u64, u64, String, Seen);

/// A program in a list of programs.
#[derive(Debug, Deserialize)]
struct ProgramKeys {
    prog_id: Option<u32>,
    #[serde(rename = "type")]
    program_type: Option<u32>,
    name: Option<String>,
    jited_len: Option<u32>,
    xlated_len: Option<u32>,
    ksym: Option<Address>,
    ksyms: Option<Vec<Address>>,
}

/// A key that a line should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) &'static str);

impl From<CounterKeys> for Counters {
    fn from(keys: CounterKeys) -> Self {
        Self {
            direct_map_4k: keys.direct_map_4k,
            direct_map_2m: keys.direct_map_2m,
            direct_map_1g: keys.direct_map_1g,
            mem_free: keys.mem_free,
            level2_splits: keys.direct_map_level2_splits,
            level3_splits: keys.direct_map_level3_splits,
            level2_collapses: keys.direct_map_level2_collapses,
            level3_collapses: keys.direct_map_level3_collapses,
        }
    }
}

impl From<WalkKeys> for Walk {
    fn from(keys: WalkKeys) -> Self {
        Self {
            split_2m: keys.split2m,
            split_1g: keys.split1g,
            collapsed_2m: keys.coll2m,
            collapsed_1g: keys.coll1g,
            perms: keys.perm,
            areas: keys.areas,
            totals: keys.sum,
        }
    }
}

impl HelloLine {
    /// The header; `stem` is the name of the file without its endings.
    pub(super) fn into_header(self, stem: &str) -> Header {
        let variant = if self.variant.is_empty() { String::new() } else { format!("-{}", self.variant) };
        let plain = format!("{}{variant}-{}M", self.exp, self.ram_mib);
        // The lab adds processors, address randomization and a tag of the user's to the name.
        let name = if stem.starts_with(&plain) { stem.to_owned() } else { plain };
        Header {
            kernel: self.kernel,
            release: self.release,
            build: self.version,
            experiment: self.exp,
            variant: self.variant,
            name,
            ram_mib: self.ram_mib,
            cpus: self.smp,
            command_line: self.cmdline,
            page_offset_base: self.page_offset_base,
            counters: self.counters.into(),
            totals: self.walk.sum,
        }
    }
}

/// The image that the keys describe; none without a length.
fn image(
    jited: Option<u32>,
    xlated: Option<u32>,
    first: Option<Address>,
    all: Option<Vec<Address>>,
    frames: FrameList,
) -> Option<Image> {
    let jited_bytes = jited.filter(|bytes| *bytes > 0)?;
    let addresses = all.unwrap_or_else(|| first.into_iter().collect());
    Some(Image { jited_bytes, xlated_bytes: xlated.unwrap_or(0), addresses, frames })
}

/// `name` out of `/mods/name.ko`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".ko").unwrap_or(file).to_owned()
}

fn layout_range(range: &LogRange) -> Option<LayoutRange> {
    let size = match range.2.as_str() {
        "4K" => EntrySize::Size4K,
        "2M" => EntrySize::Size2M,
        "1G" => EntrySize::Size1G,
        _ => return None,
    };
    Some(LayoutRange(range.0, range.1, size, range.3))
}

fn is_word(op: &str) -> bool {
    WORDS.contains(&op)
}

impl UnknownLine {
    /// The line as far as it is understood; none if its word is known after all.
    pub(super) fn into_line(self) -> Option<LogLine> {
        (!is_word(&self.op)).then(|| LogLine {
            op: self.op,
            step: self.step,
            direct_map_4k: self.direct_map_4k,
            direct_map_2m: self.direct_map_2m,
            direct_map_1g: self.direct_map_1g,
            mem_free: self.mem_free,
            direct_map_level2_splits: self.direct_map_level2_splits,
            direct_map_level3_splits: self.direct_map_level3_splits,
            direct_map_level2_collapses: self.direct_map_level2_collapses,
            direct_map_level3_collapses: self.direct_map_level3_collapses,
            walk: self.walk,
            ..LogLine::default()
        })
    }
}

impl LogLine {
    /// The record.
    pub(super) fn into_record(mut self) -> Result<Record, Missing> {
        let counters = match self.op.as_str() {
            "layout" | "aborted" => None,
            word if !is_word(word) => self.counters().ok(),
            _ => Some(self.counters()?),
        };
        let mark = match self.mark.take() {
            None => String::new(),
            Some(Mark::Number(number)) => number.to_string(),
            Some(Mark::Text(text)) => text,
        };
        let label = Label { mark, round: self.round.or(self.run).or(self.cycle).or(self.group) };
        let walk = self.walk.take().map(Walk::from);
        Ok(Record { step: self.step, operation: self.into_operation()?, label, counters, walk })
    }

    fn counters(&self) -> Result<Counters, Missing> {
        Ok(Counters {
            direct_map_4k: self.direct_map_4k.ok_or(Missing("DirectMap4k"))?,
            direct_map_2m: self.direct_map_2m.ok_or(Missing("DirectMap2M"))?,
            direct_map_1g: self.direct_map_1g.ok_or(Missing("DirectMap1G"))?,
            mem_free: self.mem_free.ok_or(Missing("MemFree"))?,
            level2_splits: self.direct_map_level2_splits,
            level3_splits: self.direct_map_level3_splits,
            level2_collapses: self.direct_map_level2_collapses,
            level3_collapses: self.direct_map_level3_collapses,
        })
    }

    fn into_operation(mut self) -> Result<Operation, Missing> {
        let op = std::mem::take(&mut self.op);
        Ok(match op.as_str() {
            "load" => self.into_load()?,
            "tload" => self.into_traced_load()?,
            // The guest tells with an error number that there was nothing to unload.
            "unload" if self.errno.is_some() => Operation::Sample,
            "unload" => Operation::Unload { id: self.id.ok_or(Missing("id"))? },
            "unloadall" => Operation::UnloadAll { programs: self.n.ok_or(Missing("n"))? },
            "tclose" => Operation::TracedClose { file: self.fd.ok_or(Missing("fd"))? },
            "tspawn" => Operation::TracedEnd,
            "insmod" => {
                Operation::ModuleLoad { name: module_name(&self.path.ok_or(Missing("path"))?), errno: self.errno }
            }
            "rmmod" => Operation::ModuleUnload { name: self.name.ok_or(Missing("name"))?, errno: self.errno },
            "layout" => self.into_layout()?,
            "cat" => {
                Operation::Read { path: self.path.ok_or(Missing("path"))?, text: self.text.ok_or(Missing("text"))? }
            }
            "progs" => Operation::Programs(
                self.progs.ok_or(Missing("progs"))?.into_iter().filter_map(ProgramKeys::into_program).collect(),
            ),
            "bpfsyms" => Operation::Symbols(self.syms.ok_or(Missing("syms"))?),
            "aborted" => Operation::Aborted { why: self.why.unwrap_or_default() },
            "sync" => Operation::Sync,
            "sleep" => Operation::Sleep,
            "sample" => Operation::Sample,
            "write" => Operation::WriteSetting,
            "spawn" => Operation::Spawn,
            "stop" => Operation::Stop,
            _ => self.into_memory(op)?,
        })
    }

    /// Operations of other users of memory; whatever has no meaning here keeps its name.
    fn into_memory(self, op: String) -> Result<Operation, Missing> {
        let slot = || self.slot.ok_or(Missing("slot"));
        Ok(match op.as_str() {
            "anon" => Operation::Anonymous { slot: slot()?, mib: self.mib.ok_or(Missing("mib"))? },
            "punch" => Operation::Punch { slot: slot()?, pages: self.pages.ok_or(Missing("pages"))? },
            "ptes" => Operation::PageTables { slot: slot()?, tables: self.n.ok_or(Missing("n"))? },
            "ptepunch" => Operation::PunchPageTables {
                slot: slot()?,
                freed: self.freed.ok_or(Missing("freed"))?,
                failed: self.failed.unwrap_or(0),
            },
            "free" => Operation::Free { slot: slot()? },
            "tmpfile" => {
                Operation::WriteFile { name: self.name.unwrap_or_default(), kib: self.kib.ok_or(Missing("kib"))? }
            }
            "rm" => Operation::RemoveFile,
            _ => Operation::Other { name: op },
        })
    }

    fn into_load(self) -> Result<Operation, Missing> {
        Ok(Operation::Load(Load {
            id: self.id.ok_or(Missing("id"))?,
            insns: self.ninsn.ok_or(Missing("ninsn"))?,
            program_type: self.program_type,
            image: image(self.jited_len, self.xlated_len, self.ksym, self.ksyms, self.pfns),
            errno: self.errno,
        }))
    }

    fn into_traced_load(self) -> Result<Operation, Missing> {
        Ok(Operation::TracedLoad(TracedLoad {
            file: self.ret.ok_or(Missing("ret"))?,
            insns: self.ninsn.ok_or(Missing("ninsn"))?,
            program_type: self.req_type.ok_or(Missing("req_type"))?,
            name: self.req_name.unwrap_or_default(),
            image: image(self.jited_len, self.xlated_len, self.ksym, self.ksyms, self.pfns),
        }))
    }

    fn into_layout(self) -> Result<Operation, Missing> {
        let when = match self.when.as_deref() {
            Some("boot") => LayoutTime::Boot,
            Some("end") => LayoutTime::End,
            Some(_) => return Ok(Operation::Other { name: "layout".to_owned() }),
            None => return Err(Missing("when")),
        };
        let ranges = self.ranges.ok_or(Missing("ranges"))?;
        Ok(Operation::Layout { when, ranges: ranges.iter().filter_map(layout_range).collect() })
    }
}

impl ProgramKeys {
    fn into_program(self) -> Option<ProgramSeen> {
        let image = image(self.jited_len, self.xlated_len, self.ksym, self.ksyms, FrameList::default())?;
        Some(ProgramSeen {
            prog_id: self.prog_id?,
            program_type: self.program_type?,
            name: self.name.unwrap_or_default(),
            image,
        })
    }
}

/// Whether a line is one of a log.
pub(super) fn is_hello(value: &Value) -> bool {
    value.get("op").and_then(Value::as_str) == Some("hello")
}
