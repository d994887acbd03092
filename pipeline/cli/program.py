"""The program `fieldpool`: handles ^C before it imports the rest of the command line, which takes a while."""

from __future__ import annotations

import signal


def main() -> None:
    """Runs the command line, as `app.main` does; once ^C was pressed, every result or error ends in exit code 130."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ends the process without a traceback, until `install`.
    from ..terminal import interrupts

    interrupts.install()
    code: object = 1
    try:
        from . import app

        app.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
        raise
    finally:
        interrupts.finish(code if isinstance(code, int) else 1)
