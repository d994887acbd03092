"""The result of training: history and best epoch, in memory and as `training.json`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from os.path import join

from ...transforms.runs.run import Run
from ...transforms.spec import Spec
from ..files import write_json
from .folder import MODEL_FILE, TRAINING_FILE


@dataclass(frozen=True)
class TrainingResult:
    """The result of training.

    Attributes:
        history: For each epoch `epoch` (from 1), `loss` (of train, with dropout and L2 penalty) and, unless the eval
            split is empty, `val_auc`, `val_pr_auc`, `val_logloss` and, with `evaluation.gauc_by`, `val_gauc`.
        best_epoch: The epoch whose weights the model has, counted from 1.
        monitor: The metric that selected the best epoch, such as `val_auc`; None if the eval split is empty.
        folder: The folder of the trained model.
    """

    history: list[dict[str, float]]
    best_epoch: int
    monitor: str | None
    folder: str

    @property
    def model_path(self) -> str:
        """The path of the model, for `load_model`."""
        return join(self.folder, MODEL_FILE)

    @property
    def training_path(self) -> str:
        """The path of `training.json`."""
        return join(self.folder, TRAINING_FILE)

    @property
    def best(self) -> dict[str, float]:
        """The entry of the best epoch in the history."""
        return self.history[self.best_epoch - 1]


def write_summary(result: TrainingResult, run: Run, spec: Spec) -> None:
    """Writes `training.json`: history, best epoch, settings, identity of the run, versions of Python and packages."""
    summary = {
        "run": run.path,
        "best_epoch": result.best_epoch,
        "monitor": result.monitor,
        "best": result.best,
        "history": result.history,
        "seed": spec.train.seed,
        "spec": spec.model_dump(mode="json"),
        "identity": run.identity.as_json(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("fieldpool", "keras", "tensorflow", "numpy")},
        },
    }
    write_json(result.training_path, summary)
