"""The two torch pipelines, and the machine's rate of matrix products.

`paper` works as the paper's code does. `best` is the pipeline that a careful user of torch and transformers would write
without their own implementation of the model:

- the base model without logits; forward hooks gather the last tokens, so that the hidden states of one layer at a time
  are in memory;
- texts sorted by length, so that the texts of a batch have nearly equal lengths and little padding;
- products of the linear layers by oneDNN with weights packed once, as in torch.compile; on AMD processors this is faster
  than MKL, torch's default (`--products mkl`);
- no attention mask, so that attention uses the causal kernel: padding is on the right, where the gathered tokens do not
  attend;
- the common prefix of all texts is computed once, and every batch uses its keys and values;
- the fastest batch size (in texts or tokens), found on batches spread over the texts before the measurement.
"""

import pathlib
import os
import statistics
import time

import numpy
import torch
import transformers

import texts

# The batch sizes to try, in texts or, with a `t`, in tokens.
SIZES = ["16", "32", "64", "128", "256", "512", "1024t", "2048t", "4096t"]
# Number of tokens on which each size is tried, twice in opposite orders, so that a drifting machine favours no size.
TRIED_TOKENS = 2048
# Number of texts that are computed again one by one, without a shared prefix, to check the vectors.
CHECKED = 24
PRODUCTS = [(4096, 768, 3072), (2048, 1024, 4096), (2048, 2048, 2048)]
REPEATS = 7

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
transformers.logging.set_verbosity_error()


class Clock:
    """Wall seconds and processor seconds since its creation; other work on the machine changes the latter less."""

    def __init__(self):
        self.wall, self.processors = time.monotonic(), time.process_time()

    def stop(self):
        return time.monotonic() - self.wall, time.process_time() - self.processors


# The values of `--numbers`: the format of weights and of all results, but not of the sums within products.
NUMBERS = {"f32": torch.float32, "bf16": torch.bfloat16}


def load(auto, args):
    return auto.from_pretrained(args.model, dtype=NUMBERS[args.numbers], attn_implementation="sdpa").eval()


def pad(ids):
    """Token ids `[n, longest]` padded on the right, and each text's last index."""
    longest = max(map(len, ids))
    batch = torch.tensor([text + [0] * (longest - len(text)) for text in ids])
    return batch, torch.tensor([len(text) - 1 for text in ids])


def sampled(batches, args, n_texts):
    """All batches, or evenly spaced batches with about `--sample` texts in total."""
    if not args.sample or args.sample >= n_texts:
        return batches
    n = max(1, round(len(batches) * args.sample / n_texts))
    return [batches[i] for i in texts.evenly(n, len(batches))]


def save(args, vectors, entities, kept):
    """Writes the vectors `[depth, n, d_model]` and the entities' indices; returns their place and size."""
    path = args.out / f"{args.way}.npy"
    numpy.save(path, vectors.numpy())
    numpy.save(args.out / f"{args.way}.entities.npy", numpy.array(entities))
    return {"at": str(path), "kept": f"in memory, {kept}", "bytes": vectors.nbytes}


