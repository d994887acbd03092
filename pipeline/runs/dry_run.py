"""A dry run: the first rows of the data through the whole pipeline, in memory and a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import apache_beam as beam

from ...model.run import Run
from ...transforms.errors import UserError
from ...transforms.spec import SPLITS, Spec
from ..rows.checks import check_rows, raw_columns
from ..sources.batches import raw_row
from ..sources.files import find_files
from ..sources.readers import Rejected, SourceBatch, read_batches
from ..tfrecords.decoding import DecodedExample, decoded_examples
from .run_directory import transform_rows


@dataclass(frozen=True)
class ExplainedRow:
    """A raw row by column, its split, and the example it became."""

    source: str
    row: int
    split: str
    raw: dict[str, Any]
    example: DecodedExample


@dataclass(frozen=True)
class Explanation:
    """What the first rows become; vocabularies and statistics are those of these rows alone."""

    rows: list[ExplainedRow]
    rejected: list[Rejected]
    spec: Spec
    stats: dict[str, Any] = field(repr=False)


def explain(spec: Spec, patterns: Sequence[str], *, sample: int = 1000, shown: int = 3) -> Explanation:
    """Returns what the first `sample` rows become, `shown` of them in full. Writes nothing that stays.

    Raises:
        UserError: as `transform` does; also if none of the rows is in the train split.
    """
    files = find_files(patterns)
    batches = [batch for file in files for batch in _head(file.path, spec, max(1, sample // len(files)))]
    tolerant = spec.model_copy(update={"max_rejected": float("inf")})
    with tempfile.TemporaryDirectory(prefix="fieldpool-explain-") as folder:
        try:
            result = transform_rows(
                tolerant, lambda: beam.Create(batches, reshuffle=False), os.path.join(folder, "run")
            )
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/run", f"the first {sample} rows")) from None
        run = Run(result.path)
        checked = [(batch, *check_rows(batch, result.spec)) for batch in batches]
        rejected = [row for _, _, _, rows in checked for row in rows]
        examples = {s: decoded_examples(run, s, shown) for s in SPLITS if result.stats[s]}
        explained: list[ExplainedRow] = []
        for batch, _, splits, bad in checked:
            refused = {row.row for row in bad}
            kept = [index for index, row in enumerate(batch.rows) if row not in refused]
            for index, code in zip(kept, splits, strict=True):
                if len(explained) == shown:
                    break
                split = SPLITS[code]
                raw = raw_row(batch.data, index)
                explained.append(ExplainedRow(batch.source, int(batch.rows[index]), split, raw, next(examples[split])))
    return Explanation(explained, rejected, result.spec, result.stats)


def _head(path: str, spec: Spec, rows: int) -> list[SourceBatch]:
    """Returns the first `rows` rows of a file."""
    batches: list[SourceBatch] = []
    for batch in read_batches(path, spec.source, raw_columns(spec)):
        missing = rows - sum(len(b.rows) for b in batches)
        if missing <= 0:
            break
        batches.append(replace(batch, rows=batch.rows[:missing], data=batch.data.slice(0, missing)))
    return batches
