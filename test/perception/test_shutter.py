"""Shutter events: what is frozen, flat or flagged, what only looks so, and how it ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.shutter import FLAGGED, FLAT, FROZEN, LIVE, SETTLING, ShutterConfig, ShutterDetector

SECOND = 1_000_000_000
RATE = 10  # frames per second
Image = NDArray[np.generic]


class Camera:
    """Stamps images at RATE and shows them to a detector."""

    def __init__(self, config: ShutterConfig | None = None) -> None:
        self.detector = ShutterDetector(config)
        self.stamp_ns = 100 * SECOND
        self._rng = np.random.default_rng(0)

    def send(self, image: Image, encoding: str = "mono16") -> str:
        self.stamp_ns += SECOND // RATE
        return self.detector.observe(Frame(image, self.stamp_ns, "thermal", encoding))

    def noisy(self, mean: float = 8000.0, scene: float = 300.0) -> Image:
        """A new 16-bit image of a scene, two counts of noise on it."""
        ramp = np.linspace(-scene, scene, 40 * 48).reshape(40, 48)
        return (mean + ramp + self._rng.normal(0, 2, ramp.shape)).round().astype(np.uint16)

    def run(self, seconds: float) -> set[str]:
        """Send live images; return what was said of them."""
        return {self.send(self.noisy()) for _ in range(round(seconds * RATE))}

    def repeat(self, image: Image, seconds: float, encoding: str = "mono16") -> list[str]:
        return [self.send(image.copy(), encoding) for _ in range(round(seconds * RATE))]


@pytest.fixture
def camera() -> Camera:
    """A camera that has sent live images for 5 s."""
    camera = Camera()
    assert camera.run(5) == {LIVE}
    return camera


# Frozen


def test_repeated_image_of_a_noisy_camera_is_frozen_after_its_time_and_its_number(camera: Camera) -> None:
    assert camera.repeat(camera.noisy(), 0.6) == [LIVE, LIVE, LIVE, FROZEN, FROZEN, FROZEN]


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"frozen_time": 0.0, "frozen_frames": 1}, 1),
        ({"frozen_time": 0.5, "frozen_frames": 1}, 5),
        ({"frozen_time": 0.0, "frozen_frames": 7}, 7),
    ],
)
def test_both_time_and_number_must_be_reached(options: dict[str, float], first: int) -> None:
    camera = Camera(ShutterConfig(**options))
    camera.run(5)
    assert camera.repeat(camera.noisy(), 1).index(FROZEN) == first


def test_frozen_camera_is_live_again_when_it_has_settled(camera: Camera) -> None:
    camera.repeat(camera.noisy(), 1)
    assert [camera.send(camera.noisy()) for _ in range(5)] == [SETTLING, SETTLING, LIVE, LIVE, LIVE]


def test_settling_begins_again_when_the_image_freezes_again() -> None:
    camera = Camera(ShutterConfig(settling_time=1.0))
    camera.run(5)
    camera.repeat(camera.noisy(), 1)
    assert camera.run(0.5) == {SETTLING}
    assert camera.repeat(camera.noisy(), 0.5)[-1] == FROZEN
    assert [camera.send(camera.noisy()) for _ in range(12)] == [SETTLING] * 10 + [LIVE] * 2


def test_without_settle_time_the_first_new_image_is_live() -> None:
    camera = Camera(ShutterConfig(settling_time=0.0))
    camera.run(5)
    camera.repeat(camera.noisy(), 1)
    assert camera.run(1) == {LIVE}


def test_one_changed_pixel_that_no_sample_sees_is_a_new_image(camera: Camera) -> None:
    image = camera.noisy()
    verdicts = []
    for value in range(20):
        image = image.copy()
        image[13, 13] = value
        verdicts.append(camera.send(image))
    assert set(verdicts) == {LIVE}


def test_frozen_pixels_that_are_no_numbers_are_frozen() -> None:
    camera = Camera(ShutterConfig(noise=0.0))
    image = camera.noisy().astype(np.float32)
    image[::3] = np.nan
    assert camera.repeat(image, 1, "32FC1")[-1] == FROZEN


# What only looks frozen


def test_still_image_of_a_camera_without_noise_is_live() -> None:
    camera = Camera()
    assert set(camera.repeat(camera.noisy(), 10)) == {LIVE}


def test_simulated_camera_that_comes_to_rest_is_live() -> None:
    camera = Camera()
    scene = (7000 + 50 * np.random.default_rng(1).random((40, 4000)).cumsum(axis=1)).astype(np.uint16)
    positions = [6 * n for n in range(200)] + [1200] * 50  # full speed, then a stop from one frame to the next
    positions[195:200] = [1190, 1195, 1198, 1200, 1200]
    sky = np.full((60, 48), 5000, np.uint16)  # without noise, what is uniform stays as it is
    verdicts = {camera.send(np.vstack([sky, scene[:20, x : x + 48]])) for x in positions}
    assert verdicts == {LIVE}


def test_slides_that_are_each_shown_for_a_while_are_live() -> None:
    camera = Camera()
    verdicts = [verdict for _ in range(40) for verdict in camera.repeat(camera.noisy(), 1)]
    assert set(verdicts) == {LIVE}


def test_eight_bits_that_hide_the_noise_are_live_when_still() -> None:
    camera = Camera()
    for _ in range(50):
        image = (camera.noisy() // 64).astype(np.uint8)
        assert camera.send(image, "mono8") == LIVE
    assert set(camera.repeat(image, 5, "mono8")) == {LIVE}


def test_camera_that_sends_every_image_three_times_is_live_and_can_freeze() -> None:
    camera = Camera()
    verdicts = []
    for _ in range(60):
        image = camera.noisy()
        for _ in range(3):
            camera.stamp_ns -= SECOND // RATE - SECOND // 27  # as the Lepton, which has 9 new images a second
            verdicts.append(camera.send(image))
    assert set(verdicts) == {LIVE}
    assert camera.repeat(camera.noisy(), 1)[-1] == FROZEN


def test_without_a_demand_for_noise_any_still_image_is_frozen() -> None:
    camera = Camera(ShutterConfig(noise=0.0))
    assert camera.repeat(camera.noisy(), 1)[-1] == FROZEN


def test_frozen_images_are_not_looked_for_at_zero_repetitions() -> None:
    camera = Camera(ShutterConfig(frozen_frames=0))
    camera.run(5)
    assert set(camera.repeat(camera.noisy(), 5)) == {LIVE}


# Flat


def test_uniform_image_of_a_noisy_camera_is_flat_at_once(camera: Camera) -> None:
    assert camera.send(np.full((40, 48), 7500, np.uint16)) == FLAT


def test_uniform_image_of_a_camera_without_noise_is_live() -> None:
    assert set(Camera().repeat(np.zeros((40, 48), np.uint8), 5, "mono8")) == {LIVE}


def test_noisy_image_of_the_shutter_is_flat_by_its_spread_from_the_first_frame() -> None:
    camera = Camera(ShutterConfig(flat_spread=20.0))
    shutter = camera.noisy(scene=0.0)
    shutter[3, 4] = 60000  # a hot pixel
    assert camera.send(shutter) == FLAT
    assert camera.send(camera.noisy()) == SETTLING
    assert camera.run(5) == {SETTLING, LIVE}
    assert camera.send(camera.noisy(scene=0.0)) == FLAT


def test_colour_is_flat_by_its_luma() -> None:
    camera = Camera(ShutterConfig(flat_spread=1.0))
    assert camera.send(np.full((40, 48, 3), (200, 10, 60), np.uint8), "rgb8") == FLAT
    assert camera.send(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8), "rgb8") == SETTLING


# The camera's own flag


def test_flag_holds_from_its_stamp_to_the_next(camera: Camera) -> None:
    camera.detector.set_flag(True, camera.stamp_ns + 2 * SECOND // RATE)
    assert [camera.send(camera.noisy()) for _ in range(3)] == [LIVE, FLAGGED, FLAGGED]
    camera.detector.set_flag(True, camera.stamp_ns)  # said again
    camera.detector.set_flag(False, camera.stamp_ns + 1)
    camera.detector.set_flag(False, camera.stamp_ns + 2)
    assert camera.run(0.2) == {SETTLING}
    assert camera.run(1) == {LIVE}


def test_flag_that_is_already_off_changes_nothing(camera: Camera) -> None:
    camera.detector.set_flag(False, camera.stamp_ns)
    assert camera.run(1) == {LIVE}


def test_flag_is_heeded_in_every_run_of_a_looping_bag(camera: Camera) -> None:
    start = camera.stamp_ns
    for _ in range(3):
        camera.stamp_ns = start
        camera.detector.begin_anew()
        assert camera.run(2) == {LIVE}
        camera.detector.set_flag(True, camera.stamp_ns + 1)
        assert camera.run(1) == {FLAGGED}
        camera.detector.set_flag(False, camera.stamp_ns + 1)
        assert camera.run(2) == {SETTLING, LIVE}


def test_flag_that_comes_ahead_of_the_first_image_of_a_new_run_holds(camera: Camera) -> None:
    camera.detector.set_flag(True, camera.stamp_ns)  # after its last image
    camera.stamp_ns -= 5 * SECOND
    camera.detector.begin_anew()
    assert camera.run(1) == {FLAGGED}


# Stamps


def test_first_frame_is_live() -> None:
    assert Camera().run(0.1) == {LIVE}


def test_looping_bag_ends_the_event_and_keeps_what_is_known_of_the_noise(camera: Camera) -> None:
    image = camera.noisy()
    assert camera.repeat(image, 1)[-1] == FROZEN
    camera.stamp_ns -= 5 * SECOND
    camera.detector.begin_anew()
    assert camera.repeat(image, 0.5) == [LIVE, LIVE, LIVE, FROZEN, FROZEN]


def test_other_size_or_encoding_is_a_new_image(camera: Camera) -> None:
    image = camera.noisy()
    for _ in range(10):
        assert camera.send(image) == LIVE
        assert camera.send(image[:32]) == LIVE
        assert camera.send(image, "16UC1") == LIVE


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3), st.sampled_from([None, True, False])), max_size=60))
def test_any_stamps_images_and_flags_give_a_verdict(steps: list[tuple[int, int, bool | None]]) -> None:
    detector = ShutterDetector(ShutterConfig(noise=0.0))
    images = [np.full((16, 16), value, np.uint16) for value in (0, 1)]
    images += [np.arange(256, dtype=np.uint16).reshape(16, 16) + value for value in (0, 1)]
    stamp = 50 * SECOND
    for step, image, flag in steps:
        stamp += step * SECOND // 2
        if flag is not None:
            detector.set_flag(flag, stamp)
        verdict = detector.observe(Frame(images[image], stamp, "thermal", "mono16"))
        assert verdict in {LIVE, FROZEN, FLAT, FLAGGED, SETTLING}


@pytest.mark.parametrize("wrong", [{"action": "stop"}, {"settling_time": -1.0}, {"noise": 2.0}, {"frozen_frames": -1}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ShutterConfig(**wrong)  # type: ignore[arg-type]
