//! The table of a page: a row for each allocator, a column for each metric that matters most.

use super::{add, escape};
use crate::compare::Summary;
use crate::plot::{Contender, Subject};
use crate::report::number;
use crate::result::{About, Better, KNOWN};

/// Draws the table.
pub(super) fn draw(html: &mut String, subject: &Subject<'_>) {
    let rows: Vec<Vec<Option<Summary>>> = subject.contenders.iter().map(cells).collect();
    let shown: Vec<usize> =
        (0..headlines().count()).filter(|&column| rows.iter().any(|row| row[column].is_some())).collect();
    html.push_str("<section>\n<h2>Numbers</h2>\n");
    html.push_str("<div class=\"wide\">\n<table class=\"sortable\">\n<thead><tr><th scope=\"col\">allocator</th>");
    for (_, about) in headlines().enumerate().filter(|(column, _)| shown.contains(column)) {
        let better = match about.better {
            Better::Lower => "less is better",
            Better::Higher => "more is better",
            Better::Fixed | Better::Neither => "",
        };
        add(
            html,
            format_args!(
                "<th scope=\"col\" title=\"{} {better}\">{}<br><small>{}</small></th>",
                about.name,
                // Not broken after the hyphen.
                about.headline.unwrap_or(about.name).replace('-', "\u{2011}"),
                about.unit
            ),
        );
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (contender, row) in subject.contenders.iter().zip(&rows) {
        add(html, format_args!("<tr><th scope=\"row\">{}</th>", escape(&contender.label)));
        for &column in &shown {
            cell(html, row[column].as_ref());
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
    let seeds = if subject.seeds() > 1 { " Numbers: the median over the seeds; below: lowest to highest." } else { "" };
    add(
        html,
        format_args!(
            "<p class=\"note\">Splits and flushes count from the start of the trace, DirectMap is that at its end.{seeds}</p>\n</section>\n"
        ),
    );
}

/// The metrics that comparisons show first.
fn headlines() -> impl Iterator<Item = &'static About> {
    KNOWN.iter().filter(|about| about.headline.is_some())
}

/// The headline metrics of an allocator over its seeds.
fn cells(contender: &Contender<'_>) -> Vec<Option<Summary>> {
    let runs: Vec<_> = contender.runs.iter().map(|run| run.metrics()).collect();
    let of = |name: &str| -> Vec<f64> {
        let find =
            |metrics: &Vec<crate::result::Metric>| Some(metrics.iter().find(|metric| metric.name == name)?.value);
        runs.iter().filter_map(find).collect()
    };
    headlines().map(|about| Summary::of(&of(about.name))).collect()
}

fn cell(html: &mut String, summary: Option<&Summary>) {
    let Some(summary) = summary else {
        html.push_str("<td data-value=\"\">–</td>");
        return;
    };
    let (median, least, most) = (summary.median, summary.least, summary.most);
    add(html, format_args!("<td data-value=\"{median}\">{}", grouped(median)));
    if least < most {
        add(html, format_args!("<br><small>{}–<wbr>{}</small>", grouped(least), grouped(most)));
    }
    html.push_str("</td>");
}

/// A number with commas between thousands, and as many digits as the other tables show.
fn grouped(value: f64) -> String {
    let text = number::text(value);
    let (whole, fraction) = text.split_at(text.find(['.', 'e']).unwrap_or(text.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let mut grouped = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0.0, 988.5, 1234.0, -1_234_567.25].map(grouped), ["0", "988.5", "1,234", "-1,234,567.25"]);
        assert_eq!([0.038_878_750_1, 1_234.000_1, 3e-6].map(grouped), ["0.039", "1,234", "3e-6"]);
    }
}
