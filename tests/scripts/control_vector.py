"""Compares logits of mappa and llama.cpp under the same steering: a control vector that mappa exports.

    pip install torch transformers==5.23.0 safetensors sentencepiece mistral_common
    pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36   # unpack it: it contains llama.cpp
    CMAKE_ARGS="-DGGML_LLAMAFILE=OFF -DGGML_CPU_REPACK=OFF" pip install UNPACKED
    cargo build --release
    python tests/scripts/control_vector.py UNPACKED/vendor/llama.cpp [--mappa BINARY]

llama.cpp's own converter converts the bundled model to GGUF in f32; `mappa steer extract` and `mappa steer export` write
the directions of its longitude probe as a control vector. llama.cpp loads both (llama_set_adapter_cvec, one thread, no
flash attention, keys and values in f32). Each prompt is steered in three ways: at all blocks that the format can address,
at one block in the middle, and at the last block. The logits after the prompt, steered and unsteered, are compared with
those of `mappa steer --logits`, for mappa on the model's folder and on the GGUF file. A difference may be at most 1e-3 of
the largest logit. llama.cpp adds its vector at every token, including BOS, so mappa uses `--at bos,all`. The exit status
is 1 if a difference is larger, if the vector moves the logits too little for a meaningful comparison, or if vectors
shifted by one block would also pass. Not part of the test suite: building llama.cpp takes minutes.
"""

import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-3
STRENGTH = 30.0
# The bundled model's tokenizer puts a space before a text and llama.cpp does not, so the prompts begin with a space.
PROMPTS = [" Nairobi", " Vienna is in", " Plutarch is from the age of", " Warsaw is in Poland. Athens is in Greece. Oslo is"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    built = [ROOT / "target" / profile / "mappa" for profile in ("release", "debug")]
    parser.add_argument("llama_cpp", type=pathlib.Path, help="the folder with convert_hf_to_gguf.py")
    parser.add_argument("--mappa", type=pathlib.Path, default=next((b for b in built if b.is_file()), built[0]))
    return parser.parse_args()


def convert(llama_cpp_folder, folder, out):
    """Converts a folder with llama.cpp's converter, given the name of the pre-tokenizer, whose hash it does not know."""
    sys.path[:0] = [str(llama_cpp_folder), str(llama_cpp_folder / "gguf-py")]
    import gguf
    import torch
    from conversion import ModelBase, ModelType, TextModel, get_model_architecture, get_model_class

    TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
    architecture = get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT)
    with torch.inference_mode():
        get_model_class(architecture)(folder, gguf.LlamaFileType.ALL_F32, out, model_name="atlas").write()


class LlamaCpp:
    """llama.cpp with a model and a control vector."""

    def __init__(self, path, vector):
        import gguf
        import llama_cpp

        self.low = llama_cpp
        self.model = llama_cpp.Llama(
            str(path), n_ctx=256, n_threads=1, n_threads_batch=1, logits_all=True, type_k=0, type_v=0, verbose=False,
        )  # fmt: skip
        directions = {int(t.name.removeprefix("direction.")): t.data for t in gguf.GGUFReader(vector).tensors}
        # In the order of common_control_vector_load: block 1 comes first.
        self.width = len(next(iter(directions.values())))
        self.rows = numpy.zeros((max(directions), self.width), dtype=numpy.float32)
        for block, direction in directions.items():
            self.rows[block - 1] = direction

    def logits(self, ids, blocks=None, early=0):
        """The logits after the last token; `blocks` is the first and the last steered block, and `early` shifts each vector
        to an earlier block, by this many blocks."""
        if blocks is None:
            status = self.low.llama_set_adapter_cvec(self.model.ctx, None, 0, 0, 0, 0)
        else:
            data = numpy.zeros_like(self.rows)
            data[: len(data) - early] = self.rows[early:] * STRENGTH
            blocks = [block - early for block in blocks]
            pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            status = self.low.llama_set_adapter_cvec(self.model.ctx, pointer, data.size, self.width, *blocks)
        if status != 0:
            sys.exit(f"llama_set_adapter_cvec failed with status {status}")
        self.model.reset()
        self.model.eval(ids)
        return numpy.array(self.model.scores[len(ids) - 1], dtype=numpy.float32)

    def tokens(self, text):
        return self.model.tokenize(text.encode(), add_bos=True, special=False)


