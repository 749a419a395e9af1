//! Scores of the probabilities of classes, and the gain of one set of predictions over another.

use super::counted::sums;
use super::score::TargetScore;
use crate::results::{
    LOG_LOSS, MCFADDEN_R2, SURPLUS_OF_ACCURACY, SURPLUS_OF_LOG_LOSS, SURPLUS_OF_MCFADDEN_R2,
};
use std::sync::Arc;

/// Predictions of the class of each row.
#[derive(Debug, Clone, Default)]
pub(in crate::probes) struct ClassLosses {
    /// Minus the log-probability of the true class, in nats.
    pub losses: Arc<Vec<f64>>,
    /// The same with the shares of the classes among training entities as probabilities.
    pub of_shares: Arc<Vec<f64>>,
    /// 1 for a correct prediction, 0 for any other.
    pub is_right: Arc<Vec<f64>>,
}

/// The log-loss, and McFadden's R²: its share by which the log-loss is below that of the shares of the classes.
///
/// # Source
/// D. McFadden, "Conditional logit analysis of qualitative choice behavior" (1974). Log-loss as scikit-learn's `log_loss`.
pub(in crate::probes) fn log_loss_scores(column: &str, of: &ClassLosses) -> Vec<TargetScore> {
    let (losses, shares) = (of.losses.clone(), of.of_shares.clone());
    let zeros = vec![0.0; losses.len()];
    let mcfadden = move |counts: &[f64]| 1.0 - share([&losses, &zeros], &shares, counts);
    vec![
        TargetScore::mean_of(LOG_LOSS, column, of.losses.to_vec()),
        TargetScore::new(MCFADDEN_R2, column, mcfadden),
    ]
}

/// The gain of `both` over the text alone: of accuracy, of log-loss (by how much it is lower), of McFadden's R².
///
/// # Source
/// J. Hewitt, K. Ethayarajh, P. Liang and C. Manning, "Conditional probing: measuring usable information beyond a
/// baseline" (2021): the gain of log-loss is the information beyond the baseline.
pub(in crate::probes) fn class_gains(
    column: &str,
    both: &ClassLosses,
    text: &ClassLosses,
) -> Vec<TargetScore> {
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let (losses, of_text, shares) = (both.losses.clone(), text.losses.clone(), both.of_shares.clone());
    let mcfadden = move |counts: &[f64]| share([&of_text, &losses], &shares, counts);
    vec![
        TargetScore::mean_of(SURPLUS_OF_ACCURACY, column, apart(&both.is_right, &text.is_right)),
        TargetScore::mean_of(SURPLUS_OF_LOG_LOSS, column, apart(&text.losses, &both.losses)),
        TargetScore::new(SURPLUS_OF_MCFADDEN_R2, column, mcfadden),
    ]
}

/// The difference of two sums of losses as a share of a third.
fn share([a, b]: [&[f64]; 2], of: &[f64], counts: &[f64]) -> f64 {
    let [apart] = sums([a, b, counts], |a, b, count| [count * (a - b)]);
    let [all] = sums([of, of, counts], |of, _, count| [count * of]);
    apart / all
}

#[cfg(test)]
mod tests {
    use super::super::score::values;
    use super::*;

    fn losses(probabilities: [f64; 4], is_right: [f64; 4]) -> ClassLosses {
        ClassLosses {
            losses: Arc::new(probabilities.map(|p: f64| -p.ln()).to_vec()),
            of_shares: Arc::new(vec![2f64.ln(); 4]),
            is_right: Arc::new(is_right.to_vec()),
        }
    }

    #[test]
    fn the_shares_of_the_classes_explain_nothing_and_certainty_everything() {
        let shares = losses([0.5; 4], [1.0, 0.0, 1.0, 0.0]);
        let certain = losses([1.0; 4], [1.0; 4]);
        let of = |losses: &ClassLosses| values(&log_loss_scores("kind", losses), &[1.0; 4]);
        assert_eq!(of(&shares), [2f64.ln(), 0.0]);
        assert_eq!(of(&certain), [0.0, 1.0]);
        let gains = values(&class_gains("kind", &certain, &shares), &[2.0, 1.0, 0.0, 1.0]);
        assert_eq!(gains, [0.5, 2f64.ln(), 1.0]);
    }
}
