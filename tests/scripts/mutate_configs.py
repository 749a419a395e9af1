"""Changes one field of a config.json at a time, and compares the effect in transformers and in mappa.

    pip install torch transformers==5.23.0 safetensors
    python tests/scripts/mutate_configs.py [--only CHECKPOINT ...] [--out FOLDER]

For every checkpoint of tests/fixtures/models, each field of its config.json is removed or set to null, another number,
the other truth value or another word. Fields that the family reads and the file lacks are added, as well as fields of
older files (such as rope_scaling). Fields inside `rope_parameters` and `attn_config` are changed in the same way.
transformers runs each changed config on one text and writes the results to FOLDER; then `cargo test --test it mutated`
(MAPPA_MUTATIONS=FOLDER) runs mappa on the same configs and prints the cases in which the two differ:

    DIFFERS   both run, and rows of stream or logits differ by more than 5e-5 of the largest value
    REFUSED   transformers runs and mappa refuses, with the reason
    LOOSER    mappa runs and transformers fails

The exit status is 1 if a case is DIFFERS. Not part of the test suite: it takes some minutes. `--record` writes the cases
of KEPT, which the test suite runs, into tests/fixtures/models/mutated.
"""

import argparse
import contextlib
import io
import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/fixtures/models"
RECORDED = MODELS / "mutated"
REFERENCE = json.loads((ROOT / "src/model/families/reference_fields.json").read_text())
TEXT = [7, 7, 7, 11, 30, 12, 5, 2, 19]
ENCODERS = {"bert", "roberta", "distilbert"}
# Falcon's eager attention adds ALiBi twice; see checkpoints.py.
SDPA = {"falcon"}
# Length of an additional text for families with ALiBi, whose rounding errors grow with the length of the text.
N_LONG = 2000
# Values to try for a missing field, or in addition to those that `values` derives from the field's own value.
WORDS = {
    "hidden_act": ["gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh"],
    "hidden_activation": ["gelu", "relu", "silu"],
    "activation_function": ["gelu", "gelu_new", "relu", "silu"],
    "activation": ["gelu", "gelu_new", "relu"],
    "layer_types": [["full_attention"] * 2, ["sliding_attention"] * 2, ["sliding_attention", "full_attention"]],
    "attention_layers": [["local", "local"], ["local", "global"]],
    "attention_types": [[[["local"], 2]], [[["global"], 1], [["local"], 1]]],
    "no_rope_layers": [[0, 0], [1, 1], [0, 1]],
    "position_embedding_type": ["relative_key"],
    "head_dim": [4, 6],
    "sliding_window": [3, 1],
    "pad_token_id": [0, 2, 7, 31],
    "rotary_dim": [3, 6],
    "partial_rotary_factor": [0.5, 1.0, 0.1],
    "rotary_pct": [0.5, 1.0],
    "rope_theta": [50.0],
    "rotary_emb_base": [50],
    "original_max_position_embeddings": [4, 64],
    "rope_scaling": [
        {}, {"type": "linear", "factor": 3.0}, {"rope_type": "dynamic", "factor": 2.0},
        {"rope_type": "linear", "factor": 3.0, "rope_theta": 50.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8, "truncate": False},
        {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        {"type": "su", "short_factor": [1.0, 1.5, 2.5], "long_factor": [2.0, 4.0, 8.0]},
        {"type": "yarn", "short_factor": [1.0, 1.5, 2.5], "long_factor": [2.0, 4.0, 8.0]},
    ],
    "rope_parameters": [
        {}, {"rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 8},
        {"rope_type": "default"}, {"type": "linear", "factor": 2.0},
    ],
    "use_bidirectional_attention": [False, True],
    "attn_logit_softcapping": [1.5],
    "final_logit_softcapping": [1.5],
    "clip_qkv": [0.3],
    "rope_local_base_freq": [50.0],
    "sliding_window_pattern": [2],
    "num_ln_in_parallel_attn": [1, 2],
    "num_kv_heads": [1, 3],
    "n_inner": [20, 16],
    "type": ["linear", "yarn", "dynamic"],
    "rope_type": ["linear", "yarn", "dynamic", "llama3", "default"],
}
# Tried in every family: fields of other families, of older files, and fields that no code reads.
ADDED = {
    "is_decoder": True, "is_causal": False, "use_mrope": True, "qk_layernorm": True, "scale_embedding": False,
    "layer_types": ["sliding_attention"] * 2, "sliding_window": 3, "n_special": 0, "predict_special_tokens": True,
    "_num_labels": 1, "neftune_noise_alpha": 5.0, "add_cross_attention": True, "rope_interleaved": True,
    "attention_temperature": 0.7, "parallel_attn": False, "use_parallel_residual": False, "tie_encoder_decoder": True,
    "scale_attn_weights": False, "apply_residual_connection_post_layernorm": True, "attn_logit_softcapping": 1.5,
    "final_logit_softcapping": 1.5, "logit_scale": 0.5, "embedding_multiplier": 2.0, "residual_multiplier": 0.5,
    "logits_scaling": 2.0, "attention_multiplier": 0.5, "clip_qkv": 0.3, "query_pre_attn_scalar": 3, "mlp_bias": False,
    "attention_chunk_size": 2, "use_sliding_window": True, "max_window_layers": 0, "norm_type": "rms_norm",
    "is_encoder_decoder": False, "hidden_size": 12, "num_hidden_layers": 1, "rope_theta": 50.0, "head_dim": 4,
    "partial_rotary_factor": 0.5, "use_qk_norm": True, "layer_norm_epsilon": 0.1, "rms_norm_eps": 0.1,
    "layer_norm_eps": 0.1, "norm_eps": 0.1, "no_rope_layers": [0, 1], "original_max_position_embeddings": 4,
}
# Sizes of tensors: other numbers are not tried, because neither program could load the weights.
SHAPES = {"vocab_size", "hidden_size", "intermediate_size", "n_embd", "d_model", "ffn_dim", "dim", "hidden_dim"}


def values(field, value):
    """Other values for a field, depending on the type of its own value."""
    others = [None, *WORDS.get(field, [])]
    if isinstance(value, bool):
        others.append(not value)
    elif isinstance(value, int):
        others += [value + 1, value * 2, 1, 0]
    elif isinstance(value, float):
        others += [value * 1.5, value + 0.25, 1.0, 0.0]
    return [other for other in others if other != value or type(other) is not type(value)]


def inner_changes(name, inner):
    """Every change of one field inside an object, and inside the objects that it contains."""
    for field, value in inner.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{label}", {**inner, field: changed}) for label, changed in inner_changes(field, value))
            continue
        yield f"{name}.{field} left out", {k: v for k, v in inner.items() if k != field}
        for other in values(field, value):
            yield f"{name}.{field}={other}", {**inner, field: other}
    if name == "attn_config":
        return
    for field in REFERENCE["rope"]:
        for other in {"factor": [2.0], "truncate": [False], "attention_factor": [1.3], "mscale": [0.7]}.get(field, WORDS.get(field, [])):
            if field not in inner:
                yield f"{name}.{field}+{other}", {**inner, field: other}
    yarn = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 100.0, "original_max_position_embeddings": 8}
    for more in ({}, {"truncate": False}, {"beta_fast": 0}, {"beta_slow": 4.0}, {"mscale": 0.7, "mscale_all_dim": 0.9}, {"factor": None}):
        yield f"{name}=yarn {more}", {**yarn, **more}


def changes(config):
    """Every change of one field: a name and the changed config."""
    for field, value in config.items():
        if field in ("model_type", "architectures", "transformers_version", "dtype", "torch_dtype"):
            continue
        yield f"{field} left out", {k: v for k, v in config.items() if k != field}
        if isinstance(value, dict):
            for label, inner in inner_changes(field, value):
                yield label, {**config, field: inner}
        for other in values(field, value) if field not in SHAPES else [None]:
            yield f"{field}={other}", {**config, field: other}
    for field in REFERENCE["families"].get(config["model_type"], []):
        for other in WORDS.get(field, [True, 2, 0.5]) if field not in config else []:
            yield f"{field}+{other}", {**config, field: other}
    for field, other in ADDED.items():
        if field not in config:
            yield f"{field}+{other}", {**config, field: other}
    if "rope_parameters" in config:
        old = {k: v for k, v in config.items() if k != "rope_parameters"}
        for scaling in WORDS["rope_scaling"]:
            yield f"old rope_scaling {scaling}", {**old, "rope_theta": 100.0, "rope_scaling": scaling}
            yield f"both {scaling}", {**config, "rope_theta": 100.0, "rope_scaling": scaling}


def run(config, folder, n_tokens=len(TEXT)):
    """The numbers of transformers with a changed config, or None and the reason of its failure."""
    (folder / "config.json").write_text(json.dumps(config))
    auto = AutoModelForMaskedLM if config["model_type"] in ENCODERS else AutoModelForCausalLM
    attention = "sdpa" if config["model_type"] in SDPA else "eager"
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            model, info = auto.from_pretrained(
                folder, attn_implementation=attention, dtype=torch.float32, output_loading_info=True
            )
            if info["missing_keys"]:
                return None, f"weights are missing: {sorted(info['missing_keys'])[0]}"
            return numbers(model.eval(), n_tokens), None
    except Exception as error:
        return None, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


def text_of(n_tokens):
    """TEXT, or another text of the given length; tests/it/mutated.rs has the same formula."""
    return TEXT if n_tokens == len(TEXT) else [(5 * i + i * i // 3) % 29 + 3 for i in range(n_tokens)]


def numbers(model, n_tokens):
    seen = []
    base = getattr(model.base_model, "decoder", model.base_model)
    stack = next(m for m in base.modules() if isinstance(m, torch.nn.ModuleList))
    stack[-1].register_forward_hook(lambda _, args, out: seen.append(out[0] if isinstance(out, tuple) else out))
    text = text_of(n_tokens)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([text])).logits[0]
    stream = seen[0].reshape(len(text), -1)
    if not (torch.isfinite(stream).all() and torch.isfinite(logits).all()):
        raise ValueError("found numbers that are not finite")
    rows = [len(text) * third // 3 - 1 for third in (1, 2, 3)]
    return {"stream": stream[rows].clone(), "logits": logits[rows].clone()}


def cases_of(checkpoint, wanted):
    config = json.loads((MODELS / checkpoint / "config.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for file in (MODELS / checkpoint).iterdir():
            if file.name not in ("config.json", "expected.safetensors"):
                shutil.copy(file, folder)
        is_wanted = lambda label: wanted is None or any(label.startswith(start) for start in wanted)
        longer = {"max_seq_len": 2048, "seq_length": 2048, "max_position_embeddings": 2048}
        if "alibi" in config or config["model_type"] in ("mpt", "bloom"):
            long = {**config, **{k: v for k, v in longer.items() if k in config}}
            yield from one(checkpoint, f"{N_LONG} tokens", long, folder, N_LONG)
        for label, changed in changes(config):
            if is_wanted(label):
                yield from one(checkpoint, label, changed, folder, len(TEXT))


def one(checkpoint, label, config, folder, n_tokens):
    found, reason = run(config, folder, n_tokens)
    was = json.loads((MODELS / checkpoint / "config.json").read_text())
    case = {
        "name": f"{checkpoint}: {label}", "checkpoint": checkpoint, "n_tokens": n_tokens, "reason": reason,
        "left_out": sorted(was.keys() - config.keys()),
        "set": {k: v for k, v in config.items() if k not in was or json.dumps(was[k]) != json.dumps(v)},
    }
    yield case, found


def write(out, wanted):
    """Writes the cases and their numbers; `wanted` is a list of checkpoints, or maps each to the beginnings of labels."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    tensors, lines, missing = {}, [], []
    for checkpoint in wanted:
        labels = wanted[checkpoint] if isinstance(wanted, dict) else None
        found_labels = []
        for case, found in cases_of(checkpoint, labels):
            case["id"] = len(lines)
            found_labels.append(case["name"].removeprefix(f"{checkpoint}: "))
            for kind, tensor in (found or {}).items():
                tensors[f"{case['id']}.{kind}"] = tensor.contiguous()
            lines.append(case)
        missing += [(checkpoint, start) for start in labels or [] if not any(f.startswith(start) for f in found_labels)]
        print(f"{checkpoint}: {len(lines)} cases so far", flush=True)
    assert not missing, missing
    (out / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    versions = {"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}"}
    save_file(tensors, out / "expected.safetensors", metadata=versions)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", help="checkpoints (default: all)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "mappa-mutations")
    parser.add_argument("--record", action="store_true", help="write the cases of KEPT for the test suite")
    args = parser.parse_args()
    logging.disable(logging.ERROR)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    if args.record:
        write(RECORDED, KEPT)
        return
    folders = sorted(folder.parent.name for folder in MODELS.glob("*/config.json"))
    # transformers does not have the family ChatGLM.
    write(args.out, [name for name in folders if name != "chatglm" and (not args.only or name in args.only)])
    command = ["cargo", "test", "--test", "it", "mutated", "--", "--nocapture"]
    sys.exit(subprocess.run(command, cwd=ROOT, env={**os.environ, "MAPPA_MUTATIONS": str(args.out)}).returncode)


# The cases of the test suite, by the beginnings of their labels: changes that mappa once interpreted differently from
# transformers, or could.
KEPT = {
    "llama_linear": [
        "both ", "old rope_scaling ", "rope_parameters=yarn ", "partial_rotary_factor+0.5", "layer_types+",
        "rope_parameters={'type'", "sliding_window+", "original_max_position_embeddings+",
    ],
    "llama_dynamic": ["rope_theta left out", "rope_scaling left out"],
    "gemma3_text": [
        "rope_parameters.full_attention=", "rope_parameters.sliding_attention=", "old rope_scaling ",
        "rope_parameters.truncate", "rope_local_base_freq+", "rope_parameters.full_attention.rope_theta left",
        "rope_parameters.full_attention=yarn", "layer_types=",
    ],
    "phi3": ["partial_rotary_factor+", "rope_parameters.partial_rotary_factor=", "sliding_window="],
    "phi3_longrope": [
        "original_max_position_embeddings", "partial_rotary_factor+", "both {'type': 'yarn'", "both {'type': 'su'",
        "old rope_scaling {'type': 'yarn'", "rope_parameters.attention_factor+", "rope_parameters.factor+",
        "rope_parameters.original_max_position_embeddings",
    ],
    "gpt_neox": ["rotary_pct+", "rope_parameters.partial_rotary_factor", "rope_theta+", "partial_rotary_factor+", "both "],
    "glm": ["rope_parameters.partial_rotary_factor", "partial_rotary_factor+"],
    "glm4": ["rope_parameters.partial_rotary_factor"],
    "phi": ["rope_parameters.partial_rotary_factor"],
    "stablelm": ["rope_parameters.partial_rotary_factor", "rope_parameters=None"],
    "gptj": ["rotary_dim"],
    "falcon_7b": ["parallel_attn", "multi_query", "alibi", "new_decoder_architecture"],
    "falcon_rw": ["parallel_attn", "multi_query", "bias"],
    "falcon_11b": ["num_ln_in_parallel_attn", "new_decoder_architecture"],
    "roberta": ["pad_token_id"],
    "xglm": ["pad_token_id"],
    "bert": ["pad_token_id", "hidden_act="],
    "gpt2": ["num_hidden_layers+", "hidden_size+", "is_decoder+", "n_special+", "_num_labels+", "neftune_noise_alpha+"],
    "qwen2": ["sliding_window", "max_window_layers", "layer_types", "use_sliding_window"],
    "mistral": ["sliding_window", "layer_types+"],
    "mpt": ["attn_config.clip_qkv", "attn_config.softmax_scale"],
    "bloom": [],
    "gpt_neo": ["attention_types", "attention_layers", "window_size", "num_hidden_layers+"],
}

if __name__ == "__main__":
    main()
