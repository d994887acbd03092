"""`fieldpool profile`: proposes a spec for a click log, with reasons, and describes the data of each field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...transforms.spec import SPLITS, Source, Spec, TimeSplit
from ..analysis.lengths import open_lengths
from ..analysis.time_units import resolve_unit, with_boundaries
from ..proposal.spec_proposal import Proposal
from ..rows.times import read_times
from ..sources.files import find_files
from ..spec_file import parse_spec
from .field_profile import FieldProfile
from .file_proposal import propose_for_files
from .pages import Header, megabytes, number, render, share
from .profile_files import spec_text
from .sample_profile import check_sample, field_profiles

SAMPLE_ROWS = 200_000

# A field is left out if more than this share of its values in the eval split is not in the vocabulary.
_MAX_NEW = 0.95

# The largest share of rejected rows that a proposal allows.
_MAX_REJECTED = 0.05

# The largest `max_len` of a spec.
_LONGEST = 100_000


@dataclass(frozen=True)
class DataProfile:
    """The profile of a sample of a click log, and the spec proposed for it.

    Attributes:
        proposal: The proposed spec as plain values, with reasons.
        spec: The same spec, validated; None if it has no label, which a person must add.
        fields: The profile of each field under that spec.
        rows: The number of rows in the sample by split, and of `rejected` ones.
    """

    proposal: Proposal
    spec: Spec | None
    fields: list[FieldProfile]
    rows: dict[str, int]


def profile_data(
    patterns: Sequence[str], *, rows: int = SAMPLE_ROWS, label: str | None = None, source: Source | None = None
) -> DataProfile:
    """Returns the profile of about `rows` rows, evenly sampled from the files.

    Args:
        patterns: Paths or glob patterns of the files.
        rows: The size of the sample; smaller files are read completely.
        label: The label's column, if it cannot be guessed.
        source: Entries of `source` that are known; the others are found from the content of the files.

    Raises:
        UserError: a file cannot be read, there are no rows, or the given column cannot be the label.
    """
    files = [file.path for file in find_files(patterns)]
    found = propose_for_files(files, rows, label, source or Source())
    proposal, has_label = found.proposal, "label" in found.proposal.spec
    spec = _validated(proposal)
    sample = check_sample(found.batches, _with_boundaries(spec, found.table), label=has_label)
    fields = _drop_unseen_fields(field_profiles(spec, sample, proposal.reasons), proposal)
    by_split = {split: int(sample.is_in(split).sum()) for split in SPLITS}
    _allow_rejected(proposal, sample.rejected / (sample.rejected + sum(by_split.values())))
    proposed = _validated(proposal) if has_label else None
    return DataProfile(proposal, proposed, fields, by_split | {"rejected": sample.rejected})


def _allow_rejected(proposal: Proposal, share: float) -> None:
    """Raises `max_rejected` of the proposal if the share of rejected rows in the sample is near it, up to 5 %."""
    if share > proposal.spec["max_rejected"] / 2:
        proposal.spec["max_rejected"] = min(_MAX_REJECTED, math.ceil(200 * share) / 100)
        proposal.reasons["max_rejected"] = [f"{share:.2%} of the rows of the sample are rejected"]


def profile_page(found: DataProfile, title: str) -> str:
    """Returns the HTML page of a profile."""
    total = sum(found.rows.values())
    tables = [field.embedding_mb for field in found.fields if field.embedding_mb is not None]
    header = Header(
        title=title,
        subtitle=f"A sample of {total:,} rows, evenly spread over the files.",
        tiles=[
            ("rows", number(total)),
            *((split, share(found.rows[split] / total)) for split in SPLITS),
            ("rejected", number(found.rows["rejected"])),
            ("fields", number(len(found.fields))),
            ("embeddings, MB", megabytes(sum(tables))),
        ],
    )
    return render("profile.html", header=header, profile=found, spec_yaml=spec_text(found.proposal))


def _validated(proposal: Proposal) -> Spec:
    """Returns the proposed spec; if it has no label, with one that no column has."""
    return parse_spec({"label": {"field": "(none)"}, **proposal.spec}, "the proposed spec")


def _with_boundaries(spec: Spec, table: pa.Table) -> Spec:
    """Returns the spec with the boundaries of a time split, and with open list lengths that truncate nothing."""
    split = spec.split
    if isinstance(split, TimeSplit):
        times = read_times(table[split.time].combine_chunks(), split.time, split.time_format)
        unit = resolve_unit(split, times)
        ends = np.nanquantile(times.seconds(unit), [split.train, split.train + split.eval])
        split = with_boundaries(split, float(ends[0]), float(ends[1]), unit)
    longest = {name: field.model_copy(update={"max_len": _LONGEST}) for name, field in open_lengths(spec).items()}
    return spec.model_copy(update={"split": split, "fields": spec.fields | longest})


def _drop_unseen_fields(fields: Sequence[FieldProfile], proposal: Proposal) -> list[FieldProfile]:
    """Removes categorical fields from the proposal whose values in the eval split are nearly all new; returns the rest.

    A field with a shared vocabulary is kept, and so is the only field.
    """
    kept = []
    for field in fields:
        is_removable = field.type == "categorical" and not field.shared and len(fields) > 1
        if is_removable and (field.oov_eval or 0) > _MAX_NEW:
            column = proposal.spec["fields"].pop(field.name).get("column", field.name)
            proposal.left_out[column] = f"{field.oov_eval:.0%} of its values in the eval split are new"
        else:
            kept.append(field)
    return kept
