//! Writes a file beside its final place and moves it there when it is complete.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::NamedTempFile;

use super::describe;
use crate::diagnostics::Diagnostic;

/// Files that are not complete yet; whoever ends the program early removes them.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Symbolic links that may follow each other, as on Linux (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    // The list is valid at any time, so a panic elsewhere does not spoil it.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what [`AtomicFile`]s have written so far and lets nobody start another one.
///
/// For the moment before the program ends on a signal: whoever still writes waits for ever.
pub fn remove_unfinished() {
    let paths = unfinished();
    for path in paths.iter() {
        // Nothing can be done about a file that resists, and nobody is left to tell.
        drop(fs::remove_file(path));
    }
    std::mem::forget(paths);
}

/// A file that appears under its name only when it is complete, over an older file of that name.
///
/// Dropped before [`AtomicFile::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    name: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// An ordinary file: written beside `target`, then renamed.
    Beside { temporary: Option<NamedTempFile>, target: PathBuf },
    /// A device or pipe such as `/dev/null`: there is nothing to replace.
    Direct(fs::File),
}

impl AtomicFile {
    /// Starts to write the file of this name.
    ///
    /// # Errors
    /// The name is that of a directory, or its directory does not exist or cannot be written to.
    pub fn create(path: &Path) -> Result<Self, Diagnostic> {
        let name = path.display().to_string();
        let fail = |error: &io::Error| describe(&format!("write `{name}`"), error);
        let kind = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let diagnostic = Diagnostic::new(format!("cannot write `{name}`: it is a directory"));
                return Err(diagnostic.help("name a file in it"));
            }
            Ok(metadata) if !metadata.is_file() => {
                Kind::Direct(fs::OpenOptions::new().write(true).open(path).map_err(|error| fail(&error))?)
            }
            Ok(metadata) => {
                // Through a symbolic link the file it points to is replaced, not the link.
                let target = fs::canonicalize(path).map_err(|error| fail(&error))?;
                Self::beside(target, Some(metadata.permissions())).map_err(|error| fail(&error))?
            }
            Err(error) => {
                // A link that leads nowhere stays; the file that it names is made, as a shell's `>` does.
                let target = end_of_links(path).ok_or_else(|| fail(&error))?;
                Self::beside(target, None).map_err(|error| no_place(path, &name, &error))?
            }
        };
        Ok(Self { name, kind })
    }

    fn beside(target: PathBuf, permissions: Option<fs::Permissions>) -> io::Result<Kind> {
        let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".fragsim-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private by default; this one is what the user's umask makes it.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        // Under the lock, so that a signal finds either no file or a file in the list.
        let mut paths = unfinished();
        let temporary = builder.tempfile_in(directory)?;
        paths.push(temporary.path().to_owned());
        drop(paths);
        if let Some(permissions) = permissions {
            temporary.as_file().set_permissions(permissions)?;
        }
        Ok(Kind::Beside { temporary: Some(temporary), target })
    }

    /// Gives the complete file its name.
    ///
    /// # Errors
    /// The last bytes cannot be written, or the file cannot be moved to its place; an older file
    /// of the name is kept then.
    pub fn commit(mut self) -> Result<(), Diagnostic> {
        let moved = match &mut self.kind {
            Kind::Direct(file) => file.flush(),
            Kind::Beside { temporary, target } => {
                let file = temporary.take().expect("only commit takes it, and commit ends the file");
                let path = file.path().to_owned();
                // A delayed write error, such as a full disk over NFS, shows here and not after the rename.
                let moved = file.as_file().sync_data().and_then(|()| Ok(file.persist(&*target).map(drop)?));
                forget(&path);
                moved
            }
        };
        moved.map_err(|error| describe(&format!("write `{}`", self.name), &error))
    }

    /// Writes the whole contents and gives the file its name.
    ///
    /// # Errors
    /// As [`AtomicFile::commit`].
    pub fn finish_with(mut self, bytes: &[u8]) -> Result<(), Diagnostic> {
        self.write_all(bytes).map_err(|error| describe(&format!("write `{}`", self.name), &error))?;
        self.commit()
    }

    /// The name of the file as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn file(&mut self) -> &mut dyn Write {
        match &mut self.kind {
            Kind::Direct(file) => file,
            Kind::Beside { temporary, .. } => {
                temporary.as_mut().expect("only commit takes it, and commit ends the file")
            }
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Kind::Beside { temporary, .. } = &mut self.kind
            && let Some(file) = temporary.take()
        {
            let path = file.path().to_owned();
            drop(file);
            forget(&path);
        }
    }
}

fn forget(path: &Path) {
    unfinished().retain(|other| other != path);
}

/// The name that a chain of symbolic links ends with, whether or not there is such a file; `None` for an endless chain.
fn end_of_links(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(_) => return Some(path),
        }
    }
    None
}

fn no_place(path: &Path, name: &str, error: &io::Error) -> Diagnostic {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match directory {
        Some(directory) if error.kind() == io::ErrorKind::NotFound && !directory.is_dir() => {
            Diagnostic::new(format!("cannot write `{name}`: there is no directory `{}`", directory.display()))
                .help(format!("make it first: mkdir -p {}", directory.display()))
        }
        _ => describe(&format!("write `{name}`"), error),
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::commit`]; an older file of the name is kept then.
pub fn write_all(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    AtomicFile::create(path)?.finish_with(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_file_appears_only_when_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result.json");
        fs::write(&path, "old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(directory.path()).len(), 2);
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["result.json"]);
        drop(AtomicFile::create(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(directory.path()), ["result.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn modes_and_links_of_an_older_file_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        write_all(&real, b"1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_ne!(mode(&real), 0o600, "an ordinary file, not a private one");
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        write_all(&link, b"2").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"2");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&real), 0o640);
        write_all(Path::new("/dev/null"), b"3").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_stays_and_its_target_is_made() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        fs::create_dir(place("data")).unwrap();
        symlink("data/real", place("middle")).unwrap();
        symlink("middle", place("link")).unwrap();
        write_all(&place("link"), b"1").unwrap();
        assert_eq!(fs::read(place("data/real")).unwrap(), b"1");
        assert!(fs::symlink_metadata(place("link")).unwrap().is_symlink());
        assert!(fs::symlink_metadata(place("middle")).unwrap().is_symlink());
        assert_eq!(names(&place("data")), ["real"]);

        symlink("no/such", place("lost")).unwrap();
        assert!(write_all(&place("lost"), b"2").unwrap_err().message.ends_with("no such file or directory"));
        symlink("circle", place("circle")).unwrap();
        let error = write_all(&place("circle"), b"3").unwrap_err();
        assert!(error.message.contains("too many levels of symbolic links"), "{error}");
        assert!(fs::symlink_metadata(place("circle")).unwrap().is_symlink());
    }

    #[test]
    fn places_that_cannot_be_written_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = write_all(directory.path(), b"").unwrap_err();
        assert!(error.message.ends_with("it is a directory"), "{error}");
        let error = write_all(&directory.path().join("no/such.json"), b"").unwrap_err();
        assert!(error.message.contains("there is no directory"), "{error}");
        assert!(error.help.unwrap().contains("mkdir -p"));
        // A device without room stands for a full disk.
        let error = write_all(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(error.message, "cannot write `/dev/full`: no space left on the device");
    }
}
