"""Tables that other programs write in random dialects are read as if the dialect had been stated."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from random_tables import WRITERS, random_table, write

from fieldpool.pipeline.sniffing.sniff import sniff_files
from fieldpool.pipeline.sources.formats.csv_header import header_of
from fieldpool.pipeline.sources.readers import read_batches
from fieldpool.pipeline.sources.source_file import source_file
from fieldpool.transforms.spec import Source

Table = tuple[list[str], list[dict[str, Any]], list[int]]


def table_of(path: Path, source: Source) -> Table:
    """Returns the names of the columns, the rows, and the numbers of rejected rows."""
    names = header_of(source_file(str(path), source)) or []
    batches = list(read_batches(str(path), source, names))
    rows = [row for batch in batches if batch.data.num_rows for row in batch.data.to_pylist()]
    return names, rows, [row.row for batch in batches for row in batch.rejected]


def draw(seed: str, folder: Path, most_rows: int) -> tuple[str, str]:
    """Returns whether a random table is read as if its dialect were stated: same, reported or other; and a message."""
    writer, _ = seed.split()
    rng = random.Random(seed)
    written = write(random_table(rng, most_rows), writer, rng)
    if written is None:
        return "skipped", ""
    text = written.content.decode("utf-8-sig")
    encoding = rng.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "cp1252"])
    with contextlib.suppress(UnicodeEncodeError):
        written = replace(written, content=text.encode(encoding), source=written.source | {"encoding": encoding})
    path = folder / f"table.{rng.choice(['csv', 'txt', 'tsv', 'dat'])}"
    path.write_bytes(written.content)
    found = sniff_files([str(path)], Source())
    stated = Source(**written.source)
    if table_of(path, found.source) == table_of(path, stated):
        if found.is_default:
            assert table_of(path, Source()) == table_of(path, stated), seed
        return "same", ""
    is_reported = any("not certain" in reason for reason in found.reasons.values())
    return "reported" if is_reported else "other", f"{seed}: {written.options}; found {found}; {text[:200]!r}"


@pytest.mark.parametrize("writer", WRITERS)
def test_random_tables(writer: str, tmp_path: Path) -> None:
    draws = [draw(f"{writer} {seed}", tmp_path, most_rows=40) for seed in range(17)]
    assert [message for _, message in draws if message] == []


@pytest.mark.faults
def test_thousands_of_random_tables(tmp_path: Path) -> None:
    """Draws 2,000 tables; prints the share of each writer that is read as if its dialect were stated."""
    counts: dict[str, Counter[str]] = {writer: Counter() for writer in WRITERS}
    others, seed = [], 0
    while sum(sum(count.values()) for count in counts.values()) < 2000:
        for writer, count in counts.items():
            result, message = draw(f"{writer} {seed}", tmp_path, most_rows=200)
            count.update([result] if result != "skipped" else [])
            if message:
                print(result, message)
                others += [message] if result == "other" else []
        seed += 1
    for writer, count in counts.items():
        print(f"{writer}: {count['same'] / count.total():.2%} of {count.total()} tables")
    total = sum(counts.values(), Counter[str]())
    print(f"all: {total['same'] / total.total():.2%}; {total}")
    assert total["same"] >= 0.99 * total.total()
    assert others == []
