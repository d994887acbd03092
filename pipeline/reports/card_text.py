"""The words of a model card: the formula, how each field is pooled, how to make it again, what to keep in mind."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...model.run import Run
from ...transforms.spec import CategoricalField, NumericField, Quantiles, Spec
from .field_profile import FieldProfile
from .pages import number


def formula(spec: Spec) -> str:
    """Returns the logit and its terms, a line each."""
    numeric = [n for n, f in spec.fields.items() if isinstance(f, NumericField) and not isinstance(f.scale, Quantiles)]
    fm = (
        "½(‖Σ_f m_f‖² − Σ_i ‖x_i·v_i‖²), i over all values of all fields"
        if spec.model.exact_fm
        else ("½(‖Σ_f m_f‖² − Σ_f ‖m_f‖²)")
    )
    units = " → ".join(str(units) for units in spec.model.hidden_units)
    width = len(spec.fields) * spec.model.embedding_dim
    mlp = f"MLP([m_f]_f): {width} → {units} → 1, {spec.model.activation}" if spec.model.hidden_units else "0: no MLP"
    lines = [
        "logit  = bias + Σ_f linear_f + FM + MLP",
        f"FM     = {fm}",
        f"MLP    = {mlp}",
        "m_f    = the pooled embedding of field f over its values that are not padding; 0 for an empty list",
        "linear = a weight a value, pooled as the vectors are",
    ]
    if numeric:
        lines.append(f"m_f    = x·v_f, linear_f = x·w_f for the numbers {', '.join(numeric)}")
    return "\n".join(lines)


_POOLINGS = {
    "mean": "Σ w·x / Σ w",
    "sum": "Σ w·x",
    "sqrtn": "Σ w·x / √Σ w²",
    "max": "the largest of each column",
}


def pooling_row(spec: Spec, name: str) -> list[str]:
    """Returns a field's name, type, m_f, table and length of its embedding."""
    field = spec.fields[name]
    dim = spec.model.embedding_dim
    if isinstance(field, NumericField):
        if isinstance(field.scale, Quantiles):
            return [name, "numeric", f"its bucket of {field.scale.quantiles}", name, str(field.dim or dim)]
        return [name, "numeric", f"x·v, x scaled by {field.scale}", "–", str(dim)]
    vocabulary = spec.vocabulary_of(name)
    of_table = str(spec.resolved_vocabularies()[vocabulary].dim or dim)
    if isinstance(field, CategoricalField):
        return [name, field.type, "its embedding", vocabulary, of_table]
    weights = f", w from {field.weights}" if field.weights else ", w = 1" if field.pooling != "max" else ""
    kept = f"; {field.keep} {field.max_len}"
    return [name, field.type, f"{field.pooling}: {_POOLINGS[field.pooling]}{weights}{kept}", vocabulary, of_table]


def commands(run: Run, folder: str, data: list[str] | None) -> str:
    """Returns the command lines that make run, model and export again."""
    files = " ".join(repr(file) if "*" in file else file for file in data) if data else "DATA..."
    return "\n".join(
        [
            f"fieldpool transform spec.yaml {files} --out {run.path}",
            f"fieldpool train {run.path} --out {folder}",
            f"fieldpool evaluate {folder} {run.path} --split test",
            f"fieldpool export {run.path} {folder}",
            f"fieldpool verify {run.path} {folder} {files}",
        ]
    )


def limits(run: Run, measured: dict[str, Any], split: str, fields: list[FieldProfile]) -> list[str]:
    """Returns what a reader should know before using the model: only what these numbers say."""
    lines = [
        f"The labels, column {run.spec.label.field}, are of logged rows: what was never shown was not learned from.",
        f"{number(run.stats['rejected'])} of {number(run.stats['read'])} rows were set aside (folder rejected/).",
    ]
    gap = measured["train"]["auc"] - measured[split]["auc"] if "train" in measured else 0.0
    if gap > 0.05:
        lines.append(f"The AUC on train is {gap:.3f} above that on {split}: the model remembers more than it learns.")
    ratio = measured[split]["calibration"]
    if not np.isnan(ratio) and abs(ratio - 1) > 0.1:
        lines.append(
            f"Predictions on {split} add up to {ratio:.2f} times the positives: calibrate before using them as rates."
        )
    often = [f.name for f in fields if max(f.oov_eval or 0, f.oov_test or 0) > 0.2]
    if often:
        lines.append(f"More than a fifth of the values of {', '.join(often)} are out of vocabulary in eval or test.")
    return lines
