"""One way of extracting every layer's stream at each entity's last token, in a process of its own, so that its memory
is its own.

    python benches/peer/extract.py paper --model FOLDER --dataset FILE --out FOLDER [--prompt TEXT] [--sample N]
    python benches/peer/extract.py best  --model FOLDER --dataset FILE --out FOLDER [--prompt TEXT] [--sample N]
    python benches/peer/extract.py mappa --model FOLDER --dataset FILE --out FOLDER [--prompt TEXT] [--mappa BINARY]
    python benches/peer/extract.py matmul

`paper` is the pipeline of Gurnee and Tegmark: the causal language model with its logits, batches of 128 in dataset
order padded on the right, all hidden states, the last token of each gathered and kept as f16. `best` is the strongest
fair way in torch; torch_ways.py says what it does. `mappa` runs `mappa extract` into a fresh lab. `matmul` measures
the machine's rate of matrix products. Each prints one JSON object, and writes it and its vectors into `--out`.

Seconds: `work` is from texts to vectors, without loading the model, the search for a batch size, checks and saving;
`processors` is what all processors spent on it; `process` is all of it, from the start of Python or of the binary to
its end. mappa tells no split, so its `work` is its whole process: loading, hashing and saving included.
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
# Kernels that are forced on some machines and slow numpy down; read when it is loaded, which is later.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = str(THREADS)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILT = ROOT / "target/release/mappa"


def seconds_since_start():
    """Wall seconds since this process was started, what Python needed to start among them."""
    started = int(pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    up = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return up - started / os.sysconf("SC_CLK_TCK")


def token_ids(args):
    """The texts as the model's tokenizer.json cuts them, by the library that mappa uses, and the seconds it took."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    started = time.monotonic()
    encoded = tokenizer.encode_batch([args.prompt + name for name in texts.names(args.dataset)])
    return [encoding.ids for encoding in encoded], time.monotonic() - started


def report(args, usage, result):
    """Adds what is computed alike for all ways: rates, and the least that had to be computed."""
    shape, (ids, _) = Shape(args.model), token_ids(args)
    least, n = texts.forest(ids), len(ids)
    through, seconds = result.pop("through"), result["seconds"]["work"]
    flops = shape.flops(through) + (shape.logit_flops(through) if args.way == "paper" else 0)
    # Of a sample, the whole is expected to take as much longer as it has more entities.
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
    """`mappa extract` into a fresh lab; its own account of tokens is in the card of what it wrote."""
    lab = args.out / "lab"
    shutil.rmtree(lab, ignore_errors=True)
    lab.mkdir(parents=True)
    words = [args.mappa, "--lab", lab, "extract", "--model", args.model.resolve(), "--dataset", args.dataset.resolve()]
    words = [*map(str, words), "--compute", args.numbers] + (["--prompt", args.prompt + "{}"] if args.prompt else [])
    started = time.monotonic()
    # Nothing large is loaded yet: a child's peak memory begins with what its parent held.
    child = os.posix_spawn(words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
    _, status, usage = os.wait4(child, 0)
    seconds = time.monotonic() - started
    if status != 0:
        sys.exit(f"mappa extract ended with {os.waitstatus_to_exitcode(status)}: {' '.join(words)}")
    folder = next(iter(lab.glob("activations/*/*/*/")))
    card = (folder / "card.json").read_text(encoding="utf-8")
    shape, (ids, _) = Shape(args.model), token_ids(args)
    through = texts.forest(ids)
    # Groups may compute the beginnings that they share with one another again, or leave them out.
    said = re.search(r'"n_tokens_computed": *"?(\d+)', card)
    if said is None:
        sys.exit(f"{folder / 'card.json'}: found no n_tokens_computed; expected what the run computed")
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
    """One of the two torch pipelines, and what it used."""
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
    parser.add_argument("--prompt", default="", help="what stands before the name, with its space")
    parser.add_argument("--out", type=pathlib.Path, help="a folder for vectors, lab and JSON")
    parser.add_argument("--sample", type=int, help="about so many entities, as whole batches evenly spread (not mappa)")
    parser.add_argument("--batch", help="best: N texts or Nt tokens in a batch, in place of the search")
    parser.add_argument("--products", choices=["onednn", "mkl"], default="onednn", help="best: who multiplies matrices")
    parser.add_argument("--numbers", choices=["f32", "bf16"], default="f32", help="what a way computes in")
    parser.add_argument("--mappa", type=pathlib.Path, default=BUILT, help="the binary (default: target/release/mappa)")
    args = parser.parse_args()
    if args.way == "matmul":
        import torch_ways

        print(json.dumps(torch_ways.matmul_rates()))
        return
    if not (args.model and args.dataset and args.out):
        parser.error(f"{args.way} needs --model, --dataset and --out")
    if args.way == "mappa" and args.sample:
        parser.error("a sample of mappa's entities would share fewer beginnings; use a dataset of fewer rows")
    args.out.mkdir(parents=True, exist_ok=True)
    usage, result = run_mappa(args) if args.way == "mappa" else run_torch(args)
    line = json.dumps(report(args, usage, result))
    (args.out / f"{args.way}.json").write_text(line + "\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
