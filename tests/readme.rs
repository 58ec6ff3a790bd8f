//! What the README says is so: its commands work, its example is what the program prints, its links lead somewhere.
//!
//! The example follows the program with
//!
//! ```text
//! FRAGSIM_UPDATE_GOLDEN=1 cargo test --test readme
//! ```

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Set to anything, it makes the tests write the example instead of comparing with it.
const UPDATE: &str = "FRAGSIM_UPDATE_GOLDEN";
/// How the README starts the program.
const PROGRAM: [&str; 2] = ["cargo run --release -- ", "fragsim "];
/// Commands that are not run here, by how they begin: they build, measure or record, or are the tests themselves.
const NOT_RUN: [&str; 11] = [
    ".ci/run",
    "cargo bench",
    "cargo run --release --example own_policy",
    "git clone ",
    "perf record ",
    "perf script ",
    "scripts/bench.sh",
    "scripts/kernel-lab",
    "scripts/plots.sh",
    "scripts/test.sh",
    "scripts/tlb-bench.sh",
];
/// Files that the commands expect, and what stands for them.
const STAND_INS: [(&str, &str); 1] = [("host.txt", "tests/data/runqslower.perf-script.txt")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).expect("there is a README.md")
}

/// The fenced blocks of this language, in order.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&fence) {
        rest = &rest[start + fence.len()..];
        let end = rest.find("```").expect("every block ends");
        blocks.push(&rest[..end]);
        rest = &rest[end + 3..];
    }
    blocks
}

/// Every command that a reader is asked to type, in order.
fn commands(text: &str) -> Vec<String> {
    let lines = blocks(text, "console").into_iter().flat_map(str::lines);
    lines.filter_map(|line| Some(line.strip_prefix("$ ").or(line.strip_prefix("# "))?.trim().to_owned())).collect()
}

/// Every command named in a sentence that can be run as it stands: without alternatives and placeholders.
fn named_commands(text: &str) -> Vec<String> {
    let mut prose = text.to_owned();
    for language in ["console", "text", "json", "yaml"] {
        for block in blocks(text, language) {
            prose = prose.replace(block, "\n");
        }
    }
    let spans = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    let is_placeholder = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    spans
        .filter(|span| span.starts_with("fragsim ") || span.starts_with("cargo ") || span.starts_with("scripts/"))
        .filter(|span| !span.contains('|') && !span.split_whitespace().any(is_placeholder))
        .collect()
}

/// The arguments for the program; none if the command is another one that is known.
///
/// # Panics
/// Nobody has said what is to become of the command.
fn arguments(command: &str) -> Option<Vec<&str>> {
    if let Some(rest) = PROGRAM.iter().find_map(|program| command.strip_prefix(program)) {
        assert!(!rest.contains(['|', '>', '<', '\'', '"', '$', ';', '&']), "this needs a shell: {command}");
        return Some(rest.split_whitespace().collect());
    }
    let known = NOT_RUN.iter().any(|start| command.starts_with(start));
    assert!(known, "`{command}` is neither run nor listed in NOT_RUN");
    None
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("there is room for a directory");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let entry = entry.expect("its entries can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("there is room for a file");
        }
    }
}

/// A directory that looks like the repository to the commands.
fn checkout() -> TempDir {
    let place = TempDir::new().expect("there is room for a directory");
    for folder in ["scenarios", "results"] {
        copy_folder(&root().join(folder), &place.path().join(folder));
    }
    for (name, stand_in) in STAND_INS {
        fs::copy(root().join(stand_in), place.path().join(name)).expect("there is room for a file");
    }
    place
}

fn run(place: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
    command.args(arguments).current_dir(place.path()).stdin(Stdio::null()).env_remove("COLUMNS");
    command.output().expect("the program starts")
}

