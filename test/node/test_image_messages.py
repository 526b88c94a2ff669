"""Messages to frames and back; cv_bridge is played by a stand-in where its part is tested."""

from __future__ import annotations

import sys
import types
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image

from hkdnet_ros.errors import HkdnetError, ImageError, MissingDependencyError
from hkdnet_ros.images.frames import ENCODINGS
from hkdnet_ros.node.image_messages import (
    camera_info,
    camera_model,
    check_image,
    decode,
    encode_image,
    ns_to_duration,
    ns_to_stamp,
    stamp_to_ns,
)


def image_message(encoding, height, width, step, data, big=0):
    message = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=big)
    message.data = array("B", data)
    message.header.frame_id = "camera"
    message.header.stamp = Time(sec=7, nanosec=8)
    return message


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_an_encoded_image_decodes_to_itself(encoding):
    scalar, channels = ENCODINGS[encoding]
    shape = (5, 7) if channels == 1 else (5, 7, channels)
    image = np.random.default_rng(1).integers(0, 255, shape).astype(scalar)
    frame = decode(encode_image(image, encoding, 1_500_000_000, "camera"))
    alpha = encoding in ("rgba8", "bgra8")
    np.testing.assert_array_equal(frame.image, image[..., :3] if alpha else image)
    assert frame.encoding == {"rgba8": "rgb8", "bgra8": "bgr8"}.get(encoding, encoding)
    assert (frame.stamp_ns, frame.frame_id) == (1_500_000_000, "camera")


def test_decoding_copies_nothing():
    message = image_message("bgr8", 2, 3, 12, bytes(24))
    assert np.shares_memory(decode(message).image, np.frombuffer(message.data, np.uint8))


def test_a_strided_image_is_encoded_as_it_looks():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[::-1, :, ::-1]
    np.testing.assert_array_equal(decode(encode_image(image, "rgb8", 1, "")).image, image)


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


def test_an_encoding_for_cv_bridge_without_cv_bridge_names_both(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(MissingDependencyError, match=r"'bayer_rggb8' needs cv_bridge.*expected one of mono8"):
        decode(image_message("bayer_rggb8", 2, 2, 2, bytes(4)))


@pytest.mark.parametrize("encoding", ["64FC1", "8UC3", "jpeg", ""])
def test_an_encoding_nobody_converts_is_refused_by_name(encoding):
    with pytest.raises(ImageError, match=f"encoding '{encoding}' cannot be fused; expected one of mono8"):
        decode(image_message(encoding, 2, 2, 8, bytes(16)))


@pytest.fixture
def cv_bridge(monkeypatch):
    """Stand in for cv_bridge: keep the message that it was given and answer with ``module.answer``."""
    module = types.ModuleType("cv_bridge")
    module.answer = None

    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            module.given = message, desired_encoding
            if isinstance(module.answer, Exception):
                raise module.answer
            if module.answer is None:
                module.answer = np.zeros((message.height, message.width, 3), np.uint8)
            return module.answer

    module.CvBridge = CvBridge
    monkeypatch.setitem(sys.modules, "cv_bridge", module)
    return module


def test_other_colour_encodings_come_as_bgr8_from_cv_bridge(cv_bridge):
    frame = decode(image_message("bayer_rggb8", 2, 2, 2, [1, 2, 3, 4]))
    assert cv_bridge.given[1] == "bgr8"
    assert frame.encoding == "bgr8"
    assert frame.image is cv_bridge.answer


def test_cv_bridge_sees_rows_without_padding_in_little_endian(cv_bridge):
    decode(image_message("bayer_rggb16", 2, 1, 5, [1, 2, 9, 9, 9, 3, 4, 9, 9, 9], big=1))
    message = cv_bridge.given[0]
    assert (message.step, message.is_bigendian, list(message.data)) == (2, 0, [2, 1, 4, 3])


@pytest.mark.parametrize("encoding", ["bayer_rggb8", "yuv422"])
def test_8_bit_images_called_big_endian_are_not_so_to_cv_bridge(cv_bridge, encoding):
    """Byte order means nothing to them, but cv_bridge swaps by a method that NumPy 2 does not have."""
    size = {"bayer_rggb8": 2, "yuv422": 4}[encoding]
    decode(image_message(encoding, 2, 2, size, range(2 * size), big=1))
    message = cv_bridge.given[0]
    assert (message.is_bigendian, list(message.data)) == (0, list(range(2 * size)))


@pytest.mark.parametrize(("name", "known"), [("uyvy", "yuv422"), ("yuyv", "yuv422_yuy2")])
def test_newer_names_reach_cv_bridge_under_the_old_ones(cv_bridge, name, known):
    decode(image_message(name, 2, 2, 4, range(8)))
    message = cv_bridge.given[0]
    assert (message.encoding, list(message.data)) == (known, list(range(8)))


def test_an_image_for_cv_bridge_as_it_likes_them_is_not_copied(cv_bridge):
    message = image_message("yuv422_yuy2", 2, 2, 4, range(8))
    decode(message)
    assert cv_bridge.given[0] is message


@pytest.mark.parametrize("answer", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint16), None])
def test_what_is_no_bgr8_from_cv_bridge_is_refused(cv_bridge, answer):
    cv_bridge.answer = np.zeros((3, 2, 3), np.uint8) if answer is None else answer
    with pytest.raises(ImageError, match=r"turned encoding 'yuv422' into .*expected uint8 \(2, 2, 3\)"):
        decode(image_message("yuv422", 2, 2, 4, bytes(8)))


