//! What a scenario must keep beyond the types of its fields.

use super::allocators::{AllocatorEntry, has_huge_packs, has_packs};
use super::contract::{Sampling, Scenario, TraceSource};
use super::machine::{Aged, Layout, Machine, MemoryRange, StartState};
use crate::check::Checks;
use crate::json::{Complaint, JsonPath};
use crate::memory::layout;
use crate::trace::Generated;
use crate::units::{Bytes, PAGE_BYTES};

/// Least memory of a host, and of each of its nodes.
pub const MIN_MEMORY: Bytes = layout::MIN_MEMORY;
/// One past the highest physical address: what the direct map of x86-64 covers with four-level page tables.
pub const MEMORY_END: Bytes = Bytes::new(64 << 40);
/// Most memory of a host: what fits below [`MEMORY_END`] above the hole under 4 GiB.
pub const MAX_MEMORY: Bytes = Bytes::new(MEMORY_END.get() - (4 << 30));
/// Most NUMA nodes.
pub const MAX_NODES: u32 = 64;
/// Most CPUs (`NR_CPUS` of an x86-64 kernel built with `MAXSMP`).
pub const MAX_CPUS: u32 = 8192;
/// Most ranges of memory.
pub const MAX_RANGES: usize = 1024;
/// Most allocators in one scenario.
pub const MAX_ALLOCATORS: usize = 64;
/// Most samples that a scenario can ask for in a series; more than a plot shows, and a few MB of result.
pub const MAX_POINTS: u32 = 10_000;
/// Longest name of a scenario, and longest label of an allocator, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// One thing that is wrong, and where.
type Problem = (JsonPath, Complaint);

/// Everything that is wrong with a scenario whose types are right.
pub(super) fn check(scenario: &Scenario) -> Vec<Problem> {
    let root = JsonPath::root();
    let mut problems = Vec::new();
    if let Some(name) = &scenario.name
        && let Err(reason) = check_name(name)
    {
        let help = "use letters, digits, `.`, `_` and `-`, and start with a letter or digit";
        problems.push((root.clone().key("name"), Complaint::new(reason).help(help)));
    }
    check_machine(&scenario.machine, &root.clone().key("machine"), &mut problems);
    check_trace(scenario, &root.clone().key("trace"), &mut problems);
    check_allocators(scenario, &root.clone().key("allocators"), &mut problems);
    check_sampling(scenario.sampling, &root.clone().key("sampling"), &mut problems);
    let largest = scenario.machine.largest_page.into();
    for (path, complaint) in scenario.tlb.question(largest).err().into_iter().flatten() {
        problems.push((path.inside("tlb"), complaint));
    }
    for (metric, key, complaint) in scenario.checks.iter().flat_map(Checks::problems) {
        let path = root.clone().key("checks").key(metric);
        problems.push((key.into_iter().fold(path, JsonPath::key), complaint));
    }
    problems
}

/// Whether a name can be that of a file on any system.
fn check_name(name: &str) -> Result<(), String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("the name is longer than {MAX_NAME_BYTES} bytes"));
    }
    if !name.bytes().all(good) || !name.as_bytes()[0].is_ascii_alphanumeric() {
        return Err(format!("`{}` cannot be the name of a result", name.escape_debug()));
    }
    Ok(())
}

/// A valid name made of any text.
pub(super) fn name_from(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(keep).take(MAX_NAME_BYTES).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "scenario".to_owned() } else { name.to_owned() }
}

