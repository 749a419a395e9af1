"""Runs the three ways in turn on each workload and model, and writes one table.

    python benches/peer/make_models.py MODELS
    python benches/peer/run.py MODELS --out RESULTS [--limit N] [--sample paper=4096] [--sample best=8192]
        [--workloads world,world_prompt,art,headline] [--models pythia-160m-random,llama-gqa-random]
        [--methods paper,best,mappa] [--numbers bf16]
    python benches/peer/run.py --out RESULTS --table

Every way runs in a process of its own with 2 threads; the machine's rate of matrix products is measured before the
first, between them and after the last. `--sample` takes evenly spread whole batches of a torch way, whose rate stands
for the whole's. Each outcome is a line of RESULTS/results.jsonl; of the same way, workload, model and numbers the
last counts.
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys

import texts

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
WAYS = ["paper", "best", "mappa"]
MODELS = ["pythia-160m-random", "llama-gqa-random"]
# Slow kernels that some machines force upon OpenBLAS; a comparison is not to stand on them.
FORCED = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="?", help="where make_models.py wrote the models")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where results lie; not in the repository")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data", help="the entity files")
    parser.add_argument("--mappa", type=pathlib.Path, default=ROOT / "target/release/mappa")
    parser.add_argument("--limit", type=int, help="the first N entities only")
    parser.add_argument("--sample", action="append", default=[], metavar="WAY=N", help="torch ways: N entities")
    parser.add_argument("--batch", help="best: N texts or Nt tokens in a batch, in place of the search")
    parser.add_argument("--products", choices=["onednn", "mkl"], default="onednn", help="best: who multiplies matrices")
    parser.add_argument("--numbers", choices=["f32", "bf16"], default="f32", help="what the ways compute in; `paper` as well")
    parser.add_argument("--workloads", default=",".join(texts.WORKLOADS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--methods", default=",".join(WAYS))
    parser.add_argument("--keep", action="store_true", help="keep the vectors; they are gigabytes")
    parser.add_argument("--table", action="store_true", help="only print the table of what was measured before")
    args = parser.parse_args()
    args.samples = dict(entry.split("=") for entry in args.sample)
    for chosen, known in [(args.workloads, texts.WORKLOADS), (args.methods, WAYS), (",".join(args.samples), WAYS[:2])]:
        for name in filter(None, chosen.split(",")):
            if name not in known:
                parser.error(f"found {name}; expected one of {', '.join(known)}")
    if not args.table and args.folder is None:
        parser.error("found no folder of models; expected the one that make_models.py wrote")
    return args


def extract(*words):
    """Runs extract.py in a process of its own; what it prints last is its outcome."""
    environment = {name: value for name, value in os.environ.items() if name not in FORCED}
    words = [sys.executable, str(HERE / "extract.py"), *map(str, words)]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def matmul_rate():
    measured = extract("matmul")
    print(f"matrix products: {measured['gflops']:.0f} GFLOP/s", flush=True)
    return measured


def keep(args, outcomes):
    """Adds outcomes to the lines; of the same way, workload and model the last counts."""
    with open(args.out / "results.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json.dumps(outcome) + "\n" for outcome in outcomes)


def run(args, model, workload):
    """All ways on one workload, with the machine's rate around each; answers the folder of their vectors."""
    file, prompt = texts.WORKLOADS[workload]
    out = args.out / f"{model}.{workload}"
    dataset = texts.first_rows(args.data / file, args.limit, out / "dataset")
    before, outcomes = matmul_rate(), []
    for way in args.methods.split(","):
        words = [way, "--model", args.folder / model, "--dataset", dataset, "--prompt", prompt, "--out", out]
        words += ["--numbers", args.numbers]
        if way == "mappa":
            words += ["--mappa", args.mappa]
        if way in args.samples:
            words += ["--sample", args.samples[way]]
        if way == "best":
            words += ["--products", args.products] + (["--batch", args.batch] if args.batch else [])
        outcome = extract(*words)
        after = matmul_rate()
        outcome |= {"workload": workload, "machine_gflops": (before["gflops"] + after["gflops"]) / 2, "matmul": after}
        before = after
        outcomes.append(outcome)
        keep(args, [outcome])
        print(summary(outcome), flush=True)
    # Comparing loads numpy and vectors, which would count as memory of the processes started later.
    words = [sys.executable, HERE / "compare.py", out, "--dataset", dataset]
    if (out / "best.npy").exists():
        differences = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for outcome in outcomes:
            outcome["difference_from_best"] = differences.get(outcome["way"])
        keep(args, outcomes)
    return out


