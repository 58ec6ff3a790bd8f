//! Keeps the house in order; every failure names the offender.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines a file may have before its tests.
const FILE_LINES: usize = 450;
/// Lines a function may have: one screen.
const FUNCTION_LINES: usize = 60;

/// Which rooms a room may import from. A room that is not listed is an error.
const ROOMS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("rng", &[]),
    ("diagnostics", &[]),
    ("json", &["diagnostics"]),
    ("files", &["units", "diagnostics"]),
    ("tlb", &["units", "rng", "diagnostics", "json", "files"]),
    ("memory", &["units", "rng"]),
    ("direct_map", &["units"]),
    ("text_alloc", &["units"]),
    ("trace", &["units", "rng", "diagnostics", "json", "files"]),
    ("recording", &["units", "diagnostics", "json", "files", "memory", "direct_map", "trace"]),
    ("kernel", &["units", "rng", "memory", "direct_map", "text_alloc", "trace"]),
    ("replay", &["units", "memory", "direct_map", "text_alloc", "trace", "kernel"]),
    ("judge", &["units", "rng", "memory", "direct_map", "text_alloc", "trace", "recording", "kernel", "replay"]),
    ("result", &["units", "diagnostics", "json", "files"]),
    ("compare", &["result"]),
    ("check", &["units", "json", "result"]),
    (
        "scenario",
        &[
            "units",
            "diagnostics",
            "json",
            "files",
            "memory",
            "direct_map",
            "text_alloc",
            "trace",
            "kernel",
            "replay",
            "tlb",
            "check",
        ],
    ),
    ("report", &["units", "diagnostics", "result", "compare", "check"]),
    ("plot", &["units", "result", "compare", "report"]),
    ("page", &["result", "compare", "report", "plot"]),
    (
        "cli",
        &[
            "units",
            "rng",
            "diagnostics",
            "json",
            "files",
            "memory",
            "direct_map",
            "text_alloc",
            "trace",
            "recording",
            "kernel",
            "replay",
            "judge",
            "tlb",
            "result",
            "compare",
            "check",
            "scenario",
            "report",
            "plot",
            "page",
        ],
    ),
];

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Whether a file, or the module it belongs to, is declared for tests only.
fn is_for_tests(path: &Path) -> bool {
    let (name, folder) = module_of(path);
    let for_tests = format!("#[cfg(test)]\nmod {name};");
    let parents = [folder.join("mod.rs"), folder.with_extension("rs")];
    parents
        .iter()
        .filter(|parent| parent.exists())
        .any(|parent| fs::read_to_string(parent).unwrap().contains(&for_tests) || is_for_tests(parent))
}

/// A module's name and the folder of its parent's files.
fn module_of(path: &Path) -> (&str, &Path) {
    let (file, folder) = (path.file_stem().unwrap().to_str().unwrap(), path.parent().unwrap());
    match file {
        "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap()),
        _ => (file, folder),
    }
}

/// The file without its tests.
fn code_of(path: &Path) -> String {
    if is_for_tests(path) { String::new() } else { code(&fs::read_to_string(path).unwrap()).to_owned() }
}

/// A text without its unit tests: up to the first module for tests that stands in the file itself.
fn code(text: &str) -> &str {
    let modules = text.match_indices("\n#[cfg(test)]\nmod ");
    let inline = |at: usize| text[at..].lines().nth(2).is_some_and(|line| line.contains('{'));
    modules.map(|(at, _)| at).find(|at| inline(*at)).map_or(text, |tests| &text[..tests])
}

fn report(offenders: &[String]) {
    assert!(offenders.is_empty(), "\n{}", offenders.join("\n"));
}

/// The room of a file: the first part of its path below `src`.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Every room named in a text: `crate::room`, or `super::room` as many levels up as the file lies deep.
fn imported_rooms(text: &str, depth: usize) -> BTreeSet<String> {
    let out_of_the_room = "super::".repeat(depth);
    let roots = if depth == 0 { vec!["crate::"] } else { vec!["crate::", &out_of_the_room] };
    let mut rooms = BTreeSet::new();
    for root in roots {
        for (at, _) in text.match_indices(root) {
            let rest = &text[at + root.len()..];
            let name = |part: &str| -> String {
                part.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
            };
            match rest.strip_prefix('{').and_then(|list| list.split('}').next()) {
                Some(list) => rooms.extend(list.split(',').map(name).filter(|name| !name.is_empty())),
                None => _ = rooms.insert(name(rest)),
            }
        }
    }
    rooms
}

/// How many modules a file lies below the crate's root.
fn depth(path: &Path) -> usize {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    below.components().count() - usize::from(path.ends_with("mod.rs"))
}

