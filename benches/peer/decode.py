"""Times greedy decoding of one prompt with one checkpoint: by transformers, by mappa, and by mappa with steering.

    python benches/peer/make_models.py MODELS
    cargo build --release
    python benches/peer/decode.py MODELS/pythia-160m-random [--tokens 128] [--rounds 5] [--mappa BINARY]

Each way runs in its own process with `--threads` threads (default 2), in f32, on one text. The ways run in turn,
`--rounds` times. The printed rate is the median number of tokens per second, without the prompt and the first token.
mappa steers at a middle block with a random vector at every token; in every second round the steered run comes first.
The bound is set by the memory: for each token, the weights of all blocks and the unembedding are read once. The memory's
rate is measured by summing an array far larger than the caches.

Other work on the machine slows a measurement down, most of all if threads wait for each other. With `--threads 1`, the
tokens per second of processor time are printed as well, which other work does not change. For mappa, this is the
processor time of a run minus that of a run of a single token.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROMPT = "What are the coordinates of Nairobi and of Warsaw and of"


def environment(n_threads):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return os.environ | {name: str(n_threads) for name in names}


def with_transformers(folder, n_tokens, n_threads):
    import torch
    import transformers

    torch.set_num_threads(n_threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer(PROMPT).input_ids])
    with torch.inference_mode():
        out = model(ids, use_cache=True)
        past, following, written = out.past_key_values, out.logits[:, -1:].argmax(-1), []
        written.append(following.item())
        start, processor = time.perf_counter(), time.process_time()
        for _ in range(n_tokens - 1):
            out = model(following, past_key_values=past, use_cache=True)
            past, following = out.past_key_values, out.logits[:, -1:].argmax(-1)
            written.append(following.item())
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
    rate = memory_rate()
    embedding = model.get_input_embeddings().weight
    read = sum(p.numel() for p in model.parameters()) - (0 if model.config.tie_word_embeddings else embedding.numel())
    return {
        "per_second": (n_tokens - 1) / seconds, "per_processor_second": (n_tokens - 1) / processor,
        "bytes": 4 * read, "memory": rate, "text": tokenizer.decode(written),
    }  # fmt: skip


def memory_rate():
    """The number of bytes that the threads read from memory per second."""
    import torch

    values = torch.ones(1 << 28)  # 1 GiB
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        values.sum()
        best = min(best, time.perf_counter() - start)
    return 4 * values.numel() / best


def run_mappa(args, change, n_tokens):
    """Runs mappa; returns its output and its processor time."""
    command = [args.mappa, "steer", "--model", args.folder, "--prompt", PROMPT, "--tokens", n_tokens, "--stream", "--time"]
    words, before = [*map(str, command), *map(str, change)], resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(words, env=environment(args.threads), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def with_mappa(args, change):
    done, processor = run_mappa(args, change, args.tokens)
    found = re.search(r"(\d+) tokens after the first in .*: ([\d.]+) per second", done.stderr)
    outcome = {"per_second": float(found[2]), "text": done.stdout.removeprefix(PROMPT).rstrip("\n")}
    if args.threads == 1:
        outcome["per_processor_second"] = int(found[1]) / (processor - run_mappa(args, change, 1)[1])
    return outcome


def random_vector(folder, scratch):
    """A short vector as wide as the stream, in a safetensors file."""
    import numpy
    from safetensors.numpy import save_file

    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    vector = numpy.random.default_rng(0).standard_normal(width).astype(numpy.float32)
    save_file({"direction": vector / numpy.linalg.norm(vector)}, scratch / "random.safetensors")
    return scratch / "random.safetensors"


def print_table(unit, rates, bound):
    print(f"| way | tokens a {unit} (median) | least | most | share of the bound |\n|---|--:|--:|--:|--:|")
    for way, all_rates in rates.items():
        middle = statistics.median(all_rates)
        print(f"| {way} | {middle:.1f} | {min(all_rates):.1f} | {max(all_rates):.1f} | {100 * middle / bound:.0f} % |")
    # Compared within each round, so that other work on the machine during a round affects both rates.
    costs = [100 * (1 - steered / plain) for plain, steered in zip(rates["mappa"], rates["mappa, steered"])]
    print(f"steering costs {statistics.median(costs):.1f} % (median of {len(costs)} rounds; {min(costs):.1f} to {max(costs):.1f})\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="a checkpoint that make_models.py wrote")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mappa", type=pathlib.Path, default=ROOT / "target/release/mappa")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(with_transformers(args.folder, args.tokens, args.threads)))
        return
    n_layers = json.loads((args.folder / "config.json").read_text())["num_hidden_layers"]
    rates, last = {"transformers": [], "mappa": [], "mappa, steered": []}, {}
    of_processor = {way: [] for way in rates}
    with tempfile.TemporaryDirectory() as scratch:
        vector = random_vector(args.folder, pathlib.Path(scratch))
        at = ["--direction", vector, "--layer", n_layers // 2]
        for i in range(args.rounds):
            words = [sys.executable, __file__, args.folder, "--tokens", args.tokens, "--threads", args.threads, "--alone"]
            done = subprocess.run([*map(str, words)], env=environment(args.threads), stdout=subprocess.PIPE, text=True, check=True)
            last["transformers"] = json.loads(done.stdout.splitlines()[-1])
            for way, dose in [("mappa", "0x"), ("mappa, steered", "1x")][:: -1 if i % 2 else 1]:
                last[way] = with_mappa(args, ["--dose", dose, *at])
            for way, outcome in last.items():
                rates[way].append(outcome["per_second"])
                of_processor[way].append(outcome.get("per_processor_second", 0.0))
    bound = last["transformers"]["memory"] / last["transformers"]["bytes"]
    read = last["transformers"]["bytes"] / 1e6
    print(f"a token reads {read:.0f} MB; memory gives {last['transformers']['memory'] / 1e9:.1f} GB/s: at most {bound:.1f} per second")
    for name, table in [("second", rates)] + [("second of processor time", of_processor)] * (args.threads == 1):
        print_table(name, table, bound)
    print("same text as transformers:", last["mappa"]["text"].strip() == last["transformers"]["text"].strip())


if __name__ == "__main__":
    main()
