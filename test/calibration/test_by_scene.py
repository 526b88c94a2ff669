"""Homographies by the edges of a scene, against simulated scenes of which the truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.calibration import by_scene
from hkdnet_ros.calibration.by_scene import calibrate_by_scene
from hkdnet_ros.calibration.warping import corners, resizing, warped
from hkdnet_ros.errors import CalibrationError
from hkdnet_ros.geometry.homography import transform_points
from hkdnet_ros.images.edges import edges_of
from hkdnet_ros.images.frames import VISIBLE
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.two_cameras import TwoCameraSimulator, usual_rig

Gray = NDArray[np.float32]
SIZE = (480, 270)
THERMAL_SIZE = (160, 128)


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Gray, Gray]]:
    """Heat and light of three streets, seen from one place without noise."""
    found = []
    for seed in range(3):
        seen = TwoCameraSimulator(SceneConfig(seed=seed), usual_rig((160, 128), SIZE)).registered(30, VISIBLE)
        heat = np.clip((seen.temperature - 5) / 35, 0, 1).astype(np.float32)
        found.append((heat, cv2.cvtColor(seen.colour, cv2.COLOR_BGR2GRAY).astype(np.float32) / 255))
    return found


def thermal_to_visible() -> NDArray[np.float64]:
    """Return a homography as two cameras side by side have it: narrower, turned, a little in perspective."""
    places = np.array([(112, 41), (371, 47), (366, 243), (107, 236)], np.float32)
    return cv2.getPerspectiveTransform(corners(THERMAL_SIZE).astype(np.float32), places).astype(np.float64)


def seen_by_thermal(heat: Gray, seed: int) -> Gray:
    """Return what a thermal camera of few pixels sees of the scene, with noise and white hot or black hot."""
    image, _ = warped(heat, np.linalg.inv(thermal_to_visible()), THERMAL_SIZE)
    noisy = image + np.random.default_rng(seed).normal(0, 0.01, image.shape)
    return np.clip(1 - noisy if seed % 2 else noisy, 0, 1).astype(np.float32)


def test_homography_is_found_within_a_pixel_over_pooled_frames(scenes: list[tuple[Gray, Gray]]) -> None:
    pairs = [(seen_by_thermal(heat, seed), light) for seed, (heat, light) in enumerate(scenes)]
    found = calibrate_by_scene(pairs)
    places = corners(THERMAL_SIZE)
    off = np.linalg.norm(
        transform_points(found.homography, places) - transform_points(thermal_to_visible(), places), axis=1
    )
    assert off.mean() < 1.0
    assert found.error < 1.5
    assert found.frames == 3


def test_scenes_that_do_not_belong_together_are_refused(scenes: list[tuple[Gray, Gray]]) -> None:
    with pytest.raises(CalibrationError, match=r"agree nowhere \(support -?\d+\); expected 60"):
        calibrate_by_scene([(seen_by_thermal(scenes[0][0], 0), np.ascontiguousarray(scenes[1][1][::-1]))])


def test_the_error_that_is_said_is_that_of_a_noisy_pair(scenes: list[tuple[Gray, Gray]]) -> None:
    """Noise of 0.08 of the range leaves edges that agree by 0.15, and corners that are off by nearly a pixel."""
    heat, light = scenes[0]
    noise = np.random.default_rng(5).normal(0, 0.08, THERMAL_SIZE[::-1])
    noisy = np.clip(seen_by_thermal(heat, 0) + noise, 0, 1).astype(np.float32)
    found = calibrate_by_scene([(noisy, light)])
    clean = calibrate_by_scene([(seen_by_thermal(heat, 0), light)])
    places = corners(THERMAL_SIZE)
    off = np.linalg.norm(
        transform_points(found.homography, places) - transform_points(thermal_to_visible(), places), axis=1
    )
    assert off.mean() / 2 < found.error < 2 * off.mean()
    assert found.error > 1.5 * clean.error


def test_pairs_that_lie_apart_say_a_larger_error_than_pairs_that_agree(scenes: list[tuple[Gray, Gray]]) -> None:
    """Each scene's parallax pulls its own way; the error is how far their mean may be off, 1.6 px by the root of 3."""
    together, apart = (
        calibrate_by_scene(
            [
                (seen_by_thermal(heat, seed), np.roll(light, (seed - 1) * shift, axis=1))
                for seed, (heat, light) in enumerate(scenes)
            ]
        )
        for shift in (0, 2)
    )
    assert together.error < 0.5
    assert 0.5 < apart.error < 1.9


def test_corners_that_are_too_uncertain_are_refused(
    scenes: list[tuple[Gray, Gray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    heat, light = scenes[0]
    monkeypatch.setattr(by_scene, "LARGEST_ERROR", 0.05)
    with pytest.raises(CalibrationError, match=r"uncertain by 0\.\d px \(pairs: 1\); expected 0\.05 at most"):
        calibrate_by_scene([(seen_by_thermal(heat, 0), light)])


def test_a_scene_that_fits_two_places_alike_is_refused(
    scenes: list[tuple[Gray, Gray]], monkeypatch: pytest.MonkeyPatch
) -> None:
    heat, light = scenes[0]
    monkeypatch.setattr(by_scene, "MOST_RIVAL", -1.0)
    with pytest.raises(CalibrationError, match=r"two places, at one with \d+% of the other's support; expected -100%"):
        calibrate_by_scene([(seen_by_thermal(heat, 0), light)])


def test_flat_images_are_refused() -> None:
    flat = np.full((128, 160), 0.5, np.float32)
    with pytest.raises(CalibrationError):
        calibrate_by_scene([(flat, np.full((270, 480), 0.3, np.float32))])


def test_edges_are_the_same_whichever_side_is_bright() -> None:
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    assert np.allclose(edges_of(image), edges_of(1 - image), atol=1e-4)


def test_edges_that_cross_count_against_those_that_agree() -> None:
    upright = np.zeros((40, 40), np.float32)
    upright[:, 20:] = 1
    across = np.ascontiguousarray(upright.T)
    middle = (slice(18, 22), slice(18, 22))
    assert (edges_of(upright)[middle] * edges_of(upright)[middle]).sum() > 0
    assert (edges_of(upright)[middle] * edges_of(across)[middle]).sum() < 0


def test_resizing_keeps_edges_of_images() -> None:
    matrix = resizing((100, 50), (200, 150))
    assert transform_points(matrix, np.array([[-0.5, -0.5], [99.5, 49.5]])) == pytest.approx(
        np.array([[-0.5, -0.5], [199.5, 149.5]])
    )


def test_images_too_small_to_tell_are_refused(scenes: list[tuple[Gray, Gray]]) -> None:
    heat, light = (np.ascontiguousarray(image[100:148, 200:264]) for image in scenes[0])
    with pytest.raises(CalibrationError, match="has room for 6 patches of 32 px; expected 12"):
        calibrate_by_scene([(heat, light)])
