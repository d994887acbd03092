"""The one exception for what a user can mend: the command line prints its text, without a traceback."""

from __future__ import annotations


class UserError(ValueError):
    """Names the thing (file, field, row), what was found, what was expected, and the next step."""
