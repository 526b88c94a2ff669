"""The range of a scene: never so little that its noise is seen, in any unit, and what it leaves as it was."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import slope

from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.thermal import ThermalConditioner, ThermalConfig
from hkdnet_ros.perception.thermal_range import (
    FULL_8_BITS,
    NOISE_SPAN,
    RangeFollower,
    measure_noise,
    percentiles,
    scene_range,
)
from hkdnet_ros.simulator.config import SceneConfig
from hkdnet_ros.simulator.simulator import Simulator

SECOND = 1_000_000_000
SHARED = Path(__file__).parents[3] / "shared" / "data"

# What cameras send of a temperature in deg C: encoding, type, values per kelvin, value at 0 deg C.
UNITS = {
    "centikelvin": ("mono16", np.uint16, 100, 27315),
    "deci-kelvin": ("mono16", np.uint16, 10, 2731.5),
    "64ths of a kelvin": ("mono16", np.uint16, 64, 17481.6),
    "14 bits": ("mono16", np.uint16, 80, 4000),
    "kelvin": ("32FC1", np.float32, 1, 273.15),
    "Celsius": ("32FC1", np.float32, 1, 0),
    "8 bits": ("mono8", np.uint8, 10, -80),
}


def wall(noise: float, size: tuple[int, int] = (120, 160), seed: int = 0) -> NDArray[np.floating]:
    """A wall at 20 deg C with white noise."""
    return 20 + noise * np.random.default_rng(seed).standard_normal(size)


def person(celsius: NDArray[np.floating], warmer: float) -> NDArray[np.floating]:
    """The same with somebody in front of it who covers 3 % of the image and is this much warmer."""
    with_person = celsius.copy()
    with_person[HIM] += warmer
    return with_person


HIM = np.s_[40:80, 70:85]


def frame(celsius: NDArray[np.floating], unit: str = "centikelvin", seconds: float = 0.0) -> Frame:
    encoding, dtype, gain, zero = UNITS[unit]
    values = celsius * gain + zero
    values = values if dtype is np.float32 else np.rint(values)
    return Frame(values.astype(dtype), round((100 + seconds) * SECOND), "thermal", encoding)


def shown(celsius: NDArray[np.floating], unit: str = "centikelvin") -> NDArray[np.float32]:
    return ThermalConditioner().condition(frame(celsius, unit))


# What is flat stays flat


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.2])
def test_a_wall_is_flat_and_dark_in_any_unit_with_any_noise(unit: str, noise: float) -> None:
    image = shown(wall(noise), unit)
    assert image.std() < 1.2 / NOISE_SPAN
    assert image.max() < 0.25


@pytest.mark.parametrize(
    "make",
    [
        lambda noise: np.tile(noise[:1], (120, 1)),  # each column its offset, as of a bolometer's amplifiers
        lambda noise: np.tile(noise[:, :1], (1, 160)),
        lambda noise: cv2.resize(noise[:60, :80], None, fx=2, fy=2),  # enlarged by the camera
        lambda noise: cv2.resize(noise[:60, :80], None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST),
        lambda noise: cv2.blur(noise, (3, 3)),  # smoothed by the camera
    ],
    ids=["columns", "rows", "linear", "nearest", "smoothed"],
)
def test_noise_of_other_kinds_is_held_down_too(make) -> None:
    pattern = make(np.random.default_rng(3).standard_normal((120, 160)))
    assert shown(20 + 0.2 * pattern).std() < 2.4 / NOISE_SPAN


def test_an_8_bit_image_that_a_camera_stretched_to_snow_is_held_down() -> None:
    snow = np.clip(128 + 45 * np.random.default_rng(0).standard_normal((120, 160)), 0, 255).astype(np.uint8)
    for encoding, image in (("mono8", snow), ("bgr8", np.dstack([snow] * 3))):
        assert ThermalConditioner().condition(Frame(image, 0, "", encoding)).std() < 1.2 / NOISE_SPAN


@pytest.mark.parametrize("hot", [5.0, 300.0])
def test_a_hot_pixel_does_not_hide_that_a_wall_is_flat(hot: float) -> None:
    celsius = wall(0.05)
    celsius[30, 40] += hot
    image = shown(celsius)
    image[30, 40] = 0
    assert image.std() < 1.2 / NOISE_SPAN


@pytest.mark.parametrize(("dtype", "encoding"), [(np.uint8, "mono8"), (np.uint16, "mono16")])
def test_a_wall_of_one_level_with_a_few_pixels_one_off_is_flat(dtype: type[np.generic], encoding: str) -> None:
    level = np.full((120, 160), 128, dtype)
    level[::25, ::25] += 1
    image = ThermalConditioner().condition(Frame(level, 0, "", encoding))
    assert 0 < image.max() < 0.1


def test_a_wall_that_is_warmer_at_one_end_shows_that_and_no_noise() -> None:
    gradient = np.linspace(0, 1, 160)
    image = shown(wall(0.05) + gradient)
    assert np.polyfit(gradient, image.mean(axis=0), 1)[0] == pytest.approx(1 / (NOISE_SPAN * 0.05), rel=0.15)
    assert (image - image.mean(axis=0)).std() < 1.2 / NOISE_SPAN


def test_the_range_of_a_wall_is_a_multiple_of_its_noise() -> None:
    low, high = scene_range(frame(wall(0.05), "Celsius").image, 0.5, 99.5)
    assert high - low == pytest.approx(NOISE_SPAN * 0.05, rel=0.1)


@pytest.mark.parametrize("unit", UNITS)
def test_a_black_hot_wall_leaves_its_room_below(unit: str) -> None:
    image = frame(wall(0.05), unit).image
    low, high = scene_range(image, 0.5, 99.5)
    turned = 255 - image if unit == "8 bits" else 60000 - image
    assert scene_range(turned, 0.5, 99.5, black_hot=True) == pytest.approx(
        (turned.max() + image.min() - high, turned.max() + image.min() - low), abs=0.1
    )


@pytest.mark.parametrize("shape", [(16, 16), (24, 32), (60, 80), (512, 640)])
def test_white_noise_is_measured_in_images_of_any_size(shape: tuple[int, int]) -> None:
    measured = [measure_noise(wall(2.0, shape, seed)) for seed in range(10)]
    assert np.mean(measured) == pytest.approx(2.0, rel=0.15)


# What is there is shown


@pytest.mark.parametrize("unit", UNITS)
def test_somebody_1_kelvin_warmer_than_a_wall_is_seen(unit: str) -> None:
    image = shown(person(wall(0.05), 1.0), unit)
    assert image[HIM].mean() - np.median(image) > 0.3


@pytest.mark.parametrize(("size", "noise"), [((8, 8), 0.3), ((16, 16), 0.25), ((24, 32), 0.25), ((60, 80), 0.1)])
def test_somebody_is_seen_by_small_sensors(size: tuple[int, int], noise: float) -> None:
    height, width = size
    celsius = wall(noise, size)
    celsius[height // 3 : 2 * height // 3, width // 3 : width // 2] += 8
    image = shown(celsius, "Celsius")
    assert image[height // 3 : 2 * height // 3, width // 3 : width // 2].mean() - np.median(image) > 0.5


@pytest.mark.parametrize("unit", UNITS)
def test_a_scene_wider_than_its_noise_keeps_its_percentiles(unit: str) -> None:
    y, x = np.mgrid[:120, :160]
    street = 20 + 4 * np.sin(x / 25) + 3 * np.cos(y / 30) + wall(0.05) - 20
    image = frame(street, unit).image
    expected = percentiles(image, 0.5, 99.5)
    if unit == "8 bits":  # 140 of 255 levels
        expected = FULL_8_BITS
    assert scene_range(image, 0.5, 99.5) == expected


@pytest.mark.parametrize("setting", ["day", "night", "smoke"])
def test_the_simulators_streets_keep_their_percentiles(setting: str) -> None:
    counts = Simulator(SceneConfig(setting=setting, seed=3)).render(20).thermal.image
    assert scene_range(counts, 0.5, 99.5) == percentiles(counts, 0.5, 99.5)


def test_recorded_streets_keep_their_percentiles_as_counts() -> None:
    files = sorted(SHARED.glob("*/thermal/*.png"))
    if not files:
        pytest.skip("needs recorded pairs in ../shared/data")
    kept = 0
    for file in files:
        counts = cv2.imread(str(file), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 16
        low, high = percentiles(counts, 0.5, 99.5)
        bottom, top = scene_range(counts, 0.5, 99.5)
        kept += (bottom, top) == (low, high)
        assert high - low > 0.85 * (top - bottom)
    assert kept > 0.99 * len(files)


def test_a_simulated_camera_without_noise_shows_somebody_in_front_of_nothing() -> None:
    for unit in UNITS:
        image = shown(person(wall(0.0), 10.0), unit)
        assert image[HIM].min() - np.median(image) > (0.5 if unit == "8 bits" else 0.99)  # 100 levels are not few


@pytest.mark.parametrize("unit", UNITS)
def test_a_uniform_image_is_black(unit: str) -> None:
    assert (shown(wall(0.0), unit) == 0).all()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_wall_of_a_black_hot_camera_is_dark_too(unit: str, noise: float) -> None:
    there = frame(wall(noise), unit)
    turned = (255 if unit == "8 bits" else 60000) - there.image
    conditioner = ThermalConditioner(ThermalConfig(polarity="black_hot"))
    image = conditioner.condition(Frame(turned.astype(there.image.dtype), 0, "", there.encoding))
    assert image.max() < 0.25
    assert image.std() < 1.3 / NOISE_SPAN


@pytest.mark.parametrize("unit", UNITS)
def test_a_uniform_image_lies_at_the_cold_end_of_a_black_hot_one_too(unit: str) -> None:
    image = frame(wall(0.0), unit).image
    low, high = RangeFollower().follow(image, "", 0, (0.5, 99.5), 2.0, black_hot=True)
    assert (image[0, 0] - np.float32(low)) / np.float32(high - low) == pytest.approx(1, abs=0.01)


# Nothing pumps


@pytest.mark.parametrize("warmer", [1.0, 10.0])
@pytest.mark.parametrize("time_constant", [0.0, 2.0])
def test_a_wall_keeps_its_level_when_somebody_comes_and_goes(warmer: float, time_constant: float) -> None:
    conditioner = ThermalConditioner(ThermalConfig(time_constant=time_constant))
    levels = []
    for step in range(120):
        celsius = wall(0.05, seed=step)
        celsius = person(celsius, warmer) if 30 <= step < 75 else celsius
        levels.append(float(np.median(conditioner.condition(frame(celsius, seconds=step / 9)))))
    assert np.ptp(levels) < 0.07
    assert np.abs(np.diff(levels)).max() < (0.07 if time_constant == 0 else 0.015)


def test_a_range_that_follows_closes_to_the_least_one_and_no_further() -> None:
    follower, street = RangeFollower(), slope(120, 160, 2000, 6000, np.uint16)
    follower.follow(street, "mono16", 0, (0.5, 99.5), 2.0)
    for step in range(1, 60):
        low, high = follower.follow(frame(wall(0.05, seed=step)).image, "mono16", step * SECOND, (0.5, 99.5), 2.0)
    assert high - low == pytest.approx(NOISE_SPAN * 5, rel=0.1)


# 8 bits


def eight_bits(levels: int, shape: tuple[int, int] = (120, 160)) -> NDArray[np.uint8]:
    """A scene of so many levels around 100."""
    return slope(*shape, 100 - levels // 2, 99 - levels // 2 + levels)


@pytest.mark.parametrize("levels", [16, 24, 40, 60, 90])
def test_8_bits_of_few_levels_are_stretched(levels: int) -> None:
    image = ThermalConditioner().condition(Frame(eight_bits(levels), 0, "", "mono8"))
    assert np.ptp(image) > 0.95
    assert image.std() > 0.2


@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "bgr8"])
def test_8_bits_that_use_half_of_the_levels_keep_their_values(encoding: str) -> None:
    gray = eight_bits(140)
    image = np.dstack([gray] * 3) if encoding == "bgr8" else gray
    shown = ThermalConditioner().condition(Frame(image, 0, "", encoding))
    np.testing.assert_array_equal(shown, gray / np.float32(255))


def test_64_levels_are_enough_where_black_or_white_is_among_them() -> None:
    for low in (0, 255 - 70):
        assert scene_range(slope(120, 160, low, low + 70), 0.5, 99.5) == FULL_8_BITS
        low, high = scene_range(slope(120, 160, low, low + 30), 0.5, 99.5)
        assert high - low < 30


def test_between_few_levels_and_enough_there_is_no_step() -> None:
    ranges = np.array([scene_range(eight_bits(levels), 0.5, 99.5) for levels in range(20, 140)])
    spans = ranges[:, 1] - ranges[:, 0]
    assert np.diff(spans).min() > -6  # percentiles are whole levels
    assert np.abs(np.diff(ranges, axis=0)).max() < 9


def test_somebody_far_away_uses_levels_and_a_hot_pixel_does_not() -> None:
    scene = eight_bits(24)
    scene[60, 80] = 250
    assert scene_range(scene, 0.5, 99.5)[1] < 130
    scene[58:66, 79:82] = 250
    assert scene_range(scene, 0.5, 99.5) == FULL_8_BITS


@pytest.mark.parametrize("setting", ["day", "night"])
def test_14_bits_cut_to_8_are_shown_as_14_bits_are(setting: str) -> None:
    counts = Simulator(SceneConfig(setting=setting, seed=3)).render(20).thermal.image
    whole = ThermalConditioner().condition(Frame(counts, 0, "", "mono16"))
    for bits in (6, 7):
        cut = ThermalConditioner().condition(Frame((counts >> bits).astype(np.uint8), 0, "", "mono8"))
        assert np.abs(cut - whole).max() < 1.1 * 2**bits / np.ptp(percentiles(counts, 0.5, 99.5))


def test_recorded_8_bit_images_keep_their_levels() -> None:
    files = sorted(SHARED.glob("*/thermal/*.png"))
    if not files:
        pytest.skip("needs recorded pairs in ../shared/data")
    ranges = [scene_range(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), 0.5, 99.5) for file in files]
    assert sum(shown == FULL_8_BITS for shown in ranges) > 0.99 * len(files)


def test_recorded_videos_keep_their_levels() -> None:
    files = sorted(SHARED.glob("replay/*/thermal.mp4"))
    if not files:
        pytest.skip("needs recorded videos in ../shared/data")
    for file in files:
        video = cv2.VideoCapture(str(file))
        is_read, image = video.read()
        assert is_read
        assert scene_range(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 0.5, 99.5) == FULL_8_BITS


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_step_of_coarse_values_counts_as_noise(dtype: type[np.generic]) -> None:
    coarse = np.rint(slope(120, 160, 0, 5, np.float32)) * 50 + 29000  # half a kelvin in centikelvin
    coarse[::7, ::11] += 50
    low, high = scene_range(coarse.astype(dtype), 0.5, 99.5)
    assert high - low == pytest.approx(NOISE_SPAN * 50 / np.sqrt(12))
