//! Recordings in folders.

use std::path::{Path, PathBuf};

use super::reader::is_recording_name;
use crate::diagnostics::Diagnostic;
use crate::files::describe;

/// The files of these names, and the recordings in the folders of these names and below, each folder in the order of
/// its names.
///
/// # Errors
/// A folder cannot be read, or holds no recording. Files are not looked at.
pub fn collect(names: &[PathBuf]) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut files = Vec::new();
    for name in names {
        if !name.is_dir() {
            files.push(name.clone());
            continue;
        }
        let before = files.len();
        collect_below(name, &mut files)?;
        if files.len() == before {
            let message = format!("no recording in `{}`", name.display());
            return Err(Diagnostic::new(message).help("recordings end in .jsonl, .jsonl.gz or .jsonl.zst"));
        }
    }
    Ok(files)
}

fn collect_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    let fail = |error| describe(&format!("read the folder `{}`", folder.display()), &error);
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>())
        .map_err(fail)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect_below(&entry, files)?;
        } else if entry.file_name().and_then(|name| name.to_str()).is_some_and(is_recording_name) {
            files.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("b")).unwrap();
        for name in ["b/2.jsonl.zst", "b/1.jsonl", "a.jsonl.gz", "c.txt"] {
            std::fs::write(path(name), "").unwrap();
        }
        let found = collect(&[path("c.txt"), folder.path().to_owned()]).unwrap();
        assert_eq!(found, ["c.txt", "a.jsonl.gz", "b/1.jsonl", "b/2.jsonl.zst"].map(path));
        std::fs::create_dir(path("empty")).unwrap();
        assert!(collect(&[path("empty")]).unwrap_err().message.contains("no recording in"));
        assert_eq!(collect(&[path("missing")]).unwrap(), [path("missing")]);
    }
}
