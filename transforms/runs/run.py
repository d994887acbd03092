"""Reads a run directory: the resolved spec, the counts, the shards of each split, the vocabularies.

The files have formats that other programs can read, too: YAML, JSON, TFRecord and text. Paths may be on any file system
that TensorFlow supports, such as gs://. TensorFlow is imported only for these, and for the transform of a run.
"""

from __future__ import annotations

import json
import math
from fnmatch import fnmatch
from functools import cached_property
from os.path import join
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from ..errors import UserError
from ..kinds import check_cloud_access, names_in
from ..known import LEDGER, ledger_of
from ..run_files import (
    ASSETS_FOLDER,
    EXAMPLES_FOLDER,
    LEDGERS_FOLDER,
    SPEC_FILE,
    STATS_FILE,
    TRANSFORM_FN_FOLDER,
    TRANSFORM_FOLDER,
    VOCABULARY_COUNTS_FOLDER,
    NotARun,
    check_is_run,
)
from ..spec import Spec
from .damage import reading
from .files import exists, opened
from .run_stats import Ancestor, RunStats
from .vectors import read_vectors

if TYPE_CHECKING:
    from .identity import Identity


class Run:
    """A finished run directory, opened for reading.

    Raises:
        NotARun: if `path` has no `DONE` file: it is not a run, or the pipeline has not finished it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        check_cloud_access(path)
        check_is_run(path)

    def __fspath__(self) -> str:
        return self.path

    @cached_property
    def spec(self) -> Spec:
        """The resolved spec: every `max_len` is a number.

        Raises:
            NotARun: it is not valid: another version of fieldpool wrote it, for example.
        """
        return read_resolved_spec(join(self.path, SPEC_FILE))

    @property
    def has_stats(self) -> bool:
        """Whether the run has counts. fieldpool always writes them; another program that creates a run may not."""
        return exists(join(self.path, STATS_FILE))

    @cached_property
    def stats(self) -> RunStats:
        """The counts of the run: rows by split, and what each field holds.

        Raises:
            NotARun: the run has no counts, because another program created it; or another version wrote them.
            Damaged: the file is truncated or unreadable.
        """
        if not self.has_stats:
            raise NotARun(
                f"{self.path}: has no {STATS_FILE}, which is required here; create the run with `fieldpool transform`"
            )
        path = join(self.path, STATS_FILE)
        with reading(path, "transform"), opened(path) as file:
            content = json.loads(file.read())
        try:
            return RunStats.model_validate(content)
        except ValidationError as error:
            raise NotARun(_not_of_this_version(path, error)) from None

    @property
    def logit_offset(self) -> float:
        """ln(w), w being the share of the negative train rows that `sample` has kept; 0 without `sample`.

        A model of the train rows gives logits that are too high by −ln(w) for rows of which all negatives are kept.
        """
        if self.spec.sample is None:
            return 0.0
        return math.log(self.stats.negatives_kept if self.has_stats else self.spec.sample.negatives)

    def shards(self, split: str) -> list[str]:
        """Returns the TFRecord files of `split` ("train", "eval" or "test"), sorted by name."""
        folder, pattern = join(self.path, EXAMPLES_FOLDER), f"{split}-*.tfrecord.gz"
        return sorted(join(folder, name) for name in names_in(folder) if fnmatch(name, pattern))

    def vocabulary_path(self, vocabulary: str) -> str:
        """Returns the asset file with the tokens of `vocabulary`: one token per line, in the order of their ids."""
        return join(self.path, ASSETS_FOLDER, vocabulary)

    def tokens(self, vocabulary: str) -> list[bytes]:
        """Returns the tokens of `vocabulary`; the first has the id `first_token_id`.

        Raises:
            Damaged: the file cannot be read, or does not have the number of tokens that the run's counts have.
        """
        path = self.vocabulary_path(vocabulary)
        with reading(path, "transform"), opened(path) as file:
            *tokens, rest = file.read().split(b"\n")
        counted = self.stats.vocabularies.get(vocabulary) if self.has_stats else None
        with reading(path, "transform"):
            if rest:
                raise ValueError("the last line is truncated")
            if counted and counted.tokens != len(tokens):
                raise ValueError(f"expected {counted.tokens:,} tokens, found {len(tokens):,}")
        return tokens

    def vocabulary(self, name: str) -> pa.Table:
        """Returns a vocabulary as a table: `token` (string), `id` (int64) and `count` (int64), by ascending id.

        `count` is the number of occurrences in the train split, before `min_count` and `top_k`; 0 for a token of an
        older run (`--grow`) that train does not have; null if the run has no counts, because another program created
        it. Padding (0) and OOV buckets have no row. Bytes of a token that are
        not valid UTF-8 are shown as `\\xff`; `tokens` has the bytes.

        Args:
            name: The name of a vocabulary, or of a field that uses one.

        Raises:
            UserError: there is no such vocabulary or field.
        """
        vocabularies = self.spec.resolved_vocabularies()
        field = self.spec.fields.get(name)
        if name not in vocabularies and field is not None and field.has_vocabulary:
            name = self.spec.vocabulary_of(name)
        if name not in vocabularies:
            known = ", ".join(vocabularies) or "none"
            raise UserError(f"{self.path}: expected a vocabulary of this run ({known}), found {name!r}")
        tokens = [token.decode("utf-8", "backslashreplace") for token in self.tokens(name)]
        first = vocabularies[name].first_token_id
        ids = pa.array(range(first, first + len(tokens)), pa.int64())
        return pa.table({"token": pa.array(tokens, pa.string()), "id": ids, "count": self._counts(name, len(tokens))})

    def _counts(self, name: str, tokens: int) -> pa.Array:
        path = join(self.path, VOCABULARY_COUNTS_FOLDER, name)
        if not exists(path):
            return pa.nulls(tokens, pa.int64())
        with opened(path) as file:
            return pa.array(map(int, file.read().splitlines()), pa.int64())

    def ledger(self, vocabulary: str) -> pa.Table:
        """Returns the ledger of a vocabulary: one row per token, by ascending id, with the columns of `LEDGER`.

        These are `token` (large_binary), `id` (int64), `since` and `until` (date32: the date of the first run with the
        token, and of the last run whose train rows use it; null if it is not known), and `retired` (bool). A run that
        was created without `--grow`, `--as-of` and `retire_after` has no file; all its dates are null.

        Raises:
            Damaged: the file cannot be read, or is not that of the vocabulary.
        """
        first = self.spec.resolved_vocabularies()[vocabulary].first_token_id
        tokens = pa.array(self.tokens(vocabulary), pa.large_binary())
        path = join(self.path, LEDGERS_FOLDER, f"{vocabulary}.parquet")
        counted = self.stats.vocabularies[vocabulary] if self.has_stats else None
        if counted is None or counted.retired is None:
            return ledger_of(tokens, first, None)
        with reading(path, "transform"):
            with opened(path) as file:
                ledger = pq.read_table(pa.BufferReader(file.read())).cast(LEDGER).combine_chunks()
            if not ledger["token"].combine_chunks().equals(tokens):
                raise ValueError("its tokens are not those of the vocabulary")
            if pc.sum(ledger["retired"], min_count=0).as_py() != counted.retired:
                raise ValueError(f"expected {counted.retired:,} retired tokens")
        return ledger

    def retired(self) -> dict[str, np.ndarray]:
        """Returns the lines of retired tokens, int64, from 0, of each vocabulary that has some."""
        names = [name for name, of_name in self.stats.vocabularies.items() if of_name.retired] if self.has_stats else []
        return {name: np.flatnonzero(np.asarray(self.ledger(name)["retired"])) for name in names}

    def vectors(self, vocabulary: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the pretrained vectors of a vocabulary: ids, int64 `[n]`, and vectors, float32 `[n, length]`.

        None without `vectors` in the spec. Tokens without a vector are not among the ids.

        Raises:
            Damaged: the file cannot be read, or is not that of the vocabulary.
        """
        settings = self.spec.resolved_vocabularies()[vocabulary]
        if settings.vectors is None:
            return None
        path = join(self.path, settings.vectors)
        with reading(path, "transform"), opened(path) as file:
            return read_vectors(file.read(), pa.array(self.tokens(vocabulary), pa.large_binary()), settings)

    @cached_property
    def vocabulary_sizes(self) -> dict[str, int]:
        """Rows of each vocabulary's embedding table: padding, the OOV buckets, and the tokens."""
        return {
            name: settings.table_rows(len(self.tokens(name)))
            for name, settings in self.spec.resolved_vocabularies().items()
        }

    @cached_property
    def transform_folder(self) -> str:
        """The folder of the transform, for TensorFlow Transform.

        Raises:
            Damaged: its graph or a vocabulary is missing or damaged. TensorFlow would report it late, or never.
        """
        from .identity import read_saved_model  # Imports TensorFlow.

        folder = join(self.path, TRANSFORM_FN_FOLDER)
        with reading(folder, "transform"):
            read_saved_model(join(folder, "saved_model.pb"))
            for name in self.spec.resolved_vocabularies():
                self.tokens(name)
        return join(self.path, TRANSFORM_FOLDER)

    @cached_property
    def identity(self) -> Identity:
        """The meaning of the ids and numbers of the run; equal for all runs that were created with `--using` it."""
        from .identity import read_identity  # Imports TensorFlow.

        folder = join(self.path, TRANSFORM_FN_FOLDER)
        with reading(folder, "transform"):
            return read_identity(self.spec, folder, self.retired())

    def extended(self, identity: Identity) -> Ancestor | None:
        """Returns the older run with the vocabularies of `identity` that this run extends; None if there is none.

        Args:
            identity: That of a model, for example.
        """
        older = (self.stats.extends if self.has_stats else None) or []
        of_identity = identity.vocabularies_sha256
        return next((run for run in reversed(older) if run.vocabularies == of_identity), None)


def read_resolved_spec(path: str) -> Spec:
    """Returns the spec in a run or an exported model.

    Raises:
        NotARun: it is not valid: another version of fieldpool wrote it, for example.
    """
    with reading(path, "transform"), opened(path) as file:
        content = yaml.safe_load(file.read())
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        raise NotARun(_not_of_this_version(path, error)) from None


def _not_of_this_version(path: str, error: ValidationError) -> str:
    first = error.errors()[0]
    entry, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    return (
        f"{path}: not written by this version of fieldpool ({entry}: {message}); create the run again with "
        "`fieldpool transform`, and train and export again"
    )
