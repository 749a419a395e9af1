"""Times exact ridge on the same arrays in three ways: mappa, scikit-learn's RidgeCV, and numpy with one `eigh`.

    pip install numpy scipy scikit-learn safetensors
    python benches/peer/ridge.py --out RESULTS [--rows 31668] [--widths 384,768,2048,4096] [--ways mappa,numpy,sklearn]
    python benches/peer/ridge.py --out RESULTS --table

Each fit has twelve penalties and two targets; it computes the leave-one-out error of every row at every penalty, and the
coefficients at the best penalty. Each way runs in its own process with 2 threads, from the same f32 rows to the same f64
results. Time and memory are measured from the moment at which the arrays are loaded. The time is the median of the
repeats (5 up to a width of 768, otherwise 1). The processor seconds of all threads are reported as well, because other
work on the machine changes them less. The memory is the peak resident set minus the resident set before the fit, so that
it does not include the input. For each width, the results of the ways are compared: coefficients, leave-one-out errors
and the chosen penalty.

`sklearn` is RidgeCV with its default method (for more rows than columns, products with the inverse at every penalty);
`sklearn-svd` is RidgeCV with singular values. `numpy` is mappa's formula
with OpenBLAS, as fast as we could make it: blocks of rows converted to f64, the Gram matrix by symmetric products,
LAPACK's divide and conquer, and one product with the eigenvectors for all penalties.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WAYS = ["mappa", "numpy", "sklearn", "sklearn-svd"]
THREADS = 2
BLOCK = 4096
# Some machines force slow kernels on OpenBLAS with these variables; a comparison must not depend on them.
FORCED = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the folder for arrays and results, outside the repository")
    parser.add_argument("--rows", type=int, default=31668)
    parser.add_argument("--widths", default="384,768,2048,4096")
    parser.add_argument("--ways", default="mappa,numpy,sklearn")
    parser.add_argument("--program", help="the benchmark's program (default: built by cargo)")
    parser.add_argument("--table", action="store_true", help="only print the table of earlier results")
    parser.add_argument("--run", nargs=4, metavar=("WAY", "IN", "OUT", "REPEATS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.ways = args.ways.split(",")
    for way in args.ways:
        if way not in WAYS:
            parser.error(f"found {way}; expected some of {', '.join(WAYS)}")
    return args


def make(path, n, d):
    """Rows with a decreasing spectrum and one column a hundred times as large, and targets that depend on some factors."""
    import numpy as np
    from safetensors.numpy import save_file

    rng = np.random.default_rng(d)
    rank = min(256, d // 2)
    factors = rng.standard_normal((n, rank), dtype=np.float32) * np.arange(1, rank + 1, dtype=np.float32) ** -0.5
    x = factors @ rng.standard_normal((rank, d), dtype=np.float32)
    x += 0.3 * rng.standard_normal((n, d), dtype=np.float32)
    x[:, 7] *= 100
    x += rng.standard_normal(d, dtype=np.float32)
    y = factors[:, :64].astype(np.float64) @ rng.standard_normal((64, 2)) + rng.standard_normal((n, 2))
    y = 10 * (y - y.mean(0)) / y.std(0)  # equal variances, so that RidgeCV and mappa choose the penalty by the same criterion
    variance = float(((x - x.mean(0)) ** 2).sum(dtype=np.float64)) / d
    save_file({"x": x, "y": y, "penalties": variance * np.logspace(-6, 1, 12)}, path)


def resident(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def by_numpy(x, y, penalties):
    import numpy as np
    from scipy.linalg import eigh

    n, d = x.shape
    blocks = [slice(at, min(at + BLOCK, n)) for at in range(0, n, BLOCK)]
    mean = sum(x[b].sum(0, dtype=np.float64) for b in blocks) / n
    y_mean = y.mean(0)
    gram, moments = np.zeros((d, d)), np.zeros((d, y.shape[1]))
    for b in blocks:
        rows = x[b] - mean
        gram += rows.T @ rows
        moments += rows.T @ (y[b] - y_mean)
    values, axes = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    filters = 1 / (values[:, None] + penalties)  # [d, n_penalties]
    fits = (filters[:, :, None] * (axes.T @ moments)[:, None, :]).reshape(d, -1)
    errors = np.empty((n, len(penalties), y.shape[1]))
    for b in blocks:
        scores = (x[b] - mean) @ axes
        read = (scores @ fits).reshape(len(scores), len(penalties), -1)
        scores *= scores
        errors[b] = ((y[b] - y_mean)[:, None, :] - read) / (1 - 1 / n - scores @ filters)[:, :, None]
    best = int((errors**2).mean((0, 2)).argmin())
    return axes @ fits.reshape(d, len(penalties), -1)[:, best], errors[:, best], penalties[best]


def by_sklearn(mode):
    from sklearn.linear_model import RidgeCV

    def fit(x, y, penalties):
        found = RidgeCV(alphas=penalties, gcv_mode=mode, store_cv_results=True).fit(x, y)
        at = int(abs(penalties - found.alpha_).argmin())
        return found.coef_.T, found.cv_results_[:, :, at], found.alpha_

    return fit


def run(way, source, out, repeats):
    """Runs one way in this process and prints a line of JSON."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    fit = {"numpy": by_numpy, "sklearn": by_sklearn("auto"), "sklearn-svd": by_sklearn("svd")}[way]
    import scipy.linalg, sklearn.linear_model  # noqa: E401,F401 before the clock starts

    arrays = load_file(source)
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    seconds, processor = [], []
    for _ in range(int(repeats)):
        start, begun = time.monotonic(), time.process_time()
        coefficients, errors, penalty = fit(arrays["x"], arrays["y"], arrays["penalties"])
        seconds.append(time.monotonic() - start)
        processor.append(time.process_time() - begun)
    outcome = {"seconds": seconds, "processor": processor, "peak_bytes": resident("VmHWM"), "before_bytes": before, "penalty": float(penalty)}
    if way.startswith("sklearn"):
        errors = np.sqrt(errors)  # scikit-learn stores their squares
    save_file({"coefficients": np.ascontiguousarray(coefficients.T), "errors": np.ascontiguousarray(errors)}, out)
    print(json.dumps(outcome))


