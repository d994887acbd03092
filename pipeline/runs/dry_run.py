"""`fieldpool explain`: a dry run, which transforms the first rows of the data in memory and a temporary folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam

from ...transforms.errors import CannotWrite, UserError
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import RunStats
from ...transforms.spec import SPLITS, Spec
from ...transforms.spec.inputs import raw_columns
from ...transforms.writing import TEMPORARY, temporary_folder
from ..analysis.partitions import Partition
from ..rows.checks import check_rows
from ..rows.splits import check_files
from ..sniffing.sniff import with_found_source
from ..sources.batches import Rejected, SourceBatch, raw_row
from ..sources.files import find_files
from ..sources.readers import check_input
from ..sources.sample import first_rows
from ..tfrecords.decoding import DecodedExample, decoded_examples
from .list_warnings import warn_of_long_padding, warn_of_unsplit_lists
from .row_source import RowSource
from .run_directory import transform_rows
from .split_warnings import warn_of_empty_splits, warn_of_no_positives, warn_of_unseen_constants


@dataclass(frozen=True)
class ExplainedRow:
    """A raw row (its values by column), its split, and the example made from it."""

    source: str
    row: int | str
    split: str
    raw: dict[str, Any]
    example: DecodedExample


@dataclass(frozen=True)
class Explanation:
    """The result of a dry run. Vocabularies and statistics are those of the sampled rows only."""

    rows: list[ExplainedRow]
    rejected: list[Rejected]
    spec: Spec
    stats: RunStats = field(repr=False)


def explain(spec: Spec, patterns: Sequence[str], *, sample: int = 1000, shown: int = 3) -> Explanation:
    """Transforms the first `sample` rows, and returns `shown` of them with their examples.

    Only temporary files are written. Warns as `transform` does, but about empty splits only if the sample is all rows.

    Raises:
        UserError: as for `transform`; also if no sampled row is in the train split.
    """
    files = find_files(patterns)
    spec = with_found_source(spec, [file.path for file in files])
    check_input([file.path for file in files], spec.source, raw_columns(spec))
    rows_of_a_file, columns = max(1, sample // len(files)), raw_columns(spec)
    batches = [b for file in files for b in first_rows(file.path, spec.source, columns, rows_of_a_file)]
    tolerant = spec.model_copy(update={"max_rejected": float(sum(batch.read for batch in batches))})
    check_files([file.path for file in files], spec)
    sampled = Partition("sample", lambda: [lambda _: batches])
    source = RowSource(
        lambda: beam.Create(batches, reshuffle=False),
        first_rows=lambda: batches,
        partitions=lambda: [sampled],
        batches=lambda: (batch for batch in batches),
    )
    with temporary_folder("explain") as folder:
        try:
            result = transform_rows(tolerant, source, os.path.join(folder, "run"))
        except CannotWrite as error:
            raise CannotWrite(str(error).replace("--out", TEMPORARY)) from None
        except UserError as error:
            raise UserError(str(error).replace(f"{folder}/run", f"the first {sample} rows")) from None
        rows = _explained_rows(batches, Run(result.path), shown)
        if all(number < rows_of_a_file for number in _rows_by_file(batches).values()):
            warn_of_unseen_constants(Run(result.path))
    warn_of_unsplit_lists(result.spec, result.stats, batches)
    warn_of_long_padding(spec, result.spec, result.stats)
    if all(rows < rows_of_a_file for rows in _rows_by_file(batches).values()):
        warn_of_empty_splits(spec, result.spec, result.stats)
        warn_of_no_positives(spec, result.stats)
    rejected = [row for batch in batches for row in check_rows(batch, result.spec).rejected]
    return Explanation(rows, rejected, result.spec, result.stats)


def _rows_by_file(batches: Sequence[SourceBatch]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for batch in batches:
        rows[batch.source] += batch.read
    return rows


def _explained_rows(batches: Sequence[SourceBatch], run: Run, shown: int) -> list[ExplainedRow]:
    """Returns the first rows with their examples.

    The batches form one bundle and keep their order, so the examples of each split are in the order of its rows.
    """
    examples = {split: decoded_examples(run, split, shown) for split in SPLITS if run.stats.rows(split)}
    explained: list[ExplainedRow] = []
    for batch in batches:
        checked = check_rows(batch, run.spec)
        position = {number: index for index, number in enumerate(batch.numbers.tolist())}
        for number, code in zip(checked.numbers.tolist(), checked.splits.tolist(), strict=True):
            if len(explained) == shown:
                return explained
            split, raw = SPLITS[code], raw_row(batch.data, position[number])
            explained.append(ExplainedRow(batch.source, number, split, raw, next(examples[split])))
    return explained
