//! What a scenario's TLB figures are estimated for.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::json::{Complaint, JsonPath};
use crate::tlb::{CostModel, Cpu, CpuDoc, Host, ProgramUse, Question, Tables, Workload, WorkloadDoc};
use crate::units::PageSize;

/// Most moments with TLB figures; a series has no more samples.
const MAX_SAMPLES: u32 = 20_000;
/// How many accesses may be simulated for one figure: enough to say anything, and few enough to see an end.
const SIMULATED_ACCESSES: RangeInclusive<u64> = 1_000..=1_000_000_000;

/// The core, the workload and the assumptions behind the TLB figures of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tlb {
    /// The core: a name that `fragsim list cpus` prints, or a description as `fragsim schema cpu` has it. Default:
    /// `icelake-sp`.
    pub cpu: NameOr<CpuDoc>,
    /// What the kernel does with its memory: a name that `fragsim list workloads` prints, or a description as
    /// `fragsim schema workload` has it. Default: `web-server`.
    pub workload: NameOr<WorkloadDoc>,
    /// What lies between the host and the hardware. Default: `native`.
    pub host: Platform,
    /// Where page walks find the last table. Default: `near_cache`.
    pub page_tables: PageTables,
    /// How much of the time of a page walk the core cannot hide, from 0 to 1: least, likely, most. Default: 0.05, 0.33
    /// and 1.
    pub exposed_share: [f64; 3],
    /// Cycles that a flush takes each CPU, from the interrupt to its end, without the page walks after it: least, likely, most.
    /// Default: 1000, 4000 and 25000.
    pub flush_cycles: [f64; 3],
    /// How often a CPU enters a page of BPF text, per second. Default: 1650, with which one 2 MiB page gives the 300 walks
    /// per second that were measured on a web server (Song Liu, July 2022).
    pub text_runs_per_second: u64,
    /// Which of the loaded programs it enters. Default: `uniform`.
    pub text_runs: TextRuns,
    /// For how many of the moments of a result's `series` there are TLB figures at most, apart from its start and end: from
    /// 0 to 20000. They lie evenly over the simulated time of the trace. Each takes some milliseconds on a large host, for
    /// each allocator, and a kilobyte of result. Default: 8.
    pub samples: u32,
    /// Where the figures come from. Default: `estimate`.
    pub engine: Engine,
    /// With the engine `simulate`: how many accesses are counted for each figure, after as many that fill the TLBs; from
    /// 1000 to 1000000000. Default: 1000000, with which walks are known to about 0.0005 per access.
    pub simulated_accesses: u64,
}

impl Default for Tlb {
    fn default() -> Self {
        Self {
            cpu: NameOr::Name("icelake-sp".to_owned()),
            workload: NameOr::Name("web-server".to_owned()),
            host: Platform::Native,
            page_tables: PageTables::NearCache,
            exposed_share: CostModel::default().exposed,
            flush_cycles: CostModel::default().flush,
            text_runs_per_second: 1650,
            text_runs: TextRuns::Uniform,
            samples: 8,
            engine: Engine::Estimate,
            simulated_accesses: 1_000_000,
        }
    }
}

/// Which of the loaded programs run how often. What a program is entered for is spread evenly over its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextRuns {
    /// All alike.
    #[default]
    Uniform,
    /// Some programs get most of the runs: which ones depends on their ids and the seed, not on the allocator.
    HotSet(HotSet),
}

/// Programs that run more often than the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HotSet {
    /// How many of 100 loaded programs are hot: above 0; at least one program is.
    pub programs_percent: f64,
    /// How many of 100 runs they get; the other programs share the rest evenly.
    pub runs_percent: f64,
}

impl HotSet {
    /// The first thing that is wrong with it, by key.
    fn problem(self) -> Result<(), (&'static str, Complaint)> {
        let Self { programs_percent, runs_percent } = self;
        for (key, value) in [("programs_percent", programs_percent), ("runs_percent", runs_percent)] {
            if !(0.0..=100.0).contains(&value) {
                let help = "write from 0 to 100, such as 10 % of the programs for 90 % of the runs";
                return Err((key, Complaint::new(format!("{value} is no percentage")).help(help)));
            }
        }
        if programs_percent == 0.0 {
            let complaint = Complaint::new("no program is hot");
            return Err(("programs_percent", complaint.help("write how many of 100 programs are, or `uniform`")));
        }
        Ok(())
    }
}