def binary():
    """The path of the benchmark's program, which cargo builds if necessary."""
    words = ["cargo", "bench", "--bench", "ridge", "--no-run", "--message-format=json"]
    lines = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return next(b["executable"] for b in built if b.get("target", {}).get("name") == "ridge")


def measure(args, program, way, source, repeats):
    out = args.out / f"{way}.safetensors"
    words = [program] if way == "mappa" else [sys.executable, __file__, "--out", args.out, "--run", way]
    environment = {name: value for name, value in os.environ.items() if name not in FORCED}
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"]:
        environment[name] = str(THREADS)
    words = [str(word) for word in [*words, source, out, repeats]]
    done = subprocess.run(words, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]), out


def differences(own, other):
    """The largest difference between coefficients and between leave-one-out errors, relative to the largest value."""
    import numpy as np
    from safetensors.numpy import load_file

    own, other = load_file(own), load_file(other)
    unsigned = {"errors": np.abs}  # scikit-learn stores squares, without signs
    found = {}
    for name in ["coefficients", "errors"]:
        a, b = (unsigned.get(name, lambda v: v)(array[name]) for array in (own, other))
        found[name] = float(abs(a - b).max() / abs(b).max())
    return found


def middle(values):
    return sorted(values)[len(values) // 2]


def table(path):
    lines = [json.loads(line) for line in open(path, encoding="utf-8")]
    last = {(line["d"], line["way"]): line for line in lines}
    print("| d | way | seconds | processor seconds | mappa is faster by, both | memory beside the input | in d² doubles | coefficients | errors | λ |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|--:|---|")
    for (d, way), line in sorted(last.items(), key=lambda item: (item[0][0], WAYS.index(item[0][1]))):
        own = last.get((d, "mappa"))
        times = [(line["median"], own["median"]), (middle(line["processor"]), middle(own["processor"]))] if own else []
        ratio = "" if way == "mappa" else ", ".join(f"{other / mine:.1f}" for other, mine in times)
        memory = line["peak_bytes"] - line["before_bytes"]
        apart = line.get("apart", {})
        cells = [f"{apart[name]:.1e}" if apart else "" for name in ("coefficients", "errors")]
        same = "" if own is None or way == "mappa" else "same" if abs(line["penalty"] / own["penalty"] - 1) < 1e-9 else "other"
        print(f"| {d} | {way} | {line['median']:.2f} | {middle(line['processor']):.2f} | {ratio} | {memory / 1e6:.0f} MB | {memory / (8 * d * d):.1f} | {cells[0]} | {cells[1]} | {same} |")


def main(args):
    args.out.mkdir(parents=True, exist_ok=True)
    results = args.out / "ridge.jsonl"
    if args.table:
        return table(results)
    import numpy, scipy, sklearn  # noqa: E401

    versions = f"numpy {numpy.__version__}, scipy {scipy.__version__}, scikit-learn {sklearn.__version__}"
    print(f"{versions}, Python {platform.python_version()}; {THREADS} threads; {args.rows} rows")
    program = args.program or (binary() if "mappa" in args.ways else None)
    for d in map(int, args.widths.split(",")):
        source, own = args.out / f"{args.rows}x{d}.safetensors", None
        if not source.exists():
            make(source, args.rows, d)
        for way in args.ways:
            outcome, out = measure(args, program, way, source, 5 if d <= 768 else 1)
            outcome |= {"way": way, "d": d, "n": args.rows, "median": middle(outcome["seconds"])}
            own = out if way == "mappa" else own
            if own is not None and way != "mappa":
                outcome["apart"] = differences(own, out)
            print(f"d {d}, {way}: {outcome['median']:.2f} s", flush=True)
            with open(results, "a", encoding="utf-8") as file:
                file.write(json.dumps(outcome) + "\n")
    table(results)


if __name__ == "__main__":
    given = arguments()
    run(*given.run) if given.run else main(given)
