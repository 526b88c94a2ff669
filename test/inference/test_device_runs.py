"""Fixed memory for each size, and what is kept of it; without a GPU there is nothing to replay."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from hkdnet_ros.inference import device_runs
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.cuda_graph import GraphRecorder
from hkdnet_ros.inference.device_runs import DeviceRuns
from hkdnet_ros.inference.latest import KEPT, Latest
from hkdnet_ros.inference.static_run import StaticRun, Upload
from hkdnet_ros.inference.torch_backend import TorchBackend


def no_lap(stage):
    pass


def test_the_latest_are_kept_and_what_is_needed_again_is_made_anew():
    made = []
    latest = Latest()
    for key in [*range(KEPT), 0, KEPT, 0, 1]:
        assert latest.get(key, lambda key=key: made.append(key) or f"value {key}") == f"value {key}"
    assert made == [*range(KEPT), KEPT, 1]  # 0 was used again before there was one too many


@pytest.fixture
def backend(student_file):
    return TorchBackend(EngineConfig(model=str(student_file(2)), device="cpu", precision="fp32", threads=1))


def test_images_of_any_sizes_in_turn_give_what_the_network_gives(backend):
    prepared = []

    def prepare(thermal, visible, is_part):
        prepared.append(visible)
        return backend._fused

    runs = DeviceRuns(torch.device("cpu"), backend.sizes, prepare)
    random = np.random.default_rng(0)
    sizes = [(20, 24), (30, 34), (20, 24), *((side, side) for side in range(16, 16 + KEPT)), (20, 24)]
    for size in sizes:
        levels = random.integers(0, 256, (2, *size), dtype=np.uint8)
        expected = backend.run(*levels, no_lap).copy()
        np.testing.assert_allclose(runs.run(*levels, no_lap, None), expected, atol=1e-5)
    assert prepared == [size for index, size in enumerate(sizes) if index != 2]
    assert runs.failures == 0


def test_parts_are_told_of_their_frame():
    backend = TorchBackend(EngineConfig(model="guided", device="cpu", precision="fp32", threads=1))
    runs = DeviceRuns(torch.device("cpu"), backend.sizes, lambda *_: backend._fused)
    random = np.random.default_rng(0)
    thermal, visible = random.random((16, 24), dtype=np.float32), random.random((32, 48), dtype=np.float32)
    for frame in (np.array([[0.2, 0.1, 0.6, 0.3]], np.float32), np.array([[0.7, 0.3, 0.1, 0.0]], np.float32), None):
        expected = backend.run(thermal, visible, no_lap, frame).copy()
        np.testing.assert_allclose(runs.run(thermal, visible, no_lap, frame), expected, atol=1e-5)


def test_what_cannot_be_captured_is_launched_as_it_is_and_said_once(monkeypatch, caplog):
    recorder = GraphRecorder(torch.device("cuda"))

    def refused(launch):
        launch()
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nSee ...")

    monkeypatch.setattr(recorder, "_captured", refused)
    launched = []
    for number in range(2):
        recorder.record(lambda number=number: launched.append(number))()
    assert launched == [0, 0, 1, 1]
    assert recorder.failures == 2
    assert [record.getMessage().splitlines() for record in caplog.records] == [
        [
            "the network could not be captured as a CUDA graph (CUDA error: operation not permitted when stream is "
            "capturing); its kernels are launched one by one, which gives the same picture more slowly"
        ]
    ]


def test_on_a_cpu_there_is_nothing_to_capture():
    recorder = GraphRecorder(torch.device("cpu"))

    def launch():
        pass

    assert recorder.record(launch) is launch
    assert recorder.failures == 0


class Adder:
    """What computes in memory of its own, as TensorRT's context does."""

    def __call__(self, image):
        return image + 1


def test_what_a_graph_was_captured_from_lives_as_long_as_it(monkeypatch):
    """A graph works in its memory, and a replay alone does not hold it."""
    recorder = GraphRecorder(torch.device("cpu"))
    monkeypatch.setattr(recorder, "record", lambda launch: lambda: None)  # as a captured graph, which knows no Python
    adder = Adder()
    alive = weakref.ref(adder)
    run = StaticRun([Upload((2, 2), torch.float32, torch.device("cpu"))], adder, torch.device("cpu"), recorder)
    del adder
    gc.collect()
    assert alive() is not None
    del run
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(("memory", "is_kept"), [((1, 2), False), (None, True)])
def test_the_memory_of_a_lost_device_is_not_given_back(monkeypatch, memory, is_kept):
    """torch records an event when page-locked memory is freed; where that fails, it ends the process."""
    monkeypatch.setattr(device_runs, "memory_of", lambda device: memory)
    runs = DeviceRuns(torch.device("cuda"), None, lambda *_: None)
    alive = weakref.ref(runs._lumas.get("a size", Adder))
    runs.clear()
    del runs
    gc.collect()
    assert (alive() is not None) == is_kept
