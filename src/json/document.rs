//! A JSON text, its value, and errors that point into the text.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::path::JsonPath;
use super::spans::{Place, Spans};
use super::strict::Strict;
use super::wording::{Complaint, reword};
use crate::diagnostics::Diagnostic;

/// A JSON text with the name of the file it came from.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    text: String,
}

impl Document {
    /// The text of the file with this name (`-` for standard input).
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of the text.
    ///
    /// # Errors
    /// The text is empty or no JSON, or an object holds a key twice.
    pub fn value(&self) -> Result<Value, Diagnostic> {
        if self.text.trim().is_empty() {
            return Err(Diagnostic::new("the file is empty").in_file(&self.name).help("JSON starts with `{`"));
        }
        let value = serde_json::from_str(&self.text).map_err(|error| self.syntax_error(&error))?;
        match Spans::new(&self.text).duplicate_key() {
            None => Ok(value),
            Some((path, place)) => {
                let complaint = Complaint::new("this key is given twice").help("keep one of the two");
                Err(self.diagnostic(&path, complaint, Some(place)))
            }
        }
    }

    /// A complaint about the value at a path, with its place in the text.
    pub fn complain(&self, path: &JsonPath, complaint: Complaint) -> Diagnostic {
        let spans = Spans::new(&self.text);
        let place = if complaint.about_key { spans.key(path) } else { None };
        // A path can go one step too far, such as into a name where an object belongs.
        let value = || path.and_parents().find_map(|path| spans.value(&path));
        self.diagnostic(path, complaint, place.or_else(value))
    }

    fn diagnostic(&self, path: &JsonPath, complaint: Complaint, place: Option<Place>) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(complaint.message).in_file(&self.name).at_json_path(path.to_string());
        diagnostic.help = complaint.help;
        match place {
            None => diagnostic,
            Some(Place { line, column, width }) => {
                diagnostic.at(line, column, width).excerpt(Spans::new(&self.text).line(line).as_bytes())
            }
        }
    }

    fn syntax_error(&self, error: &serde_json::Error) -> Diagnostic {
        let full = error.to_string();
        let (message, _) = full.rsplit_once(" at line ").unwrap_or((&full, ""));
        let line_number = u32::try_from(error.line()).unwrap_or(u32::MAX);
        let line = Spans::new(&self.text).line(line_number);
        let column = error.column().clamp(1, line.len() + 1);
        let diagnostic = if error.is_eof() {
            Diagnostic::new("the text ends in the middle of the document").help("was the file cut off?")
        } else {
            Diagnostic::new(format!("this is no JSON: {message}"))
        };
        let mut diagnostic = diagnostic
            .in_file(&self.name)
            .at(line_number, u32::try_from(column).unwrap_or(u32::MAX), 1)
            .excerpt(line.as_bytes());
        let rest = line.as_bytes().get(column - 1..).unwrap_or_default();
        if rest.starts_with(b"//") || rest.starts_with(b"#") || rest.starts_with(b"/*") {
            diagnostic.help = Some("JSON has no comments; a scenario has the key `comment` for them".to_owned());
        } else if rest.starts_with(b"'") {
            diagnostic.help = Some("JSON takes double quotation marks only".to_owned());
        }
        diagnostic
    }
}

/// The typed form of a value.
///
/// # Errors
/// The path of the first part that does not fit, and what is wrong with it.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, (JsonPath, Complaint)> {
    serde_path_to_error::deserialize(Strict(value))
        .map_err(|error| (JsonPath::from(error.path()), reword(&error.inner().to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their errors are looked at")]
    struct Outer {
        inner: Vec<Inner>,
        start: Option<Start>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their errors are looked at")]
    struct Inner {
        number: u32,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only their errors are looked at")]
    enum Start {
        Fresh,
        Aged(Inner),
    }

    fn error(text: &str) -> String {
        let document = Document::new("x.json", text);
        let problem = match document.value() {
            Err(diagnostic) => diagnostic,
            Ok(value) => {
                let (path, complaint) = typed::<Outer>(&value).unwrap_err();
                document.complain(&path, complaint)
            }
        };
        let marked = &problem.excerpt[problem.span_in_excerpt()];
        format!("{problem} [{marked}]")
    }

    #[test]
    fn typed_errors_point_at_the_value_or_the_key() {
        assert_eq!(
            error("{\"inner\": [{\"number\": 1},\n  {\"number\": \"x\"}]}"),
            "x.json:2:14: expected a whole number that is not negative, found the text \"x\" (at inner[1].number) \
             [\"x\"]"
        );
        assert_eq!(
            error("{\"inner\": [\n{\"numbr\": 1}]}"),
            "x.json:2:2: unknown key `numbr` (at inner[0].numbr); help: did you mean `number`? [\"numbr\"]"
        );
        assert_eq!(error("{\"start\": null}"), "x.json:1:1: `inner` is missing here [{\"start\": null}]");
        assert_eq!(
            error("{\"inner\": [], \"start\": \"frsh\"}"),
            "x.json:1:24: unknown name `frsh` (at start); help: did you mean `fresh`? [\"frsh\"]"
        );
        assert_eq!(
            error("{\"inner\": [], \"start\": {\"aged\": {\"number\": -1}}}"),
            "x.json:1:44: expected a whole number that is not negative, found the number -1 (at start.aged.number) [-1]"
        );
    }

    #[test]
    fn syntax_errors_point_at_the_byte() {
        assert_eq!(error(" \n"), "x.json: the file is empty; help: JSON starts with `{` []");
        assert_eq!(
            error("{\"inner\": [\n"),
            "x.json:2:1: the text ends in the middle of the document; help: was the file cut off? []"
        );
        assert_eq!(error("{\n  \"a\": 1,\n}"), "x.json:3:1: this is no JSON: trailing comma [}]");
        let comment = error("{\n  // what it shows\n}");
        assert!(comment.contains("x.json:2:3") && comment.contains("no comments"), "{comment}");
        assert!(error("{\"a\": 'x'}").contains("double quotation marks"));
        let twice = "x.json:1:15: this key is given twice (at inner); help: keep one of the two [\"inner\"]";
        assert_eq!(error("{\"inner\": [], \"inner\": []}"), twice);
    }
}
