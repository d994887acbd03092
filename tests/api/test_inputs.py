"""Tables in all forms become the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fieldpool._inputs import as_files

COLUMNS = {"id": ["a", "b"], "tags": [["x", "y"], []], "age": [1.5, None]}


class Streamed:
    """Any object with Arrow's stream interface, such as a polars DataFrame."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self._table.__arrow_c_stream__(schema)


@pytest.mark.parametrize(
    "make",
    [
        pa.table,
        pa.RecordBatch.from_pydict,
        pd.DataFrame,
        lambda columns: pd.DataFrame(columns, index=["p", "q"]),
        lambda columns: pd.DataFrame(columns | {"tags": [np.array(tags, object) for tags in columns["tags"]]}),
        lambda columns: Streamed(pa.table(columns)),
        lambda columns: pa.table(columns).to_reader(),
    ],
    ids=["arrow", "record batch", "pandas", "pandas with an index", "pandas with arrays", "stream", "reader"],
)
def test_a_table_is_a_file_of_its_rows(make: Callable[[dict[str, Any]], Any]) -> None:
    table = make(COLUMNS)
    with as_files(table) as files:
        assert files.name == type(table).__name__
        assert pq.read_table(files.patterns[0]).to_pydict() == COLUMNS


def test_the_file_of_a_table_is_removed() -> None:
    with as_files(pd.DataFrame(COLUMNS)) as files:
        pass
    with pytest.raises(FileNotFoundError):
        pq.read_table(files.patterns[0])
