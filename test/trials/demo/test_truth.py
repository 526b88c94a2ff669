"""Quality against the simulator's truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.color import luma
from hkdnet_ros.metrics.fusion import fusion_metrics
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.simulator import Simulator
from hkdnet_ros.trials.demo.truth import BASELINES, KEYS, FusedSample, find_pair, mean_of, measure


@pytest.fixture(scope="module")
def simulator():
    return Simulator(SceneConfig.of_one_size((64, 48), people=2, cars=1))


@pytest.fixture(scope="module")
def sharper():
    return Simulator(SceneConfig(thermal_size=(32, 32), visible_size=(128, 128), people=2, cars=1))


@pytest.mark.parametrize("guess", [5, 7, 3, 40])
def test_a_frame_is_found_by_its_pixels(simulator, guess):
    visible = simulator.render(5).visible.image
    pair = find_pair(simulator, visible.copy(), guess)
    assert pair is not None
    assert pair.visible.stamp_ns == simulator.render(5).visible.stamp_ns


def test_a_frame_of_another_scene_is_not_found(simulator):
    assert find_pair(simulator, np.zeros((48, 64, 3), np.uint8), 0) is None
    assert measure(simulator, FusedSample(0, np.zeros((48, 64, 3), np.uint8), np.zeros((96, 128), np.uint8))) is None


def test_the_average_of_the_truths_beats_the_average_of_the_camera_images(simulator):
    pair = simulator.render(9)
    thermal, visible = pair.truth_thermal * 255, luma(pair.truth_visible, "bgr8")
    average = np.rint((thermal + visible) / 2).astype(np.uint8)
    values = measure(simulator, FusedSample(9, pair.visible.image, average))
    assert values is not None
    assert values["fused"] == fusion_metrics(thermal, visible, average, KEYS)
    for key in KEYS:
        assert values["fused"][key] > values["bicubic>average"][key]
    assert values["bicubic>average"]["SSIM"] > 0.5  # made of the same scene, aligned and in the same range


def test_the_truth_of_a_sharper_visible_camera_has_its_size(sharper):
    """A coarse thermal image says less of the scene than the truth does, a visible one of full size as much."""
    pair = sharper.render(9)
    assert (pair.thermal.image.shape, pair.visible.image.shape[:2]) == ((32, 32), (128, 128))
    thermal, visible = pair.truth_thermal * 255, luma(pair.truth_visible, "bgr8")
    brighter = np.rint(np.maximum(thermal, visible)).astype(np.uint8)
    values = measure(sharper, FusedSample(9, pair.visible.image, brighter))
    assert values is not None
    assert values["fused"] == fusion_metrics(thermal, visible, brighter, KEYS)
    assert set(values) == {"fused", *BASELINES}
    for key in ("Qabf", "VIFp", "SSIM"):
        assert values["fused"][key] > values["bicubic>maximum"][key]


def test_a_smaller_fused_image_is_measured_against_the_truth_reduced_to_it(sharper):
    pair = sharper.render(9)
    reduced = [
        cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
        for image in (pair.truth_thermal * 255, luma(pair.truth_visible, "bgr8"))
    ]
    average = np.rint((reduced[0] + reduced[1]) / 2).astype(np.uint8)
    values = measure(sharper, FusedSample(9, pair.visible.image, average))
    assert values is not None
    assert values["fused"] == fusion_metrics(reduced[0], reduced[1], average, KEYS)


def test_a_fused_image_larger_than_the_truth_is_refused(simulator):
    with pytest.raises(ImageError, match="130x96, larger than the truth of 128x96"):
        measure(simulator, FusedSample(1, simulator.render(1).visible.image, np.zeros((96, 130), np.uint8)))


def test_means_are_over_images_by_method_and_measure():
    rows = [{"fused": dict.fromkeys(KEYS, value), "other": dict.fromkeys(KEYS, 0.0)} for value in (1.0, 2.0, 6.0)]
    assert mean_of(rows) == {"fused": dict.fromkeys(KEYS, 3.0), "other": dict.fromkeys(KEYS, 0.0)}
    assert mean_of([]) == {}
