"""Runs the three ways in turn on each model and workload, and prints one table.

    python benches/peer/make_models.py MODELS
    python benches/peer/run.py MODELS --out RESULTS [--limit N] [--sample paper=4096] [--sample best=8192]
        [--workloads world,world_prompt,art,headline] [--models pythia-160m-random,llama-gqa-random]
        [--methods paper,best,mappa] [--numbers bf16]
    python benches/peer/run.py --out RESULTS --table

Every way runs in its own process with 2 threads. The machine's rate of matrix products is measured before and after
every way. `--sample` runs a torch way on evenly spaced whole batches only, and reports their rate. Each outcome is a line
of RESULTS/results.jsonl; the last line of a way, workload, model and number format counts.
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
# Some machines force slow kernels on OpenBLAS with these variables; a comparison must not depend on them.
FORCED = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="?", help="the output folder of make_models.py")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the folder for results, outside the repository")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data", help="the entity files")
    parser.add_argument("--mappa", type=pathlib.Path, default=ROOT / "target/release/mappa")
    parser.add_argument("--limit", type=int, help="only the first N entities")
    parser.add_argument("--sample", action="append", default=[], metavar="WAY=N", help="torch ways: about N entities")
    parser.add_argument("--batch", help="best: N texts or Nt tokens per batch, instead of the search")
    parser.add_argument("--products", choices=["onednn", "mkl"], default="onednn", help="best: the library for matrix products")
    parser.add_argument("--numbers", choices=["f32", "bf16"], default="f32", help="the number format of all ways")
    parser.add_argument("--workloads", default=",".join(texts.WORKLOADS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--methods", default=",".join(WAYS))
    parser.add_argument("--keep", action="store_true", help="keep the vectors, which take gigabytes")
    parser.add_argument("--table", action="store_true", help="only print the table of earlier results")
    args = parser.parse_args()
    args.samples = dict(entry.split("=") for entry in args.sample)
    for chosen, known in [(args.workloads, texts.WORKLOADS), (args.methods, WAYS), (",".join(args.samples), WAYS[:2])]:
        for name in filter(None, chosen.split(",")):
            if name not in known:
                parser.error(f"found {name}; expected one of {', '.join(known)}")
    if not args.table and args.folder is None:
        parser.error("found no folder of models; expected the output folder of make_models.py")
    return args


def extract(*words):
    """Runs extract.py in its own process; returns its last printed line, the outcome."""
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
    """Appends outcomes to results.jsonl; later lines replace earlier ones of the same run."""
    with open(args.out / "results.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json.dumps(outcome) + "\n" for outcome in outcomes)


def run(args, model, workload):
    """Runs all ways on one workload, with the machine's rate before and after each; returns the folder of vectors."""
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
    # In its own process, because memory for numpy and vectors would count for the processes started later.
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
    """Removes the vectors of all ways from the disk; the JSON files remain."""
    for path in [*out.glob("*.npy"), *out.glob("lab/activations/**/*.safetensors")]:
        path.unlink()


def difference(outcome):
    """The difference of a way's vectors from those of `best`; for `best`, from passes of single texts."""
    if outcome["way"] == "best":
        return f"{outcome['largest_difference_from_plain']:.1e} from each text alone"
    found = outcome.get("difference_from_best")
    return "not compared" if found is None else f"{found['largest']:.1e} on {found['entities']:,}"


def pace(line):
    """Entities per second divided by the machine's GFLOP/s at that time, which vary on a shared machine."""
    return line["entities_per_second"] / line["machine_gflops"]


def table(lines):
    """The table, one row per way; the last line of a way, workload, model and number format counts."""
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
