"""Converts a run's counts to tensorflow_metadata's DatasetFeatureStatisticsList, for TFX's tools.

Paths and contents are those of TFX's StatisticsGen (`statistics/Split-train/FeatureStats.pb`, one data set per file),
so `tfdv.load_stats_binary` reads them. They describe the raw values of the accepted rows, by field. The custom
statistic `oov_rate` is the share of OOV ids among the ids that the model sees, as in `stats.json`.

https://github.com/tensorflow/metadata/blob/master/tensorflow_metadata/proto/v0/statistics.proto
"""

from __future__ import annotations

from tensorflow_metadata.proto.v0 import statistics_pb2

from ...transforms.runs.run_stats import NumberStats, RunStats
from ...transforms.spec import LABEL_FEATURE, SPLITS

TFX_STATISTICS_FILE = "FeatureStats.pb"

_TYPES = statistics_pb2.FeatureNameStatistics


def tfx_statistics(stats: RunStats) -> dict[str, statistics_pb2.DatasetFeatureStatisticsList]:
    """Returns the statistics of each split that has rows, from the contents of `stats.json`."""
    return {split: _of_split(stats, split) for split in SPLITS if stats.rows(split)}


def _of_split(stats: RunStats, split: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    rows = stats.rows(split)
    result = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = result.datasets.add(name=split, num_examples=rows)
    label = dataset.features.add(type=_TYPES.FLOAT)
    label.path.step.append(LABEL_FEATURE)
    rate = stats.positives[split] / rows
    _common(label.num_stats.common_stats, rows, {1: rows})
    label.num_stats.mean, label.num_stats.std_dev = rate, (rate * (1 - rate)) ** 0.5
    label.num_stats.min, label.num_stats.max = float(rate == 1), float(rate > 0)
    label.num_stats.num_zeros = rows - stats.positives[split]
    for name, field in stats.fields.items():
        is_number = field.type in ("numeric", "vector")
        feature = dataset.features.add(type=_TYPES.FLOAT if is_number else _TYPES.STRING)
        feature.path.step.append(name)
        missing = field.absent[split]
        length = 1 if field.length is None else field.length
        lengths = {0: missing, length: rows - missing} if field.lengths is None else field.lengths[split]
        if is_number:
            _common(feature.num_stats.common_stats, rows, lengths)
            _numbers(feature.num_stats, (field.numbers or {}).get(split))
            continue
        _common(feature.string_stats.common_stats, rows, lengths)
        oov = field.oov_share(split)
        if oov is not None:
            feature.custom_stats.add(name="oov_rate", num=oov)
    return result


def _common(common: statistics_pb2.CommonStatistics, rows: int, lengths: dict[int, int]) -> None:
    """Fills in the numbers of values per row; a row without values counts as missing."""
    present = {length: number for length, number in lengths.items() if number and length}
    common.num_non_missing = sum(present.values())
    common.num_missing = rows - common.num_non_missing
    common.tot_num_values = sum(length * number for length, number in present.items())
    if present:
        common.min_num_values, common.max_num_values = min(present), max(present)
        common.avg_num_values = common.tot_num_values / common.num_non_missing


def _numbers(statistics: statistics_pb2.NumericStatistics, numbers: NumberStats | None) -> None:
    if numbers is not None:
        statistics.mean, statistics.std_dev = numbers.mean, numbers.std
        statistics.min, statistics.max = numbers.min, numbers.max
        statistics.num_zeros = numbers.zeros
