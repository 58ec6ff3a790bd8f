//! Changes that the command line makes to a scenario before it is read.

use serde_json::{Map, Value};

use crate::diagnostics::Diagnostic;
use crate::json::{Complaint, JsonPath, Segment};
use crate::kernel::Release;
use crate::text_alloc::Policy;
use crate::units::Seeds;

/// What the command line changes in a scenario, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Values for single keys, as `machine.memory=128GiB`: a value that is JSON, or else text.
    pub set: Vec<String>,
    /// Another base release.
    pub kernel: Option<String>,
    /// These allocators alone: labels of the scenario's own, names of policies, or kernels.
    pub allocators: Vec<String>,
    /// Another seed, or several: the scenario is replayed once with each.
    pub seeds: Option<Seeds>,
}

/// One change that was made, to name it when its value turns out to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What the user wrote, such as `--set machine.memory=128GiB`.
    flag: String,
    path: JsonPath,
    /// The value as text, if it was read as JSON but may have been meant as text (`kernel=6.12`).
    text: Option<String>,
}

impl Change {
    /// Whether the value at this path, or what holds it, was put there by this change.
    pub fn covers(&self, path: &JsonPath) -> bool {
        path.starts_with(&self.path)
    }

    /// Puts the value in as text instead, if that makes a difference; once.
    pub fn retry_as_text(&mut self, value: &mut Value) -> bool {
        let Some(text) = self.text.take() else { return false };
        put(value, &self.path, Value::String(text)).is_ok()
    }

    /// A complaint about the value, in terms of the flag.
    pub fn complain(&self, path: &JsonPath, complaint: Complaint) -> Diagnostic {
        let diagnostic = Diagnostic::new(format!("in `{}`: {}", self.flag, complaint.message));
        let diagnostic = diagnostic.at_json_path(path.to_string());
        Diagnostic { help: complaint.help, ..diagnostic }
    }
}

impl Overrides {
    /// Makes the changes.
    ///
    /// # Errors
    /// A `set` is not of the form `key=value`, or its path leads through something that has no keys.
    pub(super) fn apply(&self, value: &mut Value) -> Result<Vec<Change>, Diagnostic> {
        let mut changes = Vec::new();
        for text in &self.set {
            changes.push(apply_set(text, value)?);
        }
        if let Some(kernel) = &self.kernel {
            let path = JsonPath::root().key("kernel");
            changes.push(change(format!("--kernel {kernel}"), path, kernel.as_str().into(), value)?);
        }
        if !self.allocators.is_empty() {
            let own = value.get("allocators").and_then(Value::as_array).cloned().unwrap_or_default();
            let chosen = self.allocators.iter().map(|name| entry_for(name, &own)).collect();
            let path = JsonPath::root().key("allocators");
            changes.push(change(self.allocator_flags(), path, Value::Array(chosen), value)?);
        }
        if let Some(seeds) = &self.seeds {
            let seed = seeds.first();
            changes.push(change(format!("--seed {seed}"), JsonPath::root().key("seed"), seed.into(), value)?);
        }
        Ok(changes)
    }

    fn allocator_flags(&self) -> String {
        let flags: Vec<String> = self.allocators.iter().map(|name| format!("--allocator {name}")).collect();
        flags.join(" ")
    }
}

/// The scenario's own entry with this label, or else what the name says by itself.
fn entry_for(name: &str, own: &[Value]) -> Value {
    let label = |entry: &Value| match entry {
        Value::Object(object) => {
            let key = ["label", "policy", "kernel"].into_iter().find_map(|key| object.get(key));
            key.and_then(Value::as_str).map(str::to_owned)
        }
        other => other.as_str().map(str::to_owned),
    };
    if let Some(entry) = own.iter().find(|entry| label(entry).as_deref() == Some(name)) {
        return entry.clone();
    }
    match Release::named(name) {
        Some(release) if Policy::from_name(name).is_none() => {
            Value::Object(Map::from_iter([("kernel".to_owned(), release.name.into())]))
        }
        _ => name.into(),
    }
}

fn apply_set(text: &str, value: &mut Value) -> Result<Change, Diagnostic> {
    let flag = format!("--set {text}");
    let Some((path, new)) = text.split_once('=') else {
        let diagnostic = Diagnostic::new(format!("`{flag}` has no `=`"));
        return Err(diagnostic.help("write for example --set machine.memory=128GiB"));
    };
    let path = JsonPath::parse(path.trim()).map_err(|reason| {
        Diagnostic::new(format!("in `{flag}`: {reason}")).help("write for example machine.memory or allocators[0]")
    })?;
    match serde_json::from_str::<Value>(new) {
        Ok(json) => {
            let scalar = !json.is_object() && !json.is_array() && !json.is_string();
            let made = change(flag, path, json, value)?;
            Ok(Change { text: scalar.then(|| new.to_owned()), ..made })
        }
        Err(_) => change(flag, path, new.into(), value),
    }
}

fn change(flag: String, path: JsonPath, new: Value, value: &mut Value) -> Result<Change, Diagnostic> {
    make_room(value, &path);
    match put(value, &path, new) {
        Ok(()) => Ok(Change { flag, path, text: None }),
        Err(reason) => Err(Diagnostic::new(format!("in `{flag}`: {reason}"))),
    }
}

