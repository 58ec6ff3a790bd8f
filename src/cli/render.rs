//! Draws a diagnostic for a terminal: where, the line of source with a mark, and what would be right.

use std::io::IsTerminal;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use crate::diagnostics::{Diagnostic, MAX_EXCERPT_BYTES};
use crate::files::shown_name;

/// Wider than any excerpt, so that none is cut a second time.
const TERM_WIDTH: usize = 4 * MAX_EXCERPT_BYTES;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing was done.
    Error,
    /// Something was done, but not as might be expected.
    Warning,
}

/// Whether what goes to standard error may be coloured: a terminal, and the user did not say no
/// (<https://no-color.org>).
pub fn stderr_takes_colour() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    !no_color && !dumb && std::io::stderr().is_terminal()
}

/// The diagnostic as several lines of text, with a newline at the end.
pub fn render(diagnostic: &Diagnostic, severity: Severity, colour: bool) -> String {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    // A snippet names its place itself, but it takes the first byte of the excerpt for that of the line.
    let whole_line = diagnostic.column > 0 && diagnostic.excerpt_skipped == 0;
    if !whole_line {
        group = group.elements(origin(diagnostic));
    }
    if diagnostic.column > 0 {
        group = group.element(snippet(diagnostic).path(if whole_line { file_name(diagnostic) } else { None }));
    } else if !diagnostic.json_path.is_empty() {
        group = group.element(Level::NOTE.message(format!("at {}", diagnostic.json_path)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let text = renderer.term_width(TERM_WIDTH).render(&[group]);
    format!("{}\n", text.trim_end())
}

/// The name of the file for people.
fn file_name(diagnostic: &Diagnostic) -> Option<&str> {
    diagnostic.path.as_deref().map(shown_name)
}

/// `--> file:line:column`
fn origin(diagnostic: &Diagnostic) -> Option<Element<'_>> {
    let mut origin = Origin::path(file_name(diagnostic)?);
    if diagnostic.line > 0 {
        origin = origin.line(diagnostic.line as usize);
        if diagnostic.column > 0 {
            origin = origin.char_column(diagnostic.column as usize);
        }
    }
    Some(origin.into())
}

fn snippet(diagnostic: &Diagnostic) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let mut mark = AnnotationKind::Primary.span(diagnostic.span_in_excerpt());
    if !diagnostic.json_path.is_empty() {
        mark = mark.label(&*diagnostic.json_path);
    }
    Snippet::source(&*diagnostic.excerpt).line_start(diagnostic.line as usize).annotation(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(diagnostic: &Diagnostic) -> String {
        render(diagnostic, Severity::Error, false)
    }

    #[test]
    fn a_place_in_a_file_is_shown_with_its_line() {
        let diagnostic = Diagnostic::new("unknown key `memroy`")
            .in_file("s.json")
            .at(3, 5, 8)
            .at_json_path("machine.memroy")
            .excerpt(b"    \"memroy\": \"64GiB\",")
            .help("did you mean `memory`?");
        let expected = "\
error: unknown key `memroy`
 --> s.json:3:5
  |
3 |     \"memroy\": \"64GiB\",
  |     ^^^^^^^^ machine.memroy
  |
  = help: did you mean `memory`?
";
        assert_eq!(plain(&diagnostic), expected);
    }

    #[test]
    fn a_piece_of_a_long_line_keeps_the_column_of_the_line() {
        let mut line = vec![b'x'; 1000];
        line[700] = b'!';
        let text = plain(&Diagnostic::new("odd").in_file("s.json").at(2, 701, 1).excerpt(&line));
        assert!(text.contains("--> s.json:2:701\n"), "{text}");
        assert!(text.contains("xx!xx"), "{text}");
    }

    #[test]
    fn what_has_no_place_is_said_all_the_same() {
        let bare = Diagnostic::new("cannot open `x`: permission denied");
        assert_eq!(plain(&bare), "error: cannot open `x`: permission denied\n");
        let end = |diagnostic: &Diagnostic| plain(diagnostic).split_once('\n').unwrap().1.to_owned();
        assert_eq!(end(&bare.clone().in_file("-")), "--> <standard input>\n");
        assert_eq!(end(&bare.clone().in_file("t.jsonl").at(7, 0, 0)), "--> t.jsonl:7\n");
        assert_eq!(
            end(&bare.at_json_path("machine.cpus").help("say so")),
            " |\n = note: at machine.cpus\n = help: say so\n"
        );
    }

    #[test]
    fn odd_excerpts_do_no_harm() {
        for (line, column, width, excerpt) in [
            (1, 1, 1, &b""[..]),
            (0, 3, 9, b"\xff\x00"),
            (u32::MAX, u32::MAX, u32::MAX, b"x"),
            (9, 2, 1, "\u{e9}".as_bytes()),
        ] {
            let diagnostic =
                Diagnostic::new("\u{1b}[31m\nodd").in_file("a\nb").at(line, column, width).excerpt(excerpt);
            assert!(!plain(&diagnostic).contains('\u{1b}'));
        }
    }
}
