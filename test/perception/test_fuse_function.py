"""Two numpy images to a fused one: the same pixels as the pipeline gives, and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pictures import slope

from hkdnet_ros import EngineConfig, Frame, FusionPipeline, Pair, fuse, load_engine
from hkdnet_ros.errors import CheckpointError, ConfigError, ImageError
from hkdnet_ros.perception.thermal import ThermalConfig

RANDOM = np.random.default_rng(5)
GRAY = slope(24, 32)
COLOR = RANDOM.integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("thermal", "encoding"),
    [
        (GRAY, "mono8"),
        (GRAY.astype(np.uint16) + 7000, "mono16"),
        (GRAY.astype(np.float32) / 10 + 290, "32FC1"),
    ],
)
def test_pixels_are_those_of_the_pipeline(engine, thermal, encoding):
    pair = Pair(Frame(thermal, 1, "t", encoding), Frame(COLOR, 1, "v", "bgr8"))
    fused = fuse(thermal, COLOR, engine=engine)
    np.testing.assert_array_equal(fused, FusionPipeline(engine).process(pair).image)
    assert (fused.dtype, fused.shape) == (np.uint8, (48, 64, 3))
    assert not engine.closed


def test_gray_visible_gives_gray(engine):
    average = (GRAY.astype(float) + GRAY[::-1]) / 2
    assert np.abs(fuse(GRAY, GRAY[::-1], engine=engine)[::2, ::2] - average).max() <= 1


def test_blue_stays_blue(engine):
    blue = np.zeros((24, 32, 3), np.uint8)
    blue[..., 0] = 200
    fused = fuse(np.full((24, 32), 60, np.uint8), blue, engine=engine)
    assert fused[..., 0].mean() > fused[..., 2].mean() + 100


def test_a_fixed_thermal_range_holds(engine):
    dark = np.zeros((24, 32), np.uint8)
    counts = np.full((24, 32), 1500, np.uint16)
    fused = fuse(counts, dark, engine=engine, thermal_config=ThermalConfig(range_low=1000, range_high=2000))
    np.testing.assert_allclose(fused, 64, atol=1)  # half of the range, averaged with black


def test_the_shipped_network_is_loaded_by_its_settings_and_differs_by_scale():
    pytest.importorskip("torch")
    fused = fuse(GRAY, COLOR, model="realtime", scale=3, device="cpu", precision="fp32")
    assert fused.shape == (72, 96, 3)
    engine = load_engine(EngineConfig(model="realtime", scale=3, device="cpu", precision="fp32"))
    np.testing.assert_array_equal(fused, fuse(GRAY, COLOR, engine=engine))
    engine.close()


@pytest.mark.parametrize(
    ("thermal", "visible", "words"),
    [
        (GRAY.astype(float), COLOR, "thermal image is float64 of shape"),
        (GRAY, COLOR.astype(np.uint16), "visible image is uint16 of shape"),
        (GRAY, COLOR[..., :2], "visible image is uint8 of shape"),
        (GRAY, GRAY.astype(np.float32), "32FC1 has no luma"),
        (GRAY[:15, :20], COLOR, "at least 16x16"),
    ],
)
def test_other_arrays_are_refused_in_one_line(engine, thermal, visible, words):
    with pytest.raises(ImageError, match=words):
        fuse(thermal, visible, engine=engine)


def test_arrays_of_different_shapes_are_refused_cropped_or_stretched(engine):
    wide = np.zeros((48, 96, 3), np.uint8)
    wide[:, 16:80] = COLOR
    with pytest.raises(ImageError, match=r"thermal is 32x24 and visible 96x48, .*wider by 50%"):
        fuse(GRAY, wide, engine=engine)
    np.testing.assert_array_equal(fuse(GRAY, wide, engine=engine, fit="crop"), fuse(GRAY, COLOR, engine=engine))
    stretched = cv2.resize(wide, (64, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(fuse(GRAY, wide, engine=engine, fit="stretch"), fuse(GRAY, stretched, engine=engine))
    with pytest.raises(ConfigError, match="fit is 'squeeze'; choose crop or stretch"):
        fuse(GRAY, wide, engine=engine, fit="squeeze")


def test_settings_beside_an_engine_are_refused(engine):
    with pytest.raises(ConfigError, match="scale cannot be set beside an engine"):
        fuse(GRAY, COLOR, engine=engine, scale=3)


def test_weights_that_are_not_there_are_named():
    pytest.importorskip("torch")
    with pytest.raises(CheckpointError, match=r"none\.safetensors"):
        fuse(GRAY, COLOR, model="none.safetensors", device="cpu")


def test_a_visible_image_of_12_bits_is_as_bright_as_one_of_16(engine):
    gray = GRAY.astype(np.uint16)
    gray[0, 0] = 255
    np.testing.assert_array_equal(fuse(GRAY, gray << 4, engine=engine), fuse(GRAY, gray << 8, engine=engine))
