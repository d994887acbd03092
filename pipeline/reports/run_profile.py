"""What a run says of its fields, for a report: its statistics, and the ids of its train examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...model.examples import read_examples
from ...model.run import Run
from ...transforms.spec import SPLITS, MultivaluedField, NumericField, Quantiles
from .field_profile import FieldProfile

# Train examples whose ids are counted for the coverage curves.
_COUNTED_EXAMPLES = 500_000


def field_profiles(run: Run) -> list[FieldProfile]:
    """Returns what the run's statistics and the ids of its train examples say of each field."""
    stats, spec = run.stats, run.spec
    counts = _id_counts(run)
    profiles, seen = [], set()
    for name, field in spec.fields.items():
        entry = stats["fields"][name]
        rows = sum(stats[split] for split in SPLITS)
        missing = sum(entry.get("missing", entry.get("empty")).values()) / max(1, rows)
        if isinstance(field, NumericField):
            in_buckets = isinstance(field.scale, Quantiles)
            dim = (field.dim or spec.model.embedding_dim) if in_buckets else None
            table_rows = field.scale.quantiles + 1 if isinstance(field.scale, Quantiles) else None
            profiles.append(FieldProfile(name, field.type, missing, dim=dim, table_rows=table_rows))
            continue
        vocabulary = spec.vocabulary_of(name)
        settings = spec.resolved_vocabularies()[vocabulary]
        is_shared = len(spec.vocabulary_fields()[vocabulary]) > 1
        of_tokens = counts[name][1 + settings.num_oov :]
        profiles.append(
            FieldProfile(
                name,
                field.type,
                missing,
                distinct=stats["vocabularies"][vocabulary]["distinct"],
                tokens=stats["vocabularies"][vocabulary]["tokens"],
                oov_eval=out_of_vocabulary(entry, "eval"),
                oov_test=out_of_vocabulary(entry, "test"),
                counts=np.sort(of_tokens[of_tokens > 0])[::-1],
                values=int(counts[name][1:].sum()),
                lengths={int(n): rows for n, rows in entry["lengths"]["train"].items()} if "lengths" in entry else None,
                max_len=field.max_len if isinstance(field, MultivaluedField) else None,  # type: ignore[arg-type]
                dim=settings.dim or spec.model.embedding_dim,
                table_rows=None if vocabulary in seen else run.vocabulary_sizes[vocabulary],
                shared=vocabulary if is_shared else None,
            )
        )
        seen.add(vocabulary)
    return profiles


def out_of_vocabulary(entry: dict[str, Any], split: str) -> float | None:
    """Returns the share of a field's values of a split that are in no vocabulary; None without values."""
    return entry["oov"][split] / entry["values"][split] if entry["values"][split] else None


def _id_counts(run: Run) -> dict[str, np.ndarray]:
    """Returns how often each id of each looked-up field occurs in train, or in so many examples of it."""
    spec, batch_size = run.spec, 8192
    counts = {
        name: np.zeros(run.vocabulary_sizes[spec.vocabulary_of(name)], np.int64)
        for name, field in spec.fields.items()
        if not isinstance(field, NumericField)
    }
    for features, _ in read_examples(run, "train", batch_size=batch_size).take(_COUNTED_EXAMPLES // batch_size + 1):
        for name, total in counts.items():
            total += np.bincount(features[name].numpy().ravel(), minlength=len(total))
    return counts
