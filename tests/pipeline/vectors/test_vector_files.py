"""Files of pretrained vectors: what is read, and what is refused with the file, the column and the row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from fieldpool.pipeline.vectors.normalized import check_normalized
from fieldpool.pipeline.vectors.vector_files import check_vector_files, read_vector_files, read_vectors
from fieldpool.transforms.errors import SourceError
from fieldpool.transforms.spec import Spec

GOOD = {"token": ["b", "a"], "vector": [[1.0, 2.0], [3.0, 4.5]]}


def parquet(folder: Path, table: pa.Table) -> str:
    pq.write_table(table, folder / "items.parquet")
    return str(folder / "items.parquet")


def spec_of(path: str, **settings: Any) -> Spec:
    vocabularies = {"items": {"vectors": path} | settings}
    fields = {"item": {"type": "categorical", "vocabulary": "items"}}
    return Spec.model_validate(
        {"label": {"field": "y"}, "split": {"column": "s"}, "vocabularies": vocabularies, "fields": fields}
    )


TOKEN_TYPES = [
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(), pa.binary_view()),
    *(pa.dictionary(pa.int32(), pa.string()),),
]
VECTOR_TYPES = [
    *(pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16())),
    *(pa.list_(pa.float32(), 2), pa.list_(pa.float64(), 2)),
]


@pytest.mark.parametrize("vector", VECTOR_TYPES, ids=str)
@pytest.mark.parametrize("token", TOKEN_TYPES, ids=str)
def test_texts_and_lists_of_every_type_are_read(tmp_path: Path, token: pa.DataType, vector: pa.DataType) -> None:
    table = pa.table([pa.array(GOOD["token"], token), pa.array(GOOD["vector"], vector)], ["token", "vector"])
    feather.write_feather(table, str(tmp_path / "items.arrow"), compression="uncompressed")
    found = read_vectors(str(tmp_path / "items.arrow"), "items")
    assert found.tokens.to_pylist() == [b"b", b"a"]
    assert (found.numbers.tolist(), found.numbers.dtype, found.length) == (GOOD["vector"], np.float32, 2)


def test_a_parquet_file_with_several_parts_and_other_columns_is_read(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2, 3], "vector": [[1.0], [2.0], [3.0]], "token": ["x", "y", "z"]})
    pq.write_table(table, tmp_path / "items.parquet", row_group_size=1)
    found = read_vectors(str(tmp_path / "items.parquet"), "items")
    assert (found.tokens.to_pylist(), found.numbers.tolist()) == ([b"x", b"y", b"z"], [[1.0], [2.0], [3.0]])


def test_whole_numbers_are_tokens_as_those_of_rows_are(tmp_path: Path) -> None:
    path = parquet(tmp_path, pa.table({"token": [7, -12], "vector": [[1.0], [2.0]]}))
    assert read_vectors(path, "items").tokens.to_pylist() == [b"7", b"-12"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "other columns": ({"id": ["a"], "vector": [[1.0]]}, "expected one column 'token', found the columns id, vector"),
    "no vector": ({"token": ["a"]}, "expected one column 'vector', found the columns token"),
    "float tokens": (
        {"token": [1.5], "vector": [[1.0]]},
        "column token: vectors of the vocabulary items: expected texts",
    ),
    "texts as vectors": (
        {"token": ["a"], "vector": ["[1, 2]"]},
        "column vector: vectors of the vocabulary items: expected lists of floats, found string",
    ),
    "whole numbers as vectors": (
        {"token": ["a"], "vector": [[1]]},
        "expected lists of floats, found list<element: int64>",
    ),
    "no rows": (
        {"token": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))},
        "expected at least one row, found none",
    ),
    "null token": (
        {"token": ["a", None], "vector": [[1.0]] * 2},
        "column token, row 2: vectors of the vocabulary items",
    ),
    "empty token": (
        {"token": ["a", ""], "vector": [[1.0]] * 2},
        "row 2: vectors of the vocabulary items: expected a token, ",
    ),
    "token of two lines": (
        {"token": ["a", "b\nc"], "vector": [[1.0]] * 2},
        r"expected a token in one line, found b'b\nc'",
    ),
    "token twice": (
        {"token": ["a", "b", "c", "b", "a"], "vector": [[1.0]] * 5},
        "column token, row 4: vectors of the vocabulary items: expected different tokens, found b'b' also in row 2",
    ),
    "null vector": ({"token": ["a", "b"], "vector": [[1.0], None]}, "column vector, row 2: "),
    "empty vector": (
        {"token": ["a", "b"], "vector": [[], [1.0]]},
        "row 1: vectors of the vocabulary items: expected a vector",
    ),
    "other length": (
        {"token": ["a", "b", "c"], "vector": [[1.0, 2.0], [3.0, 4.0], [5.0]]},
        "column vector, row 3: vectors of the vocabulary items: expected 2 numbers, as in row 1, found 1; write",
    ),
    "null number": (
        {"token": ["a", "b"], "vector": [[1.0, 2.0], [3.0, None]]},
        "row 2: vectors of the vocabulary items",
    ),
    "nan": ({"token": ["a", "b"], "vector": [[1.0], [float("nan")]]}, "row 2: vectors of the vocabulary items"),
    "too large for float32": ({"token": ["a", "b"], "vector": [[1.0], [1e39]]}, "expected finite numbers, found inf"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_the_place_and_what_was_found(tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    path = parquet(tmp_path, pa.table(content))
    with pytest.raises(SourceError) as error:
        read_vectors(path, "items")
    assert str(error.value).startswith(path)
    assert message in str(error.value)
    assert "; " in str(error.value)


def test_files_are_checked_before_rows_are_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"items\.parquet: no such file"):
        check_vector_files(spec_of(str(tmp_path / "items.parquet")))
    parquet(tmp_path, pa.table({"item": ["a"], "vector": [[1.0]]}))
    with pytest.raises(SourceError, match="expected one column 'token'"):
        check_vector_files(spec_of(str(tmp_path / "items.parquet")))


@pytest.mark.parametrize(
    ("content", "found"), [(b"token,vector\n", "another format"), (b"PAR1 and more", "cannot be read")]
)
def test_a_file_in_another_format_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "items.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=found):
        read_vectors(str(tmp_path / "items.parquet"), "items")


def test_dim_must_be_the_length_of_the_vectors(tmp_path: Path) -> None:
    path = parquet(tmp_path, pa.table(GOOD))
    assert read_vector_files(spec_of(path, dim=2))["items"].length == 2
    with pytest.raises(SourceError, match=r"vectors of the vocabulary items have 2 numbers, expected 3, its `dim`"):
        read_vector_files(spec_of(path, dim=3))


@pytest.mark.parametrize(("steps", "is_refused"), [([[]], False), ([["lower"]], True), ([["lower"], []], False)])
def test_a_token_that_every_field_would_normalize_is_refused(
    tmp_path: Path, steps: list[list[str]], is_refused: bool
) -> None:
    path = parquet(tmp_path, pa.table({"token": ["a", "B"], "vector": [[1.0]] * 2}))
    spec = spec_of(path)
    fields = {f"item{i}": {"type": "categorical", "vocabulary": "items", "normalize": of} for i, of in enumerate(steps)}
    spec = Spec.model_validate(spec.model_dump(exclude_unset=True) | {"fields": fields})
    vectors = read_vector_files(spec)
    if not is_refused:
        check_normalized(spec, vectors)
        return
    with pytest.raises(
        SourceError, match=r"column token, row 2: .* found b'B', expected a normalized token, here b'b'"
    ):
        check_normalized(spec, vectors)
