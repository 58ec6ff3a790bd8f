//! Where a value stands in a JSON document: `machine.ranges[0].size`.

use std::fmt;

/// One step into a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// The member of an object.
    Key(String),
    /// The element of an array, counted from 0.
    Index(usize),
}

impl Segment {
    /// The name of the member, if that is what the step leads to.
    pub fn as_key(&self) -> Option<&str> {
        match self {
            Self::Key(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

/// The way from the root of a document to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct JsonPath(Vec<Segment>);

impl JsonPath {
    /// The document itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path that a user wrote: keys and indices separated by dots, indices also in brackets.
    ///
    /// # Errors
    /// Says which part cannot be a step, such as an empty one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut path = Self::root();
        for part in text.split('.') {
            let (key, mut indices) = part.split_at(part.find('[').unwrap_or(part.len()));
            match key.parse() {
                _ if key.is_empty() && (indices.is_empty() || !path.0.is_empty()) => {
                    return Err(format!("`{text}` has an empty part"));
                }
                _ if key.is_empty() => {}
                // `allocators.0`: a number can only be an index, no key of ours is one.
                Ok(index) => path.0.push(Segment::Index(index)),
                Err(_) => path.0.push(Segment::Key(key.to_owned())),
            }
            while let Some(rest) = indices.strip_prefix('[') {
                let Some((index, after)) = rest.split_once(']') else {
                    return Err(format!("`{text}` has a `[` without `]`"));
                };
                let index = index.parse().map_err(|_| format!("`{index}` in `{text}` is not an index"))?;
                path.0.push(Segment::Index(index));
                indices = after;
            }
            if !indices.is_empty() {
                return Err(format!("`{indices}` in `{text}` is neither a key nor an index"));
            }
        }
        Ok(path)
    }

    /// The steps from the root on.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The path of a member of the object at this path.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.push(Segment::Key(key.into()));
        self
    }

    /// The same path in an object that has the document under a key.
    #[must_use]
    pub fn inside(&self, key: &str) -> Self {
        Self(std::iter::once(Segment::Key(key.to_owned())).chain(self.0.iter().cloned()).collect())
    }

    /// The path of an element of the array at this path.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// The path of a part, given as text such as `classes[0].life`; the path itself if that is no path.
    #[must_use]
    pub fn join(mut self, part: &str) -> Self {
        if let Ok(Self(segments)) = Self::parse(part) {
            self.0.extend(segments);
        }
        self
    }

    /// This path, and those of the values that hold its value, up to the whole document.
    pub fn and_parents(&self) -> impl Iterator<Item = Self> {
        (0..=self.0.len()).rev().map(|steps| Self(self.0[..steps].to_vec()))
    }

    /// Whether the value at this path is the value at `other`, or a part of it.
    pub fn starts_with(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl From<&serde_path_to_error::Path> for JsonPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment as Step;
        let steps = path.iter().filter_map(|step| match step {
            Step::Seq { index } => Some(Segment::Index(*index)),
            Step::Map { key } | Step::Enum { variant: key } => Some(Segment::Key(key.clone())),
            Step::Unknown => None,
        });
        Self(steps.collect())
    }
}

impl fmt::Display for JsonPath {
    /// `machine.ranges[0].size`; empty for the whole document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if depth == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_parse_and_print() {
        let ranges = JsonPath::root().key("machine").key("ranges").index(2).key("size");
        assert_eq!(ranges.to_string(), "machine.ranges[2].size");
        assert_eq!(JsonPath::parse("machine.ranges[2].size"), Ok(ranges.clone()));
        assert_eq!(JsonPath::parse("machine.ranges.2.size"), Ok(ranges));
        assert_eq!(JsonPath::parse("[1][2]").map(|path| path.to_string()), Ok("[1][2]".to_owned()));
    }

    #[test]
    fn wrong_paths_name_the_part() {
        for (text, part) in [("", "empty part"), ("a..b", "empty part"), ("a[1", "without `]`"), ("a[x]", "`x`")] {
            let error = JsonPath::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(JsonPath::parse("a[1]b").unwrap_err().contains("`b`"));
    }

    #[test]
    fn a_part_starts_with_its_whole() {
        let machine = JsonPath::root().key("machine");
        assert!(machine.clone().key("memory").starts_with(&machine));
        assert!(machine.starts_with(&JsonPath::root()));
        assert!(!machine.starts_with(&machine.clone().key("memory")));
    }
}
