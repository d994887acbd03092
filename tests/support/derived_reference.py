"""Random rows for every kind of derived field, and their values and ids in plain Python, without TensorFlow.

Vocabularies are empty, so the id of a token is that of its OOV bucket: 1 + its fingerprint modulo their number.
"""

from __future__ import annotations

import hashlib
import math
import unicodedata
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from fieldpool.pipeline.kernels.fingerprints import fingerprint64
from fieldpool.transforms.spec import Spec

OOV_BUCKETS, HASH_BUCKETS, CROSS_BUCKETS = 1_000_003, 11, 997
MISSING_NUMBER = -7.0
ZONES = {
    "hour": "Europe/Berlin",
    "weekday": "America/New_York",
    "day": "Pacific/Apia",
    "month": "Asia/Kathmandu",
    "hour_of_week": "Australia/Lord_Howe",
}


def _tokens(kind: str, **entries: Any) -> dict[str, Any]:
    return {"type": kind, "num_oov_buckets": OOV_BUCKETS, **entries}


def _number(derivation: dict[str, Any] | None = None, **entries: Any) -> dict[str, Any]:
    derived = {} if derivation is None else {"from": derivation}
    return {"type": "numeric", "scale": "none", "missing": MISSING_NUMBER, **derived, **entries}


SPEC = Spec.model_validate(
    {
        "label": {"field": "click"},
        "split": {"column": "part"},
        "fields": {
            "device": _tokens("categorical", normalize=["strip", "lower"]),
            "genre": _tokens("categorical"),
            "genres": _tokens("multivalued", normalize=["strip"], max_len=3),
            "seen": _tokens("multivalued", max_len=4, keep="last"),
            "price": _number(range=[-5, 50]),
            "bucket": {"type": "numeric", "column": "price", "scale": {"boundaries": [0, 10, 20]}},
            "root": _number(column="price", scale="sqrt"),
            "hashed": {"type": "categorical", "column": "genre", "hash_buckets": HASH_BUCKETS},
            **{
                part: _tokens("categorical", **{"from": {"time": "clicked", "part": part, "zone": zone}})
                for part, zone in ZONES.items()
            },
            "age": _number({"age": "published", "at": "clicked", "unit": "days"}),
            "age_in_seconds": _number({"age": "published", "at": "clicked", "unit": "seconds"}),
            "pair": _tokens("categorical", **{"from": {"cross": ["device", "hour"]}}),
            "pairs": _tokens("multivalued", max_len=9, **{"from": {"cross": ["genres", "seen"], "max_pairs": 5}}),
            "triples": _tokens(
                "multivalued", max_len=2, keep="last", **{"from": {"cross": ["genre", "genres", "pair"]}}
            ),
            "hashed_pair": {
                "type": "categorical",
                "hash_buckets": CROSS_BUCKETS,
                "from": {"cross": ["device", "genre"]},
            },
            "hashed_pairs": {
                "type": "multivalued",
                "hash_buckets": CROSS_BUCKETS,
                "max_len": 4,
                "from": {"cross": ["seen", "genres"], "max_pairs": 6},
            },
            "count": _number({"match": ["genre", "seen"]}),
            "share": _number({"match": ["genres", "seen"], "measure": "share"}),
            "any": _number({"match": ["genre", "genres"], "measure": "any"}),
            "last": _number({"match": ["genres", "seen"], "measure": "last"}),
            "ratio": _number({"ratio": ["clicks", "price"]}),
            "no_price": _number({"missing": "price"}),
            "no_genres": _number({"missing": "genres"}),
            "no_pairs": _number({"missing": "hashed_pairs"}),
            "no_pair": _number({"missing": "pair"}),
            "words": _tokens("multivalued", max_len=40, **{"from": {"text": "title", "ngrams": 3}}),
            "words_of_device": _tokens("multivalued", max_len=5, **{"from": {"text": "device"}}),
        },
    }
)
SCHEMA = pa.schema(
    {
        "click": pa.int64(),
        "part": pa.string(),
        "device": pa.binary(),
        "genre": pa.binary(),
        "genres": pa.list_(pa.binary()),
        "seen": pa.list_(pa.binary()),
        "price": pa.float32(),
        "clicks": pa.float32(),
        "clicked": pa.timestamp("us"),
        "published": pa.timestamp("us"),
        "title": pa.string(),
    }
)

