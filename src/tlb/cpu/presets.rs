//! The cores that come with the program, in the format in which users describe their own.

/// A core's name and its document.
pub struct Preset {
    /// The name on the command line and in scenarios.
    pub name: &'static str,
    /// The document, see [`super::CpuDoc`].
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        &[$(Preset { name: $name, text: include_str!(concat!("presets/", $name, ".json")) }),*]
    };
}

/// Every preset: Intel server cores, small Intel cores, AMD, Arm; oldest first.
pub const PRESETS: &[Preset] = presets![
    "haswell-ep",
    "broadwell-ep",
    "skylake-sp",
    "cascadelake-sp",
    "icelake-sp",
    "sapphire-rapids",
    "emerald-rapids",
    "granite-rapids",
    "lion-cove",
    "gracemont",
    "crestmont",
    "skymont",
    "zen1",
    "zen2",
    "zen3",
    "zen4",
    "zen5",
    "neoverse-n1",
    "neoverse-v1",
    "neoverse-v2",
    "cortex-x925",
];
