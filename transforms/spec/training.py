"""The sections `model`, `train` and `evaluation`: the DeepFM, its training, and its metrics."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, Strict


class Model(Strict):
    """Settings of the DeepFM."""

    embedding_dim: int = Field(16, ge=1)
    hidden_units: list[Annotated[int, Field(ge=1)]] = Field(
        default=[128, 64], description="Units of the MLP's layers; []: no MLP."
    )
    activation: str = Field("relu", description="A Keras activation.")
    dropout: Fraction = Field(0.2, lt=1.0)
    batch_norm: bool = False
    l2_embedding: float = Field(1e-5, ge=0.0, description="L2 penalty on embeddings and linear weights.")
    l2_hidden: float = Field(0.0, ge=0.0, description="L2 penalty on the MLP's kernels.")
    exact_fm: bool = Field(False, description="Whether the FM also has the pairs of values within one list.")


class EarlyStopping(Strict):
    """Stops if the metric of the eval split has not improved for `patience` epochs; keeps the best epoch."""

    metric: Literal["auc", "gauc", "pr_auc", "logloss"] = "auc"
    patience: int = Field(2, ge=0)


class Train(Strict):
    """Training settings."""

    batch_size: int = Field(1024, ge=1, description="Examples per step, over all replicas.")
    epochs: int = Field(10, ge=1, description="Maximum number of epochs.")
    optimizer: Literal["lazy_adam", "adam", "rowwise_adagrad"] = Field(
        "lazy_adam",
        description="lazy_adam: Adam that updates only the rows of a batch; adam: updates every row at every step; "
        "rowwise_adagrad: one accumulator per row, for tables too large for Adam's two numbers per weight.",
    )
    learning_rate: float = Field(0.001, gt=0.0)
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="How the learning rate falls to 0 at the end of the last epoch."
    )
    warmup_steps: int = Field(0, ge=0, description="Number of steps in which the learning rate rises from 0.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Compute dtype; weights, sums and the logit are always float32."
    )
    early_stopping: EarlyStopping | None = EarlyStopping()
    seed: int = Field(0, ge=0)
    shuffle_buffer: int = Field(100_000, ge=0, description="Size of the shuffle buffer in examples; 0: file order.")
    cache: Literal["none", "memory", "disk"] = Field(
        "none", description="Where parsed examples are kept after the first epoch; disk: in the model's folder."
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="Steps between checkpoints, in addition to the checkpoint after each epoch."
    )


class Evaluation(Strict):
    """What `fieldpool evaluate` measures besides the standard metrics."""

    gauc_by: str | None = Field(
        None, description="A categorical field, such as the user, whose values are the groups of GAUC."
    )
    slices: list[str] = Field(
        default=[],
        description="Fields by which all metrics are computed: by value or, for a multivalued field, by list length "
        "after truncation.",
    )
