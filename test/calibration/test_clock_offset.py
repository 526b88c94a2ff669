"""The offset between two clocks by images that move as a whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.calibration.clock_offset import Motion, clock_offset
from hkdnet_ros.images.frames import VISIBLE
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.two_cameras import TwoCameraSimulator, usual_rig

FPS = 30.0


@pytest.fixture(scope="module")
def scene() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Heat and light of a street, each (H, W) in [0, 1]."""
    seen = TwoCameraSimulator(SceneConfig(), usual_rig((160, 128), (640, 360))).registered(0, VISIBLE)
    heat = np.clip((seen.temperature - 5) / 35, 0, 1).astype(np.float32)
    return heat, cv2.cvtColor(seen.colour, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255


def path(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where a panned camera looks, in pixels, at ``times`` in s."""
    swing = 40 * np.sin(2 * np.pi * 0.45 * times) + 12 * np.sin(2 * np.pi * 1.3 * times + 1)
    return np.stack([320 + swing, 180 + 9 * np.sin(2 * np.pi * 0.8 * times)], axis=1)


def filmed(
    image: NDArray[np.float32], times: NDArray[np.float64], shown: NDArray[np.float64], noise: float, seed: int
) -> Motion:
    """Return the motion of a film stamped ``times`` whose images were taken at the moments ``shown``."""
    random = np.random.default_rng(seed)
    motion = Motion()
    for stamp, (x, y) in zip(times, path(shown), strict=True):
        window = cv2.getRectSubPix(image, (320, 240), (float(x), float(y)))
        small = cv2.resize(window, (160, 120), interpolation=cv2.INTER_AREA)
        motion.add(round(stamp * 1e9), (small + random.normal(0, noise, small.shape)).astype(np.float32))
    return motion


@pytest.mark.parametrize("offset", [-0.047, 0.0, 0.013, 0.08])
def test_offset_is_found_within_5_ms_at_30_hz(
    scene: tuple[NDArray[np.float32], NDArray[np.float32]], offset: float
) -> None:
    heat, light = scene
    times = np.arange(240) / FPS
    # Thermal images show what is there `offset` after their stamp, and are not triggered with the visible ones.
    thermal = filmed(heat, times + 0.011, times + 0.011 + offset, 0.02, 1)
    found = clock_offset(thermal, filmed(light, times, times, 0.01, 2))
    assert found is not None
    assert found.offset_s == pytest.approx(offset, abs=0.005)
    assert found.low_s - 0.002 <= found.offset_s <= found.high_s + 0.002


def test_cameras_that_stand_still_or_move_apart_tell_nothing(
    scene: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    heat, light = scene
    times = np.arange(240) / FPS
    still = np.zeros_like(times)
    assert clock_offset(filmed(heat, times, still, 0.02, 1), filmed(light, times, still, 0.01, 2)) is None
    assert clock_offset(filmed(heat, times, times, 0.02, 1), filmed(light, times, times[::-1] ** 2, 0.01, 2)) is None
    few = times[:40]
    assert clock_offset(filmed(heat, few, few, 0.02, 1), filmed(light, few, few, 0.01, 2)) is None
