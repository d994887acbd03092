"""The cache of counts: one Parquet file for the sums of each partition, another one for its times.

A run of yesterday's window has counted most partitions of today's. A file says in its metadata what it was made from:
the format of these files, the versions of fieldpool and Arrow, which read and check rows, the files of the partition
with size and time, and the part of the spec that decides what is counted. If any of it differs, the partition is
counted again, and its file is replaced.

With a time split, a file has the sums of both sides of the boundary: `train`, before it, and `later`. A partition that
a moved boundary leaves on one side needs no counting: its sums are those of both sides, or none.

A file is complete or absent, and has checksums: a process can be killed at any time, several can use a cache at a time,
and a damaged file is counted again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from ...transforms.errors import UserError
from ...transforms.process.stopping import undone
from ...transforms.spec import NumericField, Spec, TimeSplit, Vocabulary
from ...transforms.spec.inputs import is_hashed_cross
from ...transforms.writing import UNFINISHED_PREFIX, sync, writing
from ..folders.storage import make_folder, remove
from ..rows.times import Times, boundaries_of, split_unit
from .boundaries import TimeCounts
from .partitions import Partition
from .row_sums import RowSums, no_rows, total
from .sums_files import NAMES, Groups, groups_of, sums_of_groups, table_of_sums, table_of_times, times_of_groups

OPTION = "--counts-cache"

# Increase it with each change of the files.
FORMAT = 1

# Settings of a field that do not change what is counted.
_NOT_COUNTED = {*Vocabulary.model_fields, "pooling", "scale", "clip", "side"}

_METADATA = b"fieldpool"

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Sides:
    """The sums of a partition's rows: of train, and with a time split of those at or after the boundary."""

    train: RowSums
    later: RowSums | None = None


@dataclass
class CountsCache:
    """A folder of counts on any file system; it is created when it is first written to, and may be deleted.

    Attributes:
        folder: The folder.
        asked: The names of the partitions that an analysis asked for.
        counted: The names of those that it had to count.
    """

    folder: str
    asked: set[str] = field(default_factory=set)
    counted: set[str] = field(default_factory=set)
    _ends: dict[str, Times] = field(default_factory=dict, repr=False)  # Of each partition.

    def times(self, partition: Partition, split: TimeSplit, spec: Spec) -> TimeCounts | None:
        """Returns the times of a partition, if they are known."""
        times = self._read(partition, _made_from(partition, _of_times(split, spec)), times_of_groups)
        if times is not None:
            self._ends[partition.name] = _ends_of(times)
        return times

    def keep_times(self, partition: Partition, split: TimeSplit, spec: Spec, times: TimeCounts) -> None:
        """Writes the times of a partition."""
        self._ends[partition.name] = _ends_of(times)
        made_from = _made_from(partition, _of_times(split, spec))
        self._write(self._path(partition, made_from), table_of_times(times), made_from)

    def train_sums(self, partition: Partition, spec: Spec) -> RowSums | None:
        """Returns the sums of a partition's train rows, if they are known.

        Args:
            partition: The partition; with a time split, its times were asked for or kept before.
            spec: The spec, with the boundaries of a time split.
        """
        self.asked.add(partition.name)
        split, made_from = spec.split, _made_from(partition, _counted(spec))
        if not isinstance(split, TimeSplit):
            return self._read(partition, made_from, lambda groups: sums_of_groups(groups, "train", spec))
        first, last = _seconds(self._ends[partition.name], split)
        boundary = _boundary(split)
        if first >= boundary:
            return no_rows(spec)
        parts = ("train", "later") if last < boundary else ("train",)
        return self._read(
            partition,
            made_from,
            lambda groups: total([sums_of_groups(groups, part, spec) for part in parts], spec),
            None if last < boundary else boundary,
        )

    def keep_sums(self, partition: Partition, spec: Spec, sums: Sides) -> None:
        """Writes the sums of a partition."""
        self.counted.add(partition.name)
        made_from = _made_from(partition, _counted(spec))
        tables = [table_of_sums(sums.train, "train", spec)]
        if sums.later is not None:
            tables.append(table_of_sums(sums.later, "later", spec))
        boundary = _boundary(spec.split) if isinstance(spec.split, TimeSplit) else None
        self._write(self._path(partition, made_from), pa.concat_tables(tables), made_from, boundary)

    def _path(self, partition: Partition, made_from: Mapping[str, Any]) -> str:
        """Returns the file of a partition with a part of a spec, whatever its data are."""
        key = json.dumps({**made_from, "versions": {}, "files": [], "name": _absolute(partition.name)}, sort_keys=True)
        shown = re.sub(r"[^A-Za-z0-9_=.-]", "_", os.path.basename(partition.name.rstrip("/")))[:80]
        return FileSystems.join(self.folder, f"{shown}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.parquet")

    def _read(
        self,
        partition: Partition,
        made_from: Mapping[str, Any],
        of_groups: Callable[[Groups], _Found],
        boundary: float | None = None,
    ) -> _Found | None:
        """Returns what a file has that was made from the same, and with that boundary if one is given."""
        try:
            with _opened(self._path(partition, made_from)) as file:
                parquet = pq.ParquetFile(file, read_dictionary=NAMES, page_checksum_verification=True)
                found = json.loads(parquet.schema_arrow.metadata[_METADATA])
                if found["made_from"] != made_from or boundary not in (None, found["boundary"]):
                    return None
                return of_groups(groups_of(parquet.read()))
        except PermissionError as error:
            raise UserError(f"{error.filename}: cannot be read; check your access to the folder of {OPTION}") from None
        except (OSError, pa.ArrowException, ValueError, LookupError, TypeError):
            return None  # It does not exist, or is damaged.

    def _write(self, path: str, table: pa.Table, made_from: Mapping[str, Any], boundary: float | None = None) -> None:
        said = json.dumps({"made_from": made_from, "boundary": boundary}, sort_keys=True)
        table = table.replace_schema_metadata({_METADATA: said.encode()})
        with writing(self.folder, OPTION):
            make_folder(self.folder)
            if "://" not in path:
                # Another process may write the same file: each has its own temporary one, and the last one counts.
                unfinished = os.path.join(self.folder, f"{UNFINISHED_PREFIX}{uuid4().hex}.parquet")
                with undone(lambda: remove(unfinished)):
                    _write_parquet(table, unfinished)
                    sync(unfinished)
                    os.replace(unfinished, path)
                return
            sink = pa.BufferOutputStream()
            _write_parquet(table, sink)
            with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                file.write(memoryview(sink.getvalue()))


