"""Bad pixels: stuck ones at once, others by motion, by a shutter or by a file; targets and lines never."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.errors import ConfigError, ImageError
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.bad_pixels import PixelMender, read_bad_pixels, replaced

S = 10**9
SIZE = (96, 128)
THRESHOLD = 8.0
TYPES = {"mono8": np.uint8, "mono16": np.uint16, "32FC1": np.float32}
SHOWN = {"mono8": (100.0, 0.1), "mono16": (8000.0, 1.0), "32FC1": (300.0, 0.01)}  # middle, and one count


def scene(x: float = 0, seed: int = 0, contrast: float = 1.0) -> NDArray[np.float64]:
    """Hills around 0 seen from ``x``, in counts, with noise of 2."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    hills = 300 * np.sin((columns + x) / 9) * np.cos(rows / 7) + 200 * np.sin((columns + x) / 23)
    return contrast * hills + np.random.default_rng(seed).normal(0, 2, SIZE)


def frame(counts: NDArray[np.float64], seconds: float, encoding: str = "mono16") -> Frame:
    middle, count = SHOWN[encoding]
    image = middle + count * counts
    if encoding != "32FC1":
        image = np.clip(np.rint(image), 0, np.iinfo(TYPES[encoding]).max)
    return Frame(image.astype(TYPES[encoding]), round((100 + seconds) * S), "thermal", encoding)


def changed(mender: PixelMender, given: Frame) -> set[tuple[int, int]]:
    return {(int(y), int(x)) for y, x in np.argwhere(mender.mend(given, THRESHOLD) != given.image)}


# Stuck at 0 or at full scale


@pytest.mark.parametrize(
    ("encoding", "value"),
    [("mono16", 0), ("mono16", 65535), ("mono16", 16383), ("mono8", 0), ("mono8", 255), ("32FC1", 0.0)],
)
def test_stuck_pixels_are_mended_in_the_first_image_of_a_camera_at_rest(encoding: str, value: float) -> None:
    given = frame(scene(), 0, encoding)
    stuck = [(0, 0), (95, 127), (20, 30), (40, 70), (41, 70), (60, 100)]
    clean = given.image.astype(float)
    for pixel in stuck:
        given.image[pixel] = value
    mender = PixelMender()
    mended = mender.mend(given, THRESHOLD)
    assert {(int(y), int(x)) for y, x in np.argwhere(mended != given.image)} == set(stuck)
    tolerance = 120 * SHOWN[encoding][1]  # a median of the 5x5 on the steepest hill
    assert max(abs(float(mended[pixel]) - clean[pixel]) for pixel in stuck) < tolerance


@pytest.mark.parametrize("peak", [0, 65535])
def test_a_target_that_is_as_hot_or_cold_as_can_be_is_left(peak: int) -> None:
    counts = frame(scene(), 0).image.astype(float)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    blur = np.exp(-((y - 50) ** 2 + (x - 60) ** 2) / (2 * 0.7**2))
    image = np.clip(counts + np.sign(peak - 8000) * 90000 * blur, 0, 65535).astype(np.uint16)
    assert image[50, 60] == peak
    assert not changed(PixelMender(), Frame(image, S, "thermal", "mono16"))


@pytest.mark.parametrize("value", [0, 65535])
def test_a_border_without_data_is_left(value: int) -> None:
    image = frame(scene(), 0).image
    image[:, :20] = value
    assert not changed(PixelMender(), Frame(image, S, "thermal", "mono16"))


@pytest.mark.parametrize("value", [0, 65535])
def test_dead_rows_and_columns_are_mended_in_the_first_image(value: int) -> None:
    given = frame(scene(), 0)
    clean = given.image.astype(float)
    given.image[60] = value
    given.image[:, 0] = value
    mended = PixelMender().mend(given, THRESHOLD)
    assert np.abs(mended - clean).max() < 150
    np.testing.assert_array_equal(mended[:60, 1:], given.image[:60, 1:])


