"""An engine whose device fails."""

from __future__ import annotations

import numpy as np
import pytest
from rigging import FakeEngine

pytest.importorskip("rclpy", reason="needs ROS 2")

from hkdnet_ros.errors import DeviceError
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.fallback_engine import FallbackEngine

GRAY = np.zeros((16, 16), np.uint8)


class Failing(FakeEngine):
    """Fails its first calls, as many as ``failures`` says."""

    def __init__(self, failures):
        super().__init__()
        self.failures = failures
        self.device = "cuda"

    def fuse(self, thermal, visible):
        if self.failures:
            self.failures -= 1
            raise DeviceError("the device failed: CUDA out of memory")
        return super().fuse(thermal, visible)


def made(failures, on_failure="cpu"):
    """Return the engine, what it loaded (configuration and engine) and what it warned of."""
    loaded, warnings = [], []

    def load(config):
        loaded.append((config, FakeEngine() if config.device == "cpu" else Failing(failures)))
        return loaded[-1][1]

    return FallbackEngine(load, EngineConfig(precision="fp16"), on_failure, warnings.append), loaded, warnings


def test_one_failure_is_tried_once_more_on_the_same_device():
    engine, loaded, warnings = made(failures=1)
    assert engine.fuse(GRAY, GRAY).shape == (32, 32)
    assert engine.device == "cuda"
    assert len(loaded) == 1
    assert warnings == ["the device failed: CUDA out of memory; trying once more"]


def test_two_failures_go_on_with_the_cpu_and_free_the_device():
    engine, loaded, warnings = made(failures=2)
    assert engine.fuse(GRAY, GRAY).shape == (32, 32)
    assert engine.device == "cpu"
    assert loaded[0][1].closed
    assert (loaded[1][0].device, loaded[1][0].precision) == ("cpu", "auto")
    assert "going on with the CPU" in warnings[1]


def test_two_failures_are_raised_where_the_cpu_is_not_wanted():
    engine, loaded, _ = made(failures=2, on_failure="inactive")
    with pytest.raises(DeviceError):
        engine.fuse(GRAY, GRAY)
    assert len(loaded) == 1
    assert engine.fuse(GRAY, GRAY).shape == (32, 32)  # the device may be well again


def test_a_device_without_memory_for_the_model_is_left_at_once():
    def load(config):
        if config.device != "cpu":
            raise DeviceError("the device failed: CUDA out of memory")
        return FakeEngine()

    assert FallbackEngine(load, EngineConfig(), "cpu", print).device == "cpu"


@pytest.mark.parametrize(
    ("backend", "environment", "expected"),
    [("tensorrt", "", "auto"), ("auto", "tensorrt", "torch"), ("tensorrt", "tensorrt", "torch")],
)
def test_the_cpu_gets_a_back_end_that_it_has(monkeypatch, backend, environment, expected):
    """TensorRT's is for CUDA alone, and the environment has the last word of what auto is."""
    monkeypatch.setenv("HKDNET_ROS_BACKEND", environment)
    asked = []

    def load(config):
        asked.append((config.backend, config.device, config.precision))
        if config.device != "cpu":
            raise DeviceError("the device failed: TensorRT's execution on CUDA failed")
        return FakeEngine()

    config = EngineConfig(backend=backend, device="cuda", precision="fp16")
    assert FallbackEngine(load, config, "cpu", lambda text: None).device == "cpu"
    assert asked[-1] == (expected, "cpu", "auto")
