//! CPUs: the document that describes a core's TLBs, its checks, and the cores that come with the program.

mod check;
mod contract;
mod presets;

use serde_json::Value;

pub use check::{MAX_ENTRIES, MAX_STRUCTURES, Problem};
pub use contract::{
    Confidence, CpuDoc, FirstLevelHit, HeldPage, Inclusion, Index, Kind, Level, Links, Origin, Replacement,
    SCHEMA_VERSION, SecondLevelHit, Structure, Walk, Ways,
};

use crate::diagnostics::Diagnostic;
use crate::json::{Complaint, Document, choices_of, typed};
use presets::PRESETS;

/// A core whose description holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu(CpuDoc);

impl Cpu {
    /// A core as described.
    ///
    /// # Errors
    /// Everything that is wrong with the description, and where.
    pub fn new(doc: CpuDoc) -> Result<Self, Vec<Problem>> {
        let problems = check::check(&doc);
        if problems.is_empty() { Ok(Self(doc)) } else { Err(problems) }
    }

    /// A core out of a JSON value, such as a part of a larger document.
    ///
    /// # Errors
    /// As [`Cpu::new`]; paths begin at the value.
    pub fn from_value(value: &Value) -> Result<Self, Vec<Problem>> {
        Self::new(typed(value).map_err(|problem| vec![problem])?)
    }

    /// A core out of a file.
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
        let Some(preset) = PRESETS.iter().find(|preset| preset.name == name) else {
            let mut complaint = Complaint::new(format!("there is no CPU `{name}`"));
            complaint.help = choices_of(name, preset_names());
            return Err(complaint);
        };
        let document = Document::new(preset.name, preset.text);
        Ok(Self::from_document(&document).expect("a test reads every preset"))
    }

    /// The description.
    pub const fn doc(&self) -> &CpuDoc {
        &self.0
    }

    /// The core in a sentence: title, and every structure as `L1D 64x4 (4K)`.
    pub fn summary(&self) -> String {
        let structure = |structure: &Structure| {
            let ways = match structure.ways {
                Ways::Full => "full".to_owned(),
                Ways::Some(ways) => ways.to_string(),
            };
            let pages: Vec<String> = structure.pages.iter().map(|held| held.page().to_string()).collect();
            // Most names say already which pages the structure holds.
            let pages =
                if structure.name.ends_with(['K', 'M', 'G']) { String::new() } else { format!(" {}", pages.join("+")) };
            format!("{} {}x{ways}{pages}", structure.name, structure.entries)
        };
        let structures: Vec<String> = self.0.structures.iter().map(structure).collect();
        format!("{}: {}", self.0.title, structures.join(", "))
    }

    /// The structures of a level that hold pages for a kind of access, with their places in the document.
    pub(super) fn structures(&self, level: Level, kind: Kind) -> impl Iterator<Item = (usize, &Structure)> {
        let wanted =
            move |(_, structure): &(usize, &Structure)| structure.level == level && structure.serves.contains(&kind);
        self.0.structures.iter().enumerate().filter(wanted)
    }
}

impl Structure {
    /// Sets and ways.
    pub(super) fn sets_and_ways(&self) -> (u32, u32) {
        check::sets(self).expect("a CPU is checked when it is made")
    }
}

/// The names of all presets, oldest first within each maker.
pub fn preset_names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

/// Every preset's document as text, to start an own one from.
pub fn preset_text(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|preset| preset.name == name).map(|preset| preset.text)
}

#[cfg(test)]
mod tests;
