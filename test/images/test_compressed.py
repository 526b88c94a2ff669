"""JPEG, PNG and other image files: what is decoded to what, and what is refused."""

from __future__ import annotations

import contextlib
import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.compressed import check_compressed, decode_compressed
from hkdnet_ros.images.files import read_image

RANDOM = np.random.default_rng(0)


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize(
    ("shape", "dtype", "encoding"),
    [((12, 17), np.uint8, "mono8"), ((12, 17), np.uint16, "mono16"), ((12, 17, 3), np.uint8, "bgr8")],
)
def test_png_comes_back_exactly(shape, dtype, encoding):
    image = RANDOM.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    decoded, name = decode_compressed(encoded(image), "png")
    assert name == encoding
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize(
    ("image", "encoding"),
    [
        (RANDOM.integers(0, 65536, (12, 17)).astype(np.uint16), "mono16"),
        (RANDOM.normal(-10, 30, (12, 17)).astype(np.float32), "32FC1"),
        (RANDOM.integers(0, 256, (12, 17, 3)).astype(np.uint8), "bgr8"),
    ],
)
def test_tiff_comes_back_exactly_as_compressed_image_transport_sends_it(image, encoding):
    decoded, name = decode_compressed(encoded(image, ".tiff"), f"{encoding}; tiff compressed ")
    assert name == encoding
    np.testing.assert_array_equal(decoded, image)


def test_jpeg_comes_back_nearly():
    y, x = np.mgrid[:48, :64]
    image = np.stack([4 * x, 5 * y, 2 * x + y], axis=-1).astype(np.uint8)
    decoded, name = decode_compressed(encoded(image, ".jpg"), "rgb8; jpeg compressed bgr8")
    assert name == "bgr8"
    assert np.abs(decoded.astype(int) - image).mean() < 3


@pytest.mark.parametrize("channels", [3, 4])
def test_alpha_is_left_out_and_16_bit_colour_reduced_to_the_nearest(channels):
    image = RANDOM.integers(0, 256, (12, 17, channels)).astype(np.uint8)
    np.testing.assert_array_equal(decode_compressed(encoded(image), "png")[0], image[..., :3])
    deep = RANDOM.integers(0, 65536, (12, 17, channels)).astype(np.uint16)
    decoded, name = decode_compressed(encoded(deep), "png")
    assert name == "bgr8"
    np.testing.assert_array_equal(decoded, np.rint(deep[..., :3] / 257.0))


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"GIF89a..", b"\xff\xd8", encoded(np.zeros((4, 4)), ".webp")])
def test_what_begins_as_no_jpeg_or_png_is_refused_before_decoding(data):
    for function in (check_compressed, decode_compressed):
        with pytest.raises(ImageError, match="neither JPEG nor PNG"):
            function(data, "jpeg")


def test_compressed_depth_is_refused_by_its_format():
    data = bytes(12) + encoded(np.zeros((4, 4), np.uint16))
    for function in (check_compressed, decode_compressed):
        with pytest.raises(ImageError, match=r"'16UC1; compressedDepth png' has lost .*depth_max; expected JPEG"):
            function(data, "16UC1; compressedDepth png")


def test_a_message_keeps_the_rows_of_the_sensor_of_which_camera_info_speaks():
    exif = Image.Exif()
    exif[274] = 6
    content = io.BytesIO()
    Image.fromarray(np.zeros((12, 17, 3), np.uint8)).save(content, "JPEG", exif=exif)
    assert decode_compressed(content.getvalue(), "jpeg")[0].shape == (12, 17, 3)


def test_every_truncation_is_refused_or_an_image_never_a_crash():
    for suffix in (".png", ".jpg", ".tiff"):
        whole = encoded(RANDOM.integers(0, 256, (16, 16)).astype(np.uint8), suffix)
        for length in range(0, len(whole), 7):
            with contextlib.suppress(ImageError):  # OpenCV fills up what is missing at the end of a JPEG
                assert decode_compressed(whole[:length], "")[0].shape == (16, 16)


def test_a_message_that_claims_a_huge_image_is_refused_before_its_memory_is_taken():
    whole = bytearray(encoded(np.zeros((16, 16), np.uint8)))
    whole[16:24] = struct.pack(">II", 100_000, 100_000)
    with pytest.raises(ImageError, match="claims 100000x100000 pixels"):
        decode_compressed(bytes(whole), "png")


@pytest.mark.parametrize("suffix", [".tiff", ".bmp", ".webp", ".ppm"])
def test_files_may_be_of_other_formats(suffix, tmp_path):
    image = cv2.GaussianBlur(RANDOM.integers(0, 256, (12, 17, 3), dtype=np.uint8), (0, 0), 3)
    (tmp_path / "image").write_bytes(encoded(image, suffix))
    decoded, name = read_image(tmp_path / "image")
    assert name == "bgr8"
    assert np.abs(decoded.astype(int) - image).mean() < 3
