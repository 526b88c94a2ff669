"""Luma and chroma against the equations of BT.601 and against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images import color

COLORS = ["rgb8", "bgr8", "rgba8", "bgra8"]


def random_image(encoding: str, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, len(encoding) - 1), np.uint8)


def channels(image: NDArray[np.uint8], encoding: str) -> tuple[NDArray[np.float64], ...]:
    """Red, green and blue as floats."""
    return tuple(image[..., encoding.index(name)].astype(float) for name in "rgb")


def bt601(red: NDArray[np.float64], green: NDArray[np.float64], blue: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    return [y, 0.5 * (red - y) / (1 - 0.299) + 128, 0.5 * (blue - y) / (1 - 0.114) + 128]


@pytest.mark.parametrize("encoding", COLORS)
def test_split_follows_bt601(encoding: str) -> None:
    image = random_image(encoding)
    y, (cr, cb) = color.split(image, encoding)
    for plane, expected in zip((y, cr, cb), bt601(*channels(image, encoding)), strict=True):
        assert plane.dtype == np.uint8
        np.testing.assert_allclose(plane, np.clip(expected, 0, 255), atol=1.0)
    np.testing.assert_allclose(color.luma(image, encoding), y, atol=1)


def test_gray_is_its_own_luma() -> None:
    image = random_image("mono8")[..., 0]
    assert color.luma(image, "mono8") is image
    assert color.luma(image, "8UC1") is image
    deep = np.array([[0, 257, 65535]], np.uint16)
    for encoding in ("mono16", "16UC1"):
        luma = color.luma(deep, encoding)
        assert luma.dtype == np.float32
        np.testing.assert_allclose(luma, [[0, 1 / 255, 1]], rtol=1e-6)


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bgra8"])
def test_an_image_in_colours_without_colour_is_its_luma_and_any_other_stays(encoding: str) -> None:
    random = np.random.default_rng(0)
    gray = random.integers(10, 240, (20, 30, 1), np.uint8)
    noisy = (gray + random.integers(0, 5, (20, 30, len(encoding) - 1))).astype(np.uint8)
    image, found = color.gray_if_colourless(noisy, encoding)
    assert found == "mono8"
    np.testing.assert_array_equal(image, color.luma(noisy, encoding))
    noisy[3, 4, 0] = 255 if noisy[3, 4, 1] < 128 else 0
    assert color.gray_if_colourless(noisy, encoding) == (noisy, encoding)


def test_a_gray_image_stays_as_it_is() -> None:
    image = np.zeros((4, 5), np.uint16)
    assert color.gray_if_colourless(image, "mono16") == (image, "mono16")


def test_encoding_without_luma_is_refused() -> None:
    with pytest.raises(ImageError, match="32FC1"):
        color.luma(np.zeros((4, 4), np.float32), "32FC1")


def test_recombine_follows_bt601_back() -> None:
    rng = np.random.default_rng(4)
    luma = rng.uniform(0.4, 0.6, (24, 32)).astype(np.float32)
    cr, cb = rng.integers(108, 149, (2, 24, 32), np.uint8)
    y = np.rint(luma.astype(float) * 255)
    red = y + (1 - 0.299) / 0.5 * (cr - 128.0)
    blue = y + (1 - 0.114) / 0.5 * (cb - 128.0)
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    bgr = color.recombine(luma, (cr, cb))
    assert bgr.dtype == np.uint8
    np.testing.assert_allclose(bgr, np.stack([blue, green, red], axis=-1), atol=1.0)


@pytest.mark.parametrize("encoding", COLORS)
def test_an_image_recombined_with_its_own_luma_is_itself(encoding: str) -> None:
    image = random_image(encoding) // 2 + 64
    y, chroma = color.split(image, encoding)
    bgr = color.recombine(y.astype(np.float32) / 255, chroma)
    red, green, blue = channels(image, encoding)
    np.testing.assert_allclose(bgr, np.stack([blue, green, red], axis=-1), atol=2.0)


@pytest.mark.parametrize("size", [(24, 32), (48, 64), (31, 77), (12, 9)])
def test_neutral_gray_stays_neutral_at_any_output_size(size: tuple[int, int]) -> None:
    gray = np.repeat(random_image("mono8")[..., :1], 3, axis=2)
    _, chroma = color.split(gray, "bgr8")
    luma = np.random.default_rng(5).random(size, np.float32)
    bgr = color.recombine(luma, chroma)
    np.testing.assert_array_equal(bgr, np.repeat(color.to_uint8(luma)[..., None], 3, axis=2))


def test_chroma_keeps_its_place_at_the_output_resolution() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :15] = (0, 0, 200)
    image[:, 15:] = (200, 0, 0)
    y, chroma = color.split(image, "bgr8")
    luma = cv2.resize(y, (60, 40), interpolation=cv2.INTER_NEAREST).astype(np.float32) / 255
    enlarged = color.recombine(luma, chroma)
    expected = cv2.resize(image, (60, 40), interpolation=cv2.INTER_NEAREST)
    np.testing.assert_allclose(enlarged[:, :27], expected[:, :27], atol=3)
    np.testing.assert_allclose(enlarged[:, 33:], expected[:, 33:], atol=3)


def test_to_uint8_rounds_to_the_nearest_and_saturates() -> None:
    luma = np.array([[-0.5, 0.0, 0.49 / 255, 0.51 / 255, 0.5, 254.6 / 255, 1.0, 1.5]], np.float32)
    np.testing.assert_array_equal(color.to_uint8(luma), [[0, 0, 0, 1, 128, 255, 255, 255]])
