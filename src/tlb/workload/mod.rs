//! Workloads: which kernel memory is used and how unevenly, and where on a host it lies.

mod blocks;
mod contract;
mod place;

use serde_json::Value;

pub use blocks::HostMap;
pub(super) use blocks::mix;
pub use contract::{Home, MemoryClass, Pattern, SCHEMA_VERSION, WorkloadDoc};
pub use place::{Accesses, Placement};

use super::cpu::Problem;
use crate::diagnostics::Diagnostic;
use crate::json::{Complaint, Document, choices_of, typed};

/// The workloads that come with the program: name and document.
const PRESETS: [(&str, &str); 4] = [
    ("page-cache-server", include_str!("presets/page-cache-server.json")),
    ("memcached", include_str!("presets/memcached.json")),
    ("web-server", include_str!("presets/web-server.json")),
    ("kernel-build", include_str!("presets/kernel-build.json")),
];

/// A workload whose description holds together.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload(WorkloadDoc);

impl Workload {
    /// A workload as described.
    ///
    /// # Errors
    /// Everything that is wrong with the description, and where.
    pub fn new(doc: WorkloadDoc) -> Result<Self, Vec<Problem>> {
        let problems = contract::check(&doc);
        if problems.is_empty() { Ok(Self(doc)) } else { Err(problems) }
    }

    /// A workload out of a JSON value, such as a part of a larger document.
    ///
    /// # Errors
    /// As [`Workload::new`]; paths begin at the value.
    pub fn from_value(value: &Value) -> Result<Self, Vec<Problem>> {
        Self::new(typed(value).map_err(|problem| vec![problem])?)
    }

    /// A workload out of a file.
    ///
    /// # Errors
    /// Everything that is wrong with the file, with its place in it.
    pub fn from_document(document: &Document) -> Result<Self, Vec<Diagnostic>> {
        let value = document.value().map_err(|diagnostic| vec![diagnostic])?;
        Self::from_value(&value).map_err(|problems| {
            problems.into_iter().map(|(path, complaint)| document.complain(&path, complaint)).collect()
        })
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// There is none; the complaint suggests others.
    pub fn named(name: &str) -> Result<Self, Complaint> {
        let Some((name, text)) = PRESETS.iter().find(|(preset, _)| *preset == name) else {
            let mut complaint = Complaint::new(format!("there is no workload `{name}`"));
            complaint.help = choices_of(name, workload_names());
            return Err(complaint);
        };
        Ok(Self::from_document(&Document::new(*name, *text)).expect("a test reads every preset"))
    }

    /// The description.
    pub const fn doc(&self) -> &WorkloadDoc {
        &self.0
    }
}

/// The names of all presets.
pub fn workload_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests;
