"""The identity of a run: what its ids and numbers mean."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from handmade_run import write_run
from served_model import Served
from tiny_run import SPEC, TOKENS

from fieldpool.transforms.runs.identity import Identity
from fieldpool.transforms.runs.run import Run


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Run(write_run(tmp_path_factory.mktemp("first") / "run", SPEC, TOKENS, {})).identity


def with_field(name: str, **settings: Any) -> dict[str, Any]:
    return SPEC | {"fields": SPEC["fields"] | {name: SPEC["fields"].get(name, {}) | settings}}


def test_identity_is_the_same_after_json(identity: Identity) -> None:
    assert Identity.from_json(json.loads(json.dumps(identity.as_json()))) == identity


@pytest.mark.parametrize(
    ("spec", "tokens", "expected"),
    [
        (with_field("seen", max_len=5), "abcd", ["fields.seen: max_len 4 in the model, 5 in the run"]),
        (with_field("seen", keep="last"), "abcd", ["fields.seen: keep 'first' in the model, 'last' in the run"]),
        (with_field("seen", weights="w"), "abcd", ["fields.seen: weighted False in the model, True in the run"]),
        (with_field("age", missing=1.0), "abcd", ["fields.age: missing 'mean' in the model, 1.0 in the run"]),
        (with_field("new", type="numeric"), "abcd", ["fields.new: only in the run"]),
        (SPEC, "abdc", ["vocabulary items: the same 4 tokens in another order"]),
        (SPEC, "abce", ["vocabulary items: 4 tokens in both, but not the same ones"]),
        (SPEC, "abcde", ["vocabulary items: 4 tokens in the model, 5 in the run"]),
        (
            SPEC | {"vocabularies": {"items": {"num_oov_buckets": 2}}},
            "abcd",
            ["vocabulary items: num_oov_buckets 1 in the model, 2 in the run"],
        ),
    ],
)
def test_differences_name_the_field_or_vocabulary(
    identity: Identity, tmp_path: Path, spec: dict[str, Any], tokens: str, expected: list[str]
) -> None:
    other = Run(write_run(tmp_path / "run", spec, {"items": [token.encode() for token in tokens]}, {}))
    assert identity.differences(other.identity, "the model", "the run") == expected


@pytest.mark.parametrize(
    "spec",
    [
        with_field("item", column="product"),
        with_field("seen", separator="|", pooling="sum"),
        with_field("age", clip=10_000.0),  # What `auto` means with zscore.
        with_field("age", side="user"),
        SPEC | {"vocabularies": {"items": {"dim": 8, "min_count": 2}}},
        SPEC | {"train": {"epochs": 9}, "check": {"oov": 0.5}, "model": {"embedding_dim": 2}},
    ],
    ids=["column", "separator and pooling", "clip", "side", "dim and min_count", "train, check and model"],
)
def test_settings_that_do_not_change_the_meaning_are_not_compared(
    identity: Identity, tmp_path: Path, spec: dict[str, Any]
) -> None:
    assert Run(write_run(tmp_path / "run", spec, TOKENS, {})).identity == identity


def test_setting_that_only_a_later_version_writes_is_not_compared(identity: Identity) -> None:
    content = identity.as_json()
    content["fields"]["age"]["winsorize"] = 0.01
    later = Identity.from_json(content)
    assert later.differences(identity, "the model", "the run") == []
    assert identity.differences(later, "the model", "the run") == []


def test_longer_vocabulary_can_be_recognised_by_its_first_lines(identity: Identity) -> None:
    before = identity.vocabularies["items"]
    lines = [b"a\n", b"b\n", b"c\n", b"d\n", b"new\n"][: before.tokens]
    assert hashlib.sha256(b"".join(lines)).hexdigest() == before.sha256


def test_statistics_are_those_of_the_transform(served: Served) -> None:
    run = Run(str(served.run))
    train = run.stats.fields["age"].numbers["train"]
    assert run.identity.numbers["age"] == {"mean": train.mean, "std": train.std}
    assert list(run.identity.numbers["price"]) == ["boundaries"]


def test_model_training_and_export_have_the_identity(served: Served) -> None:
    from fieldpool.model.training.folder import load_model

    expected = Run(str(served.run)).identity
    assert Identity.from_json(load_model(str(served.model)).identity) == expected
    for path in (served.model / "training.json", served.export / "assets.extra" / "identity.json"):
        content = json.loads(path.read_text())
        assert Identity.from_json(content.get("identity", content)) == expected
