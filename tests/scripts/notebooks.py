"""Executes every notebook on a lab, by default the repository with its bundled run; the exit status is 1 if a cell fails.

    pip install nbclient ipykernel nbformat numpy pandas matplotlib safetensors
    python tests/scripts/notebooks.py [--lab LAB] [--save]

`--save` writes the outputs of the cells into the notebooks; without it nothing is written.
"""

import argparse
import os
import pathlib
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", type=pathlib.Path, default=ROOT)
    parser.add_argument("--save", action="store_true", help="write the outputs into the notebooks")
    args = parser.parse_args()
    os.environ["MAPPA_LAB"] = str(args.lab.resolve())
    paths, failed = sorted((ROOT / "notebooks").glob("*.ipynb")), 0
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
        try:
            client.execute()
        except CellExecutionError as error:
            failed += 1
            print(f"{path.name}: {error}")
            continue
        n = sum(cell.cell_type == "code" for cell in notebook.cells)
        print(f"{path.name}: {n} cells ran")
        if args.save:
            nbformat.write(notebook, path)
    if not paths:
        sys.exit(f"found no notebook in {ROOT / 'notebooks'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
