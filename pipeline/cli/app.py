"""The list of commands, and `main`, which runs them. `program.main` is what the program `fieldpool` calls.

TensorFlow and Beam take seconds to import, so each command imports what it needs: `--help` and `schema` are immediate.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from ...transforms.errors import CannotWrite, UserError
from ...transforms.process.stopping import is_stopping
from ...transforms.writing import cannot_write
from ..terminal import console, startup
from ..terminal.interrupts import EXIT_CODE
from . import data, reports, serving, start, training, workflow
from .beam_options import CommandWithBeamOptions
from .command import Command

app = typer.Typer(
    name="fieldpool",
    help="Turns click logs with multi-valued fields into trained rankers.\n\n"
    "Start with `fieldpool demo`. For your own data: `fieldpool start` proposes a spec, a YAML file that describes the "
    "columns, and trains a first model. Edit the spec; `fieldpool explain` shows the first rows before and after the "
    "transform; `fieldpool run` transforms, trains and evaluates.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        console.say(f"fieldpool {version('fieldpool')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Declares the options of `fieldpool` itself."""


app.command(cls=Command)(data.schema)
app.command(cls=Command)(data.explain)
app.command(cls=CommandWithBeamOptions)(data.transform)
app.command(cls=Command)(training.train)
app.command(cls=Command)(training.evaluate)
app.command(cls=Command)(data.check)
app.command(cls=CommandWithBeamOptions)(workflow.run)
app.command(cls=Command)(data.inspect)
app.command(cls=Command)(serving.export)
app.command(cls=CommandWithBeamOptions)(serving.predict)
app.command(cls=CommandWithBeamOptions)(serving.verify)
app.command(cls=Command)(reports.profile)
app.command(cls=Command)(reports.report)
app.command(cls=Command)(workflow.demo)
app.command(cls=Command)(start.start)


def main() -> None:
    """Runs the command line.

    Exit codes: 0 for success; 1 for a bug in fieldpool; 2 for an error that the user can fix; 3 for new rows that
    exceed a threshold, or training-serving skew; 130 for ^C.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    startup.until_exit(startup.quiet_libraries())
    try:
        try:
            app(standalone_mode=True)
        finally:
            if sys.stdout is not None:  # None: closed, with `>&-`.
                sys.stdout.flush()
    except UserError as error:
        if is_stopping():  # An error caused by ^C; `program.main` reports it.
            raise
        console.error("\n".join([str(error), *getattr(error, "__notes__", [])]))
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == EXIT_CODE and not is_stopping():  # Typer exits with this code if a library raises for ^C.
            console.error("stopped")
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename:
            raise
        # Outputs in files raise CannotWrite, so this is standard output. What is left for it would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        console.error(str(cannot_write("standard output", error, option="")))
        sys.exit(CannotWrite.exit_code)
