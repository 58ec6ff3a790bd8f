//! Several seeds as one value: `1..30`, `1,5,9`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::text::text_in_json;

/// Most seeds at a time.
pub const MAX_SEEDS: u64 = 10_000;

/// One seed or several, ascending and none twice. Parses and prints as `1..30` (both ends belong to it) or `1,5,9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Vec<u64>);

/// Why a text names no seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSeedsError {
    /// A part is neither a number nor a range.
    #[error("`{0}` is neither a seed nor a range of seeds; write for example 1..30 or 1,5,9")]
    Part(String),
    /// A range runs backwards.
    #[error("the range `{0}` ends before it begins")]
    Backwards(String),
    /// A seed is named more than once.
    #[error("seed {0} is named twice")]
    Twice(u64),
    /// Too many.
    #[error("these are more than {MAX_SEEDS} seeds")]
    TooMany,
}

impl Seeds {
    /// One seed.
    pub fn one(seed: u64) -> Self {
        Self(vec![seed])
    }

    /// These seeds in ascending order, each once; `None` if there is none.
    pub fn of(seeds: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut seeds: Vec<u64> = seeds.into_iter().collect();
        seeds.sort_unstable();
        seeds.dedup();
        (!seeds.is_empty()).then_some(Self(seeds))
    }

    /// The seeds, ascending.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// The smallest seed.
    pub fn first(&self) -> u64 {
        self.0.first().copied().expect("there is at least one seed")
    }
}

impl FromStr for Seeds {
    type Err = ParseSeedsError;

    fn from_str(text: &str) -> Result<Self, ParseSeedsError> {
        let mut seeds = Vec::new();
        for part in text.split(',').map(str::trim) {
            let number = |text: &str| text.parse::<u64>().map_err(|_| ParseSeedsError::Part(part.to_owned()));
            let (first, last) = match part.split_once("..") {
                Some((first, last)) => (number(first)?, number(last.strip_prefix('=').unwrap_or(last))?),
                None => (number(part)?, number(part)?),
            };
            if last < first {
                return Err(ParseSeedsError::Backwards(part.to_owned()));
            }
            if last - first >= MAX_SEEDS || seeds.len() as u64 + (last - first) >= MAX_SEEDS {
                return Err(ParseSeedsError::TooMany);
            }
            seeds.extend(first..=last);
        }
        seeds.sort_unstable();
        match seeds.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ParseSeedsError::Twice(pair[0])),
            None => Ok(Self(seeds)),
        }
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let follows = |pair: &[u64]| pair[0].checked_add(1) == Some(pair[1]);
        for (index, stretch) in self.0.chunk_by(|&seed, &next| follows(&[seed, next])).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match stretch {
                [first, _, .., last] => write!(f, "{comma}{first}..{last}")?,
                few => {
                    let few: Vec<String> = few.iter().map(u64::to_string).collect();
                    write!(f, "{comma}{}", few.join(","))?;
                }
            }
        }
        Ok(())
    }
}

text_in_json!(Seeds, "Seeds", r"^[0-9., =]+$", "seeds as text, such as \"1..30\" or \"1,5,9\"");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_parse_and_print_without_loss() {
        for (text, shown, seeds) in [
            ("7", "7", &[7][..]),
            ("1..4", "1..4", &[1, 2, 3, 4]),
            ("1..=4", "1..4", &[1, 2, 3, 4]),
            ("3..3", "3", &[3]),
            ("9, 1,5", "1,5,9", &[1, 5, 9]),
            ("8..9,1..3,5", "1..3,5,8,9", &[1, 2, 3, 5, 8, 9]),
            (
                "18446744073709551614..18446744073709551615",
                "18446744073709551614,18446744073709551615",
                &[u64::MAX - 1, u64::MAX],
            ),
        ] {
            let parsed: Seeds = text.parse().unwrap();
            assert_eq!((parsed.as_slice(), parsed.to_string().as_str()), (seeds, shown), "{text}");
            assert_eq!(shown.parse(), Ok(parsed));
        }
        assert_eq!("1..10000".parse::<Seeds>().unwrap().as_slice().len(), 10_000);
    }

    #[test]
    fn wrong_seeds_say_what_is_right() {
        let error = |text: &str| text.parse::<Seeds>().unwrap_err().to_string();
        for text in ["", "x", "1..", "..3", "-1", "1,,2", "1...3", "99999999999999999999"] {
            assert!(error(text).ends_with("write for example 1..30 or 1,5,9"), "{text}");
        }
        assert_eq!(error("5..1"), "the range `5..1` ends before it begins");
        assert_eq!(error("1..5,3"), "seed 3 is named twice");
        for text in ["0..10000", "0..18446744073709551615", "1..9999,20000..20001"] {
            assert_eq!(error(text), "these are more than 10000 seeds");
        }
    }

    #[test]
    fn seeds_are_collected_in_order() {
        assert_eq!(Seeds::of([3, 1, 3]).unwrap().as_slice(), [1, 3]);
        assert_eq!(Seeds::of([]), None);
        assert_eq!(serde_json::to_string(&Seeds::one(4)).unwrap(), "\"4\"");
    }
}
