//! A validated [`Generate`], with presets, defaults and counts filled in.

use super::{Arrivals, Class, Generate, Life, Program, Quantile, Sizes};
use crate::diagnostics::Diagnostic;
use crate::rng::Stream;
use crate::trace::{Images, MAX_IMAGE_BYTES};
use crate::units::SimDuration;

/// Time between two loads of an instance if none is given.
const DEFAULT_AFTER_NS: u64 = 500_000;
/// Life of a program that is closed at once: the recorded probes lived 24 to 84 microseconds.
pub(super) const IMMEDIATE_NS: u64 = 50_000;
/// Most instances at the start, and most programs of one instance.
const MAX_AT_START: u32 = 100_000;
const MAX_PROGRAMS: usize = 10_000;

/// Half below 500 bytes and three quarters below 2 kB: Song Liu, execmem_alloc v5, 28 November 2022. The rest is assumed.
const GENERAL: [(u16, u32); 6] = [(0, 16), (500, 500), (750, 2000), (950, 6000), (990, 16_000), (1000, 40_000)];

type Checked<T> = Result<T, Box<Diagnostic>>;

/// A class as the generator runs it; times in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct ClassPlan {
    /// Mean time between instances; `None` if there are only those at the start.
    pub every_ns: Option<u64>,
    pub arrivals: Arrivals,
    pub at_start: u32,
    pub life: Life,
    pub reload_every_ns: Option<u64>,
    /// Never empty.
    pub programs: Vec<ProgramPlan>,
    /// Time from the start of an instance to its last load.
    pub load_ns: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ProgramPlan {
    pub name: String,
    pub images: ImagePlan,
    pub insns: u32,
    pub after_ns: u64,
    /// `None`: as long as the instance.
    pub life: Option<Life>,
    /// Index among the programs that live as long as the instance.
    pub held: usize,
}

/// Where a program's lengths come from.
#[derive(Clone, Debug)]
pub(super) enum ImagePlan {
    Fixed(Images),
    /// Quantiles: thousandths and bytes, from 0 to 1000.
    Table(Vec<(u16, u32)>),
}

impl ImagePlan {
    /// Lengths of a program.
    pub fn draw(&self, stream: &mut Stream) -> Images {
        match self {
            Self::Fixed(images) => images.clone(),
            Self::Table(table) => Images::one(draw_length(table, stream)).expect("lengths of a table were checked"),
        }
    }
}

/// A length between the two quantiles around a random share.
fn draw_length(table: &[(u16, u32)], stream: &mut Stream) -> u32 {
    let share = stream.below(1_000_000);
    let above = table.partition_point(|&(permille, _)| u64::from(permille) * 1000 <= share);
    let (low_share, low) = table[above - 1];
    let (high_share, high) = table[above];
    let width = u64::from(high_share - low_share) * 1000;
    let rise = u64::from(high - low) * (share - u64::from(low_share) * 1000) / width;
    low + rise as u32
}

fn wrong<T>(path: String, message: impl Into<String>, help: &str) -> Checked<T> {
    Err(Box::new(Diagnostic::new(message).at_json_path(path).help(help)))
}

/// The classes of a trace to generate; an error's JSON path begins at the [`Generate`].
pub(super) fn plan(generate: &Generate) -> Checked<Vec<ClassPlan>> {
    if generate.duration.nanos() == 0 {
        return wrong("duration".to_owned(), "a trace of no duration", "write for example \"1h\" or \"30days\"");
    }
    if generate.classes.is_empty() {
        return wrong("classes".to_owned(), "no class of programs", "add one, such as {\"preset\":\"general-mix\"}");
    }
    let classes = generate.classes.iter().enumerate();
    classes.map(|(index, class)| class_plan(class, &format!("classes[{index}]"))).collect()
}

fn class_plan(class: &Class, path: &str) -> Checked<ClassPlan> {
    let preset = class.preset.map(super::Preset::class).unwrap_or_default();
    let at = |key: &str| format!("{path}.{key}");
    let own_rate = interval(class, path)?;
    let at_start = class.at_start.or(preset.at_start).unwrap_or(0);
    let every_ns = own_rate.or(preset.every.map(SimDuration::nanos));
    if at_start > MAX_AT_START {
        return wrong(at("at_start"), format!("{at_start} instances at the start"), "at most 100000 can start at once");
    }
    if every_ns.is_none() && at_start == 0 {
        return wrong(
            path.to_owned(),
            "the class never starts",
            "give it `every`, `per_hour`, `per_day` or `at_start`",
        );
    }
    let life = class.life.or(preset.life).unwrap_or_default();
    check_life(life, &at("life"))?;
    let specs = if class.programs.is_empty() { &preset.programs } else { &class.programs };
    let name = class.name.as_ref().or(preset.name.as_ref()).map_or("", String::as_str);
    let programs = program_plans(specs, name, path)?;
    let load_ns = programs.iter().fold(0u64, |sum, program| sum.saturating_add(program.after_ns));
    let reload_every_ns = class.reload_every.or(preset.reload_every).map(SimDuration::nanos);
    if let Some(reload_ns) = reload_every_ns
        && reload_ns <= load_ns.saturating_add(IMMEDIATE_NS)
    {
        let needed = SimDuration::from_nanos(load_ns);
        let message = format!("the programs are loaded anew before they are all loaded, which takes {needed}");
        return wrong(at("reload_every"), message, "choose a longer time, or load the programs faster (`after`)");
    }
    let arrivals = class.arrivals.or(preset.arrivals).unwrap_or_default();
    Ok(ClassPlan { every_ns, arrivals, at_start, life, reload_every_ns, programs, load_ns })
}

