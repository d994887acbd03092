"""The model card of a training: one HTML file with data, quality, slices, formula and how to make it again.

A run and the folder of a training go in. The page needs no network and no script.
"""

from __future__ import annotations

import json
from os.path import join
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...model.evaluation import evaluate, score, scorer
from ...model.examples import read_examples
from ...model.run import Run
from ...model.training.train import TRAINING_FILE, load_model
from ...transforms.errors import UserError
from ...transforms.spec import SPLITS, CategoricalField, MultivaluedField, Spec
from ..spec_file import dump_spec
from .card_text import commands, formula, limits, pooling_row
from .pages import decimals, number, render, share
from .quality_charts import learning_curves, quality_curves, slice_pictures
from .run_profile import field_profiles, out_of_vocabulary

# Categorical fields, besides that of GAUC, that are measured value by value.
_SLICED_FIELDS = 3


def write_report(run: Run, model_folder: str, path: str, *, data: list[str] | None = None) -> str:
    """Writes the report of a training to `path`, an HTML file; returns the path.

    Args:
        run: The run that the model was trained on.
        model_folder: The folder of the training.
        path: Where to write.
        data: The source files, for the commands that make it again, if they are known.

    Raises:
        UserError: there is no such training.
    """
    training = _training(model_folder)
    page = render("report.html", _content(run, model_folder, training, load_model(model_folder), data))
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(page)
    return path


def _training(folder: str) -> dict[str, Any]:
    path = join(folder, TRAINING_FILE)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{path}: no such file; name the folder that `fieldpool train` wrote")
    with tf.io.gfile.GFile(path) as file:
        training: dict[str, Any] = json.loads(file.read())
    return training


def _content(
    run: Run, folder: str, training: dict[str, Any], model: keras.Model, data: list[str] | None
) -> dict[str, Any]:
    spec, stats = Spec.model_validate(training["spec"]), run.stats
    splits = [split for split in SPLITS if stats[split]]
    split = splits[-1]
    gauc_by, sliced = _gauc_by(run), _sliced_fields(run, split)
    measured = {s: evaluate(model, run, s, batch_size=4096, gauc_by=gauc_by, slices=[]) for s in splits}
    slices = evaluate(model, run, split, batch_size=4096, gauc_by=gauc_by, slices=sliced).get("slices", {})
    dataset = read_examples(run, split, batch_size=4096)
    scores = score(scorer(model, dataset.element_spec[0]), dataset)
    names = [name for name in next(iter(measured.values())) if name not in ("examples", "gauc_examples")]
    fields = field_profiles(run)
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    best = measured[split]
    return {
        "title": f"Model card: {folder}",
        "subtitle": f"DeepFM of fieldpool {training['versions']['fieldpool']}, trained on the run {run.path}",
        "split": split,
        "tiles": [
            (f"{split} AUC", decimals(best["auc"])),
            *([(f"{split} GAUC", decimals(best["gauc"]))] if "gauc" in best else []),
            (f"{split} PR-AUC", decimals(best["pr_auc"])),
            (f"{split} logloss", decimals(best["logloss"])),
            ("rows read", number(stats["read"])),
            ("rejected", number(stats["rejected"])),
            ("parameters", number(parameters)),
            ("best epoch", f"{training['best_epoch']} of {len(training['history'])}"),
        ],
        "metrics_head": ["split", "rows", *(_METRIC_NAMES[name] for name in names)],
        "metrics_rows": [
            [s, number(m["examples"]), *(decimals(m[name]) for name in names)] for s, m in measured.items()
        ],
        "curves": [*learning_curves(training), *quality_curves(scores, split)],
        "slice_fields": ", ".join(name for name in sliced if isinstance(spec.fields[name], CategoricalField)) or "none",
        "gauc_note": f"GAUC is the mean AUC within the values of {gauc_by}, weighted by rows, of the "
        f"{number(best['gauc_examples'])} of {number(best['examples'])} rows whose value is in the vocabulary."
        if gauc_by
        else "Name a field in the spec's evaluation.gauc_by for the AUC within its values (GAUC).",
        "slice_pictures": slice_pictures(slices, run),
        "slices": [_slice_table(name, of_field) for name, of_field in slices.items()],
        "rows_by_split": [[s, number(stats[s]), share(stats["positives"][s] / stats[s])] for s in splits]
        + [["rejected", number(stats["rejected"]), ""]],
        "most_oov": [
            [f.name, share(f.oov_eval), share(f.oov_test)]
            for f in sorted(fields, key=lambda f: -max(f.oov_eval or 0, f.oov_test or 0))
            if f.oov_eval is not None
        ][:6],
        "most_values": [
            [name, number(sum(entry["values"].values()) / max(1, stats["read"] - stats["rejected"]), 3)]
            for name, entry in sorted(stats["fields"].items(), key=lambda item: -sum(item[1]["values"].values()))
        ][:6],
        "fields": fields,
        "field_hints": "Distinct tokens, lists and what is cut are those of the train split; OOV shares are of values. "
        "MB are of the embedding table in float32 with its linear weights.",
        "formula": formula(spec),
        "poolings": [pooling_row(spec, name) for name in spec.fields],
        "model_settings": [(name, value) for name, value in spec.model.model_dump(mode="json").items()],
        "train_settings": [(name, value) for name, value in spec.train.model_dump(mode="json").items()],
        "versions": list(training["versions"].items()),
        "reproduce_note": "The same data, spec, seed and versions give the same run to the byte and, on one machine, "
        "the same model. Save the spec below as spec.yaml.",
        "commands": commands(run, folder, data),
        "spec_yaml": dump_spec(run.spec),
        "limits": limits(run, measured, split, fields),
    }


_METRIC_NAMES = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "logloss": "logloss",
    "gauc": "GAUC",
    "calibration": "predicted / actual",
    "ece": "calibration error",
    "positives": "positives",
}


def _gauc_by(run: Run) -> str | None:
    """Returns the spec's field of GAUC, else one that is called after users."""
    spec = run.spec
    called = [name for name, field in spec.fields.items() if isinstance(field, CategoricalField) and "user" in name]
    return spec.evaluation.gauc_by or next(iter(called), None)


def _sliced_fields(run: Run, split: str) -> list[str]:
    """Returns the multivalued fields, and the categorical ones with the most OOV values and the smallest vocabulary."""
    spec, stats = run.spec, run.stats
    categorical = list(spec.fields_of(CategoricalField))
    by_oov = sorted(categorical, key=lambda name: -(out_of_vocabulary(stats["fields"][name], split) or 0))
    by_size = sorted(categorical, key=lambda name: run.vocabulary_sizes[spec.vocabulary_of(name)])
    chosen = [*spec.evaluation.slices, *by_oov[: _SLICED_FIELDS - 1], *by_size[:1]]
    return list(dict.fromkeys([*spec.fields_of(MultivaluedField), *chosen]))


def _slice_table(name: str, slices: dict[str, dict[str, float]]) -> tuple[str, list[str], list[list[str]]]:
    names = [
        n for n in ("auc", "gauc", "pr_auc", "logloss", "calibration", "positives") if n in next(iter(slices.values()))
    ]
    head = [name, "rows", *(_METRIC_NAMES[n] for n in names)]
    rows = [[slice_name, number(m["examples"]), *(decimals(m[n]) for n in names)] for slice_name, m in slices.items()]
    return name, head, rows
