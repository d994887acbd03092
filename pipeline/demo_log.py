"""The generated click log of `fieldpool demo`: multi-valued fields, and click probabilities that a DeepFM can learn.

A number of rows and a seed determine a table of clicks and the true click probability of each row. The AUC of the true
probabilities is the best that any model can reach, so trained models can be compared with it. The log resembles real
ones: frequent and rare tokens, empty lists, missing values, and users, items, interests and tags that first appear
late.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..transforms.writing import replacing, writing
from .arrow_lists import offsets

# fmt: off
INTERESTS = (
    "astronomy", "archery", "baking", "birding", "boxing", "camping", "chess", "cinema", "climbing", "cooking",
    "cycling", "dancing", "diving", "drawing", "fashion", "fishing", "football", "gaming", "gardening", "golf",
    "hiking", "history", "jazz", "karate", "knitting", "languages", "music", "origami", "painting", "photography",
    "poetry", "pottery", "robotics", "rowing", "running", "sailing", "skiing", "surfing", "theatre", "yoga",
)
TAGS = (
    "new", "sale", "classic", "family", "outdoor", "indoor", "winter", "summer", "compact", "premium", "budget",
    "handmade", "vintage", "digital", "wireless", "organic", "vegan", "local", "imported", "limited", "bestseller",
    "gift", "travel", "sport", "office", "kitchen", "garden", "kids", "pets", "books", "audio", "video", "camera",
    "phone", "laptop", "tablet", "watch", "shoes", "jacket", "bag", "bicycle", "tent", "boat", "board", "guitar",
    "piano", "paint", "paper", "wool", "leather", "wood", "steel", "glass", "ceramic", "cotton", "coffee", "tea",
    "bread", "fruit", "game",
)
# fmt: on
DEVICES = ("phone", "laptop", "tablet", "tv")

USERS, ITEMS, GROUPS = 1000, 300, 8
MOST_INTERESTS, MOST_TAGS, MOST_HISTORY = 8, 5, 20
# Mean and standard deviation of the true logits: about one click in four, best AUC about 0.8.
BIAS, SPREAD = -1.4, 1.35
START = 1_700_000_000

# The files of a click log, in the order of `ClickLogFiles`.
TRUTH_NAME = "truth.parquet"
FILE_NAMES = ("clicks.parquet", TRUTH_NAME, "spec.yaml")

SPEC = """\
# The spec of the generated click log: how the columns of clicks.parquet become features.
# Try it without writing anything:  fieldpool explain spec.yaml clicks.parquet

key: row_id                         # copied to examples and predictions
label: {field: label}               # 1: clicked, 0: shown but not clicked
split: {time: timestamp, train: 0.8, eval: 0.1, test: 0.1}   # oldest rows: train, newest: test

vocabularies:
  items: {min_count: 2, num_oov_buckets: 2}     # one vocabulary and one embedding table for item_id and history

fields:
  # Single-valued fields.
  user_id: {type: categorical, min_count: 5}    # rarer users share the OOV bucket
  item_id: {type: categorical, vocabulary: items}
  device:                                       # a missing device gets its own token
    type: categorical
    missing: {token: "(unknown)"}

  # Multi-valued fields: the mean of the embeddings of a row's values; 0 for an empty list.
  interests: {type: multivalued, max_len: auto}                                   # the longest list in train
  tags: {type: multivalued, max_len: p99}                                         # the 99th percentile of train
  history: {type: multivalued, vocabulary: items, max_len: 20, keep: last}        # oldest first: keeps the newest

  # Numeric fields.
  age: {type: numeric, scale: zscore, missing: mean}
  price: {type: numeric, scale: log1p}

