"""The words of a model card: the formula, how each field is pooled, how to make it again, what to keep in mind."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from ...model.run import Run
from ...transforms.spec import EmbeddingTable, MultivaluedField, NumericField, Spec
from .field_profile import FieldProfile
from .pages import number

_POOLINGS = {
    "mean": "Σ w·x / Σ w",
    "sum": "Σ w·x",
    "sqrtn": "Σ w·x / √Σ w²",
    "max": "the largest of each column",
}

# What `limits` warns of: a difference of AUCs, a calibration ratio off 1, a share of OOV values.
_OVERFITTING = 0.05
_MISCALIBRATION = 0.1
_MANY_OOV = 0.2


def formula(spec: Spec) -> str:
    """Returns the logit and its terms, a line each."""
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
        "m_f    = the pooled embedding of field f over its values that are not padding; 0 for an empty list",
        "linear = a weight a value, pooled as the vectors are",
    ]
    numbers = [name for name, field in spec.fields.items() if not field.is_embedded]
    if numbers:
        lines.append(f"m_f    = x·v_f, linear_f = x·w_f for the numbers {', '.join(numbers)}")
    return "\n".join(lines)


def pooling_row(spec: Spec, name: str, tables: Mapping[str, EmbeddingTable]) -> list[str]:
    """Returns a field's name, type, m_f, the name of its table, and the length of its embedding.

    Args:
        spec: With the field.
        name: Of the field.
        tables: `spec.embedding_tables` of the run.
    """
    field = spec.fields[name]
    if isinstance(field, NumericField) and not field.is_embedded:
        return [name, field.type, f"x·v, x scaled by {field.scale}", "–", str(spec.model.embedding_dim)]
    table = spec.table_of(name)
    dim = str(tables[table].dim)
    if isinstance(field, MultivaluedField):
        return [name, field.type, _pooling(field), table, dim]
    if field.buckets is not None:
        return [name, field.type, f"its bucket of {field.buckets}", name, dim]
    return [name, field.type, "its embedding", table, dim]


def _pooling(field: MultivaluedField) -> str:
    weights = ""
    if field.weights:
        weights = f", w from {field.weights}"
    elif field.pooling != "max":
        weights = ", w = 1"
    return f"{field.pooling}: {_POOLINGS[field.pooling]}{weights}; {field.keep} {field.max_len}"


def commands(run: Run, folder: str, data: Sequence[str] | None) -> str:
    """Returns the command lines that make run, model and export again."""
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
    """Returns what a reader should know before using the model: only what these numbers say.

    Args:
        run: The run that the model was trained on.
        by_split: The metrics of each split.
        split: The one that the model is judged by.
        fields: Of the run.
    """
    lines = [
        f"The labels, column {run.spec.label.field}, are of logged rows: what was never shown was not learned from.",
        f"{number(run.stats.rejected)} of {number(run.stats.read)} rows were set aside (folder rejected/).",
    ]
    gap = by_split["train"]["auc"] - by_split[split]["auc"] if "train" in by_split else 0.0
    if gap > _OVERFITTING:
        lines.append(f"The AUC on train is {gap:.3f} above that on {split}: the model remembers more than it learns.")
    ratio = by_split[split]["calibration"]
    if not np.isnan(ratio) and abs(ratio - 1) > _MISCALIBRATION:
        lines.append(
            f"Predictions on {split} add up to {ratio:.2f} times the positives: calibrate before using them as rates."
        )
    often = [f.name for f in fields if max(f.oov_eval or 0, f.oov_test or 0) > _MANY_OOV]
    if often:
        lines.append(f"More than a fifth of the values of {', '.join(often)} are out of vocabulary in eval or test.")
    return lines
