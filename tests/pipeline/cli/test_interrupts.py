"""One ^C ends the command, whatever the command does with it. The commands here are stand-ins, in new processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import IO

import pytest

from fieldpool.transforms.process.stopping import undone, uninterrupted

# The program of the command `fieldpool`, with another module of commands.
PROGRAM = """
import sys
import fieldpool.pipeline.cli as cli
cli.__path__.insert(0, sys.argv[1])
from fieldpool.pipeline.cli.program import main
main()
"""
IMPORTS = """
import gc, hashlib, subprocess, sys, threading, time, weakref
from pathlib import Path
from fieldpool.transforms.process.stopping import undone, uninterrupted
def ready():
    print("ready", flush=True)
"""

# What a command may do when ^C comes after "ready".
COMMANDS = {
    "works": """
        ready()
        while True:
            time.sleep(0.01)
    """,
    "loses it in a destructor": """
        class Model:
            def __del__(self):
                ready()
                time.sleep(0.1)
        Model()
        while True:
            time.sleep(0.01)
    """,
    "loses it in the callback of a weak reference": """
        class Model:
            pass
        def callback(_):
            ready()
            time.sleep(0.1)
        model = Model()
        reference = weakref.ref(model, callback)
        del model
        while True:
            time.sleep(0.01)
    """,
    "loses it and ends": """
        class Model:
            def __del__(self):
                ready()
                time.sleep(0.1)
        Model()
    """,
    "replaces it by another error": """
        ready()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise SystemError("returned a result with an exception set")
    """,
    "replaces it by an error for users": """
        from fieldpool.transforms.errors import UserError
        ready()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise UserError("a worker has ended")
    """,
    "ignores it": """
        ready()
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                pass
    """,
    "is in a call that cannot be interrupted": """
        ready()
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 10**9)
    """,
    "waits for a thread that never ends": """
        threading.Thread(target=time.sleep, args=(60,)).start()
        ready()
    """,
    "has a thread that fails": """
        def fail():
            while True:
                time.sleep(0.01)
                if sys.excepthook is not sys.__excepthook__:
                    raise RuntimeError("Worker subprocess exited with return code -2")
        threading.Thread(target=fail).start()
        ready()
        time.sleep(60)
    """,
}


@pytest.fixture(autouse=True)
def _interrupts_are_not_ignored() -> Iterator[None]:
    """A shell without job control starts background jobs with ^C ignored, which their processes inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(folder: Path, body: str, *, at_import: bool = False) -> subprocess.Popen[str]:
    """Starts the command line with one command, in `folder`; returns when the command has printed "ready"."""
    code = dedent(body)
    if not at_import:
        code = "def main():\n" + "\n".join(f"    {line}" for line in code.splitlines())
    (folder / "app.py").write_text(IMPORTS + code)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert line_of(process.stdout) == "ready\n", process.communicate()
    return process


def line_of(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def press(process: subprocess.Popen[str]) -> None:
    """Presses ^C, which a terminal sends to the process and to its children."""
    os.killpg(process.pid, signal.SIGINT)


def check_stopped(process: subprocess.Popen[str]) -> None:
    """Checks that the process ends with the code and the message of ^C alone."""
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "error: stopped\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_one_interrupt_ends_a_command_that(command: str, tmp_path: Path) -> None:
    process = start(tmp_path, COMMANDS[command])
    pressed = time.monotonic()
    press(process)
    check_stopped(process)
    assert time.monotonic() - pressed < 10  # 3 s on a machine that is not busy.


def test_interrupt_during_an_import_is_not_an_import_error(tmp_path: Path) -> None:
    body = """
        ready()
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise ImportError("cannot import name 'context'")
    """
    process = start(tmp_path, body, at_import=True)
    press(process)
    check_stopped(process)


def test_interrupt_leaves_no_unfinished_output_even_if_it_is_ignored(tmp_path: Path) -> None:
    body = """
        Path("unfinished").touch()
        with undone(Path("unfinished").unlink):
            ready()
            while True:
                try:
                    time.sleep(0.1)
                except BaseException:
                    pass
    """
    process = start(tmp_path, body)
    press(process)
    check_stopped(process)
    assert not (tmp_path / "unfinished").exists()


def test_interrupt_ends_child_processes_before_it_removes_output(tmp_path: Path) -> None:
    """Here the interrupt does not end the child itself, which would print a traceback."""
    child = """
import time
print("ready", flush=True)
while True:
    open("output", "a").close()
    time.sleep(0.01)
"""
    body = f"""
        with undone(lambda: Path("output").unlink(missing_ok=True)):
            subprocess.Popen([sys.executable, "-c", {child!r}]).wait()
    """
    process = start(tmp_path, body)
    press(process)
    check_stopped(process)
    assert not (tmp_path / "output").exists()


def test_interrupt_waits_for_the_end_of_an_uninterrupted_block(tmp_path: Path) -> None:
    body = """
        with uninterrupted():
            ready()
            time.sleep(0.7)
            Path("complete").touch()
        Path("next").touch()
    """
    process = start(tmp_path, body)
    press(process)
    check_stopped(process)
    assert (tmp_path / "complete").exists()
    assert not (tmp_path / "next").exists()


def test_second_interrupt_ends_the_command_at_once(tmp_path: Path) -> None:
    body = """
        def cancel():
            ready()
            time.sleep(60)
        with undone(cancel):
            ready()
            time.sleep(60)
    """
    process = start(tmp_path, body)
    press(process)
    assert line_of(process.stdout) == "ready\n"
    press(process)
    check_stopped(process)


def test_interrupt_that_the_shell_ignores_stays_ignored(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Restored by the fixture.
    process = start(tmp_path, "ready()\ntime.sleep(0.2)")
    press(process)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("end", "code", "printed"),
    [("sys.exit(3)", 3, ""), ("sys.exit()", 0, ""), ("pass", 0, ""), ("sys.exit('bad')", 1, "bad\n")],
)
def test_command_that_is_not_interrupted_keeps_its_exit_code(tmp_path: Path, end: str, code: int, printed: str) -> None:
    process = start(tmp_path, f"ready()\n{end}")
    assert process.communicate(timeout=30) == ("", printed)
    assert process.returncode == code


def test_bug_exits_with_1_and_a_traceback(tmp_path: Path) -> None:
    process = start(tmp_path, "ready()\n1 / 0")
    assert process.communicate(timeout=30)[1].endswith("ZeroDivisionError: division by zero\n")
    assert process.returncode == 1


def test_threads_of_libraries_do_not_abort_a_process_that_ends(tmp_path: Path) -> None:
    """Arrow calls Python from a C++ thread when Python has ended. gRPC and TensorFlow do the same."""
    body = """
        import pyarrow as pa, pyarrow.csv
        class Slow:
            closed = False
            def readable(self):
                return True
            def read(self, size=-1):
                reading.set()
                time.sleep(0.5)
                return b"a"
        reading = threading.Event()
        threading.Thread(target=lambda: pa.csv.open_csv(pa.PythonFile(Slow(), "r")), daemon=True).start()
        reading.wait()
        ready()
        sys.exit(3)
    """
    process = start(tmp_path, body)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 3


def test_errors_undo_a_block_once_where_interrupts_are_not_handled() -> None:
    calls: list[str] = []
    with pytest.raises(KeyboardInterrupt), uninterrupted(), undone(lambda: calls.append("undone")):
        raise KeyboardInterrupt
    with undone(lambda: calls.append("not undone")):
        pass
    assert calls == ["undone"]