# Tokens that occur in several fields; other texts have letters, marks, digits and what separates words.
_POOL = [b"war", b"drama", "Été".encode(), "中文".encode(), b"a_X_b", b"\xff", b"new\nline", b" "]
_CHARACTERS = "aZÉßñЖΩΣ中文İı\u0301٣½7 _-'|,.—\t\n\x00"
_TOKEN = st.none() | st.just(b"") | st.sampled_from(_POOL)
_TEXT = st.text(_CHARACTERS, max_size=12)
_NUMBER = (
    st.none() | st.floats(width=32, allow_infinity=False, allow_subnormal=False) | st.sampled_from([0.0, -0.0, 3.0])
)
# All years, without fractions of a second, which a number of seconds in float64 could not have; then recent ones.
_TIME = (
    st.none()
    | st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)).map(lambda moment: moment.replace(microsecond=0))
    | st.datetimes(datetime(1900, 1, 1), datetime(2099, 12, 30))
)

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "click": st.integers(0, 1),
            "part": st.just("train"),
            "device": st.none() | _TEXT.map(str.encode) | st.sampled_from([b" TV ", b"tv", b"Mobile\xff"]),
            "genre": _TOKEN,
            "genres": st.none() | st.lists(_TOKEN, max_size=5),
            "seen": st.none() | st.lists(_TOKEN, max_size=6),
            "price": _NUMBER,
            "clicks": _NUMBER,
            "clicked": _TIME,
            "published": _TIME,
            "title": st.none() | _TEXT,
        }
    ),
    min_size=1,
    max_size=12,
)