#[test]
fn imports_run_one_way() {
    let mut offenders = Vec::new();
    for path in rust_files("src") {
        let room = room(&path);
        if ["main", "lib"].contains(&room.as_str()) {
            continue;
        }
        let text = code_of(&path);
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            offenders.push(format!("{}: room `{room}` is not in the list of rooms", path.display()));
            continue;
        };
        for import in imported_rooms(&text, depth(&path)) {
            if import != room && !allowed.contains(&import.as_str()) {
                offenders.push(format!("{}: `{room}` must not import `crate::{import}`", path.display()));
            }
        }
    }
    report(&offenders);
}

#[test]
fn the_list_of_rooms_has_no_cycle() {
    for (at, (room, allowed)) in ROOMS.iter().enumerate() {
        for import in *allowed {
            let place = ROOMS.iter().position(|(name, _)| name == import).unwrap();
            assert!(place < at, "{room} imports {import}, which stands below it");
        }
    }
}

#[test]
fn files_are_read_in_one_sitting() {
    let long = |path: &PathBuf| {
        let lines = code_of(path).lines().count();
        (lines > FILE_LINES).then(|| format!("{}: {lines} lines before its tests", path.display()))
    };
    report(&rust_files("src").iter().filter_map(long).collect::<Vec<_>>());
}

/// Functions that are too long: name and length. Relies on rustfmt: a body ends at a brace with the indent of its `fn`.
fn long_functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let words: Vec<&str> = body.split_whitespace().take_while(|word| !word.contains('(')).collect();
        let is_function = body.starts_with("fn ") || words.contains(&"fn") || body.contains(" fn ");
        if !is_function || body.starts_with("//") || body.starts_with('"') {
            continue;
        }
        let indent = &line[..line.len() - body.len()];
        let end = format!("{indent}}}");
        let one_line = lines[start].trim_end().ends_with(['}', ';']);
        let length = if one_line { 1 } else { lines[start..].iter().position(|line| **line == end).unwrap_or(0) + 1 };
        if length > FUNCTION_LINES {
            found.push((body.to_owned(), length));
        }
    }
    found
}

#[test]
fn functions_fit_one_screen() {
    let mut offenders = Vec::new();
    for path in ["src", "benches", "examples"].iter().flat_map(|folder| rust_files(folder)) {
        for (function, length) in long_functions(&code_of(&path)) {
            offenders.push(format!("{}: {length} lines: {function}", path.display()));
        }
    }
    report(&offenders);
}

#[test]
fn every_module_is_declared() {
    let mut offenders = Vec::new();
    for path in rust_files("src") {
        let (module, folder) = module_of(&path);
        if ["main", "lib"].contains(&module) {
            continue;
        }
        let parents = [folder.join("mod.rs"), folder.join("lib.rs"), folder.with_extension("rs")];
        let declared = parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).any(|text| {
            text.lines().any(|line| {
                let line = line.trim();
                line.ends_with(&format!("mod {module};")) && !line.starts_with("//")
            })
        });
        if !declared {
            offenders.push(format!("{}: no module declares it", path.display()));
        }
    }
    report(&offenders);
}

#[test]
fn the_program_never_unwraps() {
    let mut offenders = Vec::new();
    for path in rust_files("src") {
        for (number, line) in code_of(&path).lines().enumerate() {
            if line.contains(".unwrap()") && !line.trim_start().starts_with("//") {
                offenders.push(format!("{}:{}: say with `expect` why it holds", path.display(), number + 1));
            }
        }
    }
    report(&offenders);
}

#[test]
fn nothing_is_left_behind() {
    // Put together here, so that this file does not find itself.
    let markers = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]];
    let mut offenders = Vec::new();
    for path in ["src", "tests", "benches", "examples"].iter().flat_map(|folder| rust_files(folder)) {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for marker in markers.map(|parts| parts.concat()) {
                if line.contains(&marker) {
                    offenders.push(format!("{}:{}: `{marker}`", path.display(), number + 1));
                }
            }
        }
    }
    report(&offenders);
}

#[test]
fn the_checks_find_what_they_look_for() {
    let long = format!("pub fn long() {{\n{}}}\n", "    step();\n".repeat(FUNCTION_LINES));
    assert_eq!(long_functions(&long).len(), 1);
    assert!(long_functions("pub const fn short() -> u8 {\n    1\n}\n").is_empty());
    let imports = imported_rooms("use crate::memory::Memory;\nlet x = crate::units::Pfn::new(1);", 3);
    assert_eq!(imports.into_iter().collect::<Vec<_>>(), ["memory", "units"]);
    let imports = imported_rooms("use super::super::units;\nuse super::near;\nuse super::super::{rng, json::X};", 2);
    assert_eq!(imports.into_iter().collect::<Vec<_>>(), ["json", "rng", "units"]);
    assert_eq!(code("fn a() {}\n#[cfg(test)]\nmod tests {}\n"), "fn a() {}");
    let declared = "fn a() {}\n#[cfg(test)]\nmod slow;\nfn b() {}";
    assert_eq!(code(&format!("{declared}\n#[cfg(test)]\nmod tests {{}}\n")), declared);
}
