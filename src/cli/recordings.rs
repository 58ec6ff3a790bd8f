//! Recordings that a user names: files, folders, and those that ship with the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::diagnostics::{Diagnostic, did_you_mean};
use crate::recording::{self, Recording, RecordingReader, SHIPPED, Shipped};

/// Where a recording comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// The program itself.
    Shipped(&'static Shipped),
}

/// The ending of the files that ship.
const ENDING: &str = ".jsonl.zst";

impl Source {
    /// What a user calls it, and may name it by.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Shipped(shipped) => shipped.path.strip_suffix(ENDING).unwrap_or(shipped.path).to_owned(),
        }
    }

    /// Reads it whole.
    pub(super) fn read(&self) -> Result<Recording, Box<Diagnostic>> {
        match self {
            Self::File(path) => RecordingReader::open(path)?.read_all(),
            Self::Shipped(shipped) => RecordingReader::from_reader(self.name(), shipped.bytes)?.read_all(),
        }
    }
}

/// The recordings of these names; all that ship if there is no name.
pub(super) fn sources(names: &[PathBuf]) -> Result<Vec<Source>, Diagnostic> {
    if names.is_empty() {
        return Ok(SHIPPED.iter().map(Source::Shipped).collect());
    }
    let mut sources = Vec::new();
    for name in names {
        let shipped = if name.exists() { Vec::new() } else { shipped_as(name) };
        if shipped.is_empty() {
            let files = recording::collect(std::slice::from_ref(name))?;
            // A file that is missing may be a shipped recording with a slip of the pen.
            if let [file] = files.as_slice()
                && let Some(near) = nearly_shipped(file)
            {
                let message = format!("no file `{}`, and no such recording ships with fragsim", file.display());
                return Err(Diagnostic::new(message).help(format!("did you mean `{near}`?")));
            }
            sources.extend(files.into_iter().map(Source::File));
        }
        sources.extend(shipped.into_iter().map(Source::Shipped));
    }
    Ok(sources)
}

/// The shipped recordings of this name, or below a folder of this name.
fn shipped_as(name: &Path) -> Vec<&'static Shipped> {
    let Some(name) = name.to_str() else { return Vec::new() };
    let name = name.strip_prefix("recordings/").unwrap_or(name).trim_end_matches('/');
    let is_named = |shipped: &&Shipped| match shipped.path.strip_prefix(name) {
        Some(rest) => rest.is_empty() || rest == ENDING || rest.starts_with('/'),
        None => false,
    };
    SHIPPED.iter().filter(is_named).collect()
}

fn nearly_shipped(file: &Path) -> Option<String> {
    if file.exists() || file.as_os_str() == crate::files::STDIN {
        return None;
    }
    let mut names: Vec<String> = SHIPPED.iter().map(|shipped| Source::Shipped(shipped).name()).collect();
    // Folders have names too.
    let folders: BTreeSet<&str> = SHIPPED.iter().filter_map(|shipped| Some(shipped.path.rsplit_once('/')?.0)).collect();
    names.extend(folders.iter().map(|folder| (*folder).to_owned()));
    let wanted = file.to_str()?;
    let near = did_you_mean(wanted.strip_suffix(ENDING).unwrap_or(wanted), names.iter().map(String::as_str));
    near.or_else(|| folders.into_iter().find(|folder| folder.starts_with(wanted))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str) -> usize {
        sources(&[PathBuf::from(name)]).unwrap().len()
    }

    #[test]
    fn shipped_recordings_have_names() {
        assert_eq!(sources(&[]).unwrap().len(), SHIPPED.len());
        assert_eq!(count("debian/7.3.4/E6-4096M"), 1);
        assert_eq!(count("debian/7.3.4/E6-4096M.jsonl.zst"), 1);
        assert_eq!(count("debian/6.1.192/"), 13);
        assert!(count("patched") > count("patched/G1"));
        // A name is whole: `G1` is not `G1fix`.
        assert!(count("patched/G1") < 20);
    }

    #[test]
    fn slips_of_the_pen_are_noticed() {
        for (wrong, right) in [
            ("debian/7.3.4/E6-4069M", "debian/7.3.4/E6-4096M"),
            ("debian/7.34", "debian/7.3.4"),
            ("debian/6.1", "debian/6.1.172"),
        ] {
            let error = sources(&[PathBuf::from(wrong)]).unwrap_err();
            assert_eq!(error.help.as_deref(), Some(format!("did you mean `{right}`?").as_str()));
        }
    }
}
