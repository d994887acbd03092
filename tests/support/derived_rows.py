"""Rows whose fields are derived in every way, and the same values computed in plain Python."""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

ZONE = "America/New_York"
SPEC: dict[str, Any] = {
    "key": "id",
    "label": {"field": "click"},
    "split": {"column": "part"},
    "times": {"published": {"format": "%d.%m.%Y %H:%M"}},
    "fields": {
        "device": {"type": "categorical", "normalize": ["strip", "lower"]},
        "genre": {"type": "categorical"},
        "genres": {"type": "multivalued", "normalize": ["strip"], "max_len": 2},
        "hour": {"type": "categorical", "from": {"time": "clicked", "part": "hour", "zone": ZONE}},
        "weekday": {"type": "categorical", "from": {"time": "clicked", "part": "weekday", "zone": ZONE}},
        "age": {"type": "numeric", "from": {"age": "published", "at": "clicked", "unit": "hours"}, "scale": "none"},
        "device_hour": {"type": "categorical", "from": {"cross": ["device", "hour"]}},
        "device_genres": {"type": "multivalued", "from": {"cross": ["device", "genres"]}, "keep": "last", "max_len": 3},
        "hashed_cross": {"type": "multivalued", "from": {"cross": ["genre", "genres"]}, "hash_buckets": 50},
        "hashed": {"type": "categorical", "column": "genre", "hash_buckets": 7},
        "matches": {"type": "numeric", "from": {"match": ["genre", "genres"]}, "scale": "none"},
        "share": {"type": "numeric", "from": {"match": ["genre", "genres"], "measure": "share"}, "scale": "none"},
        "ratio": {"type": "numeric", "from": {"ratio": ["clicks", "views"]}, "range": [None, 1.5], "scale": "sqrt"},
        "price": {"type": "numeric", "range": [5, 50], "scale": {"boundaries": [10, 20, 30]}},
        "no_price": {"type": "numeric", "from": {"missing": "price"}, "scale": "none"},
        "words": {"type": "multivalued", "from": {"text": "title", "ngrams": 2}},
    },
    "model": {"hidden_units": [4], "embedding_dim": 4},
    "train": {"epochs": 1, "batch_size": 64},
}

# Numbers are exact in float32, so a reference need not round.
_TITLES = ["The Lord of the Ring's", "No — Time, to Die", "ÉTÉ", "", None, "war & war"]


def rows_of(seed: int, count: int) -> list[dict[str, Any]]:
    """Returns random raw rows; each kind of value is missing in some of them."""
    rng = random.Random(seed)
    genres = ["drama", " war", "sci fi", "war", ""]

    def row(i: int) -> dict[str, Any]:
        clicked = rng.choice([None, *[rng.randrange(1_000_000_000, 2_000_000_000) for _ in range(9)]])
        published = datetime.fromtimestamp(rng.randrange(900_000_000, 1_900_000_000) // 60 * 60, UTC)
        return {
            "id": f"r{i}",
            "click": rng.randrange(2),
            "part": rng.choice(["train", "train", "eval", "test"]),
            "device": rng.choice(["Mobile", " mobile", "TV", "", None]),
            "genre": rng.choice([None, "drama", "war"]),
            "genres": [rng.choice(genres) for _ in range(rng.randrange(5))],
            "clicked": clicked,
            "published": rng.choice([None, published.strftime("%d.%m.%Y %H:%M")]),
            "clicks": rng.choice([None, float(rng.randrange(4))]),
            "views": float(rng.randrange(3)),
            "price": rng.choice([None, *(float(n) for n in range(0, 60, 5))]),
            "title": rng.choice(_TITLES),
        }

    return [row(i) for i in range(count)]


def values_of(row: dict[str, Any]) -> dict[str, Any]:
    """Returns tokens, lists before truncation and unscaled numbers of a row; None where one is missing."""
    clicked, published = row["clicked"], row["published"]
    local = None if clicked is None else datetime.fromtimestamp(clicked, ZoneInfo(ZONE))
    device = (row["device"] or "").strip().lower() or None
    genres = [genre.strip() for genre in row["genres"] if genre.strip()]
    hour = None if local is None else str(local.hour)
    words = re.sub(r"\W+", " ", row["title"] or "").lower().split()
    found = [genre for genre in genres if genre == row["genre"]]
    age = None
    if clicked is not None and published is not None:
        then = datetime.strptime(published, "%d.%m.%Y %H:%M").replace(tzinfo=UTC)
        age = (clicked - then.timestamp()) / 3600
    known = row["clicks"] is not None and row["views"] > 0
    ratio = min(row["clicks"] / row["views"], 1.5) if known else None
    return {
        "device": device,
        "genre": row["genre"],
        "genres": genres,
        "hour": hour,
        "weekday": None if local is None else str(local.weekday()),
        "age": age,
        "device_hour": None if device is None or hour is None else f"{device}_X_{hour}",
        "device_genres": [] if device is None else [f"{device}_X_{genre}" for genre in genres],
        "hashed_cross": [] if row["genre"] is None else [(row["genre"], genre) for genre in genres],
        "hashed": row["genre"],
        "matches": len(found),
        "share": len(found) / len(genres) if genres else None,
        "ratio": None if ratio is None else math.sqrt(ratio),
        "price": None if row["price"] is None else min(max(row["price"], 5.0), 50.0),
        "no_price": float(row["price"] is None),
        "words": words + [f"{a} {b}" for a, b in pairwise(words)],
    }
