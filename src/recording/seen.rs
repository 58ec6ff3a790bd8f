//! What a walk of page tables sees of an entry.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::direct_map::Perms;
use crate::units::PageSize;

/// Permissions of an entry, as far as a walk from outside tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Seen {
    /// Nothing is mapped.
    #[serde(rename = "none")]
    Nothing,
    /// Mapped, not present.
    #[serde(rename = "np")]
    NotPresent,
    /// Read-only.
    #[serde(rename = "ro")]
    ReadOnly,
    /// Read-only, executable.
    #[serde(rename = "rox")]
    ReadOnlyExec,
    /// Writable.
    #[serde(rename = "rw")]
    ReadWrite,
    /// Writable, executable.
    #[serde(rename = "rwx")]
    ReadWriteExec,
}

impl Seen {
    /// What would be seen of an entry with these permissions.
    pub const fn of(perms: Perms) -> Self {
        match (perms.contains(Perms::PRESENT), perms.contains(Perms::WRITE), perms.contains(Perms::EXEC)) {
            (false, ..) => Self::NotPresent,
            (true, false, false) => Self::ReadOnly,
            (true, false, true) => Self::ReadOnlyExec,
            (true, true, false) => Self::ReadWrite,
            (true, true, true) => Self::ReadWriteExec,
        }
    }

    /// Permissions that look like this: what a walk cannot see is as boot leaves it, or as the kernel leaves it when it
    /// takes the right to write away. `None` for nothing.
    pub fn perms(self) -> Option<Perms> {
        let text = self.name();
        (self != Self::Nothing).then(|| text.parse().expect("the names are those of permissions"))
    }

    /// `ro`, `rox`, `rw`, `rwx`, `np` or `none`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::NotPresent => "np",
            Self::ReadOnly => "ro",
            Self::ReadOnlyExec => "rox",
            Self::ReadWrite => "rw",
            Self::ReadWriteExec => "rwx",
        }
    }

    const ALL: [Self; 6] =
        [Self::Nothing, Self::NotPresent, Self::ReadOnly, Self::ReadOnlyExec, Self::ReadWrite, Self::ReadWriteExec];
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The size of a direct-map entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EntrySize {
    /// 4 KiB.
    #[serde(rename = "4K")]
    Size4K,
    /// 2 MiB.
    #[serde(rename = "2M")]
    Size2M,
    /// 1 GiB.
    #[serde(rename = "1G")]
    Size1G,
}

impl From<EntrySize> for PageSize {
    fn from(size: EntrySize) -> Self {
        match size {
            EntrySize::Size4K => Self::Size4K,
            EntrySize::Size2M => Self::Size2M,
            EntrySize::Size1G => Self::Size1G,
        }
    }
}

/// How a page of the module area is mapped: `-` not at all, else `ro`, `rw`, `rox`, `rwx`, with `+2M` behind it if the
/// entry is a large one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^(-|r[ow]x?(\\+2M)?)$"))]
pub struct AreaMapping {
    /// Permissions; [`Seen::Nothing`] if the page is not mapped.
    pub seen: Seen,
    /// Whether a 2 MiB entry maps it.
    pub large: bool,
}

impl AreaMapping {
    /// Not mapped.
    pub const NONE: Self = Self { seen: Seen::Nothing, large: false };

    /// Whether the page is mapped.
    pub fn is_mapped(self) -> bool {
        self.seen != Seen::Nothing
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "-" {
            return Some(Self::NONE);
        }
        let (name, large) = text.strip_suffix("+2M").map_or((text, false), |name| (name, true));
        let seen = Seen::ALL.into_iter().find(|seen| seen.name() == name && *seen >= Seen::ReadOnly)?;
        Some(Self { seen, large })
    }
}

impl fmt::Display for AreaMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.seen, self.large) {
            (Seen::Nothing, _) => f.write_str("-"),
            (seen, false) => write!(f, "{seen}"),
            (seen, true) => write!(f, "{seen}+2M"),
        }
    }
}

impl Serialize for AreaMapping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AreaMapping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = AreaMapping;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`-`, `ro`, `rw`, `rox` or `rwx`, with `+2M` behind it for a large entry")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<AreaMapping, E> {
                AreaMapping::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_look_like_their_names() {
        for seen in Seen::ALL {
            assert_eq!(serde_json::to_string(&seen).unwrap(), format!("\"{seen}\""));
            if let Some(perms) = seen.perms() {
                assert_eq!(Seen::of(perms), seen);
            }
        }
    }

    #[test]
    fn area_mappings_keep_their_spelling() {
        for text in ["\"-\"", "\"ro\"", "\"rw\"", "\"rox+2M\"", "\"rwx\""] {
            let mapping: AreaMapping = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&mapping).unwrap(), text);
        }
        for text in ["\"+2M\"", "\"np\"", "\"none\"", "\"\"", "1"] {
            assert!(serde_json::from_str::<AreaMapping>(text).is_err(), "{text}");
        }
    }
}
