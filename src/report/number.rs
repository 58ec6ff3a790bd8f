//! Numbers as text.

use serde_json::Value;

/// A number: whole ones as they are, others with three digits behind the point at most. Those that would be nothing in
/// that way have one digit and an exponent.
pub(crate) fn text(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.0005 {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.3}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A change: with its sign.
pub(super) fn signed(value: f64) -> String {
    let text = text(value);
    if value > 0.0 { format!("+{text}") } else { text }
}

/// A change in percent: with its sign, in three digits or so.
pub(super) fn percent(value: f64) -> String {
    let digits = if value.abs() < 99.95 { 1 } else { 0 };
    format!("{value:+.digits$}%")
}

/// A number in JSON: whole ones without a point.
pub(crate) fn json(value: f64) -> Value {
    // Up to 2^53 every whole number has a float of its own.
    const EXACT: f64 = (1u64 << 53) as f64;
    if value.fract() == 0.0 && value.abs() <= EXACT { Value::from(value as i64) } else { Value::from(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_whole() {
        assert_eq!(
            [0.0, -0.0, 751.0, 7.5, 1.0 / 3.0, 1e15].map(text),
            ["0", "0", "751", "7.5", "0.333", "1000000000000000"]
        );
        assert_eq!([0.0005, 0.000_499, 2e-9].map(text), ["0.001", "5e-4", "2e-9"]);
        assert_eq!([9.0, -9.0, 0.0, -0.0001].map(signed), ["+9", "-9", "0", "-1e-4"]);
        assert_eq!([-23.36, 0.04, 100.0, -12345.6].map(percent), ["-23.4%", "+0.0%", "+100%", "-12346%"]);
        assert_eq!([751.0, -0.5, 1e17].map(|value| json(value).to_string()), ["751", "-0.5", "1e+17"]);
    }
}
