"""Times the training of a TopK sparse dictionary by mappa and by PyTorch's autograd, in rows per second.

    pip install torch numpy safetensors
    python benches/peer/topk.py --out RESULTS [--shapes 128:2048:16,768:8192:32] [--batch 1024] [--steps 300]

Rows are noise plus 8 of 512 planted directions. Both sides take the same number of steps over batches of the same rows,
each in its own order. Both start from random unit directions, equal in encoder and decoder, use Adam with the same
learning rates, and normalise the decoder's rows after each step. mappa's auxiliary loss takes no time while no latent is
dead. The time is the sum of all steps after the first ten, with 2 threads; loading the rows is not timed. The sides run
in turn, three times; the result is the median.

PyTorch runs in two ways: `dense` computes the reconstruction as a product with a mostly zero matrix, as SAELens does;
`gathered` sums the k rows of the active latents.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
THREADS, WARM_UP, REPEATS, RATE, RISE = 2, 10, 3, 1e-3, 100


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the folder for rows and results, outside the repository")
    parser.add_argument("--shapes", default="128:2048:16,768:8192:32", help="width:latents:k, several separated by commas")
    parser.add_argument("--rows", type=int, default=65536)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--program", help="the benchmark's program (default: built by cargo)")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    return parser.parse_args()


def make(path, n, d):
    import numpy as np
    from safetensors.numpy import save_file

    rng = np.random.default_rng(d)
    directions = rng.standard_normal((512, d), dtype=np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x = 0.05 * rng.standard_normal((n, d), dtype=np.float32) + 0.3
    for _ in range(8):
        x += rng.uniform(1, 2, (n, 1)).astype(np.float32) * directions[rng.integers(0, 512, n)]
    save_file({"x": x}, path)


def torch_side(way, path, d_sae, k, batch, steps):
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(THREADS)
    torch.manual_seed(5)
    x = load_file(path)["x"]
    d = x.shape[1]
    x = x / x.var(dim=0, correction=0).mean().sqrt()
    w_dec = torch.nn.functional.normalize(torch.randn(d_sae, d), dim=1)
    w_enc, b_enc, b_dec = w_dec.T.clone(), torch.zeros(d_sae), x.median(dim=0).values.clone()
    leaves = [leaf.requires_grad_() for leaf in (w_enc, b_enc, w_dec, b_dec)]
    adam = torch.optim.Adam(leaves, lr=RATE, eps=6.25e-10, fused=True)
    since, order, at = torch.zeros(d_sae, dtype=torch.int64), torch.randperm(len(x)), 0
    seconds, explained = [], []
    n_steps = -(-steps * batch // len(x)) * -(-len(x) // batch)  # to the end of the last epoch
    for step in range(steps):
        clock = time.perf_counter()
        rise, fall = (step + 1) / min(RISE, n_steps // 10 + 1), (n_steps - step) / max(n_steps / 5, 1)
        for group in adam.param_groups:
            group["lr"] = RATE * min(rise, fall, 1)
        if at + batch > len(x):
            order, at = torch.randperm(len(x)), 0
        rows = x[order[at : at + batch]]
        at += batch
        readings = torch.addmm(b_enc, rows - b_dec, w_enc)
        values, units = readings.topk(k, dim=1, sorted=False)
        values = values.relu()
        if way == "dense":
            written = torch.zeros_like(readings).scatter(1, units, values) @ w_dec + b_dec
        else:
            written = torch.nn.functional.embedding_bag(units, w_dec, per_sample_weights=values, mode="sum") + b_dec
        loss = (written - rows).pow(2).mean()
        adam.zero_grad()
        loss.backward()
        with torch.no_grad():
            w_dec.grad -= (w_dec.grad * w_dec).sum(1, keepdim=True) * w_dec
        adam.step()
        with torch.no_grad():
            w_dec /= w_dec.norm(dim=1, keepdim=True)
            since += batch
            since[units[values > 0]] = 0
        explained.append(1 - loss.item() / rows.var(dim=0, correction=0).mean().item())
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - clock)
    return {"seconds": seconds, "fve": statistics.mean(explained[-20:]), "n_dead": 0}


def ours(args, path, d_sae, k):
    command = [args.program] if args.program else ["cargo", "bench", "-q", "--bench", "topk", "--"]
    command += [str(path.resolve()), str(d_sae), str(k), str(args.batch), str(args.steps)]
    environment = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
    out = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def theirs(args, way, path, d_sae, k):
    job = json.dumps([way, str(path), d_sae, k, args.batch, args.steps])
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "MKL_NUM_THREADS": str(THREADS)}
    command = [sys.executable, __file__, "--out", str(args.out), "--run", job]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main():
    args = arguments()
    if args.run:
        print(json.dumps(torch_side(*json.loads(args.run))))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    results = []
    for shape in args.shapes.split(","):
        d, d_sae, k = map(int, shape.split(":"))
        path = args.out / f"rows_{d}.safetensors"
        if not path.is_file():
            make(path, args.rows, d)
        found = {"mappa": [], "dense": [], "gathered": []}
        for _ in range(REPEATS):
            found["mappa"].append(ours(args, path, d_sae, k))
            for way in ("dense", "gathered"):
                found[way].append(theirs(args, way, path, d_sae, k))
        for way, runs in found.items():
            rate = statistics.median(args.batch * len(run["seconds"]) / sum(run["seconds"]) for run in runs)
            results.append({"width": d, "units": d_sae, "k": k, "way": way, "rows_a_second": rate, "fve": runs[-1]["fve"]})
            print(f"{d} wide, {d_sae} units, k {k}: {way:<9} {rate:9.0f} rows/s  FVE of the last 20 steps {runs[-1]['fve']:.4f}", flush=True)
    (args.out / "topk.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
