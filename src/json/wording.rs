//! Turns serde's error texts into what a user can act on.

use crate::diagnostics::did_you_mean;

/// What is wrong with one value, without its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    /// Whether the key is wrong and not its value.
    pub about_key: bool,
}

impl Complaint {
    /// A complaint about a value.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// A complaint about a key, whatever its value.
    pub fn about_key(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, about_key: true }
    }

    /// Says what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Longest list of choices that is shown whole.
const MAX_CHOICES_SHOWN: usize = 16;

/// A help text for a word that is none of the choices: the nearest one, or all of them.
pub fn choices_of<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let choices: Vec<&str> = choices.into_iter().collect();
    if let Some(near) = did_you_mean(word, choices.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let shown: Vec<String> = choices.iter().take(MAX_CHOICES_SHOWN).map(|choice| format!("`{choice}`")).collect();
    match shown.as_slice() {
        [] => None,
        [only] => Some(format!("only {only} is known here")),
        [rest @ .., last] if shown.len() == choices.len() => Some(format!("use {} or {last}", rest.join(", "))),
        _ => Some(format!("use one of {}, ...", shown.join(", "))),
    }
}

/// serde's message for a user.
pub fn reword(message: &str) -> Complaint {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let about = |kind: &str, about_key| {
        let (word, choices) = words.split_first()?;
        let help = choices_of(word, choices.iter().copied());
        Some(Complaint { message: format!("unknown {kind} `{word}`"), help, about_key })
    };
    let reworded = if message.starts_with("unknown field `") {
        about("key", true)
    } else if message.starts_with("unknown variant `") {
        about("name", false)
    } else if message.starts_with("missing field `") {
        words.first().map(|word| Complaint::new(format!("`{word}` is missing here")))
    } else if message.starts_with("duplicate field `") {
        words.first().map(|word| Complaint::new(format!("`{word}` is given twice")))
    } else if let Some(rest) = message.strip_prefix("invalid type: ").or(message.strip_prefix("invalid value: ")) {
        rest.rsplit_once(", expected ").map(|(found, wanted)| Complaint::new(mismatch(found, wanted)))
    } else {
        None
    };
    reworded.unwrap_or_else(|| Complaint::new(message))
}

/// `found` and `wanted` in words that need no knowledge of Rust.
fn mismatch(found: &str, wanted: &str) -> String {
    if let Some(limit) = exceeded(found, wanted) {
        return format!("expected a whole number up to {limit}, found a larger one");
    }
    if (found, wanted) == ("map", "map with a single key") {
        return "exactly one key belongs here".to_owned();
    }
    let found = match found {
        "null" | "unit value" => "null",
        "map" => "an object",
        "sequence" => "an array",
        "unit variant" => "only a name",
        other => other,
    };
    let found = match found.split_once(' ') {
        Some(("string", text)) => format!("the text {text}"),
        Some(("integer", number)) => format!("the number {}", number.trim_matches('`')),
        Some(("floating", rest)) => format!("the number {}", rest.trim_start_matches("point ").trim_matches('`')),
        Some(("boolean", word)) => word.trim_matches('`').to_owned(),
        _ => found.to_owned(),
    };
    let wanted = match wanted {
        "u64" | "u32" | "u16" | "usize" => "a whole number that is not negative",
        "a string" | "a borrowed string" => "text in quotation marks",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        "newtype variant" | "struct variant" => "an object with that name as its key",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") || other == "string or map" => "a name or an object with one key",
        other => other,
    };
    format!("expected {wanted}, found {found}")
}

/// The largest number of the wanted type, if a larger one was found.
///
/// serde_json makes a floating point number of what does not fit into 64 bits.
fn exceeded(found: &str, wanted: &str) -> Option<u64> {
    let limit = match wanted {
        "u64" | "usize" => u64::MAX,
        "u32" => u32::MAX.into(),
        "u16" => u16::MAX.into(),
        _ => return None,
    };
    let number = found.split('`').nth(1)?;
    let larger = match number.parse::<u64>() {
        Ok(number) => number > limit,
        Err(_) => number.parse::<f64>().is_ok_and(|number| number >= u64::MAX as f64),
    };
    larger.then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_come_with_the_nearest_right_one() {
        let complaint = reword("unknown field `memroy`, expected one of `memory`, `layout`");
        assert_eq!(complaint.message, "unknown key `memroy`");
        assert_eq!(complaint.help.as_deref(), Some("did you mean `memory`?"));
        assert!(complaint.about_key);
        let complaint = reword("unknown variant `slab`, expected `fresh` or `aged`");
        assert_eq!(complaint.help.as_deref(), Some("use `fresh` or `aged`"));
        assert!(!complaint.about_key);
    }

    #[test]
    fn types_are_named_as_json_names_them() {
        for (from, to) in [
            ("invalid type: map, expected a sequence", "expected an array, found an object"),
            (
                "invalid type: string \"x\", expected u64",
                "expected a whole number that is not negative, found the text \"x\"",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                "expected a whole number that is not negative, found the number -1",
            ),
            (
                "invalid value: integer `4294967296`, expected u32",
                "expected a whole number up to 4294967295, found a larger one",
            ),
            (
                "invalid type: floating point `1.8446744073709552e+19`, expected u64",
                "expected a whole number up to 18446744073709551615, found a larger one",
            ),
            (
                "invalid type: floating point `1.5`, expected u64",
                "expected a whole number that is not negative, found the number 1.5",
            ),
            ("invalid type: floating point `1.5`, expected a boolean", "expected true or false, found the number 1.5"),
            ("invalid type: boolean `true`, expected struct Machine", "expected an object, found true"),
            ("invalid value: map, expected map with a single key", "exactly one key belongs here"),
            ("missing field `trace`", "`trace` is missing here"),
            ("something else", "something else"),
        ] {
            assert_eq!(reword(from).message, to);
        }
    }

    #[test]
    fn long_lists_of_choices_are_cut() {
        let choices: Vec<String> = (0..40).map(|number| format!("choice-{number}")).collect();
        let help = choices_of("nothing like it", choices.iter().map(String::as_str)).unwrap();
        assert!(help.ends_with("`choice-15`, ..."), "{help}");
        assert_eq!(choices_of("x", []), None);
        assert_eq!(choices_of("nothing", ["one"]).as_deref(), Some("only `one` is known here"));
    }
}
