"""The profiles of a run's fields, from its statistics and the ids of its train examples."""

from __future__ import annotations

import numpy as np

from ...model.examples import read_examples
from ...transforms.runs.run import Run
from ...transforms.runs.run_stats import total
from ...transforms.spec import EmbeddingTable
from .field_profile import FieldProfile

# The number of train examples whose ids are counted for the coverage curves.
_COUNTED_EXAMPLES = 500_000
_BATCH_SIZE = 8192


def field_profiles(run: Run) -> list[FieldProfile]:
    """Returns the profile of each field of a run."""
    counts = _id_counts(run)
    tables = run.spec.embedding_tables(run.vocabulary_sizes)
    profiles = []
    for name, field in run.spec.fields.items():
        # A shared table is counted once, with the first of its fields.
        table = tables.pop(run.spec.table_of(name), None) if field.is_embedded else None
        missing = total(run.stats.fields[name].absent) / max(1, run.stats.rows())
        if field.has_vocabulary:
            profiles.append(_of_tokens(run, name, missing, table, counts[name]))
        else:
            profiles.append(FieldProfile(name, field.type, missing, table=table))
    return profiles


def _of_tokens(
    run: Run, name: str, missing: float, table: EmbeddingTable | None, id_counts: np.ndarray
) -> FieldProfile:
    """Returns the profile of a field with a vocabulary, given the number of occurrences of each id in train."""
    spec, field, stats = run.spec, run.spec.fields[name], run.stats.fields[name]
    vocabulary = spec.vocabulary_of(name)
    settings, of_vocabulary = spec.vocabulary_settings_of(name), run.stats.vocabularies[vocabulary]
    first_token_id, is_hashed = settings.first_token_id, settings.hash_buckets is not None
    token_counts = id_counts[first_token_id:]
    return FieldProfile(
        name,
        field.type,
        missing,
        distinct=None if is_hashed and of_vocabulary.collisions is None else of_vocabulary.distinct,
        tokens=None if is_hashed else of_vocabulary.tokens,
        covered=of_vocabulary.vectors.covered if of_vocabulary.vectors else None,
        oov_eval=None if is_hashed else stats.oov_share("eval"),
        oov_test=None if is_hashed else stats.oov_share("test"),
        counts=np.sort(token_counts[token_counts > 0])[::-1],
        uncounted=int(id_counts[1:first_token_id].sum()),
        lengths=stats.lengths["train"] if stats.lengths is not None else None,
        max_len=field.shape[0] if field.is_list else None,
        table=table,
        shared=vocabulary if len(spec.vocabulary_fields()[vocabulary]) > 1 else None,
        hash_buckets=settings.hash_buckets,
        collisions=of_vocabulary.collisions,
        expected_collisions=of_vocabulary.expected_collisions,
    )


def _id_counts(run: Run) -> dict[str, np.ndarray]:
    """Returns by field the number of occurrences of each id in the first train examples, int64 `[table rows]`."""
    spec = run.spec
    counts = {
        name: np.zeros(run.vocabulary_sizes[spec.vocabulary_of(name)], np.int64)
        for name, field in spec.fields.items()
        if field.has_vocabulary
    }
    batches = read_examples(run, "train", batch_size=_BATCH_SIZE).take(_COUNTED_EXAMPLES // _BATCH_SIZE + 1)
    for features, *_ in batches:
        for name, of_field in counts.items():
            of_field += np.bincount(features[name].numpy().ravel(), minlength=len(of_field))
    return counts
