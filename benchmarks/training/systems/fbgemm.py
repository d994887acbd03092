"""A DeepFM on FBGEMM's table-batched embeddings, which TorchRec's fused collections are made of, on CPU.

One operator looks up and pools all tables; row-wise Adagrad is fused into its backward pass. Bags have no padding
(values and offsets, prepared in advance). A row of a table has the vector and the linear weight.
"""

from __future__ import annotations

import os

import fbgemm_gpu  # noqa: F401 (loads the operators)
import numpy as np
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen
from torch import nn

from ..task import Settings, Task, main

# The values of all bags, and the offset of each bag, int64.
Bags = tuple[torch.Tensor, torch.Tensor]


class DeepFM(nn.Module):
    """FM and MLP over the pooled vectors of the operator."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.fields, self.dim = len(task.fields), task.dim
        # The operator needs a multiple of four: the vector, the linear weight, and three unused numbers.
        self.width = task.dim + 4
        tables = list(task.tables)
        self.tables = SplitTableBatchedEmbeddingBagsCodegen(
            [(rows, self.width, EmbeddingLocation.HOST, ComputeDevice.CPU) for rows in task.tables.values()],
            feature_table_map=[tables.index(field.table) for field in task.fields.values()],
            optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
            learning_rate=0.01,
            pooling_mode=PoolingMode.MEAN,
            device=torch.device("cpu"),
        )
        for table in self.tables.split_embedding_weights():
            nn.init.normal_(table, std=1e-4)
        layers: list[nn.Module] = []
        units = self.fields * task.dim
        for size in task.hidden_units:
            layers += [nn.Linear(units, size), nn.ReLU()]
            units = size
        self.mlp = nn.Sequential(*layers, nn.Linear(units, 1))

    def forward(self, values: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Returns logits, `[batch]`."""
        rows = self.tables(values, offsets).view(-1, self.fields, self.width)
        m, linear = rows[:, :, : self.dim], rows[:, :, self.dim]
        fm = 0.5 * (m.sum(1).square() - m.square().sum(1)).sum(1)
        return linear.sum(1) + fm + self.mlp(m.reshape(-1, self.fields * self.dim)).squeeze(1)


class Fbgemm:
    """See `task.System`."""

    def __init__(self, task: Task, settings: Settings) -> None:
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.manual_seed(settings.seed or 0)
        self.fields = list(task.fields)
        self.model = DeepFM(task)
        self.optimizer = torch.optim.Adagrad(self.model.mlp.parameters(), lr=0.01, fused=True)
        self.batches = [(*self.bags(features), torch.from_numpy(label)) for features, label in task.batches()]

    def bags(self, features: dict[str, np.ndarray]) -> Bags:
        """Returns the values of all bags without padding, field by field, and the offset of each bag."""
        values, lengths = [], []
        for name in self.fields:
            ids = features[name].reshape(len(features[name]), -1)
            values.append(ids[ids != 0])
            lengths.append((ids != 0).sum(1))
        offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return torch.from_numpy(np.concatenate(values)).long(), torch.from_numpy(offsets).long()

    def epoch(self) -> None:
        """See `task.System`."""
        for values, offsets, label in self.batches:
            loss = nn.functional.binary_cross_entropy_with_logits(self.model(values, offsets), label)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def scores(self, features: dict[str, np.ndarray]) -> np.ndarray:
        """See `task.System`."""
        with torch.no_grad():
            return self.model(*self.bags(features)).sigmoid().numpy()


if __name__ == "__main__":
    main(Fbgemm, ["torch", "fbgemm-gpu-cpu"])
