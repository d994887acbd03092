"""The spec: one module per section, and `Spec`, which combines them.

Import from here: `from fieldpool.transforms.spec import Spec`. The docstrings and descriptions of the
sections are part of the JSON Schema (`fieldpool schema`), so they are written for the author of a spec.
"""

from .base import NAME_PATTERN, Name, Strict
from .fields import (
    Age,
    Boundaries,
    CategoricalField,
    Cross,
    FieldSpec,
    FieldType,
    ListForm,
    Match,
    MissingIndicator,
    MultivaluedField,
    NumericField,
    Quantiles,
    Ratio,
    TimePart,
    TokenPolicy,
    VectorField,
    VocabularyField,
    Words,
)
from .inputs import MISSING_TIME, TimeColumn
from .label import Label
from .limits import Check, Limits
from .roles import KEY_FEATURE, LABEL_FEATURE, LABEL_WEIGHT_FEATURE, RESERVED_NAMES, weights_feature
from .source import Explode, Source
from .spec import EmbeddingTable, Spec
from .split import SPLITS, ColumnSplit, FilePatterns, FileSplit, HashSplit, Sample, Split, TimeSplit
from .train_only import Constant, constants_of
from .training import EarlyStopping, Evaluation, Model, Ranking, Train
from .vocabularies import Vocabulary

__all__ = [
    "KEY_FEATURE",
    "LABEL_FEATURE",
    "LABEL_WEIGHT_FEATURE",
    "MISSING_TIME",
    "NAME_PATTERN",
    "RESERVED_NAMES",
    "SPLITS",
    "Age",
    "Boundaries",
    "CategoricalField",
    "Check",
    "ColumnSplit",
    "Constant",
    "Cross",
    "EarlyStopping",
    "EmbeddingTable",
    "Evaluation",
    "Explode",
    "FieldSpec",
    "FieldType",
    "FilePatterns",
    "FileSplit",
    "HashSplit",
    "Label",
    "Limits",
    "ListForm",
    "Match",
    "MissingIndicator",
    "Model",
    "MultivaluedField",
    "Name",
    "NumericField",
    "Quantiles",
    "Ranking",
    "Ratio",
    "Sample",
    "Source",
    "Spec",
    "Split",
    "Strict",
    "TimeColumn",
    "TimePart",
    "TimeSplit",
    "TokenPolicy",
    "Train",
    "VectorField",
    "Vocabulary",
    "VocabularyField",
    "Words",
    "constants_of",
    "weights_feature",
]
