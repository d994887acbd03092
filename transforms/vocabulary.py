"""Vocabularies of all fields, counted in one keyed Beam pass inside TensorFlow Transform's analysis.

`packed_vocabularies` stands beside `tft.vocabulary`: tokens in, one vocabulary asset each out. The order
is fixed by counts and bytes alone (most frequent first, ties by bytes ascending), so ids do not depend on
the runner or on the number of workers. `lookup` turns tokens into ids: 0 is padding and never a token,
1..num_oov_buckets are the OOV buckets, and the tokens follow (`spec.Vocabulary`). The counting itself, in
Beam and Arrow, is `vocabulary_counts`.

Which tokens can be in a vocabulary: any bytes (NUL and invalid UTF-8 too) except the empty string, which
is not a value, and tokens with a line feed or carriage return, which a text asset cannot hold; these are
looked up as OOV. `tft.vocabulary` leaves out the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from .spec import Vocabulary
from .vocabulary_counts import CountAndOrder


def packed_vocabularies(
    tokens: Mapping[str, Sequence[Any]], settings: Mapping[str, Vocabulary], *, counts_folder: str | None = None
) -> dict[str, tf.Tensor]:
    """Returns for each vocabulary the (deferred) path of its asset file, for `lookup`.

    Args:
        tokens: for each vocabulary the string tensors that feed it: dense, sparse or ragged, any shape.
            Several tensors share the vocabulary. Their empty strings are not counted.
        settings: `min_count` and `top_k` of each vocabulary.
        counts_folder: A folder, on any file system that TensorFlow knows, for the counts: a file for each vocabulary,
            called by its name, with the count of each token on the line of the token. Default: counts are not kept.

    One analyzer, with one output, counts all of them: the job graph is the same for one and for hundreds.

    What a worker holds: the distinct tokens of its bundle, twice at most while equal ones are merged; then of one
    vocabulary one hash shard in sixteen, to which `min_count` is applied exactly, and `top_k` as far as it can be;
    then the tokens of one vocabulary that are left, to put them in order. At 100 million distinct tokens of 20 bytes
    a shard is 225 MB, and what is left is as much as `min_count` and `top_k` let through: 36 bytes a token.
    """
    names = list(tokens)
    flat = [_flat(values) for name in names for values in tokens[name]]
    fed = [index for index, name in enumerate(names) for _ in tokens[name]]
    thresholds = [(name, settings[name].min_count, settings[name].top_k) for name in names]
    all_tokens = tf.concat(flat, axis=0)
    # One text and the tokens' lengths leave TensorFlow at a fraction of what an array of texts costs.
    text, lengths = tf.strings.reduce_join(all_tokens), tf.strings.length(all_tokens)
    (paths,) = tft.experimental.ptransform_analyzer(
        inputs=[text[tf.newaxis], lengths, tf.stack([tf.size(values, tf.int64) for values in flat])],
        ptransform=CountAndOrder(fed=fed, thresholds=thresholds, counts_folder=counts_folder),
        output_dtypes=[tf.string],
        output_shapes=[[len(names)]],
        name="packed_vocabularies",
    )
    return {name: _asset(paths, index) for index, name in enumerate(names)}


def _asset(paths: tf.Tensor, index: int) -> tf.Tensor:
    """Returns one path: once the analysis is done, an asset that is exported with the graph.

    An output that TFT itself knows as an asset costs it three steps of the job graph, for each vocabulary. All
    paths in one output cost what one does; TFT traces the preprocessing_fn again when it is known, and finds
    here an eager tensor, whose paths can be named as the assets they are.
    """
    if not tf.is_tensor(paths) or not hasattr(paths, "numpy"):
        return paths[index]
    with tf.init_scope():
        path = tf.constant(paths.numpy()[index])
    tf.compat.v1.get_default_graph().add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, path)
    return path


def _flat(tokens: Any) -> tf.Tensor:
    if isinstance(tokens, tf.RaggedTensor):
        return tokens.flat_values
    return tokens.values if isinstance(tokens, tf.SparseTensor) else tf.reshape(tokens, [-1])


def lookup(tokens: tf.Tensor | tf.RaggedTensor, path: tf.Tensor, num_oov_buckets: int) -> tf.Tensor | tf.RaggedTensor:
    """Returns the ids of `tokens`, int64, in the tokens' shape; unknown ones by hash in 1..num_oov_buckets.

    Args:
        tokens: strings of any shape.
        path: from `packed_vocabularies`.
        num_oov_buckets: the number of OOV buckets, 1 or more.
    """
    if isinstance(tokens, tf.RaggedTensor):
        return tokens.with_flat_values(lookup(tokens.flat_values, path, num_oov_buckets))
    if not hasattr(path, "numpy"):
        # Before the vocabulary is known no id can be: TFT must only see what the ids will depend on.
        with tf.control_dependencies([path]):
            return tf.zeros_like(tokens, tf.int64)
    layout = Vocabulary(num_oov_buckets=num_oov_buckets)
    # A token's id is its line plus the first token's id. The default line of an unknown token gives the id 1.
    first = layout.first_token_id
    ids = tft.apply_vocabulary(tokens, path, default_value=1 - first) + first
    if num_oov_buckets == 1:
        return ids
    # A stable hash (FarmHash Fingerprint64).
    return tf.where(layout.is_token(ids), ids, tf.strings.to_hash_bucket_fast(tokens, num_oov_buckets) + 1)
