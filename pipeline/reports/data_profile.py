"""Looks at a click log before anything is trained: proposes a spec, with reasons, and draws what is in the fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from ...transforms.errors import UserError
from ...transforms.spec import SPLITS, MultivaluedField, NumericField, Quantiles, Source, Spec, TimeSplit
from ..counts.spec_resolution import open_lengths, percentile
from ..rows import columns
from ..rows.checks import check_rows
from ..rows.read_rows import sample_rows
from ..rows.splits import times_of
from ..sources.files import find_files
from ..sources.readers import SourceBatch, all_columns
from ..spec_file import parse_spec
from .field_profile import FieldProfile
from .pages import megabytes, number, render, share
from .spec_proposal import Proposal, propose

SAMPLE_ROWS = 200_000
_EXAMPLES = 5

# A field of which more is new in the eval split than this teaches nothing.
_NEWS = 0.95


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


def profile(
    patterns: Sequence[str], *, rows: int = SAMPLE_ROWS, label: str | None = None, source: Source | None = None
) -> DataProfile:
    """Returns what about `rows` rows of the files say, evenly taken from beginning to end.

    Args:
        patterns: Files, or patterns that match them.
        rows: Rows to look at; all are looked at if there are no more.
        label: The label's column, where it cannot be guessed.
        source: How to read the files, where that cannot be told from their names.

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
    spec = parse_spec(proposal.spec, "the proposed spec")
    checked, splits, rejected = _checked(batches, _with_boundaries(spec, table))
    fields = [_field_profile(name, spec, checked, splits, proposal) for name in spec.fields]
    fields, spec = _without_news(fields, proposal)
    counts = {split: int((splits == code).sum()) for code, split in enumerate(SPLITS)}
    return DataProfile(proposal, spec, _shared_once(fields, spec), counts | {"rejected": rejected})


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


def page(found: DataProfile, title: str) -> str:
    """Returns the HTML page of a profile."""
    total = sum(found.rows.values())
    tables = [field.embedding_mb for field in found.fields if field.embedding_mb is not None]
    content = {
        "title": title,
        "subtitle": f"A sample of {total:,} rows, evenly taken from beginning to end.",
        "tiles": [
            ("rows", number(total)),
            *((split, share(found.rows[split] / total)) for split in SPLITS),
            ("rejected", number(found.rows["rejected"])),
            ("fields", number(len(found.fields))),
            ("tables MB", megabytes(sum(tables))),
        ],
        "fields": found.fields,
        "field_hints": "Distinct tokens, lists and what is cut are those of the sample's train rows. OOV shares are "
        "estimates: with all rows the vocabulary is larger, and they are smaller. MB are of the embedding table in "
        "float32 with its linear weights.",
        "left_out": list(found.proposal.left_out.items()),
        "spec_yaml": spec_text(found),
    }
    return render("profile.html", content)


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _with_boundaries(spec: Spec, table: pa.Table) -> Spec:
    """Returns the spec with a time split's boundaries, and with all lengths as numbers that cut nothing."""
    split = spec.split
    if isinstance(split, TimeSplit):
        times = times_of(table[split.time].combine_chunks(), split.time)
        ends = np.nanquantile(times, [split.train, split.train + split.eval])
        split = split.model_copy(update={"eval_from": float(ends[0]), "test_from": float(ends[1])})
    longest = {name: spec.fields[name].model_copy(update={"max_len": 100_000}) for name in open_lengths(spec)}
    return spec.model_copy(update={"split": split, "fields": spec.fields | longest})


def _checked(batches: Sequence[SourceBatch], spec: Spec) -> tuple[pa.Table, np.ndarray, int]:
    """Returns the rows that can be used, their splits, and how many cannot."""
    rows, splits, rejected = [], [], 0
    for batch in batches:
        good, codes, bad = check_rows(batch, spec)
        rejected += len(bad)
        if good.num_rows:
            rows.append(pa.Table.from_batches([good]))
            splits.append(codes)
    if not rows:
        raise UserError(f"{batches[0].source}: no row can be used")
    return pa.concat_tables(rows), np.concatenate(splits), rejected


