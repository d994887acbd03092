"""The command line: `main`, and which commands there are.

TensorFlow and Beam take seconds to import, so each command imports what it needs itself: `--help` and
`schema` answer at once.
"""

from __future__ import annotations

import os
import sys

import typer

from ...transforms.errors import UserError
from ..terminal import console, startup
from . import data, reports, serving, training, whole_job
from .beam_options import CommandWithBeamOptions
from .command import Command

app = typer.Typer(
    name="fieldpool",
    help="Click logs with multi-valued fields to trained rankers.\n\n"
    "A spec (YAML) says what the columns are; `fieldpool run` does the rest. Start with `fieldpool demo`, look "
    "at your own data with `fieldpool explain spec.yaml data.parquet`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command(cls=Command)(data.schema)
app.command(cls=Command)(data.explain)
app.command(cls=CommandWithBeamOptions)(data.transform)
app.command(cls=Command)(training.train)
app.command(cls=Command)(training.evaluate)
app.command(cls=Command)(data.check)
app.command(cls=CommandWithBeamOptions)(whole_job.run)
app.command(cls=Command)(data.inspect)
app.command(cls=Command)(serving.export)
app.command(cls=CommandWithBeamOptions)(serving.predict)
app.command(cls=CommandWithBeamOptions)(serving.verify)
app.command(cls=Command)(reports.profile)
app.command(cls=Command)(reports.report)
app.command(cls=Command)(whole_job.demo)

_STOPPED = 130


def main() -> None:
    """Runs the command line.

    Exit codes: 0; 1 for a fault of ours; 2 for an error that the user can fix; 3 for new rows that are too far from a
    run's, or training-serving skew; 130 for ^C.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    startup.until_exit(startup.quiet_libraries())
    try:
        app(standalone_mode=True)
    except UserError as error:
        console.error("\n".join([str(error), *getattr(error, "__notes__", [])]))
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == _STOPPED:  # What typer makes of ^C.
            console.error("stopped")
        raise


if __name__ == "__main__":
    main()
