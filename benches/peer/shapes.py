"""Floating-point operations and bytes of a model, from its config.json."""

import json
import pathlib


class Shape:
    """The sizes of a checkpoint.

    A token costs 2 FLOPs per weight of the blocks' matrices. For every pair of a token and a token that it attends to,
    attention adds 2 * n_heads * d_head FLOPs per layer for the score, and as many for the weighted sum of values. The
    logits cost 2 * d_model * d_vocab per token. Norms, activation functions and rotations (below 1 %) are not counted.
    """

    def __init__(self, folder):
        config = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        self.n_layers, self.d_model = config["num_hidden_layers"], config["hidden_size"]
        self.n_heads, self.d_vocab = config["num_attention_heads"], config["vocab_size"]
        self.n_kv_heads = config.get("num_key_value_heads") or self.n_heads
        self.d_head = config.get("head_dim") or self.d_model // self.n_heads
        self.d_mlp = config["intermediate_size"]
        self.mlp_matrices = 3 if config["model_type"] == "llama" else 2
        self.weight_bytes = sum(file.stat().st_size for file in pathlib.Path(folder).glob("*.safetensors"))

    @property
    def block_weights(self):
        """The number of weights in the matrices of one block."""
        attention = 2 * self.d_model * self.d_head * (self.n_heads + self.n_kv_heads)
        return attention + self.mlp_matrices * self.d_model * self.d_mlp

    def flops(self, count):
        """The FLOPs of all layers for a count of tokens and pairs."""
        pair = 4 * self.n_heads * self.d_head
        return self.n_layers * (2 * self.block_weights * count.tokens + pair * count.pairs)

    def logit_flops(self, count):
        """The FLOPs of the logits for a count of tokens."""
        return 2 * self.d_model * self.d_vocab * count.tokens
