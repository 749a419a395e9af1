"""Compares mappa's AUROC on binary tasks of sae-probes with that package's own baseline, on the same activations.

    pip install numpy scikit-learn pandas safetensors
    pip download --no-deps sae-probes
    python tests/scripts/sae_probes.py --wheel sae_probes-0.4.2-py3-none-any.whl --model MODEL [--tasks 105_click_bait,...]

Each task is written as CSV with its prompts, its labels and the package's own draw of training and test rows
(`get_train_test_indices`, seed 42), imported by `mappa datasets import --classes`, and probed by `mappa probe --classes target
--method logistic` at every hook point. Then two references are fitted to the same activations and rows:

- `sae-probes`: `find_best_reg` of the package, read from the wheel: scikit-learn's LogisticRegression on activations that are not
  standardised, with C chosen by cross-validation;
- `C=1`: scikit-learn's LogisticRegression on standardised columns, which is mappa's own estimator.

Prints a table for each task; the exit status is 1 if mappa's AUROC differs from that of `C=1` by more than 0.001. Not part of the test
suite: it needs the wheel, a model, the program `zstd` and some minutes.
"""

import argparse
import ast
import io
import pathlib
import subprocess
import sys
import tempfile
import warnings
import zipfile

import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import LeavePOut, StratifiedKFold
from sklearn.preprocessing import LabelEncoder, StandardScaler

ROOT = pathlib.Path(__file__).resolve().parents[2]
TASKS = "105_click_bait,96_spam_is,87_glue_cola"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = [ROOT / "target" / profile / "mappa" for profile in ("release", "debug")]
    parser.add_argument("--mappa", type=pathlib.Path, default=next((b for b in built if b.is_file()), built[0]))
    parser.add_argument("--wheel", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="atlas")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--train", type=int, default=1024, help="training rows, as in the package's normal setting")
    parser.add_argument("--test", type=int, default=500, help="test rows; the package takes all others")
    parser.add_argument("--every", type=int, default=6, help="fit the references at every so many hook points")
    parser.add_argument("--lab", type=pathlib.Path, help="the folder for results (default: a temporary folder)")
    return parser.parse_args()


def functions(wheel):
    """The package's functions, without its imports of torch and other libraries."""
    found = {"np": np, "random": __import__("random"), "StratifiedKFold": StratifiedKFold, "LeavePOut": LeavePOut}
    found |= {"LogisticRegression": LogisticRegression, "roc_auc_score": roc_auc_score}
    found |= {"accuracy_score": accuracy_score, "f1_score": f1_score, "StandardScaler": StandardScaler}
    wanted = {"get_cv", "get_splits", "find_best_reg", "get_train_test_indices"}

    class Result:
        def __init__(self, metrics=None, **others):
            self.__dict__ |= {"metrics": metrics, **others}

    found |= {"Metrics": Result, "BestClassifierResults": Result}
    for file in ("utils_training", "utils_data"):
        for node in ast.parse(wheel.read(f"sae_probes/{file}.py").decode()).body:
            if isinstance(node, ast.FunctionDef) and node.name in wanted:
                node.returns, node.decorator_list = None, []
                exec(compile(ast.Module([node], []), file, "exec"), found)
    return found


def task_rows(wheel, name, settings, draw):
    """The rows of a task that are used, with their split."""
    packed = wheel.read(f"sae_probes/data/cleaned_data/{name}.csv.zst")
    rows = pd.read_csv(io.BytesIO(subprocess.run(["zstd", "-dcq"], input=packed, stdout=subprocess.PIPE, check=True).stdout))
    y = LabelEncoder().fit_transform(rows.target.values)
    n_train = min(len(rows) - 100, settings.train)
    n_test = min(len(rows) - n_train - 1, settings.test)
    train, test = draw(y, n_train, n_test)
    rows["is_test"] = np.isin(np.arange(len(rows)), test)
    rows["number"] = y
    return rows.iloc[np.concatenate([train, test])][["prompt", "target", "number", "is_test"]]


def run(mappa, *words):
    done = subprocess.run([mappa, *words], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit status {done.returncode}")
    return done.stdout


def main():
    warnings.filterwarnings("ignore")
    settings = arguments()
    wheel = zipfile.ZipFile(settings.wheel)
    theirs = functions(wheel)
    lab = settings.lab or pathlib.Path(tempfile.mkdtemp())
    largest = 0.0
    for task in settings.tasks.split(","):
        name = task.replace(" ", "_")
        rows = task_rows(wheel, task, settings, theirs["get_train_test_indices"])
        file = lab / f"{name}.csv"
        rows.drop(columns="number").to_csv(file, index=False)
        run(settings.mappa, "datasets", "import", file, "--entity", "prompt", "--classes", "target", "--lab", lab)
        flags = ["--classes", "target", "--method", "logistic", "--no-baselines", "--resamples", "200"]
        run(settings.mappa, "probe", "--model", settings.model, "--dataset", name, *flags, "--lab", lab)
        scores = pd.read_csv(next((lab / "probes").glob(f"*/{name}/*/scores.csv")), keep_default_na=False)
        arrays = next((lab / "activations").glob(f"*/{name}/*"))
        y, is_test = rows.number.to_numpy(), rows.is_test.to_numpy()
        ours = scores.query("method == 'logistic' and metric == 'auroc' and split == 'test'").set_index("hook_point").value
        print(f"{task}: {(~is_test).sum()} training rows, {is_test.sum()} test rows")
        print(f"{'layer':>8} {'mappa':>8} {'C=1':>8} {'sae-probes':>11}")
        points = list(ours.index)
        for point in points[:: settings.every] + [points[-1]] * ((len(points) - 1) % settings.every > 0):
            x = load_file(arrays / f"{point}.safetensors")["activations"].astype(np.float64)
            scale = StandardScaler().fit(x[~is_test])
            same = LogisticRegression(max_iter=10_000, tol=1e-8).fit(scale.transform(x[~is_test]), y[~is_test])
            same = roc_auc_score(y[is_test], same.decision_function(scale.transform(x[is_test])))
            best = theirs["find_best_reg"](x[~is_test], y[~is_test], x[is_test], y[is_test], seed=42).metrics.test_auc
            largest = max(largest, abs(float(ours[point]) - same))
            print(f"{point.split('.hook')[0]:>8} {float(ours[point]):>8.4f} {same:>8.4f} {best:>11.4f}")
        print(f"    mappa's best layer on the test rows: {ours.astype(float).max():.4f} at {ours.astype(float).idxmax()}")
    print(f"largest difference from C=1: {largest:.2e}")
    sys.exit(largest > 1e-3)


main()
