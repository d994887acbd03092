"""The rows of a sample as one table. The batches of a file may give a column different types: JSON Lines, TFRecords."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ..arrow_lists import is_list
from ..rows.columns import bags
from ..rows.texts import texts_of


def sample_table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Returns the rows of all batches, with the columns that at least one of them has.

    A column whose types cannot be promoted to a common one becomes text, or lists of text if it has lists: the texts of
    its tokens in a run.
    """
    names = dict.fromkeys(name for batch in batches for name in batch.schema.names)
    return pa.table({name: _joined([_column(batch, name) for batch in batches], name) for name in names})


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch[name] if name in batch.schema.names else pa.nulls(batch.num_rows)


def _joined(parts: list[pa.Array], name: str) -> pa.ChunkedArray:
    try:
        return pa.concat_tables([pa.table({name: part}) for part in parts], promote_options="permissive")[name]
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        has_lists = any(is_list(part.type) for part in parts)
        return pa.chunked_array(
            [bags(part, None, name).values if has_lists else texts_of(part, name) for part in parts]
        )
