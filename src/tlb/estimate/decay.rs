//! The exponential function of what is not above zero, to ten digits: an estimate needs it some ten thousand times.

/// Below this, two terms of the series are exact to ten digits.
const SMALL: f64 = 1e-5;
/// Above this nothing is left.
const LARGE: f64 = 700.0;

/// `exp(-x)`; x is not negative.
#[inline]
pub(super) fn left(x: f64) -> f64 {
    if x > LARGE {
        return 0.0;
    }
    // exp(-x) = 2^-n exp(-r), r at most half of ln 2 either way.
    let n = (x * std::f64::consts::LOG2_E + 0.5) as u64;
    let r = x - n as f64 * std::f64::consts::LN_2;
    let series = 1.0 / 40_320.0;
    let series = 1.0 / 5040.0 - r * series;
    let series = 1.0 / 720.0 - r * series;
    let series = 1.0 / 120.0 - r * series;
    let series = 1.0 / 24.0 - r * series;
    let series = 1.0 / 6.0 - r * series;
    let series = 0.5 - r * series;
    let series = 1.0 - r * (1.0 - r * series);
    // As many powers of two less in the exponent.
    series * f64::from_bits((1023 - n) << 52)
}

/// `1 - exp(-x)`; x is not negative.
#[inline]
pub(super) fn gone(x: f64) -> f64 {
    if x < SMALL { x - x * x / 2.0 } else { 1.0 - left(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_digits_are_right() {
        let mut x = 1e-9;
        while x < 600.0 {
            assert!((left(x) / (-x).exp() - 1.0).abs() < 1e-9, "{x}");
            assert!((gone(x) / -(-x).exp_m1() - 1.0).abs() < 1e-9, "{x}");
            x *= 1.01;
        }
        assert_eq!((left(0.0), gone(0.0), left(f64::INFINITY), gone(1e300)), (1.0, 0.0, 0.0, 1.0));
    }
}
