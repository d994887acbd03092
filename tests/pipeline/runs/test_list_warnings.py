"""Warnings about lists that were not split, or that are far longer than the others."""

from __future__ import annotations

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.pipeline.runs.list_warnings import warn_of_unsplit_lists
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.transforms.errors import FieldpoolWarning
from fieldpool.transforms.runs.run_stats import FieldStats, RunStats, VocabularyStats
from fieldpool.transforms.spec import Spec

ROWS = 200
JOINED = ["|".join(f"g{(i * k) % 9}" for k in range(1, 2 + i % 4)) for i in range(ROWS)]
GENRES = [f"g{i % 9}" for i in range(ROWS)]


def spec_of(field: dict[str, Any]) -> Spec:
    tags = {"type": "multivalued", "max_len": 3, **field}
    return Spec.model_validate({"label": {"field": "y"}, "split": {"column": "s"}, "fields": {"tags": tags}})


def warnings_of(values: list[Any], **field: Any) -> list[str]:
    """Returns the warnings after these values of a column became a train split."""
    spec, separator = spec_of(field), field.get("separator")
    lists = [v if isinstance(v, list) else v.split(separator) if separator else [v] for v in values]
    lengths = [len(tokens) for tokens in lists]
    of_field = FieldStats(
        type="multivalued",
        vocabulary="tags",
        values={"train": sum(lengths), "eval": 0, "test": 0},
        lengths={"train": {length: lengths.count(length) for length in set(lengths)}, "eval": {}, "test": {}},
    )
    distinct = len({token for tokens in lists for token in tokens})
    stats = RunStats.model_construct(
        fields={"tags": of_field}, vocabularies={"tags": VocabularyStats(distinct=distinct, tokens=0)}
    )
    batch = SourceBatch("rows", np.arange(len(values)), pa.RecordBatch.from_pydict({"tags": values}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_unsplit_lists(spec, stats, [batch])
    assert all(warning.category is FieldpoolWarning for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        (JOINED, {}, "75% of the texts look like lists with the separator '|' ('g1|g2'); `separator` is not set"),
        (JOINED, {"separator": ";"}, "separator '|' ('g1|g2'); `separator` is ';' in the spec"),
        ([v.replace("|", ", ") for v in JOINED], {}, "with the separator ', '"),
        ([v.replace("|", " ") for v in JOINED], {}, "with the separator ' '"),
        ([json.dumps(v.split("|")) for v in JOINED], {}, "the texts are lists in the syntax of json; set `list: json`"),
        ([repr([{"name": v}]) for v in JOINED], {}, "the texts are lists in the syntax of python; set `list: python`"),
        (
            [f"x{i}/y{i}" for i in range(ROWS)],
            {},
            "most values occur only once (200 distinct values in 200 train rows)",
        ),
    ],
    ids=["no separator", "wrong separator", "comma and space", "space", "JSON", "Python", "unknown separator"],
)
def test_unsplit_lists_are_warned_of(values: list[str], field: dict[str, Any], message: str) -> None:
    (warning,) = warnings_of(values, **field)
    assert warning.startswith("field tags: every list has at most one value, but ")
    assert message in warning


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (GENRES, {}),
        (JOINED, {"separator": "|"}),
        ([*GENRES[:150], *JOINED[:50]], {}),
        ([[v] for v in JOINED], {}),
        ([json.dumps([v]) for v in JOINED], {"list": "json"}),
        ([f"title {i} of {i % 7}" for i in range(20)], {}),
        ([f"x{i}" for i in range(20)], {}),
    ],
    ids=["single values", "split", "few lists", "list column", "lists as JSON", "free text", "few rows"],
)
def test_other_columns_are_not_warned_of(values: list[Any], field: dict[str, Any]) -> None:
    assert warnings_of(values, **field) == []


def test_explain_and_transform_warn(tmp_path: Path) -> None:
    lines = [f"{i % 2},train,{genres}" for i, genres in enumerate(JOINED)]
    (tmp_path / "rows.csv").write_text("\n".join(["y,s,tags", *lines]))
    spec, files = spec_of({}), [str(tmp_path / "rows.csv")]
    with pytest.warns(FieldpoolWarning, match="field tags: every list has at most one value"):
        explain(spec, files)
    with pytest.warns(FieldpoolWarning, match="field tags: every list has at most one value"):
        transform(spec, files, str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("longest", "others", "empty", "max_len", "warns"),
    [
        (1000, 99, 0, "auto", True),
        (1000, 100, 0, "auto", False),  # Ten times as long as most.
        (1000, 3, 0.99, "auto", False),  # Only one of two lists is short.
        (1200, 3, 0.3, "auto", True),
        (999, 2, 0, "auto", False),  # Short.
        (1000, 2, 0, "p99", False),
        (1000, 2, 0, 1000, False),
    ],
)
def test_a_list_to_which_all_rows_are_padded_is_warned_of(
    longest: int, others: int, empty: float, max_len: str | int, warns: bool, tmp_path: Path
) -> None:
    lengths = [longest, *[others if row >= empty * ROWS else 0 for row in range(1, ROWS)]]
    lists = [[f"t{i % 3}" for i in range(length)] for length in lengths]
    labels = [row % 2 for row in range(ROWS)]
    pq.write_table(pa.table({"y": labels, "s": ["train"] * ROWS, "tags": lists}), tmp_path / "rows.parquet")
    spec, files = spec_of({"max_len": max_len}), [str(tmp_path / "rows.parquet")]
    message = (
        f"field tags: every row is padded to {longest:,} values, the longest list of train, but 99% of the lists with "
        f"values have at most {others}; set `max_len: {others}`"
    )
    for run in (partial(explain, spec, files), partial(transform, spec, files, str(tmp_path / "run"))):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run()
        texts = [str(warning.message) for warning in caught if warning.category is FieldpoolWarning]
        assert [text for text in texts if "padded" in text] == ([message] if warns else [])