def _write_parquet(table: pa.Table, sink: Any) -> None:
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=NAMES,
        # Tokens are sorted, so neighbours begin with the same bytes.
        column_encoding={"token": "DELTA_BYTE_ARRAY", "number": "DELTA_BINARY_PACKED", "count": "DELTA_BINARY_PACKED"},
        write_page_checksum=True,
    )


def _opened(path: str) -> Any:
    if "://" not in path:
        return open(path, "rb")
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def _made_from(partition: Partition, counted: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a file is made from, as values of JSON."""
    files = [[_absolute(file.path), file.size, file.modified] for file in partition.files]
    versions = {name: version(name) for name in ("fieldpool", "pyarrow")}
    return {"format": FORMAT, "versions": versions, "files": files, **json.loads(json.dumps(counted))}


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _counted(spec: Spec) -> dict[str, Any]:
    """Returns the part of a spec that decides which rows are valid, and what is counted of them."""
    whole = spec.model_dump(mode="json")
    fields = {
        name: {setting: value for setting, value in whole["fields"][name].items() if setting not in _NOT_COUNTED}
        for name in spec.fields
    }
    for name, numeric in spec.fields_of(NumericField).items():
        fields[name]["has_histogram"] = numeric.quantiles is not None
    for name in fields:
        if is_hashed_cross(spec, name):
            fields[name]["has_tokens"] = False
    split = {key: value for key, value in whole["split"].items() if key not in ("eval_from", "test_from")}
    if isinstance(spec.split, TimeSplit):
        split = _of_times(spec.split, spec)["split"] | {"time_unit": spec.split.time_unit}
    # Later entries only if they are set, so that counts of earlier versions stay valid.
    later = [name for name in ("sample", "times") if whole.get(name)]
    same = ("source", "key", "label", "limits", *later)
    # Rows are rejected for a carried column, too: because of a list, or too long a text.
    carried = {"carry": sorted(set(spec.carry.values()))} if spec.carry else {}
    vocabularies = {name: spec.vocabulary_of(name) for name, of in spec.fields.items() if of.has_vocabulary}
    entries = {name: whole.get(name) for name in same} | carried
    return {**entries, "split": split, "fields": fields, "vocabularies": vocabularies}


def _of_times(split: TimeSplit, spec: Spec) -> dict[str, Any]:
    """Returns the part of a spec that decides which times rows have."""
    return {
        "source": spec.source.model_dump(mode="json"),
        "split": {"time": split.time, "time_format": split.time_format},
    }


def _boundary(split: TimeSplit) -> float:
    return float(boundaries_of(split, split_unit(split))[0])


def _ends_of(times: TimeCounts) -> Times:
    """Returns the first and last times of numbers, whose unit may not be known yet, and of others."""
    ends = []
    for kind in (True, False):
        values = times.times.values[times.times.is_number == kind]
        ends += [(values.min(), kind), (values.max(), kind)] if len(values) else []
    return Times(np.array([value for value, _ in ends]), np.array([kind for _, kind in ends], bool))


def _seconds(ends: Times, split: TimeSplit) -> tuple[float, float]:
    """Returns the first and the last time of a partition, infinite ones if they are not known."""
    seconds = ends.seconds(split_unit(split))
    # A number at an end may be of another unit, so its row is rejected, and the end is between the others.
    return (-np.inf, np.inf) if np.isnan(seconds).any() or not len(seconds) else (seconds.min(), seconds.max())