@pytest.mark.parametrize(
    "error", [ImportError("numpy.core.multiarray\n failed"), AttributeError("_ARRAY_API not found")]
)
def test_a_cv_bridge_that_was_built_for_another_numpy_says_so(monkeypatch, error):
    class Broken:
        def find_spec(self, name, *_):
            if name == "cv_bridge":
                raise error

    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "cv_bridge", raising=False)
    with pytest.raises(MissingDependencyError, match="cannot be imported") as caught:
        check_image(image_message("yuv422", 2, 2, 4, bytes(8)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24"])
def test_planar_encodings_are_refused_as_what_cv_bridge_does_not_convert_either(encoding):
    with pytest.raises(ImageError, match=f"'{encoding}' cannot be fused, nor converted by cv_bridge.*expected one of"):
        check_image(image_message(encoding, 2, 2, 2, bytes(6)))


def test_a_failure_in_cv_bridge_is_an_image_error(cv_bridge):
    cv_bridge.answer = TypeError("no such\n dtype")
    with pytest.raises(ImageError, match="cannot convert encoding 'yuv422': no such dtype; expected one of"):
        decode(image_message("yuv422", 2, 2, 4, bytes(8)))


def test_a_malformed_image_never_reaches_cv_bridge(cv_bridge):
    with pytest.raises(ImageError, match="truncated"):
        decode(image_message("yuv422", 2, 2, 4, bytes(7)))
    assert not hasattr(cv_bridge, "given")


@pytest.mark.parametrize(
    "message",
    [
        image_message("mono8", 2, 2, 2, bytes(3)),
        image_message("mono8", 2, 2, 1, bytes(4)),
        image_message("mono8", 0, 0, 0, b""),
        image_message("nonsense", 2, 2, 2, bytes(4)),
        image_message("yuv422", 2, 2, 2, bytes(4)),
    ],
)
def test_the_check_of_the_header_refuses_what_decoding_refuses(message):
    with pytest.raises(HkdnetError) as checked:
        check_image(message)
    with pytest.raises(HkdnetError) as decoded:
        decode(message)
    assert str(checked.value) == str(decoded.value)


def test_the_check_of_the_header_passes_what_can_be_decoded(cv_bridge):
    check_image(image_message("mono8", 2, 2, 3, bytes(6)))
    check_image(image_message("bayer_rggb8", 2, 2, 3, bytes(6)))
