//! Policies and kernel releases as words in JSON.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::kernel::{Release, release_names};
use crate::text_alloc::Policy;

/// The names of all policies, oldest first.
pub(super) static POLICY_NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| Policy::ALL.iter().map(|policy| policy.name()).collect());

/// The names of all kernel releases, oldest first.
pub(super) static KERNEL_NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| release_names().collect());

/// A text allocator policy that reads and writes as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyName(pub Policy);

/// A kernel release that reads and writes as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelName(pub &'static Release);

impl Default for KernelName {
    fn default() -> Self {
        Self(Release::named(Release::DEFAULT).expect("the default release is one of the releases"))
    }
}

/// Reads a word and looks it up.
struct Word<T> {
    expecting: &'static str,
    find: fn(&str) -> Option<T>,
    names: &'static [&'static str],
}

impl<T> de::Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<T, E> {
        (self.find)(name).ok_or_else(|| E::unknown_variant(name, self.names))
    }
}

impl<'de> Deserialize<'de> for PolicyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Word {
            expecting: "the name of a text allocator, such as \"pack-4k\"",
            find: |name| Policy::from_name(name).map(Self),
            names: &POLICY_NAMES,
        })
    }
}

impl<'de> Deserialize<'de> for KernelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Word {
            expecting: "a kernel release in quotation marks, such as \"6.1\"",
            find: |name| Release::named(name).map(Self),
            names: &KERNEL_NAMES,
        })
    }
}

impl Serialize for PolicyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl Serialize for KernelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl JsonSchema for PolicyName {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a text allocator; `fragsim list allocators` explains them.",
            "enum": *POLICY_NAMES
        })
    }
}

impl JsonSchema for KernelName {
    fn schema_name() -> Cow<'static, str> {
        "Kernel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a kernel release; `fragsim list kernels` explains them.",
            "enum": *KERNEL_NAMES
        })
    }
}
