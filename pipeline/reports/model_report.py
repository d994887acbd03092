"""`fieldpool report`: the model card of a trained model, an HTML file that needs no network and no script.

It has sections on quality, slices, training data, the model's formula, and the commands that reproduce the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import dirname, join
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ...model.files import write_atomically
from ...model.training.folder import TRAINING_FILE, load_model
from ...transforms.errors import UserError
from ...transforms.kinds import Kind, check_kind
from ...transforms.runs.damage import reading
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import total
from ...transforms.spec import SPLITS, MultivaluedField, Ranking, Spec
from ..spec_file import dump_spec
from .card_text import commands, formula, limits, pooling_row
from .charts import Captioned
from .field_profile import FieldProfile
from .pages import REPORT_TITLE, Header, Table, check_report, decimals, number, render, share
from .quality.charts import learning_curves, quality_curves, slice_charts
from .quality.measured import Metrics, Quality, measure_quality
from .run_profile import field_profiles

# The number of rows in the tables of fields with the most OOV values and with the most values.
_TOP_FIELDS = 6

_METRIC_NAMES = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "logloss": "logloss",
    "gauc": "GAUC",
    "calibration": "predicted / actual",
    "ece": "calibration error",
    "weight": "sum of weights",
    "positives": "positives",
}
_RANKING_NAMES = {"mrr": "MRR", "mrr_mind": "MRR of MIND", "group_auc": "mean AUC", "groups": "groups"}
_SLICE_METRICS = ("auc", "gauc", "pr_auc", "logloss", "calibration", "positives")


def write_report(
    run: Run, model_folder: str, path: str, *, data: Sequence[str] | None = None, overwrite: bool = False
) -> str:
    """Writes the report of a trained model to `path`, an HTML file; returns the path.

    Args:
        run: The run that the model was trained on.
        model_folder: The folder of the trained model.
        path: The HTML file to write.
        data: The source files, for the commands that reproduce the model, if known.
        overwrite: Whether an existing report may be replaced, once the new one is complete.

    Raises:
        TargetExists: `path` exists, and it is not a report or `overwrite` is false.
        CannotWrite: `path` cannot be written to.
        UserError: the folder has no trained model.
    """
    check_report(path, overwrite=overwrite)
    if model_folder.endswith(".keras"):
        model_folder = dirname(model_folder)
    training = _read_training(model_folder)
    model = load_model(model_folder)
    spec = Spec.model_validate(training["spec"])
    quality = measure_quality(run, model)
    fields = field_profiles(run)
    page = render(
        "report.html",
        header=_header(run, model_folder, training, model, quality),
        quality=_quality_section(training, quality, run.spec.evaluation.ranking),
        slices=_slices_section(spec, quality),
        data=_data_section(run, fields),
        model=_model_section(run, spec, training),
        reproduction=ReproductionSection(
            commands=commands(run, model_folder, data),
            spec_yaml=dump_spec(run.spec),
            limits=limits(run, quality.by_split, quality.split, fields),
        ),
    )
    write_atomically(path, lambda temporary: Path(temporary).write_text(page, encoding="utf-8"))
    return path


def _read_training(folder: str) -> dict[str, Any]:
    path = join(folder, TRAINING_FILE)
    if not tf.io.gfile.exists(path):
        check_kind(folder, Kind.MODEL, UserError)
        raise UserError(f"{path}: no such file; pass the folder that `fieldpool train` wrote")
    with reading(path, "train"), tf.io.gfile.GFile(path) as file:
        training: dict[str, Any] = json.loads(file.read())
    return training


def _header(run: Run, folder: str, training: dict[str, Any], model: keras.Model, quality: Quality) -> Header:
    parameters = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    metrics = [name for name in ("auc", "gauc", "pr_auc", "logloss") if name in quality.metrics]
    return Header(
        title=f"{REPORT_TITLE}: {folder}",
        subtitle=f"DeepFM trained by fieldpool {training['versions']['fieldpool']} on the run {run.path}",
        tiles=[
            *((f"{quality.split} {_METRIC_NAMES[name]}", decimals(quality.metrics[name])) for name in metrics),
            ("rows read", number(run.stats.read)),
            ("rejected", number(run.stats.rejected)),
            *([("duplicate keys", number(run.stats.duplicate_keys))] if run.stats.duplicate_keys else []),
            ("parameters", number(parameters)),
            ("best epoch", f"{training['best_epoch']} of {len(training['history'])}"),
        ],
    )


@dataclass(frozen=True)
class QualitySection:
    """Section "Quality": metrics by split, those of the order within groups with a note, and charts."""

    metrics: Table
    ranking: Table | None
    ranking_note: str
    charts: list[Captioned]


def _quality_section(training: dict[str, Any], quality: Quality, ranking: Ranking | None) -> QualitySection:
    names = [name for name in quality.metrics if name in _METRIC_NAMES]
    return QualitySection(
        metrics=_metrics_table("split", quality.by_split, names),
        ranking=_ranking_table(ranking, quality.by_split) if ranking else None,
        ranking_note=_ranking_note(ranking, quality) if ranking else "",
        charts=[*learning_curves(training), *quality_curves(quality.scores, quality.split)],
    )


def _ranking_table(ranking: Ranking, by_split: Mapping[str, Metrics]) -> Table:
    of_k = {f"ndcg@{k}": f"nDCG@{k}" for k in ranking.at} | {f"hit_rate@{k}": f"hit rate@{k}" for k in ranking.at}
    titles = of_k | _RANKING_NAMES
    return Table(
        head=["split", *titles.values()],
        rows=[
            [split, *(number(metrics[n]) if n == "groups" else decimals(metrics[n]) for n in titles)]
            for split, metrics in by_split.items()
        ],
    )


def _ranking_note(ranking: Ranking, quality: Quality) -> str:
    weighted = ", weighted by rows" if ranking.weights == "rows" else ""
    return (
        f"Rows are ranked within the values of {ranking.by}; metrics are means over these groups{weighted}. "
        f"{number(quality.metrics['groups_without_positives'])} groups of {quality.split} without a positive row are "
        "left out."
    )


@dataclass(frozen=True)
class SlicesSection:
    """Section "Slices": a table for each sliced field, by its title."""

    split: str
    by_value: list[str]
    gauc_note: str
    charts: list[Captioned]
    tables: dict[str, Table]


def _slices_section(spec: Spec, quality: Quality) -> SlicesSection:
    gauc_note = "For GAUC, the mean AUC within the values of a field, set evaluation.gauc_by in the spec."
    if quality.gauc_by:
        gauc_note = (
            f"GAUC is the mean AUC within the values of {quality.gauc_by}, weighted by rows. It covers the "
            f"{number(quality.metrics['gauc_examples'])} of {number(quality.metrics['examples'])} rows whose value "
            f"{'is in the vocabulary' if quality.gauc_by in spec.fields else 'is not missing'} and has rows with both "
            "labels."
        )
    names = [name for name in _SLICE_METRICS if name in quality.metrics]
    return SlicesSection(
        split=quality.split,
        by_value=[name for name in quality.slices if not _is_list(spec, name)],
        gauc_note=gauc_note,
        charts=slice_charts(quality.slices, spec),
        tables={
            _slice_title(spec, name): _metrics_table(_slice_title(spec, name), by_slice, names)
            for name, by_slice in quality.slices.items()
        },
    )


def _is_list(spec: Spec, name: str) -> bool:
    return name in spec.fields_of(MultivaluedField)


def _slice_title(spec: Spec, name: str) -> str:
    return f"{name} (list length after truncation)" if _is_list(spec, name) else name


def _metrics_table(first: str, measured: Mapping[str, Metrics], names: Sequence[str]) -> Table:
    """Returns a table with a row for each split or slice: its name, the number of rows, and metrics."""
    return Table(
        head=[first, "rows", *(_METRIC_NAMES[name] for name in names)],
        rows=[
            [row, number(metrics["examples"]), *(decimals(metrics[name]) for name in names)]
            for row, metrics in measured.items()
        ],
    )


@dataclass(frozen=True)
class DataSection:
    """Section "Training data": rows of the tables, and a profile of each field."""

    rows: list[list[str]]
    most_oov: list[list[str]]
    most_values: list[list[str]]
    fields: list[FieldProfile]


def _data_section(run: Run, fields: list[FieldProfile]) -> DataSection:
    stats = run.stats
    splits = [split for split in SPLITS if stats.rows(split)]
    values = {name: total(field.values) for name, field in stats.fields.items()}
    by_values = sorted(values, key=lambda name: values[name], reverse=True)
    with_oov = [field for field in fields if field.oov_eval is not None]
    by_oov = sorted(with_oov, key=lambda field: max(field.oov_eval or 0, field.oov_test or 0), reverse=True)
    return DataSection(
        rows=[
            *([s, number(stats.rows(s)), share(stats.positives[s] / stats.rows(s))] for s in splits),
            ["rejected", number(stats.rejected), ""],
            *([] if stats.sampled_out is None else [["train, sampled out", number(stats.sampled_out), share(0.0)]]),
        ],
        most_oov=[[field.name, share(field.oov_eval), share(field.oov_test)] for field in by_oov[:_TOP_FIELDS]],
        most_values=[[name, number(values[name] / max(1, stats.rows()), 3)] for name in by_values[:_TOP_FIELDS]],
        fields=fields,
    )


@dataclass(frozen=True)
class ModelSection:
    """Section "Model": the formula, a row for each field's pooling, and settings and versions by name."""

    formula: str
    poolings: list[list[str]]
    settings: dict[str, Any]
    training: dict[str, Any]
    versions: dict[str, str]


def _model_section(run: Run, spec: Spec, training: dict[str, Any]) -> ModelSection:
    tables = spec.embedding_tables(run.vocabulary_sizes)
    return ModelSection(
        formula=formula(spec),
        poolings=[pooling_row(spec, name, tables) for name in spec.fields],
        settings=spec.model.model_dump(mode="json"),
        training=spec.train.model_dump(mode="json"),
        versions=training["versions"],
    )


@dataclass(frozen=True)
class ReproductionSection:
    """Section "Reproduction": commands, the spec, and the limitations of the model."""

    commands: str
    spec_yaml: str
    limits: list[str]
