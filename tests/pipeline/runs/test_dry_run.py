"""`explain` pairs each raw row with the example made from it."""

from __future__ import annotations

from pathlib import Path

from fieldpool.pipeline.runs.dry_run import explain
from fieldpool.transforms.spec import Spec

SPEC = Spec.model_validate(
    {
        "key": "id",
        "label": {"field": "y"},
        "split": {"column": "s"},
        "fields": {"tags": {"type": "multivalued", "separator": "|", "max_len": 3}},
    }
)


def test_rows_of_several_files_and_splits_are_paired_with_their_examples(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,y,s,tags\na1,1,train,x|y\na2,5,train,x\na3,0,test,\na4,1,train,z\n")
    (tmp_path / "b.csv").write_text("id,y,s,tags\nb1,0,eval,y\nb2,1,nowhere,y\nb3,1,train,y|x|z|z\n")
    found = explain(SPEC, [str(tmp_path / "*.csv")], shown=10)
    assert [(Path(row.source).name, row.row, row.split, row.example.key) for row in found.rows] == [
        ("a.csv", 1, "train", "a1"),
        ("a.csv", 3, "test", "a3"),
        ("a.csv", 4, "train", "a4"),
        ("b.csv", 1, "eval", "b1"),
        ("b.csv", 3, "train", "b3"),
    ]
    assert [row.raw["id"].decode() for row in found.rows] == [row.example.key for row in found.rows]
    assert found.rows[-1].example.fields["tags"].tokens == ["y", "x", "z"]
    assert [(Path(row.source).name, row.row) for row in found.rejected] == [("a.csv", 2), ("b.csv", 2)]
    assert (found.stats.read, found.stats.rejected) == (7, 2)
