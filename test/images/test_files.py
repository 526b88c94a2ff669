"""Image files as people bring them: of every kind of pixels, several in one, broken off, with more than a picture."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
from PIL import Image

from hkdnet_ros.errors import SourceError
from hkdnet_ros.images import files
from hkdnet_ros.images.files import read_image, read_thermal

RANDOM = np.random.default_rng(0)
COLOR = cv2.GaussianBlur(RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8), (0, 0), 3)  # blue first


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch):
    monkeypatch.setattr(files, "_said", set())


def pillow():
    return Image.fromarray(COLOR[..., ::-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
def test_gray_floats_and_signed_integers_keep_their_values(tmp_path, dtype):
    image = RANDOM.uniform(-40, 2000, (24, 32)).astype(dtype)
    path = tmp_path / "a.tiff"
    if dtype == np.float64:
        cv2.imwrite(str(path), image)
    else:
        Image.fromarray(image.astype(np.int32) if dtype == np.int16 else image).save(path)
    for read in (read_image, read_thermal):
        pixels, encoding = read(path)
        assert encoding == "32FC1"
        np.testing.assert_array_equal(pixels, image.astype(np.float32))


def test_floats_in_colour_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tiff"), np.zeros((4, 4, 3), np.float32))
    for read in (read_image, read_thermal):
        with pytest.raises(SourceError, match=r"a\.tiff: pixels are float32 in 3 channels; expected 8 or 16 bits"):
            read(tmp_path / "a.tiff")


def test_counts_in_three_equal_channels_of_16_bits_keep_their_depth(tmp_path):
    counts = RANDOM.integers(7000, 7300, (24, 32)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([counts] * 3))
    pixels, encoding = read_thermal(tmp_path / "a.png")
    assert encoding == "mono16"
    np.testing.assert_array_equal(pixels, counts)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "CMYK"])
def test_alpha_palettes_bits_and_inks_become_gray_or_colour(tmp_path, mode):
    stored = pillow().convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    stored.save(path, quality=100)
    pixels, encoding = read_image(path)
    expected = np.asarray(Image.open(path).convert("RGB"))[..., ::-1].astype(int)
    if encoding == "mono8":
        expected = expected[..., 0]
    assert np.abs(pixels - expected).mean() < 2
    assert encoding == ("mono8" if mode in ("1", "L") else "bgr8")


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_of_a_visible_image_are_read(tmp_path, channels):
    image = RANDOM.integers(0, 65536, (24, 32, channels)).astype(np.uint16).squeeze()
    cv2.imwrite(str(tmp_path / "a.png"), image)
    pixels, encoding = read_image(tmp_path / "a.png")
    assert encoding == ("mono16" if channels == 1 else "bgr8")
    np.testing.assert_array_equal(pixels, image if channels == 1 else np.rint(image / 257))


@pytest.mark.parametrize("suffix", ["tiff", "gif"])
def test_of_several_images_in_a_file_the_first_is_taken_and_that_is_said_once(tmp_path, caplog, suffix):
    first, *others = (Image.fromarray(np.full((24, 32), level, np.uint8)) for level in (50, 100, 200))
    for name in ("a", "b"):
        first.save(tmp_path / f"{name}.{suffix}", save_all=True, append_images=others)
    with caplog.at_level(logging.WARNING):
        for name in ("a", "b"):
            assert np.abs(read_image(tmp_path / f"{name}.{suffix}")[0].astype(int) - 50).max() <= 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"a.{suffix}: holds 3 images, of which the first is taken" in line


def radiometric(path):
    """Write a JPEG with segments like those in which FLIR's cameras put raw counts."""
    pillow().save(path, quality=95)
    content = path.read_bytes()
    raw = b"FLIR\0\x01\0\0" + RANDOM.bytes(3000) + b"\xff\xd9"
    path.write_bytes(content[:2] + b"\xff\xe1" + (len(raw) + 2).to_bytes(2, "big") + raw + content[2:])
    return path


def test_a_radiometric_jpeg_is_read_as_its_picture_and_that_is_said_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        for name in ("a.jpg", "b.jpg"):
            pixels, _ = read_thermal(radiometric(tmp_path / name))
            assert pixels.shape[:2] == (24, 32)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "a.jpg: a radiometric JPEG of FLIR's, read as the picture that it shows" in line
    assert "exiftool -b -RawThermalImage" in line


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "bmp", "webp", "ppm"])
@pytest.mark.parametrize("share", [0.4, 0.97])
def test_a_file_that_breaks_off_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(path), RANDOM.integers(0, 256, (240, 320, 3), dtype=np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SourceError, match=rf"a\.{suffix}: ") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_jpeg_that_breaks_off_is_told_from_one_with_more_behind_its_end(tmp_path):
    """Some versions of OpenCV fill up with gray. Phones put a film behind the picture."""
    whole = tmp_path / "whole.jpg"
    radiometric(whole)
    content = whole.read_bytes()
    assert not files._has_end(content[: content.index(b"\xff\xda") + 200])
    assert not files._has_end(content[:-2])
    assert files._has_end(content[:2] + b"\xff\xff" + content[2:])  # bytes that fill up
    film = tmp_path / "film.jpg"
    film.write_bytes(content + b"\xff\xda" + RANDOM.bytes(500))
    np.testing.assert_array_equal(read_image(film)[0], read_image(whole)[0])


def test_a_folder_and_a_file_that_is_not_there_are_named(tmp_path):
    for path, words in ((tmp_path, "Is a directory"), (tmp_path / "gone.png", "No such file")):
        with pytest.raises(SourceError, match=words):
            read_image(path)
