//! Standard output for data, standard error for everything else.

use std::fmt;
use std::io::{self, Write};

use super::exit;
use super::render::{Severity, render, stderr_takes_colour};
use crate::diagnostics::Diagnostic;
use crate::files::describe;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// The usage or an input is wrong, or a file cannot be read or written.
    Input(Vec<Diagnostic>),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    /// Of all writers, only standard output hands out bare errors.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::Input(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Input(vec![diagnostic])
    }
}

impl From<Box<Diagnostic>> for Failure {
    fn from(diagnostic: Box<Diagnostic>) -> Self {
        Self::Input(vec![*diagnostic])
    }
}

/// A file name as a user can paste it into a shell.
pub fn shell_word(name: &str) -> String {
    // A name that begins with a dash would be taken for an option; `-` alone is standard input.
    let name = if name.starts_with('-') && name != "-" { format!("./{name}") } else { name.to_owned() };
    let is_plain = |c: char| c.is_alphanumeric() || "-_./+,:=@%".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) { name } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// Where everything but data goes.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    colour: bool,
}

impl Messages {
    /// Standard error, coloured if it is a terminal that wants it.
    pub fn new() -> Self {
        Self { colour: stderr_takes_colour() }
    }

    /// Errors, with an empty line between two.
    pub fn errors(self, diagnostics: &[Diagnostic]) {
        let texts: Vec<String> =
            diagnostics.iter().map(|diagnostic| render(diagnostic, Severity::Error, self.colour)).collect();
        self.write(&texts.join("\n"));
    }

    /// An error.
    pub fn error(self, diagnostic: &Diagnostic) {
        self.write(&render(diagnostic, Severity::Error, self.colour));
    }

    /// A warning.
    pub fn warning(self, diagnostic: &Diagnostic) {
        self.write(&render(diagnostic, Severity::Warning, self.colour));
    }

    /// A line.
    pub fn note(self, text: fmt::Arguments<'_>) {
        self.write(&format!("{text}\n"));
    }

    fn write(self, text: &str) {
        // If nobody can be told, the exit code still tells.
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

impl Default for Messages {
    fn default() -> Self {
        Self::new()
    }
}

/// The exit code of a command, after telling the user what went wrong.
pub fn conclude(end: Result<u8, Failure>, messages: Messages) -> u8 {
    match end {
        Ok(code) => code,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => exit::DONE,
        Err(Failure::Output(error)) => {
            messages.error(&describe("write standard output", &error));
            exit::BAD_INPUT
        }
        Err(Failure::Input(diagnostics)) => {
            messages.errors(&diagnostics);
            exit::BAD_INPUT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_survive_a_shell() {
        assert_eq!(shell_word("debian/7.3.4/E6-4096M"), "debian/7.3.4/E6-4096M");
        assert_eq!(shell_word("my log.jsonl"), "'my log.jsonl'");
        assert_eq!(shell_word("it's.jsonl"), r"'it'\''s.jsonl'");
        assert_eq!((shell_word("-x").as_str(), shell_word("-").as_str(), shell_word("").as_str()), ("./-x", "-", "''"));
    }
}
