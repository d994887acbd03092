"""`LookupTables`: the hash tables of all vocabularies, from tokens to ids, as one resource of a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import tensorflow as tf


@dataclass(frozen=True)
class VocabularyFile:
    """The file of a vocabulary, with one token a line.

    Attributes:
        path: An eager string tensor, or a text.
        first_id: The id of the token on the first line; those of the next lines follow.
    """

    path: tf.Tensor | str
    first_id: int


class LookupTables(tf.saved_model.experimental.TrackableResource):
    """One hash table per vocabulary, all filled by one function.

    A `tf.lookup.StaticHashTable` adds four objects and three traced functions to a SavedModel, which take TensorFlow
    30 ms to write and as long to load: with 200 vocabularies, several seconds. Here a function creates a table where
    it uses it; the name of the table connects it with the one that `fill` fills. Plain TensorFlow calls `fill` when it
    loads the SavedModel, as it does for any resource. The files are exported as assets.

    Args:
        files: The file of each vocabulary, not empty. There is at least one.
    """

    def __init__(self, files: Mapping[str, VocabularyFile]) -> None:
        super().__init__()
        self._first_ids = {name: file.first_id for name, file in files.items()}
        # Within a process, tables with the same name are one table.
        self._names = {name: f"vocabulary_{uuid4().hex}" for name in files}
        self._assets = {}
        with tf.init_scope():
            for index, (name, file) in enumerate(files.items()):
                asset = tf.saved_model.Asset(file.path)
                self._assets[name] = self._track_trackable(asset, f"asset_{index}")

    def ids(self, name: str, tokens: tf.Tensor, default: tf.Tensor) -> tf.Tensor:
        """Returns the ids of tokens, int64, in the same shape.

        Args:
            name: The vocabulary.
            tokens: Strings of any shape.
            default: The id of tokens that the vocabulary does not have, an int64 scalar.
        """
        ids = tf.raw_ops.LookupTableFindV2(table_handle=self._table(name), keys=tokens, default_value=default)
        ids.set_shape(tokens.shape)
        return ids

    def fill(self) -> None:
        """Reads the files. Until then `ids` fails; the tables of a loaded SavedModel are filled."""
        for name, asset in self._assets.items():
            tf.raw_ops.InitializeTableFromTextFileV2(
                table_handle=self._table(name),
                filename=asset.asset_path,
                key_index=tf.lookup.TextFileIndex.WHOLE_LINE,
                value_index=tf.lookup.TextFileIndex.LINE_NUMBER,
                offset=self._first_ids[name],
            )

    def _table(self, name: str) -> tf.Tensor:
        # `tf.saved_model.load` appends a suffix to the name, so models share no tables. It would append
        # another one for each operation without `use_node_name_sharing`.
        return tf.raw_ops.HashTableV2(
            key_dtype=tf.string, value_dtype=tf.int64, shared_name=self._names[name], use_node_name_sharing=True
        )

    def _create_resource(self) -> tf.Tensor:
        # TensorFlow expects one handle; nothing uses it.
        return self._table(next(iter(self._names)))

    def _initialize(self) -> None:
        self.fill()
