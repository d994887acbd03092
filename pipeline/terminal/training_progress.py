"""A progress bar for training: epoch, examples, examples per second."""

from __future__ import annotations

import math
import sys
from types import TracebackType
from typing import Any

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...model.training.rounds import Rounds
from ...transforms.spec import Train
from .console import err


class TrainingProgress(keras.callbacks.Callback):
    """Shows the progress of each epoch; a context manager, which removes the bar at the end."""

    def __init__(self, examples: int, settings: Train) -> None:
        super().__init__()
        self._batch_size = settings.batch_size
        rounds = Rounds(math.ceil(examples / settings.batch_size), settings.epochs, settings.eval_steps)
        self._epochs = rounds.count
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            console=err,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task(
            "Reading", total=min(examples, rounds.steps * settings.batch_size), speed=""
        )

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restarts the bar."""
        self._progress.reset(self._task, description=f"Epoch {epoch + 1} of at most {self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Advances the bar to the end of a batch; several steps may have been one call."""
        task = self._progress.tasks[self._task]
        speed = f"{task.speed:,.0f} examples/s" if task.speed else ""
        completed = min((batch + 1) * self._batch_size, task.total or 0)  # Keras may count beyond the last step.
        self._progress.update(self._task, completed=completed, speed=speed)

    @property
    def examples(self) -> int:
        """The number of examples of the epoch that the bar shows as done."""
        return int(self._progress.tasks[self._task].completed)
