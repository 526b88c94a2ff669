"""What is timed, and what is said of it; how long it takes is for no test to say."""

from __future__ import annotations

import math

import pytest

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.inference import benchmark
from hkdnet_ros.inference.benchmark import BICUBIC, EAGER, PAPER, cost_by_size, time_ways
from hkdnet_ros.inference.config import EngineConfig


@pytest.mark.parametrize(
    ("thermal_size", "model", "sizes"),
    [
        (None, "realtime_x2", ((48, 32), (48, 32), (96, 64))),
        ((40, 30), "realtime_x2", ((40, 30), (40, 30), (80, 60))),  # both are brought to thermal's size
        ((16, 16), "guided", ((24, 16), (48, 32), (48, 32))),  # thermal is enlarged to half of the output
    ],
)
def test_auto_times_the_network_that_the_node_would_run(thermal_size, model, sizes):
    found = time_ways(EngineConfig(device="cpu"), (48, 32), thermal_size=thermal_size, frames=2)
    assert (found.model, found.device) == (model, "cpu")
    assert (found.thermal, found.visible, found.output) == sizes
    assert {len(times) for times in found.times.values()} == {2}
    assert all(time > 0 for times in found.times.values() for time in times)


def test_guided_takes_the_visible_image_in_full_whatever_the_thermal_one_has():
    found = time_ways(EngineConfig(model="guided", device="cpu"), (49, 33), frames=1)
    assert (found.thermal, found.visible, found.output) == ((25, 17), (49, 33), (49, 33))


def test_every_way_is_timed_in_the_same_rounds():
    found = time_ways(EngineConfig(model="guided", device="cpu", backend="torch"), (64, 48), frames=2, paper=True)
    assert set(found.times) >= {EAGER, "torch fp32", BICUBIC, PAPER}
    assert all(p50 <= p95 for p50, p95 in found.percentiles().values())


def test_the_cost_grows_as_the_exponent_says(monkeypatch):
    monkeypatch.setattr(benchmark, "SWEEP", ((64, 48), (128, 96), (256, 192)))
    times, exponent = cost_by_size(EngineConfig(device="cpu", backend="torch"), frames=2)
    assert list(times) == [(64, 48), (128, 96), (256, 192)]
    ends = times[256, 192] / times[64, 48]
    assert exponent == pytest.approx(math.log(ends) / math.log(16), rel=0.5)


def test_no_frames_are_refused():
    with pytest.raises(ConfigError, match="--frames is 0"):
        time_ways(EngineConfig(), (48, 32), frames=0)


def test_exported_files_are_refused():
    with pytest.raises(ConfigError, match="backend onnxruntime runs exported files"):
        time_ways(EngineConfig(model="guided.onnx", backend="onnxruntime", device="cpu"), (64, 48), frames=1)
