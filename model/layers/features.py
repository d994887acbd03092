"""How embedding tables and fields are declared, and checks of the features and ids that a layer reads.

`Layout` says which rows of which variable are a table; `Bags` are the lists of a field in a batch, and `Pooled` is the
result of pooling them.

Some bags may have one row beside others of many. A request to rank items has one user and many candidates: what the
user's features say holds for all rows, so it is looked up and pooled once. Only shapes that are known when a function
is traced count: a batch of which all features have one row is like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, groupby
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
from keras import ops

from .ragged import padded
from .weights import Tensor


class MissingFeatures(ValueError):
    """The features dict lacks features that the model reads."""


class Table(TypedDict):
    """An embedding table: `rows` ids, including 0 (padding), with vectors of `dim` numbers; `frozen`: not trained."""

    rows: int
    dim: int
    frozen: NotRequired[bool]


class EmbeddedField(TypedDict):
    """An embedded field.

    `table` is the name of its table. `pooling` is mean, sum, sqrtn or max for bags, int `[batch, max_len]`, and None
    for single values, int `[batch]`. `weights` is the name of the feature with one weight per value, or None.
    """

    table: str
    pooling: str | None
    weights: str | None


def check_features(features: Mapping[str, Tensor], ranks: Mapping[str, int]) -> None:
    """Checks that all features exist and have the right rank.

    Args:
        features: The batch, by name.
        ranks: The names of the expected features, with their ranks: 1 for `[batch]`, 2 for `[batch, max_len]`.

    Raises:
        MissingFeatures: if features are missing; the message has their names.
        ValueError: if a feature has another rank.
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


def padded_features(features: Mapping[str, Tensor], fields: Mapping[str, EmbeddedField]) -> dict[str, Tensor]:
    """Returns the ids and weights of the fields; ragged ones, which only TensorFlow has, are padded with 0."""
    ids = {name: padded(features[name]) for name in fields}
    # No assignment expression: TensorFlow's AutoGraph would warn that it cannot convert it.
    ids_of_weights = {field["weights"]: features[name] for name, field in fields.items() if field["weights"]}
    weights = {name: padded(features[name], of_ids) for name, of_ids in ids_of_weights.items()}
    return ids | weights


def rows_of_ids(ids: Tensor, rows: int, first: int, end: int) -> Tensor:
    """Returns the position of each id's row in the variable that has its table: int32, in the shape of the ids.

    An id that is not in the table, which must not read a row of the next one, has a position outside the variable: the
    lookup then fails or, under JAX, gives NaN.

    Args:
        ids: Of any integer dtype.
        rows: The number of rows of the table.
        first: The position of its first row.
        end: The number of rows of the variable.
    """
    is_in_table = ops.logical_and(ops.greater_equal(ids, 0), ops.less(ids, rows))  # Before the cast of large ids.
    return ops.where(is_in_table, ops.cast(ids, "int32") + first, end)


def layer_names(tables: Iterable[str]) -> dict[str, str]:
    """Returns a unique layer name for each table: the table's name with "_" instead of "/" and ":".

    Keras would read "/" as a scope and ":" as the number of an output.
    """
    tables = list(tables)
    names: dict[str, str] = {}
    for table in tables:
        name = table.replace(":", "_").replace("/", "_")
        while name != table and (name in tables or name in names.values()):
            name += "_"
        names[table] = name
    return names


class Bags(NamedTuple):
    """The bags of one field in a batch.

    Attributes:
        ids: The ids of the values, int `[batch, max_len]`; 0 is padding.
        weights: The weights of the values, `[batch, max_len]`, or None.
        pooling: mean, sum, sqrtn or max.
        table: The name of the field's table.
        rows: The number of rows of the table.
        first: The position of its first row in its variable.
    """

    ids: Tensor
    weights: Tensor | None
    pooling: str
    table: str
    rows: int
    first: int


def are_single(bags: Sequence[Bags]) -> bool:
    """Returns whether no bag can have more than one value, or a weight."""
    return all(bag.ids.shape[1] == 1 and bag.weights is None for bag in bags)


