//! Reads a text file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::describe;
use crate::diagnostics::{Diagnostic, did_you_mean};
use crate::units::Bytes;

/// The name that stands for standard input.
pub const STDIN: &str = "-";

/// What messages call the file of this name.
pub fn shown_name(name: &str) -> &str {
    if name == STDIN { "<standard input>" } else { name }
}

/// The text of a file, without a byte order mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The file's name as the user gave it.
    pub name: String,
    /// Its contents.
    pub text: String,
}

/// Reads the file of this name, or standard input for `-`, if it is UTF-8 text of at most `limit` bytes.
///
/// `kind` says in errors what was expected: `a scenario`, `a result`.
///
/// # Errors
/// The file cannot be opened or read, is a directory, too large, or not text.
pub fn read_text(path: &Path, kind: &str, limit: Bytes) -> Result<Text, Diagnostic> {
    let name = path.display().to_string();
    let bytes = if name == STDIN {
        read_at_most(io::stdin().lock(), limit).map_err(|error| describe("read standard input", &error))?
    } else {
        read_file(path, &name, kind, limit)?
    };
    if bytes.len() as u64 > limit.get() {
        return Err(too_large(&name, kind, limit));
    }
    let text = decode(bytes, &name, kind)?;
    Ok(Text { name, text })
}

/// Whether there is a file of this name that may be opened later.
///
/// # Errors
/// There is none, or it is a directory.
pub fn find_file(path: &Path, kind: &str) -> Result<(), Diagnostic> {
    let name = path.display().to_string();
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Diagnostic::new(format!("`{name}` is a directory, not {kind}"))),
        Ok(_) => Ok(()),
        Err(error) => Err(not_opened(path, &name, &error)),
    }
}

/// Opens a file of any size, and says how many bytes it has; `None` if it is a pipe or device.
///
/// # Errors
/// It cannot be opened, or is a directory.
pub fn open_file(path: &Path, kind: &str) -> Result<(File, Option<u64>), Diagnostic> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| not_opened(path, &name, &error))?;
    let metadata = file.metadata().map_err(|error| describe(&format!("read `{name}`"), &error))?;
    if metadata.is_dir() {
        let diagnostic = Diagnostic::new(format!("`{name}` is a directory, not {kind}"));
        return Err(diagnostic.help("name a file, or `-` for standard input"));
    }
    Ok((file, metadata.is_file().then_some(metadata.len())))
}

fn read_file(path: &Path, name: &str, kind: &str, limit: Bytes) -> Result<Vec<u8>, Diagnostic> {
    let (file, length) = open_file(path, kind).map_err(|diagnostic| match a_json_file_in(path) {
        Some(file) => diagnostic.help(format!("name a file in it, such as `{}`", path.join(file).display())),
        None => diagnostic,
    })?;
    if length.is_some_and(|length| length > limit.get()) {
        return Err(too_large(name, kind, limit));
    }
    read_at_most(file, limit).map_err(|error| describe(&format!("read `{name}`"), &error))
}

/// At most one byte more than the limit, so that an endless input ends.
fn read_at_most(input: impl Read, limit: Bytes) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit.get().saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn too_large(name: &str, kind: &str, limit: Bytes) -> Diagnostic {
    Diagnostic::new(format!("`{}` is larger than {limit}, the limit for {kind}", shown_name(name)))
}

fn not_opened(path: &Path, name: &str, error: &io::Error) -> Diagnostic {
    let diagnostic = describe(&format!("open `{name}`"), error);
    if error.kind() != io::ErrorKind::NotFound {
        return diagnostic;
    }
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = |name: &str| Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut names = names_in(path.parent().unwrap_or(Path::new("")));
    // Names that have little more in common than their ending are no help.
    names.retain(|name| did_you_mean(&stem(&wanted), [stem(name).as_str()]).is_some());
    match did_you_mean(&wanted, names.iter().map(String::as_str)) {
        Some(near) => diagnostic.help(format!("did you mean `{}`?", path.with_file_name(near).display())),
        None => diagnostic,
    }
}