/// Where TLB figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Computed out of how many pages of which size are used how often: a millisecond or so for each figure. Flushes
    /// are left out.
    #[default]
    Estimate,
    /// Accesses of the workload are looked up one by one, the same ones for every allocator, with the replay's flushes of
    /// the whole TLB in between, as many per second as there were from its start to that moment. The estimate stands
    /// beside it. BPF text is estimated all the same: its walks are too rare to be counted.
    Simulate,
}

/// What lies between the kernel's page tables and the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// The kernel runs on the hardware.
    #[default]
    Native,
    /// A hypervisor that maps the guest's memory with pages of this size: the TLB holds the smaller of both pages.
    Guest(HostPage),
}

/// The size of the pages under a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HostPage {
    /// 4 KiB.
    #[serde(rename = "4KiB")]
    Size4KiB,
    /// 2 MiB.
    #[serde(rename = "2MiB")]
    Size2MiB,
    /// 1 GiB.
    #[serde(rename = "1GiB")]
    Size1GiB,
}

/// Where a page walk finds the last table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageTables {
    /// In the first or second cache level.
    #[default]
    NearCache,
    /// In the third cache level.
    FarCache,
    /// In memory.
    Memory,
}

/// The name of something that is known, or its description.
#[derive(Clone, Debug, PartialEq)]
pub enum NameOr<T> {
    /// A preset.
    Name(String),
    /// One's own.
    Own(Box<T>),
}

impl<T> NameOr<T> {
    /// What results call it.
    fn name<'a>(&'a self, own: impl FnOnce(&'a T) -> &'a str) -> &'a str {
        match self {
            Self::Name(name) => name,
            Self::Own(doc) => own(doc),
        }
    }
}

impl Tlb {
    /// What results call the core.
    pub fn cpu_name(&self) -> &str {
        self.cpu.name(|doc| &doc.name)
    }

    /// What results call the workload.
    pub fn workload_name(&self) -> &str {
        self.workload.name(|doc| &doc.name)
    }

    /// What is to be found out about a host.
    ///
    /// # Errors
    /// Everything that is wrong, with its place in this object.
    pub fn question(&self, largest_page: PageSize) -> Result<Question, Vec<(JsonPath, Complaint)>> {
        let named = |key: &str, complaint| vec![(JsonPath::root().key(key), complaint)];
        let cpu = match &self.cpu {
            NameOr::Name(name) => Cpu::named(name).map_err(|complaint| named("cpu", complaint)),
            NameOr::Own(doc) => Cpu::new((**doc).clone()).map_err(|problems| below("cpu", problems)),
        };
        let workload = match &self.workload {
            NameOr::Name(name) => Workload::named(name).map_err(|complaint| named("workload", complaint)),
            NameOr::Own(doc) => Workload::new((**doc).clone()).map_err(|problems| below("workload", problems)),
        };
        let mut problems: Vec<_> =
            [cpu.as_ref().err(), workload.as_ref().err()].into_iter().flatten().flatten().cloned().collect();
        problems.extend(self.number_problems());
        match (cpu, workload) {
            (Ok(cpu), Ok(workload)) if problems.is_empty() => Ok(Question {
                cpu,
                workload,
                host: self.host.into(),
                cost: CostModel {
                    exposed: self.exposed_share,
                    flush: self.flush_cycles,
                    tables: self.page_tables.into(),
                    ..CostModel::default()
                },
                text_runs_per_second: self.text_runs_per_second as f64,
                program_use: self.text_runs.into(),
                largest_page,
            }),
            _ => Err(problems),
        }
    }

