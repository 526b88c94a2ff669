"""From a pair to a fused frame, with an average in the place of the network."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import slope

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.images import color
from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame, FusedFrame, Pair
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig
from hkdnet_ros.perception.thermal import ThermalConfig


class Average:
    """Averages the two images and repeats each pixel; keeps what it was given."""

    takes_raw = False

    def __init__(self, scale: int = 2) -> None:
        self.scale = scale
        self.sizes = Sizes(thermal=scale, visible=scale)
        self.timings = {"network": 1.5}
        self.given: list[NDArray[np.float32]] = []

    def choose(self, thermal: tuple[int, int], visible: tuple[int, int]) -> Average:
        return self

    def fuse(self, thermal: NDArray[np.generic], visible: NDArray[np.generic]) -> NDArray[np.float32]:
        assert thermal.shape == visible.shape
        self.given = [
            image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1) for image in (thermal, visible)
        ]
        average = (self.given[0] + self.given[1]) / 2
        return average.repeat(self.scale, axis=0).repeat(self.scale, axis=1)


def thermal_frame(height: int = 24, width: int = 32, encoding: str = "mono8") -> Frame:
    dtype = {"mono8": np.uint8, "mono16": np.uint16, "32FC1": np.float32}[encoding]
    image = slope(height, width, dtype=dtype)
    return Frame(image, 1_000, "thermal_optical", encoding)


def visible_frame(height: int = 24, width: int = 32, encoding: str = "bgr8") -> Frame:
    depth = {"mono8": (), "mono16": (), "32FC1": ()}.get(encoding, (len(encoding) - 1,))
    dtype = {"mono16": np.uint16, "32FC1": np.float32}.get(encoding, np.uint8)
    levels = 65536 if encoding == "mono16" else 256
    image = np.random.default_rng(2).integers(0, levels, (height, width, *depth)).astype(dtype)
    return Frame(image, 2_000, "visible_optical", encoding)


def smooth_visible(height: int, width: int) -> Frame:
    y, x = np.mgrid[:height, :width]
    image = np.stack([255 * x / width, 255 * y / height, 128 + 0 * x], axis=-1).astype(np.uint8)
    return Frame(image, 2_000, "visible_optical", "bgr8")


def fuse(
    thermal: Frame, visible: Frame, config: PipelineConfig | None = None, scale: int = 2
) -> tuple[FusedFrame, Average]:
    fuser = Average(scale)
    return FusionPipeline(fuser, PerceptionConfig(config or PipelineConfig())).process(Pair(thermal, visible)), fuser


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_colour_in_gives_colour_out_at_the_scale_with_the_visible_header(encoding: str, scale: int) -> None:
    thermal, visible = thermal_frame(25, 33), visible_frame(25, 33, encoding)
    fused, fuser = fuse(thermal, visible, scale=scale)
    assert fused.image.shape == (25 * scale, 33 * scale, 3)
    assert fused.image.dtype == np.uint8
    assert (fused.stamp_ns, fused.frame_id, fused.mode) == (2_000, "visible_optical", "fused")
    np.testing.assert_allclose(fuser.given[0], thermal.image / 255.0, atol=1e-6)
    np.testing.assert_allclose(fuser.given[1], color.luma(visible.image, encoding) / 255.0, atol=1.1 / 255)


@pytest.mark.parametrize("encoding", ["mono8", "mono16"])
def test_gray_in_gives_the_fused_luma(encoding: str) -> None:
    thermal, visible = thermal_frame(), visible_frame(encoding=encoding)
    full_scale = 255.0 if encoding == "mono8" else 65535.0
    fused, _ = fuse(thermal, visible)
    expected = (thermal.image / 255.0 + visible.image / full_scale) / 2 * 255
    np.testing.assert_allclose(fused.image[::2, ::2], expected, atol=0.51)


def test_output_gray_is_gray_for_colour_too() -> None:
    fused, fuser = fuse(thermal_frame(), visible_frame(), PipelineConfig(output="gray"))
    np.testing.assert_allclose(fused.image[::2, ::2], (fuser.given[0] + fuser.given[1]) / 2 * 255, atol=0.51)


def test_fused_colour_has_the_fused_luma_and_the_visible_chroma() -> None:
    visible = smooth_visible(48, 64)
    gray = Frame((color.luma(visible.image, "bgr8")), 1_000, "thermal_optical", "mono8")
    fused, _ = fuse(Frame(gray.image[::2, ::2].copy(), 1_000, "t", "mono8"), visible)
    np.testing.assert_allclose(fused.image.astype(int), visible.image.astype(int), atol=14)
    _, (cr, cb) = color.split(fused.image, "bgr8")
    _, (expected_cr, expected_cb) = color.split(visible.image, "bgr8")
    inside = (fused.image > 0).all(axis=2) & (fused.image < 255).all(axis=2)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(cr[inside].astype(int), expected_cr[inside].astype(int), atol=2)
    np.testing.assert_allclose(cb[inside].astype(int), expected_cb[inside].astype(int), atol=2)


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (120, 160), (96, 20), (20, 96), (17, 18)])
def test_visible_of_any_size_is_brought_to_the_thermal_images_grid(size: tuple[int, int]) -> None:
    fused, fuser = fuse(thermal_frame(), smooth_visible(*size))
    assert fused.image.shape == (48, 64, 3)
    _, reference = fuse(thermal_frame(), smooth_visible(24, 32))
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(fuser.given[1][inner], reference.given[1][inner], atol=6 / 255)


def test_large_visible_image_reaches_the_network_as_the_mean_over_each_grid_pixel() -> None:
    visible = visible_frame(24 * 6, 32 * 5, "mono8")
    _, fuser = fuse(thermal_frame(), visible)
    means = visible.image.reshape(24, 6, 32, 5).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(fuser.given[1], means, atol=1.01 / 255)


def test_grid_sets_the_size_of_both() -> None:
    fused, fuser = fuse(thermal_frame(), visible_frame(60, 80), PipelineConfig(grid=(40, 20)))
    assert fuser.given[0].shape == (20, 40)
    assert fused.image.shape == (40, 80, 3)


def test_sizes_and_encodings_may_change_from_pair_to_pair() -> None:
    pipeline = FusionPipeline(Average())
    assert pipeline.process(Pair(thermal_frame(), visible_frame())).image.shape == (48, 64, 3)
    pair = Pair(thermal_frame(30, 20, "mono16"), visible_frame(50, 50, "mono8"))
    assert pipeline.process(pair).image.shape == (60, 40)
    assert pipeline.process(Pair(thermal_frame(), visible_frame())).image.shape == (48, 64, 3)


def test_timings_are_given_by_stage() -> None:
    fused, _ = fuse(thermal_frame(), visible_frame(48, 64))
    assert set(fused.timings) == {"thermal", "registration", "color", "network"}
    assert fused.timings["network"] == 1.5
    assert min(fused.timings.values()) > 0


def test_messages_pixels_are_read_only_and_stay_as_they_are() -> None:
    data = bytes(np.random.default_rng(0).integers(0, 256, 24 * 100, np.uint8))
    bgr = np.ndarray((24, 32, 3), np.uint8, buffer=data, strides=(100, 3, 1))
    gray = np.ndarray((24, 32), np.uint8, buffer=data, strides=(100, 1))
    for image, encoding in ((bgr, "bgr8"), (gray, "mono8")):
        fused, _ = fuse(Frame(gray, 1, "", "mono8"), Frame(image, 2, "", encoding))
        copied, _ = fuse(Frame(gray.copy(), 1, "", "mono8"), Frame(image.copy(), 2, "", encoding))
        np.testing.assert_array_equal(fused.image, copied.image)


def test_thermal_settings_reach_the_conditioner() -> None:
    fuser = Average()
    pipeline = FusionPipeline(fuser, PerceptionConfig(thermal=ThermalConfig(range_low=0, range_high=1000)))
    pipeline.process(Pair(thermal_frame(encoding="mono16"), visible_frame()))
    np.testing.assert_allclose(fuser.given[0], thermal_frame().image / 1000, atol=1e-6)


def test_a_visible_image_alone_is_both_inputs_and_keeps_its_colour_and_the_outputs_size() -> None:
    fuser = Average()
    pipeline = FusionPipeline(fuser)
    pipeline.process(Pair(thermal_frame(), visible_frame(48, 64)))
    fused = pipeline.process_alone(VISIBLE, visible_frame(48, 64))
    assert (fused.mode, fused.image.shape, fused.frame_id, fused.stamp_ns) == (
        "visible",
        (48, 64, 3),
        "visible_optical",
        2_000,
    )
    assert fuser.given[0].shape == (24, 32)
    np.testing.assert_array_equal(*fuser.given)


def test_a_visible_image_alone_before_any_pair_is_taken_at_its_own_size() -> None:
    assert FusionPipeline(Average()).process_alone(VISIBLE, visible_frame(48, 64)).image.shape == (96, 128, 3)


def test_a_thermal_image_alone_is_conditioned_gray_with_its_own_stamp_and_frame() -> None:
    fuser = Average()
    pipeline = FusionPipeline(fuser, PerceptionConfig(thermal=ThermalConfig(range_low=0, range_high=1000)))
    fused = pipeline.process_alone(THERMAL, thermal_frame(encoding="mono16"))
    assert (fused.mode, fused.image.shape, fused.frame_id) == ("thermal", (48, 64), "thermal_optical")
    np.testing.assert_allclose(fuser.given[0], thermal_frame().image / 1000, atol=1e-6)


def test_the_conditioned_thermal_image_comes_along_at_its_own_size() -> None:
    config, settings = PipelineConfig(grid=(64, 48)), ThermalConfig(range_low=0, range_high=1000)
    pipeline = FusionPipeline(Average(), PerceptionConfig(config, thermal=settings))
    expected = thermal_frame(encoding="mono16").image / 1000
    for fused in (
        pipeline.process(Pair(thermal_frame(encoding="mono16"), visible_frame())),
        pipeline.process_alone(THERMAL, thermal_frame(encoding="mono16")),
    ):
        assert fused.thermal is not None
        np.testing.assert_allclose(fused.thermal, expected, atol=1e-6)
    np.testing.assert_allclose(pipeline.condition(thermal_frame(encoding="mono16")), expected, atol=1e-6)
    assert pipeline.process_alone(VISIBLE, visible_frame()).thermal is None
    with pytest.raises(ImageError, match="thermal image is 40x15"):
        FusionPipeline(Average()).condition(thermal_frame(15, 40))


NAN = Frame(np.full((24, 32), np.nan, np.float32), 1, "", "32FC1")


@pytest.mark.parametrize(
    ("thermal", "visible", "fact"),
    [
        (thermal_frame(15, 40), visible_frame(), "thermal image is 40x15; the network needs at least 16x16"),
        (thermal_frame(), visible_frame(40, 15), "visible image is 15x40"),
        (thermal_frame(), visible_frame(encoding="32FC1"), "32FC1 has no luma"),
        (NAN, visible_frame(), "768 NaN or infinite pixels"),
    ],
)
def test_images_that_cannot_be_fused_are_refused_by_name(thermal: Frame, visible: Frame, fact: str) -> None:
    pipeline = FusionPipeline(Average())
    with pytest.raises(ImageError, match=fact):
        pipeline.process(Pair(thermal, visible))
    assert pipeline.process(Pair(thermal_frame(), visible_frame())).image.shape == (48, 64, 3)


@pytest.mark.parametrize("wrong", [{"grid": (8, 320)}, {"grid": (320, 0)}, {"grid": (320,)}, {"output": "rgb"}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PipelineConfig(**wrong)  # type: ignore[arg-type]
