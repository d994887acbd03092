"""A click log that a spec is proposed for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ROWS = 400


@pytest.fixture(scope="session")
def log_columns() -> dict[str, list[Any]]:
    """400 rows of a click log with a column of every kind. Tests must not change them."""
    rows = range(ROWS)
    return {
        "row_id": [1000 + i for i in rows],
        "clicked": [i * 7 % 3 % 2 for i in rows],
        "created_at": [1_700_000_000 + 60 * i for i in rows],
        "user_id": [i * i % 97 for i in rows],
        "item_id": [f"i{i * 31 % 90}" for i in rows],
        "history": [[f"i{(i * k) % 90}" for k in range(1, 1 + i % 5)] for i in rows],
        "genres": ["|".join(f"g{(i + k * k) % 9}" for k in range(i % 4)) for i in rows],
        "hour": [i % 24 for i in rows],
        "age": [float(20 + i % 11) for i in rows],
        "price": np.exp(np.random.default_rng(0).normal(0, 3, ROWS)).tolist(),
        "country": [("de", "fr", "it")[i % 3 if i % 7 else 0] for i in rows],
        "rating": [5 if i * 7 % 3 % 2 else 1 for i in rows],
        "session_text": [f"text number {i}" for i in rows],
        "constant": ["same"] * ROWS,
        "nothing": [None] * ROWS,
    }
