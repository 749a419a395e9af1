//! Holm's rule: of several hypotheses, those that are rejected while the probability of any false rejection stays small.

/// The hypotheses that are rejected at a level: the i-th smallest of `m` p-values must be at most `level / (m − i + 1)`, as
/// must all smaller ones at their own limits. A p-value that is not a number is no hypothesis.
///
/// # Source
/// S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
pub(in crate::probes) fn rejected_by_holm(p_values: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).filter(|&i| !p_values[i].is_nan()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut rejected = vec![false; p_values.len()];
    let is_small = |(at, i): &(usize, &usize)| p_values[**i] <= level / (order.len() - at) as f64;
    order.iter().enumerate().take_while(is_small).for_each(|(_, &i)| rejected[i] = true);
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_p_value_ends_the_rejections() {
        // statsmodels 0.14, multipletests(method="holm"): the limits are 0.0125, 0.0167, 0.025 and 0.05.
        assert_eq!(rejected_by_holm(&[0.03, 0.001, 0.016, 0.04], 0.05), [false, true, true, false]);
        assert_eq!(rejected_by_holm(&[0.02, f64::NAN, 0.03], 0.05), [true, false, true]);
        assert!(rejected_by_holm(&[], 0.05).is_empty());
    }
}
