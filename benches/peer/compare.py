"""Prints the differences between the vectors of the three ways as JSON.

    python benches/peer/compare.py FOLDER --dataset FILE

FOLDER is the `--out` of `extract.py`, which ran for `best` and for at least one other way. A difference is the largest
one over all layers and over the entities of both ways, relative to the largest value of the layer in `best`. The last
layer of `paper` is not compared, because `paper` stores it after the final norm; its f16 rounds by up to 4.9e-4.
"""

import argparse
import csv
import json
import pathlib

import numpy
from safetensors.numpy import load_file

import texts


def largest(reference, other):
    """The largest difference between two arrays `[n, d_model]`, relative to the reference's largest value."""
    return float(numpy.abs(reference - other).max() / numpy.abs(reference).max())


class Kept:
    """The stored result of a torch way: vectors `[depth, n, d_model]` and the row of each entity."""

    def __init__(self, folder, way):
        self.vectors = numpy.load(folder / f"{way}.npy", mmap_mode="r")
        self.rows = {entity: row for row, entity in enumerate(numpy.load(folder / f"{way}.entities.npy").tolist())}


class Lab:
    """A store of mappa: one file per hook point, and the row of each entity from spans.csv."""

    def __init__(self, folder, names):
        self.folder = next(iter(folder.glob("lab/activations/*/*/*/")))
        with open(self.folder / "spans.csv", encoding="utf-8", newline="") as file:
            spans = list(csv.DictReader(file))
        self.rows = {int(span["row"]) - 1: row for row, span in enumerate(spans)}
        for span in spans:
            name = names[int(span["row"]) - 1]
            if span["name"] != name:
                raise SystemExit(f"row {span['row']}: mappa reads {span['name']!r}, torch {name!r}")

    def layer(self, depth):
        point = "blocks.0.hook_resid_pre" if depth == 0 else f"blocks.{depth - 1}.hook_resid_post"
        return load_file(self.folder / f"{point}.safetensors")["activations"]


def compare(folder, names):
    """For each way: the largest difference from `best`, and the number of compared entities."""
    best = Kept(folder, "best")
    n_layers = len(best.vectors) - 1
    found = {}
    if (folder / "paper.npy").exists():
        paper = Kept(folder, "paper")
        both = sorted(best.rows.keys() & paper.rows.keys())
        ours, theirs = [best.rows[i] for i in both], [paper.rows[i] for i in both]
        depths = range(n_layers)
        differences = [largest(best.vectors[d][ours], paper.vectors[d][theirs].astype("f4")) for d in depths]
        found["paper"] = {"entities": len(both), "by_layer": differences, "largest": max(differences)}
    if (folder / "lab").exists():
        lab = Lab(folder, names)
        both = sorted(best.rows.keys() & lab.rows.keys())
        ours, theirs = [best.rows[i] for i in both], [lab.rows[i] for i in both]
        differences = [largest(best.vectors[d][ours], lab.layer(d)[theirs]) for d in range(n_layers + 1)]
        found["mappa"] = {"entities": len(both), "by_layer": differences, "largest": max(differences)}
    for way, entry in found.items():
        if entry["entities"] == 0:
            raise SystemExit(f"{folder}: best and {way} have no entity in common; take a larger sample")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--dataset", type=pathlib.Path, required=True, help="the CSV file of the entities")
    args = parser.parse_args()
    print(json.dumps(compare(args.folder, texts.names(args.dataset))))


if __name__ == "__main__":
    main()
