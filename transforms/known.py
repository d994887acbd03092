"""`Known`: the result of an analysis, from which the transform is built without another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from os.path import basename

import numpy as np
import pyarrow as pa

from .spec import NumericField, Spec

# The ledger of a vocabulary, one row per line of its file: the token, its id, the dates on which train first had it
# and last used it (null: not known), and whether it is retired.
LEDGER = pa.schema(
    [
        ("token", pa.large_binary()),
        ("id", pa.int64()),
        ("since", pa.date32()),
        ("until", pa.date32()),
        ("retired", pa.bool_()),
    ]
)


@dataclass(frozen=True, eq=False)
class Known:
    """The result of an analysis of the train rows; with it, `preprocessing_fn` needs no analyzers.

    Attributes:
        vocabularies: The path of each vocabulary's file, on any file system that TensorFlow supports. The file has the
            name of the vocabulary, and one token a line, in the order of ids; each line ends with a line feed.
        statistics: float64 `[4 · fields + boundaries]`: what `numeric_statistics.Summary.extract_output` returns for
            the numeric fields, in the order of the spec.
        retired: For some vocabularies line numbers, int64, from 0: their tokens keep their ids, but are looked up like
            unknown tokens.
    """

    vocabularies: Mapping[str, str]
    statistics: np.ndarray
    retired: Mapping[str, np.ndarray] = field(default_factory=dict)

    def check(self, spec: Spec) -> None:
        """Raises ValueError if vocabularies or statistics are not those of the spec."""
        names = list(spec.vocabulary_fields())
        wrong = [name for name in names if basename(self.vocabularies.get(name, "")) != name]
        if wrong:
            raise ValueError(
                f"known.vocabularies: expected a file named after the vocabulary for each of {', '.join(names)}; "
                f"found for {', '.join(wrong)}: {', '.join(str(self.vocabularies.get(name)) for name in wrong)}"
            )
        numbers = spec.fields_of(NumericField)
        shape = (4 * len(numbers) + sum((numeric.quantiles or 1) - 1 for numeric in numbers.values()),)
        if self.statistics.dtype != np.float64 or self.statistics.shape != shape:
            raise ValueError(
                f"known.statistics: expected float64 {list(shape)} for {len(numbers)} numeric fields, found "
                f"{self.statistics.dtype} {list(self.statistics.shape)}"
            )


def ledger_of(tokens: pa.Array | pa.ChunkedArray, first_id: int, used: date | None) -> pa.Table:
    """Returns the ledger of tokens that are all used on one date.

    Args:
        tokens: The tokens, in the order of their ids.
        first_id: The id of the first one.
        used: The date; None: it is not known.
    """
    dates = pa.repeat(pa.scalar(used, pa.date32()), len(tokens))
    ids = pa.array(np.arange(first_id, first_id + len(tokens)), pa.int64())
    return pa.table([tokens, ids, dates, dates, pa.repeat(False, len(tokens))], schema=LEDGER)
