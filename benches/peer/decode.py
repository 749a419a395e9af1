"""Decodes the same prompt of the same checkpoint with transformers, and with mappa with and without steering, in turn.

    python benches/peer/make_models.py MODELS
    cargo build --release
    python benches/peer/decode.py MODELS/pythia-160m-random [--tokens 128] [--rounds 5] [--mappa BINARY]

Each way runs in a process of its own with 2 threads, in f32, greedy, one text, `--rounds` times in turn; the median of
tokens a second is printed, first token and prompt not counted. mappa steers at a middle block with a random vector at
every token. The bound is what memory allows: a token reads the weights of all blocks and the unembedding once; the
machine's rate is that of summing an array far larger than its caches.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS = 2
PROMPT = "What are the coordinates of Nairobi and of Warsaw and of"


def environment():
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    return os.environ | {name: str(THREADS) for name in names}


def with_transformers(folder, n_tokens):
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer(PROMPT).input_ids])
    with torch.inference_mode():
        out = model(ids, use_cache=True)
        past, following, written = out.past_key_values, out.logits[:, -1:].argmax(-1), []
        written.append(following.item())
        start = time.perf_counter()
        for _ in range(n_tokens - 1):
            out = model(following, past_key_values=past, use_cache=True)
            past, following = out.past_key_values, out.logits[:, -1:].argmax(-1)
            written.append(following.item())
        seconds = time.perf_counter() - start
    rate = memory_rate()
    embedding = model.get_input_embeddings().weight
    read = sum(p.numel() for p in model.parameters()) - (0 if model.config.tie_word_embeddings else embedding.numel())
    return {"per_second": (n_tokens - 1) / seconds, "bytes": 4 * read, "memory": rate, "text": tokenizer.decode(written)}


def memory_rate():
    """Bytes a second that two threads read from memory."""
    import torch

    values = torch.ones(1 << 28)  # 1 GiB
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        values.sum()
        best = min(best, time.perf_counter() - start)
    return 4 * values.numel() / best


def with_mappa(args, folder, change):
    command = [args.mappa, "steer", "--model", folder, "--prompt", PROMPT, "--tokens", args.tokens, "--stream", "--time"]
    done = subprocess.run([*map(str, command), *map(str, change)], env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    found = re.search(r"(\d+) tokens after the first in .*: ([\d.]+) a second", done.stderr)
    return {"per_second": float(found[2]), "tokens": int(found[1]), "text": done.stdout.removeprefix(PROMPT).rstrip("\n")}


def random_vector(folder, scratch):
    """A short vector as wide as the stream, in a safetensors file."""
    import numpy
    from safetensors.numpy import save_file

    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    vector = numpy.random.default_rng(0).standard_normal(width).astype(numpy.float32)
    save_file({"direction": vector / numpy.linalg.norm(vector)}, scratch / "random.safetensors")
    return scratch / "random.safetensors"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="a checkpoint that make_models.py wrote")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mappa", type=pathlib.Path, default=ROOT / "target/release/mappa")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(with_transformers(args.folder, args.tokens)))
        return
    n_layers = json.loads((args.folder / "config.json").read_text())["num_hidden_layers"]
    rates, last = {"transformers": [], "mappa": [], "mappa, steered": []}, {}
    with tempfile.TemporaryDirectory() as scratch:
        vector = random_vector(args.folder, pathlib.Path(scratch))
        at = ["--direction", vector, "--layer", n_layers // 2]
        for _ in range(args.rounds):
            words = [sys.executable, __file__, str(args.folder), "--tokens", str(args.tokens), "--alone"]
            done = subprocess.run(words, env=environment(), stdout=subprocess.PIPE, text=True, check=True)
            last["transformers"] = json.loads(done.stdout.splitlines()[-1])
            last["mappa"] = with_mappa(args, args.folder, ["--dose", "0x", *at])
            last["mappa, steered"] = with_mappa(args, args.folder, ["--dose", "1x", *at])
            for way, outcome in last.items():
                rates[way].append(outcome["per_second"])
    bound = last["transformers"]["memory"] / last["transformers"]["bytes"]
    read = last["transformers"]["bytes"] / 1e6
    print(f"a token reads {read:.0f} MB; memory gives {last['transformers']['memory'] / 1e9:.1f} GB/s: at most {bound:.1f} a second")
    print("| way | tokens a second (median) | least | most | share of the bound |\n|---|--:|--:|--:|--:|")
    for way, all_rates in rates.items():
        middle = statistics.median(all_rates)
        print(f"| {way} | {middle:.1f} | {min(all_rates):.1f} | {max(all_rates):.1f} | {100 * middle / bound:.0f} % |")
    plain, steered = statistics.median(rates["mappa"]), statistics.median(rates["mappa, steered"])
    print(f"steering costs {100 * (1 - steered / plain):.1f} %")
    print("same text as transformers:", last["mappa"]["text"].strip() == last["transformers"]["text"].strip())


if __name__ == "__main__":
    main()
