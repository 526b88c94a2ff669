"""The pipeline with registration: sizes, stamps and calibration of the reference, borders, validity, temperatures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_pipeline import Average, thermal_frame, visible_frame

from hkdnet_ros.calibration.overlay import overlay, table_of
from hkdnet_ros.geometry.calibration import PairCalibration
from hkdnet_ros.images import color
from hkdnet_ros.images.frames import THERMAL, VISIBLE, Frame, Pair
from hkdnet_ros.inference.sizes import Sizes
from hkdnet_ros.perception.config import PerceptionConfig
from hkdnet_ros.perception.pipeline import Extras, FusionPipeline
from hkdnet_ros.perception.plan import PipelineConfig
from hkdnet_ros.perception.registration_config import RegistrationConfig
from hkdnet_ros.perception.temperature import TemperatureConfig
from hkdnet_ros.perception.thermal import ThermalConfig

# Thermal pixels are two of the visible ones wide; the thermal image covers the middle of the visible one.
MIDDLE = (2.0, 0.0, 32.5, 0.0, 2.0, 24.5, 0.0, 0.0, 1.0)
BOTH = Extras(validity=True, temperature=True)


class Guided(Average):
    """Takes the visible image at the output's size and thermal at half of it, as guided does."""

    def __init__(self):
        super().__init__(2)
        self.sizes = Sizes(thermal=2, visible=1)

    def fuse(self, thermal, visible):
        self.given = [
            image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1) for image in (thermal, visible)
        ]
        return (self.given[0].repeat(2, axis=0).repeat(2, axis=1) + self.given[1]) / 2


def pipeline(engine, *, source="none", output=PipelineConfig(), **registration):  # noqa: B008
    registration = {"mode": "homography", "homography": MIDDLE, **registration}
    return FusionPipeline(
        engine,
        PerceptionConfig(
            pipeline=output,
            registration=RegistrationConfig(**registration),
            temperature=TemperatureConfig(source=source),
            thermal=ThermalConfig(range_low=0, range_high=255),
        ),
    )


PAIR = Pair(thermal_frame(24, 32), visible_frame(96, 128))
INSIDE = np.s_[24:72, 32:96]


@pytest.mark.parametrize("make", [Average, Guided])
def test_the_output_has_size_stamp_and_frame_of_the_visible_image(make):
    engine = make()
    fused = pipeline(engine).process(PAIR, BOTH)
    assert fused.image.shape == (96, 128, 3)
    assert (fused.stamp_ns, fused.frame_id, fused.reference, fused.window) == (2_000, "visible_optical", VISIBLE, None)
    assert fused.validity.shape == (96, 128)
    assert (fused.validity[INSIDE] == 255).all()
    assert np.count_nonzero(fused.validity) == 48 * 64
    assert fused.temperature is None
    assert engine.given[0].shape == (48, 64)


@pytest.mark.parametrize("make", [Average, Guided])
def test_the_thermal_image_lies_where_the_homography_says(make):
    hot = np.zeros((24, 32), np.uint8)
    hot[4:8, 20:26] = 255
    engine = make()
    dark = Frame(np.zeros((96, 128), np.uint8), 2_000, "visible_optical", "mono8")
    fused = pipeline(engine).process(Pair(Frame(hot, 1_000, "t", "mono8"), dark))
    y, x = np.nonzero(fused.image > 100)
    assert (x.mean(), y.mean()) == pytest.approx((2 * 22.5 + 32.5, 2 * 5.5 + 24.5), abs=0.6)


@pytest.mark.parametrize("make", [Average, Guided])
def test_beyond_the_border_the_visible_image_is_shown_alone(make):
    visible = Frame(np.full((96, 128, 3), (40, 90, 140), np.uint8), 2_000, "visible_optical", "bgr8")
    bright = Frame(np.full((24, 32), 255, np.uint8), 1_000, "t", "mono8")
    fused = pipeline(make()).process(Pair(bright, visible)).image.astype(int)
    outside = np.ones((96, 128), bool)
    outside[22:74, 30:98] = False
    np.testing.assert_allclose(fused[outside], np.broadcast_to((40, 90, 140), fused[outside].shape), atol=2)
    assert (fused[30:66, 38:90].mean(axis=(0, 1)) > (100, 150, 190)).all()
    kept = pipeline(make(), border="keep").process(Pair(bright, visible)).image.astype(int)
    assert (kept[outside].mean(axis=0) < (20, 60, 110)).all()


