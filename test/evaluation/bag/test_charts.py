"""Series of a report: few points however long the recording is, and gaps where there is nothing."""

from __future__ import annotations

import numpy as np

from hkdnet_ros.evaluation.bag.charts import MOST_POINTS, bins, counts, per_span, points


def test_a_day_of_frames_becomes_few_points_with_the_same_mean():
    times = np.arange(0, 36_000, 1 / 30)
    values = np.sin(times / 5000)
    x, (series,) = points(times, [("fused", values)], 36_000)
    assert len(x) == len(series.values) <= MOST_POINTS
    assert abs(np.mean(series.values) - values.mean()) < 1e-3
    assert series.color == "fused"


def test_no_line_runs_across_a_pause():
    times = np.concatenate([np.arange(0, 10, 0.5), np.arange(60, 70, 0.5)])
    x, (series,) = points(times, [("a", np.ones(len(times)))], 70)
    assert x.count(34.75) == 1
    assert series.values[x.index(34.75)] is None
    assert sum(value is None for value in series.values) == 1
    many = np.concatenate([np.arange(0, 500, 0.5), np.arange(900, 1400, 0.5)])
    x, (series,) = points(many, [("a", np.ones(len(many)))], 1400)
    assert {value for place, value in zip(x, series.values, strict=True) if 510 < place < 890} == {None}
    assert {value for place, value in zip(x, series.values, strict=True) if not 490 < place < 910} == {1.0}


def test_spans_have_means_percentiles_and_counts():
    edges = bins(4.0, 1.0)
    times = np.array([3.5, 0.1, 0.2, 1.5, 0.3, 1.6])
    values = np.array([9.0, 1.0, 2.0, 4.0, 3.0, np.nan])
    assert per_span(times, values, edges) == [2.0, 4.0, None, 9.0]
    assert per_span(times, values, edges, percentile=100) == [3.0, 4.0, None, 9.0]
    assert counts(times, edges) == [3.0, 2.0, 0.0, 1.0]
    assert counts(times, bins(4.0, 2.0), per_second=True) == [2.5, 0.5]
