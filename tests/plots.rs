//! Charts of a small result look as they did, to the last byte, whatever the machine has of fonts.
//!
//! `tests/golden/plots` holds what `fragsim plot` drew of `tests/data/small-result.json`: the SVGs and the tables as they
//! are, of the PNGs a hash. A change that is meant to change pictures refreshes them, and whoever makes it looks at them:
//!
//! ```text
//! FRAGSIM_UPDATE_GOLDEN=1 cargo test --test plots
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Set to anything, it makes the tests write the golden files instead of comparing with them.
const UPDATE: &str = "FRAGSIM_UPDATE_GOLDEN";
/// Hashes of the PNGs, a line each.
const HASHES: &str = "png.xxh3";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn golden() -> PathBuf {
    root().join("tests/golden/plots")
}

fn small() -> PathBuf {
    root().join("tests/data/small-result.json")
}

/// Runs the program without any font at hand.
fn fragsim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
    let command = command.current_dir(root()).args(arguments).env("FONTCONFIG_FILE", "/nonexistent");
    command.output().expect("the program starts")
}

fn plot(arguments: &[&str], directory: &Path) {
    let directory = directory.to_str().unwrap();
    let output = fragsim(&[&["plot"], arguments, &["--output", directory, "--quiet"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""), "{arguments:?}");
}

/// The small result on a host with another amount of memory.
fn with_memory(memory: &str, hash: &str) -> String {
    let text = fs::read_to_string(small()).unwrap();
    let text = text.replacen("\"memory\": \"64GiB\"", &format!("\"memory\": \"{memory}\""), 1);
    text.replacen("0123456789abcdef0123456789abcdef", &hash.repeat(32), 1)
}

/// Every chart of the small result, and a sweep of two.
fn draw(directory: &Path) {
    plot(&[small().to_str().unwrap()], directory);
    let larger = directory.join("larger.json");
    fs::write(&larger, with_memory("128GiB", "a")).unwrap();
    plot(&[larger.to_str().unwrap(), small().to_str().unwrap(), "--x", "machine.memory"], directory);
    fs::remove_file(larger).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn charts_are_the_same_to_the_last_byte() {
    let drawn = TempDir::new().unwrap();
    draw(drawn.path());
    let mut hashes = String::new();
    let mut texts = Vec::new();
    for name in names(drawn.path()) {
        let bytes = fs::read(drawn.path().join(&name)).unwrap();
        if name.ends_with(".png") {
            assert!(bytes.starts_with(b"\x89PNG"), "{name}");
            hashes += &format!("{:032x}  {name}\n", xxhash_rust::xxh3::xxh3_128(&bytes));
        } else {
            texts.push((name, String::from_utf8(bytes).unwrap()));
        }
    }
    texts.push((HASHES.to_owned(), hashes));
    texts.sort();
    if std::env::var_os(UPDATE).is_some() {
        fs::create_dir_all(golden()).unwrap();
        for (name, text) in &texts {
            fs::write(golden().join(name), text).unwrap();
        }
    }
    let found: Vec<&String> = texts.iter().map(|(name, _)| name).collect();
    assert_eq!(names(&golden()).iter().collect::<Vec<_>>(), found);
    for (name, text) in &texts {
        let golden = fs::read_to_string(golden().join(name)).unwrap();
        assert!(*text == golden, "{name} has changed; FRAGSIM_UPDATE_GOLDEN=1 writes it anew, then look at it");
    }
}

/// The value of an attribute of an element.
fn attribute(element: &str, name: &str) -> Option<f64> {
    let start = element.find(&format!(" {name}=\""))? + name.len() + 3;
    element[start..].split('"').next()?.parse().ok()
}

#[test]
fn no_text_is_clipped_and_no_two_overlap() {
    let drawn = TempDir::new().unwrap();
    draw(drawn.path());
    for name in names(drawn.path()).iter().filter(|name| name.ends_with(".svg")) {
        let svg = fs::read_to_string(drawn.path().join(name)).unwrap();
        let (width, height) = (attribute(&svg, "width").unwrap(), attribute(&svg, "height").unwrap());
        let mut boxes: Vec<(f64, f64, f64, f64, &str)> = Vec::new();
        for element in svg.lines().filter(|line| line.starts_with("<text ")) {
            let of = |name| attribute(element, name).unwrap();
            let (x, y, size, length) = (of("x"), of("y"), of("font-size"), of("textLength"));
            let left = match element {
                end if end.contains("text-anchor=\"end\"") => x - length,
                middle if middle.contains("text-anchor=\"middle\"") => x - length / 2.0,
                _ => x,
            };
            // Letters are about so high above and below their base line.
            let (top, bottom) = (y - 0.74 * size, y + 0.1 * size);
            assert!(left >= 0.0 && left + length <= width && top >= 0.0 && bottom <= height, "{name}: {element}");
            for (l, t, r, b, other) in &boxes {
                let apart = *l >= left + length || *r <= left || *t >= bottom || *b <= top;
                assert!(apart, "{name}:\n{element}\n{other}");
            }
            boxes.push((left, top, left + length, bottom, element));
        }
        assert!(boxes.len() > 10, "{name}");
    }
}

#[test]
fn only_what_is_asked_for_is_drawn() {
    let drawn = TempDir::new().unwrap();
    plot(&[small().to_str().unwrap(), "--kind", "splits,map", "--format", "png"], drawn.path());
    assert_eq!(names(drawn.path()), ["small-map.csv", "small-map.png", "small-splits.csv", "small-splits.png"]);
}

#[test]
fn run_draws_its_result_too() {
    let drawn = TempDir::new().unwrap();
    let directory = drawn.path().join("charts");
    let output = fragsim(&["run", "scenarios/runqslower.json", "--plots", directory.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).ends_with(&format!("wrote 15 files to {}\n", directory.display())));
    assert!(names(&directory).contains(&"runqslower-map.svg".to_owned()));
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let place = TempDir::new().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let error = |arguments: &[&str]| {
        let output = fragsim(&[&["plot"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(path("other.json"), with_memory("64GiB", "b")).unwrap();
    fs::write(path("larger.json"), with_memory("128GiB", "c")).unwrap();
    fs::write(path("cut.json"), &fs::read(small()).unwrap()[..2000]).unwrap();
    let (small, out) = (small().to_str().unwrap().to_owned(), path("out"));
    let said = error(&[&small, &path("other.json"), "-o", &out]);
    assert!(said.contains("both of the name `small`") && said.contains("--x KEY"), "{said}");
    let said = error(&[&small, &small, "-o", &out]);
    assert!(said.contains("with seed 1 of scenario `small` is in two results"), "{said}");
    let said = error(&[&small, &path("larger.json"), "--x", "machine.cpus", "-o", &out]);
    assert!(said.contains("not only in `machine.cpus` but also in `machine.memory`"), "{said}");
    let said = error(&[&small, "--kind", "sweep", "-o", &out]);
    assert!(said.contains("there is no `sweep` chart"), "{said}");
    let said = error(&[&small, "--terminal", "--kind", "bars"]);
    assert!(said.contains("`--terminal` draws `splits` and `map`, not `bars`"), "{said}");
    assert!(error(&[&path("cut.json"), "-o", &out]).contains("the text ends in the middle"));
    assert!(error(&[&small]).contains("--output <DIRECTORY>"));
    assert!(error(&["scenarios/month.json", "-o", &out]).contains("this is a scenario, not a result"));
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_terminal_gets_text_as_wide_as_it_is() {
    let draw = |columns: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
        let command = command.args(["plot", small().to_str().unwrap(), "--terminal"]).env("COLUMNS", columns);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = draw("60");
    assert!(text.contains("2 MiB pages split (level 2)") && text.contains("Each character is 1 GiB"), "{text}");
    // Not a terminal: no colours.
    assert!(!text.contains('\u{1b}'));
    let drawn = |line: &&str| line.contains(['█', '_']) || line.starts_with("  ");
    assert!(text.lines().filter(|line| !line.contains("page")).filter(drawn).all(|line| line.chars().count() <= 60));
}
