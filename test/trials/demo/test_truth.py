"""Quality against the simulator's truth."""

from __future__ import annotations

import numpy as np
import pytest

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.color import luma
from hkdnet_ros.metrics.fusion import fusion_metrics
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.simulator import Simulator
from hkdnet_ros.trials.demo.truth import BASELINE, KEYS, FusedSample, find_pair, mean_of, measure


@pytest.fixture(scope="module")
def simulator():
    return Simulator(SceneConfig(size=(64, 48), people=2, cars=1))


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
        assert values["fused"][key] > values[BASELINE][key]
    assert values[BASELINE]["SSIM"] > 0.5  # made of the same scene, aligned and in the same range


def test_a_fused_image_of_another_size_is_refused(simulator):
    with pytest.raises(ImageError, match="differ in size"):
        measure(simulator, FusedSample(1, simulator.render(1).visible.image, np.zeros((48, 64), np.uint8)))


def test_means_are_over_images_by_method_and_measure():
    rows = [{"fused": dict.fromkeys(KEYS, value), BASELINE: dict.fromkeys(KEYS, 0.0)} for value in (1.0, 2.0, 6.0)]
    assert mean_of(rows) == {"fused": dict.fromkeys(KEYS, 3.0), BASELINE: dict.fromkeys(KEYS, 0.0)}
    assert mean_of([]) == {}
