"""The sections `model`, `train` and `evaluation`: what is trained, how, and how it is measured."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, Strict


class Model(Strict):
    """The DeepFM."""

    embedding_dim: int = Field(16, ge=1)
    hidden_units: list[Annotated[int, Field(ge=1)]] = Field(default=[128, 64], description="The MLP's layers.")
    activation: str = Field("relu", description="A Keras activation.")
    dropout: Fraction = Field(0.2, lt=1.0)
    batch_norm: bool = False
    l2_embedding: float = Field(1e-5, ge=0.0, description="L2 on embedding and linear weights.")
    l2_hidden: float = Field(0.0, ge=0.0, description="L2 on the MLP's kernels.")
    exact_fm: bool = Field(False, description="Whether pairs of values within one list count in the FM, too.")


class EarlyStopping(Strict):
    """Stops when the eval split's metric has not improved for `patience` epochs; keeps the best epoch."""

    metric: Literal["auc", "gauc", "pr_auc", "logloss"] = "auc"
    patience: int = Field(2, ge=0)


class Train(Strict):
    """Training settings."""

    batch_size: int = Field(1024, ge=1, description="Examples a step, of all replicas together.")
    epochs: int = Field(10, ge=1)
    optimizer: Literal["lazy_adam", "adam", "rowwise_adagrad"] = Field(
        "lazy_adam",
        description="lazy_adam: Adam that touches only the rows of a batch; adam: every row at every step; "
        "rowwise_adagrad: one accumulator a row, for tables too large for Adam's two.",
    )
    learning_rate: float = Field(0.001, gt=0.0)
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="How the learning rate falls to 0 at the end of the last epoch."
    )
    warmup_steps: int = Field(0, ge=0, description="Steps in which the learning rate rises from 0.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Of the computation; weights, sums and the logit are float32 always."
    )
    early_stopping: EarlyStopping | None = EarlyStopping()
    seed: int = Field(0, ge=0)
    shuffle_buffer: int = Field(
        100_000, ge=0, description="So many examples are put in random order at once; 0: the order of the files."
    )
    cache: Literal["none", "memory", "disk"] = Field(
        "none", description="Where parsed examples stay after the first epoch; disk: in the model's folder."
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="A checkpoint after so many steps, too, not only after each epoch."
    )


class Evaluation(Strict):
    """What `evaluate` measures besides the metrics of a whole split."""

    gauc_by: str | None = Field(None, description="A categorical field, such as the user: the groups of GAUC.")
    slices: list[str] = Field(
        default=[], description="Fields: metrics by value, or by the length of a multivalued field's lists."
    )
