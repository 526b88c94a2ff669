"""A pair that a device does all of comes out as the CPU makes it: here the device's way runs on the CPU."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rigging import FakeEngine

pytest.importorskip("torch")

from hkdnet_ros.errors import DeviceError, ImageError
from hkdnet_ros.images.frames import THERMAL, Frame, Pair
from hkdnet_ros.inference.auto_engine import AutoEngine
from hkdnet_ros.inference.checked_engine import CheckedEngine
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.fallback_engine import FallbackEngine
from hkdnet_ros.inference.torch_backend import TorchBackend
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import Extras, FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig
from hkdnet_ros.perception.registration_config import RegistrationConfig
from hkdnet_ros.perception.thermal import ThermalConfig


def load(config: EngineConfig) -> CheckedEngine:
    return CheckedEngine(TorchBackend(dataclasses.replace(config, precision="fp32", device="cpu")), "torch")


@pytest.fixture(scope="module")
def here():
    return AutoEngine(load, EngineConfig(threads=1))


@pytest.fixture(scope="module")
def device():
    """The same networks, which take pairs as they come, as on CUDA."""
    engine = AutoEngine(load, EngineConfig(threads=1))
    for each in engine.engines:
        each._backend.takes_raw = True
    return engine


def scene(height, width, seed=0):
    """Return values from 0 to 1 with edges, texture and something hot."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = 0.4 + 0.2 * np.sin(25 * x + seed) * np.cos(17 * y) + 0.1 * (x > 0.5)
    return np.clip(image + 0.3 * ((x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.01), 0, 1)


def thermal(height=60, width=80, encoding="mono16"):
    values = scene(height, width)
    image = {
        "mono16": lambda: (28000 + 6000 * values).astype(np.uint16),
        "mono8": lambda: (255 * values).astype(np.uint8),
        "32FC1": lambda: (280 + 30 * values).astype(np.float32),
    }[encoding]()
    return Frame(image, 1_000, "thermal_optical", encoding)


def visible(height=120, width=160, encoding="bgr8"):
    planes = [scene(height, width, seed) * (250 - 40 * seed) for seed in range(1, 5)]
    image = np.dstack(planes).astype(np.uint8)[..., : {"bgr8": 3, "rgb8": 3, "mono8": 1}.get(encoding, 4)]
    return Frame(image[..., 0] if encoding == "mono8" else image, 2_000, "visible_optical", encoding)


def both(here, device, pair, *, frames=1, extras=Extras(), **sections):  # noqa: B008
    """Return the last of so many equal frames, fused here and on the device, which has to have done it."""
    fused = []
    for engine in (here, device):
        pipeline = FusionPipeline(engine, PerceptionConfig(**sections))
        for _ in range(frames):
            fused.append(pipeline.process(pair, extras))
        assert ("color" in fused[-1].timings) == (engine is here)
    return fused[frames - 1], fused[-1]


def assert_same(expected, found):
    assert found.image.shape == expected.image.shape
    assert found.image.dtype == np.uint8
    off = np.abs(found.image.astype(int) - expected.image)
    assert off.max() <= 3  # a level of luma or chroma, which green has twice
    assert off.mean() < 0.1
    assert (found.stamp_ns, found.frame_id, found.mode, found.window, found.reference) == (
        expected.stamp_ns, expected.frame_id, expected.mode, expected.window, expected.reference,
    )  # fmt: skip


MIDDLE = (2.0, 0.0, 12.5, 0.0, 1.9, 14.5, 0.0, 0.0, 1.0)
"""Thermal pixels are two of the visible ones wide, and some of the visible image thermal does not see."""


@pytest.mark.parametrize("encoding", ["mono16", "mono8", "32FC1"])
def test_thermal_images_of_each_kind(here, device, encoding):
    assert_same(*both(here, device, Pair(thermal(encoding=encoding), visible())))


@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "bgra8", "rgba8"])
def test_visible_images_of_each_kind(here, device, encoding):
    assert_same(*both(here, device, Pair(thermal(), visible(encoding=encoding))))


@pytest.mark.parametrize(
    ("thermal_size", "visible_size", "pipeline"),
    [
        ((60, 80), (60, 80), PipelineConfig()),  # realtime, enlarged by 2
        ((60, 80), (80, 100), PipelineConfig()),  # the visible image shrunk to thermal's size
        ((60, 80), (121, 163), PipelineConfig()),  # guided, of odd size
        ((31, 41), (240, 320), PipelineConfig(output_size=(160, 120))),
        ((60, 80), (60, 80), PipelineConfig(output_size=(150, 110), grid=(64, 48))),
        ((60, 80), (120, 160), PipelineConfig(output="gray")),
        ((60, 80), (120, 160), PipelineConfig(thermal_gain=0.4)),
        ((60, 80), (60, 80), PipelineConfig(thermal_gain=0.4)),
    ],
)
def test_sizes_and_what_is_asked_for(here, device, thermal_size, visible_size, pipeline):
    assert_same(*both(here, device, Pair(thermal(*thermal_size), visible(*visible_size)), pipeline=pipeline))


