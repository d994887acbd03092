"""Proposes a spec for files: how to read them, and the fields that follow from a sample of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ...transforms.errors import UserError
from ...transforms.spec import Explode, Source
from ..proposal.column_sample import ColumnSample
from ..proposal.impressions import find_impressions
from ..proposal.spec_proposal import Proposal, propose
from ..rows.texts import NumberRule
from ..sniffing.sniff import sniff_files
from ..sources.batches import SourceBatch
from ..sources.readers import shown, usable_columns
from ..sources.sample import sample_rows
from .sample_table import sample_table


@dataclass(frozen=True)
class FileProposal:
    """The spec proposed for files, and the sample that it follows from.

    Attributes:
        proposal: The proposed spec, with the section `source` if a spec without it would not read the files so.
        batches: The sampled rows, as the proposed spec reads them; at least one row.
        table: The same rows.
    """

    proposal: Proposal
    batches: list[SourceBatch]
    table: pa.Table


def propose_for_files(files: Sequence[str], rows: int, label: str | None, given: Source) -> FileProposal:
    """Returns the spec proposed for files.

    The files are read again if the sample shows that rows must be exploded, or that words mean a missing value.

    Args:
        files: Paths, without wildcards.
        rows: The size of the sample.
        label: The label's column, if it cannot be guessed.
        given: Entries of `source` that are known.

    Raises:
        UserError: a file cannot be read, there are no rows, or the given column cannot be the label.
    """
    sniffed = sniff_files(files, given)
    source, reasons = sniffed.source, dict(sniffed.reasons)
    is_default = sniffed.is_default and not given.model_fields_set
    sample = _Sample.of(files, source, rows)
    numbered: dict[str, str] = {}
    found = None if source.explode else find_impressions(sample.table, label)
    if found is not None:
        source = _with(source, explode=Explode.model_validate(found.explode))
        label, is_default, reasons["explode"] = found.label, False, found.reason
        numbered = {name: "the number of the row that is exploded" for name in _row_numbers(sample.table)}
        sample = _Sample.of(files, source, rows).without(numbered)
    proposal = sample.proposal(files, source, label)
    if proposal.null_words and source.format in ("csv", "auto"):
        source = _with(source, null_values=[*source.null_values, *proposal.null_words])
        words = "; ".join(f"{word!r}: {reason}" for word, reason in proposal.null_words.items())
        is_default, reasons["null_values"] = False, "; ".join(filter(None, [reasons.get("null_values"), words]))
        sample = _Sample.of(files, source, rows).without(numbered)
        proposal = sample.proposal(files, source, label)
    if not is_default:
        of_source = source.model_dump(mode="json", exclude_unset=True)
        proposal.spec = {"source": of_source, **proposal.spec}
    proposal.of_source = reasons
    return FileProposal(proposal, sample.batches, sample.table)


@dataclass(frozen=True)
class _Sample:
    batches: list[SourceBatch]
    table: pa.Table
    left_out: dict[str, str]

    @classmethod
    def of(cls, files: Sequence[str], source: Source, rows: int) -> _Sample:
        """Returns a sample of the rows of files.

        Raises:
            UserError: there are no rows, or all of them are rejected.
        """
        names, left_out = usable_columns(files, source)
        sampled = sample_rows(files, source, names, rows)
        batches = [batch for batch in sampled if batch.data.num_rows or batch.rejected]
        tables = [batch.data for batch in batches if batch.data.num_rows]
        first = next((row for batch in sampled for row in batch.rejected), None)
        if not tables and first is not None:
            raise UserError(
                f"{first.source}: all rows of the sample are rejected; row {first.row}: {first.reason}. Correct the "
                "file, or how it is read (`profile`: --delimiter, --columns)"
            )
        if not tables:
            raise UserError(f"{shown(files)}: no rows; pass files with rows")
        return cls(batches, sample_table(tables), left_out)

    def without(self, left_out: Mapping[str, str]) -> _Sample:
        """Returns the sample without some columns, for reasons."""
        return replace(self, table=self.table.drop_columns(list(left_out)), left_out={**self.left_out, **left_out})

    def proposal(self, files: Sequence[str], source: Source, label: str | None) -> Proposal:
        """Returns the spec proposed for the sample."""
        rule = NumberRule.of(source)
        return propose(self.table, files, label=label, left_out=self.left_out, rule=rule)


def _row_numbers(table: pa.Table) -> list[str]:
    """Returns the columns of whole numbers that are different and dense, as the numbers of rows are."""
    samples = [ColumnSample(name, table[name].combine_chunks()) for name in table.column_names]
    whole = [sample for sample in samples if sample.is_whole and sample.is_unique]
    return [s.name for s in whole if s.numbers is not None and np.ptp(s.numbers) <= 2 * len(s.numbers)]


def _with(source: Source, **entries: object) -> Source:
    """Returns a source with other entries."""
    return Source.model_validate({**source.model_dump(exclude_unset=True), **entries})