def test_cropped_the_output_is_what_both_see_and_says_which_part():
    fused = pipeline(Average(), border="crop").process(PAIR, BOTH)
    left, top, width, height = fused.window
    assert fused.image.shape == (height, width, 3)
    assert (fused.validity == 255).all()
    assert (left >= 32, top >= 24) == (True, True)
    assert (left + width <= 96, top + height <= 72) == (True, True)
    assert width * height > 0.8 * 48 * 64
    alone = pipeline(Average(), border="crop")
    alone.process(PAIR)
    cut = alone.process_alone(VISIBLE, PAIR.visible, BOTH)
    assert cut.window == fused.window
    assert cut.image.shape == fused.image.shape
    assert not cut.validity.any()


@pytest.mark.parametrize("make", [Average, Guided])
def test_output_size_makes_the_output_smaller_with_the_same_view(make):
    fused = pipeline(make(), output=PipelineConfig(output_size=(64, 48))).process(PAIR, BOTH)
    assert fused.image.shape == (48, 64, 3)
    assert np.count_nonzero(fused.validity) == 24 * 32


@pytest.mark.parametrize("make", [Average, Guided])
def test_with_thermal_as_reference_the_output_is_the_thermal_view(make):
    engine = make()
    visible = np.zeros((96, 128, 3), np.uint8)
    visible[24:72, 32:96] = (10, 200, 30)  # what the thermal camera sees
    visible[24:72, 32:48] = (10, 20, 30)
    pair = Pair(thermal_frame(24, 32), Frame(visible, 2_000, "visible_optical", "bgr8"))
    fused = pipeline(engine, reference="thermal").process(pair, BOTH)
    assert fused.image.shape == (48, 64, 3)
    assert (fused.stamp_ns, fused.frame_id, fused.reference) == (1_000, "thermal_optical", THERMAL)
    assert (fused.validity == 255).all()
    expected = color.luma(np.full((1, 1, 3), (10, 200, 30), np.uint8), "bgr8")[0, 0] / 255
    width = engine.given[1].shape[1]
    np.testing.assert_allclose(engine.given[1][2:-2, width // 4 + 2 : -2], expected, atol=0.02)
    assert engine.given[1][:, : width // 4 - 2].max() < 0.2
    np.testing.assert_allclose(engine.given[0][::1, ::1][:24, :32].mean(), pair.thermal.image.mean() / 255, atol=0.1)


def test_with_thermal_as_reference_what_visible_does_not_see_is_thermal_in_gray():
    far = (2.0, 0.0, 100.0, 0.0, 2.0, 24.5, 0.0, 0.0, 1.0)  # three quarters of thermal are right of the visible image
    thermal = Frame(np.full((24, 32), 130, np.uint8), 1_000, "thermal_optical", "mono8")
    green = Frame(np.full((96, 128, 3), (0, 255, 0), np.uint8), 2_000, "visible_optical", "bgr8")
    fused = pipeline(Average(), homography=far, reference="thermal").process(Pair(thermal, green), BOTH)
    unseen = fused.image[4:-4, 40:].astype(int)
    np.testing.assert_allclose(unseen, 130, atol=2)
    assert not fused.validity[:, 40:].any()
    assert fused.image[4:-4, :16, 1].mean() > fused.image[4:-4, :16, 0].mean() + 50


def counts(kelvin_image, frame_id="thermal_optical"):
    return Frame((kelvin_image * 100).astype(np.uint16), 1_000, frame_id, "mono16")


def test_a_temperature_lies_under_each_pixel_that_thermal_sees():
    kelvin = np.full((24, 32), 290.0)
    kelvin[10, 10] = 350.0
    fused = pipeline(Average(), source="lepton").process(Pair(counts(kelvin), PAIR.visible), BOTH)
    temperature = fused.temperature
    assert temperature.dtype == np.float32
    assert temperature.shape == fused.image.shape[:2]
    np.testing.assert_array_equal(np.isnan(temperature), fused.validity == 0)
    measured = temperature[INSIDE]
    assert measured.min() == pytest.approx(290.0, abs=0.01)  # no cubic's undershoot
    assert 320 < measured.max() <= 350.01
    y, x = np.unravel_index(np.nanargmax(temperature), temperature.shape)
    assert abs(x - (2 * 10 + 32.5)) <= 1
    assert abs(y - (2 * 10 + 24.5)) <= 1


def test_nothing_is_interpolated_from_pixels_without_a_measurement():
    kelvin = np.full((24, 32), 290.0)
    image = counts(kelvin)
    broken = image.image.copy()
    broken[10, 10] = 0
    fused = pipeline(Average(), source="lepton").process(
        Pair(dataclasses.replace(image, image=broken), PAIR.visible), BOTH
    )
    measured = fused.temperature[INSIDE]
    assert np.isnan(measured[20:22, 20:22]).all()
    assert np.nanmin(measured) > 289.9


@pytest.mark.parametrize("mode", ["none", "homography"])
def test_a_thermal_image_alone_is_measured_and_a_visible_one_is_not(mode):
    fusing = pipeline(Average(), source="lepton", mode=mode)
    thermal = counts(np.full((24, 32), 300.0))
    pair = fusing.process(Pair(thermal, PAIR.visible), BOTH)
    assert np.nanmedian(pair.temperature) == pytest.approx(300, abs=0.01)
    alone = fusing.process_alone(THERMAL, thermal, BOTH)
    np.testing.assert_allclose(alone.temperature, 300, atol=0.01)
    assert alone.temperature.shape == alone.image.shape[:2]
    assert alone.reference == THERMAL
    assert not alone.validity.any()
    unseen = fusing.process_alone(VISIBLE, PAIR.visible, BOTH)
    assert np.isnan(unseen.temperature).all()
    assert unseen.temperature.shape == unseen.image.shape[:2]


def test_unregistered_all_is_valid_and_the_pixels_are_those_of_before():
    fused = pipeline(Average(), mode="none", source="lepton").process(PAIR, BOTH)
    assert (fused.validity == 255).all()
    assert fused.temperature is None  # 8 bits measure nothing
    assert fused.validity.shape == fused.image.shape[:2]


def hot_spot():
    """A pair whose thermal image has one warm rectangle, at 20 to 25 across and 8 to 15 down."""
    heat = np.full((24, 32), 60, np.uint8)
    heat[8:16, 20:26] = 230
    return Pair(Frame(heat, 1_000, "thermal_optical", "mono8"), PAIR.visible)


def outlines(picture):
    rows, columns = np.nonzero((picture == (0, 140, 255)).all(axis=-1))
    return columns.min(), columns.max(), rows.min(), rows.max()


def test_the_overlay_has_outlines_where_the_homography_puts_them_and_is_drawn_as_calibrate_does():
    pair, wanted = hot_spot(), Extras(overlay=True)
    fused = pipeline(Average()).process(pair, wanted)
    assert fused.overlay.shape == (96, 128, 3)
    assert fused.overlay.dtype == np.uint8
    assert outlines(fused.overlay) == pytest.approx((72, 84, 40, 56), abs=3)
    heat = np.float32(pair.thermal.image / 255)
    table = table_of(PairCalibration(homography=MIDDLE), (32, 24), (128, 96), 10.0)
    drawn = overlay(heat, color.luma(pair.visible.image, "bgr8"), table)
    np.testing.assert_array_equal(fused.overlay, drawn)
    assert pipeline(Average()).process(pair).overlay is None


def test_the_overlay_has_the_grid_of_the_output_whatever_that_is():
    pair, wanted = hot_spot(), Extras(overlay=True)
    cropped = pipeline(Average(), border="crop").process(pair, wanted)
    left, top, width, height = cropped.window
    assert cropped.overlay.shape == (height, width, 3)
    assert outlines(cropped.overlay) == pytest.approx((72 - left, 84 - left, 40 - top, 56 - top), abs=3)
    by_thermal = pipeline(Average(), reference="thermal").process(pair, wanted)
    assert by_thermal.overlay.shape == (48, 64, 3)
    assert outlines(by_thermal.overlay) == pytest.approx((40, 52, 16, 32), abs=3)
    plain = pipeline(Average(), mode="none").process(pair, wanted)
    assert plain.overlay.shape == plain.image.shape
    assert outlines(plain.overlay) == pytest.approx((40, 52, 16, 32), abs=3)


def test_the_overlay_of_one_camera_alone_has_nothing_of_the_other():
    pair, wanted, it = hot_spot(), Extras(overlay=True), pipeline(Average())
    it.process(pair)
    seen = it.process_alone(VISIBLE, pair.visible, wanted)
    assert seen.overlay.shape[:2] == seen.image.shape[:2]
    assert not (seen.overlay == (0, 140, 255)).all(axis=-1).any()
    assert seen.overlay.any()
    felt = it.process_alone(THERMAL, pair.thermal, wanted)
    assert felt.overlay.shape[:2] == felt.image.shape[:2]
    is_outline = (felt.overlay == (0, 140, 255)).all(axis=-1)
    assert is_outline.any()
    assert not felt.overlay[~is_outline].any()
