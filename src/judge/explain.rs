//! A step in words.

use std::fmt::Write;

use super::mechanics::StepView;
use crate::direct_map::{CpaEra, PermChange, Walk};
use crate::kernel::MapCall;
use crate::recording::AreaChange;
use crate::units::PfnRange;

/// Runs that are listed before the rest is counted.
const LISTED: usize = 8;

/// What happened in a step, line by line; with `all`, also what the module area and the counters show, and the calls that
/// the model made.
pub fn explain(view: &StepView<'_>, all: bool) -> String {
    let mut text = format!("step {}: {}\n", view.step, view.record.operation.describe());
    let mut line = |what: &str, shown: &str| writeln!(text, "  {what:<9} {shown}").expect("strings take all text");
    line("verdict", if view.agrees() { "kernel and model agree" } else { "kernel and model differ" });
    line("kernel", &view.kernel.to_string());
    line("model", &view.model.to_string());
    line("one line", &view.one_line.to_string());
    if view.record.walk.is_none() {
        line("note", "the page tables were not walked after this step: only the counters are compared");
    }
    view.notes.iter().for_each(|note| line("note", note));
    if all {
        let areas = view.record.walk.as_ref().map_or(&[][..], |walk| &walk.areas);
        areas.iter().for_each(|area| line("mapping", &area_change(area)));
        view.calls.iter().for_each(|call| line("call", &call_in_words(call)));
        if let Some(counters) = view.record.counters {
            let shown = format!(
                "DirectMap4k {} kB, DirectMap2M {} kB, DirectMap1G {} kB, MemFree {} kB after the step",
                counters.direct_map_4k, counters.direct_map_2m, counters.direct_map_1g, counters.mem_free
            );
            line("counters", &shown);
        }
    }
    text
}

/// `0xffffffffc0203000 (1 page): - to ro, frames 1056051 (1)`.
fn area_change(area: &AreaChange) -> String {
    let frames = if area.pfns.is_empty() { &area.gone } else { &area.pfns };
    let runs: Vec<PfnRange> = frames.runs().iter().map(|run| run.range()).collect();
    let shown = if runs.is_empty() { String::new() } else { format!(", {}", list(&runs)) };
    format!("{:#x} ({} pages): {} to {}{shown}", area.va.0, area.n, area.was, area.now)
}

/// `read-only, page by page: frames 1056051 (1)`.
fn call_in_words(call: &MapCall) -> String {
    let walk = match call.walk {
        Walk::Range => "each run at once",
        Walk::PageWise => "page by page",
        Walk::Force4k => "split in any case",
    };
    format!("{}, {walk}: {}", change_in_words(call.change), list(&call.runs))
}

fn change_in_words(change: PermChange) -> &'static str {
    let is = |of: fn(CpaEra) -> PermChange| [CpaEra::UpTo6_1, CpaEra::From6_6].into_iter().any(|era| of(era) == change);
    if is(PermChange::read_only) {
        "read-only"
    } else if is(PermChange::invalid) {
        "not present (reset at free)"
    } else if change == PermChange::default_() {
        "present and writable (reset at free)"
    } else if change == PermChange::read_write() {
        "writable"
    } else {
        "another change"
    }
}

fn list(runs: &[PfnRange]) -> String {
    let more = runs.len().saturating_sub(LISTED);
    let shown: Vec<String> =
        runs[..runs.len() - more].iter().map(|run| format!("{} ({})", run.start().get(), run.pages())).collect();
    let rest = if more > 0 { format!(" and {more} more runs") } else { String::new() };
    format!("frames {}{rest}", shown.join(", "))
}