/// Where a scenario takes one of several keys, the one that is set replaces the other.
fn make_room(value: &mut Value, path: &JsonPath) {
    let keys: Vec<&str> = path.segments().iter().map_while(Segment::as_key).collect();
    let (choice, chosen) = match keys.as_slice() {
        ["sampling", chosen, ..] => (value.pointer_mut("/sampling"), chosen),
        ["machine", "start", chosen, ..] => (value.pointer_mut("/machine/start"), chosen),
        ["trace", chosen @ ("file" | "generate"), ..] => {
            let rivals: &[&str] = if *chosen == "file" { &["generate"] } else { &["file", "repeat", "period"] };
            if let Some(Value::Object(trace)) = value.get_mut("trace") {
                rivals.iter().for_each(|rival| drop(trace.remove(*rival)));
            }
            return;
        }
        _ => return,
    };
    match choice {
        Some(Value::Object(object)) => object.retain(|key, _| key == chosen),
        Some(name @ Value::String(_)) => *name = Value::Object(Map::new()),
        _ => {}
    }
}

/// Puts a value at a path; objects on the way are made, everything else must be there.
fn put(mut value: &mut Value, path: &JsonPath, new: Value) -> Result<(), String> {
    let mut here = JsonPath::root();
    for segment in path.segments() {
        let what = if here.segments().is_empty() { "the scenario".to_owned() } else { format!("`{here}`") };
        value = match (segment, value) {
            (Segment::Key(key), Value::Object(object)) => {
                here = here.key(key);
                object.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new()))
            }
            (Segment::Index(index), Value::Array(array)) => {
                here = here.index(*index);
                let length = array.len();
                array.get_mut(*index).ok_or_else(|| format!("{what} has {length} elements, counted from 0"))?
            }
            (Segment::Key(key), _) => return Err(format!("{what} is no object, so it has no `{key}`")),
            (Segment::Index(index), _) => return Err(format!("{what} is no array, so it has no element {index}")),
        };
    }
    *value = new;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, changes: &[&str]) -> Result<String, String> {
        let mut value: Value = serde_json::from_str(text).unwrap();
        let overrides =
            Overrides { set: changes.iter().map(|&change| change.to_owned()).collect(), ..Overrides::default() };
        overrides.apply(&mut value).map(|_| value.to_string()).map_err(|error| error.message)
    }

    #[test]
    fn values_are_json_or_else_text() {
        let changes = ["machine.memory=128GiB", "seed=7", "a.b.c=\"x\"", "list=[1,2]", "list[1]=a=b", "list.0=null"];
        assert_eq!(
            set("{\"seed\": 1}", &changes).unwrap(),
            r#"{"a":{"b":{"c":"x"}},"list":[null,"a=b"],"machine":{"memory":"128GiB"},"seed":7}"#
        );
    }

    #[test]
    fn a_choice_replaces_the_other_one() {
        let text =
            r#"{"machine":{"start":"fresh"},"sampling":{"points":5},"trace":{"file":"t","period":"3s","repeat":2}}"#;
        let changes = ["machine.start.aged=month", "sampling.every=1s", "trace.generate.duration=1h"];
        assert_eq!(
            set(text, &changes).unwrap(),
            r#"{"machine":{"start":{"aged":"month"}},"sampling":{"every":"1s"},"trace":{"generate":{"duration":"1h"}}}"#
        );
        let changes = ["trace.file=u", "sampling.points=7"];
        assert_eq!(
            set(text, &changes).unwrap(),
            r#"{"machine":{"start":"fresh"},"sampling":{"points":7},"trace":{"file":"u","period":"3s","repeat":2}}"#
        );
    }

    #[test]
    fn paths_that_lead_nowhere_are_named() {
        let error = |change: &str| set(r#"{"name": "x", "list": [1]}"#, &[change]).unwrap_err();
        assert_eq!(error("name"), "`--set name` has no `=`");
        assert_eq!(error("=1"), "in `--set =1`: `` has an empty part");
        assert_eq!(error("name.x=1"), "in `--set name.x=1`: `name` is no object, so it has no `x`");
        assert_eq!(error("list[1]=1"), "in `--set list[1]=1`: `list` has 1 elements, counted from 0");
        assert_eq!(error("list.x=1"), "in `--set list.x=1`: `list` is no object, so it has no `x`");
        assert_eq!(error("[0]=1"), "in `--set [0]=1`: the scenario is no array, so it has no element 0");
    }

    #[test]
    fn allocators_are_chosen_by_label_policy_or_kernel() {
        let mut value: Value = serde_json::from_str(
            r#"{"allocators": ["per-prog", {"policy": "pack-2m", "label": "stale", "invalidate": false}]}"#,
        )
        .unwrap();
        let names = ["stale", "pack-2m", "5.17", "pack"].map(str::to_owned).to_vec();
        let overrides = Overrides {
            allocators: names,
            seeds: Some(Seeds::one(3)),
            kernel: Some("6.12".into()),
            ..Overrides::default()
        };
        overrides.apply(&mut value).unwrap();
        assert_eq!(
            value.to_string(),
            concat!(
                r#"{"allocators":[{"invalidate":false,"label":"stale","policy":"pack-2m"},"pack-2m","#,
                r#"{"kernel":"5.17"},"pack"],"#,
                r#""kernel":"6.12","seed":3}"#
            )
        );
    }
}
