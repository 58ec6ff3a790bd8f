//! Whether a baseline is about the same thing.

use serde_json::Value;

use crate::json::JsonPath;
use crate::result::ScenarioStamp;

/// Keys of a scenario that change nothing about a result.
const WITHOUT_EFFECT: [&str; 5] = ["$schema", "name", "comment", "seed", "checks"];
/// Most differences that are named.
const MOST_NAMED: usize = 8;
/// Longest text of a value in a difference, in characters.
const MOST_CHARS: usize = 60;

/// What makes the scenario of a baseline another one than that of a result, a line each; nothing if they are the same.
pub fn differences(baseline: &ScenarioStamp, now: &ScenarioStamp) -> Vec<String> {
    let mut found = Vec::new();
    if baseline.hash != now.hash {
        compare(&JsonPath::root(), &baseline.resolved, &now.resolved, &mut found);
        if found.is_empty() {
            found.push("a file that the start state is read from has other contents".to_owned());
        }
    }
    if baseline.trace_hash != now.trace_hash && baseline.trace_hash.is_empty() == now.trace_hash.is_empty() {
        found.push(format!("the trace has other contents: xxh3 {} → {}", baseline.trace_hash, now.trace_hash));
    }
    if found.len() > MOST_NAMED {
        let more = found.len() - MOST_NAMED;
        found.truncate(MOST_NAMED);
        found.push(format!("and {more} more"));
    }
    found
}

fn compare(path: &JsonPath, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let is_root = path.segments().is_empty();
            let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
            for key in keys.filter(|key| !is_root || !WITHOUT_EFFECT.contains(&key.as_str())) {
                let (old, new) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
                compare(&path.clone().key(key), old, new, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&path.clone().index(index), old, new, found);
            }
        }
        _ if old == new => {}
        _ => found.push(format!("{path}: {} → {}", shown(old), shown(new))),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(elements) => format!("a list of {}", elements.len()),
        Value::Object(_) => cut(&value.to_string()),
        Value::String(text) => cut(text),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    let short: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).take(MOST_CHARS).collect();
    if text.chars().nth(MOST_CHARS).is_some() { short + "..." } else { short }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::result::testing::result;

    fn stamp(hash: &str, resolved: Value) -> ScenarioStamp {
        ScenarioStamp { hash: hash.to_owned(), resolved, ..result(Vec::new()).scenario }
    }

    #[test]
    fn differences_are_named_with_their_place() {
        let old = stamp("a", json!({"name": "x", "seed": 1, "machine": {"memory": "64GiB"}, "allocators": ["p", "q"]}));
        let new =
            stamp("b", json!({"name": "y", "machine": {"memory": "128GiB", "cpus": 2}, "allocators": ["p", "r"]}));
        assert_eq!(
            differences(&old, &new),
            ["allocators[1]: q → r", "machine.memory: 64GiB → 128GiB", "machine.cpus: nothing → 2"]
        );
        let longer = stamp("c", json!({"machine": {"memory": "64GiB"}, "allocators": [], "x": {"y": "z".repeat(99)}}));
        let found = differences(&old, &longer);
        assert_eq!(found[0], "allocators: a list of 2 → a list of 0");
        assert!(found[1].ends_with("zzz...") && found[1].len() < 99, "{found:?}");
    }

    #[test]
    fn contents_of_files_count_too() {
        let old = stamp("a", json!({"trace": {"file": "t"}}));
        assert_eq!(differences(&old, &old), [""; 0]);
        let other_start = ScenarioStamp { hash: "b".to_owned(), ..old.clone() };
        assert_eq!(differences(&old, &other_start).len(), 1);
        let other_trace = ScenarioStamp { trace_hash: "e".repeat(32), ..old.clone() };
        assert!(differences(&old, &other_trace)[0].starts_with("the trace has other contents: xxh3 ffff"));
        let renamed = ScenarioStamp { name: "other".to_owned(), ..old.clone() };
        assert_eq!(differences(&old, &renamed), [""; 0]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let many = |value: u32| {
            json!((0..20).map(|key| (key.to_string(), value)).collect::<std::collections::BTreeMap<_, _>>())
        };
        let found = differences(&stamp("a", many(1)), &stamp("b", many(2)));
        assert_eq!((found.len(), found[8].as_str()), (9, "and 12 more"));
    }
}