@torch.inference_mode()
def paper(args, ids):
    """Causal language model with logits, dataset order, padded batches of 128, all hidden states, f16."""
    started = time.monotonic()
    model = load(transformers.AutoModelForCausalLM, args)
    loaded = time.monotonic() - started
    size = texts.BATCH_OF_THE_PAPER
    batches = sampled([list(range(at, min(at + size, len(ids)))) for at in range(0, len(ids), size)], args, len(ids))
    entities = [i for batch in batches for i in batch]
    config = model.config
    vectors = torch.empty(config.num_hidden_layers + 1, len(entities), config.hidden_size, dtype=torch.float16)
    count, at = texts.Count(), 0
    clock = Clock()
    for batch in batches:
        input_ids, last = pad([ids[i] for i in batch])
        mask = (torch.arange(input_ids.shape[1]) <= last[:, None]).long()
        out = model(input_ids=input_ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
        rows = torch.arange(len(batch))
        for depth, states in enumerate(out.hidden_states):
            vectors[depth, at : at + len(batch)] = states[rows, last].half()
        at += len(batch)
        count.add_batch(*input_ids.shape)
    worked, processors = clock.stop()
    return {
        "entities": len(entities),
        "through": count,
        "batch": f"{size} texts",
        "numbers": args.numbers,
        "seconds": {"work": worked, "processors": processors, "load": loaded},
        "vectors": save(args, vectors, entities, "f16; last layer after the final norm"),
    }


class Gathering:
    """Forward hooks that store the last token's row of the first block's input and of each block's output."""

    def __init__(self, model, n_entities):
        config = model.config
        self.vectors = torch.empty(config.num_hidden_layers + 1, n_entities, config.hidden_size)
        self.entities = self.last = None
        blocks = model.layers
        blocks[0].register_forward_pre_hook(lambda _, inputs: self.keep(0, inputs[0]))
        for depth, block in enumerate(blocks, 1):
            block.register_forward_hook(lambda _, __, out, depth=depth: self.keep(depth, out))

    def keep(self, depth, states):
        states = states[0] if isinstance(states, tuple) else states  # [n, width, d_model]
        if self.entities is not None:
            self.vectors[depth, self.entities] = states[torch.arange(len(self.last)), self.last].float()


class Packed(torch.nn.Module):
    """A linear layer with its weights in the order of oneDNN's product."""

    def __init__(self, linear):
        super().__init__()
        self.weight, self.bias = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach()), linear.bias

    def forward(self, x):
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def pack(module):
    """Replaces torch's linear layers by packed ones, one by one, so that few weights are in memory twice."""
    for name, child in list(module.named_children()):
        if isinstance(child, torch.nn.Linear):
            setattr(module, name, Packed(child))
        else:
            pack(child)


class Best:
    """The base model, and the keys and values of the texts' common prefix."""

    def __init__(self, args, ids):
        self.model = load(transformers.AutoModel, args)
        if args.products == "onednn":
            pack(self.model.layers)
        self.gathering = Gathering(self.model, len(ids))
        self.ids, self.n_past, self.past = ids, texts.shared_beginning(ids), None
        self.count = texts.Count()

    def begin(self):
        """Computes the common prefix of all texts."""
        self.count = texts.Count()
        if self.n_past > 0:
            self.gathering.entities = None
            cache = transformers.DynamicCache(config=self.model.config)
            self.model(input_ids=torch.tensor([self.ids[0][: self.n_past]]), past_key_values=cache)
            self.past = [(layer.keys, layer.values) for layer in cache.layers]
            self.count.add_batch(1, self.n_past)

    def read(self, batch):
        """Runs the model on one batch; the hooks store the last tokens' rows."""
        input_ids, last = pad([self.ids[i][self.n_past :] for i in batch])
        self.gathering.entities, self.gathering.last = torch.tensor(batch), last
        cache = None
        if self.n_past > 0:
            cache = transformers.DynamicCache(config=self.model.config)
            for layer, (keys, values) in enumerate(self.past):
                cache.update(keys.expand(len(batch), -1, -1, -1), values.expand(len(batch), -1, -1, -1), layer)
        self.model(input_ids=input_ids, past_key_values=cache, use_cache=cache is not None)
        self.count.add_batch(*input_ids.shape, self.n_past)

    def batches(self, size):
        """Batches of texts sorted by length, with at most this many texts (`64`) or tokens (`1024t`) each."""
        order = sorted(range(len(self.ids)), key=lambda i: len(self.ids[i]))
        by_tokens = size.endswith("t")
        limit, batches, batch = int(size.removesuffix("t")), [], []
        for i in order:
            width = len(self.ids[i]) - self.n_past
            if batch and (len(batch) + 1) * (width if by_tokens else 1) > limit:
                batches.append(batch)
                batch = []
            batch.append(i)
        return [*batches, batch]

    def tried(self, size):
        """A few batches of one size, evenly spaced over the texts, to time the size."""
        batches = self.batches(size)
        own = sum(len(text) - self.n_past for text in self.ids)
        return [batches[i] for i in texts.evenly(max(1, round(len(batches) * TRIED_TOKENS / own)), len(batches))]

    def rates(self):
        """The tokens per second at each batch size, without padding and the common prefix."""
        tokens, seconds = dict.fromkeys(SIZES, 0), dict.fromkeys(SIZES, 0.0)
        for size in SIZES + SIZES[::-1]:
            batches = self.tried(size)
            started = time.monotonic()
            for batch in batches:
                self.read(batch)
            seconds[size] += time.monotonic() - started
            tokens[size] += sum(len(self.ids[i]) - self.n_past for batch in batches for i in batch)
        return {size: tokens[size] / seconds[size] for size in SIZES}

    def largest_difference(self, entities):
        """The largest difference of some vectors from passes of single texts, relative to the layer's largest value."""
        checked = [entities[i] for i in texts.evenly(CHECKED, len(entities))]
        ours = self.gathering.vectors[:, checked].clone()
        for i in checked:
            self.gathering.entities, self.gathering.last = torch.tensor([i]), torch.tensor([len(self.ids[i]) - 1])
            self.model(input_ids=torch.tensor([self.ids[i]]), use_cache=False)
        plain = self.gathering.vectors[:, checked]
        return float(((ours - plain).abs().amax((1, 2)) / plain.abs().amax((1, 2))).max())


