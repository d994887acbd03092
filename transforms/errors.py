"""Errors that a user can fix: the command line prints their message without a traceback and exits with `exit_code`.

They and the category of fieldpool's warnings are in this package because both `model` and `pipeline` use them.
docs/errors.md has an example of each error and warning, and says what to do.
"""

from __future__ import annotations


class FieldpoolWarning(UserWarning):
    """The category of fieldpool's warnings. The command line prints these and suppresses those of libraries."""


class UserError(ValueError):
    """Base of all errors that a user can fix. Messages say what is wrong, where, what was expected and what to do."""

    exit_code = 2


class SpecError(UserError):
    """The spec cannot be read, is not valid, or does not fit the data."""


class SourceError(UserError):
    """A source file is missing, is not valid in its format, or lacks a column."""


class SourceChanged(SourceError):
    """A source file has changed since the work began."""


class TooManyRejected(UserError):
    """More rows were rejected than `max_rejected` allows."""


class EmptyTrainSplit(UserError):
    """The train split has no rows, so there is nothing to build vocabularies from."""


class TargetExists(UserError):
    """The output folder exists and may not be replaced, or another process is writing it."""


class CannotWrite(UserError):
    """The output cannot be written, for example without permission or space on the disk."""


class Damaged(UserError):
    """A file in a run, a model or an exported model is missing, damaged or written by another program."""


class CannotResume(UserError):
    """The unfinished work of an earlier process was started from other inputs."""


class OutOfMemory(UserError):
    """A process ran out of memory."""


class WorkersDiffer(UserError):
    """Workers lack fieldpool, or run other versions than the submitter."""


class NoWorkers(UserError):
    """No worker, or no job server, answers at the given address."""


class JobFailed(UserError):
    """The job service rejected or ended a job for a reason outside fieldpool's code."""


class TimeLimitExceeded(UserError):
    """A job took longer than `--time_limit`, and was cancelled."""


class CheckFailed(UserError):
    """New rows exceed a drift threshold in the spec of the run."""

    exit_code = 3
