//! Reads a result.

use std::path::Path;

use super::document::{ResultDoc, SCHEMA_VERSION};
use crate::diagnostics::Diagnostic;
use crate::files::{Text, read_text};
use crate::json::{Complaint, Document, JsonPath, typed};
use crate::units::Bytes;

/// Largest result file.
const MAX_RESULT: Bytes = Bytes::new(1 << 30);

/// Why a result cannot be used.
pub type ReadError = Box<Diagnostic>;

impl ResultDoc {
    /// Reads a result from a file, or from standard input for `-`.
    ///
    /// # Errors
    /// The file cannot be read, is cut off or no result, or of another format version.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        Self::from_text(&read_text(path, "a result", MAX_RESULT)?)
    }

    /// Reads a result from its text.
    ///
    /// # Errors
    /// As [`ResultDoc::read`].
    pub fn from_text(text: &Text) -> Result<Self, ReadError> {
        // Places cost time, so they are only looked up when there is something to point at.
        match serde_json::from_str::<Self>(&text.text) {
            Ok(result) if result.schema_version == SCHEMA_VERSION && result.repeated_run().is_none() => Ok(result),
            _ => read_slowly(&Document::new(&text.name, &text.text)).map_err(Box::new),
        }
    }

    /// The first run whose allocator and seed another one has too.
    fn repeated_run(&self) -> Option<usize> {
        let mut seen = std::collections::BTreeSet::new();
        self.runs.iter().position(|run| !seen.insert((&run.allocator, run.seed)))
    }
}

/// Reads a document with an error for every step.
fn read_slowly(document: &Document) -> Result<ResultDoc, Diagnostic> {
    let value = document.value()?;
    let version_path = JsonPath::root().key("schema_version");
    let complain = |path: &JsonPath, complaint| Err(document.complain(path, complaint));
    match value.get("schema_version").map(serde_json::Value::as_u64) {
        _ if value.get("runs").is_none() && value.get("trace").is_some() => {
            let complaint = Complaint::new("this is a scenario, not a result");
            return complain(
                &JsonPath::root(),
                complaint.help("fragsim run SCENARIO --output FILE makes a result of it"),
            );
        }
        Some(Some(version)) if version > u64::from(SCHEMA_VERSION) => {
            let message = format!("this result has format {version}; this fragsim reads format {SCHEMA_VERSION}");
            return complain(&version_path, Complaint::new(message).help("read it with a newer fragsim"));
        }
        Some(Some(version)) if version < u64::from(SCHEMA_VERSION) => {
            let message = format!("this result has format {version}; this fragsim reads format {SCHEMA_VERSION}");
            return complain(&version_path, Complaint::new(message).help("run the scenario again"));
        }
        _ => {}
    }
    let result: ResultDoc = match typed(&value) {
        Ok(result) => result,
        Err((path, complaint)) => return complain(&path, complaint),
    };
    match result.repeated_run() {
        None => Ok(result),
        Some(index) => {
            let run = &result.runs[index];
            let message = format!("the allocator `{}` with seed {} is there twice", run.allocator, run.seed);
            complain(&JsonPath::root().key("runs").index(index), Complaint::new(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing::two_runs;

    fn error(text: &str) -> String {
        let text = Text { name: "r.json".to_owned(), text: text.to_owned() };
        ResultDoc::from_text(&text).unwrap_err().to_string()
    }

    fn golden() -> String {
        String::from_utf8(two_runs().to_json()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let result = two_runs();
        let text = Text { name: "r.json".to_owned(), text: golden() };
        assert_eq!(ResultDoc::from_text(&text).unwrap(), result);
    }

    #[test]
    fn results_of_other_versions_are_refused() {
        let newer = golden().replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
        assert_eq!(
            error(&newer),
            "r.json:2:21: this result has format 2; this fragsim reads format 1 (at schema_version); \
             help: read it with a newer fragsim"
        );
        assert!(error(&newer.replacen(": 2", ": 0", 1)).ends_with("help: run the scenario again"));
        assert_eq!(error("{\"runs\": []}"), "r.json:1:1: `schema_version` is missing here");
    }

    #[test]
    fn damaged_results_are_refused_with_the_place() {
        let golden = golden();
        assert!(error(&golden[..golden.len() / 2]).contains("the text ends in the middle of the document"));
        let missing = golden.replacen("      \"seed\": 1,\n", "", 1);
        assert!(error(&missing).contains("`seed` is missing here (at runs[0])"), "{}", error(&missing));
        let wrong = golden.replacen("\"packs_created\": 0", "\"packs_created\": \"none\"", 1);
        assert!(error(&wrong).contains("found the text \"none\" (at runs[0].text.packs_created)"), "{}", error(&wrong));
        let twice = golden.replace("\"allocator\": \"pack-4k\"", "\"allocator\": \"per-prog\"");
        assert!(error(&twice).contains("the allocator `per-prog` with seed 1 is there twice (at runs[1])"));
        assert!(error("{\"trace\": {}}").contains("this is a scenario, not a result"));
        assert_eq!(error(""), "r.json: the file is empty; help: JSON starts with `{`");
    }

    #[test]
    fn keys_that_came_later_are_skipped() {
        let later = golden().replacen("\"seed\": 1,", "\"seed\": 1, \"newer\": {\"misses\": 5},", 1);
        assert!(ResultDoc::from_text(&Text { name: String::new(), text: later }).is_ok());
    }
}
