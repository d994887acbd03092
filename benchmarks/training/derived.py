"""Derived fields on MovieLens-100K: models with hours, weekdays, ages of movies and genre matches, and without.

    python -m benchmarks.training.derived --data ratings.parquet --spec examples/movielens.yaml

The fields are added to those of the spec; rows, splits, settings and seeds are the same. The last lines are means over
seeds, and the difference to the spec as it is, seed by seed; ± is the standard deviation.
"""

from __future__ import annotations

import argparse
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fieldpool.model.evaluation import evaluate
from fieldpool.model.training.folder import load_model
from fieldpool.model.training.train import train
from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.pipeline.spec_file import parse_spec, parse_yaml
from fieldpool.transforms.runs.run import Run

ZONE = "America/Chicago"  # Of the site; those of its users are not known.
TIME: dict[str, Any] = {
    part: {"type": "categorical", "from": {"time": "timestamp", "part": part, "zone": ZONE}}
    for part in ("hour", "weekday")
}
AGE: dict[str, Any] = {"movie_age": {"type": "numeric", "from": {"age": "released", "at": "timestamp"}}}
LIKED: dict[str, Any] = {"liked": {"type": "multivalued", "vocabulary": "genres", "max_len": 50, "keep": "last"}}
MATCH: dict[str, Any] = {"liked_share": {"type": "numeric", "from": {"match": ["genres", "liked"], "measure": "share"}}}
# A match reads a field, and all fields are features: so the list of liked genres is measured without the match, too.
ADDED = {
    "the spec as it is": {},
    "hour, weekday": TIME,
    "age of the movie": AGE,
    "liked genres": LIKED,
    "liked genres, match": LIKED | MATCH,
    "all of them": TIME | AGE | LIKED | MATCH,
}


def main() -> None:
    """Trains and measures the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the ratings, a Parquet file with lists")
    parser.add_argument("--spec", default="examples/movielens.yaml")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("bench-data/derived"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    data = options.folder / "ratings.parquet"
    pq.write_table(with_sources(pq.read_table(options.data)), data)
    found = {
        name: measured(with_fields(options.spec, fields), data, options.folder / f"{number}", options.seeds)
        for number, (name, fields) in enumerate(ADDED.items())
    }
    base = next(iter(found.values()))
    for name, metrics in found.items():
        auc, logloss = metrics["auc"], metrics["logloss"]
        more = auc - base["auc"]
        print(
            f"{name:20} AUC {auc.mean():.4f} ± {auc.std():.4f}  logloss {logloss.mean():.4f}  difference in AUC "
            f"{more.mean():+.4f} ± {more.std():.4f}, above 0 for {(more > 0).sum()} of {len(more)} seeds"
        )


def with_sources(ratings: pa.Table) -> pa.Table:
    """Returns ratings with the columns that derived fields read.

    `released` is the year of release, without the few texts that are none; `title` the words of the title; `liked` the
    genres of the movies in the history, each as often as it occurs.
    """
    years, genres = ratings["release_year"], ratings["genres"].to_pylist()
    of_item = dict(zip(map(str, ratings["item_id"].to_pylist()), genres, strict=True))
    liked = [
        [genre for item in history or () for genre in of_item[str(item)]] for history in ratings["history"].to_pylist()
    ]
    columns = {
        "released": pc.if_else(pc.match_substring_regex(years, r"^\d{4}$"), years, None),
        "title": pc.binary_join(ratings["title_words"], " "),
        "liked": pa.array(liked, pa.list_(pa.string())),
    }
    for name, column in columns.items():
        ratings = ratings.append_column(name, column)
    return ratings


def with_fields(spec: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the contents of a spec's file with more fields."""
    content: dict[str, Any] = parse_yaml(Path(spec).read_text(encoding="utf-8"), spec)
    derived = [field["from"] for field in fields.values() if "from" in field]
    times = {"times": {"released": {"format": "%Y"}}} if any("age" in source for source in derived) else {}
    return {**content, **times, "fields": content["fields"] | fields}


def measured(spec: dict[str, Any], data: Path, folder: Path, seeds: int) -> dict[str, np.ndarray]:
    """Returns metrics on test, `[seeds]`, of models of a spec."""
    run = Run(transform(parse_spec(spec, "spec"), [str(data)], str(folder / "run")).path)
    found = []
    for seed in range(seeds):
        settings = run.spec.train.model_copy(update={"seed": seed})
        model = load_model(train(run, str(folder / f"model-{seed}"), train_settings=settings).folder)
        found.append(evaluate(model, run, "test", slices=[]))
        print(f"{len(spec['fields'])} fields, seed {seed}: AUC {found[-1]['auc']:.4f}", flush=True)
    return {metric: np.array([values[metric] for values in found]) for metric in ("auc", "logloss")}


if __name__ == "__main__":
    main()
