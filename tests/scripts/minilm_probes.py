"""Compares the scores of mappa's probes with those of scikit-learn, on the activations of a real encoder.

    pip install numpy scipy scikit-learn pandas safetensors
    python tests/scripts/minilm_probes.py [--datasets world_place,us_place,...] [--lab LAB] [--mappa MAPPA]

The model is that of minilm.py. `mappa probe --no-baselines` extracts the last token of every name of the datasets in
`--data` and fits the ridge at all 7 hook points. Then scikit-learn's RidgeCV is fitted to the same activations, targets
and training rows. It chooses the penalty by leave-one-out error from the same grid, two penalties per decade relative to
the mean eigenvalue; its targets are standardised, so that both choose by the same criterion. The scores are
scikit-learn's (R², mean absolute error), SciPy's (Spearman) and great-circle distances computed in this script. Every
score at every hook point must agree to 4 decimals (kilometres and years to 4 significant digits). Prints two tables; the
exit status is 1 if a score or a penalty differs. Not part of the test suite: it needs the network and some minutes.
"""

import argparse
import pathlib
import platform
import sys
import tempfile

import numpy as np
import pandas as pd
import scipy
import scipy.stats
import sklearn
from minilm import NAME, ROOT, link, model_folder, run
from safetensors.numpy import load_file
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score

DATASETS = ["world_place", "us_place", "nyc_place", "historical_figure", "art", "headline"]
RADIUS_KM = 6371.0088
# Exponents of the grid, as in docs/probes.md: from FROM to TO in steps of 1/2; while the choice is at an end, the grid grows
# there by one decade, down to FLOOR and up to CEILING.
FROM, TO, FLOOR, CEILING = -7, 2, -10, 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = [ROOT / "target" / profile / "mappa" for profile in ("release", "debug")]
    parser.add_argument("--mappa", type=pathlib.Path, default=next((b for b in built if b.is_file()), built[0]))
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data")
    parser.add_argument("--datasets", default=",".join(DATASETS))
    parser.add_argument("--lab", type=pathlib.Path, help="the folder for results (default: a temporary folder)")
    return parser.parse_args()


def fit(x, y):
    """Fits RidgeCV on the growing grid; returns a function that predicts rows, and the penalty."""
    mean, spread = y.mean(0), y.std(0)
    centred = x - x.mean(0)
    values = np.linalg.eigvalsh(centred.T @ centred)
    kept = values[values > values.max() * np.finfo(float).eps * len(values)]
    low, high = FROM, TO
    while True:
        alphas = kept.mean() * 10 ** (np.arange(2 * low, 2 * high + 1) / 2)
        ridge = RidgeCV(alphas=alphas, gcv_mode="svd").fit(x, (y - mean) / spread)
        if ridge.alpha_ == alphas[-1] and high < CEILING:
            high += 1
        elif ridge.alpha_ == alphas[0] and low > FLOOR:
            low -= 1
        else:
            return lambda rows: ridge.predict(rows).reshape(len(rows), -1) * spread + mean, float(ridge.alpha_)


def kilometres(a, b):
    """Great-circle distances; columns are latitude, which is clipped to ±90, and longitude."""
    (lat_a, lon_a), (lat_b, lon_b) = (np.radians([np.clip(v[:, 0], -90, 90), v[:, 1]]) for v in (a, b))
    half = np.sin((lat_a - lat_b) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_a - lon_b) / 2) ** 2
    return 2 * RADIUS_KM * np.arcsin(np.sqrt(half))


def scores(truth, read, targets):
    """The scores by metric and target, with the names in scores.csv."""
    found = {}
    for t, target in enumerate(targets):
        found["r2", target] = r2_score(truth[:, t], read[:, t])
        found["spearman", target] = scipy.stats.spearmanr(truth[:, t], read[:, t]).statistic
        unit = "degrees" if len(targets) == 2 else "years"
        found["mae_" + unit, target] = mean_absolute_error(truth[:, t], read[:, t])
    if len(targets) == 2:
        km = kilometres(truth, read)
        found["mean_km", "great-circle"], found["median_km", "great-circle"] = km.mean(), np.median(km)
    for metric in ["r2", "spearman"]:
        found[metric, "mean"] = np.mean([found[metric, target] for target in targets])
    return found


