"""Divides a training into rounds: the steps between two evaluations. Keras, and the history, call a round an epoch."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple


class Fit(NamedTuple):
    """A call of `fit`.

    Attributes:
        first: The number of rounds before it.
        last: The number of rounds after it.
        steps: The steps of each of its rounds.
        epoch: The epoch, a pass over the train split, in which it starts, from 0.
        skip: The number of batches of that epoch before it.
    """

    first: int
    last: int
    steps: int
    epoch: int
    skip: int


@dataclass(frozen=True)
class Rounds:
    """The rounds of a training.

    Attributes:
        steps_of_epoch: The steps of a pass over the train split.
        epochs: The number of passes.
        eval_steps: The steps of a round, of which the last one may have fewer; None: a round is an epoch.

    Example:
        >>> Rounds(steps_of_epoch=10, epochs=2, eval_steps=8).count
        3
        >>> for fit in Rounds(steps_of_epoch=10, epochs=2, eval_steps=8).fits(0, 0): print(fit)
        Fit(first=0, last=2, steps=8, epoch=0, skip=0)
        Fit(first=2, last=3, steps=4, epoch=1, skip=6)
    """

    steps_of_epoch: int
    epochs: int
    eval_steps: int | None = None

    @property
    def steps(self) -> int:
        """The steps of a round."""
        return self.eval_steps or self.steps_of_epoch

    @property
    def count(self) -> int:
        """The number of rounds."""
        return math.ceil(self.steps_of_epoch * self.epochs / self.steps)

    def fits(self, first: int, done: int) -> list[Fit]:
        """Returns the calls of `fit` for the rest of a training, which all have the same number of steps a round.

        Args:
            first: The number of complete rounds.
            done: The number of steps of the next round that are done.
        """
        total = self.steps_of_epoch * self.epochs
        complete = max(first, total // self.steps)
        bounds = sorted({first, first + (1 if done else 0), complete, self.count})
        fits = []
        for start, end in itertools.pairwise(bounds):
            before = done if start == first else 0
            epoch, skip = divmod(start * self.steps + before, self.steps_of_epoch)
            fits.append(Fit(start, end, min(self.steps, total - start * self.steps) - before, epoch, skip))
        return fits
