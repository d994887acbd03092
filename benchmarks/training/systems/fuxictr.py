"""FuxiCTR's DeepFM (its blocks, combined as in its model zoo) with Adam and its `train_step`.

https://github.com/reczoo/FuxiCTR/tree/main/model_zoo/DeepFM
"""

from __future__ import annotations

import os
import tempfile

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel

from ..task import Rows, Settings, Task, main


class DeepFM(BaseModel):
    """The model of FuxiCTR's model zoo, which is not part of its package."""

    def __init__(self, features: FeatureMap, task: Task) -> None:
        super().__init__(
            features,
            embedding_regularizer=task.l2 or None,
            verbose=0,
            model_root=tempfile.mkdtemp(),
            metrics=["AUC"],
        )
        self.embedding_layer = FeatureEmbedding(features, task.dim)
        self.fm = FactorizationMachine(features)
        self.mlp = MLP_Block(
            input_dim=features.sum_emb_out_dim(),
            output_dim=1,
            hidden_units=task.hidden_units,
            hidden_activations="relu",
            output_activation=None,
            dropout_rates=task.dropout,
        )
        self.compile("adam", "binary_crossentropy", task.learning_rate)
        self.reset_parameters()
        for name, table in self.fm.lr_layer.embedding_layer.embedding_layer.embedding_layers.items():
            # These linear weights are not shared, but `reset_parameters` skips them, which leaves N(0, 1).
            if "share_embedding" in features.features[name]:
                torch.nn.init.normal_(table.weight[1:].detach(), std=1e-4)
        self._max_gradient_norm = 10.0  # The default of `fit`.

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Returns the probabilities, `[batch, 1]`."""
        features = self.get_inputs(inputs)
        m = self.embedding_layer(features)
        return {"y_pred": self.output_activation(self.fm(features, m) + self.mlp(m.flatten(start_dim=1)))}


class FuxiCTR:
    """See `task.System`."""

    def __init__(self, task: Task, settings: Settings) -> None:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.manual_seed(settings.seed or 0)
        self.task, self.settings = task, settings
        self.model = DeepFM(feature_map(task), task)
        self.batches = [] if settings.seed is not None else [tensors(rows) for rows in task.batches()]
        self.rows = tensors(task.splits["train"]) if settings.seed is not None else {}

    def epoch(self) -> None:
        """See `task.System`."""
        self.model.train()
        for batch in self.shuffled() if self.rows else self.batches:
            self.model.train_step(batch)

    def shuffled(self) -> list[dict[str, torch.Tensor]]:
        """Returns the train rows in batches, in a random order."""
        order = torch.randperm(len(self.rows["label"])).split(self.task.batch_size)
        return [{name: x[rows] for name, x in self.rows.items()} for rows in order]

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """See `task.System`."""
        rows = tensors((features, np.zeros(len(next(iter(features.values()))), np.float32)))
        return self.model.predict([rows])


def tensors(rows: Rows) -> dict[str, torch.Tensor]:
    """Returns the rows in the form of FuxiCTR's data loaders."""
    features, label = rows
    arrays = {**features, "label": label}
    return {n: torch.from_numpy(x.astype(np.int64) if x.dtype == np.int32 else x) for n, x in arrays.items()}


def feature_map(task: Task) -> FeatureMap:
    """Returns the fields as FuxiCTR's feature map; fields with the same table share the embedding of the first one."""
    result = FeatureMap("task", tempfile.mkdtemp())
    result.labels, result.default_emb_dim = ["label"], task.dim
    first: dict[str, str] = {}
    for name, field in task.fields.items():
        feature = {"type": "categorical", "source": "", "vocab_size": task.tables[field.table], "padding_idx": 0}
        if field.max_len:
            pooling = {"max_len": field.max_len, "feature_encoder": "layers.MaskedAveragePooling()"}
            feature.update(pooling, type="sequence")
        if field.table in first:
            feature["share_embedding"] = first[field.table]
        first.setdefault(field.table, name)
        result.features[name] = feature
    for name in task.numeric:
        result.features[name] = {"type": "numeric", "source": ""}
    result.num_fields = result.get_num_fields()
    result.set_column_index()
    return result


if __name__ == "__main__":
    main(FuxiCTR, ["fuxictr", "torch"])
