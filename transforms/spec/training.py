"""The sections `model`, `train` and `evaluation`: the DeepFM, its training, and its metrics."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator

from .base import Fraction, NonNegativeFloat32, NonNegativeInt, PositiveFloat32, PositiveInt, Seed, Strict

# The activations of Keras that need no arguments and keep the number of units.
Activation = Literal[
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]


class Model(Strict):
    """Settings of the DeepFM."""

    embedding_dim: PositiveInt = 16
    hidden_units: list[PositiveInt] = Field(default=[128, 64], description="Units of the MLP's layers; []: no MLP.")
    activation: Activation = Field("relu", description="A Keras activation.")
    dropout: Fraction = Field(0.2, lt=1.0)
    batch_norm: bool = False
    l2_embedding: NonNegativeFloat32 = Field(1e-5, description="L2 penalty on embeddings and linear weights.")
    l2_hidden: NonNegativeFloat32 = Field(0.0, description="L2 penalty on the MLP's kernels.")
    exact_fm: bool = Field(False, description="Whether the FM also has the pairs of values within one list.")


# Metrics of the order of rows within groups, with the settings of `evaluation.ranking`.
RankingMetric = Literal["ndcg", "hit_rate", "mrr", "mrr_mind", "group_auc"]
RANKING_METRICS = get_args(RankingMetric)


class EarlyStopping(Strict):
    """Stops if the metric of the eval split has not improved for `patience` epochs; keeps the best epoch."""

    metric: Literal["auc", "gauc", "pr_auc", "logloss", RankingMetric] = Field(
        "auc",
        description="gauc needs `evaluation.gauc_by`. ndcg, hit_rate, mrr, mrr_mind and group_auc need "
        "`evaluation.ranking`; ndcg and hit_rate are those at its first k.",
    )
    patience: NonNegativeInt = 2


class Train(Strict):
    """Training settings."""

    batch_size: PositiveInt = Field(1024, description="Examples per step, over all replicas.")
    epochs: PositiveInt = Field(10, description="Maximum number of epochs.")
    optimizer: Literal["lazy_adam", "adam", "rowwise_adagrad"] = Field(
        "lazy_adam",
        description="lazy_adam: Adam that updates only the rows of a batch; adam: updates every row at every step; "
        "rowwise_adagrad: one accumulator per row, for tables too large for Adam's two numbers per weight.",
    )
    learning_rate: PositiveFloat32 = 0.001
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="How the learning rate falls to 0 at the end of the last epoch."
    )
    warmup_steps: NonNegativeInt = Field(0, description="Number of steps in which the learning rate rises from 0.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="Compute dtype; weights, sums and the logit are always float32."
    )
    early_stopping: EarlyStopping | None = EarlyStopping()
    calibrate: Literal["none", "isotonic"] = Field(
        "none", description="isotonic: the model's probabilities are calibrated on the eval split after training."
    )
    seed: Seed = 0
    shuffle_buffer: NonNegativeInt = Field(
        100_000, description="Size of the shuffle buffer in examples; 0: file order."
    )
    cache: Literal["none", "memory", "disk"] = Field(
        "none", description="Where parsed examples are kept after the first epoch; disk: in the model's folder."
    )
    eval_steps: PositiveInt | None = Field(
        None,
        description="Steps between evaluations on the eval split, each of which ends an epoch of the history; null: a "
        "pass over the train split.",
    )
    checkpoint_steps: PositiveInt | None = Field(
        None, description="Steps between checkpoints, in addition to the checkpoint after each epoch."
    )


class Ranking(Strict):
    """Metrics of the order of the rows within each group, such as the candidates of an impression."""

    by: str = Field(description="A categorical field or carried column, such as the impression: its values are groups.")
    at: list[PositiveInt] = Field(
        default=[5, 10], min_length=1, description="The values of k of nDCG@k and of the hit rate@k."
    )
    weights: Literal["equal", "rows"] = Field(
        "equal", description="How groups count in the means: equally, or with the number of their rows, as in GAUC."
    )

    @field_validator("at")
    @classmethod
    def _at_differ(cls, at: list[int]) -> list[int]:
        twice = next((k for k in at if at.count(k) > 1), None)
        if twice is not None:
            raise ValueError(f"expected different numbers, found {twice} twice; remove one")
        return at


class Evaluation(Strict):
    """What `fieldpool evaluate` measures besides the standard metrics."""

    gauc_by: str | None = Field(
        None,
        description="A categorical field or carried column, such as the user, whose values are the groups of GAUC.",
    )
    slices: list[str] = Field(
        default=[],
        description="Fields and carried columns by which all metrics are computed: by value or, for a multivalued "
        "field, by list length after truncation.",
    )
    ranking: Ranking | None = Field(None, description="nDCG, MRR, hit rate and AUC within groups of rows.")
