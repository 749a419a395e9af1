"""Compares the subspace that `mappa cause` finds by gradient with pyvene's, on the same pairs.

    pip install torch transformers==5.23.0 pyvene
    python tests/scripts/das.py MAPPA [--model FOLDER] [--layer L] [--rank R]

MAPPA is the program. Without --model, the bundled model (a Llama of 6 blocks) is read from models/atlas. The script runs
`mappa cause` in a temporary lab, draws pairs of the same kind (training and test entities apart), trains pyvene's
LowRankRotatedSpaceIntervention at the entity's last token, and prints for both the share of test pairs that get the source's
answer, and the principal angles between the two subspaces, next to those of two seeds of pyvene's own.
"""

import argparse
import csv
import pathlib
import random
import subprocess
import tempfile

import pyvene
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = pathlib.Path(__file__).parents[2]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("mappa", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/atlas")
    parser.add_argument("--layer", type=int, default=1)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--prompt", default="{} is in")
    parser.add_argument("--column", default="country")
    parser.add_argument("--choices", type=int, default=6)
    return parser.parse_args()


def run_mappa(args, lab):
    shared = ["--lab", lab, "--model", args.model, "--dataset", "world_place"]
    run = lambda *words: subprocess.run([args.mappa, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    run("probe", *shared, "--no-baselines")
    run("cause", *shared, "--prompt", args.prompt, "--answers", args.column, "--layers", args.layer, "--rank", args.rank,
        "--pairs", args.pairs, "--epochs", args.epochs, "--choices", args.choices, "--called", "das")
    folder = pathlib.Path(lab, "causal", args.model.name, "world_place", "das")
    rows = list(csv.DictReader((folder / "interchange.csv").open()))
    share = {row["exchanged"]: float(row["accuracy"]) for row in rows if int(row["layer"]) == args.layer}
    basis = load_file(folder / "layers" / f"{args.layer}.safetensors")["basis"]
    import json
    words = json.loads((folder / "card.json").read_text())["inputs"]["answer_words"].split(" | ")
    return share, basis, words


class Texts:
    """The texts, their changed tokens and answers, as mappa asks them."""

    def __init__(self, args, words):
        self.tokenizer = AutoTokenizer.from_pretrained(args.model)
        rows = list(csv.DictReader((ROOT / "datasets/world_place.csv").open()))
        rows = [row for row in rows if row[args.column].replace("_", " ") in words]
        before, after = args.prompt.split("{}")
        self.all = []
        for row in rows:
            text = before + row["name"] + after
            encoded = self.tokenizer(text, return_offsets_mapping=True)
            end = len(before) + len(row["name"])
            inside = [i for i, (a, b) in enumerate(encoded["offset_mapping"]) if a < b and a < end and b > len(before)]
            self.all.append((encoded["input_ids"], inside[-1], words.index(row[args.column].replace("_", " ")),
                             row["is_test"] in ("True", "true", "1")))
        first = lambda word: self.tokenizer(text + " " + word)["input_ids"][len(encoded["input_ids"])]
        self.answers = torch.tensor([first(word) for word in words])

    def pairs(self, is_test, n, seed):
        draw = random.Random(seed)
        texts = [text for text in self.all if text[3] == is_test]
        pairs = []
        while len(pairs) < n:
            base, source = draw.choice(texts), draw.choice(texts)
            if base[2] != source[2]:
                pairs.append((base, source))
        return pairs


def logits(model, pairs, answers):
    """One pair at a time, so that no padding changes a number."""
    all = []
    for base, source in pairs:
        ids = lambda text: {"input_ids": torch.tensor([text[0]])}
        _, out = model(base=ids(base), sources=[ids(source)],
                       unit_locations={"sources->base": ([[[source[1]]]], [[[base[1]]]])})
        all.append(out.logits[0, -1, answers])
    return torch.stack(all)


def pyvene_das(args, texts, seed):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    config = pyvene.IntervenableConfig([pyvene.RepresentationConfig(
        args.layer, "block_output", "pos", 1, low_rank_dimension=args.rank)],
        pyvene.LowRankRotatedSpaceIntervention)
    model = pyvene.IntervenableModel(config, model)
    model.disable_model_gradients()
    (intervention,) = model.interventions.values()
    intervention = intervention[0] if isinstance(intervention, tuple) else intervention
    optimiser = torch.optim.Adam(intervention.parameters(), lr=0.02)
    pairs = texts.pairs(False, args.pairs, seed)
    n_steps = args.epochs * (len(pairs) // 32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(n_steps, 1))
    for _ in range(args.epochs):
        random.Random(seed).shuffle(pairs)
        for at in range(0, len(pairs) - 31, 32):
            some = pairs[at : at + 32]
            wanted = torch.tensor([source[2] for _, source in some])
            loss = torch.nn.functional.cross_entropy(logits(model, some, texts.answers), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    basis = intervention.rotate_layer.weight.detach().T.double()
    basis = basis if basis.shape[0] == args.rank else basis.T
    test = texts.pairs(True, 200, 0)
    with torch.no_grad():
        found = logits(model, test, texts.answers).argmax(1)
    share = (found == torch.tensor([source[2] for _, source in test])).double().mean().item()
    return share, basis


def angles(a, b):
    qa, qb = (torch.linalg.qr(x.T)[0] for x in (a, b))
    cosines = torch.linalg.svdvals(qa.T @ qb).clamp(0, 1)
    return [round(x, 1) for x in torch.rad2deg(torch.arccos(cosines)).tolist()]


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as lab:
        share, ours, words = run_mappa(args, lab)
    print("answers:", ", ".join(words))
    texts = Texts(args, words)
    (first, a), (second, b) = (pyvene_das(args, texts, seed) for seed in (1, 2))
    print(f"layer {args.layer}, rank {args.rank}: share with the source's answer")
    print(f"  whole stream {share['stream']:.3f}, probe {share['probe']:.3f}, none {share['none']:.3f}")
    print(f"  DAS of mappa {share['das']:.3f}; of pyvene, two seeds: {first:.3f}, {second:.3f}")
    print("principal angles in degrees:")
    print("  mappa and pyvene:", angles(ours, a), angles(ours, b))
    print("  pyvene and pyvene with another seed:", angles(a, b))
    print("  mappa and a random subspace:", angles(ours, torch.randn_like(ours)))


main()
