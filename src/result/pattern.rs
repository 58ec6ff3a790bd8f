//! Names of metrics as users write them.

use std::fmt;

use super::metrics::KNOWN;
use crate::diagnostics::did_you_mean;

/// The blocks whose metrics may be named without the block.
const FREE_BLOCKS: [&str; 3] = ["counters.", "text.", "tlb."];

/// One metric or several: `text.packs_created`, `packs_created`, `text.*`.
///
/// A name without its block means that metric after the replay, not at its start; `*` at the end stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricPattern(String);

impl MetricPattern {
    /// The pattern that a user wrote.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Whether the metric of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => name.starts_with(start) || unblocked(name).is_some_and(|name| name.starts_with(start)),
            None => name == self.0 || unblocked(name) == Some(&*self.0),
        }
    }

    /// How exactly the pattern names its metrics; among patterns that match the most exact one counts.
    pub fn exactness(&self) -> (bool, usize) {
        (!self.0.ends_with('*'), self.0.len())
    }

    /// Whether some metric that is known here is meant.
    ///
    /// # Errors
    /// None is; then the name that was perhaps meant, if one looks like it.
    pub fn is_known(&self) -> Result<(), Option<&'static str>> {
        if KNOWN.iter().any(|about| self.matches(about.name)) {
            return Ok(());
        }
        let names = KNOWN.iter().map(|about| about.name);
        Err(did_you_mean(&self.0, names.clone().chain(names.filter_map(unblocked))))
    }
}

impl fmt::Display for MetricPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A metric's name without its block, where that can be left out.
fn unblocked(name: &str) -> Option<&str> {
    FREE_BLOCKS.iter().find_map(|block| name.strip_prefix(block))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact_short_or_open() {
        let matches = |pattern: &str, name: &str| MetricPattern::new(pattern).matches(name);
        assert!(matches("text.packs_created", "text.packs_created"));
        assert!(matches("packs_created", "text.packs_created"));
        assert!(matches("direct_map_*", "counters.direct_map_level2_splits"));
        assert!(matches("*", "start.MemFree") && matches("start.*", "start.MemFree"));
        assert!(!matches("MemFree", "start.MemFree") && matches("MemFree", "counters.MemFree"));
        assert!(!matches("packs", "text.packs_created") && !matches("", "text.packs_created"));
    }

    #[test]
    fn unknown_names_come_with_the_nearest_one() {
        assert_eq!(MetricPattern::new("text.*").is_known(), Ok(()));
        assert_eq!(MetricPattern::new("DirectMap4K").is_known(), Err(Some("DirectMap4k")));
        assert_eq!(MetricPattern::new("text.pack_created").is_known(), Err(Some("text.packs_created")));
        assert_eq!(MetricPattern::new("zzz").is_known(), Err(None));
    }

    #[test]
    fn the_most_exact_pattern_is_known() {
        let mut patterns = ["text.*", "*", "packs_created", "text.packs_*"].map(MetricPattern::new);
        patterns.sort_by_key(MetricPattern::exactness);
        assert_eq!(patterns.map(|pattern| pattern.to_string()), ["*", "text.*", "text.packs_*", "packs_created"]);
    }
}