def _field_profile(name: str, spec: Spec, rows: pa.Table, splits: np.ndarray, proposal: Proposal) -> FieldProfile:
    field, values = spec.fields[name], rows[name].combine_chunks()
    reasons = proposal.reasons.get(name, [])
    if isinstance(field, NumericField):
        present = np.asarray(values.drop_null())
        low, middle, high = np.percentile(present, [0, 50, 100]).tolist() if len(present) else [np.nan] * 3
        numbers = {"smallest": low, "median": middle, "largest": high}
        numbers |= {"mean": float(present.mean()), "standard deviation": float(present.std())} if len(present) else {}
        table_rows = field.scale.quantiles + 1 if isinstance(field.scale, Quantiles) else None
        missing = 1 - len(present) / len(values)
        return FieldProfile(name, field.type, missing, table_rows=table_rows, numbers=numbers, reasons=reasons)

    settings = spec.resolved_vocabularies()[spec.vocabulary_of(name)]
    tokens = {split: _tokens(values.filter(pa.array(splits == code))) for code, split in enumerate(SPLITS)}
    users = spec.vocabulary_fields()[spec.vocabulary_of(name)]
    counts: Counter[bytes] = Counter()
    for user in users:  # A shared vocabulary is fed by all its fields.
        of_train = _tokens(rows[user].combine_chunks().filter(pa.array(splits == 0)))
        counts.update(dict(zip(*(c.to_pylist() for c in pc.value_counts(of_train).flatten()), strict=True)))
    known = pa.array([token for token, times in counts.items() if times >= settings.min_count], columns.TEXT)
    own = np.sort(np.asarray(pc.value_counts(tokens["train"]).field("counts")))[::-1]
    lengths = columns.bag_lengths(values) if isinstance(field, MultivaluedField) else None
    of_train = Counter(lengths[splits == 0].tolist()) if lengths is not None else None
    profile = FieldProfile(
        name,
        field.type,
        missing=float((lengths == 0).mean()) if lengths is not None else values.null_count / len(values),
        distinct=len(counts),
        tokens=len(known),
        oov_eval=_share_unknown(tokens["eval"], known),
        oov_test=_share_unknown(tokens["test"], known),
        counts=own,
        values=int(own.sum()),
        lengths=of_train,
        dim=settings.dim or spec.model.embedding_dim,
        table_rows=1 + settings.num_oov + len(known),
        shared=spec.vocabulary_of(name) if len(users) > 1 else None,
        reasons=reasons,
        examples=[token.decode("utf-8", "backslashreplace") for token, _ in Counter(counts).most_common(_EXAMPLES)],
    )
    if not isinstance(field, MultivaluedField) or of_train is None:
        return profile
    max_len = field.max_len if isinstance(field.max_len, int) else max(1, percentile(of_train, 100.0))
    return replace(profile, max_len=max_len)


def _without_news(fields: list[FieldProfile], proposal: Proposal) -> tuple[list[FieldProfile], Spec]:
    """Leaves out single values that are nearly all new in the eval split; returns the fields left and their spec."""
    left = []
    for field in fields:
        if field.type == "categorical" and not field.shared and (field.oov_eval or 0) > _NEWS and len(fields) > 1:
            column = proposal.spec["fields"].pop(field.name).get("column", field.name)
            proposal.left_out[column] = f"{field.oov_eval:.0%} of its values in the eval split are new"
        else:
            left.append(field)
    return left, parse_spec(proposal.spec, "the proposed spec")


def _tokens(values: pa.Array) -> pa.Array:
    flat = pc.list_flatten(values) if pa.types.is_large_list(values.type) else values.drop_null()
    return flat.filter(pc.not_equal(flat, pa.scalar(b"", columns.TEXT)))


def _share_unknown(tokens: pa.Array, known: pa.Array) -> float | None:
    return 1 - pc.mean(pc.is_in(tokens, value_set=known)).as_py() if len(tokens) else None


def _shared_once(fields: Sequence[FieldProfile], spec: Spec) -> list[FieldProfile]:
    """Returns the fields with the table of a shared vocabulary counted for the first of them alone."""
    firsts = {users[0] for users in spec.vocabulary_fields().values()}
    return [replace(f, table_rows=None) if f.shared and f.name not in firsts else f for f in fields]
