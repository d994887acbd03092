"""What a user can mend, by kind: the command line prints the text, without a traceback, and leaves with the exit code.

docs/errors.md has an example of each, and what to do.
"""

from __future__ import annotations


class UserError(ValueError):
    """Names the thing (file, field, row), what was found, what was expected, and the next step."""

    exit_code = 2


class SpecError(UserError):
    """The spec cannot be read, or does not hold together."""


class SourceError(UserError):
    """A file of rows is not there, not what its format promises, or lacks a column."""


class SourceChanged(SourceError):
    """A file of rows is another than when the work began."""


class TooManyRejected(UserError):
    """More rows cannot be used than `max_rejected` allows."""


class EmptyTrainSplit(UserError):
    """No row is in the train split, so there is nothing to take vocabularies from."""


class TargetExists(UserError):
    """The folder to make holds something already, or another process is at work in it."""


class CannotWrite(UserError):
    """The target cannot be written to: no right to, no folder, no space."""


class CannotResume(UserError):
    """What an earlier process left belongs to other inputs than those given."""


class OutOfMemory(UserError):
    """A process had not the memory that it asked for."""


class WorkersDiffer(UserError):
    """Workers have not what the job was submitted with: no fieldpool, or other versions."""


class NoWorkers(UserError):
    """Nobody answers where workers should be."""


class JobFailed(UserError):
    """The service that jobs are given to refused one, or ended it, for a reason that is not in our code."""


class TimeLimitExceeded(UserError):
    """A job took longer than it was given, and has been cancelled."""


class CheckFailed(UserError):
    """New rows differ from a run's by more than the thresholds of its spec allow."""

    exit_code = 3
