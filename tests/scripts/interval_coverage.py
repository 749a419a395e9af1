"""Simulates how often 95 % bootstrap intervals of R² contain the true R².

    python tests/scripts/interval_coverage.py

Needs numpy and scipy. Each trial draws new entities (or whole new groups of entities, of unequal size), predicts their
targets with an error that groups share in part, and computes three intervals from the same resamples of entities or groups:

- percentile: the 2.5th and the 97.5th percentile of the resamples;
- expanded: the percentiles of a normal variable at ± t(G - 1) sqrt(G / (G - 1)) (Hesterberg, "What Teachers Should Know
  about the Bootstrap", 2014, section 4.3), as src/probes/metrics/bootstrap.rs computes it;
- BCa: bias-corrected and accelerated (Efron, 1987), with the jackknife over the same units.

The true R² is that of a million entities.
"""

import sys

import numpy
from scipy import stats

RESAMPLES = 500


def draw(rng, n_groups, mean_size, shared):
    """Targets and predictions; `shared` is the share of the variance that entities of a group have in common."""
    sizes = numpy.maximum(1, rng.lognormal(numpy.log(mean_size), 0.8, n_groups).astype(int)) if mean_size > 1 else numpy.ones(n_groups, int)
    group = numpy.repeat(numpy.arange(n_groups), sizes)
    mix = lambda scale: scale * (
        numpy.sqrt(shared) * rng.normal(size=n_groups)[group] + numpy.sqrt(1 - shared) * rng.normal(size=len(group))
    )
    truth = mix(1.0)
    # The predictions explain about half of the variance, with errors that are larger in some groups.
    spread = rng.lognormal(0, 0.3, n_groups)[group]
    return group, truth, 0.5 * truth + mix(0.5) * spread


def sums(group, n_groups, truth, predicted):
    """Per group: count, sum of the truth, its squares, squared errors."""
    of = lambda values: numpy.bincount(group, values, n_groups)
    return numpy.stack([of(numpy.ones_like(truth)), of(truth), of(truth**2), of((truth - predicted) ** 2)])


def r2(totals):
    n, sum_, squares, errors = totals
    return 1 - errors / (squares - sum_**2 / n)


def intervals(rng, per_group):
    n_groups = per_group.shape[1]
    counts = rng.multinomial(n_groups, numpy.full(n_groups, 1 / n_groups), RESAMPLES)
    values = r2(per_group @ counts.T)
    values = numpy.sort(values[numpy.isfinite(values)])
    if len(values) < 2:
        return None
    found = r2(per_group.sum(1))
    ends = lambda low, high: numpy.quantile(values, [low, high])
    wide = stats.norm.cdf(-stats.t.ppf(0.975, n_groups - 1) * numpy.sqrt(n_groups / (n_groups - 1)))
    left_out = r2(per_group.sum(1, keepdims=True) - per_group)
    deviation = left_out.mean() - left_out
    acceleration = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    bias = stats.norm.ppf(numpy.clip((values < found).mean(), 1e-3, 1 - 1e-3))
    bca = lambda z: stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
    return {
        "percentile": ends(0.025, 0.975),
        "expanded": ends(wide, 1 - wide),
        "BCa": ends(bca(-1.96), bca(1.96)),
    }


def coverage(n_groups, mean_size, shared, n_trials, seed=0):
    rng = numpy.random.default_rng(seed)
    many = draw(rng, 1_000_000 // mean_size, mean_size, shared)
    true = r2(sums(many[0], many[0].max() + 1, *many[1:]).sum(1))
    hits, n = {"percentile": 0, "expanded": 0, "BCa": 0}, 0
    for _ in range(n_trials):
        group, truth, predicted = draw(rng, n_groups, mean_size, shared)
        found = intervals(rng, sums(group, n_groups, truth, predicted))
        if found is None:
            continue
        n += 1
        for name, (low, high) in found.items():
            hits[name] += low <= true <= high
    return {name: hits[name] / n for name in hits}


def main(n_trials=2000):
    print("| units | entities per unit | variance shared in a unit | percentile | expanded | BCa |")
    print("|--:|--:|--:|--:|--:|--:|")
    for n_groups, mean_size in [(50, 1), (200, 1), (1000, 1), (5, 30), (8, 30), (12, 30), (20, 30), (40, 30), (100, 30)]:
        for shared in [0.0] if mean_size == 1 else [0.2, 0.6]:
            found = coverage(n_groups, mean_size, shared, int(n_trials))
            cells = " | ".join(f"{found[name]:.3f}" for name in ["percentile", "expanded", "BCa"])
            print(f"| {n_groups} | {mean_size} | {shared} | {cells} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
