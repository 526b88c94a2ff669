"""JPEG and PNG in messages: what is decoded to what, and what is refused."""

from __future__ import annotations

import contextlib
import struct

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import CompressedImage

from hkdnet_ros.errors import ImageError
from hkdnet_ros.node.compressed_images import check_compressed, decode_compressed, encode_jpeg

RANDOM = np.random.default_rng(0)


def message(image, suffix=".png", format_="png"):
    return CompressedImage(format=format_, data=cv2.imencode(suffix, image)[1].tobytes())


@pytest.mark.parametrize(
    ("shape", "dtype", "encoding"),
    [((12, 17), np.uint8, "mono8"), ((12, 17), np.uint16, "mono16"), ((12, 17, 3), np.uint8, "bgr8")],
)
def test_png_comes_back_exactly(shape, dtype, encoding):
    image = RANDOM.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    frame = decode_compressed(message(image))
    assert frame.encoding == encoding
    np.testing.assert_array_equal(frame.image, image)


def test_alpha_is_left_out_and_16_bit_colour_reduced():
    image = RANDOM.integers(0, 256, (12, 17, 4)).astype(np.uint8)
    np.testing.assert_array_equal(decode_compressed(message(image)).image, image[..., :3])
    deep = image[..., :3].astype(np.uint16) * 257
    np.testing.assert_array_equal(decode_compressed(message(deep)).image, image[..., :3])


def test_a_jpeg_written_here_is_read_here_with_its_header():
    y, x = np.mgrid[:48, :64]
    image = np.stack([4 * x, 5 * y, 2 * x + y], axis=-1).astype(np.uint8)
    written = encode_jpeg(image, 95, 5_000_000_001, "visible")
    assert written.format == "bgr8; jpeg compressed bgr8"
    frame = decode_compressed(written)
    assert (frame.stamp_ns, frame.frame_id, frame.encoding) == (5_000_000_001, "visible", "bgr8")
    assert np.abs(frame.image.astype(int) - image).mean() < 3


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"GIF89a..", b"\xff\xd8"])
def test_what_is_no_image_file_is_refused_before_decoding(data):
    with pytest.raises(ImageError, match="neither JPEG nor PNG"):
        check_compressed(CompressedImage(format="jpeg", data=data))


def test_every_truncation_is_refused_or_an_image_never_a_crash():
    for suffix in (".png", ".jpg"):
        whole = cv2.imencode(suffix, RANDOM.integers(0, 256, (16, 16)).astype(np.uint8))[1].tobytes()
        for length in range(0, len(whole), 7):
            with contextlib.suppress(ImageError):  # OpenCV fills up what is missing at the end of a JPEG
                assert decode_compressed(CompressedImage(data=whole[:length])).image.shape == (16, 16)


def test_a_file_that_claims_a_huge_image_is_refused_before_its_memory_is_taken():
    whole = bytearray(cv2.imencode(".png", np.zeros((16, 16), np.uint8))[1].tobytes())
    whole[16:24] = struct.pack(">II", 100_000, 100_000)
    with pytest.raises(ImageError, match="claims 100000x100000 pixels"):
        decode_compressed(CompressedImage(data=bytes(whole)))
