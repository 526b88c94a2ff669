"""Renderings in colour: which palette they are taken for, and the levels that come back."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rigging import Logger

from hkdnet_ros.images import color
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.palette import AUTO, GRAY, PALETTES, PaletteReader, curve, recognise, undo

S = 10**9

# To undo a palette takes a table that is half a second's work, so that not all are tried.
UNDONE = [GRAY, "ironbow", "ironblack", "jet", "rainbow", "hot", "inferno", "viridis"]

# What is gray in most of a scene is taken for gray, and autumn, from red to yellow, for the part of hot that it is.
COLOURS = [palette for palette in PALETTES if palette not in (GRAY, "ironblack", "bone", "autumn")]


@functools.cache
def heat(seed: int = 0) -> NDArray[np.uint8]:
    """A scene of soft and sharp things over the whole range, most of it in the middle."""
    rng = np.random.default_rng(seed)
    y, x = 1.5 * np.mgrid[:160, :213]
    image = 110 + 50 * np.sin(x / 40) * np.cos(y / 30) + 20 * np.sin(x / 7) + rng.normal(0, 2, x.shape)
    image[66:120, 40:60] = 235
    image[14:40, 133:173] = 15
    image += 100 * np.exp(-((x - 250) ** 2 + (y - 170) ** 2) / 300)
    return np.clip(image, 0, 255).astype(np.uint8)


def rendered(levels: NDArray[np.uint8], palette: str, quality: int | None = None) -> NDArray[np.uint8]:
    image = curve(palette)[levels]
    if quality is not None:
        image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return image


def frame(image: NDArray[np.generic], seconds: float = 0, encoding: str = "bgr8") -> Frame:
    return Frame(image, round((100 + seconds) * S), "thermal", encoding)


def correlation(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.mark.parametrize("name", [name for name in dir(cv2) if name.startswith("COLORMAP_")])
def test_curves_are_those_of_opencv(name: str) -> None:
    palette = name.removeprefix("COLORMAP_").lower()
    if palette in PALETTES:
        levels = np.arange(256, dtype=np.uint8)[:, None]
        np.testing.assert_array_equal(curve(palette)[:, None], cv2.applyColorMap(levels, getattr(cv2, name)))
    else:
        assert palette in {"hsv", "twilight", "twilight_shifted"}  # whose ends are one colour


@pytest.mark.parametrize("palette", UNDONE)
def test_each_level_of_a_palette_comes_back(palette: str) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    off = np.abs(undo(rendered(levels, palette), palette).astype(int) - levels)
    assert off.mean() < 2.5
    assert off.max() <= 12


@pytest.mark.parametrize("quality", [None, 90, 75])
@pytest.mark.parametrize("palette", UNDONE)
def test_a_scene_comes_back_also_from_jpeg(palette: str, quality: int | None) -> None:
    levels = undo(rendered(heat(), palette, quality), palette)
    assert correlation(levels, heat()) > 0.95
    assert np.median(np.abs(levels.astype(int) - heat())) <= 4


@pytest.mark.parametrize("quality", [None, 75])
@pytest.mark.parametrize("palette", COLOURS)
def test_palettes_are_recognised_also_in_jpeg(palette: str, quality: int | None) -> None:
    assert recognise(rendered(heat(), palette, quality)) == palette


def test_a_scale_and_letters_over_the_picture_hide_no_palette() -> None:
    image = rendered(heat(), "jet")
    cv2.putText(image, "36.5 C", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    image[30:130, 200:210] = (200, 200, 200)
    assert recognise(image) == "jet"


def natural(seed: int) -> NDArray[np.uint8]:
    """Things of many colours, each with shading and noise."""
    rng = np.random.default_rng(seed)
    image = np.full((240, 320, 3), rng.integers(40, 220, 3), np.float64)
    for _ in range(40):
        x, y = rng.integers(0, 320), rng.integers(0, 240)
        image[y : y + rng.integers(10, 90), x : x + rng.integers(10, 90)] = rng.integers(0, 256, 3)
    shade = np.linspace(0.5, 1, 320)[None, :, None]
    return np.clip(image * shade + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_an_ordinary_colour_image_has_no_palette(seed: int) -> None:
    assert recognise(natural(seed)) == ""


@pytest.mark.parametrize("value", [(0, 0, 0), (128, 0, 0), (90, 90, 90), (0, 0, 255)])
def test_of_a_uniform_image_nothing_is_said(value: tuple[int, int, int]) -> None:
    assert recognise(np.full((240, 320, 3), value, np.uint8)) in (None, "")
    logger = Logger()
    reader = PaletteReader(logger)
    reader.to_gray(frame(np.full((240, 320, 3), value, np.uint8)), AUTO)
    assert reader.to_gray(frame(rendered(heat(), "jet"), 2), AUTO) is not None


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bgra8", "rgba8"])
def test_the_hottest_of_a_jet_stream_is_the_brightest_and_said_once(encoding: str) -> None:
    logger = Logger()
    reader = PaletteReader(logger)
    for step in range(20):
        image = rendered(heat(step), "jet")
        if encoding.startswith("rgb"):
            image = np.ascontiguousarray(image[..., ::-1])
        if encoding.endswith("a8"):
            image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        levels = reader.to_gray(frame(image, step / 5, encoding), AUTO)
        assert (levels.encoding, levels.image.shape) == ("mono8", (160, 213))
        assert correlation(levels.image, heat(step)) > 0.99
    assert len(logger.lines) == 1
    assert "palette jet" in logger.lines[0]
    assert "rendering" in logger.lines[0]


@pytest.mark.parametrize("palette", ["", GRAY])
def test_without_a_palette_it_is_luma_as_before_and_said_once(palette: str) -> None:
    logger = Logger()
    reader = PaletteReader(logger)
    for step in range(30):
        image = natural(step) if palette == "" else rendered(heat(step), GRAY, 75)
        levels = reader.to_gray(frame(image, step / 9), AUTO)
        np.testing.assert_array_equal(levels.image, color.luma(image, "bgr8"))
    assert len(logger.lines) == 1
    assert ("in gray" if palette else "no palette that is known") in logger.lines[0]


def test_gray_images_are_left_as_they_are() -> None:
    for image, encoding in ((heat(), "mono8"), (heat().astype(np.uint16), "mono16"), (np.float32(heat()), "32FC1")):
        given = frame(image, 0, encoding)
        assert PaletteReader(Logger()).to_gray(given, AUTO) is given


def test_a_palette_that_is_set_is_undone_whatever_it_looks_like() -> None:
    image = rendered(heat(), "hot")
    logger = Logger()
    np.testing.assert_array_equal(PaletteReader(logger).to_gray(frame(image), "jet").image, undo(image, "jet"))
    np.testing.assert_array_equal(PaletteReader(logger).to_gray(frame(image), GRAY).image, color.luma(image, "bgr8"))
    assert not logger.lines


def test_one_odd_image_changes_nothing_and_a_new_palette_is_taken_when_two_looks_agree() -> None:
    logger = Logger()
    reader = PaletteReader(logger)
    shown = []
    for step in range(80):
        palette = "inferno" if step == 27 or step >= 45 else "jet"
        levels = reader.to_gray(frame(rendered(heat(), palette), step / 9), AUTO)
        shown.append(correlation(levels.image, heat()) > 0.99)
    assert shown[:27] == [True] * 27
    assert shown[28:45] == [True] * 17
    assert shown[65:] == [True] * 15
    assert len(logger.lines) == 2


def test_of_files_which_are_no_video_each_is_taken_by_itself() -> None:
    reader = PaletteReader(Logger())
    for palette in ("jet", "hot", "jet", "ironbow"):
        levels = reader.to_gray(Frame(rendered(heat(), palette), 1, "thermal", "bgr8"), AUTO)
        assert correlation(levels.image, heat()) > 0.99
