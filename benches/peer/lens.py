"""Times the maps of a ridge lens in three ways: mappa, scikit-learn's RidgeCV, and the training of a tuned lens.

    pip install numpy scikit-learn torch transformers
    pip install --no-deps tuned-lens==0.2.0
    python benches/peer/lens.py --mappa target/release/mappa --model MODEL --texts FILE [--ways mappa,sklearn,tuned]

`mappa` is the whole command `mappa lens fit`: tokens, passes, maps, scores on held-out texts, files. `sklearn` is RidgeCV
for one layer on random rows of the same shape, times the number of layers; it excludes the forward pass and all scores. `tuned` is
the library's own lens with its own loss, the divergence from the model's logits, trained by Adam: some steps on random rows,
whose time per token is multiplied by the tokens of one epoch and the layers; it excludes the forward pass. (The library's command
line takes 250 steps of 2**18 tokens by default; one epoch of 20,000 tokens is 0.03 % of that.)

All ways use 2 threads. Processor seconds are reported too, because other work on the machine changes them less.
"""

import argparse
import os
import pathlib
import resource
import subprocess
import tempfile
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "2"

import numpy as np


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mappa", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--width", type=int, default=576, help="d_model of the model, for the other ways")
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--vocabulary", type=int, default=49_152)
    parser.add_argument("--ways", default="mappa,sklearn,tuned")
    return parser.parse_args()


def timed(work, who=resource.RUSAGE_SELF):
    def processor():
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime

    started, used = time.perf_counter(), processor()
    work()
    return time.perf_counter() - started, processor() - used


def by_mappa(args):
    with tempfile.TemporaryDirectory() as lab:
        command = [args.mappa, "--lab", lab, "lens", "fit", "--model", args.model, "--tokens", str(args.tokens)]
        run = lambda: subprocess.run([*command, "--texts", *args.texts], check=True, stdout=subprocess.DEVNULL)
        return timed(run, resource.RUSAGE_CHILDREN)


def by_sklearn(args):
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(0)
    x = rng.normal(size=(args.tokens, args.width))
    y = x @ rng.normal(size=(args.width, args.width)) * 0.1 + rng.normal(size=(args.tokens, args.width))
    # The grid of mappa has 31 half decades; RidgeCV computes all of them.
    alphas = args.tokens * 10 ** np.arange(-10, 5.1, 0.5)
    seconds, processor = timed(lambda: RidgeCV(alphas=alphas).fit(x, y))
    return seconds * args.layers, processor * args.layers


def by_tuned_lens(args):
    import torch
    from tuned_lens.nn.lenses import TunedLens, TunedLensConfig
    from tuned_lens.nn.unembed import Unembed
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(2)
    sizes = {"hidden_size": args.width, "num_hidden_layers": 1, "num_attention_heads": 9, "intermediate_size": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=args.vocabulary, num_key_value_heads=3, **sizes))
    config = TunedLensConfig(base_model_name_or_path="x", d_model=args.width, num_hidden_layers=1)
    lens = TunedLens(Unembed(model), config)
    optimiser = torch.optim.Adam(lens.layer_translators.parameters(), 1e-3)
    n_rows, n_steps = 128, 4
    stream, own = torch.randn(n_rows, args.width), torch.randn(n_rows, args.vocabulary).log_softmax(-1)

    def steps():
        for _ in range(n_steps):
            optimiser.zero_grad()
            loss = torch.nn.functional.kl_div(lens(stream, 0).log_softmax(-1), own, log_target=True, reduction="batchmean")
            loss.backward()
            optimiser.step()

    steps()
    times = args.layers * args.tokens / (n_rows * n_steps)
    return [value * times for value in timed(steps)]


def main():
    args = arguments()
    ways = {"mappa": by_mappa, "sklearn": by_sklearn, "tuned": by_tuned_lens}
    print(f"{args.tokens} tokens, {args.layers} layers of width {args.width}")
    for name in args.ways.split(","):
        seconds, processor = ways[name](args)
        print(f"{name:8} {seconds:10.1f} s {processor:10.1f} processor seconds", flush=True)


main()
