"""The soak's report: what it states, when it says that something did not hold, and what it does not state."""

from __future__ import annotations

from collections import Counter

import pytest

from hkdnet_ros.trials.soak.report import FaultRun, Memory, Soak, memory_growth, to_csv, to_markdown

MIB = 1 << 20


def soak(**changes):
    runs = [
        FaultRun("frozen", 1.0, 0.5, 100, {"held": 30, "fused": 5}),
        FaultRun("frozen", 9.0, 1.5, 110, {"held": 40}, "a note"),
    ]
    found = Soak({"machine": "this one"}, 600.0, runs, counts=Counter(checked=75), modes=Counter(fused=5, held=70))
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def samples(resident, seconds=600):
    return [Memory(float(at), round(resident(at) * MIB), "") for at in range(seconds)]


def test_a_soak_in_which_everything_held_says_so_and_sums_up_each_fault():
    text = to_markdown(soak())
    assert soak().verdict() == []
    assert "**Everything held.**" in text
    assert "| frozen | 2 | 5 fused, 70 held of 210 camera images; a note | 1.00 | 1.50 |" in text
    assert "too short" not in text
    assert "| node's resident memory | not measured |" in text


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"counts": Counter(checked=75, wrong=1)}, "1 images were wrong"),
        ({"counts": Counter(checked=60, unknown=29), "modes": Counter(fused=99, held=1)}, "only 89 of 100 published"),
        ({"counts": Counter(checked=75, repeated=2)}, "2 images were repeated"),
        ({"failures": ["the node ended"]}, "the node ended"),
        ({"runs": [FaultRun("late", 3.0, 2.5, 1, {})]}, "late at 3 s: fused again after 2.50 s, limit 2 s"),
        ({"runs": [FaultRun("gone", 3.0, None, 1, {})]}, "gone at 3 s: not fused again, limit 2 s"),
        ({"memory": samples(lambda at: 100 + at / 6)}, "memory grew by"),
    ],
)
def test_what_did_not_hold_is_named(changes, what):
    found = soak(**changes)
    (fact,) = found.verdict()
    assert what in fact
    assert f"- {fact}" in to_markdown(found)


def test_growth_is_that_after_warm_up():
    growth = memory_growth(samples(lambda at: 300 if at < 100 else 200 + at / 360))
    assert growth.per_hour == pytest.approx(10.0, rel=0.01)
    assert growth.last - growth.first == pytest.approx((600 - 120) * 0.9 / 360, rel=0.05)
    assert growth.most < 202
    assert "+10.0 MiB per hour" in to_markdown(soak(memory=samples(lambda at: 200 + at / 360)))


def test_growth_is_not_stated_of_a_short_soak():
    assert memory_growth(samples(lambda at: 200, 400)) is None
    assert "200.0 MiB at the end; too short" in to_markdown(soak(memory=samples(lambda at: 200, 60)))


def test_an_interrupted_soak_says_so():
    assert "Interrupted" in to_markdown(soak(interrupted=True))


def test_the_memory_is_a_table_with_one_line_per_sample():
    assert to_csv([Memory(1.25, 3 * MIB, "frozen")]) == "seconds,resident_mib,fault\n1.2,3.00,frozen\n"