@pytest.mark.parametrize("border", ["reference", "keep", "crop"])
@pytest.mark.parametrize("size", [(120, 160), (60, 80)])
def test_registered_cameras(here, device, border, size):
    registration = RegistrationConfig(mode="homography", homography=MIDDLE, border=border)
    pair = Pair(thermal(48, 64), visible(*size)) if size == (120, 160) else Pair(thermal(24, 32), visible(*size))
    extras = Extras(validity=True)
    expected, found = both(here, device, pair, extras=extras, registration=registration)
    assert_same(expected, found)
    np.testing.assert_array_equal(found.validity, expected.validity)


def test_the_range_follows_the_scene_and_hot_is_white(here, device):
    config = ThermalConfig(polarity="black_hot", time_constant=1.0)
    assert_same(*both(here, device, Pair(thermal(), visible()), frames=3, thermal=config))


def test_a_camera_that_shows_nothing_is_no_guide_there_either(here, device):
    flat = Frame(np.full((120, 160, 3), 200, np.uint8), 2_000, "visible_optical", "bgr8")
    pipelines = [FusionPipeline(engine, PerceptionConfig()) for engine in (here, device)]
    expected, found = (pipeline.process(Pair(thermal(), flat)) for pipeline in pipelines)
    assert found.mode == expected.mode == THERMAL
    np.testing.assert_array_equal(found.image, expected.image)


@pytest.mark.parametrize(
    ("sections", "encoding"),
    [
        ({"thermal": ThermalConfig(local_contrast=0.5)}, "bgr8"),
        ({"registration": RegistrationConfig(mode="homography", homography=MIDDLE, reference=THERMAL)}, "bgr8"),
        ({"pipeline": PipelineConfig(thermal_gain=0.0)}, "bgr8"),
        ({}, "mono16"),
    ],
)
def test_what_is_not_for_the_device_is_made_here(here, device, sections, encoding):
    image = visible()
    if encoding == "mono16":
        image = Frame(image.image[..., 0].astype(np.uint16) * 257, 2_000, "visible_optical", "mono16")
    pipelines = [FusionPipeline(engine, PerceptionConfig(**sections)) for engine in (here, device)]
    expected, found = (pipeline.process(Pair(thermal(), image)) for pipeline in pipelines)
    np.testing.assert_array_equal(found.image, expected.image)


def test_the_conditioned_image_is_made_where_it_is_wanted(here, device):
    expected, found = both(here, device, Pair(thermal(), visible()))
    np.testing.assert_array_equal(found.thermal, expected.thermal)
    pipeline = FusionPipeline(device, PerceptionConfig())
    assert pipeline.process(Pair(thermal(), visible()), Extras(conditioned=False)).thermal is None


class Lost(FakeEngine):
    """Takes pairs as they come, and its device fails."""

    takes_raw = True

    def fuse_raw(self, pair):
        raise DeviceError("the device failed: CUDA error")


def test_where_the_device_is_lost_the_cpu_fuses_the_pair():
    said = []
    engine = FallbackEngine(
        lambda config: FakeEngine() if config.device == "cpu" else Lost(),
        EngineConfig(device="cuda"),
        "cpu",
        said.append,
    )
    fused = FusionPipeline(engine, PerceptionConfig()).process(Pair(thermal(), visible(60, 80)))
    assert fused.image.shape == (120, 160, 3)
    assert (engine.failure, engine.takes_raw) == ("the device failed: CUDA error", False)
    assert len(said) == 2


def test_an_overflow_is_no_image(device, monkeypatch):
    pipeline = FusionPipeline(device, PerceptionConfig())
    engine = pipeline.plan(thermal(), visible()).engine
    monkeypatch.setattr(engine._backend, "_fused", lambda *inputs: inputs[1] * float("nan"))
    engine._backend._runs.clear()
    with pytest.raises(ImageError, match=r"the output of guided is not finite in fp32; set precision to fp32"):
        pipeline.process(Pair(thermal(), visible()))
    engine._backend._runs.clear()


def test_an_image_for_parts_is_left_to_the_parts(device, here, monkeypatch):
    monkeypatch.setattr("hkdnet_ros.inference.checked_engine.LARGEST_WHOLE", 100)
    pair = Pair(thermal(), visible())
    fused = [FusionPipeline(engine, PerceptionConfig()).process(pair) for engine in (here, device)]
    np.testing.assert_array_equal(fused[0].image, fused[1].image)


def test_an_engine_on_the_cpu_takes_lumas(here):
    assert not here.takes_raw
