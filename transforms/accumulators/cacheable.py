"""Analyzers for TensorFlow Transform's cache: with it, only data sets that are not in the cache are read.

TFT runs such an analyzer in three steps: `accumulate` turns batches into accumulators; `merge` sums these, first those
of each data set, then those of all; `extract` computes the result. `tft_beam.AnalyzeDatasetWithCache` keeps the sums of
each data set and uses them instead of reading it. `tft_beam.AnalyzeDataset` runs the same steps without a cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
import tensorflow_transform as tft


class ArrowCoder(tft.experimental.PTransformAnalyzerCacheCoder):
    """Converts accumulators to the bytes that the cache holds, and back.

    Args:
        encode: From an accumulator to bytes.
        decode: From these bytes to the accumulator.
    """

    def __init__(self, *, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]) -> None:
        self._encode, self._decode = encode, decode

    def encode_cache(self, cache: Any) -> bytes:
        """Returns the bytes of an accumulator."""
        return self._encode(cache)

    def decode_cache(self, encoded_cache: bytes) -> Any:
        """Returns the accumulator of some bytes."""
        return self._decode(encoded_cache)


def cacheable_analyzer(
    *, accumulate: beam.PTransform, merge: beam.PTransform, extract: beam.PTransform, coder: ArrowCoder, key: str
) -> tft.experimental.CacheablePTransformAnalyzer:
    """Returns the analyzer, for `tft.experimental.ptransform_analyzer`.

    Args:
        accumulate: From batches to accumulators.
        merge: From accumulators to their sums, in the same form; merging sums again changes nothing.
        extract: From the sums of all data sets to the result.
        coder: Encodes the sums one by one.
        key: States all settings that the accumulators depend on, apart from the tensors that are analyzed, which TFT
            adds. Cached sums are used if neither has changed; so settings of `extract` do not belong to it.
    """
    return tft.experimental.CacheablePTransformAnalyzer(
        make_accumulators_ptransform=_Keyed(accumulate, key),
        merge_accumulators_ptransform=_MergedOnce(merge, key),
        extract_output_ptransform=extract,
        cache_coder=coder,
    )


class _Keyed(beam.PTransform):
    """A transform whose `repr` is a key.

    TFT identifies cached sums by the `repr` of the transforms. That of a PTransform has its address in memory, so no
    sums would ever be found.
    """

    def __init__(self, transform: beam.PTransform, key: str) -> None:
        super().__init__()
        self._transform, self._key = transform, key

    def expand(self, collection: beam.PCollection) -> beam.PCollection:
        return collection | self._transform

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._key}>"


class _MergedOnce(_Keyed):
    """A merge that does not repeat itself.

    Without a cache, TFT applies it to its own result, which would shuffle all sums once more.
    """

    def expand(self, collection: beam.PCollection) -> beam.PCollection:
        if _is_result_of(self, collection):
            # A step that does nothing, because not all runners take a composite transform without any.
            return collection | "AlreadyMerged" >> beam.Map(_same)
        return super().expand(collection)


def _is_result_of(transform: beam.PTransform, collection: beam.PCollection) -> bool:
    step = collection.producer  # The innermost step; those around it have the same output.
    while step is not None and collection in step.outputs.values():
        if step.transform is transform:
            return True
        step = step.parent
    return False


def _same(element: Any) -> Any:
    return element
