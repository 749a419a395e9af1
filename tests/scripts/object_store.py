"""Tests activations in an S3-compatible store, moto's server on this machine: extracts three shards from three labs,
merges and verifies them, fits probes, and compares every object with the file of a single run on disk.

    pip install "moto[server]"
    python tests/scripts/object_store.py [--mappa target/release/mappa] [--dataset historical_figure]

Prints one line per check; the exit status is 1 if a check fails. Not part of the test suite: it needs moto.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORT = 5123
BUCKET = "mappa"
SHARDS = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = [ROOT / "target" / profile / "mappa" for profile in ("release", "debug")]
    parser.add_argument("--mappa", type=pathlib.Path, default=next((b for b in built if b.is_file()), built[0]))
    parser.add_argument("--dataset", default="historical_figure")
    return parser.parse_args()


def client():
    """A client of Amazon's library boto3, which moto depends on."""
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{PORT}", region_name="us-east-1",
                        aws_access_key_id="test", aws_secret_access_key="test")


def serve():
    """Starts the server, and returns its process when it answers."""
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(PORT)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/"):
                return server
        except OSError:
            time.sleep(0.2)
    server.kill()
    sys.exit("moto's server does not answer")


def main():
    options = arguments()
    remote = {
        **os.environ,
        "MAPPA_ACTIVATIONS": f"s3://{BUCKET}/lab",
        "AWS_ENDPOINT": f"http://127.0.0.1:{PORT}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    server, n_bad = serve(), 0

    def mappa(lab, environment, *words):
        words = [options.mappa, "--lab", lab, *words, "--dataset", options.dataset]
        done = subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))} failed with status {done.returncode}: {done.stderr}")
        return done.stdout

    def check(holds, words):
        nonlocal n_bad
        n_bad += not holds
        print(f"{'ok' if holds else 'NOT OK':<7}{words}", flush=True)

    try:
        s3 = client()
        s3.create_bucket(Bucket=BUCKET)
        with tempfile.TemporaryDirectory() as folder:
            labs = pathlib.Path(folder)
            mappa(labs / "single", os.environ, "extract")
            mappa(labs / "single", os.environ, "probe", "--no-baselines")
            for i in range(1, SHARDS + 1):
                mappa(labs / f"machine{i}", remote, "extract", "--shard", f"{i}/{SHARDS}")
            said = mappa(labs / "merger", remote, "extract", "--merge")
            check("s3://" in said, "the merge prints the address of the activations")
            single = labs / "single/activations/atlas" / options.dataset / "empty"
            for path in sorted(p for p in single.iterdir() if not p.name.startswith(".")):
                there = s3.get_object(Bucket=BUCKET, Key=f"lab/atlas/{options.dataset}/empty/{path.name}")["Body"].read()
                if path.name == "card.json":
                    a, b = json.loads(there), json.loads(path.read_bytes())
                    check((a["inputs"], a["notes"]) == (b["inputs"], b["notes"]), f"{path.name}: inputs and notes")
                else:
                    check(there == path.read_bytes(), f"{path.name}: {len(there)} bytes, equal to those of a single run")
            check("found, extracted before" in mappa(labs / "other", remote, "extract"), "another lab finds the activations")
            check("match their checksums" in mappa(labs / "other", remote, "extract", "--verify"), "the other lab verifies them")
            mappa(labs / "other", remote, "probe", "--no-baselines")
            scores = [labs / lab / "probes/atlas" / options.dataset / "empty" for lab in ("single", "other")]
            names = sorted(p.name for p in scores[0].parent.rglob("scores.csv"))
            found = [next(s.parent.rglob("scores.csv")).read_bytes() for s in scores]
            check(names and found[0] == found[1], "the scores of its probes are the same, byte for byte")
            left = list((labs / "other").rglob("*.safetensors"))
            check(not [p for p in left if "activations" in p.parts], "the other lab's own folder contains no activations")
    finally:
        server.terminate()
    return 1 if n_bad else 0


if __name__ == "__main__":
    sys.exit(main())
