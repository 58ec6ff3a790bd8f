//! The page of `fragsim report` in a real browser: Debian's chromium without a window. Where there is none, the test says
//! so and what it could not look at.

use std::fs;
use std::io::Write as _;
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

/// Looks over the shoulder of a reader without scripts: the page in a frame that runs none, which this page may look into.
const WATCHER: &str = r#"<script>
(() => {
  const frame = document.querySelector("iframe");
  const look = () => {
    const seen = [];
    const say = (name, value) => seen.push(`${name}=${value}`);
    const page = frame.contentDocument;
    const shown = (element) => element.getClientRects().length > 0 && element.getBoundingClientRect().width > 0;
    say("buttons", page.querySelectorAll("button").length);
    say("sliders", [...page.querySelectorAll("input")].filter(shown).length);
    const charts = [...page.querySelectorAll("figure svg")];
    say("charts", charts.length);
    say("charts shown", charts.filter((svg) => shown(svg) && svg.getBoundingClientRect().height > 100).length);
    const marks = [...page.querySelectorAll("figure.map g.cells path[d]")].filter((path) => path.getAttribute("d") !== "");
    say("map", marks.length > 0 && marks.every(shown));
    say("verdict", page.querySelector(".verdict").innerText);
    say("rows", [...page.querySelectorAll("tbody tr")].filter(shown).map((row) => row.innerText.split(/\s/)[0]).join(","));
    say("headings", [...page.querySelectorAll("h2")].filter(shown).map((heading) => heading.innerText).join(","));
    say("assumptions", page.querySelectorAll("li").length > 3 && [...page.querySelectorAll("li")].every(shown));
    say("overflow", page.documentElement.scrollWidth > frame.clientWidth);
    const note = document.createElement("pre");
    note.id = "seen";
    note.textContent = seen.join("\n");
    document.body.append(note);
  };
  frame.addEventListener("load", look);
  frame.srcdoc = document.getElementById("page").textContent;
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

/// The browser, or a word to whoever runs the tests that there is none. `println!` would be kept from them: the harness
/// shows what a test prints only if it fails.
fn browser_or_say(consequence: &str) -> Option<PathBuf> {
    let browser = browser();
    if browser.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: none of {BROWSERS:?} is installed, so {consequence}");
    }
    browser
}

/// The browser without a window and with this profile, shows a page.
fn run(browser: &Path, profile: &Path, arguments: &[&str], page: &Path) -> String {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1000,800"]);
    // No network, and nothing of the user's.
    command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--virtual-time-budget=2000"]);
    command.args(["--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", profile.display())).env("HOME", profile);
    let output = command.args(arguments).arg(format!("file://{}", page.display())).output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the page is after its scripts ran.
fn dump(browser: &Path, page: &Path, directory: &Path) -> String {
    run(browser, &directory.join("profile"), &["--dump-dom"], page)
}

/// A profile of a reader who has turned off JavaScript in the settings.
fn strict_profile(directory: &Path) -> PathBuf {
    let profile = directory.join("strict");
    fs::create_dir_all(profile.join("Default")).unwrap();
    let settings = r#"{"profile":{"default_content_setting_values":{"javascript":2}}}"#;
    fs::write(profile.join("Default/Preferences"), settings).unwrap();
    profile
}

/// What the scripts of a page left in it as `NAME=VALUE` lines.
struct Seen(String);

impl Seen {
    fn of(dom: &str) -> Self {
        let start =
            dom.find("<pre id=\"seen\">").unwrap_or_else(|| panic!("the scripts did not run to their end: {dom}"));
        Self(dom[start + "<pre id=\"seen\">".len()..].split("</pre>").next().unwrap().to_owned())
    }

    fn value(&self, name: &str) -> &str {
        let line = self.0.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is not in\n{}", self.0))
    }
}

#[test]
fn a_reader_can_sort_point_and_slide() {
    let directory = TempDir::new().unwrap();
    let html = report(directory.path());
    let Some(browser) = browser_or_say("nobody clicked on the page") else { return };
    let data = html.find("<script type=\"application/json\"").unwrap();
    let played = format!("{}{BEFORE}{}{READER}", &html[..data], html[data..].trim_end().trim_end_matches("</html>"));
    let page = directory.path().join("played.html");
    fs::write(&page, played).unwrap();
    let dom = dump(&browser, &page, directory.path());
    let seen = Seen::of(&dom);
    let value = |name: &str| seen.value(name);
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

/// The page with scripts off, as a reader with a strict browser has it: laid out in full, and not a pixel different from a
/// page that never had scripts.
#[test]
fn a_browser_without_scripts_shows_everything() {
    let directory = TempDir::new().unwrap();
    let html = report(directory.path());
    let Some(browser) = browser_or_say("nobody read the page with scripts off") else { return };
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let quoted = html.replace('&', "&amp;").replace('<', "&lt;");
    let outer = format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><body><textarea id=\"page\" hidden>{quoted}</textarea>\n\
         <iframe sandbox=\"allow-same-origin\" width=\"900\" height=\"700\"></iframe>\n{WATCHER}</body>"
    );
    let dom = dump(&browser, &write("outer.html", &outer), directory.path());
    // The page is quoted in the outer one too: what was seen is at the end.
    let seen = Seen::of(&dom[dom.rfind("</iframe>").unwrap()..]);
    assert_eq!((seen.value("buttons"), seen.value("sliders")), ("0", "0"), "nothing is offered that does not work");
    assert_eq!((seen.value("charts"), seen.value("charts shown"), seen.value("map")), ("6", "6", "true"));
    assert!(seen.value("verdict").starts_with("per-prog split 348 large pages"), "{}", seen.0);
    assert_eq!(seen.value("rows"), "per-prog,pack-4k");
    assert_eq!(seen.value("headings"), "What was run,Verdict,Numbers,Charts,Assumptions,Stamp");
    assert_eq!((seen.value("assumptions"), seen.value("overflow")), ("true", "false"));

    let without = format!("{}</body></html>", &html[..html.find("<script").unwrap()]);
    let (strict, usual) = (strict_profile(directory.path()), directory.path().join("profile"));
    let page = directory.path().join("report.html");
    let probe =
        write("probe.html", "<!DOCTYPE html><p>no</p><script>document.querySelector('p').textContent = 'ran'</script>");
    assert!(run(&browser, &strict, &["--dump-dom"], &probe).contains("<p>no</p>"), "scripts are not off");
    let shot = |name: &str, profile: &Path, page: &Path| {
        let file = directory.path().join(name);
        let to = format!("--screenshot={}", file.display());
        run(&browser, profile, &["--window-size=900,4000", &to], page);
        fs::read(&file).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let plain = shot("plain.png", &usual, &write("plain.html", &without));
    let scripted = shot("scripted.png", &usual, &page);
    let strict = shot("strict.png", &strict, &page);
    assert!(strict == plain, "with scripts off the page looks different from one without scripts");
    assert!(strict.len() > 50_000, "{} bytes are an empty picture", strict.len());
    assert!(scripted != strict, "with scripts there is a slider");
}
