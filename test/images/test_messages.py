"""Messages by their fields alone, as ROS and rosbags both give them: frames, camera models and refusals."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from raw_images import LAYOUTS, assert_pixels, packed, samples

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.messages import check_depth, check_message, decode_depth, decode_message

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=7, nanosec=8), frame_id="camera")


def image_message(encoding, height, width, step, data, big=0):
    return SimpleNamespace(
        header=HEADER, height=height, width=width, encoding=encoding, is_bigendian=big, step=step, data=array("B", data)
    )


def compressed_message(data, format="png"):
    return SimpleNamespace(header=HEADER, format=format, data=array("B", data))


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_every_encoding_gives_its_pixels_under_its_header(encoding):
    scalars = samples(encoding)
    data, step = packed(scalars, big=True, padding=2)
    message = image_message(encoding, 12, 16, step, data, big=1)
    check_message(message)
    frame = decode_message(message)
    assert (frame.stamp_ns, frame.frame_id) == (7_000_000_008, "camera")
    assert_pixels(frame.image, encoding, scalars)


def test_a_compressed_image_gives_its_pixels_under_its_header():
    image = np.random.default_rng(0).integers(0, 65536, (12, 17)).astype(np.uint16)
    message = compressed_message(cv2.imencode(".png", image)[1].tobytes())
    check_message(message)
    frame = decode_message(message)
    assert (frame.stamp_ns, frame.frame_id, frame.encoding) == (7_000_000_008, "camera", "mono16")
    np.testing.assert_array_equal(frame.image, image)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16", "32FC1", "64FC1"])
def test_depth_is_counts_in_millimetres_or_floats_in_metres(encoding):
    scalars = samples(encoding)
    data, step = packed(scalars, big=False, padding=0)
    frame = decode_depth(image_message(encoding, 12, 16, step, data))
    assert frame.image.dtype == (np.uint16 if encoding in ("16UC1", "mono16") else np.float32)
    assert_pixels(frame.image, encoding, scalars)


@pytest.mark.parametrize("encoding", ["16SC1", "32SC1", "mono8", "bgr8"])
def test_depth_of_another_encoding_is_refused_and_not_taken_for_metres(encoding):
    data, step = packed(samples(encoding), big=False, padding=0)
    message = image_message(encoding, 12, 16, step, data)
    check_message(message)
    for refuse in (check_depth, decode_depth):
        with pytest.raises(ImageError, match=f"encoding is '{encoding}'; expected 16UC1 in mm or 32FC1 in m"):
            refuse(message)


def test_decoding_copies_nothing():
    message = image_message("bgr8", 2, 3, 12, bytes(24))
    assert np.shares_memory(decode_message(message).image, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize(
    "message",
    [
        image_message("mono8", 2, 2, 2, bytes(3)),
        image_message("mono8", 2, 2, 1, bytes(4)),
        image_message("mono8", 0, 0, 0, b""),
        image_message("nonsense", 2, 2, 2, bytes(4)),
        image_message("yuv422", 2, 2, 2, bytes(4)),
        compressed_message(b"GIF89a"),
        compressed_message(bytes(20), "16UC1; compressedDepth"),
    ],
)
def test_the_check_of_the_header_refuses_what_decoding_refuses(message):
    with pytest.raises(ImageError) as checked:
        check_message(message)
    with pytest.raises(ImageError) as decoded:
        decode_message(message)
    assert str(checked.value) == str(decoded.value)
