//! A result as one web page that needs nothing else: what was run, the verdict, the table, the charts, and what the
//! numbers rest on.
//!
//! Everything can be read without scripts; with them the table can be sorted, charts tell their values under the mouse,
//! and the maps of physical memory have a slider for the moment.

mod charts;
mod story;
mod table;

use std::fmt::Write;

use crate::plot::Subject;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of these scenarios, one after the other.
pub fn page(subjects: &[Subject<'_>]) -> String {
    let names: Vec<String> = subjects.iter().map(Subject::name).collect();
    let title = escape(&format!("fragsim report: {}", names.join(", ")));
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    let mut data = Vec::new();
    for subject in subjects {
        if subjects.len() > 1 {
            add(&mut html, format_args!("<h2 class=\"scenario\">{}</h2>\n", escape(&subject.name())));
        }
        story::beginning(&mut html, subject);
        table::draw(&mut html, subject);
        charts::draw(&mut html, subject, &mut data);
        story::end(&mut html, subject);
    }
    // `<` could end the script early.
    let data = serde_json::Value::Array(data).to_string().replace('<', "\\u003c");
    add(
        &mut html,
        format_args!(
            "</main>\n<script type=\"application/json\" id=\"data\">{data}</script>\n<script>\n{SCRIPT}</script>\n\
             </body>\n</html>\n"
        ),
    );
    html
}

/// A text inside of an element or an attribute.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Adds to a text.
fn add(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::testing::two_runs;
    use crate::result::{MapMoment, MemoryMap, ResultDoc};

    fn of(result: ResultDoc) -> String {
        let results = [result];
        page(&Subject::gather(&results).unwrap())
    }

    #[test]
    fn the_story_is_told_in_order() {
        let mut result = two_runs();
        let cells = serde_json::from_str("\"9M1s\"").unwrap();
        let map = MemoryMap { cell_bytes: 2 << 20, moments: vec![MapMoment { time_ns: 5, cells }] };
        result.runs[0].memory_map = Some(map);
        let html = of(result);
        let order = [
            "<h1>fragsim report: small</h1>",
            "<h2>What was run</h2>",
            "made by hand",
            "<h2>Verdict</h2>",
            "per-prog split 13 large pages (12 of 2 MiB, 1 of 1 GiB); pack-4k 3 (3 of 2 MiB).",
            "<h2>Numbers</h2>",
            "<table",
            "<h2>Charts</h2>",
            "<svg ",
            "<input type=\"range\"",
            "<h2>Assumptions</h2>",
            "<h2>Stamp</h2>",
            "ffffffffffffffffffffffffffffffff",
        ];
        let mut at = 0;
        for part in order {
            at += html[at..].find(part).unwrap_or_else(|| panic!("{part} is missing or out of order"));
        }
        assert!(!html.contains("http://") || html.matches("http://").count() == html.matches("www.w3.org").count());
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let mut result = two_runs();
        result.scenario.name = "</script><b>".to_owned();
        result.scenario.comment = Some("<i>&".to_owned());
        result.runs[0].allocator = "\"><script>alert(1)</script>".to_owned();
        let html = of(result);
        assert_eq!(html.matches("<script").count(), 2);
        assert_eq!(html.matches("</script>").count(), 2);
        assert!(html.contains("&lt;i&gt;&amp;"));
    }
}