def summary(outcome):
    seconds, tokens = outcome["seconds"], outcome["tokens"]
    return (
        f"{outcome['model']} {outcome['workload']} {outcome['way']}: {outcome['entities']} of "
        f"{outcome['entities_of_dataset']} entities, {tokens['through']} tokens, {seconds['work']:.1f} s "
        f"({seconds['processors']:.1f} s of processors, {seconds['process']:.1f} s the whole process), "
        f"{outcome['entities_per_second']:.0f} entities/s, {outcome['gflops']['through']:.0f} GFLOP/s, "
        f"{outcome['peak_rss_mb'] / 1024:.2f} GB"
    )


def remove_vectors(out):
    """Frees the disk: vectors and lab; the JSON beside them stays."""
    for path in [*out.glob("*.npy"), *out.glob("lab/activations/**/*.safetensors")]:
        path.unlink()


def difference(outcome):
    """How far its vectors are from those of `best`, and those of `best` from each text alone."""
    if outcome["way"] == "best":
        return f"{outcome['largest_difference_from_plain']:.1e} from each text alone"
    found = outcome.get("difference_from_best")
    return "not compared" if found is None else f"{found['largest']:.1e} on {found['entities']:,}"


def pace(line):
    """Entities a second for each GFLOP/s that the machine had then: its rate drifts where others share it."""
    return line["entities_per_second"] / line["machine_gflops"]


def table(lines):
    """One row a way; of the same way, workload and model the last line counts."""
    of = lambda line: (line["model"], line["workload"], line.get("numbers", "f32"), line["way"])  # noqa: E731
    last = {of(line): line for line in lines}
    titles = [
        "model", "workload", "numbers", "way", "entities", "tokens computed", "seconds", "of processors", "entities/s",
        "mappa is faster by", "at one rate of the machine", "GFLOP/s", "of the machine's", "peak memory", "largest difference",
    ]  # fmt: skip
    drawn = ["| " + " | ".join(titles) + " |", "|---|---|---|---|" + "--:|" * (len(titles) - 5) + "---|"]
    for (model, workload, numbers, way), line in last.items():
        mappa = last.get((model, workload, numbers, "mappa"))
        faster = f"{mappa['entities_per_second'] / line['entities_per_second']:.1f}" if mappa else "not run"
        evened = f"{pace(mappa) / pace(line):.1f}" if mappa else "not run"
        n, of = line["entities"], line["entities_of_dataset"]
        cells = [
            model,
            workload,
            numbers,
            f"{way}, {line['batch']}" if "batch" in line else way,
            f"{n:,}" if n == of else f"{n:,} of {of:,}",
            f"{line['tokens']['through']:,}",
            f"{line['seconds']['work']:.1f}",
            f"{line['seconds']['processors']:.1f}",
            f"{line['entities_per_second']:.1f}",
            faster,
            evened,
            f"{line['gflops']['through']:.0f}",
            f"{100 * line['gflops']['through'] / line['machine_gflops']:.0f} %",
            f"{line['peak_rss_mb'] / 1024:.2f} GB",
            difference(line),
        ]
        drawn.append("| " + " | ".join(cells) + " |")
    return "\n".join(drawn)


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    if not args.table:
        print(f"{platform.machine()}, {os.cpu_count()} processors, 2 threads each way", flush=True)
        for model in args.models.split(","):
            for workload in args.workloads.split(","):
                out = run(args, model, workload)
                if not args.keep:
                    remove_vectors(out)
    results = args.out / "results.jsonl"
    lines = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    drawn = table(lines)
    (args.out / "table.md").write_text(drawn + "\n", encoding="utf-8")
    print(drawn)


if __name__ == "__main__":
    main()
