"""Makes the two random checkpoints of the comparison, with their tokenizers.

    pip download --no-deps --no-binary llama-cpp-python llama-cpp-python==0.3.36   # unpack it: it contains llama.cpp
    python benches/peer/make_models.py FOLDER --vocabularies UNPACKED/vendor/llama.cpp/models
    python benches/peer/make_models.py FOLDER [--data ../shared/data] [--vocab 12000]

`FOLDER/pythia-160m-random` has exactly the shape of EleutherAI/pythia-160m (GPT-NeoX). `FOLDER/llama-gqa-random` has
the depth of Llama-3.2-1B and half its width: 16 layers, d_model 1024, 16 query heads over 4 key/value heads, d_mlp 4096.
The weights are random, drawn from a seed as transformers initialises a model, and saved in f32. The time of a pass does
not depend on their values.

With `--vocabularies`, the tokenizers are those of Pythia and Llama 2, with BOS before each text (vocabularies.py).
Otherwise both models get a byte-level BPE like that of GPT-NeoX, without BOS, trained on the names of the world, US, art
and headline files and on the paper's prompts. With its size, the number of distinct prefixes of the world, US and
headline names differs by at most 2 % from that of Pythia's tokenizer.
"""

import argparse
import pathlib

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import texts
import vocabularies

ROOT = pathlib.Path(__file__).resolve().parents[2]
END, PADDING = "<|endoftext|>", "<|padding|>"
TRAINED_ON = ["world_place.csv", "us_place.csv", "art.csv", "headline.csv"]
# So many that each word of a prompt becomes one token, as in a vocabulary trained on English texts.
PROMPT_REPEATS = 2000

CONFIGS = {
    "pythia-160m-random": hf.GPTNeoXConfig(
        vocab_size=50304, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
        hidden_act="gelu", rotary_pct=0.25, rotary_emb_base=10000, max_position_embeddings=2048,
        use_parallel_residual=True, attention_bias=True, tie_word_embeddings=False, layer_norm_eps=1e-5,
        bos_token_id=0, eos_token_id=0,
    ),
    "llama-gqa-random": hf.LlamaConfig(
        vocab_size=32000, hidden_size=1024, num_hidden_layers=16, num_attention_heads=16, num_key_value_heads=4,
        head_dim=64, intermediate_size=4096, max_position_embeddings=2048, rms_norm_eps=1e-5,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
    ),
}  # fmt: skip


def trained_tokenizer(data, d_vocab):
    """A byte-level BPE trained on the real names and the paper's prompts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = [name for file in TRAINED_ON for name in texts.names(data / file)]
    tokenizer.train_from_iterator(lines + texts.PROMPTS * PROMPT_REPEATS, trainer)
    return tokenizer


def tokenizers_of(args):
    """Each model's tokenizer with its special tokens."""
    if args.vocabularies:
        return {name: vocabularies.load(args.vocabularies, name) for name in CONFIGS}
    trained = trained_tokenizer(args.data, args.vocab)
    return {name: (trained, {"bos_token": END, "eos_token": END, "pad_token": PADDING}) for name in CONFIGS}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="the output folder for the models, outside the repository")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "../shared/data", help="the entity files")
    parser.add_argument("--vocab", type=int, default=12000, help="the number of tokens of the tokenizer (default: 12000)")
    parser.add_argument("--vocabularies", type=pathlib.Path, help="llama.cpp's folder of vocabularies")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.folder.resolve().is_relative_to(ROOT):
        parser.error(f"found {args.folder} in the repository; expected a folder outside it: the models are 1.9 GB")

    found = tokenizers_of(args)
    for name, config in CONFIGS.items():
        tokenizer, special = found[name]
        fast = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
        if len(fast) > config.vocab_size:
            parser.error(f"found {len(fast)} tokens; expected at most {config.vocab_size}, the vocabulary of {name}")
        torch.manual_seed(args.seed)
        model = hf.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.save_pretrained(args.folder / name)
        fast.save_pretrained(args.folder / name)
        print(f"{args.folder / name}: {model.num_parameters() / 1e6:.1f} M weights, {len(fast)} tokens")


if __name__ == "__main__":
    main()
