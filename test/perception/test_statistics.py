"""Counters and rates."""

from __future__ import annotations

import pytest

from hkdnet_ros.perception.statistics import OUTPUT, Rate, Statistics

S = 10**9


def test_totals_are_a_snapshot():
    statistics = Statistics()
    statistics.add_received("thermal", S)
    statistics.add_pair()
    statistics.add_published(S)
    assert [statistics.add_drop("late"), statistics.add_drop("late")] == [1, 2]
    totals = statistics.totals()
    statistics.add_received("thermal", S)
    statistics.add_drop("late")
    assert (totals.received["thermal"], totals.received["visible"]) == (1, 0)
    assert (totals.pairs, totals.published, dict(totals.drops)) == (1, 1, {"late": 2})


def test_a_rate_is_that_of_the_last_ten_seconds_from_the_first_event_on():
    rate = Rate()
    assert rate.per_second(5 * S) == 0
    for index in range(21):
        rate.note(5 * S + index * S // 10)
    assert rate.per_second(7 * S) == pytest.approx(10)
    for index in range(200):
        rate.note(7 * S + (index + 1) * S // 20)
    assert rate.per_second(17 * S) == pytest.approx(20)
    assert rate.per_second(22 * S) == pytest.approx(10)
    assert rate.per_second(40 * S) == 0


def test_rates_begin_anew_when_the_clock_was_set_and_counts_stay():
    statistics = Statistics()
    for now_s in (100, 101, 102):
        statistics.add_received("thermal", now_s * S)
    statistics.add_published(102 * S)
    statistics.clock_was_set()
    assert statistics.since_output(S) is None
    for now_s in (1, 2, 3):
        statistics.add_received("thermal", now_s * S)
    assert statistics.rates(3 * S) == {"thermal": pytest.approx(1)}
    assert statistics.totals().received["thermal"] == 6


def test_percentiles_of_latencies_and_the_time_since_the_output():
    statistics = Statistics()
    assert (statistics.latencies(), statistics.since_output(S), statistics.rates(S)) == ({}, None, {})
    for milliseconds in range(101):
        statistics.add_latencies({"network": milliseconds / 1000})
        statistics.add_published(S + milliseconds * S // 100)
    assert statistics.latencies()["network"] == pytest.approx((0.05, 0.095))
    assert statistics.since_output(3 * S) == 1.0
    assert statistics.rates(2 * S)[OUTPUT] == pytest.approx(100)
