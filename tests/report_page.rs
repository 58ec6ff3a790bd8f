//! The page of `fragsim report` in a real browser: Debian's chromium without a window. Where there is none, the test says
//! so and what it could not look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Browsers that understand `--dump-dom`.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Plays a reader: sorts the table twice, moves the slider to the start, points at a chart. What it saw is left in the
/// page as `NAME=VALUE` lines.
const READER: &str = r#"<script>
(() => {
  const seen = [];
  const say = (name, value) => seen.push(`${name}=${value}`);
  const rows = () => [...document.querySelectorAll("tbody th")].map((cell) => cell.textContent).join(",");
  say("before", rows());
  const button = document.querySelectorAll("thead th")[1].querySelector("button");
  button.click();
  say("ascending", rows() + "/" + button.parentNode.getAttribute("aria-sort"));
  button.click();
  say("descending", rows() + "/" + button.parentNode.getAttribute("aria-sort"));
  const map = document.querySelector("figure.map");
  const cells = () => map.querySelector('g.cells path[data-state="x"]').getAttribute("d").length;
  const input = map.querySelector("input");
  const end = cells();
  say("slider", input.closest("p").hidden);
  const move = (value) => { input.value = value; input.dispatchEvent(new Event("input")); };
  move(0);
  say("start", cells() < end ? "fewer" : "as many");
  say("moment", map.querySelector("output").textContent);
  const paths = () => [...map.querySelectorAll("g.cells path")].map((path) => path.getAttribute("d")).join("|");
  const drawn = window.drawnPaths;
  move(input.max);
  say("end", paths() === drawn);
  const svg = document.querySelector("figure.splits svg");
  const box = svg.getBoundingClientRect();
  const at = { clientX: box.left + box.width * 0.4, clientY: box.top + box.height * 0.25, bubbles: true };
  svg.dispatchEvent(new MouseEvent("mousemove", at));
  const tip = document.querySelector("figure.splits .tip");
  say("tip", tip.hidden ? "" : [...tip.children].map((line) => line.textContent).join(";"));
  svg.dispatchEvent(new MouseEvent("mouseleave", {}));
  say("left", tip.hidden);
  say("overflow", document.documentElement.scrollWidth > window.innerWidth);
  const note = document.createElement("pre");
  note.id = "seen";
  note.textContent = seen.join("\n");
  document.body.append(note);
})();
</script>
"#;

/// Keeps the maps as they were written, before any script touches them.
const BEFORE: &str = r#"<script>
window.drawnPaths = [...document.querySelectorAll("figure.map g.cells path")].map((path) => path.getAttribute("d")).join("|");
</script>
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The page of the small result.
fn report(directory: &Path) -> String {
    let path = directory.join("report.html");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fragsim"));
    command.current_dir(root()).args(["report", "tests/data/small-result.json", "--quiet", "--output"]).arg(&path);
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read_to_string(path).unwrap()
}

fn browser() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let paths = std::env::split_paths(&folders).flat_map(|folder| BROWSERS.map(|name| folder.join(name)));
    paths.into_iter().find(|path| path.is_file())
}

/// What the page is after its scripts ran.
fn dump(browser: &Path, page: &Path, directory: &Path) -> String {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,800"]);
    // No network, and nothing of the user's.
    command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--virtual-time-budget=2000"]);
    command.args(["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", directory.join("profile").display())).env("HOME", directory);
    let output = command.arg("--dump-dom").arg(format!("file://{}", page.display())).output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_reader_can_sort_point_and_slide() {
    let directory = TempDir::new().unwrap();
    let html = report(directory.path());
    let Some(browser) = browser() else {
        println!("SKIPPED: none of {BROWSERS:?} is installed, so nobody clicked on the page");
        return;
    };
    let data = html.find("<script type=\"application/json\"").unwrap();
    let played = format!("{}{BEFORE}{}{READER}", &html[..data], html[data..].trim_end().trim_end_matches("</html>"));
    let page = directory.path().join("played.html");
    fs::write(&page, played).unwrap();
    let dom = dump(&browser, &page, directory.path());
    let start = dom.find("<pre id=\"seen\">").unwrap_or_else(|| panic!("the scripts did not run to their end: {dom}"));
    let seen = dom[start + "<pre id=\"seen\">".len()..].split("</pre>").next().unwrap();
    let value = |name: &str| {
        let line = seen.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is not in\n{seen}"))
    };
    assert_eq!(value("before"), "per-prog,pack-4k");
    assert_eq!(value("ascending"), "pack-4k,per-prog/ascending");
    assert_eq!(value("descending"), "per-prog,pack-4k/descending");
    assert_eq!((value("slider"), value("start"), value("moment")), ("false", "fewer", "0 ns"));
    assert_eq!(value("end"), "true", "the script must draw a map as the program does");
    let tip = value("tip");
    assert!(tip.contains("per-prog: 1") && tip.contains("pack-4k: ") && tip.contains(" days;"), "{tip}");
    assert_eq!((value("left"), value("overflow")), ("true", "false"));
}

#[test]
fn without_scripts_the_page_tells_everything() {
    let directory = TempDir::new().unwrap();
    let html = report(directory.path());
    let without = &html[..html.find("<script").unwrap()];
    for part in [
        "per-prog split 348 large pages (327 to 369 over 3 seeds); pack-4k 133",
        "<td data-value=\"342\">",
        "<svg ",
        "Assumptions",
        "0123456789abcdef",
    ] {
        assert!(without.contains(part), "{part}");
    }
    assert!(without.matches("<svg ").count() >= 6);
    // Nothing is fetched from anywhere.
    for fetch in [" src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest"] {
        assert!(!html.contains(fetch), "{fetch}");
    }
}
