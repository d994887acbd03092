"""The section `source`: how raw files are read."""

from __future__ import annotations

import codecs
import contextlib
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .base import NonNegativeInt, Strict

# Encodings of single names, which Python does not decode block by block.
_NOT_OF_FILES = {"idna", "punycode", "undefined"}

# Entries that are not only for CSV.
_OF_ALL_FORMATS = {"format", "compression", "encoding", "decimal", "thousands", "explode"}


class Explode(Strict):
    """Makes a row of each element of a column, such as the impressions that were shown together."""

    column: str = Field(description="The column with the elements. The rows have the groups of `into` in its place.")
    separator: str | None = Field(
        None, min_length=1, description="The text between elements; columns of a list type need none."
    )
    into: str = Field(
        description="A regular expression of Python for one element, with a named group for each new column: "
        '"(?P<news_id>.+)-(?P<clicked>[01])".'
    )

    @field_validator("into")
    @classmethod
    def _has_named_groups(cls, into: str) -> str:
        example = "such as '(?P<item>.+)-(?P<clicked>[01])'"
        try:
            groups = re.compile(into).groupindex
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"expected a regular expression, {example}; found {into!r} ({error})") from None
        if not groups:
            raise ValueError(f"expected a named group for each new column, {example}; found {into!r}")
        return into

    @property
    def groups(self) -> list[str]:
        """The names of the new columns."""
        return list(re.compile(self.into).groupindex)


