"""Which negative train rows a sample keeps: all positives, a share of the negatives, the same ones wherever it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fieldpool.pipeline.rows.checks import Checked, check_rows
from fieldpool.pipeline.rows.read_rows import CheckRows
from fieldpool.pipeline.sources.batches import SourceBatch
from fieldpool.pipeline.spec_file import parse_spec
from fieldpool.transforms.errors import SpecError
from fieldpool.transforms.spec import SPLITS, Spec
from fieldpool.transforms.spec.inputs import feature_columns, raw_columns

ROWS = 4000


def spec_of(sample: dict[str, Any] | None, **changes: Any) -> Spec:
    spec = {"label": {"field": "y"}, "split": {"column": "s"}, "fields": {"a": {"type": "categorical"}}}
    return Spec.model_validate({**spec, **({} if sample is None else {"sample": sample}), **changes})


def batch_of(rows: range = range(ROWS), source: str = "log/day=1/a.csv") -> SourceBatch:
    """Returns rows of which every fifth is positive, half are train, and 20 in a row have one group."""
    i = np.arange(rows.start, rows.stop)
    columns = {
        "id": [f"r{n}" for n in i],
        "y": (i % 5 == 0).astype(int),
        "s": np.array(["train", "train", "eval", "test"])[i // 5 % 4],
        "a": np.full(len(i), "x"),
        "group": [f"g{n // 20}" for n in i],
    }
    return SourceBatch(source, i + 1, pa.RecordBatch.from_pydict(columns))


def check(sample: dict[str, Any] | None, batch: SourceBatch | None = None, **changes: Any) -> Checked:
    return check_rows(batch or batch_of(), spec_of(sample, **changes))


def kept(checked: Checked) -> list[int]:
    numbers: list[int] = checked.numbers.tolist()
    return numbers


def test_all_positives_and_a_share_of_the_negatives_of_train_are_kept() -> None:
    checked = check({"negatives": 0.25})
    positive = np.asarray(checked.rows["label"]) == 1
    by_split = {name: checked.splits == code for code, name in enumerate(SPLITS)}
    assert sum(by_split["train"] & positive) == ROWS / 2 * 0.2
    assert sum(by_split["train"] & ~positive) == pytest.approx(0.25 * ROWS / 2 * 0.8, abs=60)
    assert [sum(by_split[name]) for name in ("eval", "test")] == [ROWS / 4, ROWS / 4]
    assert checked.sampled_out == ROWS - checked.rows.num_rows


def test_without_a_sample_and_with_a_share_of_1_all_rows_are_kept() -> None:
    assert kept(check(None)) == kept(check({"negatives": 1})) == list(range(1, ROWS + 1))


def test_the_sample_never_changes() -> None:
    """A new version of fieldpool must keep the same rows."""
    few, half = batch_of(range(10)), {"negatives": 0.5}
    assert kept(check(half, few)) == [1, 2, 5, 6]
    assert kept(check(half, few, key="id")) == [1, 2, 4, 6, 7, 10]
    assert kept(check(half | {"salt": "another"}, few, key="id")) != [1, 2, 4, 6, 7, 10]


@pytest.mark.parametrize("changes", [{}, {"key": "id"}], ids=["by place", "by key"])
def test_batches_do_not_matter(changes: dict[str, Any]) -> None:
    parts = [check({"negatives": 0.3}, batch_of(range(at, at + 500)), **changes) for at in range(0, ROWS, 500)]
    assert [number for part in parts for number in kept(part)] == kept(check({"negatives": 0.3}, **changes))


def test_rows_without_a_key_are_known_by_the_names_of_file_and_partition_and_by_their_number() -> None:
    first = kept(check({"negatives": 0.3}))
    assert kept(check({"negatives": 0.3}, batch_of(source="gs://bucket/copy/day=1/a.csv"))) == first
    assert kept(check({"negatives": 0.3}, batch_of(source="log/day=2/a.csv"))) != first
    assert kept(check({"negatives": 0.3}, batch_of(source="log/day=1/b.csv"))) != first


def test_with_a_key_the_file_does_not_matter() -> None:
    elsewhere = check({"negatives": 0.3}, batch_of(source="b.csv"), key="id")
    assert kept(elsewhere) == kept(check({"negatives": 0.3}, key="id"))


def test_the_negatives_of_a_group_stay_or_go_together_and_its_positives_stay() -> None:
    checked = check({"negatives": 0.5, "by": "group"}, split={"files": {"train": "*"}})
    in_group = np.bincount((checked.numbers - 1) // 20)
    assert set(in_group.tolist()) == {4, 20}  # The 4 positives, or all rows.
    assert sum(in_group == 20) / len(in_group) == pytest.approx(0.5, abs=0.1)


def test_rows_without_a_group_stay_or_go_by_themselves() -> None:
    batch = batch_of()
    without = batch.data.set_column(4, "group", pa.nulls(ROWS, pa.string()))
    found = check({"negatives": 0.5, "by": "group"}, SourceBatch(batch.source, batch.numbers, without))
    assert kept(found) == kept(check({"negatives": 0.5}))


def test_the_sample_is_independent_of_a_hash_split_by_the_same_column() -> None:
    split = {"hash": "group", "train": 0.5, "eval": 0.5, "test": 0}
    checked = check({"negatives": 0.5, "by": "group"}, split=split)
    rows = sum(check(None, split=split).splits == 0)
    assert checked.sampled_out / rows == pytest.approx(0.5 * 0.8, abs=0.1)


def test_a_row_that_is_rejected_is_not_sampled_out() -> None:
    batch = batch_of()
    wrong = batch.data.set_column(1, "y", pa.array(np.full(ROWS, 7)))
    checked = check({"negatives": 0.5}, SourceBatch(batch.source, batch.numbers, wrong))
    assert (len(checked.rejected), checked.sampled_out) == (ROWS, 0)


def test_predictions_do_not_sample_and_do_not_read_the_column() -> None:
    spec = spec_of({"negatives": 0.1, "by": "group"})
    assert "group" in raw_columns(spec)
    assert "group" not in feature_columns(spec)
    batch = SourceBatch("a.csv", np.arange(1, ROWS + 1), batch_of().data.select(["a"]))
    assert check_rows(batch, spec, label=False, split=False).rows.num_rows == ROWS


def test_rows_of_a_pipeline_need_a_key_or_groups() -> None:
    checks = CheckRows(spec_of({"negatives": 0.1}))
    checks.setup()
    with pytest.raises(SpecError, match=r"^sample: .* `key`, or `sample.by`"):
        next(checks.process(batch_of().data))
    with_key = CheckRows(spec_of({"negatives": 0.1}, key="id"))
    with_key.setup()
    assert next(with_key.process(batch_of().data)).sampled_out > 0


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ({"negatives": 0}, "sample.negatives"),
        ({"negatives": 1.5}, "sample.negatives"),
        ({"by": "group"}, "sample.negatives"),
        ({"negatives": 0.5, "by": "y"}, "sample.by: 'y' is the label"),
        ({"negatives": 0.5, "by": "a"}, "sample.by: expected a column that the model does not read, found 'a'"),
    ],
)
def test_wrong_samples_are_refused(sample: dict[str, Any], message: str) -> None:
    data = spec_of(None).model_dump(mode="json", exclude_unset=True) | {"sample": sample}
    with pytest.raises(SpecError) as error:
        parse_spec(data, "spec.yaml")
    assert message in str(error.value)
