"""Looks at a click log before anything is trained: proposes a spec, with reasons, and draws what is in the fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from ...transforms.errors import UserError
from ...transforms.spec import SPLITS, Source, Spec, TimeSplit
from ..counts.spec_resolution import open_lengths
from ..rows.splits import times_of
from ..sources.files import find_files
from ..sources.readers import all_columns
from ..sources.sample import sample_rows
from ..spec_file import parse_spec
from .field_profile import FieldProfile
from .pages import Header, megabytes, number, render, share
from .sample_profile import check_sample, field_profiles
from .spec_proposal import Proposal, propose

SAMPLE_ROWS = 200_000

# A field teaches nothing if a larger share than this of its values in the eval split is new.
_MOST_NEW = 0.95

# The longest list that a spec can allow.
_LONGEST = 100_000


@dataclass(frozen=True)
class DataProfile:
    """What a sample of a click log holds, and the spec that is proposed for it.

    Attributes:
        proposal: The spec as YAML has it, with reasons.
        spec: The same, validated.
        fields: What is in each field, under that spec.
        rows: Rows of the sample by split, and `rejected`.
    """

    proposal: Proposal
    spec: Spec
    fields: list[FieldProfile]
    rows: dict[str, int]


def profile_data(
    patterns: Sequence[str], *, rows: int = SAMPLE_ROWS, label: str | None = None, source: Source | None = None
) -> DataProfile:
    """Returns what about `rows` rows of the files say, evenly taken from beginning to end.

    Args:
        patterns: Files, or patterns that match them.
        rows: Rows to look at; all if there are no more.
        label: The label's column, where it cannot be guessed.
        source: How to read the files, where their names do not say it.

    Raises:
        UserError: a file cannot be read, or there is no label.
    """
    files, source = [file.path for file in find_files(patterns)], source or Source()
    names = all_columns(files[:1], source)
    batches = [batch for batch in sample_rows(files, source, names, rows) if batch.data.num_rows]
    if not batches:
        raise UserError(f"{files[0]}: holds no rows")
    table = pa.concat_tables([pa.Table.from_batches([b.data]) for b in batches], promote_options="permissive")
    proposal = propose(table, files, label=label)
    of_source = source.model_dump(mode="json", exclude_unset=True)
    if of_source:
        proposal.spec = {"source": of_source, **proposal.spec}
    spec = _validated(proposal)
    sample = check_sample(batches, _with_boundaries(spec, table))
    fields = _without_new_values(field_profiles(spec, sample, proposal.reasons), proposal)
    by_split = {split: int(sample.is_in(split).sum()) for split in SPLITS}
    return DataProfile(proposal, _validated(proposal), fields, by_split | {"rejected": sample.rejected})


def spec_text(found: DataProfile) -> str:
    """Returns the proposed spec as YAML, with the reasons as comments."""
    proposal = found.proposal
    lines = ["# Proposed by `fieldpool profile`: read it, change what you know better, then `fieldpool explain` it."]
    for section, value in proposal.spec.items():
        if section == "vocabularies" and not value:
            continue
        if section in ("fields", "vocabularies"):
            lines += ["", f"{section}:"]
            for name, settings in value.items():
                reasons = proposal.reasons.get(name, []) if section == "fields" else []
                lines += [f"  # {'; '.join(reasons)}"] if reasons else []
                lines.append(f"  {_flow(name)}: {_flow(settings)}")
        else:
            lines.append(f"{section}: {_flow(value)}" + "".join(f"  # {r}" for r in proposal.reasons.get(section, [])))
    if proposal.left_out:
        lines += ["", "# Left out:", *(f"#   {name}: {reason}" for name, reason in proposal.left_out.items())]
    return "\n".join(lines) + "\n"


def profile_page(found: DataProfile, title: str) -> str:
    """Returns the HTML page of a profile."""
    total = sum(found.rows.values())
    tables = [field.embedding_mb for field in found.fields if field.embedding_mb is not None]
    header = Header(
        title=title,
        subtitle=f"A sample of {total:,} rows, evenly taken from beginning to end.",
        tiles=[
            ("rows", number(total)),
            *((split, share(found.rows[split] / total)) for split in SPLITS),
            ("rejected", number(found.rows["rejected"])),
            ("fields", number(len(found.fields))),
            ("tables MB", megabytes(sum(tables))),
        ],
    )
    return render("profile.html", header=header, profile=found, spec_yaml=spec_text(found))


def _validated(proposal: Proposal) -> Spec:
    return parse_spec(proposal.spec, "the proposed spec")


def _flow(value: Any) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    # YAML ends the document of a lone scalar with three dots.
    return text.removesuffix("\n").removesuffix("\n...")


def _with_boundaries(spec: Spec, table: pa.Table) -> Spec:
    """Returns the spec with a time split's boundaries, and with all lengths as numbers that truncate nothing."""
    split = spec.split
    if isinstance(split, TimeSplit):
        times = times_of(table[split.time].combine_chunks(), split.time)
        ends = np.nanquantile(times, [split.train, split.train + split.eval])
        split = split.model_copy(update={"eval_from": float(ends[0]), "test_from": float(ends[1])})
    longest = {name: field.model_copy(update={"max_len": _LONGEST}) for name, field in open_lengths(spec).items()}
    return spec.model_copy(update={"split": split, "fields": spec.fields | longest})


def _without_new_values(fields: Sequence[FieldProfile], proposal: Proposal) -> list[FieldProfile]:
    """Leaves fields out of the proposal whose single values are nearly all new in the eval split; returns the others.

    A field that shares its vocabulary stays, and so does the only one.
    """
    left = []
    for field in fields:
        can_go = field.type == "categorical" and not field.shared and len(fields) > 1
        if can_go and (field.oov_eval or 0) > _MOST_NEW:
            column = proposal.spec["fields"].pop(field.name).get("column", field.name)
            proposal.left_out[column] = f"{field.oov_eval:.0%} of its values in the eval split are new"
        else:
            left.append(field)
    return left
