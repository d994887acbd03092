"""The row checks inside a Beam pipeline: the one step that every job has between reading and all else."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ...transforms.spec import Spec
from ..sources.batches import SourceBatch
from .checks import Checked, check_rows
from .rejected import RejectedLimit


class CheckRows(beam.DoFn):
    """SourceBatch, or RecordBatch with the spec's raw columns, → Checked.

    Args:
        spec: Of the rows.
        for_prediction: See `check_rows`.
        limit_rejected: Whether to stop as soon as one worker alone has rejected more rows than `max_rejected`, where
            that is a count.

    Raises:
        TooManyRejected: in a worker, with `limit_rejected`.
    """

    def __init__(self, spec: Spec, *, for_prediction: bool = False, limit_rejected: bool = True) -> None:
        self._spec, self._for_prediction, self._limit_rejected = spec, for_prediction, limit_rejected

    def setup(self) -> None:
        """Starts counting what this worker rejects."""
        self._limit = RejectedLimit(self._spec)

    def process(self, batch: SourceBatch | pa.RecordBatch) -> Iterator[Checked]:
        """Yields the checked rows of a batch."""
        if isinstance(batch, pa.RecordBatch):
            batch = SourceBatch("(rows)", np.arange(1, batch.num_rows + 1), batch)
        checked = check_rows(batch, self._spec, for_prediction=self._for_prediction)
        if self._limit_rejected:
            self._limit.add(checked.read, checked.rejected)
        yield checked