/// The names in a directory, sorted; none if it cannot be read.
fn names_in(directory: &Path) -> Vec<String> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

fn a_json_file_in(directory: &Path) -> Option<String> {
    names_in(directory).into_iter().find(|name| name.ends_with(".json"))
}

fn decode(bytes: Vec<u8>, name: &str, kind: &str) -> Result<String, Diagnostic> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Diagnostic::new("this is UTF-16 text").in_file(name).help("save it as UTF-8"));
    }
    match String::from_utf8(bytes) {
        // Editors on Windows put a byte order mark first; it says nothing in UTF-8.
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(not_text(error.as_bytes(), at, name, kind))
        }
    }
}

fn not_text(bytes: &[u8], at: usize, name: &str, kind: &str) -> Diagnostic {
    let before = &bytes[..at];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let line_end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |length| at + length);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Diagnostic::new(format!("the byte {:#04x} is not UTF-8 text", bytes[at]))
        .in_file(name)
        .at(number(line), number(at - line_start + 1), 1)
        .excerpt(&bytes[line_start..line_end])
        .help(format!("{kind} is text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Bytes = Bytes::new(64);

    fn read(contents: &[u8]) -> Result<String, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("month.json");
        std::fs::write(&path, contents).unwrap();
        match read_text(&path, "a scenario", LIMIT) {
            Ok(text) => Ok(text.text),
            Err(error) => Err(error.to_string().replace(&directory.path().display().to_string(), "DIR")),
        }
    }

    #[test]
    fn text_loses_only_its_byte_order_mark() {
        assert_eq!(read("\u{feff}{}\n".as_bytes()), Ok("{}\n".to_owned()));
        assert_eq!(read(b""), Ok(String::new()));
    }

    #[test]
    fn what_is_no_text_is_named() {
        let place = "DIR/month.json:2:3: the byte 0xff is not UTF-8 text; help: a scenario is text in UTF-8";
        assert_eq!(read(b"{\n  \xff}"), Err(place.to_owned()));
        assert_eq!(read(b"\xff\xfe{\0"), Err("DIR/month.json: this is UTF-16 text; help: save it as UTF-8".to_owned()));
        let large = "`DIR/month.json` is larger than 64B, the limit for a scenario";
        assert_eq!(read(&[b' '; 65]), Err(large.to_owned()));
    }

    #[test]
    fn endless_input_is_refused() {
        let error = read_text(Path::new("/dev/zero"), "a scenario", LIMIT).unwrap_err();
        assert_eq!(error.message, "`/dev/zero` is larger than 64B, the limit for a scenario");
    }

    #[test]
    fn missing_files_and_directories_come_with_a_near_name() {
        let directory = tempfile::tempdir().unwrap();
        let empty = read_text(directory.path(), "a scenario", LIMIT).unwrap_err();
        assert_eq!(empty.help.as_deref(), Some("name a file, or `-` for standard input"));
        std::fs::write(directory.path().join("runqslower.json"), "{}").unwrap();
        let missing = read_text(&directory.path().join("runqslowr.json"), "a scenario", LIMIT).unwrap_err();
        assert!(missing.message.ends_with("no such file or directory"), "{missing}");
        assert!(missing.help.unwrap().ends_with("runqslower.json`?"));
        std::fs::write(directory.path().join("a.json"), "{}").unwrap();
        let other = read_text(&directory.path().join("x.json"), "a scenario", LIMIT).unwrap_err();
        assert_eq!(other.help, None, "the same ending is not enough");
        std::fs::remove_file(directory.path().join("a.json")).unwrap();
        let instead = read_text(directory.path(), "a scenario", LIMIT).unwrap_err();
        assert!(instead.message.ends_with("is a directory, not a scenario"), "{instead}");
        assert!(instead.help.unwrap().ends_with("runqslower.json`"));
    }
}
