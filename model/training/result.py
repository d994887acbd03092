"""What comes of a training: its numbers, in memory and as `training.json`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from os.path import join

from ...transforms.spec import Spec
from ..files import write_json
from ..run import Run
from .folder import MODEL_FILE, TRAINING_FILE


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Attributes:
        history: For each epoch `epoch` (from 1), `loss` (of train, with dropout and L2 penalty), and, if
            there is an eval split, `val_auc`, `val_pr_auc`, `val_logloss` and perhaps `val_gauc` of all of it.
        best_epoch: The epoch whose weights the model has, counted from 1.
        monitor: The metric by which it is the best, `val_auc` for example; None if the eval split is empty.
        folder: Where the training wrote its files.
    """

    history: list[dict[str, float]]
    best_epoch: int
    monitor: str | None
    folder: str

    @property
    def model_path(self) -> str:
        """The model, for `load_model`."""
        return join(self.folder, MODEL_FILE)

    @property
    def training_path(self) -> str:
        """All these numbers, the spec and the versions, as JSON."""
        return join(self.folder, TRAINING_FILE)

    @property
    def best(self) -> dict[str, float]:
        """The numbers of the best epoch."""
        return self.history[self.best_epoch - 1]


def write_summary(result: TrainingResult, run: Run, spec: Spec) -> None:
    """Writes `training.json`: the numbers of a training, its settings and the versions of what it ran with."""
    summary = {
        "run": run.path,
        "best_epoch": result.best_epoch,
        "monitor": result.monitor,
        "best": result.best,
        "history": result.history,
        "seed": spec.train.seed,
        "spec": spec.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("fieldpool", "keras", "tensorflow", "numpy")},
        },
    }
    write_json(result.training_path, summary)
