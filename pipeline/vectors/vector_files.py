"""Reads files of pretrained vectors: Parquet or Arrow files with the columns `token` and `vector`.

Beam, which takes seconds to import, is needed for remote files only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...transforms.errors import SourceError
from ...transforms.kinds import check_cloud_access
from ...transforms.spec import Spec
from ...transforms.spec.inputs import vector_files
from ..sources.files import FileStamp, find_files

TOKEN, VECTOR = "token", "vector"

_TEXT = pa.large_binary()
_TEXTS = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
)

_Read = TypeVar("_Read")


@dataclass(frozen=True, eq=False)
class Vectors:
    """The contents of a file of pretrained vectors.

    Attributes:
        tokens: large_binary `[n]`, n at least 1; all different, not empty, without line feeds and carriage returns.
        numbers: Their vectors, float32 `[n, length]`; finite.
    """

    tokens: pa.Array
    numbers: np.ndarray

    @property
    def length(self) -> int:
        """The length of the vectors."""
        return int(self.numbers.shape[1])


def check_vector_files(spec: Spec) -> None:
    """Checks that the vector files of a spec exist and have the two columns; does not read the rows.

    Raises:
        SourceError: one does not.
    """
    for name, path in vector_files(spec).items():
        find_files([path])
        schema = _read(path, pq.read_schema, lambda file: pa.ipc.open_file(file).schema)
        _check_columns(_Place(path, name), schema)


def read_vector_files(spec: Spec) -> dict[str, Vectors]:
    """Returns the pretrained vectors of each vocabulary that has some. They are read completely.

    Raises:
        SourceError: a file is missing, or is not a file of vectors; or `dim` is not the length of the vectors.
    """
    settings, found = spec.resolved_vocabularies(), {}
    for name, path in vector_files(spec).items():
        find_files([path])
        found[name] = read_vectors(path, name)
        dim = settings[name].dim
        if dim is not None and dim != found[name].length:
            raise SourceError(
                f"{path}: the vectors of the vocabulary {name} have {found[name].length} numbers, expected {dim}, its "
                "`dim` in the spec; remove `dim`: embeddings have the length of the vectors"
            )
    return found


def vector_stamps(spec: Spec) -> list[FileStamp]:
    """Returns the state of the vector files of a spec."""
    return [stamp for path in vector_files(spec).values() for stamp in find_files([path])]


def read_vectors(path: str, name: str) -> Vectors:
    """Returns the vectors in a file.

    Args:
        path: A Parquet or Arrow file, on any file system that Beam supports. Other columns are not read.
        name: The vocabulary, for messages.

    Raises:
        SourceError: it cannot be read, or is not a file of vectors. The message names the first row that is wrong;
            rows are counted from 1.
    """
    columns = [TOKEN, VECTOR]
    place = _Place(path, name)
    _check_columns(place, _read(path, pq.read_schema, lambda file: pa.ipc.open_file(file).schema))
    table = _read(
        path,
        lambda file: pq.read_table(file, columns=columns),
        lambda file: pa.ipc.open_file(file).read_all().select(columns),
    )
    if not table.num_rows:
        raise place.error("expected at least one row, found none", "write the vectors, or remove `vectors`")
    return Vectors(_tokens(place, table[TOKEN]), _numbers(place, table[VECTOR]))


@dataclass(frozen=True)
class _Place:
    """A file of vectors, as messages name it."""

    path: str
    vocabulary: str

    def error(self, what: str, fix: str, *, column: str | None = None, row: int | None = None) -> SourceError:
        """Returns an error: what was found and expected, in which column and row (from 0), and the next step."""
        where = "" if column is None else f", column {column}" if row is None else f", column {column}, row {row + 1}"
        return SourceError(f"{self.path}{where}: vectors of the vocabulary {self.vocabulary}: {what}; {fix}")


def _check_columns(place: _Place, schema: pa.Schema) -> None:
    for column in (TOKEN, VECTOR):
        if schema.names.count(column) != 1:
            raise place.error(
                f"expected one column {column!r}, found the columns {', '.join(schema.names) or '(none)'}",
                "rename or add the column",
            )
    kind = _plain_type(schema.field(TOKEN).type)
    if not pa.types.is_integer(kind) and not any(is_text(kind) for is_text in _TEXTS):
        raise place.error(
            f"expected texts or whole numbers, found {kind}", "write tokens as the field's values", column=TOKEN
        )
    kind = schema.field(VECTOR).type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise place.error(
            f"expected lists of floats, found {kind}", "convert the column, for example to list<float>", column=VECTOR
        )


def _plain_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _tokens(place: _Place, column: pa.ChunkedArray) -> pa.Array:
    """Returns the tokens, large_binary.

    Raises:
        SourceError: one is missing, twice in the file, or cannot be in a vocabulary.
    """
    plain = column.cast(_plain_type(column.type))
    texts = plain.cast(pa.string()) if pa.types.is_integer(plain.type) else plain
    tokens = pa.concat_arrays(texts.cast(_TEXT).chunks)

    def refuse(rows: pa.Array, what: str, fix: str) -> None:
        first = _first(np.asarray(rows.fill_null(False)))
        if first is not None:
            raise place.error(what.format(tokens[first].as_py()), fix, column=TOKEN, row=first)

    refuse(pc.is_null(tokens), "expected a token, found null", "remove the row")
    refuse(pc.equal(pc.binary_length(tokens), 0), "expected a token, found an empty text", "remove the row")
    refuse(
        pc.match_substring_regex(tokens, r"[\n\r]"),
        "expected a token in one line, found {!r}",
        "remove the row: no vocabulary can have it",
    )
    codes = np.asarray(tokens.dictionary_encode().indices)
    _, firsts = np.unique(codes, return_index=True)
    if len(firsts) < len(codes):
        twice = int(np.setdiff1d(np.arange(len(codes)), firsts)[0])
        earlier = int(firsts[codes[twice]]) + 1
        what = f"expected different tokens, found {tokens[twice].as_py()!r} also in row {earlier}"
        raise place.error(what, "remove one of the rows", column=TOKEN, row=twice)
    return tokens


def _numbers(place: _Place, column: pa.ChunkedArray) -> np.ndarray:
    """Returns the vectors, float32 `[rows, length]`.

    Raises:
        SourceError: one is missing, has another length than the first, or a number that is missing or not finite.
    """

    def refuse(is_wrong: np.ndarray, what: Callable[[int], str], fix: str) -> None:
        first = _first(is_wrong)
        if first is not None:
            raise place.error(what(first), fix, column=VECTOR, row=first)

    refuse(np.asarray(pc.is_null(column)), lambda _: "expected a vector, found null", "remove the row")
    lengths = np.asarray(pc.list_value_length(column)).astype(np.int64)
    length = int(lengths[0])
    refuse(lengths < 1, lambda _: "expected a vector, found an empty list", "remove the row")
    refuse(
        lengths != length,
        lambda row: f"expected {length} numbers, as in row 1, found {lengths[row]}",
        "write vectors of one length",
    )
    flat = pc.list_flatten(column)
    nulls = np.asarray(pc.is_null(flat)).reshape(-1, length)
    refuse(np.asarray(nulls.any(axis=1)), lambda _: "expected numbers, found null", "replace it, or remove the row")
    with np.errstate(over="ignore"):
        numbers = flat.to_numpy().astype(np.float32).reshape(-1, length)
    refuse(
        ~np.isfinite(numbers).all(axis=1),
        lambda row: f"expected finite numbers, found {numbers[row][~np.isfinite(numbers[row])][0]} (as float32)",
        "replace it, or remove the row",
    )
    return numbers


def _first(is_wrong: np.ndarray) -> int | None:
    return int(is_wrong.argmax()) if is_wrong.any() else None


def _read(path: str, parquet: Callable[[Any], _Read], arrow: Callable[[Any], _Read]) -> _Read:
    """Reads a file with the function of its format.

    Raises:
        SourceError: it is in neither format, or damaged.
    """
    check_cloud_access(path)
    try:
        with _opened(path) as file:
            magic = file.read(6)
            file.seek(0)
            if magic[:4] == b"PAR1":
                return parquet(file)
            if magic == b"ARROW1":
                return arrow(file)
    except (OSError, pa.ArrowException) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise SourceError(f"{path}: cannot be read ({reason}); write the file again") from None
    raise SourceError(
        f"{path}: expected a Parquet or Arrow (IPC, Feather) file with pretrained vectors, found another format; "
        "convert it, for example with pyarrow"
    )


def _opened(path: str) -> Any:
    if "://" not in path:
        return pa.OSFile(path)
    from apache_beam.io.filesystems import FileSystems

    with FileSystems.open(path) as file:
        return pa.BufferReader(file.read())
