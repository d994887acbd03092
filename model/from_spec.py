"""Creates the DeepFM of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..transforms.spec import Spec, VectorField, weights_feature
from .layers.deepfm import DeepFM
from .layers.features import EmbeddedField, Table


def deepfm(
    spec: Spec,
    vocabulary_sizes: Mapping[str, int],
    *,
    dtype: str | None = None,
    logit_offset: float = 0.0,
    identity: Mapping[str, Any] | None = None,
) -> DeepFM:
    """Returns the DeepFM of a spec, with its weights created.

    A numeric field in quantile buckets has its own table: row 0 for a missing number, then one row per bucket.
    Pretrained vectors of vocabularies are zeros, or random: `set_vectors` sets those that `Run.vectors` returns.

    Args:
        spec: Fields and model settings.
        vocabulary_sizes: Rows of each vocabulary's table, including padding and OOV buckets: `Run.vocabulary_sizes`.
        dtype: Keras' dtype or dtype policy of the model, such as "mixed_bfloat16". Default: Keras' global policy.
        logit_offset: See `DeepFM`; `Run.logit_offset` has that of a run.
        identity: See `DeepFM`.

    Raises:
        ValueError: if the size of a vocabulary is missing.
    """
    vocabularies = spec.resolved_vocabularies()
    missing = [name for name in vocabularies if name not in vocabulary_sizes]
    if missing:
        raise ValueError(
            f"expected the sizes of the vocabularies {', '.join(vocabularies)}; "
            f"missing: {', '.join(missing)}. `Run(path).vocabulary_sizes` has them"
        )
    tables = {name: Table(rows=t.rows, dim=t.dim) for name, t in spec.embedding_tables(vocabulary_sizes).items()}
    tables |= {name: Table(**tables[name], frozen=True) for name, of in vocabularies.items() if of.freeze}
    fields = {
        name: EmbeddedField(
            table=spec.table_of(name),
            pooling=field.combiner,
            weights=weights_feature(name) if field.is_weighted else None,
        )
        for name, field in spec.fields.items()
        if field.is_embedded
    }
    vectors = {name: field.shape[0] for name, field in spec.fields_of(VectorField).items()}
    numeric = [name for name, field in spec.fields.items() if not field.is_embedded and name not in vectors]
    model = DeepFM(
        tables=tables,
        fields=fields,
        numeric=numeric,
        vectors=vectors,
        **spec.model.model_dump(),
        logit_offset=logit_offset,
        identity=identity,
        dtype=dtype,
    )
    model.build()
    return model
