"""Growth of a vocabulary: ids never move, new tokens are appended, tokens that are no longer used are retired.

The ledger of a vocabulary is a table with one row per line of its file. A retired token keeps its line, but is looked
up like an unknown one, until it is used again.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...transforms.errors import UserError
from ...transforms.known import LEDGER, ledger_of
from ...transforms.spec import Spec, Vocabulary
from ...transforms.sums.token_counts import counted, in_vocabulary
from .dates import newest_folder_date
from .partitions import Partition


@dataclass(frozen=True, eq=False)
class Growth:
    """What the vocabularies of a run follow from, besides its rows.

    Attributes:
        older: The older run that they extend; None for a first run, which only gets ledgers.
        ledgers: The ledgers of the older run's vocabularies, by name.
        older_date: The date of the older run's rows, if known.
        as_of: The date of the rows; None: that of the newest partition folder or time, if they have one.
    """

    older: str | None = None
    ledgers: Mapping[str, pa.Table] = field(default_factory=dict)
    older_date: date | None = None
    as_of: date | None = None

    def date_of(self, partitions: Iterable[Partition]) -> date | None:
        """Returns the date of the rows: the given one, or that of the newest partition folder; None without one."""
        return self.as_of or newest_folder_date(partition.name for partition in partitions)

    def check_date(self, found: date | None, spec: Spec) -> None:
        """Checks the date of the rows.

        Raises:
            UserError: it is not known, and tokens are to be retired; or it is before that of the older run.
        """
        retiring = [name for name, settings in spec.resolved_vocabularies().items() if settings.retire_after]
        if self.older is not None and found is None and retiring:
            raise UserError(
                f"--grow {self.older}: expected the date of the rows, from which `retire_after` of the vocabulary "
                f"{retiring[0]} is counted; found none, neither in a folder such as dt=2026-11-28 nor in the times of "
                "a time split. State it: --as-of 2026-11-28"
            )
        if self.older_date is not None and found is not None and found < self.older_date:
            raise UserError(
                f"--grow {self.older}: its rows are of {self.older_date}, and those of the new run of {found}; "
                "expected the same date or a later one. Grow runs in the order of their dates, or state --as-of"
            )


@dataclass(frozen=True, eq=False)
class Grown:
    """A vocabulary after growth.

    Attributes:
        tokens: One row per line: `token` (large_binary) and `count` (int64), its occurrences in train; 0 for tokens
            that train does not have.
        ledger: One row per line, with the columns of `LEDGER`.
    """

    tokens: pa.Table
    ledger: pa.Table

    @property
    def retired(self) -> np.ndarray:
        """The lines of retired tokens, int64, from 0."""
        return np.flatnonzero(np.asarray(self.ledger["retired"]))

    def ledger_file(self) -> bytes:
        """Returns the content of the Parquet file of the ledger."""
        with io.BytesIO() as file:
            pq.write_table(self.ledger, file)
            return file.getvalue()


def grow(
    ledger: pa.Table, counts: pa.Table, settings: Vocabulary, as_of: date | None, given: pa.Array | None = None
) -> Grown:
    """Returns the vocabulary that extends another one: every token of it keeps its line and its id.

    - A token that train has is *used*; a retired one only if train has it at least `min_count` times. It then comes
      back.
    - A token that has not been used for `retire_after` is retired. Without this setting, no token is.
    - Then tokens that are new in train and have `min_count` are appended, most frequent first, ties by bytes. `top_k`
      limits them, and only them: they fill the places that tokens which are not retired leave free.
    - Given tokens count as used, are appended whatever their count, and do not count for `top_k`.

    Without older tokens, the result is the vocabulary that `packed_vocabularies` makes of the counts.

    Args:
        ledger: That of the older vocabulary: the columns of `LEDGER`, in the order of its lines.
        counts: The distinct tokens of train in any order: `token` (large_binary) and `count` (int64, 1 or more).
        settings: The settings of the new vocabulary, with the `num_oov_buckets` of the older one.
        as_of: The date of the rows, from which the time is counted; None if it is not known: no token is retired.
        given: Tokens that are in the vocabulary in any case, as in `in_vocabulary`. Default: none.
    """
    retires_after = None if as_of is None else settings.retires_after
    ledger, counts = ledger.combine_chunks(), counts.combine_chunks()
    lines = counted(ledger["token"], counts)
    is_given = pc.is_in(ledger["token"], value_set=pa.array([], pa.large_binary()) if given is None else given)
    was_retired, today = ledger["retired"], pa.scalar(as_of, pa.date32())
    is_used = pc.or_(is_given, pc.greater_equal(lines["count"], pc.if_else(was_retired, settings.min_count, 1)))
    # A token whose last use is not known counts as used on the first date that is.
    until = pc.coalesce(pc.if_else(is_used, pc.max_element_wise(ledger["until"], today), ledger["until"]), today)
    retired = pc.and_(was_retired, pc.invert(is_used))
    if retires_after is not None:
        retired = pc.or_(retired, pc.greater_equal(pc.subtract(today, until), pa.scalar(retires_after)))
    older = ledger.set_column(3, LEDGER.field("until"), until).set_column(4, LEDGER.field("retired"), retired)

    is_older = pc.is_in(counts["token"], value_set=ledger["token"])
    active = ledger.num_rows - pc.sum(pc.or_(retired, is_given), min_count=0).as_py()
    places = None if settings.top_k is None else max(0, settings.top_k - active)
    new_given = given if given is None else given.filter(pc.invert(pc.is_in(given, value_set=ledger["token"])))
    new = in_vocabulary(counts.filter(pc.invert(is_older)), settings.min_count, places, new_given)
    appended = ledger_of(new["token"], settings.first_token_id + ledger.num_rows, as_of)
    return Grown(pa.concat_tables([lines, new]), pa.concat_tables([older, appended]))
