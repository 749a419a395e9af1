//! Student's t distribution, by the incomplete beta function.

use std::f64::consts::PI;

/// The two-sided p-value of `t` with `freedom` degrees of freedom.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return if t.is_nan() { f64::NAN } else { 0.0 };
    }
    let square = t * t;
    let (far, near) = (freedom / (freedom + square), square / (freedom + square));
    incomplete_beta(far, near, freedom / 2.0, 0.5)
}

/// The regularised incomplete beta function at `x`, by its continued fraction; `y` is `1 − x`, given separately
/// because near `x = 1` the subtraction would lose digits.
///
/// # Source
/// NIST Digital Library of Mathematical Functions, 8.17.22, evaluated by Lentz's method.
fn incomplete_beta(x: f64, y: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges quickly only below the mean.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(y, x, b, a);
    }
    let front = a * x.ln() + b * y.ln() - log_beta(a, b) - a.ln();
    let floor = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / floor(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for step in 1..10_000 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for term in [even, odd] {
            d = 1.0 / floor(1.0 + term * d);
            c = floor(1.0 + term / c);
            fraction *= c * d;
        }
        if (fraction / before - 1.0).abs() < 1e-16 {
            break;
        }
    }
    (front + fraction.ln()).exp()
}

/// `ln B(a, b)`.
fn log_beta(a: f64, b: f64) -> f64 {
    // If an argument is large, `ln Γ(b) − ln Γ(a + b)` loses digits; Stirling's series of the difference does not.
    let (small, large) = (a.min(b), a.max(b));
    if large < 20.0 {
        return log_gamma(a) + log_gamma(b) - log_gamma(a + b);
    }
    let sum = small + large;
    let main = (large - 0.5) * (-small / sum).ln_1p() - small * sum.ln() + small;
    log_gamma(small) + main + correction(large) - correction(sum)
}

/// The correction to Stirling's formula for `ln Γ(x)`, for `x ≥ 20`.
fn correction(x: f64) -> f64 {
    let y = 1.0 / (x * x);
    (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y / 1188.0)))) / x
}

/// `ln Γ(x)`.
fn log_gamma(x: f64) -> f64 {
    // Γ(x + 1) = x Γ(x) raises the argument to the range in which the series is accurate.
    let (mut x, mut product) = (x, 1.0);
    while x < 20.0 {
        product *= x;
        x += 1.0;
    }
    (x - 0.5) * x.ln() - x + (2.0 * PI).ln() / 2.0 + correction(x) - product.ln()
}
