"""`Known`: the result of an analysis, from which the transform is built without another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import basename

import numpy as np

from .spec import NumericField, Spec


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
        shape = (4 * len(numbers) + sum((numeric.buckets or 1) - 1 for numeric in numbers.values()),)
        if self.statistics.dtype != np.float64 or self.statistics.shape != shape:
            raise ValueError(
                f"known.statistics: expected float64 {list(shape)} for {len(numbers)} numeric fields, found "
                f"{self.statistics.dtype} {list(self.statistics.shape)}"
            )
