"""Transforms the rows of `rows.py` to a run directory, with fieldpool.

python -m benchmarks.pipelines.with_fieldpool rows.parquet out/
"""

from __future__ import annotations

import sys

from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.spec import Spec

from .measured import report
from .rows import columns_of, spec

if __name__ == "__main__":
    parsed = Spec.model_validate(spec(columns_of(sys.argv[1])))
    report(lambda: transform(parsed, [sys.argv[1]], sys.argv[2]))