def values_of(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of all fields: a token, a list of tokens before truncation, or a number; None if missing.

    Values of hashed crosses are tuples of tokens.
    """
    found: dict[str, Any] = {
        "device": _lower((row["device"] or b"").strip()) or None,
        "genre": row["genre"] or None,
        "genres": [token.strip() for token in row["genres"] or () if token and token.strip()],
        "seen": [token for token in row["seen"] or () if token],
        "price": None if _is_missing(row["price"]) else min(max(row["price"], -5.0), 50.0),
    }
    found["root"] = found["bucket"] = None if _is_missing(row["price"]) else row["price"]
    found["hashed"] = found["genre"]
    clicked, published = row["clicked"], row["published"]
    for part, zone in ZONES.items():
        found[part] = None if clicked is None else _part(clicked, part, zone)
    age = None if clicked is None or published is None else (clicked - published) / timedelta(microseconds=1)
    found["age"] = None if age is None else age / 86_400_000_000
    found["age_in_seconds"] = None if age is None else age / 1_000_000
    found["pair"] = next(iter(_crossed(found, ["device", "hour"])), None)
    found["pairs"] = _crossed(found, ["genres", "seen"], 5)
    found["triples"] = _crossed(found, ["genre", "genres", "pair"])
    found["hashed_pair"] = next(iter(_combined(found, ["device", "genre"])), None)
    found["hashed_pairs"] = _combined(found, ["seen", "genres"], 6)
    matched = {
        (value, name): [token in _as_list(found[value]) for token in found[name]]
        for value, name in (("genre", "seen"), ("genres", "seen"), ("genre", "genres"))
    }
    found["count"] = sum(matched["genre", "seen"])
    in_seen = matched["genres", "seen"]
    found["share"] = sum(in_seen) / len(in_seen) if in_seen else None
    found["any"] = int(any(matched["genre", "genres"]))
    found["last"] = max((i for i, is_match in enumerate(in_seen, 1) if is_match), default=0)
    found["ratio"] = None if _is_missing(row["clicks"]) else _ratio(row["clicks"], found["price"])
    for name, of in (("no_price", "price"), ("no_genres", "genres"), ("no_pairs", "hashed_pairs"), ("no_pair", "pair")):
        found[name] = int(found[of] in (None, []))
    found["words"] = _words(row["title"] or "", 3)
    found["words_of_device"] = _words((found["device"] or b"").decode("utf-8", "replace"), 1)
    return found


def features_of(row: dict[str, Any]) -> dict[str, Any]:
    """Returns the features of a row: ids, those of lists padded, or numbers."""
    found: dict[str, Any] = {}
    for name, value in values_of(row).items():
        field = SPEC.fields[name]
        if name == "bucket":
            found[name] = 0 if value is None else 1 + sum(value >= boundary for boundary in (0, 10, 20))
        elif field.raw == "number":
            value = MISSING_NUMBER if value is None else value
            found[name] = math.copysign(math.sqrt(abs(value)), value) if name == "root" else value
        elif field.is_list:
            (max_len,) = field.shape
            kept = value[-max_len:] if getattr(field, "keep", "first") == "last" else value[:max_len]
            found[name] = [_id(name, token) for token in kept] + [0] * (max_len - len(kept))
        else:
            found[name] = 0 if value is None else _id(name, value)
    return found


def _is_missing(number: float | None) -> bool:
    return number is None or math.isnan(number)


def _ratio(a: float, b: float | None) -> float | None:
    with np.errstate(all="ignore"):
        ratio = float("nan") if b is None else float(np.float32(a) / np.float32(b))
    return ratio if math.isfinite(ratio) else None


def _part(moment: datetime, part: str, zone: str) -> bytes:
    # The zone's offsets of 1900 and 2100 also hold before and after.
    known = min(max(moment, datetime(1900, 1, 1)), datetime(2099, 12, 31))
    offset = known.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    local = moment + timedelta(seconds=int(offset.total_seconds()))
    parts = {
        "hour": local.hour,
        "weekday": local.weekday(),
        "day": local.day,
        "month": local.month,
        "hour_of_week": 24 * local.weekday() + local.hour,
    }
    return str(parts[part]).encode()


def _lower(token: bytes) -> bytes:
    return token if b"\x00" in token else token.decode("utf-8", "replace").lower().encode()


def _words(text: str, ngrams: int) -> list[bytes]:
    words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).lower().split()
    sequences = [words[i : i + n] for n in range(1, ngrams + 1) for i in range(len(words) - n + 1)]
    return [" ".join(sequence).encode() for sequence in sequences]


def _as_list(value: Any) -> list[bytes]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _combined(found: dict[str, Any], names: list[str], max_pairs: int = 1000) -> list[tuple[bytes, ...]]:
    lists, room = [], max_pairs
    for name in names:
        kept = _as_list(found[name])[:room]
        room //= max(len(kept), 1)
        lists.append(kept)
    return list(product(*lists))


def _crossed(found: dict[str, Any], names: list[str], max_pairs: int = 1000) -> list[bytes]:
    return [b"_X_".join(combination) for combination in _combined(found, names, max_pairs)]


def _id(name: str, value: bytes | tuple[bytes, ...]) -> int:
    if isinstance(value, tuple):
        return _cross_hash(value, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") >> 1)
    if name == "hashed":
        return _fingerprint(b"hashed=" + value) % HASH_BUCKETS + 1
    return _fingerprint(value) % OOV_BUCKETS + 1


def _fingerprint(text: bytes) -> int:
    return int(fingerprint64(pa.array([text], pa.large_binary()))[0])


def _cross_hash(values: tuple[bytes, ...], key: int) -> int:
    """Returns the id of a combination: TensorFlow's FingerprintCat64 of the key and the values' fingerprints."""
    multiplier, limit = 0xC6A4A7935BD1E995, 2**64

    def mixed(number: int) -> int:
        return number ^ (number >> 47)

    for value in values:
        fingerprint = _fingerprint(value) % (2**63 - 1)
        key ^= multiplier
        key ^= mixed(fingerprint * multiplier % limit) * multiplier % limit
        key = key * multiplier % limit
        key = mixed(mixed(key) * multiplier % limit)
    return key % CROSS_BUCKETS + 1
