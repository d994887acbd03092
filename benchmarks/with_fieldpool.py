"""The rows of `click_rows.py` to a run directory.

python benchmarks/with_fieldpool.py rows.parquet out/ [--mode memory]
"""

from __future__ import annotations

import sys

from click_rows import columns_of, spec
from measured import tell

from fieldpool.pipeline.runs.run_directory import transform
from fieldpool.transforms.spec import Spec

if __name__ == "__main__":
    loaded = Spec.model_validate(spec(columns_of(sys.argv[1])))
    tell(lambda: transform(loaded, [sys.argv[1]], sys.argv[2]))
