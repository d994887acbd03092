"""`fieldpool.model.run.Run`: the reader of a run. It is in `transforms.runs`, which loads without Keras."""

from ..transforms.runs.run import Run

__all__ = ["Run"]
