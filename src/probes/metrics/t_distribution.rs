//! Student's t distribution, by the incomplete beta function.

use std::f64::consts::PI;

/// The two-sided p-value of `t` with `freedom` degrees of freedom.
pub(in crate::probes) fn two_sided(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return if t.is_nan() { f64::NAN } else { 0.0 };
    }
    let square = t * t;
    let (far, near) = (freedom / (freedom + square), square / (freedom + square));
    incomplete_beta(far, near, freedom / 2.0, 0.5)
}

/// The limit that `|t|` exceeds with a probability of 0.05.
fn limit_of_95(freedom: f64) -> f64 {
    // The limit is 12.7 with one degree of freedom and falls to 1.96.
    let (mut low, mut high) = (1.9, 13.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if two_sided(middle, freedom) > 0.05 { low = middle } else { high = middle }
    }
    high
}

/// The share of resamples of `n` units below the lower end of a 95 % interval: 0.025 for many units, less for few.
///
/// Resamples of few units vary too little, by a factor of `√(n / (n − 1))`, and follow the normal distribution instead
/// of Student's t.
///
/// # Source
/// T. Hesterberg, "What Teachers Should Know about the Bootstrap" (2014), section 4.3: the expanded percentile interval.
pub(super) fn expanded_share(n: usize) -> f64 {
    /// Degrees of freedom at which the distribution is practically the normal one.
    const MANY: f64 = 1e9;
    match n {
        0 | 1 => 0.0,
        n => {
            let n = n as f64;
            two_sided(limit_of_95(n - 1.0) * (n / (n - 1.0)).sqrt(), MANY) / 2.0
        }
    }
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
    // The fraction converges quickly only below this limit, which is near the mean.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_units_have_a_smaller_share_below_the_interval() {
        const EXPANDED: [(usize, f64); 4] = [
            (5, 9.541005518824907e-4),
            (12, 1.0756614916552488e-2),
            (40, 2.0257536362843834e-2),
            (200, 2.4026184770620417e-2),
        ];
        // scipy 1.17.1: norm.cdf(-t.ppf(0.975, n - 1) * sqrt(n / (n - 1))).
        for (n, expected) in EXPANDED {
            let found = expanded_share(n);
            assert!((found / expected - 1.0).abs() < 1e-6, "{n}: {found} {expected}");
        }
        assert_eq!(expanded_share(1), 0.0);
        assert!((expanded_share(1_000_000) - 0.025).abs() < 1e-6);
    }
}
