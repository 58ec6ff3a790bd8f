//! Which text allocators a scenario compares.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::names::{KernelName, POLICY_NAMES, PolicyName};
use crate::kernel::Release;
use crate::text_alloc::{HugeGiveBack, Policy};

/// One entry of `allocators`: the name of a policy, or an object.
///
/// A name is short for an object with that `policy` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AllocatorEntry {
    /// The policy; by default that of `kernel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// The release whose details apply; by default that of the scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelName>,
    /// What results call it; by default the policy's name, or the kernel's if no policy is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether freed text is overwritten with trapping instructions; by default it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalidate: Option<bool>,
    /// How the memory of an empty pack goes back; `pack-2m` and `pack-2m-fixed` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub give_back: Option<HugeGiveBack>,
}

/// One allocator with everything that a replay needs to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllocatorRun {
    /// What results call it; no other allocator of the scenario has this label.
    pub label: String,
    /// The policy.
    pub policy: Policy,
    /// The release whose details apply.
    pub kernel: &'static Release,
    /// Whether freed text is overwritten with trapping instructions.
    pub invalidate: bool,
    /// How the memory of an empty huge pack goes back.
    pub give_back: HugeGiveBack,
}

impl AllocatorEntry {
    /// The entry of a policy with nothing but defaults.
    pub fn of(policy: Policy) -> Self {
        Self { policy: Some(PolicyName(policy)), ..Self::default() }
    }

    /// The entry with every default filled in, on a scenario's base release.
    pub fn resolve(&self, base: KernelName) -> AllocatorRun {
        let kernel = self.kernel.unwrap_or(base).0;
        let policy = self.policy.map_or(kernel.policy, |name| name.0);
        let default_label = if self.policy.is_none() { kernel.name } else { policy.name() };
        AllocatorRun {
            label: self.label.clone().unwrap_or_else(|| default_label.to_owned()),
            policy,
            kernel,
            invalidate: self.invalidate.unwrap_or(kernel.invalidates),
            give_back: self.give_back.unwrap_or_default(),
        }
    }
}

impl AllocatorRun {
    /// The entry that says all of this; choices that the policy does not have are left out.
    pub(super) fn to_entry(&self) -> AllocatorEntry {
        AllocatorEntry {
            policy: Some(PolicyName(self.policy)),
            kernel: Some(KernelName(self.kernel)),
            label: Some(self.label.clone()),
            invalidate: has_packs(self.policy).then_some(self.invalidate),
            give_back: has_huge_packs(self.policy).then_some(self.give_back),
        }
    }
}

/// Whether images share packs, so that freed text can stay executable.
pub(super) const fn has_packs(policy: Policy) -> bool {
    !matches!(policy, Policy::PerProg)
}

/// Whether packs are huge pages that go back to the page allocator.
pub(super) const fn has_huge_packs(policy: Policy) -> bool {
    matches!(policy, Policy::Pack2m | Policy::Pack2mFixed)
}

impl<'de> Deserialize<'de> for AllocatorEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

/// [`AllocatorEntry`] as an object.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AllocatorObject")]
struct EntryObject {
    /// The policy. Default: that of `kernel`; one of the two is needed.
    #[serde(default)]
    #[schemars(with = "PolicyName")]
    policy: Option<PolicyName>,
    /// The release whose details apply. Default: the scenario's `kernel`.
    #[serde(default)]
    #[schemars(with = "KernelName")]
    kernel: Option<KernelName>,
    /// What results call it; unique in the scenario. Default: the policy's name, or the kernel's without a policy.
    #[serde(default)]
    #[schemars(with = "String")]
    label: Option<String>,
    /// Whether freed text is overwritten with trapping instructions; policies with packs only. Default: true.
    #[serde(default)]
    #[schemars(with = "bool")]
    invalidate: Option<bool>,
    /// How the memory of an empty pack goes back; `pack-2m` and `pack-2m-fixed` only. Default: `block`.
    #[serde(default)]
    #[schemars(with = "HugeGiveBack")]
    give_back: Option<HugeGiveBack>,
}

struct EntryVisitor;

impl<'de> de::Visitor<'de> for EntryVisitor {
    type Value = AllocatorEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a text allocator, such as \"pack-4k\", or an object")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<AllocatorEntry, E> {
        match Policy::from_name(name) {
            Some(policy) => Ok(AllocatorEntry::of(policy)),
            None if Release::named(name).is_some() => {
                Err(E::custom(format_args!("`{name}` is a kernel, not an allocator; write {{\"kernel\": \"{name}\"}}")))
            }
            None => Err(E::unknown_variant(name, &POLICY_NAMES)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AllocatorEntry, A::Error> {
        let object = EntryObject::deserialize(de::value::MapAccessDeserializer::new(map))?;
        let EntryObject { policy, kernel, label, invalidate, give_back } = object;
        Ok(AllocatorEntry { policy, kernel, label, invalidate, give_back })
    }
}

impl JsonSchema for AllocatorEntry {
    fn schema_name() -> Cow<'static, str> {
        "Allocator".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<PolicyName>();
        let object = generator.subschema_for::<EntryObject>();
        json_schema!({
            "description": "A text allocator: the name of a policy, or an object with its settings.",
            "anyOf": [name, object]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Result<AllocatorEntry, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn run(json: &str) -> AllocatorRun {
        entry(json).unwrap().resolve(KernelName::default())
    }

    #[test]
    fn names_and_objects_fill_their_defaults() {
        let plain = run("\"pack-2m\"");
        assert_eq!(
            (plain.label.as_str(), plain.policy, plain.kernel.name),
            ("pack-2m", Policy::Pack2m, Release::DEFAULT)
        );
        assert_eq!((plain.invalidate, plain.give_back), (true, HugeGiveBack::Block));
        let preset = run(r#"{"kernel": "5.17"}"#);
        assert_eq!((preset.label.as_str(), preset.policy, preset.kernel.name), ("5.17", Policy::PerProg, "5.17"));
        let full = r#"{"policy":"pack-2m","kernel":"5.18","label":"stale","invalidate":false,"give_back":"pages"}"#;
        let full = run(full);
        assert_eq!((full.label.as_str(), full.policy, full.kernel.name), ("stale", Policy::Pack2m, "5.18"));
        assert_eq!((full.invalidate, full.give_back), (false, HugeGiveBack::Pages));
    }

    #[test]
    fn a_resolved_entry_resolves_to_itself() {
        for json in
            ["\"per-prog\"", "\"pack-4k\"", r#"{"kernel":"7.3"}"#, r#"{"policy":"pack-2m","give_back":"pages"}"#]
        {
            let run = run(json);
            let written = serde_json::to_string(&run.to_entry()).unwrap();
            let again = entry(&written).unwrap().resolve(KernelName(Release::named("5.10").unwrap()));
            assert_eq!(run, again, "{written}");
        }
    }

    #[test]
    fn wrong_entries_say_what_is_right() {
        assert!(entry("\"5.17\"").unwrap_err().contains("write {\"kernel\": \"5.17\"}"));
        assert!(entry("\"pack\"").unwrap_err().contains("unknown variant `pack`, expected one of `per-prog`"));
        assert!(entry("3").unwrap_err().contains("such as \"pack-4k\", or an object"));
        assert!(entry(r#"{"kernel": 6.1}"#).unwrap_err().contains("in quotation marks"));
        assert!(entry(r#"{"polcy": "pack-4k"}"#).unwrap_err().contains("unknown field `polcy`"));
    }
}
