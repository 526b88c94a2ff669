"""Frozen visible images."""

from __future__ import annotations

from array import array

import numpy as np

from hkdnet_ros.perception.freeze import LEAST_LIVE, FreezeDetector
from hkdnet_ros.perception.shutter import FROZEN, LIVE


def image(seed: int, size: int = 300) -> array[int]:
    return array("B", np.random.default_rng(seed).bytes(size))


def test_repeated_image_of_a_camera_with_noise_is_frozen_until_it_differs() -> None:
    detector = FreezeDetector()
    assert {detector.observe(image(seed)) for seed in range(LEAST_LIVE)} == {LIVE}
    assert [detector.observe(image(LEAST_LIVE - 1)) for _ in range(3)] == [FROZEN] * 3
    assert detector.observe(image(99)) == LIVE
    assert detector.observe(image(99, size=400)) == LIVE  # another size


def test_still_scene_of_a_simulation_is_live() -> None:
    detector = FreezeDetector()
    assert {detector.observe(image(0)) for _ in range(100)} == {LIVE}


def test_bytes_of_any_kind_are_compared() -> None:
    detector = FreezeDetector()
    for seed in range(LEAST_LIVE):
        detector.observe(bytes(image(seed)))
    assert detector.observe(np.frombuffer(image(LEAST_LIVE - 1), np.uint8)) == FROZEN
    assert detector.observe(b"") == LIVE


def test_what_begins_anew_is_compared_with_nothing() -> None:
    detector = FreezeDetector()
    for seed in range(LEAST_LIVE):
        detector.observe(image(seed))
    detector.begin_anew()
    assert detector.observe(image(LEAST_LIVE - 1)) == LIVE
    assert detector.observe(image(LEAST_LIVE - 1)) == FROZEN