    /// What is wrong with the numbers, with its place in this object.
    fn number_problems(&self) -> Vec<(JsonPath, Complaint)> {
        let root = JsonPath::root();
        let mut problems = Vec::new();
        let shares = self.exposed_share;
        if !shares.is_sorted() || !shares.iter().all(|share| (0.0..=1.0).contains(share)) {
            let complaint = Complaint::new("the exposed shares are not three ascending numbers from 0 to 1");
            let help = "write least, likely and most, such as [0.05, 0.33, 1.0]";
            problems.push((root.clone().key("exposed_share"), complaint.help(help)));
        }
        let cycles = self.flush_cycles;
        if !cycles.is_sorted() || !cycles.iter().all(|cycles| (0.0..=1e9).contains(cycles)) {
            let complaint = Complaint::new("the cycles of a flush are not three ascending numbers from 0 to 1e9");
            let help = "write least, likely and most, such as [1000, 4000, 25000]";
            problems.push((root.clone().key("flush_cycles"), complaint.help(help)));
        }
        if self.samples > MAX_SAMPLES {
            let complaint = Complaint::new(format!("{} is more than {MAX_SAMPLES} samples", self.samples));
            problems
                .push((root.clone().key("samples"), complaint.help("no series has more; write 8 if a few will do")));
        }
        if !SIMULATED_ACCESSES.contains(&self.simulated_accesses) {
            let complaint = Complaint::new(format!("{} accesses cannot be simulated", self.simulated_accesses));
            let help = "write from 1000 to 1000000000, such as 1000000";
            problems.push((root.clone().key("simulated_accesses"), complaint.help(help)));
        }
        if let TextRuns::HotSet(hot) = self.text_runs
            && let Err((key, complaint)) = hot.problem()
        {
            problems.push((root.key("text_runs").key("hot_set").key(key), complaint));
        }
        problems
    }
}

/// The same problems in an object that has theirs under a key.
fn below(key: &str, problems: Vec<(JsonPath, Complaint)>) -> Vec<(JsonPath, Complaint)> {
    problems.into_iter().map(|(path, complaint)| (path.inside(key), complaint)).collect()
}

impl From<Platform> for Host {
    fn from(platform: Platform) -> Self {
        match platform {
            Platform::Native => Self::Native,
            Platform::Guest(HostPage::Size4KiB) => Self::Pages(PageSize::Size4K),
            Platform::Guest(HostPage::Size2MiB) => Self::Pages(PageSize::Size2M),
            Platform::Guest(HostPage::Size1GiB) => Self::Pages(PageSize::Size1G),
        }
    }
}

impl From<TextRuns> for ProgramUse {
    fn from(runs: TextRuns) -> Self {
        match runs {
            TextRuns::Uniform => Self::Uniform,
            TextRuns::HotSet(HotSet { programs_percent, runs_percent }) => {
                Self::HotSet { programs_percent, runs_percent }
            }
        }
    }
}

impl From<PageTables> for Tables {
    fn from(tables: PageTables) -> Self {
        match tables {
            PageTables::NearCache => Self::NearCache,
            PageTables::FarCache => Self::FarCache,
            PageTables::Memory => Self::Memory,
        }
    }
}

impl<T: Serialize> Serialize for NameOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Own(doc) => doc.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for NameOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = NameOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name that `fragsim list` prints, or an object")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(NameOr::Name(name.to_owned()))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let doc = T::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(NameOr::Own(Box::new(doc)))
            }
        }
        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for NameOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("NameOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = generator.subschema_for::<T>();
        json_schema!({
            "description": "A name that `fragsim list` prints, or a description.",
            "anyOf": [{ "type": "string" }, object]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let tlb: Tlb = serde_json::from_str(json).unwrap();
        let problems = tlb.question(PageSize::Size1G).err().unwrap_or_default();
        problems
            .into_iter()
            .map(|(path, complaint)| format!("{path}: {} {:?}", complaint.message, complaint.help))
            .collect()
    }

    #[test]
    fn defaults_are_a_whole_question() {
        assert_eq!(problems("{}"), [""; 0]);
        let guest = r#"{"cpu": "zen4", "host": {"guest": "4KiB"}, "page_tables": "memory"}"#;
        assert_eq!(problems(guest), [""; 0]);
        let own = serde_json::to_string(Cpu::named("zen4").unwrap().doc()).unwrap();
        assert_eq!(problems(&format!("{{\"cpu\": {own}}}")), [""; 0]);
    }

    #[test]
    fn every_problem_has_its_place() {
        let found = problems(r#"{"cpu": "icelake-ps", "workload": "memcache", "exposed_share": [0.5, 0.3, 1.0]}"#);
        assert_eq!(found.len(), 3);
        assert!(
            found[0].starts_with("cpu: there is no CPU `icelake-ps`") && found[0].contains("icelake-sp"),
            "{found:?}"
        );
        assert!(found[1].contains("did you mean `memcached`?"), "{found:?}");
        assert!(found[2].starts_with("exposed_share: "), "{found:?}");
        let mut own = Cpu::named("zen4").unwrap().doc().clone();
        own.structures[1].entries = 0;
        let found = problems(&format!("{{\"cpu\": {}}}", serde_json::to_string(&own).unwrap()));
        assert!(found[0].starts_with("cpu.structures[1]"), "{found:?}");
    }
}