#[test]
fn every_command_works() {
    let (readme, place) = (readme(), checkout());
    let typed = commands(&readme);
    assert!(typed.len() >= 5, "{typed:?}");
    for command in typed.iter().chain(&named_commands(&readme)) {
        let Some(arguments) = arguments(command) else { continue };
        let output = run(&place, &arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // Of the predictions some are missed, as the README says.
        let code = if command == "fragsim validate" { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{command}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("warning"), "{command}: {stderr}");
    }
}

#[test]
fn the_example_is_what_the_first_command_prints() {
    let (readme, place) = (readme(), checkout());
    let first = commands(&readme).into_iter().next().expect("there is a command");
    let output = run(&place, &arguments(&first).expect("the first command is the program's"));
    let printed = String::from_utf8(output.stdout).expect("all output is UTF-8");
    let behind = readme.split_once(&first).expect("it is in there").1;
    let example = *blocks(behind, "text").first().expect("there is an example behind the first command");
    if std::env::var_os(UPDATE).is_some() {
        let updated = readme.replacen(&format!("```text\n{example}```"), &format!("```text\n{printed}```"), 1);
        fs::write(root().join("README.md"), updated).expect("the README can be written");
        return;
    }
    let help = format!("refresh it: {UPDATE}=1 cargo test --test readme");
    assert!(example == printed, "{first} prints\n{printed}\nbut the README says\n{example}\n{help}");
}

#[test]
fn the_workflow_is_the_one_in_the_file_and_its_check_works() {
    let (readme, place) = (readme(), checkout());
    let file = fs::read_to_string(root().join("docs/ci-example.yml")).expect("the workflow is there");
    assert_eq!(blocks(&readme, "yaml"), [file.as_str()]);
    assert_eq!(file.lines().count(), 10);
    let check = file.lines().find_map(|line| line.trim().strip_prefix("- run: fragsim ")).expect("it runs a check");
    let check = check.replace("\"$GITHUB_STEP_SUMMARY\"", "summary.md");
    let output = run(&place, &check.split_whitespace().collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for (written, start) in [("fragsim.xml", "<?xml "), ("summary.md", "### fragsim check: Of ")] {
        let text = fs::read_to_string(place.path().join(written)).expect("the check writes it");
        assert!(text.starts_with(start), "{written}: {text:.100}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let readme = readme();
    let targets = readme.match_indices("](").map(|(at, _)| {
        let target = &readme[at + 2..];
        &target[..target.find(')').expect("every link ends")]
    });
    let local: Vec<&str> = targets.filter(|target| !target.starts_with("http")).collect();
    assert!(!local.is_empty());
    for target in local {
        assert!(root().join(target).exists(), "README.md links to `{target}`, which is not there");
    }
}

#[test]
fn every_shipped_scenario_is_explained() {
    let readme = readme();
    for entry in fs::read_dir(root().join("scenarios")).expect("there are scenarios") {
        let name = entry.expect("they can be read").file_name().into_string().expect("their names are text");
        assert!(!name.ends_with(".json") || readme.contains(&format!("(scenarios/{name})")), "{name} is not explained");
    }
}

#[test]
fn a_new_command_is_noticed() {
    let text = "```console\n$ fragsim list kernels\n# perf record -a\noutput\n```\nTry `fragsim schema FORMAT` or \
                `fragsim man`.\n```text\na\n```\n";
    assert_eq!(commands(text), ["fragsim list kernels", "perf record -a"]);
    assert_eq!(named_commands(text), ["fragsim man"]);
    assert_eq!(blocks(text, "text"), ["a\n"]);
    assert_eq!(arguments("cargo run --release -- run s.json"), Some(vec!["run", "s.json"]));
    assert_eq!(arguments("perf record -a"), None);
    assert!(std::panic::catch_unwind(|| arguments("make install")).is_err());
    assert!(std::panic::catch_unwind(|| arguments("fragsim man | man -l -")).is_err());
}

#[test]
fn nothing_is_left_to_fill_in() {
    let readme = readme();
    let is_gap = |word: &&str| word.len() > 2 && word.starts_with('@') && word.ends_with('@');
    let gaps: Vec<&str> = readme.split_whitespace().filter(is_gap).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
}
