//! Tables of sweeps: effects by layer and dose, and the recommendation.

use mappa::results::{SweepPoint, SweepRow};
use mappa::steering::{points, recommend};

/// Prints the effect of each direction at each layer and dose.
pub(super) fn print_points(rows: &[SweepRow]) {
    let (mut points, of) = points(rows);
    // The rows begin with dose 0 and keep the given order of the other doses.
    let is_curve = |a: &SweepPoint, b: &SweepPoint| a.layers == b.layers && a.direction == b.direction;
    points.chunk_by_mut(is_curve).for_each(|curve| curve.sort_by(|a, b| a.dose.total_cmp(&b.dose)));
    say!("change of the {of} along the dose (mean over prompts), and KL of the next token in nats:");
    let widest = points.iter().map(|p| p.layers.len()).max().unwrap_or(0).max(5);
    let counts = if of == "text" { "  along / against / nothing named, of texts" } else { "" };
    say!("{:>widest$}  {:<10} {:>9} {:>10} {:>8}{counts}", "layer", "direction", "dose", "effect", "KL");
    for p in points.iter().filter(|p| p.dose != 0.0) {
        let counts = match of {
            "text" => format!("  {} / {} / {} of {}", p.along, p.against, p.nothing, p.n_compared),
            _ => String::new(),
        };
        let effect = if p.n_read == 0 { "-".into() } else { format!("{:.2}", p.effect) };
        say!("{:>widest$}  {:<10} {:>+9} {effect:>10} {:>8.3}{counts}", p.layers, p.direction, p.dose, p.kl);
    }
    if of == "text" {
        say!("{}", foot(&points));
    }
}

/// The number of texts in the means, and the reasons why the others are not in them.
fn foot(points: &[SweepPoint]) -> String {
    let steered = || points.iter().filter(|p| p.dose != 0.0);
    let sum = |count: fn(&SweepPoint) -> usize| steered().map(count).sum::<usize>();
    let (read, nothing) = (sum(|p| p.n_read), sum(|p| p.nothing));
    let all = sum(|p| p.n);
    format!(
        "effect: the mean over {read} of {all} texts; left out are {nothing} that name nothing, and {} whose unsteered \
         text names nothing",
        all - read - nothing
    )
}

/// Prints the layer and dose with the largest effect whose KL divergence is within the budget.
pub(super) fn print_recommendation(rows: &[SweepRow], budget: f64) {
    match recommend(rows, budget) {
        Some(best) => {
            let random = best.random.map_or(String::new(), |r| format!(" (random directions: {r:.2})"));
            say!(
                "best within {budget} nats: layer {}, dose {:+} along {}: the {} moves by {:.2}{random}, KL {:.2}",
                best.layers,
                best.dose,
                best.direction,
                best.effect_of,
                best.effect,
                best.kl
            );
        }
        None => {
            let (points, of) = points(rows);
            let steered = |p: &&SweepPoint| p.direction != "random" && p.dose != 0.0;
            match points.iter().filter(steered).any(|p| p.kl <= budget) {
                true => say!(
                    "no dose within {budget} nats moves the {of}: try larger doses, other layers or prompts"
                ),
                false => {
                    say!("no dose stays within {budget} nats: try smaller doses, or a larger --budget");
                }
            }
        }
    }
}
