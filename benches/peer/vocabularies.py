"""The tokenizers of GPT-NeoX, which Pythia uses, and of Llama 2, from the vocabularies in llama.cpp's sources.

llama.cpp's `models/ggml-vocab-gpt-neox.gguf` contains tokens and merges; `models/ggml-vocab-llama-spm.gguf` contains
tokens and scores, from which transformers derives the merges. A GGUF file lacks the normalizer and the pre-tokenizer,
which are set here as in the models' own tokenizer.json. Both tokenizers put BOS before every text: Llama's does so
itself, and Gurnee and Tegmark's code does it for Pythia.
"""

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.convert_slow_tokenizer import generate_merges

# llama.cpp's types of tokens.
CONTROL, USER_DEFINED = 3, 4
FILES = {"pythia-160m-random": "ggml-vocab-gpt-neox.gguf", "llama-gqa-random": "ggml-vocab-llama-spm.gguf"}


def read(path):
    """The fields of a vocabulary file, by the last word of each key."""
    fields = GGUFReader(path).fields
    return {key.rsplit(".", 1)[1]: field.contents() for key, field in fields.items() if key.startswith("tokenizer.")}


def of_type(said, type_):
    return [token for token, its_type in zip(said["tokens"], said["token_type"], strict=True) if its_type == type_]


def byte_level(said):
    """GPT-NeoX's: BPE over bytes; runs of spaces have their own tokens."""
    added = set(of_type(said, USER_DEFINED))
    vocab = {token: i for i, token in enumerate(said["tokens"]) if token not in added}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(merge.split(" ")) for merge in said["merges"]]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # The other tokens of that type only fill the vocabulary up to a round size.
    spaces = [token for token in of_type(said, USER_DEFINED) if token.isspace()]
    tokenizer.add_tokens([AddedToken(token, normalized=True) for token in spaces])
    return tokenizer


def sentence_piece(said):
    """Llama 2's: BPE over a text with `▁` for spaces; a letter without a token becomes bytes."""
    vocab = {token: i for i, token in enumerate(said["tokens"])}
    merges = generate_merges(vocab, dict(zip(said["tokens"], said["scores"], strict=True)))
    unknown = said["tokens"][said["unknown_token_id"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def load(folder, model):
    """The tokenizer of a model of make_models.py, and its special tokens by transformers' names."""
    said = read(folder / FILES[model])
    tokenizer = byte_level(said) if said["model"] == "gpt2" else sentence_piece(said)
    bos, eos = (said["tokens"][said[f"{end}_token_id"]] for end in ("bos", "eos"))
    tokenizer.add_special_tokens(of_type(said, CONTROL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, said["bos_token_id"])]
    )
    return tokenizer, {"bos_token": bos, "eos_token": eos, "pad_token": eos}