/// The mean time between instances that a class itself asks for.
fn interval(class: &Class, path: &str) -> Checked<Option<u64>> {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let rates = [
        ("every", class.every.map(SimDuration::nanos)),
        ("per_hour", class.per_hour.map(|rate| HOUR_NS.checked_div(rate.into()).unwrap_or(0))),
        ("per_day", class.per_day.map(|rate| (24 * HOUR_NS).checked_div(rate.into()).unwrap_or(0))),
    ];
    let mut given = rates.into_iter().filter_map(|(key, rate)| rate.map(|rate| (key, rate)));
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some((key, 0)), _) => {
            wrong(format!("{path}.{key}"), "a rate of 0", "leave it out, or write for example \"90s\"")
        }
        (Some((_, every_ns)), None) => Ok(Some(every_ns)),
        (Some((first, _)), Some((key, _))) => {
            let message = format!("two rates, `{first}` and `{key}`");
            wrong(format!("{path}.{key}"), message, "write one of `every`, `per_hour` and `per_day`")
        }
    }
}

fn check_life(life: Life, path: &str) -> Checked<()> {
    match life {
        Life::Fixed(time) | Life::Exponential(time) if time.nanos() == 0 => {
            wrong(path.to_owned(), "a life of 0", "write \"immediate\", or a time such as {\"fixed\":\"20s\"}")
        }
        _ => Ok(()),
    }
}

fn program_plans(programs: &[Program], class: &str, path: &str) -> Checked<Vec<ProgramPlan>> {
    if programs.is_empty() {
        let help = "add one, such as {\"bytes\":500}, or name a `preset`";
        return wrong(format!("{path}.programs"), "the class loads no programs", help);
    }
    let mut plans = Vec::new();
    let mut held = 0;
    for (index, program) in programs.iter().enumerate() {
        let at = |key: &str| format!("{path}.programs[{index}]{key}");
        let count = program.count.unwrap_or(1) as usize;
        if count == 0 || plans.len() + count > MAX_PROGRAMS {
            let help = "an instance loads between 1 and 10000 programs";
            return wrong(at(".count"), format!("{count} programs"), help);
        }
        if let Some(life) = program.life {
            check_life(life, &at(".life"))?;
        }
        let images = image_plan(program, &at(""))?;
        let separator = if class.is_empty() || program.name.is_empty() { "" } else { "/" };
        for _ in 0..count {
            plans.push(ProgramPlan {
                name: format!("{class}{separator}{}", program.name),
                images: images.clone(),
                insns: program.insns,
                after_ns: program.after.map_or(DEFAULT_AFTER_NS, SimDuration::nanos),
                life: program.life,
                held,
            });
            held += usize::from(program.life.is_none());
        }
    }
    Ok(plans)
}

fn image_plan(program: &Program, path: &str) -> Checked<ImagePlan> {
    const HELP: &str = "write one of `bytes`, `image_bytes` and `sizes`";
    match (program.bytes, &program.image_bytes[..], &program.sizes) {
        (Some(bytes), [], None) => match Images::one(bytes) {
            Ok(images) => Ok(ImagePlan::Fixed(images)),
            Err(error) => {
                wrong(format!("{path}.bytes"), error.to_string(), "a length is between 1 and 2147483648 bytes")
            }
        },
        (None, lengths @ [_, ..], None) => match Images::new(lengths) {
            Ok(images) => Ok(ImagePlan::Fixed(images)),
            Err(error) => {
                wrong(format!("{path}.image_bytes"), error.to_string(), "a length is between 1 and 2147483648 bytes")
            }
        },
        (None, [], Some(sizes)) => Ok(ImagePlan::Table(size_table(sizes, &format!("{path}.sizes"))?)),
        (None, [], None) => wrong(path.to_owned(), "the program has no size", HELP),
        _ => wrong(path.to_owned(), "the program has two sizes", HELP),
    }
}

fn size_table(sizes: &Sizes, path: &str) -> Checked<Vec<(u16, u32)>> {
    let (table, path) = match sizes {
        Sizes::General => return Ok(GENERAL.to_vec()),
        Sizes::Between(least, most) => (vec![(0, *least), (1000, *most)], format!("{path}.between")),
        Sizes::Quantiles(quantiles) => {
            let table = quantiles.iter().map(|&Quantile { permille, bytes }| (permille, bytes)).collect();
            (table, format!("{path}.quantiles"))
        }
    };
    if table.iter().any(|&(_, bytes)| bytes == 0 || bytes > MAX_IMAGE_BYTES) {
        return wrong(path, "a length that no image has", "a length is between 1 and 2147483648 bytes");
    }
    if !table.is_sorted_by(|low, high| low.0 <= high.0 && low.1 <= high.1) {
        return wrong(path, "the lengths or shares go down", "sort them, the smallest first");
    }
    match (table.first(), table.last()) {
        (Some((0, _)), Some((1000, _))) => Ok(table),
        _ => wrong(path, "the shares do not go from 0 to 1000", "give the smallest length share 0, the largest 1000"),
    }
}
