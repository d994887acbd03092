"""The features that the layers read: how tables and fields are declared, and the check that a batch has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from .pooling import Tensor


class MissingFeatures(ValueError):
    """The features dict lacks features that the model reads."""


class Table(TypedDict):
    """An embedding table: `rows` ids (0, the padding, among them), `dim` numbers each."""

    rows: int
    dim: int


class EmbeddedField(TypedDict):
    """A field that is looked up.

    `table` names its table. `pooling` is mean, sum, sqrtn or max for a bag, int64 `[batch, max_len]`, and
    None for a single value, int64 `[batch]`. `weights` names the feature with one weight a value, or is None.
    """

    table: str
    pooling: str | None
    weights: str | None


def check_features(features: Mapping[str, Tensor], ranks: Mapping[str, int]) -> None:
    """Checks that all features are there, and of the right rank.

    Raises:
        MissingFeatures: names those that are not there.
        ValueError: names one with another rank.
    """
    missing = [name for name in ranks if name not in features]
    if missing:
        raise MissingFeatures(
            f"expected the features {', '.join(ranks)}; missing: {', '.join(missing)}; received: "
            f"{', '.join(features) or 'none'}. `fieldpool.model.examples.read_examples` reads them from a run"
        )
    for name, rank in ranks.items():
        shape = tuple(features[name].shape)
        if len(shape) != rank:
            expected = "[batch]" if rank == 1 else "[batch, max_len]"
            raise ValueError(f"feature {name}: expected the shape {expected}, received {list(shape)}")
