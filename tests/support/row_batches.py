"""Random batches of checked rows with every kind of field."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from fieldpool.pipeline.rows.columns import BAG, TEXT
from fieldpool.transforms.spec import Spec

EVERY = Spec.model_validate(
    {
        "label": {"field": "y"},
        "split": {"column": "s"},
        "fields": {
            "a": {"type": "categorical", "vocabulary": "v", "missing": {"token": "-"}},
            "b": {"type": "multivalued", "max_len": 2, "keep": "last", "vocabulary": "v"},
            "c": {"type": "multivalued", "max_len": "auto"},
            "n": {"type": "numeric", "scale": {"quantiles": 3}},
        },
    }
)
TOKEN = st.sampled_from([b"", b"a", b"b", b"\n", b"\xff\x00"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | TOKEN.filter(bool),
            "b": st.lists(TOKEN, max_size=5),
            "c": st.lists(TOKEN, max_size=5),
            "n": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        }
    )
)


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, pa.schema({"a": TEXT, "b": BAG, "c": BAG, "n": pa.float32()}))
