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
