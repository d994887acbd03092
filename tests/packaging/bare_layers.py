"""Uses fieldpool's layers where only Keras and one backend are installed: `make test-layers` runs it.

    KERAS_BACKEND=jax python -I tests/packaging/bare_layers.py

A model with every kind of masked pool is fitted, saved, and loaded again by a fresh process, which must give the same
predictions. Nothing but what the layers need may have been imported.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

IDS = np.array([[3, 1, 0], [2, 0, 0], [0, 0, 0], [1, 2, 3]])
LABELS = np.array([[1.0], [0.0], [0.0], [1.0]])
# Packages of the pipeline, which are not installed.
PIPELINE = {"apache_beam", "tensorflow_transform", "tfx_bsl", "pyarrow", "sklearn", "matplotlib", "yaml", "typer"}
BACKENDS = {"tensorflow", "jax", "torch"}


def fit_and_save(file: str) -> None:
    """Fits a model on four rows, the third of which has an empty list, and saves it and its predictions."""
    import keras

    import fieldpool

    ids = keras.Input((3,), dtype="int32")
    embedded = keras.layers.Embedding(4, 8, mask_zero=True)(ids)
    pooled = fieldpool.MaskedMeanPool(axis=1)(embedded)
    model = keras.Model(ids, keras.layers.Dense(1, activation="sigmoid")(pooled))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="binary_crossentropy")
    before = model.evaluate(IDS, LABELS, verbose=0)
    model.fit(IDS, LABELS, epochs=3, verbose=0)
    after = model.evaluate(IDS, LABELS, verbose=0)
    assert after < before, f"the loss of three epochs went from {before} to {after}"
    assert fieldpool.PooledEmbeddings, fieldpool.DeepFM
    assert fieldpool.LazyAdam, fieldpool.RowwiseAdagrad
    model.save(file)
    np.save(f"{file}.npy", model.predict(IDS, verbose=0))


def load_and_compare(file: str) -> None:
    """Loads the model after `import fieldpool.model`, as the documentation says, and compares its predictions."""
    import keras

    import fieldpool.model  # noqa: F401  Registers the layers.

    found = keras.saving.load_model(file).predict(IDS, verbose=0)
    np.testing.assert_allclose(found, np.load(f"{file}.npy"), rtol=1e-6)
    assert np.isfinite(found).all()


def check_imports() -> None:
    """Checks where fieldpool comes from, and that only one backend and no package of the pipeline was imported."""
    import keras

    import fieldpool

    assert Path(fieldpool.__file__).is_relative_to(sys.prefix), f"{fieldpool.__file__} is not in {sys.prefix}"
    imported = {name.partition(".")[0] for name in sys.modules}
    others = PIPELINE | (BACKENDS - {keras.backend.backend()})
    assert not others & imported, f"imported, but not needed: {sorted(others & imported)}"


if __name__ == "__main__":
    if len(sys.argv) == 2:
        load_and_compare(sys.argv[1])
        check_imports()
    else:
        with TemporaryDirectory() as folder:
            path = f"{folder}/model.keras"
            fit_and_save(path)
            check_imports()
            subprocess.run([sys.executable, "-I", __file__, path], check=True)
        print("Passed: fitted, saved, and loaded by a fresh process.")
