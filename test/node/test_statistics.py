"""Counters and the throttle of the log."""

from __future__ import annotations

from hkdnet_ros.node.statistics import Statistics, Throttle


def test_totals_are_a_snapshot():
    statistics = Statistics()
    statistics.add_received("thermal")
    statistics.add_pair()
    statistics.add_published()
    assert [statistics.add_drop("late"), statistics.add_drop("late")] == [1, 2]
    totals = statistics.totals()
    statistics.add_received("thermal")
    statistics.add_drop("late")
    assert (totals.received["thermal"], totals.received["visible"]) == (1, 0)
    assert (totals.pairs, totals.published, dict(totals.drops)) == (1, 1, {"late": 2})


def test_the_throttle_passes_the_first_of_each_kind_and_then_one_per_period():
    now = [100.0]
    throttle = Throttle(5.0, clock=lambda: now[0])
    passed = []
    for now[0] in (100.0, 101.0, 104.9, 105.0, 109.0, 110.0):
        passed.append((throttle.passes("a"), throttle.passes("b") if now[0] > 104 else None))
    assert [a for a, _ in passed] == [True, False, False, True, False, True]
    assert [b for _, b in passed] == [None, None, True, False, False, True]
