"""The quality of a trained model: the metrics of all splits, and what its charts need."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from ....model.evaluation import Scores, evaluate, measure, score_split
from ....transforms.runs.run import Run
from ....transforms.spec import SPLITS, CategoricalField, MultivaluedField, Spec

# The number of categorical fields that are sliced by value, in addition to those named in the spec.
_SLICED_FIELDS = 3

_BATCH_SIZE = 4096

Metrics = dict[str, float]


@dataclass(frozen=True)
class Quality:
    """The quality of a model.

    Attributes:
        by_split: The metrics of each split that has rows.
        split: The split that the model is judged by: the last one that has rows.
        scores: The scores of that split.
        slices: The metrics of that split by field and slice.
        gauc_by: The field whose values are the groups of GAUC.
    """

    by_split: dict[str, Metrics]
    split: str
    scores: Scores
    slices: dict[str, dict[str, Metrics]]
    gauc_by: str | None

    @property
    def metrics(self) -> Metrics:
        """The metrics of `split`."""
        return self.by_split[self.split]


def measure_quality(run: Run, model: keras.Model) -> Quality:
    """Returns the metrics of all splits; scores each split once."""
    *others, split = [split for split in SPLITS if run.stats.rows(split)]
    gauc_by, sliced = _gauc_by(run.spec), _sliced_fields(run, split)
    by_split: dict[str, Metrics] = {
        other: evaluate(model, run, other, batch_size=_BATCH_SIZE, gauc_by=gauc_by, slices=[]) for other in others
    }
    ranking = run.spec.evaluation.ranking
    scores = score_split(model, run, split, batch_size=_BATCH_SIZE, gauc_by=gauc_by, slices=sliced, ranking=ranking)
    measured = measure(scores, run, gauc_by=gauc_by, slices=sliced, ranking=ranking)
    slices = measured.pop("slices", {})
    return Quality(by_split | {split: measured}, split, scores, slices, gauc_by)


def _gauc_by(spec: Spec) -> str | None:
    """Returns the spec's `gauc_by`, else the first categorical field with `user` in its name."""
    users = [name for name in spec.fields_of(CategoricalField) if "user" in name and name not in spec.train_only]
    return spec.evaluation.gauc_by or next(iter(users), None)


def _sliced_fields(run: Run, split: str) -> list[str]:
    """Returns the multivalued fields, and the categorical ones with the most OOV values and the smallest vocabulary."""
    spec, stats = run.spec, run.stats
    categorical = list(spec.fields_of(CategoricalField))
    by_oov = sorted(categorical, key=lambda name: -(stats.fields[name].oov_share(split) or 0))
    by_size = sorted(categorical, key=lambda name: run.vocabulary_sizes[spec.vocabulary_of(name)])
    chosen = [*spec.evaluation.slices, *by_oov[: _SLICED_FIELDS - 1], *by_size[:1]]
    names = dict.fromkeys([*spec.fields_of(MultivaluedField), *chosen])
    return [name for name in names if name not in spec.train_only]
