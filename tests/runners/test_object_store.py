"""Complete or absent on an object store, which has no folders: a folder is moved object by object."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Iterator

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.gcsio import GcsIO
from emulated_bucket import EmulatedBucket
from google.cloud import storage

from fieldpool.pipeline.folders.work_folder import Fingerprint, WorkFolder, work_folder
from fieldpool.pipeline.sources.files import check_unchanged, find_files, unchanged
from fieldpool.pipeline.sources.readers import check_input, read_batches
from fieldpool.pipeline.spec_file import load_spec
from fieldpool.transforms.errors import SourceChanged, SourceError, SpecError, TargetExists
from fieldpool.transforms.spec import Source

TARGET = "gs://pool/run"
PRINT = Fingerprint({"key": "id"})
PARTS = ("spec.yaml", "stats.json", "examples/train-0", "examples/train-1", "transform/graph/saved_model.pb")


class Killed(BaseException):
    """Simulates SIGKILL: no cleanup runs."""


@contextlib.contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Simulates a kill in the `step`-th request that changes the bucket, halfway if it is for several objects."""
    calls = 0

    def dying(request: Callable, changes: Callable[..., bool] = lambda *_: True) -> Callable:
        def call(self: GcsIO, what: str | list, *arguments: object, **named: object) -> object:
            nonlocal calls
            if not changes(*arguments):
                return request(self, what, *arguments, **named)
            calls += 1
            if calls < step:
                return request(self, what, *arguments, **named)
            if calls == step and isinstance(what, list):
                request(self, what[: len(what) // 2])
            raise Killed

        return call

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
        for name in ("copy_batch", "delete_batch", "delete"):
            patch.setattr(GcsIO, name, dying(getattr(GcsIO, name)))
        patch.setattr(GcsIO, "open", dying(GcsIO.open, lambda mode="r", *_: mode != "rb"))
        yield


def write(path: str, text: str) -> None:
    with FileSystems.create(path) as file:
        file.write(text.encode())


def make(text: str = "new", **options: object) -> None:
    with work_folder(TARGET, fingerprint=PRINT, **options) as work:  # type: ignore[arg-type]
        if not work.is_complete:
            fill(work, text)
        work.publish()


def fill(work: WorkFolder, text: str) -> None:
    for name in PARTS:
        write(FileSystems.join(work.result, name), text)
    write(FileSystems.join(work.result, "transform/graph/"), "")  # TensorFlow writes such an object for a folder.


def contents(bucket: EmulatedBucket) -> dict[str, bytes]:
    return {name.removeprefix("run/"): bucket.read(name) for name in bucket.files("run/")}


def run_of(text: str) -> dict[str, bytes]:
    return {"DONE": b""} | {name: text.encode() for name in PARTS}


def test_run_appears_only_when_published(bucket: EmulatedBucket) -> None:
    with work_folder(TARGET) as work:
        fill(work, "new")
        assert all(name.startswith(".work-") for name in contents(bucket))
        work.publish()
    assert contents(bucket) == run_of("new")


def test_error_removes_all_work(bucket: EmulatedBucket) -> None:
    def fail() -> None:
        with work_folder(TARGET) as work:
            fill(work, "new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(bucket) == {}


def test_run_is_replaced_only_with_overwrite(bucket: EmulatedBucket) -> None:
    make("old")
    with pytest.raises(TargetExists, match=r"exists already and is a run; .* replace it with --overwrite"):
        make()
    assert contents(bucket) == run_of("old")
    make(overwrite=True)
    assert contents(bucket) == run_of("new")


@pytest.mark.runners
@pytest.mark.parametrize(
    ("old", "resume", "step"),
    [(old, resume, step) for old, resume in ((False, True), (True, True), (True, False)) for step in range(7, 36)],
)
def test_after_a_kill_at_any_step_the_next_call_makes_the_run(
    bucket: EmulatedBucket, old: bool, resume: bool, step: int
) -> None:
    if old:
        make("old")
    with killed_at(step):
        make(overwrite=old)
    left = {name: text for name, text in contents(bucket).items() if not name.startswith(".work-")}
    if "DONE" in left:
        assert left in (run_of("old"), run_of("new"))
    make(resume=resume, overwrite="DONE" in left or not resume)
    assert contents(bucket) == run_of("new")


def test_unfinished_work_may_belong_to_another_process(bucket: EmulatedBucket) -> None:
    with killed_at(4):
        make()
    before = contents(bucket)
    with pytest.raises(TargetExists, match=r"another process is working in it, or was killed there .* --resume"):
        make()
    assert contents(bucket) == before


def test_spec_is_read_from_a_bucket(bucket: EmulatedBucket) -> None:
    path = bucket.write(
        "spec.yaml", b"key: id\nlabel: {field: click}\nsplit: {column: part}\nfields: {a: {type: numeric}}"
    )
    assert load_spec(path).key == "id"
    with pytest.raises(SpecError, match=r"gs://pool/other\.yaml: cannot read the spec"):
        load_spec("gs://pool/other.yaml")


def test_pattern_costs_one_listing_for_any_number_of_files(
    bucket: EmulatedBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(5):
        bucket.write(f"clicks/{day}.csv", b"id\n1\n")
    asked = []
    list_blobs = storage.Client.list_blobs
    monkeypatch.setattr(storage.Client, "list_blobs", lambda *a, **b: asked.append(a) or list_blobs(*a, **b))
    pattern = ["gs://pool/clicks/*.csv"]
    files = find_files(pattern)
    check_unchanged(files, pattern)
    assert len(asked) == 2
    bucket.write("clicks/3.csv", b"id\n1\n2\n")
    with pytest.raises(SourceChanged, match=r"clicks/3\.csv: has been written to .*5 bytes then, 7 now"):
        check_unchanged(files, pattern)


def test_changed_or_missing_file_is_reported(bucket: EmulatedBucket) -> None:
    path = bucket.write("clicks/1.csv", b"id\n1\n")
    (file,) = find_files(["gs://pool/clicks/*.csv"])
    with unchanged(file):
        pass
    with pytest.raises(SourceChanged, match="has been written to"), unchanged(file):
        bucket.write("clicks/1.csv", b"id\n1\n")
    FileSystems.delete([path])
    with pytest.raises(SourceChanged, match="is missing now"), unchanged(file):
        pass


def test_files_are_found_by_a_pattern(bucket: EmulatedBucket) -> None:
    paths = [bucket.write(f"clicks/{day}.csv", b"id\n1\n") for day in ("monday", "sunday")]
    bucket.write("clicks/readme.txt", b"")
    assert [(file.path, file.size) for file in find_files(["gs://pool/clicks/*.csv"])] == [(path, 5) for path in paths]
    with pytest.raises(SourceError, match="no such file"):
        find_files(["gs://pool/clicks/*.parquet"])


@pytest.mark.parametrize("pattern", ["gs://pool/clicks", "gs://pool/clicks/", "gs://pool/cl*", "gs://pool/clicks/dt*"])
def test_folder_stands_for_the_data_files_in_it(bucket: EmulatedBucket, pattern: str) -> None:
    paths = [bucket.write(f"clicks/{name}.csv", b"id\n1\n") for name in ("dt=1/part", "dt=2/part")]
    for name in ("_SUCCESS", ".hidden.csv", "_temporary/part.csv", "dt=1/.part.csv.crc"):
        bucket.write(f"clicks/{name}", b"")
    files = find_files([pattern])
    assert [file.path for file in files] == paths
    check_unchanged(files, [pattern])


def zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(archive := io.BytesIO(), "w") as file:
        file.writestr("rows.csv", content)
    return archive.getvalue()


def test_text_in_any_form_is_read(bucket: EmulatedBucket) -> None:
    tags = [f"é{i}" for i in range(3000)]
    csv = "tag\n" + "\n".join(tags)
    forms: list[tuple[str, bytes, dict[str, str]]] = [
        ("rows.csv.gz", gzip.compress(csv.encode()), {}),
        ("rows.csv.xz", lzma.compress(csv.encode()), {}),
        ("rows.csv.zip", zipped(csv.encode()), {}),
        ("packed.csv", bz2.compress(csv.encode()), {"compression": "bzip2"}),
        ("utf16.csv", csv.encode("utf-16"), {"encoding": "utf-16"}),
        ("rows.json", json.dumps([{"tag": tag} for tag in tags]).encode(), {"format": "json"}),
    ]
    for name, content, entries in forms:
        path, source = bucket.write(name, content), Source.model_validate(entries)
        assert check_input([path], source, ["tag"]) == ["tag"]
        found = [tag for batch in read_batches(path, source, ["tag"]) for tag in batch.data["tag"].to_pylist()]
        assert [tag if isinstance(tag, str) else tag.decode() for tag in found] == tags, name


def test_partition_folders_of_a_bucket_are_columns(bucket: EmulatedBucket) -> None:
    for day in ("2026-11-01", "2026-11-02"):
        bucket.write(f"logs/dt={day}/rows.csv", b"tag\na\n")
    files = [file.path for file in find_files(["gs://pool/logs/dt=*/*.csv"])]
    assert check_input(files, Source(), ["dt"]) == ["dt", "tag"]
    found = [day for path in files for batch in read_batches(path, Source(), ["dt"]) for day in batch.data["dt"]]
    assert [day.as_py() for day in found] == [b"2026-11-01", b"2026-11-02"]
