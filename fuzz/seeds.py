"""Copies the fixtures of the tests as seeds of the fuzz targets: python3 fuzz/seeds.py FOLDER"""

import hashlib
import json
import pathlib
import shutil
import struct
import sys

FIXTURES = pathlib.Path(__file__).parent.parent / "tests/fixtures"
LONGEST = 65536  # bytes; longer inputs are mutated too slowly

FILES = {
    "card": ["../../datasets/*/card.json", "../../models/atlas/card.json", "../../probes/**/card.json"],
    "chat_template": ["chat/*/chat_template.jinja"],
    "checkpoint": ["models/gpt2/model.safetensors", "models/gpt2_untied/model.safetensors"],
    "config": ["models/*/config.json"],
    "contrast_pairs": ["features/*/sae_weights.safetensors"],
    "control_vector": ["gguf/gpt2.gguf"],
    "csv": ["import/*.csv", "import/*.tsv", "import/tables/*.csv", "import/tables/*.tsv"],
    "dataset": ["../../datasets/*/*.csv", "../../probes/**/*.csv", "../../steering/**/*.csv"],
    "dictionary": ["features/jumprelu/sae_weights.safetensors"],
    "dictionary_config": ["features/*/cfg.json"],
    "experiment": ["../../probes/*.toml", "../../**/experiment*.toml", "../../src/**/*.toml"],
    "gguf": ["gguf/*.gguf"],
    "json": ["import/*.jsonl", "import/tables/*json"],
    "npz": ["features/gemma_scope/params.npz"],
    "parquet": ["import/*.parquet", "import/tables/*.parquet"],
    "pickle": ["models/gpt2_bin/pytorch_model.bin"],
    "probes": ["../../probes/**/probes.safetensors"],
    "shard_index": ["models/llama/model.safetensors.index.json"],
    "store": ["../../datasets/*/card.json"],
    "word_vectors": ["word_vectors/*.txt", "word_vectors/*.bin", "word_vectors/*.vec", "word_vectors/*.gz",
                     "word_vectors/*.zip", "word_vectors/*.whl"],
    "tokenizer_json": ["chat/*/tokenizer.json", "bos/tokenizer.json"],
}
# Each byte before a file chooses the class and the file that it replaces, as in `readers.rs`.
VOCABULARIES = {
    0: "bert_cased/config.json", 4: "bert_cased/tokenizer_config.json", 8: "bert_cased/vocab.txt",
    1: "gpt_neox/config.json", 5: "gpt_neox/tokenizer_config.json", 9: "gpt_neox/vocab.json",
    13: "gpt_neox/merges.txt", 2: "llama/config.json", 6: "llama/tokenizer_config.json",
    10: "llama/tokenizer.model", 3: "xlm_roberta/config.json", 7: "xlm_roberta/tokenizer_config.json",
    11: "xlm_roberta/sentencepiece.bpe.model",
}  # fmt: skip
# The hash of the only part of the store in `readers.rs`, which has one file.
PART = hashlib.sha256(hashlib.sha256(struct.pack("<4f", 1, 2, 3, 4)).digest()).hexdigest()
TEXTS = {
    "hook_points": ["embed,blocks.{0,2}.mlp.hook_post", "blocks.*.hook_resid_p?st", "blocks.1.attn.hook_z"],
    "journal": ["", f"0,{PART}\n", f"0,{PART[:40]}", f"0,{'0' * 64}\n1,{PART}\n", f"0,{PART}\n0,{'f' * 64}\n"],
    "prompt": ["{} is in", "{name}, {country} ({year})", "Where is {name|upper}?", "{", "random:12", "empty"],
    "steering_words": ["30 east", "2 rms", "clamp 3x", "lat=40.7,lon=-74", "1850", "0+1+2", "-20 years", "last",
                       "Tokyo", "features/atlas/DICT:40", "4 activation", "place=48.2,16.4", "3..7"],
    "contrast_pairs": ['{"positive": "a", "negative": "b"}\n{"positive": "c", "negative": "d"}\n'],
    "experiment": ['model = "atlas"\ndatasets = ["world_place"]\nvectors = "none"\n', '[prompts]\na = "{} is"\n'],
    "store": ['file,rows,sha256\nspans.csv,1,' + "0" * 64 + "\n",
              "row,name,first_token,last_token,first_row,n_rows\n1,Oslo,1,2,0,1\n"],
}  # fmt: skip


def main(root: pathlib.Path) -> None:
    """Writes the seeds of each target into a folder of its name."""
    for target in sorted(FILES.keys() | TEXTS.keys() | {"vocabulary"}):
        folder = root / target
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        found = [path for pattern in FILES.get(target, []) for path in sorted(FIXTURES.glob(pattern))]
        for at, path in enumerate(found):
            if path.is_file() and path.stat().st_size <= LONGEST:
                shutil.copyfile(path, folder / f"{at:03}-{path.name}")
        for at, text in enumerate(TEXTS.get(target, [])):
            (folder / f"text-{at:03}").write_text(text)
    for at, row in enumerate(json.loads((FIXTURES / "chat/constructs.json").read_text())):
        (root / "chat_template" / f"construct-{at:03}").write_text(row["template"] + "{{ messages[0].content }}")
    for choice, name in VOCABULARIES.items():
        content = (FIXTURES / "tokenizers" / name).read_bytes()
        (root / "vocabulary" / f"{choice:03}-{pathlib.Path(name).name}").write_bytes(bytes([choice]) + content)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
