//! A trace file's lines as JSON, and their JSON Schema.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::event::{GivePattern, MemoryKind, Permission};
use crate::units::Bytes;

/// The version of the trace format that is written, and the newest that is read.
pub const FORMAT_VERSION: u32 = 1;

/// The first line of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceHeader {
    /// Version of the trace format.
    pub fragsim_trace: u32,
    /// What the trace shows, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Where the events come from: a recording, a generator with its seed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
}

impl TraceHeader {
    /// A header of the current format version.
    pub fn new(comment: impl Into<String>, source: impl Into<String>) -> Self {
        Self { fragsim_trace: FORMAT_VERSION, comment: comment.into(), source: source.into() }
    }
}

/// One event of a trace: a time, and exactly one of the other keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = exactly_one_event)]
pub struct TraceLine {
    /// Nanoseconds since the start of the trace; never less than on the line before.
    pub time_ns: u64,
    /// A BPF program is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LoadLine")]
    pub load: Option<LoadLine>,
    /// A program's last reference goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "IdLine")]
    pub unload: Option<IdLine>,
    /// A kernel module is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ModuleLine")]
    pub module_load: Option<ModuleLine>,
    /// A kernel module is unloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "IdLine")]
    pub module_unload: Option<IdLine>,
    /// A function gets its first BPF trampoline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TrampolineLine")]
    pub trampoline_attach: Option<TrampolineLine>,
    /// The programs of a trampoline change, and with them its image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TrampolineLine")]
    pub trampoline_update: Option<TrampolineLine>,
    /// The last program leaves a trampoline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "IdLine")]
    pub trampoline_detach: Option<IdLine>,
    /// Another user of memory takes pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MemoryTakeLine")]
    pub memory_take: Option<MemoryTakeLine>,
    /// Another user of memory gives pages back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MemoryGiveLine")]
    pub memory_give: Option<MemoryGiveLine>,
    /// Page frames of the direct map change their permissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SetMemoryLine")]
    pub set_memory: Option<SetMemoryLine>,
}

impl TraceLine {
    /// The keys that name an event.
    pub const EVENT_KEYS: [&'static str; 10] = [
        "load",
        "unload",
        "module_load",
        "module_unload",
        "trampoline_attach",
        "trampoline_update",
        "trampoline_detach",
        "memory_take",
        "memory_give",
        "set_memory",
    ];

    /// The keys of the events on this line; a good line has one.
    pub fn events(&self) -> Vec<&'static str> {
        let present = [
            self.load.is_some(),
            self.unload.is_some(),
            self.module_load.is_some(),
            self.module_unload.is_some(),
            self.trampoline_attach.is_some(),
            self.trampoline_update.is_some(),
            self.trampoline_detach.is_some(),
            self.memory_take.is_some(),
            self.memory_give.is_some(),
            self.set_memory.is_some(),
        ];
        Self::EVENT_KEYS.into_iter().zip(present).filter_map(|(key, present)| present.then_some(key)).collect()
    }
}

/// A program that is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadLine {
    /// The program; no other program alive has the number.
    pub id: u64,
    /// What the program is called, for the reader only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Length in bytes of each image, main function first, as `jited_len` and `PERF_RECORD_KSYMBOL` report it:
    /// without header and padding.
    #[schemars(length(min = 1), inner(range(min = 1, max = 2_147_483_648_u32)))]
    pub image_bytes: Vec<u32>,
    /// Instructions after verification; 0 if not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub insns: u32,
    /// Whether the program is compiled; if not, its own pages become read-only instead.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub jited: bool,
    /// Where each image stood in the recorded kernel; kept for comparisons, the replay ignores it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_addresses: Vec<Address>,
}

/// The program, module or trampoline that goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdLine {
    /// The number it was loaded with.
    pub id: u64,
}

/// A kernel module, by the bytes of each kind of section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleLine {
    /// The module; no other module loaded has the number.
    pub id: u64,
    /// What the module is called, for the reader only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Code that stays, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub text_bytes: u32,
    /// Constants that stay, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rodata_bytes: u32,
    /// Data that becomes read-only after the initialisation, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ro_after_init_bytes: u32,
    /// Data that stays writable, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub data_bytes: u32,
    /// Code of the initialisation, in bytes; freed after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub init_text_bytes: u32,
    /// Constants of the initialisation, in bytes; freed after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub init_rodata_bytes: u32,
    /// Data of the initialisation, in bytes; freed after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub init_data_bytes: u32,
}

/// A trampoline's new image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrampolineLine {
    /// The trampoline.
    pub id: u64,
    /// What it is called, for the reader only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Length of the image in bytes.
    #[schemars(range(min = 1, max = 2_147_483_648_u32))]
    pub image_bytes: u32,
}

