//! Which changes of a metric are allowed.

use std::collections::BTreeMap;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::json::Complaint;
use crate::result::{Better, MetricPattern};
use crate::units::Percent;

/// Rules by the name of a metric, such as `counters.direct_map_level2_splits`.
///
/// A name may lack the block in front of the point, and may end in `*` for any rest. Of several that match, the most
/// exact one counts, and it alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Checks(BTreeMap<String, Rule>);

/// How a metric may change from a baseline to a later result. The larger one of the two tolerances counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which change is for the worse. Default: what is known about the metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Direction")]
    pub direction: Option<Direction>,
    /// How much a metric may change, in its own unit. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub absolute: Option<f64>,
    /// How much a metric may change, as a share of the baseline. Default: "0%".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Percent")]
    pub relative: Option<Percent>,
}

/// Which change of a metric is for the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Less is better: an increase is for the worse.
    Lower,
    /// More is better: a decrease is for the worse.
    Higher,
    /// It has to stay as it is: any change is for the worse.
    Same,
    /// It may change at will.
    Any,
}

/// A tolerance of the command line: `direct_map_level2_splits=5%`, `text.*=3`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerance {
    metric: MetricPattern,
    absolute: f64,
    relative: Percent,
}

/// Why a text is no tolerance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseToleranceError {
    /// There is no `=`.
    #[error("`{0}` has no `=`; write for example direct_map_level2_splits=5%")]
    NoEquals(String),
    /// The amount is neither a number nor a share.
    #[error("`{0}` is neither a number that is not negative nor a share such as 5%")]
    Amount(String),
    /// No metric has this name.
    #[error("no metric is called `{0}`{1}")]
    NoMetric(String, String),
}

/// All rules of one check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Those of the scenario.
    pub checks: Checks,
    /// Those of the command line, which count instead of the scenario's tolerances.
    pub tolerances: Vec<Tolerance>,
}

/// What counts for one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Allowance {
    pub direction: Direction,
    absolute: f64,
    relative: Percent,
}

impl Checks {
    /// What is wrong with the rules beyond their types: the key, and for a value its key too.
    pub fn problems(&self) -> Vec<(&str, Option<&'static str>, Complaint)> {
        let mut problems = Vec::new();
        for (name, rule) in &self.0 {
            if let Err(near) = MetricPattern::new(name).is_known() {
                let complaint = Complaint::about_key(format!("no metric is called `{}`", name.escape_debug()));
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`fragsim run SCENARIO --format csv` names all of them".to_owned(),
                };
                problems.push((name.as_str(), None, complaint.help(help)));
            }
            if rule.absolute.is_some_and(|absolute| absolute < 0.0 || !absolute.is_finite()) {
                let complaint = Complaint::new("a tolerance is not negative");
                problems.push((name, Some("absolute"), complaint));
            }
        }
        problems
    }

    fn rule(&self, metric: &str) -> Rule {
        let rules = self.0.iter().map(|(name, rule)| (MetricPattern::new(name), rule));
        let matching = rules.filter(|(pattern, _)| pattern.matches(metric));
        matching.max_by_key(|(pattern, _)| pattern.exactness()).map_or_else(Rule::default, |(_, rule)| *rule)
    }
}

impl Rules {
    /// What counts for a metric whose better values lie there.
    pub(super) fn allowance(&self, metric: &str, better: Better) -> Allowance {
        let rule = self.checks.rule(metric);
        let direction = rule.direction.unwrap_or(match better {
            Better::Lower => Direction::Lower,
            Better::Higher => Direction::Higher,
            Better::Fixed => Direction::Same,
            Better::Neither => Direction::Any,
        });
        // Of equally exact ones the last on the command line counts.
        let flags = self.tolerances.iter().filter(|tolerance| tolerance.metric.matches(metric));
        match flags.max_by_key(|tolerance| tolerance.metric.exactness()) {
            Some(flag) => Allowance { direction, absolute: flag.absolute, relative: flag.relative },
            None => Allowance {
                direction,
                absolute: rule.absolute.unwrap_or(0.0),
                relative: rule.relative.unwrap_or_default(),
            },
        }
    }
}

