"""A spec with every type of field, and a few rows whose features are computed by hand."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from fieldpool.transforms.preprocessing import raw_feature_spec
from fieldpool.transforms.spec import Spec

SPEC = Spec.model_validate(
    {
        "key": "id",
        "label": {"field": "click"},
        "split": {"column": "part"},
        "vocabularies": {"items": {"num_oov_buckets": 2}},
        "fields": {
            "item": {"type": "categorical", "vocabulary": "items"},
            "user": {"type": "categorical", "missing": "oov"},
            "rare": {"type": "categorical", "min_count": 9},
            "city": {"type": "categorical", "missing": {"token": "nowhere"}, "min_count": 2},
            "history": {
                "type": "multivalued",
                "vocabulary": "items",
                "max_len": 3,
                "keep": "last",
                "weights": "seconds",
                "empty": {"token": "first visit"},
            },
            "zscore": {"type": "numeric"},
            "minmax": {"type": "numeric", "scale": "minmax", "missing": 2},
            "log": {"type": "numeric", "scale": "log1p"},
            "plain": {"type": "numeric", "scale": "none"},
            "bucket": {"type": "numeric", "scale": {"quantiles": 2}},
        },
    }
)


def row(key: str, item: str | None, history: list[str], seconds: list[float], number: float | None) -> dict[str, Any]:
    given = float("nan") if number is None else number
    tokens = (item or "").encode()
    numbers = dict.fromkeys(("zscore", "minmax", "log", "plain", "bucket"), given)
    return {
        "key": key.encode(),
        "label": 1.0,
        "item": tokens,
        "user": tokens,
        "rare": tokens,
        "city": tokens,
        "history": [value.encode() for value in history],
        "history_weights": seconds,
        **numbers,
    }


ROWS = [
    row("a", "x", ["x", "", "y", "z", "y"], [1.0, 2.0, 3.0, 4.0, 5.0], -1.0),
    row("b", None, [], [], None),
    row("c", "x", ["y"], [6.0], 3.0),
]
UNSEEN = row("d", "unseen", ["unseen", "y"], [7.0, 8.0], 100.0)


def all_rows() -> dict[str, Any]:
    """Returns tensors of ROWS and UNSEEN, as the inputs of a transform."""
    inputs: dict[str, Any] = {}
    for name, feature in raw_feature_spec(SPEC).items():
        values = [r[name] for r in [*ROWS, UNSEEN]]
        if isinstance(feature, tf.io.FixedLenFeature):
            inputs[name] = tf.constant(values)
        else:
            inputs[name] = tf.ragged.constant(values, dtype=feature.dtype, ragged_rank=1, row_splits_dtype=tf.int64)
    return inputs
