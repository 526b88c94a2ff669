"""What a GPU alone can show: docs/cuda.md lists it. Without one all of these are skipped."""

from __future__ import annotations

import importlib.util
import logging
from collections import Counter

import numpy as np
import pytest
import torch

from hkdnet_ros.images.frames import Frame, Pair
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.cuda_graph import GraphRecorder
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.latest import KEPT
from hkdnet_ros.inference.precision_trial import agreement
from hkdnet_ros.inference.static_run import StaticRun, Upload
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.registration_config import RegistrationConfig

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

LEAST = 50.0
"""PSNR in dB to fp32 on the CPU."""

HAS_TENSORRT = importlib.util.find_spec("tensorrt") is not None
BACKENDS = ["torch", pytest.param("tensorrt", marks=pytest.mark.skipif(not HAS_TENSORRT, reason="no TensorRT here"))]
MODELS = [("realtime", 2), ("realtime", 3), ("guided", 2), ("paper", 2)]


def engine(model="guided", backend="torch", **settings):
    return load_engine(EngineConfig(model=model, backend=backend, device="cuda", **settings))


def exact(model="guided", scale=2):
    return load_engine(EngineConfig(model=model, scale=scale, backend="torch", device="cpu", precision="fp32"))


def values(height, width, seed=0):
    """Return (H, W) from 0 to 1 with edges, texture and something hot."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = 0.4 + 0.2 * np.sin(25 * x + seed) * np.cos(17 * y) + 0.1 * (x > 0.5)
    return np.clip(image + 0.3 * ((x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.01), 0, 1).astype(np.float32)


def lumas(it, height, width, seed=0):
    thermal = it.sizes.thermal_for(it.sizes.output_for((height, width)))
    return values(*thermal, seed), values(height, width, seed + 1)


def pair(height=120, width=160, seed=0):
    counts = (28000 + 6000 * values(height // 2, width // 2, seed)).astype(np.uint16)
    planes = np.dstack([values(height, width, seed + 1 + plane) * (250 - 40 * plane) for plane in range(3)])
    return Pair(Frame(counts, 1_000, "thermal", "mono16"), Frame(planes.astype(np.uint8), 2_000, "visible", "bgr8"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("model", "scale"), MODELS)
def test_a_replayed_graph_gives_the_picture_of_fp32(model, scale, backend):
    it, expected = engine(model, backend, scale=scale), exact(model, scale)
    assert it.precision == "fp16" or model == "paper"
    for seed in (0, 3):  # the second is a replay with other content
        images = lumas(it, 48, 64, seed)
        assert agreement(expected.fuse(*images), it.fuse(*images)) >= LEAST
    assert it._backend._runs.failures == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_size_is_captured_anew_and_an_old_one_comes_back(backend):
    it, expected = engine(backend=backend), exact()
    sizes = [(48, 64), (64, 48), (48, 64), *((16 * side, 64) for side in range(4, 4 + KEPT)), (48, 64)]
    for size in sizes:
        images = lumas(it, *size)
        assert agreement(expected.fuse(*images), it.fuse(*images)) >= LEAST, size
    assert it._backend._runs.failures == 0


def test_parts_of_a_large_image_are_the_whole(monkeypatch):
    it = engine()
    images = lumas(it, 480, 640)
    whole = it.fuse(*images)
    monkeypatch.setattr("hkdnet_ros.inference.tiles.LARGEST_WHOLE", 320 * 320)
    assert agreement(whole, it.fuse(*images)) >= LEAST


def test_two_networks_of_one_process_take_turns():
    it = load_engine(EngineConfig(backend="torch", device="cuda"))
    for _ in range(3):
        for chosen, model in zip(it.engines, ("realtime", "guided"), strict=True):
            images = lumas(chosen, 48, 64)
            assert agreement(exact(model).fuse(*images), chosen.fuse(*images)) >= LEAST


def test_what_cannot_be_captured_is_launched_one_by_one_and_spoils_nothing(caplog):
    """Reading a value from the device waits for it, which no graph can."""
    device = torch.device("cuda")
    recorder = GraphRecorder(device)

    def waits(image):
        return image * (2.0 if float(image.mean()) > 0 else 3.0)

    runs = [
        StaticRun([Upload((4, 4), torch.float32, device)], compute, device, recorder)
        for compute in (lambda image: image + 1, waits, waits, lambda image: image + 2)
    ]
    assert recorder.failures == 2
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    for value in (5.0, -5.0):
        for run in runs:
            run.inputs[0].host[...] = value
        found = [float(run(lambda stage: None)[0, 0]) for run in runs]
        factor = 2 if value > 0 else 3
        assert found == [value + 1, factor * value, factor * value, value + 2]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("registered", [False, True])
def test_a_pair_as_it_comes_is_what_the_cpu_makes_of_it(backend, registered):
    registration = RegistrationConfig()
    if registered:
        registration = RegistrationConfig(mode="homography", homography=(2.0, 0.0, 12.5, 0.0, 1.9, 4.5, 0, 0, 1.0))
    pipelines = [
        FusionPipeline(it, PerceptionConfig(registration=registration)) for it in (exact(), engine(backend=backend))
    ]
    for seed in (0, 3):
        expected, found = (pipeline.process(pair(seed=seed)).image for pipeline in pipelines)
        images = (image.astype(np.float32) / 255 for image in (expected, found))
        assert agreement(*images) >= LEAST - 6  # a level of luma or chroma is up to three of a colour
        assert np.abs(expected.astype(int) - found).max() <= 8


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pair_costs_one_upload_a_camera_one_download_and_one_wait(backend):
    pipeline = FusionPipeline(engine(backend=backend), PerceptionConfig())
    for _ in range(3):
        pipeline.process(pair())
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        pipeline.process(pair(seed=3))
    names = Counter(event.name for event in profile.events())
    copies = {way: sum(count for name, count in names.items() if f"Memcpy {way}" in name) for way in ("HtoD", "DtoH")}
    assert copies == {"HtoD": 2, "DtoH": 1}
    assert names["cudaGraphLaunch"] == 1
    assert names["cudaStreamSynchronize"] == 1
    assert not any("Pageable" in name for name in names)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device alone")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_second_device_is_used_where_it_is_asked_for(backend):
    it = load_engine(EngineConfig(model="guided", backend=backend, device="cuda:1"))
    images = lumas(it, 48, 64)
    for _ in range(2):
        assert agreement(exact().fuse(*images), it.fuse(*images)) >= LEAST
    assert it._backend._runs.failures == 0


def test_closing_gives_the_memory_back():
    def used():
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()

    before = used()
    it = engine()
    it.fuse(*lumas(it, 480, 640))
    assert used() > before
    it.close()
    assert used() <= before + (1 << 20)


@pytest.mark.skipif(not HAS_TENSORRT, reason="no TensorRT here")
def test_the_next_start_builds_nothing(capfd):
    images = None
    for _ in range(2):
        it = engine(backend="tensorrt", precision="fp16")
        images = images or lumas(it, 48, 64)
        it.fuse(*images)
        it.close()
        said = capfd.readouterr().err
    assert "TensorRT builds" not in said
