"""Images with anything in their fields: the right pixels or one clear line, and never an exception of another kind."""

from __future__ import annotations

import sys
import types
from array import array

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import Image

from hkdnet_ros.errors import ImageError
from hkdnet_ros.node.image_messages import check_image, decode

# encoding -> numpy's name of a scalar, and how many a pixel has
OURS = {
    "mono8": ("u1", 1), "8UC1": ("u1", 1), "mono16": ("u2", 1), "16UC1": ("u2", 1), "32FC1": ("f4", 1),
    "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgba8": ("u1", 4), "bgra8": ("u1", 4),
}  # fmt: skip
BRIDGED = {
    **{f"bayer_{order}8": ("u1", 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{order}16": ("u2", 1) for order in ("rggb", "bggr", "gbrg", "grbg")},
    **dict.fromkeys(("yuv422", "yuv422_yuy2", "uyvy", "yuyv"), ("u1", 2)),
    **dict.fromkeys(("rgb16", "bgr16"), ("u2", 3)),
    **dict.fromkeys(("rgba16", "bgra16"), ("u2", 4)),
}
KNOWN = OURS | BRIDGED
NAMES = st.sampled_from([*KNOWN, "nv12", "nv21", "nv24", "8UC3", "64FC1", "MONO8", ""]) | st.text(max_size=12)
ANY_UINT32 = st.integers(0, 9) | st.integers(0, 2**32 - 1) | st.sampled_from([2**31 - 1, 2**31, 2**32 - 1])


class StrictBridge:
    """Reads as cv_bridge's Python does: rows without padding, little-endian, old names only. Says what it saw."""

    def imgmsg_to_cv2(self, message, desired_encoding):
        assert desired_encoding == "bgr8"
        if message.encoding in ("uyvy", "yuyv"):
            raise RuntimeError(f"Unrecognized image encoding\n[{message.encoding}]")
        if message.is_bigendian:
            raise AttributeError("newbyteorder was removed from the ndarray class in NumPy 2.0")
        kind, channels = BRIDGED[message.encoding]
        pixels = np.frombuffer(message.data, f"<{kind}").reshape(message.height, -1, channels)[:, : message.width]
        return as_seen(pixels)


def as_seen(pixels):
    """A stand-in for colour that hangs on every bit and on the order of the channels."""
    weighed = (pixels.astype(np.int64) * np.arange(1, pixels.shape[2] + 1)).sum(axis=2)
    return np.stack([weighed >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module", autouse=True)
def cv_bridge():
    module = types.ModuleType("cv_bridge")
    module.CvBridge = StrictBridge
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cv_bridge", module)
        yield module


def message_of(encoding, height, width, step, big, data):
    message = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=big)
    message.data = array("B", data)
    return message


def reference(message):
    """The pixels by bytes and shifts, (height, width, channels), as sensor_msgs/Image defines them."""
    kind, channels = KNOWN[message.encoding]
    size = int(kind[1])
    bytes_ = np.array(message.data, np.uint8).reshape(message.height, message.step)
    bytes_ = bytes_[:, : message.width * channels * size].reshape(message.height, message.width, channels, size)
    order = range(size)[::-1] if message.is_bigendian else range(size)
    words = sum(bytes_[..., place].astype(np.uint32) << (8 * index) for index, place in enumerate(order))
    return words.view(np.float32) if kind == "f4" else words.astype(kind)


def expected_pixels(message):
    pixels = reference(message)
    if message.encoding in BRIDGED:
        return as_seen(pixels)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]


@given(
    encoding=st.sampled_from(sorted(KNOWN)),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    padding=st.integers(0, 9),
    big=st.integers(0, 255),
    seed=st.integers(0, 2**16),
)
def test_a_sound_message_gives_its_pixels(encoding, height, width, padding, big, seed):
    kind, channels = KNOWN[encoding]
    step = width * channels * int(kind[1]) + padding
    data = np.random.default_rng(seed).integers(0, 256, height * step, np.uint8)
    message = message_of(encoding, height, width, step, big, data.tobytes())
    before = message.data.tobytes()
    check_image(message)
    frame = decode(message)
    np.testing.assert_array_equal(frame.image, expected_pixels(message))
    assert frame.image.dtype.isnative
    others = {"rgba8": "rgb8", "bgra8": "bgr8", **dict.fromkeys(BRIDGED, "bgr8")}
    assert frame.encoding == others.get(encoding, encoding)
    assert message.data.tobytes() == before


def outcome(function, message):
    try:
        return function(message), None
    except ImageError as error:
        return None, str(error)


def judge(message):
    """Check what comes of ``message``: its pixels, or one line, the same from the header's check as from decoding."""
    _, refused = outcome(check_image, message)
    frame, error = outcome(decode, message)
    assert refused == error
    kind, channels = KNOWN.get(message.encoding, ("u1", 0))
    row = message.width * channels * int(kind[1])
    size = len(message.data)
    is_sound = channels and 0 < row <= message.step and message.height > 0 and size == message.step * message.height
    if is_sound:
        np.testing.assert_array_equal(frame.image, expected_pixels(message))
        return
    assert error is not None
    assert "expected" in error
    assert "\n" not in error
    assert len(error) < 400


@given(
    encoding=NAMES,
    height=ANY_UINT32,
    width=ANY_UINT32,
    step=ANY_UINT32,
    big=st.integers(0, 255),
    data=st.binary(max_size=120),
)
@example("mono8", 2**32 - 1, 2**32 - 1, 2**32 - 1, 0, b"")
@example("bgra8", 2**31, 2**30, 0, 0, bytes(4))  # products that would wrap to 0 in 32 bits
@example("mono16", 1, 2**31, 0, 1, b"")
@example("mono8", 0, 0, 0, 0, b"")
@example("yuv422", 2**16, 2**15, 2**16, 0, bytes(8))
def test_any_fields_give_the_pixels_or_one_clear_line(encoding, height, width, step, big, data):
    judge(message_of(encoding, height, width, step, big, data))


@given(
    encoding=st.sampled_from(sorted(KNOWN)),
    height=st.integers(0, 4),
    width=st.integers(0, 4),
    padding=st.integers(-9, 9),
    big=st.booleans(),
    surplus=st.integers(-20, 20),
)
def test_a_step_or_data_that_are_short_or_long_give_one_clear_line(encoding, height, width, padding, big, surplus):
    kind, channels = KNOWN[encoding]
    step = max(0, width * channels * int(kind[1]) + padding)
    judge(message_of(encoding, height, width, step, int(big), bytes(max(0, step * height + surplus))))
