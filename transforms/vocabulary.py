"""Vocabularies of all fields, counted in one keyed Beam pass inside TensorFlow Transform's analysis.

`packed_vocabularies` replaces `tft.vocabulary`: it writes one asset file of tokens per vocabulary. Their order depends
only on counts and bytes (most frequent first, ties by bytes ascending), so ids do not depend on the runner or on the
number of workers. `lookup` turns tokens into ids: 0 is padding and never a token, 1..num_oov_buckets are the OOV
buckets, and the tokens follow (`spec.Vocabulary`). `vocabulary_counts` does the counting, in Beam and Arrow.

Tokens of a vocabulary may have any bytes, including NUL and invalid UTF-8. A vocabulary contains neither the empty
string, which is not a value, nor tokens with a line feed or carriage return, which a text asset cannot hold; `Lookups`
gives them the id of an OOV bucket. `tft.vocabulary` leaves out the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from .spec import Vocabulary
from .tensors import bags
from .tensors.lookup_tables import LookupTables, VocabularyFile
from .vocabulary_counts import count_and_order


def packed_vocabularies(
    tokens: Mapping[str, Sequence[Any]], settings: Mapping[str, Vocabulary], *, counts_folder: str | None = None
) -> dict[str, tf.Tensor]:
    """Returns for each vocabulary the (deferred) path of its asset file, for `lookup`.

    Args:
        tokens: For each vocabulary the string tensors whose tokens it counts, together: dense, sparse or ragged, of
            any shape. Empty strings are not counted.
        settings: For each vocabulary `min_count` and `top_k`.
        counts_folder: A folder, on any file system that TensorFlow supports, for one file per vocabulary, with its
            name: line i has the count of the token on line i of the asset file. Default None: no counts are written.

    One analyzer with one output counts all vocabularies, so the job graph does not grow with their number.

    `tft_beam.AnalyzeDatasetWithCache` can keep the counts of each data set: `counts_folder`, the names and `settings`
    can change without counting again; if `tokens` change, all vocabularies are counted again.

    Memory of a worker: first the distinct tokens of its bundle, at most twice while equal tokens are merged; then one
    of sixteen hash shards of one vocabulary, where `min_count` is applied exactly and `top_k` within the shard; last
    the remaining tokens of one vocabulary, to sort them. With 100 million distinct tokens of 20 bytes, a shard takes
    225 MB, and the last step 36 bytes for each token that remains after `min_count` and `top_k`.
    """
    names = list(tokens)
    flat = [bags.flat(values) for name in names for values in tokens[name]]
    fed = [index for index, name in enumerate(names) for _ in tokens[name]]
    thresholds = [(name, settings[name].min_count, settings[name].top_k) for name in names]
    all_tokens = tf.concat(flat, axis=0)
    # One joined text and the lengths of its tokens are much faster to get out of TensorFlow than an array of texts.
    text, lengths = tf.strings.reduce_join(all_tokens), tf.strings.length(all_tokens)
    (paths,) = tft.experimental.ptransform_analyzer(
        inputs=[text[tf.newaxis], lengths, tf.stack([tf.size(values, tf.int64) for values in flat])],
        ptransform=count_and_order(fed=fed, thresholds=thresholds, counts_folder=counts_folder),
        output_dtypes=[tf.string],
        output_shapes=[[len(names)]],
        name="packed_vocabularies",
    )
    return {name: _asset(paths, index) for index, name in enumerate(names)}


def _asset(paths: tf.Tensor, index: int) -> tf.Tensor:
    """Returns one of the paths. After the analysis it is an asset, which is exported with the graph.

    If each path were an analyzer output that TFT treats as an asset, each vocabulary would add three steps to the job
    graph. One output with all paths adds them once. After the analysis TFT traces the preprocessing_fn again; `paths`
    is then an eager tensor, and each path can be registered as an asset.
    """
    if not tf.is_tensor(paths) or not hasattr(paths, "numpy"):
        return paths[index]
    return asset(paths.numpy()[index])


def asset(path: str | bytes) -> tf.Tensor:
    """Returns the path of a vocabulary's file, for `Lookups`. The file is exported with the graph, as an asset."""
    with tf.init_scope():
        tensor = tf.constant(path)
    tf.compat.v1.get_default_graph().add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, tensor)
    return tensor


