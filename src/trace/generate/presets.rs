//! Prepared classes of programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Class, Life, Program, Sizes};
use crate::units::SimDuration;

/// A prepared class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A libbpf tool with its feature probes: seven probes that live for microseconds and three programs, with lengths
    /// and times as recorded from runqslower on Linux 6.18. By default one tool every 15 minutes for 10 minutes (assumed).
    LibbpfTool,
    /// A container: a check program that lives for microseconds and a device filter of 472 bytes (as runc loads them),
    /// and a seccomp filter of 1 to 2 KiB. By default one container every 5 minutes for an hour (assumed).
    ContainerStart,
    /// Services under systemd with `IPAddressDeny` and `DevicePolicy`: two firewall programs and a device filter each.
    /// By default 12 services from the start, loaded anew once a day (assumed).
    ServiceUnit,
    /// A network or security agent with 40 programs of the general mix of lengths, all loaded anew every 6 hours
    /// (assumed).
    AgentReload,
    /// Single programs of the general mix of lengths: half below 500 bytes, three quarters below 2 kB. By default one a
    /// minute for an hour (assumed).
    GeneralMix,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 5] =
        [Self::LibbpfTool, Self::ContainerStart, Self::ServiceUnit, Self::AgentReload, Self::GeneralMix];

    /// The name in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LibbpfTool => "libbpf-tool",
            Self::ContainerStart => "container-start",
            Self::ServiceUnit => "service-unit",
            Self::AgentReload => "agent-reload",
            Self::GeneralMix => "general-mix",
        }
    }

    /// What the preset is, in a sentence.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::LibbpfTool => "a libbpf tool starts: seven feature probes and three programs, as recorded",
            Self::ContainerStart => "a container starts: a check program, a device filter and a seccomp filter",
            Self::ServiceUnit => "services under systemd with firewall and device programs, loaded anew once a day",
            Self::AgentReload => "an agent with 40 programs that loads all of them anew every 6 hours",
            Self::GeneralMix => "single programs, half below 500 bytes and three quarters below 2 kB",
        }
    }

    /// The class as a scenario would spell it.
    pub fn class(self) -> Class {
        let name = Some(self.name().to_owned());
        let base = Class { name, ..Class::default() };
        match self {
            Self::LibbpfTool => Class {
                every: Some(seconds(15 * 60)),
                life: Some(Life::Exponential(seconds(10 * 60))),
                programs: libbpf_tool(),
                ..base
            },
            Self::ContainerStart => Class {
                every: Some(seconds(5 * 60)),
                life: Some(Life::Exponential(seconds(60 * 60))),
                programs: vec![
                    Program { life: Some(Life::Immediate), ..fixed("cgroup_check", 20, 0) },
                    fixed("device_filter", 472, 5_000),
                    spread("seccomp", 1024, 2048, 20_000),
                ],
                ..base
            },
            Self::ServiceUnit => Class {
                at_start: Some(12),
                life: Some(Life::UntilEnd),
                reload_every: Some(seconds(24 * 60 * 60)),
                programs: vec![
                    spread("sd_fw_ingress", 200, 400, 0),
                    spread("sd_fw_egress", 200, 400, 300),
                    spread("sd_devices", 200, 600, 300),
                ],
                ..base
            },
            Self::AgentReload => Class {
                at_start: Some(1),
                life: Some(Life::UntilEnd),
                reload_every: Some(seconds(6 * 60 * 60)),
                programs: vec![Program { count: Some(40), ..general(5_000) }],
                ..base
            },
            Self::GeneralMix => Class {
                every: Some(seconds(60)),
                life: Some(Life::Exponential(seconds(60 * 60))),
                programs: vec![general(0)],
                ..base
            },
        }
    }
}

/// Names, lengths and times between loads of a recorded runqslower; a program without a name is a feature probe.
fn libbpf_tool() -> Vec<Program> {
    let probe = |bytes, after_us| Program { life: Some(Life::Immediate), ..fixed("probe", bytes, after_us) };
    let two_images = Program { image_bytes: vec![33, 612], bytes: None, ..fixed("sched_switch", 0, 376) };
    vec![
        probe(23, 0),
        probe(20, 3633),
        probe(20, 122),
        probe(20, 9121),
        probe(38, 520),
        probe(44, 2674),
        fixed("sched_wakeup", 117, 353),
        probe(20, 137),
        fixed("sched_wakeup_new", 117, 208),
        two_images,
    ]
}

fn fixed(name: &str, bytes: u32, after_us: u64) -> Program {
    Program { name: name.to_owned(), bytes: Some(bytes), after: Some(micros(after_us)), ..Program::default() }
}

fn spread(name: &str, least: u32, most: u32, after_us: u64) -> Program {
    Program { bytes: None, sizes: Some(Sizes::Between(least, most)), ..fixed(name, 0, after_us) }
}

fn general(after_us: u64) -> Program {
    Program { bytes: None, sizes: Some(Sizes::General), ..fixed("program", 0, after_us) }
}

const fn seconds(seconds: u64) -> SimDuration {
    SimDuration::from_nanos(seconds * 1_000_000_000)
}

const fn micros(micros: u64) -> SimDuration {
    SimDuration::from_nanos(micros * 1000)
}
