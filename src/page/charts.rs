//! The charts of a page, and what the script needs to know of them.

use serde_json::{Value, json};

use super::{add, escape};
use crate::plot::{Chart, Hover, Kind, MapPanel, Subject, cell_states};

/// Draws every chart that the runs have the numbers for, and adds what the script needs of each to `data`.
pub(super) fn draw(html: &mut String, subject: &Subject<'_>, data: &mut Vec<Value>) {
    html.push_str("<section>\n<h2>Charts</h2>\n");
    for chart in Kind::ALL.iter().filter_map(|kind| kind.draw(subject).ok()) {
        let svg = chart.scene.svg();
        add(html, format_args!("<figure class=\"chart {}\" data-chart=\"{}\">\n{svg}", chart.kind.name(), data.len()));
        if let Some(most) = chart.maps.iter().map(|map| map.moments.len()).max() {
            let last = most.saturating_sub(1);
            let end = chart.maps.iter().filter_map(|map| map.moments.last()).map(|(time, _)| time.as_str()).next();
            add(
                html,
                format_args!(
                    "<p class=\"slider\" hidden><label>Moment <input type=\"range\" min=\"0\" max=\"{last}\" value=\"{last}\" \
                     step=\"1\"></label> <output>{}</output></p>\n",
                    escape(end.unwrap_or_default())
                ),
            );
        }
        html.push_str("</figure>\n");
        data.push(for_script(&chart));
    }
    html.push_str("</section>\n");
}

fn for_script(chart: &Chart) -> Value {
    let states: String = cell_states().map(|(letter, _, _)| letter).collect();
    json!({
        "hovers": chart.hovers.iter().map(hover).collect::<Vec<_>>(),
        "states": states,
        "maps": chart.maps.iter().map(map).collect::<Vec<_>>(),
    })
}

fn hover(hover: &Hover) -> Value {
    let series = |series: &crate::plot::HoverSeries| json!({"label": series.label, "values": series.values});
    json!({
        "frame": hover.frame,
        "moments": hover.moments,
        "series": hover.series.iter().map(series).collect::<Vec<_>>(),
    })
}

fn map(map: &MapPanel) -> Value {
    json!({"columns": map.columns, "group": map.group, "moments": map.moments})
}