model: {embedding_dim: 8, hidden_units: [64, 32], dropout: 0.2, l2_embedding: 0.0001}
train: {batch_size: 512, epochs: 4, learning_rate: 0.004, decay: cosine, early_stopping: {metric: auc, patience: 2}}
evaluation: {gauc_by: user_id, slices: [device, history]}
"""


@dataclass(frozen=True)
class ClickLog:
    """A click log with its true click probabilities.

    Attributes:
        table: The rows, oldest first: row_id, timestamp (int64), user_id, item_id, device (string),
            interests, tags, history (list of string), age, price (float), label (int64).
        probabilities: The true click probability of each row, float64 `[rows]`.
    """

    table: pa.Table
    probabilities: np.ndarray


@dataclass(frozen=True)
class ClickLogFiles:
    """The paths of the files that `write_click_log` writes."""

    clicks: Path
    truth: Path
    spec: Path


def write_click_log(directory: Path, *, rows: int, seed: int) -> ClickLogFiles:
    """Writes `clicks.parquet`, its `spec.yaml`, and `truth.parquet`: row_id and true click probability.

    Raises:
        CannotWrite: the folder cannot be written to.
    """
    files = ClickLogFiles(*(directory / name for name in FILE_NAMES))
    log = generate_click_log(rows, seed)
    with writing(str(directory)):
        directory.mkdir(parents=True, exist_ok=True)
    with replacing(*map(str, astuple(files))) as (clicks, truth, spec):
        pq.write_table(log.table, clicks)
        pq.write_table(pa.table({"row_id": log.table["row_id"], "probability": log.probabilities}), truth)
        Path(spec).write_text(SPEC, encoding="utf-8")
    return files


def best_auc(files: ClickLogFiles) -> float:
    """Returns the AUC of the true probabilities on the test split, the newest tenth of the rows."""
    from ..model.metrics import auc  # Imports scikit-learn, which takes a second and which writing a log does not need.

    labels = pq.read_table(files.clicks, columns=["label"])["label"].to_numpy()
    probabilities = pq.read_table(files.truth)["probability"].to_numpy()
    newest = slice(math.ceil(0.9 * len(labels) - 0.5), None)
    return auc(labels[newest], probabilities[newest])


def generate_click_log(rows: int, seed: int) -> ClickLog:
    """Returns `rows` generated rows; equal seeds give equal rows.

    label ~ Bernoulli(p), with

        logit p = bias + Σ_f w_f + a·Σ_{f<g} ⟨m_f, m_g⟩ + b·age + c·ln(1 + price)

    m_f is the mean of the latent vectors of the values in field f, w_f the mean of their weights; both are 0 for an
    empty list. The pairs are those of interests, tags, history and the row's item. The latent vectors of a group are
    near one point of a circle. `history` has the items that the user was shown before.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(rows) / max(rows, 1)
    users, items = min(USERS, max(20, rows // 50)), ITEMS

    # User and item of each row. A user likes one group of items, and is shown more items of it.
    user = _without_late(_zipf(rng, users, rows), time, users, step=1)
    likes = rng.integers(0, GROUPS, users)
    group = np.where(rng.random(rows) < 0.6, likes[user], rng.integers(0, GROUPS, rows))
    item = _without_late(GROUPS * _zipf(rng, items // GROUPS, rows) + group, time, items, step=GROUPS)

    # The values of each list field, padded with -1.
    interests = _distinct_tokens(rng, likes, len(INTERESTS), MOST_INTERESTS)[user]
    few = rng.binomial(MOST_INTERESTS, 0.45, rows) * (rng.random(rows) >= 0.04)
    interests = _keep_first(interests, few)
    interests[_first_seen(len(INTERESTS))[interests] > time[:, None]] = -1
    tags = _distinct_tokens(rng, np.arange(items) % GROUPS, len(TAGS), MOST_TAGS)
    tags = _keep_first(tags, rng.integers(1, MOST_TAGS + 1, items))[item]
    tags[:, 1:][_first_seen(len(TAGS))[tags[:, 1:]] > time[:, None]] = -1
    history = _histories(user, item, rng.integers(3, MOST_HISTORY + 1, users))

    device = np.where(rng.random(rows) < 0.05, -1, rng.choice(len(DEVICES), rows, p=[0.5, 0.3, 0.15, 0.05]))
    age = np.clip(rng.normal(38, 12, users), 16, 90).round()
    age[rng.random(users) < 0.08] = np.nan
    price = (rng.lognormal(3, 0.8, items)[item] * rng.uniform(0.9, 1.1, rows)).round(2)

    # The true click probabilities.
    angle = 2 * np.pi * np.arange(GROUPS) / GROUPS
    centres = 0.4 + 1.6 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    taste, kind, vectors = (
        centres[np.arange(tokens) % GROUPS] + 0.1 * rng.normal(size=(tokens, 2))
        for tokens in (len(INTERESTS), len(TAGS), items)
    )
    score = (
        0.1 * rng.normal(size=users)[user]
        + 0.2 * rng.normal(size=items)[item]
        + 0.3 * np.append(rng.normal(size=len(DEVICES)), 0)[device]
        + 0.8 * _means(rng.normal(size=len(INTERESTS)), interests)
        + 0.8 * _means(rng.normal(size=len(TAGS)), tags)
        + 0.15 * _dot_products(_means(taste, interests), _means(kind, tags), _means(vectors, history), vectors[item])
        + 0.2 * np.nan_to_num((age[user] - 38) / 12)
        - 0.3 * (np.log1p(price) - 3)
    )
    # Standardized, so that click rate and spread do not depend on the seed.
    probabilities = 1 / (1 + np.exp(-(BIAS + SPREAD * (score - score.mean()) / score.std())))

    item_names = np.array([f"item-{i:03d}" for i in range(items)])
    table = pa.table(
        {
            "row_id": np.arange(rows),
            "timestamp": START + np.cumsum(rng.integers(1, 60, rows)),
            "user_id": np.array([f"user-{u:04d}" for u in range(users)])[user],
            "item_id": item_names[item],
            "device": pa.array(np.append(DEVICES, "")[device], mask=device < 0),
            "interests": _lists(np.array(INTERESTS), interests),
            "tags": _lists(np.array(TAGS), tags),
            "history": _lists(item_names, history),
            "age": pa.array(age[user].astype(np.float32), from_pandas=True),
            "price": price.astype(np.float32),
            "label": (rng.random(rows) < probabilities).astype(np.int64),
        }
    )
    return ClickLog(table, probabilities)


def _zipf(rng: np.random.Generator, tokens: int, rows: int) -> np.ndarray:
    """Returns token numbers `[rows]`; number k is drawn in proportion to (k + 10)^-0.8."""
    frequency = (np.arange(tokens) + 10.0) ** -0.8
    return rng.choice(tokens, rows, p=frequency / frequency.sum())


def _first_seen(tokens: int) -> np.ndarray:
    """Returns the time at which each token first appears, in [0, 1) of the log, `[tokens + 1]`; 0 for padding (-1).

    Nine in ten appear from the start; the others appear one after another in the second half.
    """
    first = np.zeros(tokens + 1)
    late = np.arange(9, tokens, 10)
    first[late] = 0.5 + 0.5 * (np.arange(len(late)) * 7 % len(late) + 0.5) / len(late)
    return first


def _without_late(tokens: np.ndarray, time: np.ndarray, number: int, *, step: int) -> np.ndarray:
    """Returns the tokens, each replaced by the token `step` before it if it has not appeared yet."""
    return np.where(_first_seen(number)[tokens] > time, tokens - step, tokens)


def _distinct_tokens(rng: np.random.Generator, group: np.ndarray, tokens: int, number: int) -> np.ndarray:
    """Returns `number` distinct tokens a row, mostly of its group; the first of them appears from the start."""
    token = np.arange(tokens)
    fits = token % GROUPS == group[:, None]
    score = rng.gumbel(size=fits.shape) + 2.5 * fits - 0.4 * np.log(token + 5.0)
    best = np.argsort(-score, axis=1)[:, :number]
    late = _first_seen(tokens)[best] > 0
    return np.take_along_axis(best, np.argsort(late, axis=1, kind="stable"), axis=1)


def _keep_first(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Returns the values `[rows, n]` with all but the first `number[row]` replaced by padding."""
    return np.where(np.arange(values.shape[1]) < number[:, None], values, -1)


def _histories(user: np.ndarray, item: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Returns the last items, at most `most[user]`, of each row's user in the rows before it, oldest first."""
    order = np.argsort(user, kind="stable")
    _, starts, counts = np.unique(user[order], return_index=True, return_counts=True)
    position = np.arange(len(user))
    back = np.arange(MOST_HISTORY, 0, -1)
    before = position[:, None] - back
    known = (before >= np.repeat(starts, counts)[:, None]) & (back <= most[user[order], None])
    history = np.empty((len(user), MOST_HISTORY), np.int64)
    history[order] = np.where(known, item[order][before.clip(0)], -1)
    return history


def _means(of: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the mean of `of[value]` over the values of each row, without padding; 0 for a row without values."""
    padded = np.concatenate([of, np.zeros_like(of[:1])])
    number = (values >= 0).sum(axis=1).clip(1)
    return padded[values].sum(axis=1) / (number if of.ndim == 1 else number[:, None])


def _dot_products(*vectors: np.ndarray) -> np.ndarray:
    """Returns the sum of the dot products of all pairs of the vectors, `[rows]`."""
    stacked = np.stack(vectors)
    return ((stacked.sum(axis=0) ** 2).sum(axis=1) - (stacked**2).sum(axis=(0, 2))) / 2


def _lists(names: np.ndarray, values: np.ndarray) -> pa.ListArray:
    """Returns one list of names a row, without the padding."""
    present = values >= 0
    starts = offsets(present.sum(axis=1))
    # `pa.array(names[…])` would return several chunks for millions of values.
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pa.array(names).take(pa.array(values[present])))
