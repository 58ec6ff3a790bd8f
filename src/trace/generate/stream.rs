//! The events of a [`Generate`], made as they are asked for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::plan::{ClassPlan, IMMEDIATE_NS, plan};
use super::{Arrivals, Generate, Life};
use crate::diagnostics::Diagnostic;
use crate::rng::{Component, Stream};
use crate::trace::{Event, EventKind, EventSource, Load, NamedEvent, ProgId, TraceError};
use crate::units::{SimDuration, SimTime};

/// Time between the starts of instances that are there from the beginning: services come up one after another.
const START_GAP_NS: u64 = 100_000_000;
/// Time between the unloads of an instance that ends; 6 to 12 microseconds were recorded.
const UNLOAD_GAP_NS: u64 = 10_000;

/// Generated events. Memory follows the programs that are alive, not the length of the trace.
#[derive(Clone, Debug)]
pub struct Generated {
    classes: Vec<ClassPlan>,
    streams: Vec<Stream>,
    end_ns: u64,
    /// What is still to happen: time, order of planning, what.
    pending: BinaryHeap<Reverse<(u64, u64, Pending)>>,
    planned: u64,
    instances: FxHashMap<u64, Instance>,
    next_instance: u64,
    next_program: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pending {
    /// An instance of a class starts, and the next one is planned.
    Arrival { class: usize },
    /// An instance of a class starts with the trace.
    Start { class: usize },
    /// An instance loads its next program.
    Load { instance: u64, program: usize },
    /// A program goes away.
    Unload { id: u64 },
    /// An instance loads its programs anew.
    Reload { instance: u64 },
    /// An instance ends.
    End { instance: u64 },
}

#[derive(Clone, Debug)]
struct Instance {
    class: usize,
    /// Programs that live as long as the instance, by [`super::plan::ProgramPlan::held`].
    held: Vec<u64>,
}

impl Generated {
    /// The events for this seed; an error's JSON path begins at the [`Generate`].
    pub fn new(generate: &Generate, seed: u64) -> Result<Self, Box<Diagnostic>> {
        let classes = plan(generate)?;
        let streams = (0..).take(classes.len()).map(|run| Stream::new(seed, Component::Generator, run)).collect();
        let mut generated = Self {
            classes,
            streams,
            end_ns: generate.duration.nanos(),
            pending: BinaryHeap::new(),
            planned: 0,
            instances: FxHashMap::default(),
            next_instance: 0,
            next_program: 1,
        };
        for class in 0..generated.classes.len() {
            for started in 0..u64::from(generated.classes[class].at_start) {
                generated.plan(started * START_GAP_NS, Pending::Start { class });
            }
            generated.plan_arrival(0, class);
        }
        Ok(generated)
    }

    /// The next event with the name of its program; `None` at the end.
    pub fn next_named(&mut self) -> Option<NamedEvent> {
        self.next_event().map(|(event, origin)| NamedEvent {
            event,
            name: origin
                .map_or_else(String::new, |(class, program)| self.classes[class].programs[program].name.clone()),
            image_addresses: Vec::new(),
        })
    }

    /// The next event, and for a load its class and program.
    fn next_event(&mut self) -> Option<(Event, Option<(usize, usize)>)> {
        while let Some(Reverse((now, _, pending))) = self.pending.pop() {
            let time = SimTime::from_nanos(now);
            match pending {
                Pending::Arrival { class } => {
                    self.start(now, class);
                    self.plan_arrival(now, class);
                }
                Pending::Start { class } => self.start(now, class),
                Pending::Reload { instance } => self.reload(now, instance),
                Pending::End { instance } => self.end(now, instance),
                Pending::Unload { id } => {
                    return Some((Event { time, kind: EventKind::Unload { id: ProgId::new(id) } }, None));
                }
                Pending::Load { instance, program } => {
                    if let Some((class, load)) = self.load(now, instance, program) {
                        return Some((Event { time, kind: EventKind::Load(load) }, Some((class, program))));
                    }
                }
            }
        }
        None
    }