fn check_machine(machine: &Machine, path: &JsonPath, problems: &mut Vec<Problem>) {
    let mut complain = |key: &str, complaint| problems.push((path.clone().key(key), complaint));
    if machine.cpus == 0 || machine.cpus > MAX_CPUS {
        complain("cpus", Complaint::new(format!("a host has from 1 to {MAX_CPUS} CPUs")));
    }
    let nodes = machine.nodes.unwrap_or(1);
    if nodes == 0 || nodes > MAX_NODES {
        complain("nodes", Complaint::new(format!("a host has from 1 to {MAX_NODES} nodes")));
    }
    if nodes > 1 && machine.layout == Some(Layout::Q35) {
        let complaint = Complaint::new("a q35 machine has one node here");
        complain("nodes", complaint.help("use the layout \"server\", or give `ranges` with a `node` each"));
    }
    if let Some(memory) = machine.memory {
        match check_size(memory, MIN_MEMORY) {
            Err(reason) => complain("memory", Complaint::new(reason)),
            Ok(()) if nodes > 1 && memory.get() / u64::from(nodes) < MIN_MEMORY.get() => {
                let message = format!("{memory} shared by {nodes} nodes is less than {MIN_MEMORY} each");
                complain("nodes", Complaint::new(message));
            }
            Ok(()) => {}
        }
    }
    if let Some(ranges) = &machine.ranges {
        let given = [
            ("memory", machine.memory.is_some()),
            ("layout", machine.layout.is_some()),
            ("nodes", machine.nodes.is_some()),
        ];
        for (key, _) in given.iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` and `ranges` exclude each other");
            let complaint = Complaint::about_key(message);
            complain(key, complaint.help("`ranges` say all about the place of memory"));
        }
        check_ranges(ranges, &path.clone().key("ranges"), problems);
    }
    if problems.is_empty()
        && let Err(error) = machine.memory_layout()
    {
        problems.push((path.clone(), Complaint::new(error.to_string())));
    }
    if let StartState::Aged(aged) = &machine.start {
        check_aged(*aged, &path.clone().key("start").key("aged"), problems);
    }
}

/// Whether a size of memory is a whole number of pages between `least` and the most there can be.
fn check_size(size: Bytes, least: Bytes) -> Result<(), String> {
    if size.get() == 0 {
        Err("the size is 0".to_owned())
    } else if size < least {
        Err(format!("{size} is less than {least}, the least that a host has"))
    } else if size > MAX_MEMORY {
        Err(format!("{size} is more than {MAX_MEMORY}, the most that a host has"))
    } else if !size.get().is_multiple_of(PAGE_BYTES) {
        Err(format!("{size} is no multiple of 4KiB"))
    } else {
        Ok(())
    }
}

fn check_ranges(ranges: &[MemoryRange], path: &JsonPath, problems: &mut Vec<Problem>) {
    if ranges.is_empty() || ranges.len() > MAX_RANGES {
        problems.push((path.clone(), Complaint::new(format!("a host has from 1 to {MAX_RANGES} ranges of memory"))));
        return;
    }
    let earlier_problems = problems.len();
    let mut previous_end = 0;
    for (index, range) in ranges.iter().enumerate() {
        let path = path.clone().index(index);
        let mut complain = |key: &str, message: String| problems.push((path.clone().key(key), Complaint::new(message)));
        if let Err(reason) = check_size(range.size, Bytes::new(PAGE_BYTES)) {
            complain("size", reason);
            continue;
        }
        let Some(end) = range.start.checked_add(range.size).filter(|end| *end <= MEMORY_END) else {
            complain("start", format!("the range ends above {MEMORY_END}, the end of the direct map"));
            continue;
        };
        if !range.start.get().is_multiple_of(PAGE_BYTES) {
            complain("start", format!("{} is no multiple of 4KiB", range.start));
        } else if range.start.get() < previous_end {
            complain("start", "the range begins before the end of the one above it".to_owned());
        }
        if range.node >= MAX_NODES {
            complain("node", format!("nodes are numbered from 0 to {}", MAX_NODES - 1));
        }
        previous_end = end.get();
    }
    if problems.len() > earlier_problems {
        return;
    }
    let last_node = ranges.iter().map(|range| range.node).max().unwrap_or(0);
    if let Some(node) = (0..last_node).find(|node| ranges.iter().all(|range| range.node != *node)) {
        problems.push((path.clone(), Complaint::new(format!("node {node} has no memory, but a later node has"))));
        return;
    }
    for node in 0..=last_node {
        let own = ranges.iter().filter(|range| range.node == node).map(|range| range.size.get()).sum();
        if own < MIN_MEMORY.get() {
            let message = format!("node {node} has {}, less than {MIN_MEMORY}", Bytes::new(own));
            problems.push((path.clone(), Complaint::new(message)));
        }
    }
}

fn check_aged(aged: Aged, path: &JsonPath, problems: &mut Vec<Problem>) {
    let mut complain = |key: &str, message: String| problems.push((path.clone().key(key), Complaint::new(message)));
    if aged.used_percent > 99 {
        complain("used_percent", "a host has from 0 to 99 percent of its memory in use".to_owned());
    }
    let of_the_kernel = aged.unmovable_percent.saturating_add(aged.reclaimable_percent);
    if of_the_kernel > 100 {
        let message =
            format!("unmovable and reclaimable memory together are {of_the_kernel} percent of the pageblocks");
        complain("unmovable_percent", message);
    }
    if aged.scatter_percent > 100 {
        complain("scatter_percent", "from 0 to 100 percent".to_owned());
    }
}

fn check_trace(scenario: &Scenario, path: &JsonPath, problems: &mut Vec<Problem>) {
    let trace = &scenario.trace;
    match (&trace.file, &trace.generate) {
        (None, None) => {
            let complaint = Complaint::new("the trace has neither `file` nor `generate`");
            problems.push((path.clone(), complaint.help("write for example {\"file\": \"runqslower.jsonl\"}")));
        }
        (Some(_), Some(_)) => {
            let complaint = Complaint::about_key("`file` and `generate` exclude each other");
            problems.push((path.clone().key("generate"), complaint));
        }
        (Some(file), None) if file.is_empty() => {
            problems.push((path.clone().key("file"), Complaint::new("the name of the trace is empty")));
        }
        (Some(_), None) => check_repeat(trace, path, problems),
        (None, Some(generate)) => {
            for (key, given) in [("repeat", trace.repeat.is_some()), ("period", trace.period.is_some())] {
                if given {
                    let complaint = Complaint::about_key(format!("`{key}` is for a trace file"));
                    problems.push((path.clone().key(key), complaint.help("`generate` has a `duration` of its own")));
                }
            }
            if let Err(diagnostic) = Generated::new(generate, scenario.seed) {
                let complaint = Complaint { help: diagnostic.help, ..Complaint::new(diagnostic.message) };
                problems.push((path.clone().key("generate").join(&diagnostic.json_path), complaint));
            }
        }
    }
}

fn check_repeat(trace: &TraceSource, path: &JsonPath, problems: &mut Vec<Problem>) {
    let mut complain = |key: &str, complaint| problems.push((path.clone().key(key), complaint));
    let repeat = trace.repeat.unwrap_or(1);
    match trace.period {
        _ if repeat == 0 => complain("repeat", Complaint::new("a trace is replayed at least once")),
        None if repeat > 1 => {
            let help = "add for example \"period\": \"3s\", the time from one start to the next";
            complain("repeat", Complaint::new("`repeat` needs a `period`").help(help));
        }
        Some(period) if period.nanos() == 0 => complain("period", Complaint::new("the period is 0")),
        Some(_) if trace.repeat.is_none() => {
            let complaint = Complaint::about_key("`period` needs a `repeat`");
            complain("period", complaint.help("add for example \"repeat\": 100"));
        }
        Some(period) if period.nanos().checked_mul(repeat).is_none() => {
            complain("repeat", Complaint::new(format!("{repeat} times {period} is more than 584 years")));
        }
        _ => {}
    }
}

fn check_allocators(scenario: &Scenario, path: &JsonPath, problems: &mut Vec<Problem>) {
    let Some(entries) = &scenario.allocators else { return };
    if entries.is_empty() || entries.len() > MAX_ALLOCATORS {
        let complaint = Complaint::new(format!("a scenario compares from 1 to {MAX_ALLOCATORS} allocators"));
        problems.push((path.clone(), complaint.help("leave `allocators` out to compare all policies")));
        return;
    }
    let mut labels: Vec<String> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = path.clone().index(index);
        check_allocator(scenario, entry, &path, &labels, problems);
        labels.push(entry.resolve(scenario.kernel).label);
    }
}

fn check_allocator(
    scenario: &Scenario,
    entry: &AllocatorEntry,
    path: &JsonPath,
    earlier_labels: &[String],
    problems: &mut Vec<Problem>,
) {
    let run = entry.resolve(scenario.kernel);
    let mut complain = |path: JsonPath, complaint| problems.push((path, complaint));
    if entry.policy.is_none() && entry.kernel.is_none() {
        let help = "name a `policy` such as \"pack-4k\", or a `kernel` such as \"5.18\"";
        complain(path.clone(), Complaint::new("neither `policy` nor `kernel` is given").help(help));
        return;
    }
    let label_path = if entry.label.is_some() { path.clone().key("label") } else { path.clone() };
    if run.label.is_empty() || run.label.len() > MAX_NAME_BYTES || run.label.chars().any(char::is_control) {
        let message = format!("a label is one line of 1 to {MAX_NAME_BYTES} bytes");
        complain(label_path, Complaint::new(message));
    } else if earlier_labels.contains(&run.label) {
        let complaint = Complaint::new(format!("the label `{}` is used twice", run.label));
        complain(label_path, complaint.help("give one of the two another \"label\""));
    }
    if entry.invalidate.is_some() && !has_packs(run.policy) {
        let message = format!("`{}` has no packs whose freed text could be invalidated", run.policy.name());
        complain(path.clone().key("invalidate"), Complaint::about_key(message));
    }
    if entry.give_back.is_some() && !has_huge_packs(run.policy) {
        let message =
            format!("`{}` has no huge packs to give back; only pack-2m and pack-2m-fixed do", run.policy.name());
        complain(path.clone().key("give_back"), Complaint::about_key(message));
    }
}

fn check_sampling(sampling: Sampling, path: &JsonPath, problems: &mut Vec<Problem>) {
    match sampling {
        Sampling::Points(points) if !(2..=MAX_POINTS).contains(&points) => {
            let complaint = Complaint::new(format!("a series has from 2 to {MAX_POINTS} points"));
            problems.push((path.clone().key("points"), complaint));
        }
        Sampling::Every(step) if step.nanos() == 0 => {
            problems.push((path.clone().key("every"), Complaint::new("the time between two samples is 0")));
        }
        Sampling::Points(_) | Sampling::Every(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let scenario: Scenario = serde_json::from_str(json).unwrap();
        check(&scenario).into_iter().map(|(path, complaint)| format!("{path}: {}", complaint.message)).collect()
    }

    /// The problems of a scenario with this member and a good trace.
    fn with(member: &str) -> Vec<String> {
        problems(&format!("{{\"trace\": {{\"file\": \"t\"}}, {member}}}"))
    }

    #[test]
    fn good_scenarios_pass() {
        assert_eq!(problems(r#"{"trace": {"file": "t"}}"#), [""; 0]);
        assert_eq!(problems(r#"{"trace": {"file": "t", "repeat": 10000, "period": "3s"}}"#), [""; 0]);
        assert_eq!(with(r#""machine": {"memory": "65532GiB", "nodes": 64, "cpus": 8192}"#), [""; 0]);
        assert_eq!(
            with(
                r#""machine": {"ranges": [{"start": "0B", "size": "2GiB"},
                                         {"start": "4GiB", "size": "128MiB", "node": 1}]}"#
            ),
            [""; 0]
        );
        assert_eq!(
            with(r#""allocators": ["pack-2m", {"policy": "pack-2m", "label": "x", "give_back": "pages"}]"#),
            [""; 0]
        );
    }

    #[test]
    fn sizes_have_limits() {
        for (memory, message) in [
            ("0B", "machine.memory: the size is 0"),
            ("127MiB", "machine.memory: 127MiB is less than 128MiB, the least that a host has"),
            ("64TiB", "machine.memory: 64TiB is more than 65532GiB, the most that a host has"),
            ("9223372036854775808B", "machine.memory: 8388608TiB is more than 65532GiB, the most that a host has"),
            ("134217729B", "machine.memory: 134217729B is no multiple of 4KiB"),
        ] {
            assert_eq!(with(&format!(r#""machine": {{"memory": "{memory}"}}"#)), [message]);
        }
        let nodes = with(r#""machine": {"memory": "512MiB", "nodes": 5, "cpus": 0}"#);
        assert_eq!(
            nodes,
            [
                "machine.cpus: a host has from 1 to 8192 CPUs",
                "machine.nodes: 512MiB shared by 5 nodes is less than 128MiB each"
            ]
        );
    }

    #[test]
    fn ranges_ascend_and_stand_alone() {
        let ranges = |text: &str| with(&format!(r#""machine": {{"ranges": [{text}]}}"#));
        assert_eq!(ranges(""), ["machine.ranges: a host has from 1 to 1024 ranges of memory"]);
        assert_eq!(ranges(r#"{"start": "0B", "size": "8MiB"}"#), ["machine.ranges: node 0 has 8MiB, less than 128MiB"]);
        assert_eq!(
            ranges(r#"{"start": "0B", "size": "1GiB"}, {"start": "4GiB", "size": "4KiB", "node": 1}"#),
            ["machine.ranges: node 1 has 4KiB, less than 128MiB"]
        );
        assert_eq!(
            ranges(
                r#"{"start": "1GiB", "size": "1GiB"}, {"start": "1536MiB", "size": "1GiB", "node": 64},
                   {"start": "64TiB", "size": "4KiB"}, {"start": "3B", "size": "0B"}"#
            ),
            [
                "machine.ranges[1].start: the range begins before the end of the one above it",
                "machine.ranges[1].node: nodes are numbered from 0 to 63",
                "machine.ranges[2].start: the range ends above 64TiB, the end of the direct map",
                "machine.ranges[3].size: the size is 0",
            ]
        );
        assert_eq!(
            with(r#""machine": {"memory": "1GiB", "ranges": [{"start": "0B", "size": "1GiB"}]}"#),
            ["machine.memory: `memory` and `ranges` exclude each other"]
        );
    }

    #[test]
    fn repeats_need_a_period() {
        let trace = |text: &str| problems(&format!(r#"{{"trace": {{"file": "t", {text}}}}}"#));
        assert_eq!(trace(r#""repeat": 2"#), ["trace.repeat: `repeat` needs a `period`"]);
        assert_eq!(trace(r#""repeat": 0"#), ["trace.repeat: a trace is replayed at least once"]);
        assert_eq!(trace(r#""period": "1s""#), ["trace.period: `period` needs a `repeat`"]);
        assert_eq!(trace(r#""repeat": 2, "period": "0s""#), ["trace.period: the period is 0"]);
        assert_eq!(trace(r#""repeat": 1000000000000, "period": "1h""#).len(), 1);
        assert_eq!(problems(r#"{"trace": {}}"#), ["trace: the trace has neither `file` nor `generate`"]);
        assert_eq!(problems(r#"{"trace": {"file": ""}}"#), ["trace.file: the name of the trace is empty"]);
    }

    #[test]
    fn generated_traces_are_checked_where_they_stand() {
        let good = r#"{"duration": "1h", "classes": [{"preset": "general-mix"}]}"#;
        assert_eq!(problems(&format!(r#"{{"trace": {{"generate": {good}}}}}"#)), [""; 0]);
        let bad = r#"{"duration": "1h", "classes": [{"preset": "general-mix"}, {"programs": [{"bytes": 5}]}]}"#;
        let found = problems(&format!(r#"{{"trace": {{"generate": {bad}}}}}"#));
        assert_eq!(found, ["trace.generate.classes[1]: the class never starts"]);
        let both = problems(&format!(r#"{{"trace": {{"file": "t", "generate": {good}}}}}"#));
        assert_eq!(both, ["trace.generate: `file` and `generate` exclude each other"]);
        let repeat = problems(&format!(r#"{{"trace": {{"repeat": 2, "generate": {good}}}}}"#));
        assert_eq!(repeat, ["trace.repeat: `repeat` is for a trace file"]);
    }

    #[test]
    fn allocators_are_told_apart_and_make_sense() {
        let allocators = |text: &str| with(&format!(r#""allocators": [{text}]"#));
        assert_eq!(allocators(""), ["allocators: a scenario compares from 1 to 64 allocators"]);
        assert_eq!(allocators("{}"), ["allocators[0]: neither `policy` nor `kernel` is given"]);
        assert_eq!(allocators(r#""pack-4k", "pack-4k""#), ["allocators[1]: the label `pack-4k` is used twice"]);
        assert_eq!(
            allocators(r#""pack-4k", {"kernel": "6.1", "label": "pack-4k"}"#),
            ["allocators[1].label: the label `pack-4k` is used twice"]
        );
        assert_eq!(allocators(r#"{"kernel": "5.17", "invalidate": false}"#).len(), 1);
        assert_eq!(allocators(r#"{"policy": "pack-4k", "give_back": "block"}"#).len(), 1);
        assert_eq!(allocators(r#"{"policy": "pack-4k", "label": "a\nb"}"#).len(), 1);
    }

    #[test]
    fn the_rest_has_limits_too() {
        assert_eq!(with(r#""sampling": {"points": 1}"#), ["sampling.points: a series has from 2 to 10000 points"]);
        assert_eq!(with(r#""sampling": {"every": "0s"}"#), ["sampling.every: the time between two samples is 0"]);
        let aged =
            r#""machine": {"start": {"aged": {"used_percent": 100, "unmovable_percent": 96, "scatter_percent": 101}}}"#;
        assert_eq!(with(aged).len(), 3);
        assert_eq!(with(r#""machine": {"start": {"aged": "month"}}"#), [""; 0]);
        assert_eq!(with(r#""checks": {"MemFree": {"absolute": 5}, "text.*": {"relative": "5%"}}"#), [""; 0]);
        assert_eq!(
            with(r#""checks": {"MemFree": {"absolute": -5}}"#),
            ["checks.MemFree.absolute: a tolerance is not negative"]
        );
        for name in ["", "../x", ".x", "a b", "ü"] {
            assert_eq!(with(&format!(r#""name": "{name}""#)).len(), 1, "{name}");
            assert_eq!(check_name(&name_from(name)), Ok(()));
        }
    }
}