impl Allowance {
    /// How much a metric may change that was `baseline` before.
    pub fn amount(&self, baseline: f64) -> f64 {
        self.absolute.max(self.relative.of(baseline.abs()))
    }
}

impl FromStr for Tolerance {
    type Err = ParseToleranceError;

    fn from_str(text: &str) -> Result<Self, ParseToleranceError> {
        let Some((metric, amount)) = text.rsplit_once('=') else {
            return Err(ParseToleranceError::NoEquals(text.to_owned()));
        };
        let metric = MetricPattern::new(metric);
        metric.is_known().map_err(|near| {
            let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            ParseToleranceError::NoMetric(metric.to_string(), help)
        })?;
        if let Ok(relative) = amount.parse() {
            return Ok(Self { metric, absolute: 0.0, relative });
        }
        match amount.trim().parse::<f64>() {
            Ok(absolute) if absolute >= 0.0 && absolute.is_finite() => {
                Ok(Self { metric, absolute, relative: Percent::default() })
            }
            _ => Err(ParseToleranceError::Amount(amount.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str, tolerances: &[&str]) -> Rules {
        Rules {
            checks: serde_json::from_str(json).unwrap(),
            tolerances: tolerances.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn allowed(rules: &Rules, metric: &str, baseline: f64) -> (Direction, f64) {
        let allowance = rules.allowance(metric, Better::Lower);
        (allowance.direction, allowance.amount(baseline))
    }

    #[test]
    fn the_most_exact_rule_counts() {
        let rules = rules(
            r#"{"*": {"relative": "50%"}, "text.*": {"direction": "any"},
                "packs_created": {"absolute": 2, "relative": "10%", "direction": "same"}}"#,
            &[],
        );
        assert_eq!(allowed(&rules, "text.packs_created", 100.0), (Direction::Same, 10.0));
        assert_eq!(allowed(&rules, "text.packs_created", 0.0), (Direction::Same, 2.0));
        assert_eq!(allowed(&rules, "text.packs_freed", 100.0), (Direction::Any, 0.0));
        assert_eq!(allowed(&rules, "counters.MemFree", 100.0), (Direction::Lower, 50.0));
        assert_eq!(allowed(&Rules::default(), "counters.MemFree", 100.0), (Direction::Lower, 0.0));
    }

    #[test]
    fn the_command_line_has_the_last_word_on_tolerances() {
        let json = r#"{"packs_created": {"absolute": 2, "direction": "higher"}}"#;
        let rules = rules(json, &["*=1%", "packs_created=5%", "text.packs_freed=7", "text.packs_freed=8"]);
        assert_eq!(allowed(&rules, "text.packs_created", 100.0), (Direction::Higher, 5.0));
        assert_eq!(allowed(&rules, "text.packs_freed", 100.0), (Direction::Lower, 8.0));
        assert_eq!(allowed(&rules, "counters.MemFree", 100.0), (Direction::Lower, 1.0));
    }

    #[test]
    fn wrong_tolerances_say_what_is_right() {
        let error = |text: &str| text.parse::<Tolerance>().unwrap_err().to_string();
        assert_eq!(error("x"), "`x` has no `=`; write for example direct_map_level2_splits=5%");
        assert_eq!(error("packs_creatd=5%"), "no metric is called `packs_creatd`; did you mean `packs_created`?");
        for amount in ["", "-1", "x", "5 per cent", "inf"] {
            assert!(error(&format!("packs_created={amount}")).contains("such as 5%"), "{amount}");
        }
    }

    #[test]
    fn wrong_rules_are_found() {
        let checks: Checks =
            serde_json::from_str(r#"{"pack_created": {}, "MemFree": {"absolute": -1}, "text.*": {}}"#).unwrap();
        let found: Vec<String> = checks
            .problems()
            .into_iter()
            .map(|(name, key, complaint)| format!("{name} {key:?}: {} ({:?})", complaint.message, complaint.help))
            .collect();
        assert_eq!(
            found,
            [
                "MemFree Some(\"absolute\"): a tolerance is not negative (None)",
                "pack_created None: no metric is called `pack_created` (Some(\"did you mean `packs_created`?\"))"
            ]
        );
        assert!(serde_json::from_str::<Checks>(r#"{"MemFree": {"direction": "down"}}"#).is_err());
    }
}