class Source(Strict):
    """How the raw files are read. The defaults fit plain CSV and Parquet files."""

    format: Literal["auto", "detect", "csv", "json", "jsonl", "libffm", "parquet", "tfrecord"] = Field(
        "auto",
        description="json: one array of objects. jsonl: an object a line. auto: by file extension (.csv .tsv .txt "
        ".jsonl .ndjson .json .ffm .libffm .parquet .pq .tfrecord .tfrecords; all except Parquet also with .gz, .bz2, "
        ".zst, .xz, .lz4 or .zip); .json is jsonl. detect: by the content; entries that are not stated are then found "
        "from samples, before the work starts, and written into the run's spec. `source: auto` is short for this.",
    )
    compression: Literal["auto", "none", "gzip", "bzip2", "zstd", "xz", "lz4", "zip"] = Field(
        "auto",
        description="auto: by the last extension (.gz .bz2 .zst .xz .lz4 .zip). zip: an archive with exactly one file. "
        "Not for Parquet, which compresses its own pages.",
    )
    encoding: str = Field(
        "utf-8",
        description="Text formats only: any encoding that Python knows, such as latin-1, cp1252, utf-16 or shift_jis. "
        "A byte order mark is dropped.",
    )
    delimiter: str | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="CSV only: 1 to 8 characters between values. Default: tab for .tsv, comma otherwise.",
    )
    quote: str = Field(
        '"', description="CSV only: the character around quoted values, or `none` if quotes are part of the values."
    )
    escape: str | None = Field(
        None, description="CSV only: the character before a quote, delimiter or line end that is part of a value."
    )
    double_quote: bool = Field(True, description="CSV only: whether two quotes in a quoted value mean one.")
    header: bool = Field(True, description="CSV only: whether the first line names the columns.")
    columns: Annotated[list[str], Field(min_length=1)] | None = Field(
        None,
        description="CSV only: the column names in order, for files without a header. Default: c0, c1, … by the first "
        "row. A name used twice gets a number, also in a header: tags, tags.1.",
    )
    skip_rows: NonNegativeInt = Field(0, description="CSV only: the number of lines before the header or first row.")
    comment: str | None = Field(
        None,
        min_length=1,
        description="CSV only: the text at the start of lines that are comments. Lines inside an open quote are not.",
    )
    null_values: list[str] = Field(
        default=[""], description="CSV only: texts that mean a missing value, besides the empty text."
    )
    decimal: Literal[".", ","] = Field(".", description="The decimal sign in texts that are read as numbers.")
    thousands: Literal[",", ".", " ", "'"] | None = Field(
        None, description="The sign between groups of three digits in texts that are read as numbers: 1,002.50."
    )

    explode: Explode | None = Field(None, description="One row becomes several: one for each element of a column.")

    @field_validator("encoding")
    @classmethod
    def _is_text_encoding(cls, name: str) -> str:
        with contextlib.suppress(LookupError, ValueError):
            "".encode(name)  # LookupError for codecs of bytes, such as hex.
            if codecs.lookup(name).name not in _NOT_OF_FILES:
                return name
        raise ValueError(f"expected an encoding that Python knows, such as utf-8, latin-1 or utf-16; found {name!r}")

    @model_validator(mode="after")
    def _special_characters(self) -> Source:
        given = {"quote": None if self.quote == "none" else self.quote, "escape": self.escape}
        found = {name: character for name, character in given.items() if character is not None}
        for name, character in found.items():
            if len(character) != 1 or not character.isascii() or character in "\n\r":
                raise ValueError(f"`{name}`: expected one ASCII character, not a line end; found {character!r}")
            if self.delimiter is None and character in ",\t":
                raise ValueError(
                    f"`{name}`: expected another character than the default delimiters; found {character!r}"
                )
            if character in (self.delimiter or ""):
                raise ValueError(f"`{name}` and `delimiter` must differ; found {character!r} and {self.delimiter!r}")
        if found.get("quote") == found.get("escape", ""):
            raise ValueError(f"`quote` and `escape` must differ; found {found}")
        if self.delimiter is not None and set(self.delimiter) & {"\n", "\r"}:
            raise ValueError(f"`delimiter`: expected a text without line ends; found {self.delimiter!r}")
        syntax = {"\n", "\r", *found.values(), *(self.delimiter or ",\t")}
        if self.comment is not None and syntax & set(self.comment):
            raise ValueError(
                f"`comment`: expected a text without line ends and characters of delimiter, quote and escape; "
                f"found {self.comment!r}"
            )
        return self

    @model_validator(mode="after")
    def _csv_entries_are_of_csv(self) -> Source:
        # A model's spec, which is written with all entries, has those with defaults too.
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        stated = self.model_fields_set - _OF_ALL_FORMATS
        of_csv = [f"`{name}`" for name in stated if getattr(self, name) != defaults[name]]
        if of_csv and self.format not in ("auto", "detect", "csv"):
            raise ValueError(
                f"{', '.join(sorted(of_csv))}: only for CSV, but `format` is {self.format}; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _bytes_fit_the_format(self) -> Source:
        if self.format == "parquet" and self.compression not in ("auto", "none"):
            raise ValueError(
                f"`compression`: expected none, because Parquet compresses its own pages; found {self.compression}"
            )
        if self.format in ("parquet", "tfrecord") and codecs.lookup(self.encoding).name != "utf-8":
            raise ValueError(f"`encoding`: only for text, but `format` is {self.format}; remove one of them")
        return self

    @model_validator(mode="after")
    def _numbers_can_be_read(self) -> Source:
        if self.decimal == self.thousands:
            other = "," if self.decimal == "." else "."
            example = f"for 1{self.decimal}002{other}50, set `decimal: '{other}'`"
            raise ValueError(f"`decimal` and `thousands` must differ; found {self.decimal!r} in both; {example}")
        signs = {"decimal": self.decimal, "thousands": self.thousands}
        syntax = {self.quote, self.escape, self.delimiter if self.quote == "none" and not self.escape else None}
        for name, sign in signs.items():
            if sign is not None and sign in syntax:
                raise ValueError(f"`{name}`: expected another sign than delimiter, quote and escape; found {sign!r}")
        return self

    @model_validator(mode="after")
    def _exploded_column_exists(self) -> Source:
        if self.explode is None or self.columns is None:
            return self
        if self.explode.column not in self.columns:
            raise ValueError(f"`explode.column`: expected one of `columns`, found {self.explode.column!r}")
        taken = [name for name in self.explode.groups if name in self.columns and name != self.explode.column]
        if taken:
            raise ValueError(f"`explode.into`: the group {taken[0]!r} is also in `columns`; give it another name")
        return self

    @model_validator(mode="after")
    def _columns_without_header(self) -> Source:
        if self.header and self.columns is not None:
            raise ValueError(
                "`columns` are for files without a header: set `header: false`, or remove `columns` if the first line "
                "has the names"
            )
        return self
