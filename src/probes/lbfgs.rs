//! Minimisation of a smooth convex function of a matrix by L-BFGS, a quasi-Newton method with a limited memory.

use ndarray::Array2;
use std::collections::VecDeque;

/// The number of steps from which the curvature is estimated.
const MEMORY: usize = 10;
/// The share of the expected decrease that a step must reach (Armijo's rule).
const SUFFICIENT: f64 = 1e-4;
/// Maximum number of times that a step is halved.
const MAX_HALVINGS: usize = 30;

/// A smooth convex function of a matrix.
pub(in crate::probes) trait Convex {
    /// The value and the gradient at a point.
    fn value_and_gradient(&self, at: &Array2<f64>) -> (f64, Array2<f64>);

    /// The product of an approximate inverse Hessian matrix and a gradient; the better the approximation, the fewer steps.
    fn precondition(&self, gradient: Array2<f64>) -> Array2<f64> {
        gradient
    }
}

/// The sum of the products of entries.
fn dot(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The rule for stopping.
#[derive(Debug, Clone, Copy)]
pub(in crate::probes) struct Stop {
    /// The largest entry of the gradient.
    pub gradient: f64,
    /// Maximum number of steps.
    pub max_steps: usize,
}

/// A step and the change of the gradient along it.
struct Pair {
    step: Array2<f64>,
    change: Array2<f64>,
    /// 1 / (step · change)
    rho: f64,
}

/// The minimum, found from a start.
///
/// # Source
/// J. Nocedal and S. Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5, with a backtracking line search.
pub(in crate::probes) fn minimise(function: &dyn Convex, start: Array2<f64>, stop: Stop) -> Array2<f64> {
    let mut at = start;
    let (mut value, mut gradient) = function.value_and_gradient(&at);
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    for _ in 0..stop.max_steps {
        if gradient.iter().all(|slope| slope.abs() <= stop.gradient) {
            break;
        }
        let mut direction = direction(function, &pairs, &gradient);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            // Rounding errors spoilt the estimate of the curvature.
            pairs.clear();
            direction = -function.precondition(gradient.clone());
            slope = dot(&direction, &gradient);
        }
        let mut length = if pairs.is_empty() { first_length(&direction) } else { 1.0 };
        let mut found = None;
        for _ in 0..MAX_HALVINGS {
            let next = &at + &(&direction * length);
            let (next_value, next_gradient) = function.value_and_gradient(&next);
            if next_value <= value + SUFFICIENT * length * slope {
                found = Some((next, next_value, next_gradient));
                break;
            }
            length /= 2.0;
        }
        // Rounding errors hide any further decrease.
        let Some((next, next_value, next_gradient)) = found else { break };
        let (step, change) = (&next - &at, &next_gradient - &gradient);
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair { step, change, rho: 1.0 / curvature });
        }
        (at, value, gradient) = (next, next_value, next_gradient);
    }
    at
}

/// The length of the first step, before anything is known about the curvature.
fn first_length(direction: &Array2<f64>) -> f64 {
    (1.0 / dot(direction, direction).sqrt()).min(1.0)
}

/// The direction of the next step: minus the estimated inverse Hessian matrix times the gradient.
fn direction(function: &dyn Convex, pairs: &VecDeque<Pair>, gradient: &Array2<f64>) -> Array2<f64> {
    let mut q = gradient.clone();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = pair.rho * dot(&pair.step, &q);
        q.scaled_add(-share, &pair.change);
        shares.push(share);
    }
    let mut direction = function.precondition(q);
    if let Some(last) = pairs.back() {
        let scale = 1.0 / (last.rho * dot(&last.change, &function.precondition(last.change.clone())));
        direction *= scale;
    }
    for (pair, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let other = pair.rho * dot(&pair.change, &direction);
        direction.scaled_add(share - other, &pair.step);
    }
    -direction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ill-conditioned: the curvatures are 1, 10, 100, …, and the minimum is at 1, 2, 3, ….
    struct Bowl(bool);

    impl Convex for Bowl {
        fn value_and_gradient(&self, at: &Array2<f64>) -> (f64, Array2<f64>) {
            let apart = Array2::from_shape_fn(at.dim(), |(i, j)| at[[i, j]] - (i + 1) as f64);
            let gradient = Array2::from_shape_fn(at.dim(), |(i, j)| 10f64.powi(i as i32) * apart[[i, j]]);
            (dot(&gradient, &apart) / 2.0, gradient)
        }

        fn precondition(&self, gradient: Array2<f64>) -> Array2<f64> {
            let scale = |i: usize| if self.0 { 10f64.powi(i as i32) } else { 1.0 };
            Array2::from_shape_fn(gradient.dim(), |(i, j)| gradient[[i, j]] / scale(i))
        }
    }

    #[test]
    fn the_minimum_of_a_bowl_is_found() {
        for (is_preconditioned, max_steps) in [(false, 100), (true, 20)] {
            let stop = Stop { gradient: 1e-8, max_steps };
            let found = minimise(&Bowl(is_preconditioned), Array2::zeros((5, 1)), stop);
            assert!(found.iter().enumerate().all(|(i, x)| (x - (i + 1) as f64).abs() < 1e-7), "{found}");
        }
    }
}