def test_a_patch_of_dead_pixels_is_mended_and_a_saturated_target_of_its_size_is_left() -> None:
    given = frame(scene(), 0)
    clean = given.image.astype(float)
    given.image[20:23, 30:33] = 0
    given.image[60:63, 80:83] = 65535
    mended = PixelMender().mend(given, THRESHOLD)
    assert np.abs(mended - clean)[20:23, 30:33].max() < 150
    assert (mended[60:63, 80:83] == 65535).all()


# Found while the scene moves


def faulty(step: int, encoding: str, rate: float, pixels_per_second: float) -> tuple[Frame, dict[str, tuple[int, int]]]:
    """An image of a camera that pans, and what is wrong with it: hot, weak, one of a pair, flickering."""
    counts = scene(pixels_per_second * step / rate, step)
    bad = {"hot": (20, 30), "dim": (40, 50), "pair": (70, 90), "other": (70, 91), "flickering": (50, 100)}
    for name, by in (("hot", 500), ("dim", -150), ("pair", 300), ("other", 280)):
        counts[bad[name]] += by
    if np.random.default_rng(step).random() < 0.5:
        counts[bad["flickering"]] -= 300
    return frame(counts, step / rate, encoding), bad


@pytest.mark.parametrize("encoding", TYPES)
@pytest.mark.parametrize("rate", [9, 30])
def test_others_are_found_within_ten_seconds_at_ten_pixels_a_second(encoding: str, rate: int) -> None:
    mender = PixelMender()
    for step in range(30 * rate):
        given, bad = faulty(step, encoding, rate, 10)
        mended = mender.mend(given, THRESHOLD)
        found = {(int(y), int(x)) for y, x in np.argwhere(mended != given.image)}
        assert found <= set(bad.values())
        if step == 10 * rate:
            assert found >= set(bad.values()) - {bad["flickering"]}
    known = {(int(index) // SIZE[1], int(index) % SIZE[1]) for index in mender._bad}
    assert bad["flickering"] in known


def test_a_slow_pan_takes_longer_and_finds_them_too() -> None:
    mender = PixelMender()
    for step in range(600):
        given, bad = faulty(step, "mono16", 10, 2)
        found = changed(mender, given)
    assert found >= set(bad.values()) - {bad["flickering"]}


def test_wires_poles_and_small_things_of_the_scene_are_left_in_a_pan() -> None:
    mender = PixelMender()
    for step in range(150):
        counts = scene(2 * step, step)
        counts[30] += 300  # a wire along the pan
        counts[:, (200 - 2 * step) % SIZE[1]] += 300  # a pole that passes
        counts[60, (3000 - 2 * step) % SIZE[1]] += 600  # something small in the scene
        assert not changed(mender, frame(counts, step / 5))


def test_a_person_who_walks_by_a_camera_at_rest_makes_no_lamp_a_bad_pixel() -> None:
    mender = PixelMender()
    for step in range(150):
        counts = scene(0, step, contrast=0.0)
        counts[20:90, (3 * step) % 110 : (3 * step) % 110 + 18] += 400
        counts[8, 60] += 500
        assert not changed(mender, frame(counts, step / 5))


# Found behind the shutter, at rest


def closed(seed: int) -> NDArray[np.float64]:
    """The shutter, warmer in the corners, with the same two bad pixels and noise of 2."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return 0.01 * ((y - 48) ** 2 + (x - 64) ** 2) + np.random.default_rng(seed).normal(0, 2, SIZE) + 300


BAD = {(20, 30), (70, 90)}


def with_bad(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    for pixel in BAD:
        counts[pixel] += 400
    return counts


def test_an_image_that_is_known_to_be_of_the_shutter_shows_them_at_once() -> None:
    mender = PixelMender()
    assert not changed(mender, frame(with_bad(scene()), 0))
    mender.show_shutter(frame(with_bad(closed(1)), 0.1))
    assert changed(mender, frame(with_bad(scene(seed=2)), 0.2)) == BAD


def test_an_image_behind_the_shutter_that_is_a_frozen_scene_shows_nothing() -> None:
    mender = PixelMender()
    mender.mend(frame(with_bad(scene()), 0), THRESHOLD)
    mender.show_shutter(frame(with_bad(scene()), 0.1))
    assert not changed(mender, frame(with_bad(scene(seed=2)), 0.2))


def rest_closed_rest(mender: PixelMender, after: float, closed_s: float = 1.0) -> set[tuple[int, int]]:
    """Let a camera see its scene, the shutter, and then the scene from ``after`` pixels further; return what is bad."""
    found: set[tuple[int, int]] = set()
    for step in range(90):
        is_closed = 30 <= step < 30 + 10 * closed_s
        counts = closed(step) if is_closed else scene(after if step > 30 else 0, step)
        found = changed(mender, frame(with_bad(counts), step / 10))
        assert step > 30 or not found
    return found


def test_a_shutter_that_nobody_announced_is_known_by_the_same_scene_before_and_after() -> None:
    assert rest_closed_rest(PixelMender(), after=0) == BAD


def test_a_sky_between_two_scenes_is_no_shutter() -> None:
    assert not rest_closed_rest(PixelMender(), after=40)


def test_a_wall_between_two_people_who_walk_by_is_no_shutter() -> None:
    mender = PixelMender()
    for step in range(150):
        counts = scene(0, step, contrast=0.0)
        if step % 30 < 15:
            counts[20:90, 4 * (step % 30) : 4 * (step % 30) + 18] += 400
        counts[8, 100] += 500  # a lamp
        assert not changed(mender, frame(counts, step / 10))


def test_what_lasts_longer_than_a_shutter_is_none() -> None:
    assert not rest_closed_rest(PixelMender(), after=0, closed_s=5.6)


# Named by a file


@pytest.mark.parametrize("threshold", [0.0, THRESHOLD])
@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_names_them_whatever_they_look_like(tmp_path: Path, value: int, threshold: float) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[10, 20] = mask[0, 0] = mask[50:60, 40:52] = value
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    known = read_bad_pixels(tmp_path / "mask.png", threshold)
    np.testing.assert_array_equal(known, mask > 0)
    given = frame(scene(), 0)
    given.image[mask > 0] = 30000
    mended = PixelMender(known).mend(given, threshold)
    assert mended.max() < 9000
    np.testing.assert_array_equal(mended[mask == 0], given.image[mask == 0])


def test_a_dark_frame_shows_them(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), frame(with_bad(closed(1)), 0).image)
    known = read_bad_pixels(tmp_path / "dark.png", THRESHOLD)
    assert {(int(y), int(x)) for y, x in np.argwhere(known)} == BAD


def test_a_mask_of_another_size_and_no_mask_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"bad_pixels is a file of 64x48 pixels, but the thermal image has 128x96"):
        PixelMender(np.zeros((48, 64), bool)).mend(frame(scene(), 0), THRESHOLD)
    (tmp_path / "text.png").write_text("no image")
    for name in ("gone.png", "text.png"):
        with pytest.raises(ConfigError, match=f"bad_pixels: .*{name}") as caught:
            read_bad_pixels(tmp_path / name, THRESHOLD)
        assert "\n" not in str(caught.value)


# What stands in their place


def test_a_bad_pixel_gets_the_median_of_the_good_ones_around_it() -> None:
    image = frame(scene(), 0).image.astype(np.uint16)
    bad = np.array([[20, 30], [20, 31], [0, 0]])
    mended = replaced(image, np.sort(bad[:, 0] * SIZE[1] + bad[:, 1]))
    window = image[18:23, 28:33].astype(float)
    window[2, 2:4] = np.nan
    assert mended[20, 30] == np.rint(np.nanmedian(window))
    corner = image[:3, :3].astype(float)
    corner[0, 0] = np.nan
    assert mended[0, 0] == np.rint(np.nanmedian(corner))


def test_an_image_of_bad_pixels_only_is_left() -> None:
    image = frame(scene(), 0).image
    np.testing.assert_array_equal(replaced(image, np.arange(image.size)), image)


def test_a_mask_of_most_pixels_is_an_inverted_one(tmp_path: Path) -> None:
    mask = np.full(SIZE, 255, np.uint8)
    mask[10, 20] = 0
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    with pytest.raises(ConfigError, match=r"mask in which 100% of the pixels are not 0.*turn it round"):
        read_bad_pixels(tmp_path / "mask.png", 0.0)