def lookup(tokens: tf.Tensor | tf.RaggedTensor, path: tf.Tensor, num_oov_buckets: int) -> tf.Tensor | tf.RaggedTensor:
    """Returns the ids of `tokens` in one vocabulary; `Lookups` does the same for several, with less overhead.

    Args:
        tokens: Strings of any shape.
        path: The vocabulary's path, from `packed_vocabularies`.
        num_oov_buckets: The number of OOV buckets, 1 or more.
    """
    return Lookups({"": path}, {"": Vocabulary(num_oov_buckets=num_oov_buckets)}).ids("", tokens)


def salt_of(vocabulary: str) -> bytes:
    """Returns what is put before a token that is hashed, so that vocabularies differ in their collisions."""
    return f"{vocabulary}=".encode()


class Lookups:
    """Turns the tokens of vocabularies into ids.

    Args:
        paths: The path of each vocabulary, from `packed_vocabularies` or `asset`.
        settings: For each vocabulary `num_oov_buckets`.
        retired: For some vocabularies the line numbers, from 0, of tokens that are looked up like unknown ones.
    """

    def __init__(
        self,
        paths: Mapping[str, tf.Tensor],
        settings: Mapping[str, Vocabulary],
        retired: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self._paths = paths
        self._hash_buckets = {name: settings[name].hash_buckets for name in paths}
        self._layouts = {name: Vocabulary(num_oov_buckets=settings[name].num_oov_buckets) for name in paths}
        self._retired = retired or {}
        # Before the analysis a path is a symbolic tensor. TensorFlow cannot load a lookup table from an empty file.
        self._filled = {
            name: VocabularyFile(path, self._layouts[name].first_token_id)
            for name, path in paths.items()
            if hasattr(path, "numpy") and tf.io.gfile.stat(path.numpy()).length
        }
        self._tables = LookupTables(self._filled) if self._filled else None
        self._unknown = tf.constant(1, tf.int64)  # One constant for all vocabularies.

    def ids(self, name: str, tokens: tf.Tensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
        """Returns the ids of `tokens`, int64, in the same shape; unknown tokens get one of the OOV buckets by hash.

        Args:
            name: The vocabulary.
            tokens: Strings of any shape.
        """
        if isinstance(tokens, tf.RaggedTensor):
            return tokens.with_flat_values(self.ids(name, tokens.flat_values))
        if self._hash_buckets[name] is not None:
            texts = tf.strings.join([tf.constant(salt_of(name)), tokens])
            return tf.strings.to_hash_bucket_fast(texts, self._hash_buckets[name]) + 1
        if not hasattr(self._paths[name], "numpy"):
            # Before the analysis there are no ids. TFT only needs to see that they will depend on the path.
            with tf.control_dependencies([self._paths[name]]):
                return tf.zeros_like(tokens, tf.int64)
        layout = self._layouts[name]
        if self._tables is not None and name in self._filled:
            ids = self._tables.ids(name, tokens, self._unknown)
        else:
            ids = tf.ones_like(tokens, tf.int64)
        ids = self._without_retired(name, ids)
        if layout.num_oov_buckets == 1:
            return ids
        # A stable hash (FarmHash Fingerprint64).
        return tf.where(layout.is_token(ids), ids, tf.strings.to_hash_bucket_fast(tokens, layout.num_oov_buckets) + 1)

    def _without_retired(self, name: str, ids: tf.Tensor) -> tf.Tensor:
        retired = self._retired.get(name)
        if retired is None or not len(retired):
            return ids
        # Up to the largest id of a retired token; one more, False, for all larger ids.
        first = self._layouts[name].first_token_id
        is_retired = np.zeros(first + int(retired.max()) + 2, bool)
        is_retired[first + retired] = True
        return tf.where(tf.gather(is_retired, tf.minimum(ids, len(is_retired) - 1)), tf.ones_like(ids), ids)
