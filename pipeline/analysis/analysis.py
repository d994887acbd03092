"""The analysis of the train rows, in threads of this process: from rows to a resolved spec and what `Known` holds.

Its result is the one of TensorFlow Transform's analysis of `preprocessing_fn(spec)`, bit by bit, but nothing runs in
TensorFlow or Beam: rows are counted in Arrow, and counts of parts add up (`row_sums`). So list lengths come from the
same pass as vocabularies; only a percentile that truncates lists takes a second one, because a vocabulary counts the
tokens that the model sees.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from ...transforms.known import LEDGER, Known
from ...transforms.run_files import LEDGERS_FOLDER, VECTORS_FOLDER, VOCABULARY_COUNTS_FOLDER
from ...transforms.runs.run_stats import VocabularyStats
from ...transforms.spec import NumericField, Spec, TimeSplit
from ...transforms.spec.inputs import with_vectors
from ...transforms.sums.exact_sums import NO_VALUES, packed_statistics_of
from ...transforms.sums.token_counts import count_lines, in_vocabulary, vocabulary_lines
from ..folders.storage import make_folder, write_atomically
from ..folders.work_folder import ANALYSIS_FILE
from ..sources.batches import SourceBatch
from ..spec_file import dump_spec, parse_spec, parse_yaml
from ..vectors.run_vectors import coverage, vectors_file
from ..vectors.vector_files import Vectors
from .boundaries import with_found_boundaries
from .cache import CountsCache
from .collisions import expected_share, measured_share
from .dates import newest_date
from .growth import Growth, grow
from .lengths import open_lengths, with_lengths
from .partitions import Partition
from .passes import times_of_all, train_sums
from .row_sums import RowSums
from .time_units import first_times, resolve_unit

_VOCABULARIES_FOLDER = "vocabularies"


@dataclass(frozen=True)
class Analysis:
    """What was learned from the train rows.

    Attributes:
        spec: The spec with a number for each `max_len`, and with the boundaries of a time split.
        known: The vocabularies, whose files are in the folder of the analysis, and the statistics of numbers.
        rows: The number of train rows.
        vocabularies: The number of distinct tokens and of tokens in each vocabulary.
        as_of: The date of the rows; None if it is not known, or without `Growth`.
    """

    spec: Spec
    known: Known
    rows: int
    vocabularies: Mapping[str, VocabularyStats]
    as_of: date | None = None


def analyze(
    spec: Spec,
    partitions: Sequence[Partition],
    folder: str,
    threads: int,
    first_rows: Iterable[SourceBatch] = (),
    cache: CountsCache | None = None,
    growth: Growth | None = None,
    vectors: Mapping[str, Vectors] | None = None,
) -> Analysis:
    """Returns the analysis of the train rows; writes vocabularies, and their counts, to `folder`.

    Args:
        spec: The spec of the rows.
        partitions: The rows; they are read once, or up to three times: for the boundaries of a time split that gives
            only shares, and for a percentile of list lengths that truncates lists.
        folder: On any file system. The counts are in its folder `vocabulary_counts`, as in a run.
        threads: The number of threads; the result does not depend on it.
        first_rows: The first rows, which show the unit of times if the spec gives the boundaries but no unit. They are
            read until one has a time.
        cache: Counts of partitions from earlier analyses, and for later ones; by default all rows are counted.
        growth: The vocabularies to extend; also writes ledgers to the folder `vocabulary_ledgers`, as in a run. Default
            None: the vocabularies follow from the rows alone.
        vectors: The pretrained vectors of each vocabulary that has some; they are written to the folder `vectors`, as
            in a run, and the spec of the result names these files and the length of the vectors.

    Raises:
        SourceError: a file cannot be read, or no row has a time.
        SpecError: the unit of times is ambiguous, or the boundaries are in another unit.
        TooManyRejected: more rows are rejected than `max_rejected`, if that is a count.
        UserError: see `Growth.check_date`.
    """
    split, times = spec.split, None
    if isinstance(split, TimeSplit):
        # A cache needs to know on which side of the boundary a partition is, growth may need the newest time.
        needs_times = split.eval_from is None or cache or (growth is not None and growth.date_of(partitions) is None)
        times = times_of_all(partitions, spec, split, threads, cache) if needs_times else None
        if split.eval_from is None and times is not None:
            split = with_found_boundaries(times, split, first_rows)
        else:
            split = split.model_copy(update={"time_unit": resolve_unit(split, first_times(first_rows, split))})
        spec = spec.model_copy(update={"split": split})
    as_of = None
    if growth is not None:
        as_of = growth.date_of(partitions)
        if as_of is None and times is not None and isinstance(split, TimeSplit):
            as_of = newest_date(times, split)
        growth.check_date(as_of, spec)
    sums = train_sums(partitions, spec, threads, cache)
    resolved = with_lengths(spec, {name: dict(enumerate(sums.lengths[name].tolist())) for name in open_lengths(spec)})
    if any(len(sums.lengths[name]) - 1 > resolved.fields[name].shape[0] for name in open_lengths(spec)):
        sums = train_sums(partitions, resolved, threads, cache)
    return _written(resolved, sums, folder, growth, as_of, vectors or {})


def _written(
    spec: Spec,
    sums: RowSums,
    folder: str,
    growth: Growth | None,
    as_of: date | None,
    vectors: Mapping[str, Vectors],
) -> Analysis:
    """Writes the files of the vocabularies, and last the rest of the result."""
    make_folder(folder)  # A spec without vocabularies needs it, too.
    settings, stats = spec.resolved_vocabularies(), {}
    retired: dict[str, list[int]] = {}
    for name in settings:
        buckets, own = settings[name].hash_buckets, vectors.get(name)
        given = own.tokens if own else None
        if buckets is not None:
            ordered = sums.tokens[name].schema.empty_table()
        elif growth is None:
            ordered = in_vocabulary(sums.tokens[name], settings[name].min_count, settings[name].top_k, given)
        else:
            ledger = growth.ledgers.get(name, LEDGER.empty_table())
            grown = grow(ledger, sums.tokens[name], settings[name], as_of, given)
            ordered, retired[name] = grown.tokens, grown.retired.tolist()
            _write(FileSystems.join(folder, LEDGERS_FOLDER), f"{name}.parquet", [grown.ledger_file()])
        if own:
            file = vectors_file(own, ordered["token"].combine_chunks(), settings[name].first_token_id)
            _write(FileSystems.join(folder, VECTORS_FOLDER), f"{name}.parquet", [file])
        _write(FileSystems.join(folder, _VOCABULARIES_FOLDER), name, vocabulary_lines(ordered))
        _write(FileSystems.join(folder, VOCABULARY_COUNTS_FOLDER), name, count_lines(ordered))
        found = sums.tokens[name]  # None of a hashed cross.
        stats[name] = VocabularyStats(
            distinct=found.num_rows,
            tokens=ordered.num_rows,
            retired=len(retired[name]) if name in retired else None,
            collisions=measured_share(found["token"], name, buckets) if buckets and found.num_rows else None,
            expected_collisions=expected_share(found.num_rows, buckets) if buckets and found.num_rows else None,
            vectors=coverage(own, found) if own else None,
        )
    in_run = {n: {"vectors": f"{VECTORS_FOLDER}/{n}.parquet", "dim": of.length} for n, of in vectors.items()}
    numbers = spec.fields_of(NumericField)
    histograms = [sums.histograms.get(name, NO_VALUES) for name in numbers]
    statistics = packed_statistics_of(sums.moments, histograms, [field.quantiles or 1 for field in numbers.values()])
    content = {
        "spec": dump_spec(with_vectors(spec, in_run)),
        "rows": sums.rows,
        "statistics": statistics.tolist(),
        "vocabularies": {name: of_name.model_dump() for name, of_name in stats.items()},
        "retired": retired,
        "as_of": as_of and as_of.isoformat(),
    }
    write_atomically(FileSystems.join(folder, ANALYSIS_FILE), json.dumps(content))
    return read_analysis(folder)


def is_complete(folder: str) -> bool:
    """Returns whether `folder` has the result of an analysis."""
    return bool(FileSystems.exists(FileSystems.join(folder, ANALYSIS_FILE)))


def read_analysis(folder: str) -> Analysis:
    """Returns the analysis that was written to a folder."""
    with FileSystems.open(FileSystems.join(folder, ANALYSIS_FILE)) as file:
        content = json.loads(file.read())
    spec = parse_spec(parse_yaml(content["spec"], folder), folder)
    paths = {name: FileSystems.join(folder, _VOCABULARIES_FOLDER, name) for name in spec.vocabulary_fields()}
    stats = {name: VocabularyStats(**of_name) for name, of_name in content["vocabularies"].items()}
    retired = {name: np.array(lines, np.int64) for name, lines in content["retired"].items() if lines}
    known = Known(paths, np.array(content["statistics"], np.float64), retired)
    as_of = content["as_of"] and date.fromisoformat(content["as_of"])
    return Analysis(spec, known, content["rows"], stats, as_of)


def _write(folder: str, name: str, lines: Iterable[bytes]) -> None:
    make_folder(folder)
    with FileSystems.create(FileSystems.join(folder, name), compression_type=CompressionTypes.UNCOMPRESSED) as file:
        for block in lines:
            file.write(block)
