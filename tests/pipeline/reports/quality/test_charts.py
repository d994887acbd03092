from __future__ import annotations

import math

import numpy as np
import pytest

from fieldpool.model.evaluation import Scores
from fieldpool.pipeline.reports.quality.charts import quality_curves


@pytest.mark.parametrize(
    ("logits", "charts"),
    [
        ([2.0, -1.0, 0.5, -3.0], 4),
        ([math.inf, -1.0, -math.inf, 2.0], 4),
        ([math.nan, -1.0, 0.5, 1.0], 4),
        ([math.nan, -1.0, math.nan, 1.0], 2),  # Only rows with the label 0 are left.
        ([math.nan] * 4, 2),
    ],
)
def test_charts_of_infinite_scores_and_of_nan(logits: list[float], charts: int) -> None:
    scores = Scores(np.array([1, 0, 1, 0], "float32"), np.array(logits, "float32"), {})
    found = quality_curves(scores, "test")
    assert len(found) == charts
    assert not any("nan" in svg for _, svg in found)
