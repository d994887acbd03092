"""Determines how files are to be read."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ...transforms.errors import FieldpoolWarning, SourceError
from ...transforms.spec import Source, Spec
from ..sources.content import FORMATS, Content
from ..sources.content_checks import refusal
from ..sources.readers import shown
from ..sources.source_file import source_file
from .csv_dialect import FoundDialect
from .dialects_of_files import common_dialect, difference
from .samples import Sample, sample_files

_FORMATS = FORMATS | {Content.TEXT: "csv"}
# Texts that are read as CSV only if the user says how.
_UNLIKELY = {Content.ARRAYS, Content.SQL, Content.PAIRS}
_TEXT_FORMATS = ("csv", "json", "jsonl", "libffm")
# Entries of CSV that are stated in any case; the others only where they differ from the defaults.
_ALWAYS_STATED = {"delimiter", "quote", "header"}
_DELIMITERS_OF_ONE_COLUMN = (",", "\t", ";", "|", "\x01", "\x1f")


@dataclass(frozen=True)
class Sniffed:
    """How files are to be read.

    Attributes:
        source: The section `source` of a spec. States format, compression, encoding, delimiter, quote and header, and
            other entries that differ from the defaults.
        reasons: Short sentences by entry of `source`. "not certain" begins those on decisions that may be wrong.
        is_default: Whether a spec without `source` reads the files in the same way.
    """

    source: Source
    reasons: dict[str, str]
    is_default: bool


def sniff_files(files: Sequence[str], given: Source) -> Sniffed:
    """Returns how files are to be read, from samples of the first, the middle and the last of them.

    Args:
        files: Paths, without wildcards.
        given: Entries that are stated are kept.

    Raises:
        SourceError: a file cannot be read, holds something else than rows, or differs from the other files.
    """
    samples = sample_files(files, given)
    samples = [sample for sample in samples if sample.content is not Content.EMPTY] or samples
    formats = [_format_of(sample, given) for sample in samples]
    reasons = {name: reason for sample in samples for name, reason in sample.reasons.items()}
    entries: dict[str, Any] = given.model_dump(exclude_unset=True, exclude={"format", "compression", "encoding"})
    entries |= _common("format", samples, formats, [_default(sample.path, "kind") for sample in samples])
    if given.format in ("auto", "detect"):
        reasons["format"] = f"by the content: {samples[0].content}" if formats[0] != "csv" else "text with rows"
    if set(formats) != {"parquet"}:
        compressions = [sample.compression or "none" for sample in samples]
        by_name = [_default(sample.path, "compression") or "none" for sample in samples]
        entries |= _common("compression", samples, compressions, by_name)
    texts = [
        sample for sample, found in zip(samples, formats, strict=True) if found in _TEXT_FORMATS and sample.encoding
    ]
    if texts:
        entries["encoding"] = _common_encoding(texts)
    of_csv = [sample for sample, found in zip(samples, formats, strict=True) if found == "csv"]
    if of_csv:
        dialect = _dialect_of(of_csv, given)
        entries |= _entries_of_csv(dialect, of_csv)
        reasons |= dialect.reasons
    stated = given.model_dump(exclude_unset=True)
    entries |= {name: value for name, value in stated.items() if value not in ("auto", "detect")}
    try:
        source = Source(**entries)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SourceError(f"{shown(files)}: {message}; expected entries that fit the content of the file") from None
    reasons = {name: reason for name, reason in reasons.items() if name not in stated or name == "format"}
    return Sniffed(source, reasons, _is_default(source, samples, formats))


def with_found_source(spec: Spec, files: Sequence[str]) -> Spec:
    """Returns a spec whose `source` states how to read the files: a format `detect` is replaced.

    Warns with a FieldpoolWarning of decisions that are not certain.

    Raises:
        SourceError: as `sniff_files`.
    """
    if spec.source.format != "detect":
        return spec
    found = sniff_files(files, spec.source)
    for name, reason in found.reasons.items():
        if "not certain" in reason:
            message = (
                f"{shown(files)}: source.{name} is {getattr(found.source, name)!r}: {reason}; state it if it is wrong"
            )
            warnings.warn(message, FieldpoolWarning, stacklevel=3)
    return spec.model_copy(update={"source": found.source})


def _format_of(sample: Sample, given: Source) -> str:
    if given.format not in ("auto", "detect"):
        return given.format
    if sample.content is Content.EMPTY:
        return str(_default(sample.path, "kind") or "csv")
    if sample.content in _UNLIKELY and given.model_fields_set & {"delimiter", "columns"}:
        return "csv"
    if sample.content not in _FORMATS:
        raise refusal(sample.path, sample.content)
    return _FORMATS[sample.content]


def _default(path: str, attribute: str) -> str | None:
    """Returns how a spec without `source` would read a file, None if its name does not say it."""
    try:
        return getattr(source_file(path, Source()), attribute)
    except SourceError:
        return None


def _common(
    name: str, samples: Sequence[Sample], found: Sequence[str], by_name: Sequence[str | None]
) -> dict[str, str]:
    """Returns the entry that all files have in common; auto if they differ in the way that their names say."""
    if len(set(found)) == 1:
        return {name: found[0]}
    if list(found) == list(by_name):
        return {name: "auto"}
    other = next(index for index, one in enumerate(found) if one != found[0])
    raise difference(samples[0].path, samples[other].path, {name: (found[0], found[other])})


def _common_encoding(samples: Sequence[Sample]) -> str:
    found = samples[0]
    for sample in samples[1:]:
        if sample.encoding == found.encoding or (sample.is_ascii and not found.encoding.startswith("utf-")):
            continue
        if not found.is_ascii or sample.encoding.startswith("utf-"):
            raise difference(found.path, sample.path, {"encoding": (found.encoding, sample.encoding)})
        found = sample
    return found.encoding


def _dialect_of(samples: Sequence[Sample], given: Source) -> FoundDialect:
    stated = given.model_dump(exclude_unset=True)
    return common_dialect([(sample.path, sample.pieces) for sample in samples], stated)


def _entries_of_csv(dialect: FoundDialect, samples: Sequence[Sample]) -> dict[str, Any]:
    """Returns the entries of `source` that state a dialect."""
    delimiter = dialect.delimiter
    if delimiter is None:
        default = _default_delimiter(samples[0].path)
        text = "".join(piece.text for sample in samples for piece in sample.pieces)
        free = [sign for sign in (default, *_DELIMITERS_OF_ONE_COLUMN) if sign not in text]
        delimiter = free[0] if free else default
    defaults = Source()
    entries: dict[str, Any] = {"delimiter": delimiter}
    for name in ("quote", "escape", "header", "skip_rows", "comment", "null_values", "decimal", "thousands"):
        value = getattr(dialect, name)
        if name in _ALWAYS_STATED or (name in Source.model_fields and value != getattr(defaults, name)):
            entries[name] = value
    return entries


def _default_delimiter(path: str) -> str:
    return source_file(path, Source(format="csv")).delimiter


def _is_default(source: Source, samples: Sequence[Sample], formats: Sequence[str]) -> bool:
    """Returns whether a spec without `source` reads the files as this one."""
    defaults = Source()
    for sample, found in zip(samples, formats, strict=True):
        if _default(sample.path, "kind") != found or _default(sample.path, "compression") != sample.compression:
            return False
        if found == "csv" and source.delimiter != _default_delimiter(sample.path):
            return False
    names = source.model_fields_set - {"format", "compression", "delimiter"}
    return all(getattr(source, name) == getattr(defaults, name) for name in names)
