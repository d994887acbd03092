"""Rounds between evaluations: `fit` is called for every step once, in order, from any point."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fieldpool.model.training.rounds import Rounds

SMALL = st.integers(1, 12)


def steps_of(rounds: Rounds, first: int, done: int) -> list[tuple[int, int, int]]:
    """Returns the round, epoch and batch of each step, as `fit` counts them."""
    steps = []
    for fit in rounds.fits(first, done):
        batch = fit.epoch * rounds.steps_of_epoch + fit.skip
        for number in range(fit.first, fit.last):
            for _ in range(fit.steps):
                steps.append((number, *divmod(batch, rounds.steps_of_epoch)))
                batch += 1
    return steps


@given(steps=SMALL, epochs=SMALL, eval_steps=st.none() | st.integers(1, 30), data=st.data())
def test_every_step_is_trained_once(steps: int, epochs: int, eval_steps: int | None, data: st.DataObject) -> None:
    rounds = Rounds(steps, epochs, eval_steps)
    length = eval_steps or steps
    expected = [(step // length, *divmod(step, steps)) for step in range(steps * epochs)]
    assert steps_of(rounds, 0, 0) == expected
    assert rounds.count == expected[-1][0] + 1
    start = data.draw(st.integers(0, len(expected) - 1))
    assert steps_of(rounds, *divmod(start, length)) == expected[start:]
