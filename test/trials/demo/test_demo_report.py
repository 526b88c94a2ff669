"""The figures of a demo and the pages they are written to."""

from __future__ import annotations

import json
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hkdnet_ros.trials.demo.report import (
    AGE,
    OWN_COST,
    SETTLED,
    DemoFigures,
    FrameRecord,
    MemorySample,
    latencies,
    memory_use,
    spread,
    to_json,
    to_markdown,
)

MIB = 1 << 20


def record(queue, decode, network, publish, age):
    return FrameRecord({"queue": queue, "decode": decode, "network": network, "publish": publish}, age)


def figures(**changes):
    facts = {
        "source": "simulator:night:0", "thermal_size": "320x240", "visible_size": "320x240", "fused_size": "640x480",
        "seconds": 20.0, "model": "realtime_x2", "device": "cpu", "precision": "bf16", "machine": "2 cores",
        "received": {"thermal": 300, "visible": 301}, "received_rate": 15.04, "pairs": 299, "published": 200,
        "drops": {"superseded": 98, "unmatched": 0}, "fps": 9.95,
        "latencies": latencies([record(1.0, 2.0, 80.0, 3.0, 99.0)]),
        "memory": memory_use([MemorySample(60, 500 * MIB), MemorySample(200, 501 * MIB)]),
    }  # fmt: skip
    return DemoFigures(**{**facts, **changes})


def test_own_cost_is_all_but_waiting_and_inference_frame_by_frame():
    records = [record(9.0, 1.0, 80.0, 2.0, 100.0), record(9.0, 5.0, 80.0, 1.0, 90.0), record(9.0, 2.0, 80.0, 2.0, 95.0)]
    table = latencies(records)
    assert list(table) == ["queue", "decode", "network", "publish", OWN_COST, AGE]
    assert table[OWN_COST].p50 == 4.0  # of 3, 6 and 4; the medians of the stages add up to 4 too, of p95 they do not
    assert table[OWN_COST].p95 == pytest.approx(5.8)
    assert table[AGE].p50 == 95.0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=60))
def test_percentiles_agree_with_the_standard_library(values):
    result = spread(values)
    assert result.p50 == pytest.approx(statistics.median(values))
    assert result.p95 == pytest.approx(statistics.quantiles(values, n=20, method="inclusive")[-1])


def test_memory_counts_from_when_buffers_have_settled():
    samples = [MemorySample(count, (400 + count) * MIB) for count in (0, 10, SETTLED + 1, 90, 100)]
    use = memory_use([*samples, MemorySample(120, 480 * MIB)])
    assert (use.first_frame, use.first) == (SETTLED + 1, 451 + 0)
    assert (use.last_frame, use.last) == (120, 480)
    assert use.most == 500
    assert use.growth == 29


def test_memory_of_a_short_run_is_its_last_sample():
    use = memory_use([MemorySample(0, 100 * MIB), MemorySample(3, 200 * MIB)])
    assert (use.first_frame, use.first, use.growth) == (3, 200, 0)


def test_the_page_states_rates_drops_cost_and_memory():
    page = to_markdown(figures(), "overview.png")
    for text in (
        "![thermal, visible, fused](overview.png)", "9.9 frames per second", "200 in 20.0 s", "98 superseded |",
        "300 thermal, 301 visible", "5.0 ms (p50)", "500 MiB after 60 frames, 501 MiB after 200 (+1 MiB)",
        "realtime_x2, bf16 on cpu", "| network | 80.00 | 80.00 | inference |",
    ):  # fmt: skip
        assert text in page
    assert "unmatched" not in page
    assert "Quality" not in page


def test_the_page_has_every_method_and_measure_of_the_quality():
    quality = {"fused": {"Qabf": 0.51234, "MI": 3.0}, "bicubic>average": {"Qabf": 0.4, "MI": 2.0}}
    page = to_markdown(figures(quality=quality, quality_frames=12), "overview.png")
    assert "12 fused images" in page
    assert "| | Qabf | MI |" in page
    assert "| fused | 0.512 | 3.000 |" in page
    assert "| bicubic>average | 0.400 | 2.000 |" in page


def test_a_run_without_drops_says_none():
    assert "| dropped | none |" in to_markdown(figures(drops={"superseded": 0}), "overview.png")


def test_the_json_has_the_same_figures():
    data = json.loads(to_json(figures()))
    assert data["fps"] == 9.95
    assert data["latencies"][OWN_COST] == {"p50": 5.0, "p95": 5.0}
    assert data["drops"] == {"superseded": 98, "unmatched": 0}
    assert data["memory"]["last"] == 501
