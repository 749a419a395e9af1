"""Extracts every layer's stream at each entity's last token, in one way per process, so that its memory can be measured.

    python benches/peer/extract.py paper --model FOLDER --dataset FILE --out FOLDER [--prompt TEXT] [--sample N]
    python benches/peer/extract.py best  --model FOLDER --dataset FILE --out FOLDER [--prompt TEXT] [--sample N]
    python benches/peer/extract.py mappa --model FOLDER --dataset FILE --out FOLDER [--prompt TEXT] [--mappa BINARY]
    python benches/peer/extract.py matmul

`paper` is the pipeline of Gurnee and Tegmark: the causal language model with its logits, batches of 128 texts in
dataset order padded on the right, and all hidden states, of which the last token's row is stored as f16. `best` is the
fastest fair way in torch; torch_ways.py describes it. `mappa` runs `mappa extract` into a new lab. `matmul` measures
the machine's rate of matrix products. Each prints one JSON object; all but `matmul` also write it and the vectors to
`--out`.

Seconds: `work` is the time from texts to vectors, without loading the model, the search for a batch size, checks and
saving; `processors` is the processor time of the same work; `process` is the wall time of the whole process. mappa does
not report its phases, so its `work` is its whole process, with loading, hashing and saving.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import sys
import time

import texts
from shapes import Shape

THREADS = 2
# Some machines force slow kernels on OpenBLAS with these variables. numpy reads them when it is loaded, later.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(THREADS)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = ROOT / "target/release/mappa"


def seconds_since_start():
    """Wall seconds since the start of this process, including the start of Python."""
    started = int(pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    up = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return up - started / os.sysconf("SC_CLK_TCK")


def token_ids(args):
    """The token ids of the texts by the model's tokenizer.json, with the library that mappa uses, and the seconds."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    started = time.monotonic()
    encoded = tokenizer.encode_batch([args.prompt + name for name in texts.names(args.dataset)])
    return [encoding.ids for encoding in encoded], time.monotonic() - started


def report(args, usage, result):
    """Adds the entries that are computed in the same way for all ways: rates and token counts."""
    shape, (ids, _) = Shape(args.model), token_ids(args)
    least, n = texts.forest(ids), len(ids)
    through, seconds = result.pop("through"), result["seconds"]["work"]
    flops = shape.flops(through) + (shape.logit_flops(through) if args.way == "paper" else 0)
    # The time of the whole dataset is estimated from a sample by the number of entities.
    whole = seconds * n / result["entities"]
    return {
        "way": args.way,
        "model": args.model.name,
        "dataset": args.dataset.name,
        "prompt": args.prompt,
        **result,
        "entities_of_dataset": n,
        "entities_per_second": result["entities"] / seconds,
        "tokens": {
            "through": through.tokens,
            "through_expected_of_whole": round(through.tokens * n / result["entities"]),
            "padded_of_whole": texts.padded(ids).tokens,
            "useful_of_whole": texts.useful(ids).tokens,
            "forest_of_whole": least.tokens,
            "distinct_texts": len({tuple(text) for text in ids}),
        },
        "gflops": {
            "through": flops / seconds / 1e9,
            "forest": shape.flops(least) / whole / 1e9,
        },
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_mb": usage.ru_maxrss / 1024,
        "weights_mb": shape.weight_bytes / 2**20,
    }


def run_mappa(args):
    """Runs `mappa extract` into a new lab; the card of the store has the number of computed tokens."""
    lab = args.out / "lab"
    shutil.rmtree(lab, ignore_errors=True)
    lab.mkdir(parents=True)
    words = [args.mappa, "--lab", lab, "extract", "--model", args.model.resolve(), "--dataset", args.dataset.resolve()]
    words = [*map(str, words), "--compute", args.numbers] + (["--prompt", args.prompt + "{}"] if args.prompt else [])
    started = time.monotonic()
    # Nothing large is loaded yet, because a child's peak memory starts at its parent's memory.
    child = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"mappa extract ended with {os.waitstatus_to_exitcode(status)}: {' '.join(words)}")
    folder = next(iter(lab.glob("activations/*/*/*/")))
    card = (folder / "card.json").read_text(encoding="utf-8")
    shape, (ids, _) = Shape(args.model), token_ids(args)
    through = texts.forest(ids)
    # Batches may compute a shared prefix again or not, so the number of tokens comes from the card.
    said = re.search(r'"n_tokens_computed": *"?(\d+)', card)
    if said is None:
        sys.exit(f"{folder / 'card.json'}: found no n_tokens_computed; expected the number of computed tokens")
    through.tokens = int(said[1])
    n_values = len(ids) * (shape.n_layers + 1) * shape.d_model
    return usage, {
        "entities": len(ids),
        "through": through,
        "numbers": args.numbers,
        "seconds": {"work": seconds, "processors": usage.ru_utime + usage.ru_stime, "process": seconds},
        "vectors": {"at": str(folder), "kept": "files, f32", "bytes": 4 * n_values},
    }


def run_torch(args):
    """Runs one of the two torch pipelines; returns its use of resources and its result."""
    import torch_ways

    ids, seconds = token_ids(args)
    result = torch_ways.WAYS[args.way](args, ids)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    result["seconds"]["work"] += seconds
    result["seconds"]["process"] = seconds_since_start()
    return usage, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=["paper", "best", "mappa", "matmul"])
    parser.add_argument("--model", type=pathlib.Path, help="a folder that make_models.py wrote")
    parser.add_argument("--dataset", type=pathlib.Path, help="a CSV file of entities")
    parser.add_argument("--prompt", default="", help="the text before the name, with the space")
    parser.add_argument("--out", type=pathlib.Path, help="a folder for vectors, lab and JSON")
    parser.add_argument("--sample", type=int, help="about this many entities, as evenly spaced whole batches (not for mappa)")
    parser.add_argument("--batch", help="best: N texts or Nt tokens per batch, instead of the search")
    parser.add_argument("--products", choices=["onednn", "mkl"], default="onednn", help="best: the library for matrix products")
    parser.add_argument("--numbers", choices=["f32", "bf16"], default="f32", help="the number format of the computation")
    parser.add_argument("--mappa", type=pathlib.Path, default=BUILT, help="the binary (default: target/release/mappa)")
    args = parser.parse_args()
    if args.way == "matmul":
        import torch_ways

        print(json.dumps(torch_ways.matmul_rates()))
        return
    if not (args.model and args.dataset and args.out):
        parser.error(f"{args.way} needs --model, --dataset and --out")
    if args.way == "mappa" and args.sample:
        parser.error("a sample for mappa would share fewer prefixes; use a dataset with fewer rows")
    args.out.mkdir(parents=True, exist_ok=True)
    usage, result = run_mappa(args) if args.way == "mappa" else run_torch(args)
    line = json.dumps(report(args, usage, result))
    (args.out / f"{args.way}.json").write_text(line + "\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
