"""Frames, camera models and times to messages and back, with messages of ROS."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_images import LAYOUTS, assert_pixels, packed, samples

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image

from hkdnet_ros.errors import ImageError
from hkdnet_ros.images.frames import ENCODINGS
from hkdnet_ros.images.messages import camera_model, check_message, decode_message, stamp_to_ns
from hkdnet_ros.node.image_messages import camera_info, encode_image, encode_jpeg, ns_to_duration, ns_to_stamp


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_a_message_of_any_encoding_gives_its_pixels(encoding):
    scalars = samples(encoding)
    data, step = packed(scalars, padding=5)
    message = Image(height=12, width=16, encoding=encoding, step=step, data=array("B", data))
    message.header.stamp, message.header.frame_id = Time(sec=7, nanosec=8), "camera"
    check_message(message)
    frame = decode_message(message)
    assert (frame.stamp_ns, frame.frame_id) == (7_000_000_008, "camera")
    assert_pixels(frame.image, encoding, scalars)


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_an_encoded_image_decodes_to_itself(encoding):
    scalar, channels = ENCODINGS[encoding]
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    image = np.random.default_rng(1).integers(0, 255, shape).astype(scalar)
    frame = decode_message(encode_image(image, encoding, 1_500_000_000, "camera"))
    alpha = encoding in ("rgba8", "bgra8")
    np.testing.assert_array_equal(frame.image, image[..., :3] if alpha else image)
    assert frame.encoding == {"rgba8": "rgb8", "bgra8": "bgr8"}.get(encoding, encoding)
    assert (frame.stamp_ns, frame.frame_id) == (1_500_000_000, "camera")


def test_a_jpeg_written_here_is_read_here_with_its_header():
    y, x = np.mgrid[:48, :64]
    image = np.stack([4 * x, 5 * y, 2 * x + y], axis=-1).astype(np.uint8)
    written = encode_jpeg(image, 95, 5_000_000_001, "visible")
    assert written.format == "bgr8; jpeg compressed bgr8"
    check_message(written)
    frame = decode_message(written)
    assert (frame.stamp_ns, frame.frame_id, frame.encoding) == (5_000_000_001, "visible", "bgr8")
    assert np.abs(frame.image.astype(int) - image).mean() < 3


def test_a_strided_image_is_encoded_as_it_looks():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[::-1, :, ::-1]
    np.testing.assert_array_equal(decode_message(encode_image(image, "rgb8", 1, "")).image, image)


def test_message_data_is_the_type_rclpy_takes_unchecked():
    assert isinstance(encode_image(np.zeros((2, 2), np.uint8), "mono8", 1, "").data, array)


@pytest.mark.parametrize(
    ("image", "encoding"),
    [
        (np.zeros((2, 2), np.float64), "32FC1"),
        (np.zeros((2, 2, 3), np.uint8), "mono8"),
        (np.zeros((2, 2), np.uint8), "bgr8"),
        (np.zeros((2, 2, 4), np.uint8), "bgr8"),
        (np.zeros((2, 2), np.uint8), "yuv422"),
    ],
)
def test_an_array_that_is_not_of_the_encoding_is_refused(image, encoding):
    with pytest.raises(ImageError, match="expected"):
        encode_image(image, encoding, 1, "")


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_survive_the_way_there_and_back(stamp_ns):
    assert stamp_to_ns(ns_to_stamp(stamp_ns)) == stamp_ns


@given(st.integers(-(2**62), 2**62))
def test_durations_count_nanoseconds_upwards_from_seconds(duration_ns):
    duration = ns_to_duration(duration_ns)
    limit = 2**31 * 10**9
    assert stamp_to_ns(duration) == max(min(duration_ns, limit - 1), -limit)
    assert 0 <= duration.nanosec < 10**9


def test_camera_info_survives_the_way_there_and_back():
    message = CameraInfo(width=640, height=480, distortion_model="rational_polynomial", binning_x=2, binning_y=3)
    message.header.stamp, message.header.frame_id = Time(sec=3, nanosec=4), "lens"
    message.k, message.p, message.r = np.arange(9.0), np.arange(12.0), np.arange(9.0) * 2
    message.d = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    message.roi.x_offset, message.roi.y_offset, message.roi.width, message.roi.height = 1, 2, 3, 4
    message.roi.do_rectify = True
    assert camera_info(camera_model(message), 3_000_000_004) == message
