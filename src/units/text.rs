//! How units look as text in scenarios and tables: `64GiB`, `10ms`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Bytes;

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseUnitError {
    /// No text at all.
    #[error("empty text where {0} was expected")]
    Empty(&'static str),
    /// The part before the unit is not a whole number.
    #[error("`{0}` is not a whole number with a unit; write for example {1}")]
    Number(String, &'static str),
    /// The unit is missing.
    #[error("`{0}` has no unit; use B, KiB, MiB, GiB or TiB")]
    NoSizeUnit(String),
    /// The unit is not known.
    #[error("unknown unit `{0}` in `{1}`; use B, KiB, MiB, GiB or TiB")]
    SizeUnit(String, String),
    /// The quantity does not fit in 64 bits.
    #[error("`{0}` is too large: the limit is {1}")]
    TooLarge(String, &'static str),
    /// Not a share in percent.
    #[error("`{0}` is not a share in percent; write for example \"5%\" or \"0.5%\"")]
    Percent(String),
    /// Not a duration.
    #[error("`{0}` is not a duration ({1}); write for example \"10ms\", \"30s\", \"2h\" or \"30days\"")]
    Duration(String, String),
}

/// The size units, largest first: name and power of two.
const SIZE_UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl FromStr for Bytes {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(ParseUnitError::Empty("a size such as \"64GiB\""));
        }
        let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(digits);
        if number.is_empty() {
            return Err(ParseUnitError::Number(text.to_owned(), "\"64GiB\""));
        }
        let unit = unit.trim_start();
        if unit.is_empty() {
            return Err(ParseUnitError::NoSizeUnit(text.to_owned()));
        }
        let Some((_, shift)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(ParseUnitError::SizeUnit(unit.to_owned(), text.to_owned()));
        };
        let too_large = || ParseUnitError::TooLarge(text.to_owned(), "2^64 - 1 bytes");
        let number: u64 = number.parse().map_err(|_| too_large())?;
        number.checked_mul(1 << shift).map(Bytes::new).ok_or_else(too_large)
    }
}

impl fmt::Display for Bytes {
    /// The largest unit that divides the number, so that printing loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.get();
        let fits = |&&(_, shift): &&(&str, u32)| bytes.is_multiple_of(1 << shift) && bytes != 0;
        let (name, shift) = SIZE_UNITS.iter().find(fits).unwrap_or(&("B", 0));
        write!(f, "{}{name}", bytes >> shift)
    }
}

/// A length of simulated time in nanoseconds. Parses and prints as `"10ms"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SimDuration(u64);

impl SimDuration {
    /// This many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// This many milliseconds; at most the longest duration there is.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The length in nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

impl FromStr for SimDuration {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Err(ParseUnitError::Empty("a duration such as \"10ms\""));
        }
        let duration = humantime::parse_duration(text)
            .map_err(|error| ParseUnitError::Duration(text.to_owned(), error.to_string()))?;
        u64::try_from(duration.as_nanos())
            .map(Self)
            .map_err(|_| ParseUnitError::TooLarge(text.to_owned(), "about 584 years"))
    }
}

impl fmt::Display for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(Duration::from_nanos(self.0)).fmt(f)
    }
}

/// A share in percent, not negative. Parses and prints as `"5%"`, `"0.5%"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Percent(f64);

impl Percent {
    /// This share of a quantity.
    pub fn of(self, quantity: f64) -> f64 {
        quantity * self.0 / 100.0
    }
}

impl FromStr for Percent {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseUnitError::Percent(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(wrong)?.trim_end();
        // Of what Rust takes for a float, only digits and a point are written by people.
        let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let value: f64 = number.parse().map_err(|_| wrong())?;
        if plain && value.is_finite() { Ok(Self(value)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// Serde and JSON Schema for a unit that is text in JSON; whoever uses it imports what its parts name.
macro_rules! text_in_json {
    ($type:ty, $name:literal, $pattern:literal, $help:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($help)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $help })
            }
        }
    };
}

pub(super) use text_in_json;

text_in_json!(Bytes, "Bytes", r"^\s*[0-9]+\s*(B|KiB|MiB|GiB|TiB)\s*$", "a size as text with a unit, such as \"64GiB\"");
text_in_json!(SimDuration, "Duration", r"^\s*[0-9]+\s*[a-zA-Z]+", "a duration as text with a unit, such as \"10ms\"");
text_in_json!(Percent, "Percent", r"^\s*[0-9]*\.?[0-9]*\s*%\s*$", "a share as text, such as \"5%\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_parse_and_print_without_loss() {
        for (text, bytes) in [("64GiB", 64 << 30), ("300B", 300), ("16TiB", 16 << 40), ("2 MiB", 2 << 20), ("0B", 0)] {
            let parsed: Bytes = text.parse().unwrap();
            assert_eq!(parsed.get(), bytes, "{text}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        assert_eq!(Bytes::new(3 << 19).to_string(), "1536KiB");
    }

    #[test]
    fn wrong_sizes_say_what_is_right() {
        let error = |text: &str| text.parse::<Bytes>().unwrap_err().to_string();
        assert!(error("64").contains("use B, KiB, MiB, GiB or TiB"));
        assert!(error("64GB").contains("unknown unit `GB`"));
        assert_eq!(error("64"), "`64` has no unit; use B, KiB, MiB, GiB or TiB");
        assert!(error("-1GiB").contains("not a whole number"));
        assert!(error("99999999999TiB").contains("too large"));
        assert!(error("99999999999999999999999B").contains("too large"));
        assert!(error("").contains("empty"));
    }

    #[test]
    fn durations_parse_and_print_without_loss() {
        for (text, nanos) in [("10ms", 10_000_000), ("1h 30m", 5_400_000_000_000), ("30days", 2_592_000_000_000_000)] {
            let parsed: SimDuration = text.parse().unwrap();
            assert_eq!(parsed.nanos(), nanos, "{text}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        assert!("10".parse::<SimDuration>().unwrap_err().to_string().contains("10ms"));
        assert!("900000years".parse::<SimDuration>().is_err());
    }

    #[test]
    fn shares_parse_and_print_without_loss() {
        for (text, of_300) in [("5%", 15.0), ("0.5 %", 1.5), ("0%", 0.0), ("250%", 750.0)] {
            let parsed: Percent = text.parse().unwrap();
            assert_eq!((parsed.of(300.0), parsed.to_string().parse()), (of_300, Ok(parsed)), "{text}");
        }
        for text in ["5", "-5%", "%", "x%", "inf%", "NaN%", "1e3%", ""] {
            assert!(text.parse::<Percent>().unwrap_err().to_string().contains("for example \"5%\""), "{text}");
        }
    }

    #[test]
    fn json_holds_the_text_form() {
        assert_eq!(serde_json::to_string(&Bytes::new(2 << 20)).unwrap(), "\"2MiB\"");
        let error = serde_json::from_str::<Bytes>("5").unwrap_err().to_string();
        assert!(error.contains("such as \"64GiB\""), "{error}");
    }
}
