"""Refuses files whose content is not what the spec or their name says, before any work starts.

Files that can be read although they look like something else are never refused.
"""

from __future__ import annotations

import shlex

import pyarrow as pa

from ...transforms.errors import SourceError
from ...transforms.spec import Source
from .content import ENCODINGS, FORMATS, HEAD_BYTES, Content, content_of
from .source_file import SourceFile, name_and_compression, source_file
from .streams.encodings import is_utf8_name

# The names of formats in errors.
_NAMES: dict[str, str] = {
    "csv": "CSV",
    "libffm": "libffm",
    "json": "a JSON array",
    "jsonl": "JSON Lines",
    "parquet": "Parquet",
    "tfrecord": "TFRecords",
}

_CONVERT = "This format cannot be read: convert it to Parquet, CSV or JSON Lines"
_STEPS = {
    Content.AVRO: _CONVERT,
    Content.ORC: _CONVERT,
    Content.ARROW: _CONVERT,
    Content.OFFICE: "Save the sheet as CSV",
    Content.TAR: "Extract it, and pass the files in it",
    Content.BINARY: "Export the rows as Parquet, CSV or JSON Lines",
    Content.HTML: "Probably a failed download: open the file, and download it again",
    Content.LFS: "Get the file itself: `git lfs pull`",
    Content.JSON_OBJECTS: "Write each object on one line: `jq -c . FILE > rows.jsonl`",
    Content.PYTHON: "Convert them to JSON Lines: `python -c 'import ast, json, sys; [print(json.dumps("
    "ast.literal_eval(line))) for line in sys.stdin]' < FILE > rows.jsonl`",
    Content.ARRAYS: "Write each row as an object with the names of its columns: `jq -c '{user: .[0], item: .[1]}' FILE "
    "> rows.jsonl`",
    Content.SQL: "Load them into a database, and export the table as CSV",
    Content.PAIRS: "Write each line as a JSON object, with the keys as names",
    Content.EMPTY: "Pass files with rows",
    Content.TEXT: "Set `source: {format: csv}` (or jsonl), or `source: auto`, in the spec",
}

_BYTES = {Content.PARQUET, Content.TFRECORD, Content.AVRO, Content.ORC, Content.ARROW, Content.OFFICE, Content.TAR}
_NOT_TEXT = _BYTES | {Content.BINARY, Content.HTML, Content.LFS}
_JSON = {Content.JSON_ARRAY, Content.JSON_LINES, Content.JSON_OBJECTS, Content.PYTHON}

# What cannot be read as each format. The first line of CSV may be any text if it is not a header: see `_refused`.
_REFUSED: dict[str, set[Content]] = {
    "csv": _NOT_TEXT | _JSON,
    "jsonl": _NOT_TEXT | _JSON - {Content.JSON_LINES},
    "libffm": _NOT_TEXT | _JSON,
    "json": _NOT_TEXT | _JSON - {Content.JSON_ARRAY},
    "parquet": set(Content) - {Content.PARQUET, Content.BINARY, Content.EMPTY},
    "tfrecord": set(Content) - {Content.TFRECORD, Content.BINARY, Content.EMPTY},
}


def check_content(file: SourceFile) -> None:
    """Raises SourceError if the first bytes of a file show that it cannot be read as the spec or its name says."""
    with file.open_stored() as stored:
        found = content_of(stored.read(HEAD_BYTES))
    if found is Content.EMPTY:
        return
    _check_compression(file, found)
    if file.compression:
        with file.open() as content:
            found = content_of(content.read(HEAD_BYTES))
    is_utf8 = is_utf8_name(file.source.encoding)
    if file.is_text and is_utf8 and found in ENCODINGS:
        raise SourceError(
            f"{file.path}: expected text in {file.source.encoding}; found {found}. {_step(found, file.path)}"
        )
    if file.kind in ("csv", "jsonl") and not is_utf8 and found not in _NOT_TEXT:
        with file.open_text() as content:
            found = content_of(content.read(HEAD_BYTES))
    if found in _refused(file):
        expected = f"expected {_NAMES[file.kind]}, by its name or the spec"
        raise SourceError(f"{file.path}: {expected}; found {_shown(found)}. {_step(found, file.path)}")


def check_name(path: str, source: Source) -> SourceFile:
    """Returns how to read a file, by its name and the spec.

    Raises:
        SourceError: these do not say its format. The message says what the file holds.
    """
    try:
        return source_file(path, source)
    except SourceError as error:
        try:
            _, compression = name_and_compression(path, source)
            with SourceFile(path, source, "csv", compression, ",").open() as content:
                found = content_of(content.read(HEAD_BYTES))
        except (OSError, pa.ArrowInvalid):
            raise error from None
        raise SourceError(
            f"{path}: the format cannot be determined from the name; found {_shown(found)}. {_step(found, path)}"
        ) from None


def refusal(path: str, found: Content) -> SourceError:
    """Returns the error for a file whose content cannot be read in any format."""
    return SourceError(f"{path}: expected rows of data; found {_shown(found)}. {_step(found, path)}")


def is_empty(file: SourceFile) -> bool:
    """Returns whether a file has 0 bytes."""
    with file.open_stored() as stored:
        return not stored.read(1)


def _check_compression(file: SourceFile, found: Content) -> None:
    if found == file.compression or (file.compression is None and not found.is_compressed):
        return
    expected = f"{_NAMES[file.kind]} that is not compressed"
    if file.compression is not None:
        expected = f"a file compressed with {file.compression}"
    step = _step(found, file.path)
    if not found.is_compressed and found not in _NOT_TEXT:
        step = "Set `source: {compression: none}` or `source: auto` in the spec"
    elif file.kind == "parquet":
        step = "Decompress it: Parquet files compress their own pages"
    raise SourceError(f"{file.path}: expected {expected}, by its name or the spec; found {_shown(found)}. {step}")


def _refused(file: SourceFile) -> set[Content]:
    if file.kind == "csv" and (not file.source.header or file.source.skip_rows or file.source.comment):
        return _BYTES
    return _REFUSED[file.kind]


def _shown(found: Content) -> str:
    return f"data compressed with {found}" if found.is_compressed else found


def _step(found: Content, path: str) -> str:
    """Returns what the user can do."""
    if found.is_compressed:
        return f"Set `source: {{compression: {found}}}` or `source: auto` in the spec"
    if found in FORMATS:
        return f"Set `source: {{format: {FORMATS[found]}}}` or `source: auto` in the spec"
    if found in ENCODINGS:
        return f"Set `source: {{encoding: {ENCODINGS[found]}}}` or `source: auto` in the spec"
    step, quoted = _STEPS[found], shlex.quote(path)
    if path.endswith(".gz"):
        before, _, command = step.partition("`")
        step = f"{before}`gzip -dc FILE | {command}".replace(" < FILE", "").replace(". FILE", ".") if command else step
    return step.replace("FILE", quoted)