def single_rows(bags: Sequence[Bags], rows_at: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the pooled rows of bags that `are_single`, float32 `[fields, batch, width]`: the rows themselves.

    For 500 rows this takes half of the time of a `fused_lookup.Lookup`, which looks for equal ids, too.

    Args:
        bags: The bags of each field. All ids are in their tables. The row of id 0, which is not trained, is finite.
        rows_at: A function from positions in the variable, `[fields, batch]`, to its rows there.
    """
    ids = ops.stack([ops.reshape(bag.ids, (-1,)) for bag in bags], axis=0)
    positions = ops.cast(ids, "int32") + np.array([[bag.first] for bag in bags], "int32")
    is_value = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), "float32"), axis=2)
    return ops.cast(rows_at(positions), "float32") * is_value


def row_count(tensors: Sequence[Tensor], axis: int = 0) -> Tensor | None:
    """Returns the number of rows if some tensors have one row beside others with more; None if all have as many."""
    many = [x for x in tensors if x.shape[axis] != 1]
    return ops.shape(many[0])[axis] if 0 < len(many) < len(tensors) else None


def checked_row_count(features: Mapping[str, Tensor], training: bool | None) -> Tensor | None:
    """Returns the `row_count` of features.

    Raises:
        ValueError: in training, if some have one row beside others with more.
    """
    batch = row_count(list(features.values()))
    if training and batch is not None:
        one = next(name for name, feature in features.items() if feature.shape[0] == 1)
        raise ValueError(f"feature {one}: expected as many rows as the others have in training, received one")
    return batch


def in_all_rows(x: Tensor, batch: Tensor | None, axis: int = 0) -> Tensor:
    """Returns a tensor of one row repeated `batch` times; others, or if `batch` is None, as they are."""
    if batch is None or x.shape[axis] != 1:
        return x
    return ops.broadcast_to(x, (*x.shape[:axis], batch, *x.shape[axis + 1 :]))


def pooled_by_side(
    pool: Callable[[Sequence[Bags]], tuple[Tensor, ...]], bags: Sequence[Bags]
) -> tuple[list[tuple[Tensor, ...]], Tensor]:
    """Pools bags of one row, and those of more rows, each by themselves.

    Args:
        pool: A function from the bags of n fields to `[n, batch, width]`, a tensor for a penalty, and others,
            `[n, batch]`.
        bags: The bags of each field.

    Returns:
        The outputs of `pool` without the penalty, for each run of successive bags on one side, in the order of `bags`;
        and the penalty, which only training needs, where all bags are on one side.
    """
    sides = [bag.ids.shape[0] == 1 for bag in bags]
    runs = [(side, len(list(same))) for side, same in groupby(sides)]
    pieces: dict[bool, Iterator[tuple[Tensor, ...]]] = {}
    for side in dict.fromkeys(sides):
        pooled, penalized, *terms = pool([bag for bag, of in zip(bags, sides, strict=True) if of == side])
        outputs = [ops.reshape(x, (x.shape[0], 1, *x.shape[2:])) if side else x for x in (pooled, *terms)]
        *ends, _ = accumulate(length for of, length in runs if of == side)
        pieces[side] = zip(*(ops.split(x, ends, axis=0) if ends else [x] for x in outputs), strict=True)
    return [next(pieces[side]) for side, _ in runs], penalized


class Pooled(NamedTuple):
    """The pooled rows of successive fields whose tables have the same `dim`.

    Attributes:
        rows: Float32 `[fields, batch, dim + 1]`: the vectors and, last, the linear terms. The batch is 1 if their
            features have one row beside others with more.
        squares: With `pairs` Σ ‖x·v‖² over each bag, float32 `[fields, batch]`; else None.
        lengths: With `pairs` the number of values of each bag, `[fields, batch]`; else None.
    """

    rows: Tensor
    squares: Tensor = None
    lengths: Tensor = None


class Layout:
    """The tables and fields of a layer, and the rows of each table in the variable of its `dim`.

    Args:
        tables: Tables by name, in the order of their rows.
        fields: Fields by name.

    Raises:
        ValueError: if a field has an unknown table.

    Example:
        >>> tables = {"users": {"rows": 5, "dim": 8}, "items": {"rows": 9, "dim": 8}}
        >>> layout = Layout(tables, {"item": {"table": "items", "pooling": None, "weights": None}})
        >>> layout.rows_by_dim, layout.first_rows
        ({8: 14}, {'users': 0, 'items': 5})
    """

    def __init__(self, tables: Mapping[str, Table], fields: Mapping[str, EmbeddedField]) -> None:
        for name, field in fields.items():
            if field["table"] not in tables:
                raise ValueError(
                    f"field {name}: expected the name of a table ({', '.join(tables) or 'there are none'}), received "
                    f"{field['table']!r}"
                )
        self.tables: dict[str, Table] = {name: Table(**table) for name, table in tables.items()}
        self.fields: dict[str, EmbeddedField] = {name: EmbeddedField(**field) for name, field in fields.items()}

    @cached_property
    def rows_by_dim(self) -> dict[int, int]:
        """The number of rows of the variable of each `dim`."""
        rows: dict[int, int] = {}
        for table in self.tables.values():
            rows[table["dim"]] = rows.get(table["dim"], 0) + table["rows"]
        return rows

    @cached_property
    def first_rows(self) -> dict[str, int]:
        """The first row of each table in the variable of its `dim`."""
        next_rows: dict[int, int] = {}
        first_rows: dict[str, int] = {}
        for name, table in self.tables.items():
            first_rows[name] = next_rows.get(table["dim"], 0)
            next_rows[table["dim"]] = first_rows[name] + table["rows"]
        return first_rows

    @cached_property
    def names_by_dim(self) -> dict[int, list[str]]:
        """The fields whose tables have a `dim`, by each `dim` that fields use."""
        names: dict[int, list[str]] = {}
        for dim in self.rows_by_dim:
            of_dim = [name for name, field in self.fields.items() if self.tables[field["table"]]["dim"] == dim]
            if of_dim:
                names[dim] = of_dim
        return names

    @cached_property
    def feature_ranks(self) -> dict[str, int]:
        """The names of the features of all fields, with their ranks."""
        ranks = {}
        for name, field in self.fields.items():
            ranks[name] = 1 if field["pooling"] is None else 2
            if field["weights"] is not None:
                ranks[field["weights"]] = 2
        return ranks

    def bags(self, name: str, features: Mapping[str, Tensor]) -> Bags:
        """Returns the bags of a field in a batch; its features are dense."""
        field = self.fields[name]
        ids = ops.convert_to_tensor(features[name])
        if field["pooling"] is None:  # A single value is a bag of one.
            ids = ops.expand_dims(ids, axis=1)
        table = field["table"]
        weights = None if field["weights"] is None else features[field["weights"]]
        [pooling] = self.poolings([name])
        return Bags(ids, weights, pooling, table, self.tables[table]["rows"], self.first_rows[table])

    def poolings(self, names: Iterable[str]) -> list[str]:
        """Returns the pooling of each of some fields; a single value is pooled as a bag of one, by sum."""
        return [self.fields[name]["pooling"] or "sum" for name in names]
