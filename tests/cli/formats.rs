//! What the program tells about itself: choices, schemas, completions, manual pages.

use crate::place::Place;
use serde_json::Value;

/// What a command prints when all is well.
fn stdout(arguments: &[&str]) -> String {
    let ended = Place::new().run(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    ended.stdout
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments)).expect("the output is JSON")
}

#[test]
fn every_choice_is_listed_with_a_sentence() {
    for (what, first, last) in [
        ("allocators", "per-prog", "execmem-rox"),
        ("kernels", "5.10", "7.3"),
        ("start-states", "\"fresh\"", "{\"snapshot\""),
    ] {
        let text = stdout(&["list", what]);
        let names: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert!(names[0].starts_with(first), "{text}");
        assert!(names[names.len() - 1].starts_with(last), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        let list = json(&["list", what, "--format", "json"]);
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), names.len());
        assert!(list.iter().all(|entry| entry["summary"].as_str().unwrap().len() > 10));
        assert_eq!(stdout(&["list", what, "--format", "csv"]).lines().count(), names.len() + 1);
        assert_eq!(stdout(&["list", what, "--format", "md"]).lines().count(), names.len() + 2);
    }
}

#[test]
fn lists_follow_the_width_of_the_terminal() {
    let place = Place::new();
    let output = place.command(&["list", "allocators"]).env("COLUMNS", "60").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
}

/// Calls `seen` for every object in a schema that has `properties`, with its place.
fn objects<'a>(value: &'a Value, place: &str, seen: &mut impl FnMut(&str, &'a Value)) {
    match value {
        Value::Object(object) => {
            if object.get("properties").is_some_and(Value::is_object) {
                seen(place, value);
            }
            for (key, value) in object {
                objects(value, &format!("{place}/{key}"), seen);
            }
        }
        Value::Array(array) => array.iter().for_each(|value| objects(value, place, seen)),
        _ => {}
    }
}

#[test]
fn schemas_describe_every_field() {
    for format in ["scenario", "trace", "result", "recording"] {
        let schema = json(&["schema", format]);
        assert!(schema["$schema"].as_str().unwrap().starts_with("https://json-schema.org/"));
        let mut fields = 0;
        objects(&schema, format, &mut |place, object| {
            for (name, field) in object["properties"].as_object().unwrap() {
                // The keys of an enum that holds values are described by the variant around them.
                let variant = object["required"].as_array().is_some_and(|required| required.len() == 1)
                    && object["description"].is_string();
                assert!(field["description"].is_string() || variant, "{place}: {name} has no description: {field}");
                fields += 1;
            }
        });
        assert!(fields > 15, "{format}: {fields}");
    }
}

#[test]
fn the_scenario_schema_names_defaults_and_choices() {
    let schema = json(&["schema", "scenario"]);
    assert_eq!(schema["required"], serde_json::json!(["trace"]));
    assert_eq!(schema["additionalProperties"], false);
    let policies = schema["$defs"]["Policy"]["enum"].as_array().unwrap();
    assert_eq!(policies.len(), 7);
    for (name, field) in schema["properties"].as_object().unwrap() {
        let described = field["description"].as_str().unwrap();
        assert!(name == "trace" || described.contains("Default: "), "{name}: {described}");
    }
    for (name, field) in schema["$defs"]["Machine"]["properties"].as_object().unwrap() {
        assert!(field["description"].as_str().unwrap().contains("Default: "), "{name}");
    }
}

/// Whether a value has the structure that a schema asks for. Knows what the schemas here use, and nothing else.
fn fits(schema: &Value, root: &Value, value: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = root.pointer(name.trim_start_matches('#')).expect("references lead somewhere");
        if !fits(definition, root, value) {
            return false;
        }
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[key].as_array()
            && !choices.iter().any(|choice| fits(choice, root, value))
        {
            return false;
        }
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return false;
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return false;
    }
    let of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    let elements = value.as_array().into_iter().flatten();
    of_type
        && elements.clone().all(|element| schema.get("items").is_none_or(|items| fits(items, root, element)))
        && value.as_object().is_none_or(|object| members_fit(schema, root, object))
}

fn members_fit(schema: &Value, root: &Value, object: &serde_json::Map<String, Value>) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    let known = schema["properties"].as_object();
    required.clone().all(|key| object.contains_key(key.as_str().expect("keys are text")))
        && object.iter().all(|(key, value)| match known.and_then(|known| known.get(key)) {
            Some(field) => fits(field, root, value),
            None => match &schema["additionalProperties"] {
                Value::Bool(false) => false,
                Value::Object(_) => fits(&schema["additionalProperties"], root, value),
                _ => true,
            },
        })
}

