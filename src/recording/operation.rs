//! What was done to the guest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frames::FrameList;
use super::seen::{EntrySize, Seen};
use crate::trace::line::Address;

/// The compiled form of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Bytes of code of all functions together (`jited_prog_len`).
    pub jited_bytes: u32,
    /// Bytes of BPF instructions after verification (`xlated_prog_len`).
    pub xlated_bytes: u32,
    /// Address of the code of each function, main function first.
    pub addresses: Vec<Address>,
    /// The frames of the pages that hold the code, in the order of the addresses, from the main function on.
    #[serde(default, skip_serializing_if = "FrameList::is_empty")]
    pub frames: FrameList,
}

/// A program is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The program; a program with the same number that still is loaded goes away.
    pub id: u64,
    /// Instructions given to the kernel.
    pub insns: u32,
    /// Type of the program (`BPF_PROG_TYPE_*`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_type: Option<u32>,
    /// Its image; none if the load failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Error number of a load that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<u32>,
}

/// A program that was loaded by a traced tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracedLoad {
    /// The tool's file descriptor for the program; a negative error number if the load failed.
    pub file: i64,
    /// Instructions given to the kernel.
    pub insns: u32,
    /// Type of the program (`BPF_PROG_TYPE_*`).
    pub program_type: u32,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its image; none if the load failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// A program that the kernel lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProgramSeen {
    /// The kernel's number for it.
    pub prog_id: u32,
    /// Type of the program (`BPF_PROG_TYPE_*`).
    pub program_type: u32,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its image.
    pub image: Image,
}

/// When a layout was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LayoutTime {
    /// Before the first step.
    Boot,
    /// After the last one.
    End,
}

/// Neighbouring entries of one size and with the same permissions: first frame, frames, size, permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayoutRange(pub u64, pub u64, pub EntrySize, pub Seen);

/// One thing that was done, or read off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// A program is loaded.
    Load(Load),
    /// The last reference to a program is dropped.
    Unload {
        /// The program.
        id: u64,
    },
    /// The last references to all programs are dropped, lowest number first.
    UnloadAll {
        /// How many there were.
        programs: u64,
    },
    /// A traced tool has loaded a program, and stands still.
    TracedLoad(TracedLoad),
    /// A traced tool has closed a program.
    TracedClose {
        /// Its file descriptor.
        file: i64,
    },
    /// A traced tool has ended.
    TracedEnd,
    /// A module is loaded.
    ModuleLoad {
        /// Its name.
        name: String,
        /// Error number if that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errno: Option<u32>,
    },
    /// A module is unloaded.
    ModuleUnload {
        /// Its name.
        name: String,
        /// Error number if that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        errno: Option<u32>,
    },
    /// Anonymous memory is mapped, and each 4 KiB page of it written to.
    Anonymous {
        /// Its number; it is held until this number is freed.
        slot: u32,
        /// How much.
        mib: u64,
    },
    /// Random pages of anonymous memory are given back (`MADV_DONTNEED`).
    Punch {
        /// Its number.
        slot: u32,
        /// How many pages.
        pages: u64,
    },
    /// Page tables are made, a page each.
    PageTables {
        /// Their number; they are held until this number is freed.
        slot: u32,
        /// How many were asked for.
        tables: u64,
    },
    /// Random page tables are given back.
    PunchPageTables {
        /// Their number.
        slot: u32,
        /// How many.
        freed: u64,
        /// How many could not be given back.
        failed: u64,
    },
    /// Anonymous memory or page tables are given back.
    Free {
        /// Their number.
        slot: u32,
    },
    /// A file in memory is written anew.
    WriteFile {
        /// Its name.
        name: String,
        /// Its size.
        kib: u64,
    },
    /// A file in memory is removed; logs do not say which.
    RemoveFile,
    /// Wait for grace periods, and for the work behind them.
    Sync,
    /// Wait.
    Sleep,
    /// Only read the counters.
    Sample,
    /// A setting under `/proc/sys` is written.
    WriteSetting,
    /// A file is read.
    Read {
        /// Its name.
        path: String,
        /// What is in it.
        text: String,
    },
    /// The direct map as it is.
    Layout {
        /// When.
        when: LayoutTime,
        /// Its entries, in ascending order.
        ranges: Vec<LayoutRange>,
    },
    /// The programs that the kernel lists.
    Programs(Vec<ProgramSeen>),
    /// The symbols of BPF images that the kernel lists, as in `/proc/kallsyms`.
    Symbols(Vec<String>),
    /// A tool is started.
    Spawn,
    /// The tool is ended.
    Stop,
    /// The recording was broken off.
    Aborted {
        /// Why.
        why: String,
    },
    /// Something that this version has no word for.
    Other {
        /// The lab's word.
        name: String,
    },
}

impl Operation {
    /// The operation in a few words: `load 7`, `rmmod veth`.
    pub fn describe(&self) -> String {
        match self {
            Self::Load(load) => format!("load {}", load.id),
            Self::Unload { id } => format!("unload {id}"),
            Self::UnloadAll { programs } => format!("unload all {programs}"),
            Self::TracedLoad(load) => format!("load of descriptor {}", load.file),
            Self::TracedClose { file } => format!("close of descriptor {file}"),
            Self::TracedEnd => "end of the traced tool".to_owned(),
            Self::ModuleLoad { name, .. } => format!("insmod {name}"),
            Self::ModuleUnload { name, .. } => format!("rmmod {name}"),
            Self::Anonymous { mib, .. } => format!("take {mib} MiB"),
            Self::Punch { pages, .. } => format!("give {pages} pages back"),
            Self::PageTables { tables, .. } => format!("make {tables} page tables"),
            Self::PunchPageTables { freed, .. } => format!("give {freed} page tables back"),
            Self::Free { slot } => format!("free slot {slot}"),
            Self::WriteFile { name, kib } => format!("write {name} ({kib} KiB)"),
            Self::RemoveFile => "remove a file".to_owned(),
            Self::Sync => "wait for grace periods".to_owned(),
            Self::Sleep => "wait".to_owned(),
            Self::Sample => "sample".to_owned(),
            Self::WriteSetting => "write a setting".to_owned(),
            Self::Read { path, .. } => format!("read {path}"),
            Self::Layout { .. } => "layout".to_owned(),
            Self::Programs(_) => "list programs".to_owned(),
            Self::Symbols(_) => "list symbols".to_owned(),
            Self::Spawn => "start a tool".to_owned(),
            Self::Stop => "end the tool".to_owned(),
            Self::Aborted { .. } => "broken off".to_owned(),
            Self::Other { name } => name.clone(),
        }
    }
}
