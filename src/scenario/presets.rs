//! What a scenario can choose from, each with a sentence.

use super::machine::Aged;
use crate::kernel::Release;
use crate::text_alloc::Policy;

/// One word that a scenario can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How it is written in a scenario.
    pub name: String,
    /// What it means.
    pub summary: String,
}

impl Choice {
    fn new(name: impl Into<String>, summary: impl Into<String>) -> Self {
        Self { name: name.into(), summary: summary.into() }
    }
}

/// The text allocator policies, oldest first.
pub fn allocators() -> Vec<Choice> {
    Policy::ALL.iter().map(|policy| Choice::new(policy.name(), policy.summary())).collect()
}

/// The kernel releases, oldest first, each with its policy.
pub fn kernels() -> Vec<Choice> {
    let of = |release: &Release| {
        let default = if release.name == Release::DEFAULT { "; the default" } else { "" };
        Choice::new(release.name, format!("{} ({}){default}", release.summary, release.policy.name()))
    };
    Release::all().iter().map(of).collect()
}

/// The ways a host can look when the trace begins.
pub fn start_states() -> Vec<Choice> {
    let mut choices =
        vec![Choice::new("\"fresh\"", "just booted: nearly all memory is free, in the largest blocks; the default")];
    for (name, aged) in Aged::PRESETS {
        let Aged { used_percent, unmovable_percent, reclaimable_percent, scatter_percent } = aged;
        choices.push(Choice::new(
            format!("{{\"aged\": \"{name}\"}}"),
            format!(
                "up for a {name}: {used_percent} % of memory in use, {unmovable_percent} % of the 2 MiB pageblocks \
                 unmovable and {reclaimable_percent} % reclaimable, free pages scattered to {scatter_percent} %"
            ),
        ));
    }
    choices.push(Choice::new(
        "{\"aged\": {...}}",
        "the same with your own used_percent, unmovable_percent, reclaimable_percent and scatter_percent",
    ));
    choices.push(Choice::new(
        "{\"snapshot\": {...}}",
        "free lists as on a real host: copies of its /proc/buddyinfo and /proc/pagetypeinfo",
    ));
    choices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::StartState;

    #[test]
    fn every_choice_has_a_name_and_a_sentence() {
        for choice in allocators().into_iter().chain(kernels()).chain(start_states()) {
            assert!(!choice.name.is_empty() && choice.summary.len() > 20, "{choice:?}");
        }
        assert_eq!(kernels().iter().filter(|choice| choice.summary.ends_with("; the default")).count(), 1);
    }

    #[test]
    fn start_states_can_be_pasted_into_a_scenario() {
        for choice in start_states().iter().filter(|choice| !choice.name.contains("...")) {
            assert!(serde_json::from_str::<StartState>(&choice.name).is_ok(), "{}", choice.name);
        }
    }
}
