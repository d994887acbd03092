"""The line about rejected rows: how many, why, and where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fieldpool.pipeline.terminal import rejected_rows
from fieldpool.pipeline.terminal.rejected_rows import rejected_line, show_rejected

NO_USER = {"field": "user_id", "reason": "the value is missing"}
LABEL_2 = {"field": "label", "reason": "expected a label of 0 or 1, found 2"}
LABEL_3 = {"field": "label", "reason": "expected a label of 0 or 1, found 3"}
NO_TIME = {"field": "ts", "reason": "not a time: expected a number or ISO 8601"}


def write_rejected(folder: Path, rows: list[dict[str, str]]) -> int:
    """Writes rejected rows as a run has them; returns their number."""
    (folder / "rejected").mkdir()
    (folder / "rejected" / "rows-00000-of-00001.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return len(rows)


def test_the_two_most_frequent_reasons_are_named_with_field_and_count(tmp_path: Path) -> None:
    rejected = write_rejected(tmp_path, [NO_TIME, *[NO_USER] * 1200, *[LABEL_2] * 3])
    assert rejected_line(f"{tmp_path}/", rejected) == (
        "1,204 rows rejected: user_id: the value is missing (1,200), label: expected a label of 0 or 1 (3), …; "
        f"see {tmp_path}/rejected"
    )


def test_reasons_that_differ_only_in_data_are_counted_together(tmp_path: Path) -> None:
    broken = [{"field": "", "reason": f"not a JSON object: column {column}"} for column in range(5)]
    rejected = write_rejected(tmp_path, [*broken, LABEL_2, LABEL_3])
    assert "7 rows rejected: not a JSON object (5), label: expected a label of 0 or 1 (2); see" in rejected_line(
        str(tmp_path), rejected
    )


def test_next_step_in_a_reason_is_left_out(tmp_path: Path) -> None:
    reason = "a quote is not closed; if quotes are text in this file, set `source: {quote: none}`"
    rejected = write_rejected(tmp_path, [{"field": "(row)", "reason": reason}])
    assert rejected_line(str(tmp_path), rejected).startswith("1 row rejected: (row): a quote is not closed (1); see")


def test_of_many_rejected_rows_only_the_first_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected_rows, "_COUNTED_ROWS", 2)
    rejected = write_rejected(tmp_path, [NO_USER, NO_USER, NO_TIME])
    line = rejected_line(str(tmp_path), rejected)
    assert line.startswith("3 rows rejected: of the first 2: user_id: the value is missing (2); see")


def test_without_rejected_rows_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_rejected(str(tmp_path), 0)
    assert capsys.readouterr().out == ""
