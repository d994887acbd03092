"""DeepCTR's DeepFM with Adam and `model.fit`, as in its example with multi-valued input.

https://deepctr-doc.readthedocs.io/en/latest/Examples.html#multi-value-input-movielens
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from deepctr.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
from deepctr.models import DeepFM

from ..batches import batches
from ..task import Settings, Task, main


class DeepCTR:
    """See `task.System`."""

    def __init__(self, task: Task, settings: Settings) -> None:
        seed = settings.seed or 0
        tf.keras.utils.set_random_seed(seed)
        columns = feature_columns(task)
        self.model = DeepFM(
            columns,
            columns,
            dnn_hidden_units=task.hidden_units,
            l2_reg_linear=task.l2,
            l2_reg_embedding=task.l2,
            dnn_dropout=task.dropout,
            seed=seed,
        )
        self.model.compile(
            tf.keras.optimizers.Adam(task.learning_rate),
            "binary_crossentropy",
            steps_per_execution=settings.steps_of_call,
        )
        self.dataset = batches(task, settings)

    def epoch(self) -> None:
        """See `task.System`."""
        self.model.fit(self.dataset, verbose=0)

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """See `task.System`."""
        return self.model.predict(features, batch_size=4096)[:, 0]


def feature_columns(task: Task) -> list[Any]:
    """Returns the fields as DeepCTR's feature columns; fields with the same table share its embedding."""
    columns: list[Any] = []
    for name, field in task.fields.items():
        column = SparseFeat(name, task.tables[field.table], task.dim, embedding_name=field.table)
        columns.append(VarLenSparseFeat(column, field.max_len, "mean") if field.max_len else column)
    return columns + [DenseFeat(name, 1) for name in task.numeric]


if __name__ == "__main__":
    main(DeepCTR, ["deepctr", "tensorflow-cpu", "numpy"])
