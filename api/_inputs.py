"""Converts the inputs of the public functions: a spec in any form, and rows from files or from a table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from .pipeline.spec_file import load_spec, parse_spec
from .transforms.errors import UserError
from .transforms.spec import Spec
from .transforms.writing import TEMPORARY, temporary_folder, writing

Path: TypeAlias = "str | os.PathLike[str]"
# A YAML file's path, its contents, or the spec itself.
SpecLike: TypeAlias = "Spec | Mapping[str, Any] | Path"
# File names or patterns, or a table: a pandas or polars DataFrame, an Arrow table, or another object that has Arrow's
# stream interface (`__arrow_c_stream__`).
Data: TypeAlias = "Path | Sequence[Path] | Any"


@dataclass(frozen=True)
class Files:
    """Rows in files.

    Attributes:
        patterns: File names, or patterns that match them.
        name: For a table, its type: errors and rejected rows name it instead of the temporary file. None for files.
    """

    patterns: list[str]
    name: str | None = None

    def shown(self, source: str) -> str:
        """Returns the name to show for the source of a row: that of the table, or `source` itself."""
        return self.name or source


def as_spec(spec: SpecLike) -> Spec:
    """Returns the spec.

    Raises:
        SpecError: It is not valid, or its file cannot be read.
    """
    if isinstance(spec, Spec):
        return spec
    if isinstance(spec, Mapping):
        return parse_spec(dict(spec), "spec")
    if isinstance(spec, str | os.PathLike):
        return load_spec(os.fspath(spec))
    raise UserError(f"spec: expected the path of a YAML file, a dict or a Spec; found {type(spec).__name__}")


@contextlib.contextmanager
def as_files(data: Data) -> Iterator[Files]:
    """Yields the files with the rows. A table is written to a temporary Parquet file; errors name the table instead.

    So the rows of a table are read, checked and divided among workers in the same way as those of any other file.

    Raises:
        UserError: `data` is neither file names nor a table, or the table has a column that Parquet cannot hold.
    """
    if isinstance(data, str | os.PathLike):
        yield Files([os.fspath(data)])
    elif isinstance(data, list | tuple):
        unknown = [type(path).__name__ for path in data if not isinstance(path, str | os.PathLike)]
        if unknown or not data:
            found = f"a list that contains {unknown[0]}" if unknown else "an empty list"
            raise UserError(f"data: expected file names, or a table such as a pandas DataFrame; found {found}")
        yield Files([os.fspath(path) for path in data])
    else:
        name = type(data).__name__
        with temporary_folder("table") as folder:
            path = os.path.join(folder, "table.parquet")
            with writing(folder, TEMPORARY):
                _write_table(data, name, path)
            try:
                yield Files([path], name)
            except UserError as error:
                raise type(error)(str(error).replace(path, name)) from None


def _write_table(data: Any, name: str, path: str) -> None:
    try:
        if hasattr(data, "iloc"):  # pandas: its own stream would add the index as a column.
            table = pa.Table.from_pandas(data, preserve_index=False)
        elif isinstance(data, pa.RecordBatch):
            table = pa.table(data)
        elif hasattr(data, "__arrow_c_stream__"):
            table = pa.RecordBatchReader.from_stream(data).read_all()
        else:
            raise UserError(f"data: expected file names, or a table such as a pandas DataFrame; found {name}")
        pq.write_table(table, path)
    except (pa.ArrowException, pa.ArrowInvalid, TypeError) as error:
        raise UserError(
            f"data: the {name} cannot be converted to a Parquet file: {error}. Convert the column to text, numbers or "
            "lists of these"
        ) from None