def run(mappa, lab, *words):
    done = subprocess.run([str(mappa), "--lab", str(lab), *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"mappa {' '.join(map(str, words))}: {done.stderr}")


def ours(mappa, scratch, model, prompt, vector, blocks):
    """The logits that `mappa steer --logits` writes, steered and unsteered."""
    layers = ",".join(map(str, range(blocks[0], blocks[1] + 1)))
    out = scratch / "logits.safetensors"
    how = ["--direction", vector, "--dose", f"{STRENGTH}x", "--layer", layers, "--at", "bos,all"]
    run(mappa, scratch, "steer", "--model", model, "--prompt", prompt, *how, "--tokens", 1, "--logits", out)
    return load_file(out)


def apart(a, b):
    """The largest difference, relative to the largest value of `b`."""
    return float(abs(a - b).max() / abs(b).max())


def compare(llama, prompt, blocks, found):
    """For one prompt and way of steering: the differences from llama.cpp, how far the vector moves llama.cpp's logits, and
    the difference if the vectors are shifted by one block."""
    ids = found["folder"]["ids"].tolist()
    if found["GGUF"]["ids"].tolist() != ids or llama.tokens(prompt) != ids:
        others = f"{found['GGUF']['ids'].tolist()} in the GGUF file and {llama.tokens(prompt)} in llama.cpp"
        sys.exit(f"{prompt!r} has the tokens {ids} in the folder, {others}")
    plain, steered = llama.logits(ids), llama.logits(ids, blocks)
    off = llama.logits(ids, blocks, early=1)
    differences = [apart(found[kind][what], theirs) for what, theirs in (("unsteered", plain), ("steered", steered))
                   for kind in ("folder", "GGUF")]  # fmt: skip
    return differences, apart(steered, plain), apart(found["folder"]["steered"], off)


def main():
    args = arguments()
    failed, worst = [], 0.0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        gguf, vectors, vector = scratch / "atlas.gguf", scratch / "east.safetensors", scratch / "east.gguf"
        convert(args.llama_cpp, ROOT / "models/atlas", gguf)
        run(args.mappa, ROOT, "steer", "extract", "--probe", "longitude", "--out", vectors)
        run(args.mappa, ROOT, "steer", "export", vectors, vector)
        llama = LlamaCpp(gguf, vector)
        last = len(llama.rows)
        print("| prompt | blocks | unsteered: folder | GGUF | steered: folder | GGUF | moved by the vector | shifted by a block |")
        print("|---|---|--:|--:|--:|--:|--:|--:|")
        for prompt in PROMPTS:
            for blocks in ((1, last), (3, 3), (last, last)):
                models = {"folder": ROOT / "models/atlas", "GGUF": gguf}
                found = {kind: ours(args.mappa, scratch, model, prompt, vector, blocks) for kind, model in models.items()}
                differences, moved, off = compare(llama, prompt, blocks, found)
                name = f"{blocks[0]} to {blocks[1]}" if blocks[0] < blocks[1] else str(blocks[0])
                cells = " | ".join(f"{value:.1e}" for value in differences)
                print(f"| `{prompt.strip()}` | {name} | {cells} | {moved:.2f} | {off:.2f} |", flush=True)
                worst = max(worst, *differences)
                if max(differences) > TOLERANCE or moved < 30 * TOLERANCE or off < 10 * TOLERANCE:
                    failed.append((prompt, blocks))
        print(f"\nllama-cpp-python {llama.low.__version__}; the largest difference is {worst:.1e} of the largest logit")
    if failed:
        sys.exit(f"failed: {failed}")


if __name__ == "__main__":
    main()
