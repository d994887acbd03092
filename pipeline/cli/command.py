"""A command of fieldpool: names the order of its arguments if one of them is in the wrong position."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from ...transforms.errors import UserError
from ...transforms.kinds import ORDER


class Command(TyperCommand):
    """Replaces the note on the order of arguments, which is written for Python, by the usage of this command."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            notes = getattr(error, "__notes__", [])
            if ORDER in notes:
                notes[notes.index(ORDER)] = f"Usage: {ctx.command_path} {self._arguments(ctx)}"
            raise

    def _arguments(self, ctx: typer.Context) -> str:
        """Returns the arguments in their order, and the options that are required."""
        arguments = [parameter for parameter in self.params if isinstance(parameter, TyperArgument)]
        names = [f"{argument.metavar}{'...' if argument.nargs == -1 else ''}" for argument in arguments]
        if ctx.params.get("using"):
            names[0] = "--using RUN"  # Replaces SPEC.
        required = [p.opts[0] for p in self.params if isinstance(p, TyperOption) and p.required]
        return " ".join([*names, *(f"{option} {option.removeprefix('--').upper()}" for option in required)])
