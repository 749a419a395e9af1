#!/usr/bin/env python3
"""Runs an experiment with two builds of mappa, each in its own lab, and compares every file byte for byte.

Of cards, only inputs and notes are compared, without date, version and command. The exit status is 1 if a file differs or
exists only in one lab.

    python tests/scripts/same_results.py path/to/old/mappa target/release/mappa [experiment.toml] [--model MODEL]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

def run(program: Path, lab: Path, more: list[str]) -> None:
    """Runs the experiment in a lab."""
    done = subprocess.run([program, "run", *more, "--lab", lab], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} failed with status {done.returncode}: {done.stderr}")


def content(file: Path) -> bytes:
    """The bytes of a file; of a card, its inputs and notes."""
    if file.name != "card.json":
        return file.read_bytes()
    card = json.loads(file.read_text())
    return json.dumps([card["inputs"], card["notes"]], sort_keys=True).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    args, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        labs = [Path(folder) / "old", Path(folder) / "new"]
        for program, lab in zip((args.old.resolve(), args.new.resolve()), labs):
            run(program, lab, more)
        files = [{file.relative_to(lab) for file in lab.rglob("*") if file.is_file()} for lab in labs]
        faults = [f"{name}: only with {('the old', 'the new')[name in files[1]]} build" for name in files[0] ^ files[1]]
        both = sorted(files[0] & files[1])
        faults += [f"{name}: differs" for name in both if content(labs[0] / name) != content(labs[1] / name)]
    print("\n".join(faults) if faults else f"all {len(both)} files are the same")
    if faults or not both:
        sys.exit(1)


if __name__ == "__main__":
    main()