    /// Plans something; what comes after the end of the trace never happens.
    fn plan(&mut self, time_ns: u64, pending: Pending) {
        if time_ns <= self.end_ns {
            self.pending.push(Reverse((time_ns, self.planned, pending)));
            self.planned += 1;
        }
    }

    fn plan_arrival(&mut self, now: u64, class: usize) {
        let Some(every_ns) = self.classes[class].every_ns else { return };
        let gap = match self.classes[class].arrivals {
            Arrivals::Random => self.streams[class].exponential(every_ns).max(1),
            Arrivals::Regular => every_ns,
        };
        self.plan(now.saturating_add(gap), Pending::Arrival { class });
    }

    fn start(&mut self, now: u64, class: usize) {
        let instance = self.next_instance;
        self.next_instance += 1;
        self.instances.insert(instance, Instance { class, held: Vec::new() });
        self.plan_load(now, instance, class, 0);
        let plan = &self.classes[class];
        let (life, load_ns, reload_every_ns) = (plan.life, plan.load_ns, plan.reload_every_ns);
        // An instance that ends at once still loads all its programs.
        let ends = match life {
            Life::Immediate => Some(now.saturating_add(load_ns).saturating_add(IMMEDIATE_NS)),
            life => life_end(life, now, &mut self.streams[class]),
        };
        if let Some(end) = ends {
            self.plan(end, Pending::End { instance });
        }
        if let Some(reload_every_ns) = reload_every_ns {
            self.plan(now.saturating_add(reload_every_ns), Pending::Reload { instance });
        }
    }

    fn plan_load(&mut self, now: u64, instance: u64, class: usize, program: usize) {
        if let Some(next) = self.classes[class].programs.get(program) {
            self.plan(now.saturating_add(next.after_ns), Pending::Load { instance, program });
        }
    }

    fn reload(&mut self, now: u64, instance: u64) {
        let Some(Instance { class, .. }) = self.instances.get(&instance) else { return };
        let class = *class;
        self.plan_load(now, instance, class, 0);
        if let Some(reload_every_ns) = self.classes[class].reload_every_ns {
            self.plan(now.saturating_add(reload_every_ns), Pending::Reload { instance });
        }
    }

    /// Loads a program and plans the next one; `None` if the instance has ended.
    fn load(&mut self, now: u64, instance: u64, program: usize) -> Option<(usize, Load)> {
        let Instance { class, held } = self.instances.get_mut(&instance)?;
        let class = *class;
        let plan = &self.classes[class].programs[program];
        let stream = &mut self.streams[class];
        let id = self.next_program;
        self.next_program += 1;
        let images = plan.images.draw(stream);
        let load = Load { id: ProgId::new(id), images, insns: plan.insns, jited: true };
        let unload = match plan.life {
            Some(life) => life_end(life, now, stream).map(|end| (end, id)),
            None => match held.get_mut(plan.held) {
                Some(old) => Some((now.saturating_add(IMMEDIATE_NS), std::mem::replace(old, id))),
                None => {
                    held.push(id);
                    None
                }
            },
        };
        if let Some((end, id)) = unload {
            self.plan(end, Pending::Unload { id });
        }
        self.plan_load(now, instance, class, program + 1);
        Some((class, load))
    }

    fn end(&mut self, now: u64, instance: u64) {
        let ended = self.instances.remove(&instance).expect("an instance ends once");
        let mut time = now;
        for id in ended.held {
            self.plan(time, Pending::Unload { id });
            time = time.saturating_add(UNLOAD_GAP_NS);
        }
    }
}

/// When something ends that begins now; `None` for never.
fn life_end(life: Life, now: u64, stream: &mut Stream) -> Option<u64> {
    let length = match life {
        Life::UntilEnd => return None,
        Life::Immediate => IMMEDIATE_NS,
        Life::Fixed(time) => time.nanos(),
        Life::Exponential(mean) => stream.exponential(mean.nanos()),
    };
    Some(now.saturating_add(length))
}

impl EventSource for Generated {
    fn next_batch(&mut self, into: &mut Vec<Event>, max: usize) -> Result<usize, TraceError> {
        let before = into.len();
        into.extend(std::iter::from_fn(|| self.next_event().map(|(event, _)| event)).take(max));
        Ok(into.len() - before)
    }