@torch.inference_mode()
def best(args, ids):
    """Base model with hooks, texts sorted by length, a shared prefix, the fastest batch size."""
    started = time.monotonic()
    reader = Best(args, ids)
    loaded = time.monotonic() - started
    started = time.monotonic()
    reader.begin()
    reader.read(reader.batches("64")[0])  # the first pass sets up threads and buffers
    rates = reader.rates() if args.batch is None else {}
    size = args.batch or max(rates, key=rates.get)
    searched = time.monotonic() - started
    clock = Clock()
    batches = sampled(reader.batches(size), args, len(ids))
    reader.begin()
    for batch in batches:
        reader.read(batch)
    worked, processors = clock.stop()
    entities, count = sorted(i for batch in batches for i in batch), reader.count
    kept = reader.gathering.vectors if len(entities) == len(ids) else reader.gathering.vectors[:, entities]
    where = save(args, kept, entities, "f32")
    return {
        "entities": len(entities),
        "through": count,
        "batch": size.replace("t", " tokens") if size.endswith("t") else f"{size} texts",
        "products": args.products,
        "numbers": args.numbers,
        "shared_tokens": reader.n_past,
        "tokens_per_second_by_batch": rates,
        "seconds": {"work": worked, "processors": processors, "load": loaded, "search": searched},
        "vectors": where,
        "largest_difference_from_plain": reader.largest_difference(entities),
    }


@torch.inference_mode()
def matmul_rates():
    """The median GFLOP/s of f32 matrix products: into a buffer, by a linear layer, and by oneDNN."""
    rates = {}
    for m, k, n in PRODUCTS:
        x, w = torch.randn(m, k), torch.randn(k, n)
        out, rows = torch.empty(m, n), w.t().contiguous()
        packed = torch.ops.mkldnn._reorder_linear_weight(rows, m)
        ways = {
            "product": lambda: torch.mm(x, w, out=out),
            "layer": lambda: torch.nn.functional.linear(x, rows),
            "onednn": lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""),
        }
        rates[f"{m}x{k}x{n}"] = {way: 2e-9 * m * k * n / median_seconds(run) for way, run in ways.items()}
    fastest = max(rate for ways in rates.values() for rate in ways.values())
    return {"gflops": fastest, "products": rates, "torch": torch.__version__, "threads": torch.get_num_threads()}


def median_seconds(run):
    """The median wall seconds of several runs, after one warm-up run."""
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


WAYS = {"paper": paper, "best": best}
