"""The texts of a model card: formula, pooling of each field, commands that reproduce the model, limitations."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from ...transforms.runs.run import Run
from ...transforms.spec import EmbeddingTable, MultivaluedField, NumericField, Spec, VectorField
from .field_profile import FieldProfile
from .pages import number

_POOLINGS = {
    "mean": "Σ w·x / Σ w",
    "sum": "Σ w·x",
    "sqrtn": "Σ w·x / √Σ w²",
    "max": "the maximum of each dimension",
}

# Thresholds of the warnings in `limits`: difference of AUCs, distance of the calibration ratio from 1, OOV rate.
_OVERFITTING = 0.05
_MISCALIBRATION = 0.1
_MANY_OOV = 0.2
_FEW_COVERED = 0.5


def formula(spec: Spec) -> str:
    """Returns the formula of the logit and its terms, one per line."""
    fm = "½(‖Σ_f m_f‖² − Σ_f ‖m_f‖²)"
    if spec.model.exact_fm:
        fm = "½(‖Σ_f m_f‖² − Σ_i ‖x_i·v_i‖²), i over all values of all fields"
    mlp = "0: no MLP"
    if spec.model.hidden_units:
        width = len(spec.fields) * spec.model.embedding_dim
        units = " → ".join(str(units) for units in spec.model.hidden_units)
        mlp = f"MLP([m_f]_f): {width} → {units} → 1, {spec.model.activation}"
    lines = [
        "logit  = bias + Σ_f linear_f + FM + MLP",
        f"FM     = {fm}",
        f"MLP    = {mlp}",
        "m_f    = the pooled embeddings of the values of field f, without padding; 0 for an empty list",
        "linear = the linear weights of the values, pooled like the embeddings",
    ]
    vectors = list(spec.fields_of(VectorField))
    numbers = [name for name, field in spec.fields.items() if not field.is_embedded and name not in vectors]
    if vectors:
        lines.append(f"m_f    = x·V_f, linear_f = x·w_f for the fields of vectors {', '.join(vectors)}")
    if numbers:
        lines.append(f"m_f    = x·v_f, linear_f = x·w_f for the numeric fields {', '.join(numbers)}")
    return "\n".join(lines)


def pooling_row(spec: Spec, name: str, tables: Mapping[str, EmbeddingTable]) -> list[str]:
    """Returns a field's name, type, m_f, the name of its embedding table, and the dimension of its embedding.

    Args:
        spec: The spec with the field.
        name: The field's name.
        tables: The run's `spec.embedding_tables`.
    """
    field = spec.fields[name]
    if isinstance(field, NumericField) and not field.is_embedded:
        return [name, field.type, f"x·v, x scaled by {field.scale}", "–", str(spec.model.embedding_dim)]
    if isinstance(field, VectorField):
        return [name, field.type, f"x·V, x of {field.shape[0]} numbers", "–", str(spec.model.embedding_dim)]
    table = spec.table_of(name)
    dim = str(tables[table].dim)
    if field.has_vocabulary and (settings := spec.vocabulary_settings_of(name)).vectors is not None:
        dim += ", pretrained, frozen" if settings.freeze else ", pretrained"
    if isinstance(field, MultivaluedField):
        return [name, field.type, _pooling(field), table, dim]
    if field.buckets is not None:
        return [name, field.type, f"the embedding of its bucket, one of {field.buckets}", name, dim]
    return [name, field.type, "the embedding of its value", table, dim]


def _pooling(field: MultivaluedField) -> str:
    weights = ""
    if field.weights:
        weights = f", w from {field.weights}"
    elif field.pooling != "max":
        weights = ", w = 1"
    return f"{field.pooling}: {_POOLINGS[field.pooling]}{weights}; {field.keep} {field.max_len} values"


def commands(run: Run, folder: str, data: Sequence[str] | None) -> str:
    """Returns the commands that reproduce run, model and export."""
    files = shlex.join(data) if data else "DATA..."
    made = shlex.join([run.path, folder])
    return "\n".join(
        [
            f"fieldpool transform spec.yaml {files} --out {shlex.quote(run.path)}",
            f"fieldpool train {shlex.quote(run.path)} --out {shlex.quote(folder)}",
            f"fieldpool evaluate {made} --split test",
            f"fieldpool export {made}",
            f"fieldpool verify {made} {files}",
        ]
    )


def limits(
    run: Run, by_split: Mapping[str, Mapping[str, float]], split: str, fields: Sequence[FieldProfile]
) -> list[str]:
    """Returns the limitations of a model that follow from its data and metrics, one sentence each.

    Args:
        run: The run that the model was trained on.
        by_split: The metrics of each split.
        split: The split that the model is judged by.
        fields: The profiles of the run's fields.
    """
    lines = [
        f"The labels (column {run.spec.label.rule}) come from logged rows: the model has learned nothing about items "
        "that were never shown.",
        f"{number(run.stats.rejected)} of {number(run.stats.read)} rows were rejected (folder rejected/).",
    ]
    if run.stats.sampled_out:
        lines.append(
            f"The model was trained on {run.stats.negatives_kept:.1%} of the negative train rows; it predicts the "
            "probabilities of all rows, which are below the share of positives in train."
        )
    lines += [
        f"{name} is a feature in training only: predictions, and metrics of eval and test, are for the value {value!r}."
        for name, value in run.spec.train_only.items()
    ]
    for name, vocabulary in run.stats.vocabularies.items():
        if (vectors := vocabulary.vectors) is not None and vectors.covered < _FEW_COVERED:
            lines.append(f"Only {vectors.covered:.0%} of the values of {name} in train have a pretrained vector.")
    fitted = next((found["calibrated_on"] for found in by_split.values() if "calibrated_on" in found), None)
    if fitted is not None:
        lines.append(f"The probabilities are calibrated on {fitted}: logloss, calibration and ECE of {fitted} flatter.")
    gap = by_split["train"]["auc"] - by_split[split]["auc"] if "train" in by_split else 0.0
    if gap > _OVERFITTING:
        lines.append(f"The AUC on train is {gap:.3f} higher than on {split}: the model overfits.")
    ratio = by_split[split]["calibration"]
    if not np.isnan(ratio) and abs(ratio - 1) > _MISCALIBRATION:
        lines.append(
            f"The sum of the predictions on {split} is {ratio:.2f} times the number of positives: calibrate them "
            "before using them as click rates."
        )
    often = [f.name for f in fields if max(f.oov_eval or 0, f.oov_test or 0) > _MANY_OOV]
    if often:
        lines.append(f"More than {_MANY_OOV:.0%} of the values of {', '.join(often)} are OOV in eval or test.")
    return lines