    fn total_hint(&self) -> Option<u64> {
        let events =
            self.classes.iter().map(|class| expected_events(class, self.end_ns)).fold(0u128, u128::saturating_add);
        Some(u64::try_from(events).unwrap_or(u64::MAX))
    }
}

/// About how many events a class makes: two for each program loaded.
fn expected_events(class: &ClassPlan, end_ns: u64) -> u128 {
    let end_ns = u128::from(end_ns);
    let at_start = u128::from(class.at_start);
    let instances = at_start + class.every_ns.map_or(0, |every_ns| end_ns / u128::from(every_ns));
    let life_ns = match class.life {
        Life::UntilEnd => end_ns,
        Life::Immediate => u128::from(IMMEDIATE_NS),
        Life::Fixed(time) | Life::Exponential(time) => end_ns.min(SimDuration::nanos(time).into()),
    };
    let rounds = 1 + class.reload_every_ns.map_or(0, |reload_ns| life_ns / u128::from(reload_ns));
    instances.saturating_mul(rounds).saturating_mul(2 * class.programs.len() as u128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::generate::{Class, Preset, Program, Quantile, Sizes};
    use crate::trace::rules::Rules;

    fn generate(json: &str) -> Generate {
        serde_json::from_str(json).unwrap()
    }

    fn events(json: &str, seed: u64) -> Vec<Event> {
        let mut source = Generated::new(&generate(json), seed).unwrap();
        let (mut events, mut rules) = (Vec::new(), Rules::default());
        while source.next_batch(&mut events, 1000).unwrap() > 0 {}
        events.iter().for_each(|event| rules.check(event).unwrap());
        let hint = source.total_hint().unwrap() as usize;
        assert!((events.len() / 3..events.len() * 3 + 10).contains(&hint), "{hint} for {}", events.len());
        events
    }

    /// Time, id and total length (0 for an unload) of each event.
    fn short(events: &[Event]) -> Vec<(u64, u64, u64)> {
        let short = |event: &Event| match &event.kind {
            EventKind::Load(load) => (event.time.nanos(), load.id.get(), load.images.total()),
            EventKind::Unload { id } => (event.time.nanos(), id.get(), 0),
            other => panic!("{other:?}"),
        };
        events.iter().map(short).collect()
    }

    fn loads(events: &[Event]) -> Vec<&Load> {
        let load = |event: &'_ Event| matches!(event.kind, EventKind::Load(_));
        let kinds = events.iter().filter(|event| load(event)).map(|event| &event.kind);
        kinds.filter_map(|kind| if let EventKind::Load(load) = kind { Some(load) } else { None }).collect()
    }

    #[test]
    fn first_events_never_change() {
        let json =
            r#"{"duration":"1day","classes":[{"preset":"container-start","every":"90s"},{"preset":"general-mix"}]}"#;
        assert_eq!(short(&events(json, 1)[..GOLDEN.len()]), GOLDEN);
        assert_ne!(short(&events(json, 2)[..GOLDEN.len()]), GOLDEN);
    }

    const GOLDEN: [(u64, u64, u64); 6] = [
        (3_962_513_982, 1, 1198),
        (32_920_933_546, 2, 20),
        (32_920_983_546, 2, 0),
        (32_925_933_546, 3, 472),
        (32_945_933_546, 4, 1731),
        (50_905_849_473, 5, 1859),
    ];

    #[test]
    fn a_class_added_moves_no_event_of_the_others() {
        let one = r#"{"duration":"1day","classes":[{"preset":"general-mix"}]}"#;
        let two = r#"{"duration":"1day","classes":[{"preset":"general-mix"},{"every":"1h","programs":[{"bytes":7}]}]}"#;
        let times = |json: &str| {
            let of_first = |&(_, _, bytes): &(u64, u64, u64)| bytes != 7 && bytes != 0;
            short(&events(json, 5))
                .into_iter()
                .filter(of_first)
                .map(|(time, _, bytes)| (time, bytes))
                .collect::<Vec<_>>()
        };
        assert_eq!(times(one), times(two));
    }

    #[test]
    fn a_tool_starts_as_recorded() {
        let json = r#"{"duration":"1h","classes":[{"preset":"libbpf-tool","every":"59min","arrivals":"regular","life":{"fixed":"20s"}}]}"#;
        let events = events(json, 1);
        let lengths: Vec<Vec<u32>> = loads(&events).iter().map(|load| load.images.iter().collect()).collect();
        let recorded = [[23], [20], [20], [20], [38], [44], [117], [20], [117]].map(Vec::from);
        assert_eq!((&lengths[..9], &lengths[9][..]), (&recorded[..], &[33, 612][..]));
        let start = 59 * 60 * 1_000_000_000;
        let last_three: Vec<_> = short(&events)[17..].to_vec();
        let end = start + 20_000_000_000;
        assert_eq!(last_three, [(end, 7, 0), (end + 10_000, 9, 0), (end + 20_000, 10, 0)]);
        assert_eq!(short(&events)[..2], [(start, 1, 23), (start + 50_000, 1, 0)]);
    }

    #[test]
    fn a_reload_loads_before_it_unloads() {
        let json = r#"{"duration":"3s","classes":[{"at_start":1,"reload_every":"1s",
            "programs":[{"bytes":10,"after":"0s"},{"bytes":5,"life":"immediate"},{"bytes":20,"count":2}]}]}"#;
        let ms = |ms: u64| ms * 1_000_000;
        let start = [(0, 1, 10), (500_000, 2, 5), (550_000, 2, 0), (ms(1), 3, 20), (1_500_000, 4, 20)];
        let all = short(&events(json, 1));
        assert_eq!(all[..5], start);
        let again = [(ms(1000), 5, 10), (ms(1000) + 50_000, 1, 0), (1_000_500_000, 6, 5), (1_000_550_000, 6, 0)];
        assert_eq!(all[5..9], again);
        assert_eq!(
            all[9..13],
            [(ms(1001), 7, 20), (1_001_050_000, 3, 0), (1_001_500_000, 8, 20), (1_001_550_000, 4, 0)]
        );
    }

    #[test]
    fn rates_lives_and_sizes_come_out() {
        let json = r#"{"duration":"400h","classes":[{"per_hour":60,"life":{"exponential":"2h"},"programs":[{"sizes":"general"}]}]}"#;
        let events = events(json, 3);
        let loads = loads(&events);
        assert!((23_500..24_500).contains(&loads.len()), "{}", loads.len());
        let below = |bytes| loads.iter().filter(|load| load.images.total() < bytes).count() * 1000 / loads.len();
        assert!(
            (485..515).contains(&below(500)) && (735..765).contains(&below(2000)),
            "{} {}",
            below(500),
            below(2000)
        );
        // Little's law: the mean number alive is rate times life.
        let (mut alive, mut area, mut last) = (0u128, 0u128, 0);
        for (time, _, bytes) in short(&events) {
            area += alive * u128::from(time - last);
            last = time;
            alive = if bytes > 0 { alive + 1 } else { alive - 1 };
        }
        let mean = area / u128::from(last);
        assert!((113..127).contains(&mean), "{mean}");
    }

    #[test]
    fn every_preset_makes_a_trace() {
        for preset in Preset::ALL {
            let class = Class { preset: Some(preset), ..Class::default() };
            let generate = Generate { duration: SimDuration::from_millis(86_400_000), classes: vec![class] };
            let mut source = Generated::new(&generate, 1).unwrap();
            let first = source.next_named().unwrap();
            assert!(first.name.starts_with(&format!("{}/", preset.name())), "{}", first.name);
            assert_eq!(serde_json::to_string(&preset).unwrap(), format!("\"{}\"", preset.name()));
            assert!(std::iter::from_fn(|| source.next_named()).count() > 10);
        }
    }

    #[test]
    fn memory_follows_what_is_alive() {
        let json =
            r#"{"duration":"30days","classes":[{"every":"10s","life":{"fixed":"50s"},"programs":[{"bytes":64}]}]}"#;
        let mut source = Generated::new(&generate(json), 1).unwrap();
        let (mut most, mut count) = (0, 0);
        while source.next_event().is_some() {
            most = most.max(source.pending.len() + source.instances.len());
            count += 1;
        }
        assert!(count > 400_000 && most < 100, "{count} events, {most} pending");
    }

    #[test]
    fn what_cannot_be_generated_is_explained() {
        let error = |json: &str| *Generated::new(&generate(json), 1).unwrap_err();
        for (class, path, message) in [
            (r#"{"every":"1s"}"#, "classes[0].programs", "loads no programs"),
            (r#"{"programs":[{"bytes":1}]}"#, "classes[0]", "never starts"),
            (r#"{"every":"0s","programs":[{"bytes":1}]}"#, "classes[0].every", "rate of 0"),
            (r#"{"every":"1s","per_day":5,"programs":[{"bytes":1}]}"#, "classes[0].per_day", "two rates"),
            (r#"{"every":"1s","programs":[{"bytes":1},{}]}"#, "classes[0].programs[1]", "no size"),
            (r#"{"every":"1s","programs":[{"bytes":1,"sizes":"general"}]}"#, "classes[0].programs[0]", "two sizes"),
            (r#"{"every":"1s","programs":[{"bytes":0}]}"#, "classes[0].programs[0].bytes", "size 0"),
            (r#"{"every":"1s","programs":[{"bytes":1,"count":0}]}"#, "classes[0].programs[0].count", "0 programs"),
            (
                r#"{"every":"1s","programs":[{"bytes":1,"life":{"fixed":"0s"}}]}"#,
                "classes[0].programs[0].life",
                "life of 0",
            ),
            (
                r#"{"every":"1s","programs":[{"sizes":{"between":[9,3]}}]}"#,
                "classes[0].programs[0].sizes.between",
                "go down",
            ),
            (
                r#"{"every":"1s","programs":[{"sizes":{"quantiles":[]}}]}"#,
                "classes[0].programs[0].sizes.quantiles",
                "from 0 to 1000",
            ),
            (
                r#"{"every":"1s","reload_every":"1us","programs":[{"bytes":1}]}"#,
                "classes[0].reload_every",
                "before they are all loaded",
            ),
            (r#"{"at_start":4000000,"programs":[{"bytes":1}]}"#, "classes[0].at_start", "4000000 instances"),
        ] {
            let error = error(&format!(r#"{{"duration":"1h","classes":[{class}]}}"#));
            assert_eq!(&*error.json_path, path, "{error}");
            assert!(error.message.contains(message) && error.help.is_some(), "{error}");
        }
        assert_eq!(&*error(r#"{"duration":"0s","classes":[]}"#).json_path, "duration");
        assert_eq!(&*error(r#"{"duration":"1s","classes":[]}"#).json_path, "classes");
    }

    #[test]
    fn quantiles_are_met() {
        let quantile = |permille, bytes| Quantile { permille, bytes };
        let sizes = Sizes::Quantiles(vec![quantile(0, 10), quantile(900, 10), quantile(1000, 110)]);
        let program = Program { sizes: Some(sizes), ..Program::default() };
        let class = Class { per_hour: Some(1000), programs: vec![program], ..Class::default() };
        let generate = Generate { duration: SimDuration::from_millis(36_000_000), classes: vec![class] };
        let mut events = Vec::new();
        Generated::new(&generate, 1).unwrap().next_batch(&mut events, usize::MAX).unwrap();
        let above = loads(&events).iter().filter(|load| load.images.total() > 10).count();
        assert!((850..1150).contains(&above), "{above}");
        assert!(loads(&events).iter().all(|load| (10..110).contains(&load.images.total())));
    }
}