def is_equal(ours, theirs, metric):
    """True if two scores agree to 4 decimals, or to 4 significant digits if the metric has a unit."""
    has_unit = metric.startswith("mae") or metric.endswith("km")
    return abs(ours - theirs) < 5e-5 * (abs(theirs) if has_unit else 1)


def compare(lab, dataset):
    """For each hook point: the layer, mappa's scores, the other scores, both penalties, and mappa's leave-one-out R²."""
    folder, arrays = (lab / kind / NAME / dataset / end for kind, end in (("probes", "empty.alone"), ("activations", "empty")))
    rows = pd.read_csv(folder / "predictions.csv")
    targets = list(dict.fromkeys(rows.target))
    truth = rows.truth.to_numpy().reshape(-1, len(targets))  # the targets of an entity are in consecutive rows
    is_test = rows.split.to_numpy()[:: len(targets)] == "test"
    ours = pd.read_csv(folder / "scores.csv", keep_default_na=False).query("method == 'ridge'")
    for point, of_point in ours.groupby("hook_point", sort=False):
        x = load_file(arrays / f"{point}.safetensors")["activations"].astype(np.float64)
        read, penalty = fit(x[~is_test], truth[~is_test])
        theirs = scores(truth[is_test], read(x[is_test]), targets)
        of_test = of_point[of_point.split == "test"].set_index(["metric", "target"]).value.astype(float)
        own = float(of_point[of_point.metric == "penalty"].value.iloc[0])
        loo = of_point[(of_point.split == "leave-one-out") & (of_point.metric == "r2") & (of_point.target == "mean")]
        yield of_point.layer.iloc[0], {key: of_test[key] for key in theirs}, theirs, (own, penalty), float(loo.value.iloc[0])


def main(args, lab):
    link(model_folder(), lab)
    same, best_rows, all_rows = True, [], []
    for dataset in args.datasets.split(","):
        words = ["--dataset", args.data / f"{dataset}.csv", "--no-baselines", "--resamples", 20]
        run(args.mappa, lab, "probe", "--model", NAME, *words)
        layers = list(compare(lab, dataset))
        apart, n = 0.0, 0
        for layer, ours, theirs, (own, penalty), _ in layers:
            for key, value in theirs.items():
                apart, n = max(apart, abs(ours[key] - value) / max(1, abs(value))), n + 1
                if not is_equal(ours[key], value, key[0]):
                    same = False
                    print(f"DIFFERS: {dataset} {layer} {key}: {ours[key]:.6f}, scikit-learn {value:.6f}")
            if abs(own / penalty - 1) > 1e-6:
                same = False
                print(f"DIFFERS: {dataset} {layer} penalty: {own:.6g}, scikit-learn {penalty:.6g}")
        curve = " | ".join(f"{ours['r2', 'mean']:.4f}" for _, ours, *_ in layers)
        all_rows.append(f"| {dataset} | {curve} | {n} | {apart:.1e} |")
        layer, ours, theirs, (_, penalty), _ = max(layers, key=lambda found: found[-1])
        error = ("mean_km", "great-circle") if ("mean_km", "great-circle") in theirs else ("mae_years", "year")
        unit = "km" if error[0] == "mean_km" else "years"
        cells = [f"{values[key]:.4f}" for key in [("r2", "mean"), ("spearman", "mean")] for values in (ours, theirs)]
        errors = " | ".join(f"{values[error]:.2f} {unit}" for values in (ours, theirs))
        best_rows.append(f"| {dataset} | {layer} | {penalty:.3g} | {' | '.join(cells)} | {errors} |")
    print(f"\nscikit-learn {sklearn.__version__}, SciPy {scipy.__version__}, numpy {np.__version__}, Python {platform.python_version()}\n")
    print("| dataset | layer | λ | R², mappa | scikit-learn | Spearman, mappa | SciPy | error, mappa | numpy |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|", *best_rows, sep="\n")
    print("\n| dataset | embed | 0 | 1 | 2 | 3 | 4 | 5 | scores | largest difference |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|", *all_rows, sep="\n")
    print("\nequal" if same else "\nNOT equal")
    return 0 if same else 1


if __name__ == "__main__":
    given = arguments()
    if given.lab:
        sys.exit(main(given, given.lab))
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(given, pathlib.Path(temporary)))
