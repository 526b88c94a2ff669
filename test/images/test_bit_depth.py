"""16-bit images of visible cameras that use fewer bits: raw, compressed, as files, and from frame to frame."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from raw_images import packed

from hkdnet_ros.images.bit_depth import BitDepth
from hkdnet_ros.images.compressed import decode_compressed
from hkdnet_ros.images.decoding import decode_raw
from hkdnet_ros.images.files import read_image, read_visible

RANDOM = np.random.default_rng(0)
SCENE = cv2.GaussianBlur(RANDOM.integers(0, 256, (24, 32, 3)).astype(np.uint8), (0, 0), 2)


def deep(bits, image=SCENE):
    """The scene with ``bits`` bits, at the lower end of 16."""
    return np.rint(image / 255 * (2**bits - 1)).astype(np.uint16)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("encoding", ["mono16", "bgr16", "bayer_rggb16"])
def test_an_image_is_as_bright_whatever_bits_it_uses(bits, encoding):
    stretched = cv2.normalize(SCENE, None, 0, 255, cv2.NORM_MINMAX)
    pixels = deep(bits, stretched if encoding == "bgr16" else stretched[..., 0])
    data, step = packed(pixels.reshape(24, 32, -1))
    image, name = decode_raw(24, 32, encoding, 0, step, data, BitDepth())
    wanted, _ = decode_raw(
        24, 32, encoding, 0, step, packed(deep(16, pixels / (2**bits - 1) * 255).reshape(24, 32, -1))[0]
    )
    assert name == ("mono16" if encoding == "mono16" else "bgr8")
    scale = 257 if encoding == "mono16" else 1
    np.testing.assert_allclose(image / scale, wanted / scale, atol=1)


def test_compressed_images_and_files_go_by_the_same_rule(tmp_path):
    pixels = deep(12, cv2.normalize(SCENE[..., 0], None, 0, 255, cv2.NORM_MINMAX))
    content = cv2.imencode(".png", pixels)[1].tobytes()
    (tmp_path / "image.png").write_bytes(content)
    np.testing.assert_array_equal(decode_compressed(content, "png", BitDepth())[0], pixels << 4)
    np.testing.assert_array_equal(read_visible(tmp_path / "image.png")[0], pixels << 4)
    np.testing.assert_array_equal(read_image(tmp_path / "image.png")[0], pixels)  # thermal counts stay


def test_a_dark_scene_after_a_bright_one_stays_dark():
    depth = BitDepth()
    bright, dark = np.full((4, 4), 4001, np.uint16), np.full((4, 4), 101, np.uint16)
    assert depth.full_scale(bright)[0, 0] == 4001 << 4
    assert depth.full_scale(dark)[0, 0] == 101 << 4


def test_what_uses_16_bits_is_returned_as_it_is():
    for image in (np.array([[3, 16384]], np.uint16), np.array([[3, 255]], np.uint8)):
        assert BitDepth().full_scale(image) is image


def test_a_black_image_says_nothing():
    depth = BitDepth()
    assert depth.full_scale(np.zeros((4, 4), np.uint16)).max() == 0
    assert depth.full_scale(np.full((4, 4), 4095, np.uint16))[0, 0] == 4095 << 4
