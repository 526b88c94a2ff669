"""Where the visible camera is sharper: guided fuses at its size, realtime where both are of one size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from core_rig import MS, NOW_NS, CoreRig, bgr, gray
from rigging import Logger

pytest.importorskip("torch")

from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame, Pair
from hkdnet_ros.images.resampling import resample
from hkdnet_ros.inference.auto_engine import AutoEngine
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig


@pytest.fixture(scope="module")
def auto():
    engine = load_engine(EngineConfig(device="cpu", precision="fp32", threads=1))
    assert isinstance(engine, AutoEngine)
    yield engine
    engine.close()


def camera(height, width, stream=THERMAL, colour=False, seed=0):
    y, x = np.mgrid[:height, :width] / max(height, width)
    image = 110 + 60 * np.sin(25 * x + seed) * np.cos(17 * y)
    image += 70 * ((x - 0.4) ** 2 + (y - 0.3) ** 2 < 0.01) * (stream == THERMAL)
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    pixels = np.dstack([pixels, pixels // 2, pixels // 3]) if colour else pixels
    return Frame(pixels, 1, stream, "bgr8" if colour else "mono8")


@pytest.mark.parametrize(
    ("thermal", "visible", "model", "output"),
    [
        ((60, 80), (240, 320), "guided", (240, 320)),
        ((60, 80), (121, 163), "guided", (121, 163)),
        ((30, 40), (240, 320), "guided", (240, 320)),
        ((60, 80), (60, 80), "realtime_x2", (120, 160)),
        ((60, 80), (80, 100), "realtime_x2", (120, 160)),  # hardly sharper: half of its size is less than thermal has
        ((120, 160), (60, 80), "realtime_x2", (240, 320)),
        ((16, 16), (30, 40), "realtime_x2", (32, 32)),  # too small for half of it
    ],
)
def test_the_network_follows_from_the_sizes(auto, thermal, visible, model, output):
    fused = FusionPipeline(auto).process(Pair(camera(*thermal), camera(*visible, VISIBLE, colour=True)))
    assert auto.model_name == model
    assert fused.image.shape == (*output, 3)


def test_the_fused_image_keeps_what_the_sharp_camera_sees_and_shows_what_is_warm(auto):
    visible = camera(240, 320, VISIBLE, seed=1)
    fine = np.random.default_rng(0).integers(-20, 20, visible.image.shape)
    sharp = Frame(np.clip(visible.image + fine, 0, 255).astype(np.uint8), 1, VISIBLE, "mono8")
    thermal = camera(60, 80)
    fused = FusionPipeline(auto).process(Pair(thermal, sharp)).image.astype(float)

    def detail(image):
        image = image.astype(float)
        return (
            image[1:-1, 1:-1] - (image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]) / 4
        ).ravel()

    assert np.corrcoef(detail(fused), detail(sharp.image))[0, 1] > 0.9
    warm = np.kron(thermal.image > 150, np.ones((4, 4))) > 0
    assert (fused - sharp.image)[warm].mean() > (fused - sharp.image)[~warm].mean() + 5


def test_the_output_size_can_be_set(auto):
    pipeline = FusionPipeline(auto, PerceptionConfig(PipelineConfig(output_size=(200, 150))))
    for visible in ((240, 320), (60, 80)):
        fused = pipeline.process(Pair(camera(60, 80), camera(*visible, VISIBLE)))
        assert fused.image.shape == (150, 200)


def test_an_image_alone_keeps_the_size_of_the_output(auto):
    pipeline = FusionPipeline(auto)
    visible = camera(240, 320, VISIBLE, colour=True)
    alone = pipeline.process_alone(VISIBLE, visible)  # before any pair: nothing to add to it
    np.testing.assert_allclose(alone.image, visible.image, atol=2)
    pipeline.process(Pair(camera(60, 80), visible))
    assert pipeline.process_alone(VISIBLE, visible).image.shape == (240, 320, 3)
    heat = pipeline.process_alone(THERMAL, camera(60, 80))
    assert (heat.image.shape, heat.mode) == ((240, 320), THERMAL)
    shown = heat.image[2::4, 2::4].astype(float)
    assert np.corrcoef(shown.ravel(), camera(60, 80).image.ravel())[0, 1] > 0.98


def test_guided_asked_for_by_name_fuses_pairs_of_any_sizes():
    engine = load_engine(EngineConfig(model="guided", device="cpu", threads=1))
    pipeline = FusionPipeline(engine)
    for thermal, visible in (((60, 80), (60, 80)), ((120, 160), (60, 80)), ((16, 16), (201, 333))):
        fused = pipeline.process(Pair(camera(*thermal), camera(*visible, VISIBLE)))
        assert fused.image.shape == visible
    assert pipeline.process_alone(THERMAL, camera(60, 80)).image.shape == (201, 333)
    engine.close()


@pytest.mark.parametrize("level", [0, 1, 32, 128, 255])
@pytest.mark.parametrize("noise", [0, 3])
@pytest.mark.parametrize("size", [(240, 320), (60, 80)])
def test_a_guide_that_shows_nothing_leaves_the_thermal_image_as_it_is(auto, level, noise, size):
    """With guided and with realtime: a white guide hid the thermal image, by realtime altogether."""
    random = np.random.default_rng(level)
    blank = np.clip(level + random.normal(0, noise, (*size, 1)) + [0, 0, 0], 0, 255).round().astype(np.uint8)
    thermal = camera(60, 80)
    fused = FusionPipeline(auto).process(Pair(thermal, Frame(blank, 2, VISIBLE, "bgr8")))
    assert (fused.mode, fused.stamp_ns, fused.frame_id, fused.reference) == (THERMAL, 2, VISIBLE, VISIBLE)
    height, width = fused.image.shape[:2]
    assert (height, width) == (240, 320) if size == (240, 320) else (120, 160)
    enlarged = resample(thermal.image.astype(np.float32), width, height)
    np.testing.assert_allclose(fused.image, np.dstack([enlarged] * 3), atol=2)


def test_a_guide_with_little_to_show_is_fused(auto):
    """A dark street with one lamp far away, and gray fog that hides all but a shade."""
    lamp = np.full((240, 320), 2, np.uint8)
    lamp[100:108, 200:208] = 90
    fog = np.repeat(np.linspace(140, 148, 240).round().astype(np.uint8)[:, None], 320, 1)
    for image in (lamp, fog):
        assert FusionPipeline(auto).process(Pair(camera(60, 80), Frame(image, 1, VISIBLE, "mono8"))).mode == "fused"


def test_a_guide_that_shows_nothing_is_shown_where_that_is_asked_for(auto):
    white = Frame(np.full((240, 320), 255, np.uint8), 1, VISIBLE, "mono8")
    shown = {}
    for gain in (0.0, 0.5, 1.0):
        pipeline = FusionPipeline(auto, PerceptionConfig(PipelineConfig(thermal_gain=gain)))
        shown[gain] = pipeline.process(Pair(camera(60, 80), white)).image.astype(float)
    assert (shown[0.0] == 255).all()
    np.testing.assert_allclose(shown[0.5], (shown[0.0] + shown[1.0]) / 2, atol=1)


def test_two_images_that_show_nothing_are_fused_as_ever(auto):
    flat = Frame(np.full((60, 80), 7, np.uint8), 1, THERMAL, "mono8")
    assert FusionPipeline(auto).process(Pair(flat, dataclasses.replace(flat, frame_id=VISIBLE))).mode == "fused"


def test_the_log_says_which_network_and_why_and_both_are_warmed_up(auto):
    logger = Logger()
    core = CoreRig(auto, logger)
    for index, size in enumerate([(96, 128), (96, 128), (24, 32), (96, 128)]):
        stamp_ns = NOW_NS + index * 50 * MS
        core.pair(stamp_ns, gray(stamp_ns, 24, 32), bgr(stamp_ns, *size))
    said = [line for line in logger.lines if " fuses " in line]
    assert [line.split()[0] for line in said] == ["guided", "realtime_x2", "guided"]
    assert "thermal 32x24 and visible 128x96 to 128x96: it takes the visible image in full" in said[0]
    assert len([line for line in logger.lines if line.startswith("warmed up")]) == 2
    assert [fused.image.shape[:2] for fused in core.fused] == [(96, 128), (96, 128), (48, 64), (96, 128)]
