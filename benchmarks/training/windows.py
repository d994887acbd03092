"""Systems that train in turn, in short windows, so that a slow period of the machine affects all of them.

Each system is a process that stays alive. It trains for one window, an epoch of a few steps, whenever it is asked to,
while all others wait. Windows in which other programs used the processors are left out: see `CLEAN`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

# The most that other programs may use in a window, as a share of one processor.
CLEAN = 0.1
_STAT = Path("/proc/stat")
_JIFFIES_PER_SECOND = 100

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Window:
    """A window of a system.

    Attributes:
        rate: Examples per second.
        cpu: Processor seconds of all threads, per 1,000 examples.
        foreign: The processors that other programs used meanwhile; 0 where the system does not tell.
    """

    rate: float
    cpu: float
    foreign: float


class Trainee:
    """A process that trains for a window when asked; `serve` is its other end.

    Args:
        command: The command of the process.
        folder: The folder to run it in.
        environment: Its environment.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # The first answer: that it is ready or, if it does not train in windows, its result.
        self.report = self._answer()

    def window(self) -> Window:
        """Lets the process train for a window."""
        busy, started = _busy_seconds(), time.perf_counter()
        answer = self._ask("window")
        seconds = time.perf_counter() - started
        foreign = 0.0 if busy is None else max(0.0, ((_busy_seconds() or 0.0) - busy - answer["cpu"]) / seconds)
        examples = answer["examples"]
        return Window(examples / answer["seconds"], 1000 * answer["cpu"] / examples, foreign)

    def end(self) -> dict[str, Any]:
        """Ends the process; returns its report."""
        report = self._ask("end")
        self._process.wait()
        return report

    def _ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(_MARK):  # Libraries print other lines.
                answer: dict[str, Any] = json.loads(line.removeprefix(_MARK))
                return answer
        self._process.wait()
        sys.exit(f"{' '.join(self._command)} failed: exit status {self._process.returncode}")


_MARK = "trainee: "


def answer(**values: Any) -> None:
    """Prints the answer of a `Trainee`'s process."""
    print(f"{_MARK}{json.dumps(values)}", flush=True)


@dataclass
class Measured:
    """The windows of a system."""

    clean: list[Window] = field(default_factory=list)
    noisy: list[Window] = field(default_factory=list)

    def add(self, window: Window) -> None:
        """Adds a window."""
        (self.clean if window.foreign <= CLEAN else self.noisy).append(window)

    @property
    def windows(self) -> list[Window]:
        """The clean windows or, if there are fewer than three, all of them."""
        return self.clean if len(self.clean) >= 3 else [*self.clean, *self.noisy]

    @property
    def rate(self) -> float:
        """The median of the windows' examples per second."""
        return statistics.median(window.rate for window in self.windows)

    @property
    def cpu(self) -> float:
        """The median of the windows' processor seconds per 1,000 examples."""
        return statistics.median(window.cpu for window in self.windows)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile of the windows' examples per second."""
        rates = [window.rate for window in self.windows]
        low, _, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else (rates[0],) * 3
        return low, high


def measure(trainees: Mapping[Name, Trainee], windows: int, rounds: int) -> dict[Name, Measured]:
    """Lets the trainees train in turn until each has `windows` clean windows, for at most so many rounds."""
    measured = {name: Measured() for name in trainees}
    for _ in range(rounds):
        if all(len(of.clean) >= windows for of in measured.values()):
            break
        for name, trainee in trainees.items():
            measured[name].add(trainee.window())
    return measured


def _busy_seconds() -> float | None:
    """Returns the processor seconds that this machine, or another on its processors, has used; None if unknown."""
    if not _STAT.exists():
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, _STAT.read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _JIFFIES_PER_SECOND
