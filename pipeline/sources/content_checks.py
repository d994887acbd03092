"""Refuses files whose content is not what the spec or their name says, before any work starts."""

from __future__ import annotations

from ...transforms.errors import SourceError
from .content import HEAD_BYTES, Content, content_of
from .source_file import SourceFile
from .streams.encodings import is_utf8_name


def check_content(file: SourceFile) -> None:
    """Raises SourceError if the first bytes of a file show that it cannot be read as the spec or its name says."""
    with file.open_stored() as stored:
        found = content_of(stored.read(HEAD_BYTES))
    if found is not Content.EMPTY:
        _check_compression(file, found)
    if file.compression:
        with file.open() as content:
            found = content_of(content.read(HEAD_BYTES))
    if found in (Content.UTF16, Content.UTF32) and file.is_text and is_utf8_name(file.source.encoding):
        raise SourceError(
            f"{file.path}: expected text in {file.source.encoding}; found {found}, by its byte order mark. "
            f"Set `source: {{encoding: {'utf-16' if found is Content.UTF16 else 'utf-32'}}}` in the spec"
        )


def _check_compression(file: SourceFile, found: Content) -> None:
    if found == file.compression or (file.compression is None and not found.is_compressed):
        return
    if file.compression is None:
        expected, entry = f"{file.kind} that is not compressed, by its name or the spec", found.value
    else:
        expected = f"a file compressed with {file.compression}, by its name or the spec"
        entry = found.value if found.is_compressed else "none"
    step = f"Set `source: {{compression: {entry}}}` or `source: auto` in the spec"
    if file.kind == "parquet":
        step = "Decompress it: Parquet files compress their own pages"
    raise SourceError(
        f"{file.path}: expected {expected}; found {'data compressed with ' * found.is_compressed}{found}. {step}"
    )
