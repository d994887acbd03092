"""Warns about multivalued fields: texts that were not split, and rows padded to one list that is far too long."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from ...transforms.errors import FieldpoolWarning
from ...transforms.runs.run_stats import FieldStats, RunStats, total
from ...transforms.spec import ListForm, MultivaluedField, Spec
from ..analysis.lengths import open_lengths, percentile
from ..arrow_lists import is_list
from ..rows import columns
from ..rows.separators import joined_lists, present_values
from ..sources.batches import SourceBatch
from ..sources.list_texts import FORMS, is_list_text

# The number of rows, from the start, that are searched.
LOOKED_AT = 10_000

# A separator must be in more than this share of the texts. Values that occur once count only if there are this many.
_MOST = 0.5
_MANY = 50

_LONGEST_EXAMPLE = 60

# The padding that is warned about: at least 1000 values a row, 8 kB, and more than 10 times the length of most lists.
_LONG, _FAR_LONGER = 1000, 10

# The number of distinct texts that are tried as lists in the syntax of JSON and Python.
_PARSED = 100


def warn_of_unsplit_lists(spec: Spec, stats: RunStats, batches: Iterable[SourceBatch]) -> None:
    """Warns about each multivalued field whose lists have at most one value each, if its texts look like lists.

    They do if most of them contain a separator, or if there are many values and most of them occur only once.

    Args:
        spec: The spec of a run.
        stats: The counts of the run.
        batches: Its first rows; only iterated if there is such a field.
    """
    lists = {
        name: field
        for name, field in spec.fields_of(MultivaluedField).items()
        if field.list is None and field.derivation is None
    }
    suspects = {name: field for name, field in lists.items() if _has_only_single_values(stats.fields[name])}
    if not suspects:
        return
    data = [batch.data for batch in batches if batch.data.num_rows]
    for name, field in suspects.items():
        raw = [batch[spec.column_of(name)] for batch in data]
        bags = [columns.bags(c, field.separator, name, trim=field.trim) for c in raw if not is_list(c.type)]
        texts = [present_values(of_batch.values) for of_batch in bags]
        of_field = pa.chunked_array(texts, columns.TEXT).combine_chunks()
        form, now = _form_of(of_field), f"is {field.separator!r}" if field.separator else "is not set"
        remedy = f"`separator` {now} in the spec. Set it to the separator of the lists, or use `type: categorical`"
        if form is not None:
            fault: str | None = f"the texts are lists in the syntax of {form}"
            remedy = f"set `list: {form}`"
        else:
            fault = _fault(of_field, stats, stats.fields[name])
        if fault:
            message = f"field {name}: every list has at most one value, but {fault}; {remedy}"
            warnings.warn(message, FieldpoolWarning, stacklevel=3)


def warn_of_long_padding(spec: Spec, resolved: Spec, stats: RunStats) -> None:
    """Warns about each field with `max_len: auto` whose longest list is far longer than most; rows are padded to it.

    Args:
        spec: The spec that was given.
        resolved: The spec of the run, with numbers for `auto`.
        stats: The counts of the run.
    """
    for name, field in open_lengths(spec).items():
        rows_by_length = (stats.fields[name].lengths or {}).get("train", {})
        usual = percentile({length: rows for length, rows in rows_by_length.items() if length}, 99)
        length = resolved.fields[name].shape[0]
        if field.max_len == "auto" and length >= _LONG and length > _FAR_LONGER * usual:
            message = (
                f"field {name}: every row is padded to {length:,} values, the longest list of train, but 99% of the "
                f"lists with values have at most {usual:,}; set `max_len: {usual}`"
            )
            warnings.warn(message, FieldpoolWarning, stacklevel=3)


def _has_only_single_values(field: FieldStats) -> bool:
    return total(field.values) > 0 and max(max(rows, default=0) for rows in (field.lengths or {}).values()) <= 1


def _fault(texts: pa.Array, stats: RunStats, field: FieldStats) -> str | None:
    """Returns why texts look like lists, None if they do not."""
    found = joined_lists(texts, _MOST)
    if found is not None:
        lists = texts.filter(pc.match_substring(texts, found.separator.strip(" ").encode() or b" "))
        shown = lists[0].as_py().decode("utf-8", "backslashreplace")[:_LONGEST_EXAMPLE]
        return f"{found.share:.0%} of the texts look like lists with the separator {found.separator!r} ({shown!r})"
    # Of a shared vocabulary, `distinct` also counts the values of other fields.
    distinct, of_train = stats.vocabularies[field.vocabulary or ""].distinct, field.values["train"]
    if len(texts) >= _MANY and 2 * distinct > of_train and 2 * pc.count_distinct(texts).as_py() > len(texts):
        return f"most values occur only once ({distinct:,} distinct values in {of_train:,} train rows)"
    return None


def _form_of(texts: pa.Array) -> ListForm | None:
    """Returns the syntax in which most texts are lists."""
    some = pc.unique(texts)[:_PARSED].to_pylist()
    for form in FORMS:
        if sum(map(partial(is_list_text, form=form), some)) > _MOST * len(some):
            return form
    return None
