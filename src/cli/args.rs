//! Arguments that several subcommands have.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::report::{DEFAULT_WIDTH, Format};
use crate::result::MetricPattern;

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Table => "For people",
            Self::Json => "For programs, with every number",
            Self::Csv => "For spreadsheets",
            Self::Markdown => "For pull requests and web pages",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

/// How many characters a line of a table may have: what `COLUMNS` says, if it says anything useful.
pub(super) fn line_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.filter(|&columns| columns > 0).unwrap_or(DEFAULT_WIDTH)
}

/// A metric, or several, as a user names them.
///
/// # Errors
/// No metric that is known has such a name.
pub(super) fn metric_pattern(text: &str) -> Result<MetricPattern, String> {
    let pattern = MetricPattern::new(text);
    match pattern.is_known() {
        Ok(()) => Ok(pattern),
        Err(Some(near)) => Err(format!("no metric is called so; did you mean `{near}`?")),
        Err(None) => Err("no metric is called so; `fragsim run SCENARIO --format csv` names all of them".to_owned()),
    }
}