const SCENARIO: &str = r#"{
    "$schema": "scenario.schema.json", "schema_version": 1, "name": "x", "comment": "y", "kernel": "5.18",
    "machine": {"memory": "64GiB", "layout": "q35", "nodes": 1, "cpus": 8, "largest_page": "2MiB",
                "boot_program": false, "start": {"aged": "month"}},
    "trace": {"file": "t.jsonl", "repeat": 10, "period": "3s"},
    "allocators": ["per-prog", {"policy": "pack-2m", "label": "l", "invalidate": false, "give_back": "pages"}],
    "sampling": {"every": "1h"}, "seed": 7,
    "checks": {"direct_map_level2_splits": {"direction": "lower", "absolute": 2, "relative": "5%"}, "text.*": {}}
}"#;

#[test]
fn the_scenario_schema_takes_what_the_program_takes() {
    let schema = json(&["schema", "scenario"]);
    let scenario: Value = serde_json::from_str(SCENARIO).unwrap();
    assert!(fits(&schema, &schema, &scenario));
    let change = |pointer: &str, new: Value| {
        let mut changed = scenario.clone();
        *changed.pointer_mut(pointer).unwrap() = new;
        fits(&schema, &schema, &changed)
    };
    for start in [r#""fresh""#, r#"{"aged": {"used_percent": 5}}"#, r#"{"snapshot": {"buddyinfo": "b"}}"#] {
        assert!(change("/machine/start", serde_json::from_str(start).unwrap()), "{start}");
    }
    assert!(change(
        "/trace",
        serde_json::json!({"generate": {"duration": "1h", "classes": [{"preset": "general-mix"}]}})
    ));
    for (pointer, wrong) in [
        ("/kernel", "5.9"),
        ("/machine/start", "stale"),
        ("/machine/largest_page", "4MiB"),
        ("/allocators/0", "slab"),
        ("/seed", "7"),
        ("/trace/repeat", "10"),
        ("/sampling/every", "1"),
    ] {
        let refused = !change(pointer, wrong.into());
        // Patterns of texts are not looked at here.
        assert!(refused || pointer == "/sampling/every", "{pointer}: {wrong}");
    }
    // The reader of schemas here does not count; editors do.
    let machine = &schema["$defs"]["Machine"]["properties"];
    for (bounds, least, most) in [
        (&machine["nodes"], 1, Some(64)),
        (&machine["cpus"], 1, Some(8192)),
        (&schema["properties"]["schema_version"], 1, Some(1)),
        (&schema["$defs"]["TraceSource"]["properties"]["repeat"], 1, None),
    ] {
        assert_eq!((bounds["minimum"].as_i64(), bounds["maximum"].as_i64()), (Some(least), most), "{bounds}");
    }
    assert_eq!(schema["properties"]["allocators"]["minItems"], 1);
    let mut unknown = scenario.clone();
    unknown["check"] = Value::Null;
    assert!(!fits(&schema, &schema, &unknown));
}

#[test]
fn schemas_take_the_shipped_scenarios_and_traces() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let schema = json(&["schema", "scenario"]);
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let scenario = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert!(fits(&schema, &schema, &scenario), "{}", path.display());
        }
    }
    let schema = json(&["schema", "trace"]);
    let trace = std::fs::read_to_string(root.join("traces/runqslower.jsonl")).unwrap();
    for line in trace.lines() {
        assert!(fits(&schema, &schema, &serde_json::from_str(line).unwrap()), "{line}");
    }
    assert!(!fits(&schema, &schema, &serde_json::json!({"time_ns": 1, "lod": {}})));
}

#[test]
fn completions_know_every_command() {
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef fragsim"), ("fish", "complete -c fragsim")] {
        let script = stdout(&["completions", shell]);
        assert!(script.contains(mark), "{shell}");
        for word in [
            "run",
            "compare",
            "check",
            "trace",
            "import",
            "validate",
            "recording",
            "list",
            "schema",
            "completions",
            "man",
            "allocator",
        ] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn manual_pages_come_from_the_same_source_as_help() {
    let page = stdout(&["man"]);
    assert!(page.contains(".TH fragsim 1") && page.contains("fragsim\\-run(1)"), "{page}");
    let place = Place::new();
    let ended = place.run(&["man", "--output", "man1"]);
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    let page = std::fs::read_to_string(place.path().join("man1/fragsim-trace-import.1")).unwrap();
    assert!(page.contains("perf script"), "{page}");
    let run = std::fs::read_to_string(place.path().join("man1/fragsim-run.1")).unwrap();
    assert!(run.contains("\\-\\-allocator"), "{run}");
    place.write("taken", "");
    assert_eq!(place.run(&["man", "--output", "taken"]).code, Some(2));
}
