"""The section `source`: how raw files are read."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Strict


class Source(Strict):
    """How the raw files are read. The defaults fit plain CSV and Parquet files."""

    format: Literal["auto", "csv", "jsonl", "parquet", "tfrecord"] = Field(
        "auto",
        description="auto: by file extension (.csv .tsv .jsonl .json .parquet .tfrecord, each optionally with .gz).",
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="CSV only. Default: tab for .tsv, comma otherwise."
    )
    header: bool = Field(True, description="CSV only: whether the first line names the columns.")
    columns: list[str] | None = Field(
        None, description="CSV only: the column names in order, for files without a header."
    )
    null_values: list[str] = Field(
        default=[""], description="CSV only: texts that mean a missing value, besides the empty text."
    )

    @model_validator(mode="after")
    def _columns_without_header(self) -> Source:
        if not self.header and self.columns is None:
            raise ValueError("a file without a header needs its column names: add `columns: [first, second, …]`")
        if self.columns and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names a column twice")
        return self
