"""fieldpool: from click logs with multi-valued fields to trained rankers.

Most commands of the command line are also functions here, with their arguments in the same order: SPEC or RUN first,
then MODEL, then DATA.

    import fieldpool

    run = fieldpool.transform("spec.yaml", table, "runs/monday")  # table: a pandas DataFrame, or file names
    model = fieldpool.train(run, "models/monday")
    print(fieldpool.evaluate(run, model))

The names in this module are the public API; the modules below it are internal and may change in any release. A name is
imported when it is first used (PEP 562), so `import fieldpool` loads neither TensorFlow nor Beam.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Each public name, and the module that defines it.
_MODULES = {
    # The commands.
    "transform": "._rows",
    "explain": "._rows",
    "check": "._rows",
    "train": "._training",
    "evaluate": "._training",
    "export": "._serving",
    "verify": "._serving",
    "predict": "._serving",
    "profile": "._reports",
    "report": "._reports",
    "load_model": "._training",
    "load_export": "._serving",
    # Their arguments and results.
    "Spec": ".transforms.spec",
    "Run": "._run",
    "Explanation": "._rows",
    "CheckResult": "._rows",
    "Training": "._training",
    "Evaluation": "._training",
    "Parity": "._serving",
    "Predictions": "._serving",
    "Profile": "._reports",
    "UserError": ".transforms.errors",
    "FieldpoolWarning": ".transforms.errors",
    # Building blocks.
    "MaskedMeanPool": ".model.layers.pooling",
    "PooledEmbeddings": ".model.layers.pooled_embeddings",
    "DeepFM": ".model.layers.deepfm",
    "LazyAdam": ".model.training.optimizers",
    "RowwiseAdagrad": ".model.training.optimizers",
    "preprocessing_fn": ".transforms.preprocessing",
    "packed_vocabularies": ".transforms.vocabulary",
    "lookup": ".transforms.vocabulary",
    "Vocabulary": ".transforms.spec",
    "PreprocessClickLog": ".pipeline.runs.preprocess",
    "read_examples": ".model.examples",
    "differing_rows": ".pipeline.serving.bits",
}

__all__ = ["__version__", *_MODULES]

if TYPE_CHECKING:  # `as` marks a name as exported.
    from ._reports import Profile as Profile
    from ._reports import profile as profile
    from ._reports import report as report
    from ._rows import CheckResult as CheckResult
    from ._rows import Explanation as Explanation
    from ._rows import check as check
    from ._rows import explain as explain
    from ._rows import transform as transform
    from ._run import Run as Run
    from ._serving import Parity as Parity
    from ._serving import Predictions as Predictions
    from ._serving import export as export
    from ._serving import load_export as load_export
    from ._serving import predict as predict
    from ._serving import verify as verify
    from ._training import Evaluation as Evaluation
    from ._training import Training as Training
    from ._training import evaluate as evaluate
    from ._training import load_model as load_model
    from ._training import train as train
    from .model.examples import read_examples as read_examples
    from .model.layers.deepfm import DeepFM as DeepFM
    from .model.layers.pooled_embeddings import PooledEmbeddings as PooledEmbeddings
    from .model.layers.pooling import MaskedMeanPool as MaskedMeanPool
    from .model.training.optimizers import LazyAdam as LazyAdam
    from .model.training.optimizers import RowwiseAdagrad as RowwiseAdagrad
    from .pipeline.runs.preprocess import PreprocessClickLog as PreprocessClickLog
    from .pipeline.serving.bits import differing_rows as differing_rows
    from .transforms.errors import FieldpoolWarning as FieldpoolWarning
    from .transforms.errors import UserError as UserError
    from .transforms.preprocessing import preprocessing_fn as preprocessing_fn
    from .transforms.spec import Spec as Spec
    from .transforms.spec import Vocabulary as Vocabulary
    from .transforms.vocabulary import lookup as lookup
    from .transforms.vocabulary import packed_vocabularies as packed_vocabularies


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name], __name__), name)
    globals()[name] = value  # So that this function is called once per name.
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
