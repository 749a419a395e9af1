"""The texts of each workload, with names as mappa writes them, and the number of tokens that each way computes."""

import csv
import pathlib

BATCH_OF_THE_PAPER = 128

# Each workload: the dataset's file, and the text before the name.
WORKLOADS = {
    "world": ("world_place.csv", ""),
    "world_prompt": ("world_place.csv", "What are the lat/lon coordinates of "),
    "art": ("art.csv", ""),
    "headline": ("headline.csv", ""),
}

# The paper's prompts, which a tokenizer trained on names alone would cut into letters.
PROMPTS = [
    "What are the lat/lon coordinates of ",
    "Where is ",
    "Where in the United States is ",
    "Where in New York City is ",
    "When did ",
    "When was the release date of ",
    "Publication date of: ",
]


def rows(path):
    """The header of a CSV file and its rows."""
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        return header, [row for row in reader if row]


def names(path, limit=None):
    """The entities' names in dataset order, works of art with their creator, as mappa writes them."""
    header, lines = rows(path)
    at = {column: i for i, column in enumerate(header)}
    name = next(at[column] for column in ("name", "title", "headline") if column in at)
    creator = at.get("creator")
    found = []
    for line in lines[:limit]:
        text = line[name].strip()
        made_by = line[creator].strip() if creator is not None else ""
        found.append(f"{made_by}'s {text}" if made_by else text)
    return found


def first_rows(path, limit, folder):
    """The file itself, or a copy of its first rows under the same name in `folder`."""
    header, lines = rows(path)
    if limit is None or limit >= len(lines):
        return pathlib.Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / pathlib.Path(path).name
    with open(copy, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *lines[:limit]])
    return copy


def shared_beginning(ids):
    """The length of the common prefix of all texts in tokens; each text keeps at least one token of its own."""
    first, last = min(ids), max(ids)
    n = min(len(text) for text in ids) - 1
    return next((i for i in range(n) if first[i] != last[i]), n)


def evenly(n, of):
    """`n` evenly spaced numbers below `of`."""
    n = min(n, of)
    return [int((i + 0.5) * of / n) for i in range(n)]


class Count:
    """A count of tokens, and of pairs of a token and a token that it attends to, which determine attention's cost."""

    def __init__(self):
        self.tokens, self.pairs = 0, 0

    def add_batch(self, n_texts, n_new, n_past=0):
        """Adds a padded batch: every new token is multiplied with every new token and with all earlier ones."""
        self.tokens += n_texts * n_new
        self.pairs += n_texts * n_new * (n_past + n_new)
        return self

    def add_causal(self, n_tokens, n_past=0):
        """Adds tokens `n_past..n_tokens` of one text, each with itself and the tokens before it."""
        self.tokens += n_tokens - n_past
        self.pairs += (n_tokens * (n_tokens + 1) - n_past * (n_past + 1)) // 2
        return self


def padded(ids):
    """The count of the paper's batches: in dataset order, each padded to its longest text."""
    count = Count()
    for at in range(0, len(ids), BATCH_OF_THE_PAPER):
        batch = ids[at : at + BATCH_OF_THE_PAPER]
        count.add_batch(len(batch), max(map(len, batch)))
    return count


def useful(ids):
    """The count of all texts without padding and without shared prefixes."""
    count = Count()
    for text in ids:
        count.add_causal(len(text))
    return count


def forest(ids):
    """The count with every distinct prefix once: the fewest tokens from which all activations follow."""
    count, before = Count(), []
    for text in sorted(ids):
        n = min(len(before), len(text))
        same = next((i for i in range(n) if before[i] != text[i]), n)
        count.add_causal(len(text), same)
        before = text
    return count
