//! What every room does with files: reading a text with clear errors, and writing a file so that
//! it appears whole or not at all, also when the user interrupts.

mod atomic;
mod read;

pub use atomic::{AtomicFile, remove_unfinished, write_all};
pub use read::{STDIN, Text, find_file, open_file, read_text, shown_name};

use std::io;
use std::path::Path;

use crate::diagnostics::Diagnostic;

/// What went wrong with a file, in the words of a user: `cannot write `x.json`: no space left`.
pub(crate) fn describe(action: &str, error: &io::Error) -> Diagnostic {
    use io::ErrorKind::{
        AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull,
    };
    let reason = match error.kind() {
        NotFound => "no such file or directory".to_owned(),
        PermissionDenied => "permission denied".to_owned(),
        IsADirectory => "it is a directory".to_owned(),
        NotADirectory => "a part of the path is not a directory".to_owned(),
        StorageFull => "no space left on the device".to_owned(),
        ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        AlreadyExists => "something of that name is in the way".to_owned(),
        // The operating system's text without the `(os error 28)` that Rust adds.
        _ => error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase(),
    };
    Diagnostic::new(format!("cannot {action}: {reason}"))
}

/// Whether `output` may be written: not if it is the very file that it is made from.
///
/// `what` and `kind` are what errors call the two: `the result`, `scenario`.
///
/// # Errors
/// Both names stand for the same file.
pub fn keep_input(output: &Path, what: &str, kind: &str, input: &Path) -> Result<(), Diagnostic> {
    match (std::fs::canonicalize(output), std::fs::canonicalize(input)) {
        (Ok(same), Ok(other)) if same == other && same.is_file() => {
            let diagnostic = Diagnostic::new(format!("{what} would replace its {kind} `{}`", output.display()));
            Err(diagnostic.help(format!("give {what} another name")))
        }
        _ => Ok(()),
    }
}

/// Makes a directory and those above it, where they are not there yet.
///
/// # Errors
/// It cannot be made.
pub fn make_directory(path: &Path) -> Result<(), Diagnostic> {
    let fail = |error| describe(&format!("make the directory `{}`", path.display()), &error);
    std::fs::create_dir_all(path).map_err(fail)
}
