"""CSV text that is not valid UTF-8 is read as bytes, without messages of pyarrow on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.transforms.spec import Source


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_rows_with_a_wrong_number_of_columns_are_rejected_in_any_encoding(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    path = tmp_path / "rows.csv"
    path.write_bytes("a,b\n1,café\n2,café,zu\n3,é\n4\n".encode(encoding))
    batches = list(read_batches(str(path), Source(), ["b"]))
    assert [value for batch in batches for value in batch.data["b"].to_pylist()] == [
        text.encode(encoding) for text in ("café", "é")
    ]
    rejected = [(row.row, row.reason) for batch in batches for row in batch.rejected]
    assert rejected == [(2, "expected 2 columns, found 3"), (4, "expected 2 columns, found 1")]
    assert ignored == []