/// Pages taken by another user of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryTakeLine {
    /// Who takes them; a `memory_give` names the same user.
    pub user: String,
    /// What the memory is for.
    pub kind: MemoryKind,
    /// How much, rounded up to whole blocks of the order.
    pub bytes: Bytes,
    /// Order of each block: 0 for single pages, up to 10. Where there is no such block, page cache takes smaller ones and
    /// anonymous memory single pages; the kernel's own memory does not, and the replay ends there.
    #[serde(default, skip_serializing_if = "is_zero_order")]
    #[schemars(range(max = 10))]
    pub order: u8,
}

/// Pages given back by another user of memory; all of them if neither `share_permille` nor `bytes` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemoryGiveLine {
    /// Who gives them back.
    pub user: String,
    /// Thousandths of what the user has taken and not given back by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u16", range(min = 1, max = 1000))]
    pub share_permille: Option<u16>,
    /// How much, rounded up to whole pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Bytes")]
    pub bytes: Option<Bytes>,
    /// Which of the user's blocks.
    #[serde(default)]
    pub pattern: GivePattern,
}

/// A permission change on page frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMemoryLine {
    /// The first frame: a physical address divided by 4096.
    pub first_pfn: u64,
    /// How many frames.
    #[schemars(range(min = 1))]
    pub pages: u64,
    /// What changes.
    pub to: Permission,
}

/// A kernel address, as hexadecimal text: `"0xffffffffc0022120"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("pattern" = "^0x[0-9a-f]{1,16}$"))]
pub struct Address(pub u64);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Address;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address as text, such as \"0xffffffffc0022120\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
                let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
                number.map(Address).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero_order(order: &u8) -> bool {
    *order == 0
}

/// Says in the schema that a line holds exactly one event.
fn exactly_one_event(schema: &mut Schema) {
    let choices: Vec<_> = TraceLine::EVENT_KEYS.iter().map(|key| serde_json::json!({ "required": [key] })).collect();
    schema.insert("oneOf".to_owned(), choices.into());
}

/// The JSON Schema of a line of a trace: the header on the first line, an event on every other.
pub fn json_schema() -> Schema {
    let mut generator = SchemaGenerator::default();
    let header = generator.subschema_for::<TraceHeader>();
    let line = generator.subschema_for::<TraceLine>();
    let definitions = generator.take_definitions(true);
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fragsim trace",
        "description": "One line of a trace file (JSON Lines): the header on the first line, an event on every other.",
        "anyOf": [header, line],
        "$defs": definitions,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_the_canonical_spelling() {
        for text in [
            r#"{"time_ns":1234,"load":{"id":112,"name":"bpf_prog_x","image_bytes":[23]}}"#,
            r#"{"time_ns":1,"load":{"id":1,"image_bytes":[1,2],"insns":5,"jited":false,"image_addresses":["0x1f","0x0"]}}"#,
            r#"{"time_ns":1234,"unload":{"id":112}}"#,
            r#"{"time_ns":0,"module_load":{"id":1,"name":"dummy","text_bytes":1,"rodata_bytes":2,"ro_after_init_bytes":3,"data_bytes":4,"init_text_bytes":5,"init_rodata_bytes":6,"init_data_bytes":7}}"#,
            r#"{"time_ns":0,"module_unload":{"id":1}}"#,
            r#"{"time_ns":0,"trampoline_attach":{"id":1,"name":"bpf_trampoline_1","image_bytes":4096}}"#,
            r#"{"time_ns":0,"trampoline_update":{"id":1,"image_bytes":4096}}"#,
            r#"{"time_ns":0,"trampoline_detach":{"id":1}}"#,
            r#"{"time_ns":0,"memory_take":{"user":"files","kind":"page-cache","bytes":"1GiB"}}"#,
            r#"{"time_ns":0,"memory_take":{"user":"thp","kind":"anonymous","bytes":"2MiB","order":9}}"#,
            r#"{"time_ns":0,"memory_give":{"user":"files","share_permille":500,"pattern":"random"}}"#,
            r#"{"time_ns":0,"memory_give":{"user":"files","bytes":"8KiB","pattern":"alternate"}}"#,
            r#"{"time_ns":0,"set_memory":{"first_pfn":512,"pages":1,"to":"4k"}}"#,
        ] {
            let line: TraceLine = serde_json::from_str(text).unwrap();
            assert_eq!(line.events().len(), 1);
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
        }
    }

    #[test]
    fn addresses_are_hexadecimal_text() {
        assert!(serde_json::from_str::<Address>("\"0xffffffffc0022120\"").is_ok());
        for text in ["\"c0022120\"", "\"0x\"", "\"0x+1\"", "\"0x1ffffffffc0022120\"", "5"] {
            let error = serde_json::from_str::<Address>(text).unwrap_err().to_string();
            assert!(error.contains("such as \"0xffffffffc0022120\""), "{error}");
        }
    }

    #[test]
    fn schema_names_every_event() {
        let text = serde_json::to_string(&json_schema()).unwrap();
        for key in TraceLine::EVENT_KEYS {
            assert!(text.contains(&format!("{{\"required\":[\"{key}\"]}}")), "{key}");
        }
        assert!(text.contains("fragsim_trace") && !text.contains("\"null\""), "{text}");
    }
}
